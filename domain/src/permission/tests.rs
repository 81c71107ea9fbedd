//! The table of roles, the grammar, and what holds for any set of permissions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

fn set(texts: &[&str]) -> PermissionSet {
    texts.iter().map(|text| Permission::parse(text).unwrap()).collect()
}

#[test]
fn a_permission_is_written_as_it_is_read() {
    for text in ["*", "call:*", "*:read", "call:read", "call:read:own", "*:*:own", "call:*:own", "a_b:c_", "call:own"] {
        let permission = Permission::parse(text).unwrap();
        assert_eq!(permission.to_string(), text);
        assert_eq!(text.parse::<Permission>().unwrap(), permission);
        let json = serde_json::to_string(&permission).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Permission>(&json).unwrap(), permission);
    }
    assert_eq!(Permission::parse("*:*").unwrap().to_string(), "*");
}

#[test]
fn what_does_not_follow_the_grammar_is_refused() {
    let wrong = [
        "",
        ":",
        "::",
        "call",
        "call:",
        ":read",
        "call::own",
        "call:read:",
        "call:read:any",
        "call:read:own:own",
        "Call:read",
        "call:READ",
        "call:read:OWN",
        " call:read",
        "call:read ",
        "call :read",
        "call-x:read",
        "_call:read",
        "call:_read",
        "call2:read",
        "**",
        "*:",
        ":*",
        "c*:read",
        "call:re*",
        "call:read\n",
        "výzva:read",
        "own",
    ];
    for text in wrong {
        let refused = Permission::parse(text).unwrap_err();
        assert_eq!(refused.code(), "PERMISSION_INVALID", "{text:?}");
    }
    assert!(serde_json::from_str::<Permission>("\"call\"").is_err());
    assert!(serde_json::from_str::<Permission>("7").is_err());
}

#[test]
fn a_permission_allows_what_it_names() {
    use Scope::{Any, Own};
    let cases = [
        ("*", "call", "read", Any, true),
        ("*", "anything", "at_all", Own, true),
        ("call:*", "call", "delete", Any, true),
        ("call:*", "agent", "read", Any, false),
        ("*:read", "agent", "read", Any, true),
        ("*:read", "agent", "update", Own, false),
        ("call:read", "call", "read", Any, true),
        ("call:read", "call", "read", Own, true),
        ("call:read", "call", "update", Any, false),
        ("call:read:own", "call", "read", Own, true),
        ("call:read:own", "call", "read", Any, false),
        ("*:*:own", "user", "update", Own, true),
        ("*:*:own", "user", "update", Any, false),
        // A wildcard is for those who hold permissions, not for those who ask.
        ("call:read", "*", "read", Any, false),
        ("call:read", "call", "*", Any, false),
        ("call:read", "call", "", Any, false),
    ];
    for (permission, resource, action, scope, expected) in cases {
        let allowed = set(&[permission]).allows(resource, action, scope);
        assert_eq!(allowed, expected, "{permission} for {resource}:{action} {scope:?}");
    }
}

#[test]
fn without_permissions_nothing_is_allowed() {
    let none = PermissionSet::default();
    assert!(!none.allows("call", "read", Scope::Own));
    assert!(!none.allows("*", "*", Scope::Own));
    assert_eq!(serde_json::to_string(&none).unwrap(), "[]");
}

#[test]
fn every_permission_of_every_role_is_well_formed() {
    for role in Role::ALL {
        let texts: Vec<String> = role.permissions().iter().map(ToString::to_string).collect();
        assert_eq!(texts, role.permission_texts());
    }
}

#[test]
fn roles_may_do_what_their_table_says() {
    use Role::{Admin, Agent, Supervisor};
    // Resource and action; who may on any object, who on an own one.
    let cases: [(&str, &str, &[Role], &[Role]); 17] = [
        ("call", "create", &[Admin, Supervisor, Agent], &[Admin, Supervisor, Agent]),
        ("call", "read", &[Admin, Supervisor], &[Admin, Supervisor, Agent]),
        ("call", "update", &[Admin, Supervisor], &[Admin, Supervisor, Agent]),
        ("transcript", "read", &[Admin, Supervisor], &[Admin, Supervisor, Agent]),
        ("transcript", "create", &[Admin, Supervisor], &[Admin, Supervisor, Agent]),
        ("transcript", "update", &[Admin, Supervisor], &[Admin, Supervisor]),
        ("sentiment", "read", &[Admin, Supervisor], &[Admin, Supervisor, Agent]),
        ("sentiment", "create", &[Admin, Supervisor], &[Admin, Supervisor]),
        ("agent", "read", &[Admin, Supervisor, Agent], &[Admin, Supervisor, Agent]),
        ("agent", "update", &[Admin, Supervisor], &[Admin, Supervisor, Agent]),
        ("agent", "create", &[Admin, Supervisor], &[Admin, Supervisor]),
        ("queue", "read", &[Admin, Supervisor, Agent], &[Admin, Supervisor, Agent]),
        ("queue", "update", &[Admin, Supervisor], &[Admin, Supervisor]),
        ("dashboard", "read", &[Admin, Supervisor, Agent], &[Admin, Supervisor, Agent]),
        ("event", "read", &[Admin, Supervisor], &[Admin, Supervisor]),
        ("user", "read", &[Admin, Supervisor], &[Admin, Supervisor]),
        ("user", "create", &[Admin], &[Admin]),
    ];
    for (resource, action, any, own) in cases {
        for role in Role::ALL {
            let allows = |scope| role.permissions().allows(resource, action, scope);
            assert_eq!(allows(Scope::Any), any.contains(&role), "{role} {resource}:{action}");
            assert_eq!(allows(Scope::Own), own.contains(&role), "{role} {resource}:{action}:own");
        }
    }
}

#[test]
fn roles_have_their_names() {
    for (role, name) in [(Role::Agent, "AGENT"), (Role::Supervisor, "SUPERVISOR"), (Role::Admin, "ADMIN")] {
        assert_eq!(role.to_string(), name);
        assert_eq!(name.parse::<Role>().unwrap(), role);
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("{name:?}"));
        assert_eq!(serde_json::from_str::<Role>(&format!("{name:?}")).unwrap(), role);
    }
    for wrong in ["", "admin", "Admin", "ROOT", " ADMIN"] {
        assert_eq!(wrong.parse::<Role>(), Err(UnknownRole));
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![3 => "call|agent|read|update", 1 => "[a-z][a-z_]{0,6}"]
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![word(), Just("*".to_owned())]
}

fn permission() -> impl Strategy<Value = Permission> {
    (pattern(), pattern(), any::<bool>()).prop_map(|(resource, action, own)| {
        Permission::parse(&format!("{resource}:{action}{}", if own { ":own" } else { "" })).unwrap()
    })
}

fn permissions() -> impl Strategy<Value = PermissionSet> {
    prop::collection::vec(permission(), 0..6).prop_map(|permissions| permissions.into_iter().collect())
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Any), Just(Scope::Own)]
}

proptest! {
    #[test]
    fn a_permission_survives_its_text(permission in permission()) {
        prop_assert_eq!(Permission::parse(&permission.to_string()).unwrap(), permission);
    }

    #[test]
    fn one_more_permission_takes_nothing_away(
        held in permissions(), added in permission(), resource in word(), action in word(), scope in scope(),
    ) {
        let mut more = held.clone();
        more.extend([added.clone()]);
        let before = held.allows(&resource, &action, scope);
        prop_assert_eq!(more.allows(&resource, &action, scope), before || added.allows(&resource, &action, scope));
    }

    #[test]
    fn a_wildcard_allows_at_least_as_much(
        held in permission(), resource in word(), action in word(), scope in scope(),
    ) {
        let wider = [
            Permission { resource: Pattern::Every, ..held.clone() },
            Permission { action: Pattern::Every, ..held.clone() },
            Permission { own: false, ..held.clone() },
        ];
        let before = held.allows(&resource, &action, scope);
        prop_assert!(!before || wider.iter().all(|wide| wide.allows(&resource, &action, scope)));
    }

    #[test]
    fn what_is_allowed_on_any_object_is_allowed_on_an_own_one(
        held in permissions(), resource in word(), action in word(),
    ) {
        let any = held.allows(&resource, &action, Scope::Any);
        prop_assert!(!any || held.allows(&resource, &action, Scope::Own));
    }

    #[test]
    fn own_never_allows_any(resource in pattern(), action in pattern(), asked in word(), done in word()) {
        let permission = Permission::parse(&format!("{resource}:{action}:own")).unwrap();
        prop_assert!(!permission.allows(&asked, &done, Scope::Any));
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_changed(text in "[a-z*_:A-Z ]{0,16}") {
        if let Ok(permission) = Permission::parse(&text) {
            prop_assert!(permission.to_string() == text || text == "*:*");
        }
    }
}
