//! Which of the two media types an answer is sent as (GraphQL over HTTP, section "Media Types").

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::policy::Statuses;

/// A media type for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`: 200 for everything that is well-formed, as clients from before the specification expect.
    Json,
    /// `application/graphql-response+json`: the status tells whether the operation was executed.
    GraphQl,
}

impl Media {
    /// The type the client likes best; `None`: it takes neither.
    pub(super) fn of(headers: &HeaderMap, statuses: Statuses) -> Option<Self> {
        let whichever = match statuses {
            Statuses::Audited => Self::Json,
            Statuses::Draft => Self::GraphQl,
        };
        let mut values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if values.peek().is_none() {
            return Some(whichever);
        }
        let mut best: Option<(Self, f32)> = None;
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => Self::GraphQl,
                "application/json" => Self::Json,
                "application/*" | "*/*" => whichever,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            // Of equal ones the first.
            if quality > best.map_or(0.0, |(_, quality)| quality) {
                best = Some((media, quality));
            }
        }
        best.map(|(media, _)| media)
    }

    /// Value of `content-type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn takes_what_the_client_likes_best() {
        for (accept, expected) in [
            (None, Some(Media::Json)),
            (Some("*/*"), Some(Media::Json)),
            (Some("application/json"), Some(Media::Json)),
            (Some("application/graphql-response+json"), Some(Media::GraphQl)),
            (Some("application/graphql-response+json,application/json;q=0.9"), Some(Media::GraphQl)),
            (Some("application/graphql-response+json;q=0.2, application/json;q=0.9"), Some(Media::Json)),
            (Some("Application/GraphQL-Response+JSON; charset=utf-8, application/json"), Some(Media::GraphQl)),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Media::of(&headers, Statuses::Audited), expected, "{accept:?}");
            let open = matches!(accept, None | Some("*/*"));
            let expected = if open { Some(Media::GraphQl) } else { expected };
            assert_eq!(Media::of(&headers, Statuses::Draft), expected, "{accept:?}");
        }
    }
}
