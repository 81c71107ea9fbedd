//! A response as JSON, with the objects that are written already put in as they are.

use std::io::{self, Write};

use async_graphql::{Response, Value};
use serde::Serialize;

use crate::graphql::written;

/// Room for what is not written already.
const REST_BYTES: usize = 256;

/// The body of an answer.
pub(super) fn body(response: &Response) -> String {
    let mut text = String::with_capacity(already(&response.data) + REST_BYTES);
    text.push_str(r#"{"data":"#);
    value(&response.data, &mut text);
    if !response.extensions.is_empty() {
        text.push_str(r#","extensions":"#);
        json(&response.extensions, &mut text);
    }
    if !response.errors.is_empty() {
        text.push_str(r#","errors":"#);
        json(&response.errors, &mut text);
    }
    text.push('}');
    text
}

/// How much of it is written already.
fn already(data: &Value) -> usize {
    match data {
        Value::Object(fields) => written(fields).map_or_else(|| fields.values().map(already).sum(), str::len),
        _ => 0,
    }
}

fn value(data: &Value, text: &mut String) {
    match data {
        Value::Object(fields) => match written(fields) {
            Some(written) => text.push_str(written),
            None => {
                text.push('{');
                for (place, (name, inner)) in fields.iter().enumerate() {
                    if place > 0 {
                        text.push(',');
                    }
                    json(name, text);
                    text.push(':');
                    value(inner, text);
                }
                text.push('}');
            }
        },
        Value::List(elements) => {
            text.push('[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                value(element, text);
            }
            text.push(']');
        }
        leaf => json(leaf, text),
    }
}

fn json(value: &impl Serialize, text: &mut String) {
    // Maps with text keys, lists, numbers and text into memory: nothing that could fail.
    let _ = serde_json::to_writer(Text(text), value);
}

/// Takes what a serializer writes, which is text.
struct Text<'a>(&'a mut String);

impl Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push_str(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
