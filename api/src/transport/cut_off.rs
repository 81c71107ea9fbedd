//! Why an answer that goes on and on is cut off by the server.

use super::Endpoint;
use super::seats::Seat;
use crate::auth::{AuthError, Grant};

/// Why a stream is cut off. Its client may come back, and learns then what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutOff {
    /// The token has expired, the account was closed, or its rights were changed.
    Revoked,
    /// This node is going away; another one takes the client.
    Shutdown,
}

/// Waits until a stream is to be cut off, and keeps its seat as long. A database that does not answer is no reason to send
/// anybody away. `once`: it has one answer, which is waited for when this node goes away.
pub(super) async fn cut_off(endpoint: Endpoint, grant: Option<Grant>, seat: Seat, once: bool) -> CutOff {
    let _seat = seat;
    let revoked = async {
        let Some(grant) = grant else { return std::future::pending().await };
        loop {
            tokio::time::sleep(endpoint.limits.recheck_every).await;
            if matches!(endpoint.auth.viewer_of(&grant).await, Err(AuthError::Token)) {
                return;
            }
        }
    };
    let going_away = async {
        if once {
            endpoint.long_out_of_time().await;
        } else {
            endpoint.shutdown.cancelled().await;
        }
    };
    tokio::select! {
        () = revoked => CutOff::Revoked,
        () = going_away => CutOff::Shutdown,
    }
}
