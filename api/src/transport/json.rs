//! A response as JSON, with the objects that are written already put in as they are.

use async_graphql::{Response, Value};
use serde::Serialize;

use crate::graphql::written;

/// The body of an answer.
pub(super) fn body(response: &Response) -> String {
    let mut text = br#"{"data":"#.to_vec();
    value(&response.data, &mut text);
    if !response.extensions.is_empty() {
        text.extend_from_slice(br#","extensions":"#);
        json(&response.extensions, &mut text);
    }
    if !response.errors.is_empty() {
        text.extend_from_slice(br#","errors":"#);
        json(&response.errors, &mut text);
    }
    text.push(b'}');
    // All of it was text, or JSON by a serializer.
    String::from_utf8(text).unwrap_or_else(|_| "{}".to_owned())
}

fn value(data: &Value, text: &mut Vec<u8>) {
    match data {
        Value::Object(fields) => match written(fields) {
            Some(written) => text.extend_from_slice(written.as_bytes()),
            None => {
                text.push(b'{');
                for (place, (name, inner)) in fields.iter().enumerate() {
                    if place > 0 {
                        text.push(b',');
                    }
                    json(name, text);
                    text.push(b':');
                    value(inner, text);
                }
                text.push(b'}');
            }
        },
        Value::List(elements) => {
            text.push(b'[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                value(element, text);
            }
            text.push(b']');
        }
        leaf => json(leaf, text),
    }
}

fn json(value: &impl Serialize, text: &mut Vec<u8>) {
    // Maps with text keys, lists, numbers and text into memory: nothing that could fail.
    let _ = serde_json::to_writer(text, value);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use async_graphql::ServerError;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_what_serde_would_write() {
        let data = json!({ "a": [1, -2.5, true, null, "\"\\\n\u{1}é"], "b\"": { "c": {}, "d": [] } });
        let mut response = Response::new(Value::from_json(data).unwrap());
        assert_eq!(body(&response), serde_json::to_string(&response).unwrap());
        response.errors.push(ServerError::new("failed", None));
        response.extensions.insert("cost".to_owned(), Value::from(1));
        assert_eq!(body(&response), serde_json::to_string(&response).unwrap());
    }

    #[test]
    fn what_is_written_already_is_put_in() {
        let written = json!({ async_graphql_value::RAW_VALUE_TOKEN: "{\"b\":[1,2],\"a\":{}}" });
        let response = Response::new(Value::from_json(json!({ "x": [written, null] })).unwrap());
        assert_eq!(body(&response), r#"{"data":{"x":[{"b":[1,2],"a":{}},null]}}"#);
    }
}
