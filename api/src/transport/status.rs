//! Which status code an answer has, by the text that the installation follows ([`Statuses`]).

use axum::http::StatusCode;

use super::answer::{Answer, Fault};
use super::negotiation::Media;
use crate::policy::Statuses;

/// The status of an answer to a well-formed request.
pub(super) fn status(answer: &Answer, media: Media, statuses: Statuses) -> StatusCode {
    let draft = statuses == Statuses::Draft;
    let fault = match answer {
        // "294 Partial Success": executed, but met some errors.
        Answer::Executed { partial: true, .. } if draft => return StatusCode::from_u16(294).unwrap_or(StatusCode::OK),
        Answer::Executed { .. } => return StatusCode::OK,
        Answer::Rejected(rejection) => rejection.fault,
    };
    if !draft && (media == Media::Json || fault == Fault::NotPersisted) {
        return StatusCode::OK;
    }
    match fault {
        Fault::Syntax | Fault::Contradiction => StatusCode::BAD_REQUEST,
        Fault::Invalid if draft => StatusCode::UNPROCESSABLE_ENTITY,
        Fault::Invalid => StatusCode::BAD_REQUEST,
        Fault::Unauthenticated => StatusCode::UNAUTHORIZED,
        Fault::Forbidden => StatusCode::FORBIDDEN,
        Fault::NotPersisted => StatusCode::NOT_FOUND,
        Fault::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        Fault::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Fault::Unavailable(_) | Fault::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
