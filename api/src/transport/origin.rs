//! Which web pages may use the API, and what their browsers are told about its answers.
//!
//! A browser does not show an answer to a page of another origin unless the answer says so (CORS), and asks before it sends
//! JSON. For WebSockets it does neither, so their `Origin` is looked at here.

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tower_http::cors::CorsLayer;

use super::answer::Answer;
use super::http::respond;
use super::negotiation::Media;
use crate::error::{code, coded};
use crate::policy::Origin;

/// How long a browser may keep what it was told about requests of another origin.
const PREFLIGHT_LASTS: Duration = Duration::from_secs(3_600);

/// Lets pages of these origins read answers. No cookies are involved: a page sends its token by itself.
pub(super) fn shared(origins: &[Origin]) -> CorsLayer {
    let headers = [
        AUTHORIZATION,
        CONTENT_TYPE,
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("traceparent"),
        // What Apollo's clients add, so that browsers ask before they send.
        HeaderName::from_static("apollo-require-preflight"),
        HeaderName::from_static("x-apollo-operation-name"),
        HeaderName::from_static("graphql-require-preflight"),
    ];
    CorsLayer::new()
        .allow_origin(origins.iter().map(|origin| origin.header().clone()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers)
        .expose_headers([RETRY_AFTER])
        .max_age(PREFLIGHT_LASTS)
}

/// Whether a WebSocket may be opened: by what is no browser, by a page of the address it connects to, or of these origins.
pub(super) fn may_connect(headers: &HeaderMap, origins: &[Origin]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    if origins.iter().any(|allowed| allowed.header() == origin) {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    matches!((host, authority), (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority))
}

/// What a page of another origin is answered that opens a WebSocket.
pub(super) fn refused() -> Response {
    let error = coded(code::ORIGIN_NOT_ALLOWED, "pages of this origin may not connect here");
    respond(Media::Json, StatusCode::FORBIDDEN, Answer::rejected(error))
}

/// Has a browser take an answer for data and nothing else.
pub(super) async fn harmless(mut response: Response) -> Response {
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn who_may_connect() {
        let origins = ["https://desk.example.com".parse::<Origin>().unwrap()];
        for (origin, host, expected) in [
            (None, "voice.example.com", true),
            (Some("https://voice.example.com"), "voice.example.com", true),
            (Some("http://127.0.0.1:8080"), "127.0.0.1:8080", true),
            (Some("https://desk.example.com"), "voice.example.com", true),
            (Some("http://desk.example.com"), "voice.example.com", false),
            (Some("https://desk.example.com.evil.test"), "voice.example.com", false),
            (Some("https://evil.test"), "voice.example.com", false),
            (Some("http://127.0.0.1:3000"), "127.0.0.1:8080", false),
            (Some("null"), "voice.example.com", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(may_connect(&headers, &origins), expected, "{origin:?} to {host}");
        }
    }
}
