//! An event on its way to those who fold it.

use std::sync::{Arc, OnceLock};

use domain::{Recorded, Undecodable};

use crate::read_model::Decoded;

/// A stored event, decoded by the first who asks what happened and kept for the others.
#[derive(Debug)]
pub(crate) struct Followed {
    /// As it was stored.
    pub(crate) recorded: Arc<Recorded>,
    decoded: OnceLock<Result<Decoded, Undecodable>>,
}

impl Followed {
    pub(crate) fn new(recorded: Arc<Recorded>) -> Self {
        Self { recorded, decoded: OnceLock::new() }
    }

    /// Each of the events, in their order.
    pub(crate) fn all(events: impl IntoIterator<Item = Recorded>) -> Vec<Arc<Self>> {
        events.into_iter().map(|event| Arc::new(Self::new(Arc::new(event)))).collect()
    }

    /// What happened, or why this program can't tell.
    pub(crate) fn decoded(&self) -> Result<&Decoded, &Undecodable> {
        let decode = || Ok(Decoded { recorded: self.recorded.as_ref().into(), event: self.recorded.decode()? });
        self.decoded.get_or_init(decode).as_ref()
    }
}
