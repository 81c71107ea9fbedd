//! Who may give which command to a call.

use async_graphql::{Context, Result};
use commands::EventStore;
use domain::call::{Call, Command, LegNumber, LegPhase, Phase};
use domain::permission::Scope;
use domain::{AgentId, CallId, Category, StreamName};

use super::command::CommandInput;
use crate::auth::{Permit, Reach, permission};
use crate::error::{forbidden, internal};

/// Whose doing a command is. Nobody acts in another's name, and who once had a part in a call has no say over the one who
/// has it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doer {
    /// Anybody who has, or had, a part in the call.
    Anyone,
    /// This agent.
    Agent(AgentId),
    /// The agent of a leg; where none is named, of the one that has the customer.
    Leg(Option<LegNumber>),
    /// As `Leg`, or the colleague who is asked.
    Consult(Option<LegNumber>),
    /// The agent of a leg that is, or where none is named, may be the one in wrap-up.
    WrapUp(Option<LegNumber>),
    /// The agent who has the customer.
    Customers,
}

impl Doer {
    /// Whose doing a command to a call is.
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Answer { agent_id } | Command::Decline { agent_id, .. } => Self::Agent(*agent_id),
            Command::Hold { leg }
            | Command::Resume { leg }
            | Command::Mute { leg, .. }
            | Command::Unmute { leg, .. }
            | Command::TransferBlind { leg, .. }
            | Command::StartConsult { leg, .. }
            | Command::TransferConsult { leg } => Self::Leg(*leg),
            Command::CancelConsult { leg } => Self::Consult(*leg),
            Command::CompleteWrapUp { leg, .. } => Self::WrapUp(*leg),
            Command::End { .. }
            | Command::StartRecording { .. }
            | Command::PauseRecording { .. }
            | Command::ResumeRecording
            | Command::StopRecording => Self::Customers,
            // By a permission of their own, and not the doing of an agent in the call.
            Command::Initiate { .. }
            | Command::Queue { .. }
            | Command::Offer { .. }
            | Command::ExpireOffer { .. }
            | Command::Abandon
            | Command::Fail { .. } => Self::Anyone,
        }
    }

    /// Whether it may be this agent's doing. Where there is nobody whose doing it could be, a rule of the call says so.
    fn may_be(self, agent_id: AgentId, call: &Call) -> bool {
        let mut own = call.legs.iter().filter(|leg| leg.agent_id == agent_id);
        match self {
            Self::Anyone => own.next().is_some(),
            Self::Agent(named) => named == agent_id && own.next().is_some(),
            Self::Leg(number) | Self::Consult(number) => {
                let meant = match number {
                    Some(number) => call.legs.iter().find(|leg| leg.number == number),
                    None => call.connected(),
                };
                let asked = matches!(self, Self::Consult(_)) && own.clone().any(|leg| leg.consult_of.is_some());
                own.next().is_some() && (asked || meant.is_none_or(|leg| leg.agent_id == agent_id))
            }
            Self::WrapUp(Some(number)) => {
                let meant = call.legs.iter().find(|leg| leg.number == number);
                own.next().is_some() && meant.is_none_or(|leg| leg.agent_id == agent_id)
            }
            Self::WrapUp(None) => {
                let open = call.legs.iter().any(|leg| leg.phase == LegPhase::WrapUp);
                own.clone().any(|leg| leg.phase == LegPhase::WrapUp) || !open && own.next().is_some()
            }
            Self::Customers => match call.connected() {
                Some(leg) => leg.agent_id == agent_id,
                None => call.phase == Phase::Over && own.next().is_some(),
            },
        }
    }
}

/// Lets the viewer change a call: any call, or, with `:own`, one that is the viewer's agent's as the command needs it.
pub(crate) async fn permit_call(
    context: &Context<'_>,
    resource: &str,
    action: &str,
    call_id: CallId,
    doer: Doer,
    input: &CommandInput,
) -> Result<()> {
    let Reach::Own(agent_id) = context.reach(resource, action)? else { return Ok(()) };
    let store = context.data::<EventStore>()?;
    let call = store.aggregate::<Call>(call_id).await.map_err(|error| internal(&error))?.state;
    if doer.may_be(agent_id, &call) {
        return Ok(());
    }
    // A repetition is answered like the first time, although the call may have gone on to somebody else.
    if let Some(key) = input.key()
        && Doer::Anyone.may_be(agent_id, &call)
    {
        let found = store.find_key(&key).await.map_err(|error| internal(&error))?;
        if found.is_some_and(|record| record.stream == StreamName { category: Category::Call, id: call_id }) {
            return Ok(());
        }
    }
    Err(forbidden(&permission(resource, action, Scope::Any)))
}

#[cfg(test)]
mod tests {
    use domain::call::{Leg, Recording};
    use uuid::Uuid;

    use super::*;

    const ANN: AgentId = Uuid::from_u128(1);
    const BOB: AgentId = Uuid::from_u128(2);
    const EVE: AgentId = Uuid::from_u128(3);

    fn call(legs: &[(AgentId, LegPhase, Option<LegNumber>)]) -> Call {
        let leg = |(number, (agent_id, phase, consult_of)): (LegNumber, &(AgentId, LegPhase, Option<LegNumber>))| Leg {
            number,
            agent_id: *agent_id,
            phase: *phase,
            held: false,
            muted: Vec::new(),
            consult_of: *consult_of,
        };
        let legs = (1..).zip(legs).map(leg).collect();
        Call { phase: Phase::Live, waiting_in: None, legs, recording: Recording::Off }
    }

    #[test]
    fn nobody_acts_for_another() {
        use LegPhase::{Closed, Connected, WrapUp};
        // Ann declined, Bob has the customer and asks Eve.
        let asking = call(&[(ANN, Closed, None), (BOB, Connected, None), (EVE, Connected, Some(2))]);
        // Bob has passed the customer on to Eve.
        let passed = call(&[(ANN, Closed, None), (BOB, WrapUp, None), (EVE, Connected, None)]);
        let over =
            Call { phase: Phase::Over, ..call(&[(ANN, Closed, None), (BOB, WrapUp, None), (EVE, WrapUp, None)]) };
        for (doer, call, allowed) in [
            (Doer::Anyone, &asking, vec![ANN, BOB, EVE]),
            (Doer::Agent(ANN), &asking, vec![ANN]),
            (Doer::Leg(None), &asking, vec![BOB]),
            (Doer::Leg(Some(2)), &asking, vec![BOB]),
            (Doer::Leg(Some(3)), &asking, vec![EVE]),
            (Doer::Leg(Some(9)), &asking, vec![ANN, BOB, EVE]),
            (Doer::Consult(None), &asking, vec![BOB, EVE]),
            (Doer::Customers, &asking, vec![BOB]),
            (Doer::WrapUp(None), &asking, vec![ANN, BOB, EVE]),
            (Doer::Leg(None), &passed, vec![EVE]),
            (Doer::Consult(None), &passed, vec![EVE]),
            (Doer::Customers, &passed, vec![EVE]),
            (Doer::WrapUp(None), &passed, vec![BOB]),
            (Doer::WrapUp(Some(2)), &passed, vec![BOB]),
            (Doer::WrapUp(Some(3)), &passed, vec![EVE]),
            (Doer::WrapUp(None), &over, vec![BOB, EVE]),
            (Doer::Leg(None), &over, vec![ANN, BOB, EVE]),
            (Doer::Customers, &over, vec![ANN, BOB, EVE]),
        ] {
            let found: Vec<AgentId> = [ANN, BOB, EVE].into_iter().filter(|agent| doer.may_be(*agent, call)).collect();
            assert_eq!(found, allowed, "{doer:?}");
            assert!(!doer.may_be(Uuid::from_u128(4), call), "{doer:?}: a stranger");
        }
    }
}
