//! The rules of a call that can say no.

use super::LegNumber;
use crate::AgentId;

/// A rule that forbids a command on a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message is the documentation of each rule")]
pub enum Refusal {
    #[error("there is no such call")]
    CallUnknown,
    #[error("a call with this id has been initiated before")]
    CallAlreadyInitiated,
    #[error("the call is over")]
    CallOver,
    #[error("the caller already waits in this queue")]
    AlreadyInQueue,
    #[error("the customer is connected to an agent; transfer the call instead")]
    CustomerConnected,
    #[error("the caller does not wait in a queue")]
    NotWaiting,
    #[error("agent {0} is not registered")]
    AgentUnknown(AgentId),
    #[error("agent {0} is not signed in and available")]
    AgentNotAvailable(AgentId),
    #[error("agent {0} already has a part in this call")]
    AgentAlreadyInCall(AgentId),
    #[error("the call is being offered to another agent")]
    OfferOpen,
    #[error("the call is not being offered to agent {0}")]
    NoOpenOffer(AgentId),
    #[error("a ring time must be from 1 to 300000 milliseconds")]
    RingTimeoutOutOfRange,
    #[error("leg {0} is not connected")]
    LegNotConnected(LegNumber),
    #[error("no leg is connected")]
    NoLegConnected,
    #[error("the customer is already on hold")]
    AlreadyOnHold,
    #[error("the customer is not on hold")]
    NotOnHold,
    #[error("this party is already muted")]
    AlreadyMuted,
    #[error("this party is not muted")]
    NotMuted,
    #[error("a transfer must go to somebody else")]
    TransferToSelf,
    #[error("a consultation is open; complete or cancel it first")]
    ConsultOpen,
    #[error("no consultation is open")]
    NoConsultOpen,
    #[error("the consulted agent has not answered yet")]
    ConsultNotAnswered,
    #[error("no leg is in wrap-up")]
    NoWrapUpOpen,
    #[error("leg {0} is not in wrap-up")]
    LegNotInWrapUp(LegNumber),
    #[error("several legs are in wrap-up; say which one")]
    LegAmbiguous,
    #[error("the call is being recorded already")]
    AlreadyRecording,
    #[error("the call is not being recorded")]
    NotRecording,
    #[error("the recording is paused already")]
    RecordingAlreadyPaused,
    #[error("the recording is not paused")]
    RecordingNotPaused,
}

impl crate::Refusal for Refusal {
    fn rule(&self) -> &'static str {
        match self {
            Self::CallUnknown => "CALL_UNKNOWN",
            Self::CallAlreadyInitiated => "CALL_ALREADY_INITIATED",
            Self::CallOver => "CALL_OVER",
            Self::AlreadyInQueue => "ALREADY_IN_QUEUE",
            Self::CustomerConnected => "CUSTOMER_CONNECTED",
            Self::NotWaiting => "NOT_WAITING",
            Self::AgentUnknown(_) => "AGENT_UNKNOWN",
            Self::AgentNotAvailable(_) => "AGENT_NOT_AVAILABLE",
            Self::AgentAlreadyInCall(_) => "AGENT_ALREADY_IN_CALL",
            Self::OfferOpen => "OFFER_OPEN",
            Self::NoOpenOffer(_) => "NO_OPEN_OFFER",
            Self::RingTimeoutOutOfRange => "RING_TIMEOUT_OUT_OF_RANGE",
            Self::LegNotConnected(_) => "LEG_NOT_CONNECTED",
            Self::NoLegConnected => "NO_LEG_CONNECTED",
            Self::AlreadyOnHold => "ALREADY_ON_HOLD",
            Self::NotOnHold => "NOT_ON_HOLD",
            Self::AlreadyMuted => "ALREADY_MUTED",
            Self::NotMuted => "NOT_MUTED",
            Self::TransferToSelf => "TRANSFER_TO_SELF",
            Self::ConsultOpen => "CONSULT_OPEN",
            Self::NoConsultOpen => "NO_CONSULT_OPEN",
            Self::ConsultNotAnswered => "CONSULT_NOT_ANSWERED",
            Self::NoWrapUpOpen => "NO_WRAP_UP_OPEN",
            Self::LegNotInWrapUp(_) => "LEG_NOT_IN_WRAP_UP",
            Self::LegAmbiguous => "LEG_AMBIGUOUS",
            Self::AlreadyRecording => "ALREADY_RECORDING",
            Self::NotRecording => "NOT_RECORDING",
            Self::RecordingAlreadyPaused => "RECORDING_ALREADY_PAUSED",
            Self::RecordingNotPaused => "RECORDING_NOT_PAUSED",
        }
    }
}
