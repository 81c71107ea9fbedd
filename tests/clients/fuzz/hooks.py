"""What schemathesis has to know of our scalars, and what every answer of ours has to be.

Its own check for server errors knows none of our codes (NOT_FOUND, UNAVAILABLE, ...), so ours takes its place: every error
has one of the codes that README and the schema name, none is internal, and the data has the shape that the schema says.
Each case is noted in VOICE_FUZZ_TALLY, one JSON object a line.
"""
import json
import os

import schemathesis
from graphql import (
    FieldNode, InlineFragmentNode, build_schema, is_abstract_type, is_enum_type, is_list_type, is_non_null_type, parse,
)
from hypothesis import strategies as st
from schemathesis.graphql import nodes

IDS = os.environ["VOICE_FUZZ_IDS"].split(",")
TALLY = os.environ["VOICE_FUZZ_TALLY"]
with open(os.environ["VOICE_FUZZ_SCHEMA"], encoding="utf-8") as file:
    SCHEMA = build_schema(file.read())
CODES = {
    "BAD_USER_INPUT", "COMPLEXITY_LIMIT", "CONFLICT", "FORBIDDEN", "GRAPHQL_VALIDATION_FAILED", "NOT_FOUND",
    "UNAUTHENTICATED", "UNAVAILABLE",
}

# Places that the log has reached, most of the time: who asks for others is kept waiting for them.
schemathesis.graphql.scalar("Position", st.integers(min_value=0, max_value=5).map(nodes.Int))
schemathesis.graphql.scalar("JSON", st.text().map(nodes.String))
uuids = st.one_of(st.sampled_from(IDS), st.uuids().map(str))
schemathesis.graphql.scalar("UUID", uuids.map(nodes.String))
instants = st.datetimes().map(lambda instant: instant.isoformat() + "Z")
schemathesis.graphql.scalar("DateTime", instants.map(nodes.String))


SCALARS = {
    "Int": int, "Float": (int, float), "Boolean": bool, "String": str, "ID": str, "Position": int, "UUID": str,
    "DateTime": str, "NaiveDate": str,
}


def check_shape(kind, value, selections, path):
    """Asserts that a value is what its type and the selections under it say."""
    if is_non_null_type(kind):
        assert value is not None, f"{path}: null, although the schema says it never is"
        kind = kind.of_type
    if value is None:
        return
    if is_list_type(kind):
        assert isinstance(value, list), f"{path}: no list"
        for index, element in enumerate(value):
            check_shape(kind.of_type, element, selections, f"{path}[{index}]")
    elif is_enum_type(kind):
        assert value in kind.values, f"{path}: {value!r} is no {kind.name}"
    elif selections is not None:
        check_object(kind, value, selections, path)
    elif kind.name in SCALARS:
        is_bool = isinstance(value, bool)
        right = isinstance(value, SCALARS[kind.name]) and is_bool == (kind.name == "Boolean")
        assert right, f"{path}: {value!r} is no {kind.name}"


def check_object(kind, value, selections, path):
    """Asserts that an object is one of the types that it may be, with just the fields that were asked of that type."""
    assert isinstance(value, dict), f"{path}: no object"
    members = SCHEMA.get_possible_types(kind) if is_abstract_type(kind) else [kind]
    wrong = []
    for member in members:
        fields = asked(member, selections)
        try:
            assert set(value) == set(fields), f"{path}: {sorted(value)} and not {sorted(fields)}"
            for name, field in fields.items():
                below = field.selection_set.selections if field.selection_set else None
                if field.name.value == "__typename":
                    assert value[name] == member.name, f"{path}: {value[name]} is not {member.name}"
                else:
                    check_shape(member.fields[field.name.value].type, value[name], below, f"{path}.{name}")
            return
        except AssertionError as error:
            wrong.append(str(error))
    raise AssertionError("; ".join(wrong))


def asked(member, selections):
    """Fields that are asked of a type, by the names of their answers."""
    fields = {}
    for selection in selections:
        if isinstance(selection, FieldNode):
            fields[selection.alias.value if selection.alias else selection.name.value] = selection
        elif isinstance(selection, InlineFragmentNode):
            on = selection.type_condition.name.value if selection.type_condition else member.name
            if on == member.name or SCHEMA.is_sub_type(SCHEMA.type_map[on], member):
                fields.update(asked(member, selection.selection_set.selections))
        else:
            raise AssertionError(f"{selection.kind} is not looked into")
    return fields


@schemathesis.check
def answers_as_promised(ctx, response, case):
    answer = response.json()
    errors = answer.get("errors", [])
    codes = [error.get("extensions", {}).get("code") for error in errors]
    note = {"operation": case.operation.label, "codes": codes, "data": answer.get("data") is not None}
    with open(TALLY, "a", encoding="utf-8") as tally:
        tally.write(json.dumps(note) + "\n")
    unknown = [code for code in codes if code not in CODES]
    assert not unknown, f"{unknown}: {errors}"
    assert errors or answer.get("data") is not None, answer
    # Also beside errors: a field that failed makes null what may be null, and nothing else.
    if answer.get("data") is not None:
        document = parse(case.body if isinstance(case.body, str) else case.body["query"])
        [operation] = document.definitions
        root = SCHEMA.get_root_type(operation.operation)
        check_object(root, answer["data"], operation.selection_set.selections, operation.operation.value)
