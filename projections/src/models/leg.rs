//! The life of a leg as a row of states, and the time spent in each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::rows::elapsed_ms;

/// What happens on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// The agent's phone rings.
    Ringing,
    /// The agent, asked by a colleague, speaks to that colleague; the customer hears nothing of it.
    Consulting,
    /// The agent speaks to the customer.
    Connected,
    /// The agent has the customer on hold.
    OnHold,
    /// The agent works after the conversation.
    WrapUp,
    /// Nothing more happens.
    Closed,
}

impl LegState {
    /// The agent is in a conversation: with the customer, held or not, or with a colleague.
    #[must_use]
    pub fn is_conversation(self) -> bool {
        matches!(self, Self::Consulting | Self::Connected | Self::OnHold)
    }

    /// The agent has the customer, held or not.
    #[must_use]
    pub fn has_customer(self) -> bool {
        matches!(self, Self::Connected | Self::OnHold)
    }
}

/// State of a leg and the time spent in each state that it has left. The time in the present state is not among it:
/// add the time since `state_since`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegTimes {
    /// What happens on the leg now.
    pub state: LegState,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// Ringing, milliseconds.
    pub ring_ms: i64,
    /// Speaking to the customer, milliseconds: connected and not on hold.
    pub talk_ms: i64,
    /// Customer on hold, milliseconds: the sum of all holds.
    pub hold_ms: i64,
    /// Times the customer was put on hold.
    pub hold_count: i32,
    /// Speaking to the colleague who asked, milliseconds.
    pub consult_ms: i64,
    /// Work after the conversation, milliseconds.
    pub wrap_up_ms: i64,
}

impl LegTimes {
    /// A leg that begins to ring.
    #[must_use]
    pub fn ringing(at: DateTime<Utc>) -> Self {
        let (state, state_since) = (LegState::Ringing, at);
        Self { state, state_since, ring_ms: 0, talk_ms: 0, hold_ms: 0, hold_count: 0, consult_ms: 0, wrap_up_ms: 0 }
    }

    /// Leaves the present state for another one.
    pub fn turn(&mut self, state: LegState, at: DateTime<Utc>) {
        let ms = elapsed_ms(self.state_since, at);
        match self.state {
            LegState::Ringing => self.ring_ms += ms,
            LegState::Consulting => self.consult_ms += ms,
            LegState::Connected => self.talk_ms += ms,
            LegState::OnHold => self.hold_ms += ms,
            LegState::WrapUp => self.wrap_up_ms += ms,
            LegState::Closed => {}
        }
        self.hold_count += i32::from(state == LegState::OnHold && self.state != LegState::OnHold);
        self.state = state;
        // So that the times add up to the life of the leg, also when this witness's clock is behind the last one's.
        self.state_since = self.state_since.max(at);
    }

    /// Handle time of this leg, milliseconds: talk + hold + work after the conversation, and on a leg that began as a
    /// consultation also that. Handle time is counted per leg: a call with two agents is handled twice.
    #[must_use]
    pub fn handle_ms(&self) -> i64 {
        self.talk_ms + self.hold_ms + self.consult_ms + self.wrap_up_ms
    }
}
