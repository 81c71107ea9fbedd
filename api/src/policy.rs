//! What the edge shows and whom it answers, beside how much of it ([`Limits`](crate::Limits)).

use axum::http::HeaderValue;
use axum::http::Uri;

pub use crate::transport::{ManifestError, TrustedDocuments};

/// What the edge shows and whom it answers. The default is for development: everything is shown, and web pages of other
/// origins are not answered.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// For installations that strangers can reach: introspection and GraphiQL are off, and errors suggest no names.
    pub production: bool,
    /// Only these documents are executed, except for administrators.
    pub trusted: Option<TrustedDocuments>,
    /// Which status codes answers over HTTP have.
    pub statuses: Statuses,
    /// Web pages of these origins may use the API, beside those of its own origin.
    pub origins: Vec<Origin>,
}

/// Which status codes answers over HTTP have. One server can't satisfy both texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Statuses {
    /// Those that the audit suite of npm `graphql-http` 1.23 asks for: 400 for documents that can't be executed, and 200
    /// for everything well-formed where the client takes `application/json`.
    #[default]
    Audited,
    /// Those of the draft of August 2026: 422 for documents and variables that are not valid, 294 for results with errors,
    /// the same for both media types, and `application/graphql-response+json` where the client does not say what it takes.
    Draft,
}

/// The origin of a web page: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// This is no origin.
#[derive(Debug, thiserror::Error)]
#[error("an origin is http:// or https://, a host, and a port where it is not the usual one: https://desk.example.com")]
pub struct InvalidOrigin;

impl std::str::FromStr for Origin {
    type Err = InvalidOrigin;

    /// Reads an origin as browsers send it.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        // Browsers send lower case, no path and no usual port.
        let text = text.trim_end_matches('/').to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(InvalidOrigin) };
        let usual = matches!((scheme, authority.port_u16()), ("http", Some(80)) | ("https", Some(443)));
        let plain = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
        if !matches!(scheme, "http" | "https") || usual || !plain {
            return Err(InvalidOrigin);
        }
        HeaderValue::from_str(&format!("{scheme}://{authority}")).map(Self).map_err(|_| InvalidOrigin)
    }
}

impl Origin {
    /// The value of `Origin` that browsers send.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        for (text, expected) in [
            ("https://desk.example.com", Some("https://desk.example.com")),
            ("HTTPS://Desk.Example.com/", Some("https://desk.example.com")),
            ("http://127.0.0.1:3000", Some("http://127.0.0.1:3000")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("https://desk.example.com:443", None),
            ("https://desk.example.com/path", None),
            ("https://user@desk.example.com", None),
            ("desk.example.com", None),
            ("ftp://desk.example.com", None),
            ("*", None),
            ("null", None),
            ("", None),
        ] {
            let read = text.parse::<Origin>().ok();
            assert_eq!(read.as_ref().map(|origin| origin.header().as_bytes()), expected.map(str::as_bytes), "{text}");
        }
    }
}
