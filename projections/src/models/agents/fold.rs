//! From the agents of a batch and an event to their next states and intervals.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::agent::{self, Presence};
use domain::call::{self, LegNumber};
use domain::{AgentId, CallId, Position};
use serde::Deserialize;

use super::{Activity, AgentProfile, AgentView, ContactRow, Dimension, IntervalRow};
use crate::Decoded;
use crate::models::LegState;
use crate::models::rows::word;

/// An agent with the intervals that are still open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Agent {
    pub(super) view: AgentView,
    pub(super) open: Vec<IntervalRow>,
}

/// The agents that a batch may touch, and what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Floor {
    pub(super) agents: BTreeMap<AgentId, Agent>,
    /// Agents that changed, with the position of the last event that changed them.
    pub(super) touched: BTreeMap<AgentId, Position>,
    /// Agents whose capabilities changed.
    pub(super) capabilities: BTreeSet<AgentId>,
    /// Intervals that ended.
    pub(super) ended: Vec<IntervalRow>,
    /// Contacts that ended.
    pub(super) closed: BTreeSet<(CallId, LegNumber)>,
}

/// When and by which event.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: DateTime<Utc>,
    position: Position,
}

impl Floor {
    /// Takes one event in. Contacts of agents who are not registered are left out.
    pub(super) fn fold(&mut self, decoded: &Decoded) {
        let recorded = &decoded.recorded;
        let moment = Moment { at: recorded.occurred_at, position: recorded.position };
        match &decoded.event {
            domain::Event::Agent(event) => self.fold_agent(decoded, event, moment),
            domain::Event::Call(event) => self.fold_call(recorded.stream.id, event, moment),
            domain::Event::Transcript(_) | domain::Event::Sentiment(_) => {}
        }
    }

    fn fold_agent(&mut self, decoded: &Decoded, event: &agent::Event, moment: Moment) {
        let agent_id = decoded.recorded.stream.id;
        let profile = self.agents.get(&agent_id).map(|agent| agent.view.profile.clone());
        let Some(profile) = AgentProfile::fold(profile, decoded) else {
            return;
        };
        let agent = self.agents.entry(agent_id).or_insert_with(|| Agent::new(profile.clone()));
        if matches!(event, agent::Event::Registered(_)) || agent.view.profile.capabilities != profile.capabilities {
            self.capabilities.insert(agent_id);
        }
        agent.view.profile = profile;
        agent.view.version = decoded.recorded.version;
        let presence = match event {
            agent::Event::SignedIn(e) => Some((Some(e.presence), None)),
            agent::Event::SignedOut(e) => Some((None, e.reason.as_ref())),
            agent::Event::PresenceChanged(e) => Some((Some(e.presence), e.reason.as_ref())),
            _ => None,
        };
        if let Some((presence, reason)) = presence {
            let ended = agent.change_presence(presence, reason.map(ToString::to_string), moment);
            self.ended.extend(ended);
        }
        self.refresh(agent_id, moment);
    }

    fn fold_call(&mut self, call_id: CallId, event: &call::Event, moment: Moment) {
        use call::Event;
        let turns = match event {
            Event::Offered(e) => return self.open(e.agent_id, call_id, e.leg, false, moment),
            Event::ConsultStarted(e) => return self.open(e.agent_id, call_id, e.consult_leg, true, moment),
            Event::Declined(e) => vec![(e.leg, LegState::Closed)],
            Event::OfferExpired(e) => vec![(e.leg, LegState::Closed)],
            Event::OfferWithdrawn(e) => vec![(e.leg, LegState::Closed)],
            Event::Answered(e) if self.is_consult(call_id, e.leg) => vec![(e.leg, LegState::Consulting)],
            Event::Answered(e) => vec![(e.leg, LegState::Connected)],
            Event::Held(e) => vec![(e.leg, LegState::OnHold)],
            Event::Resumed(e) => vec![(e.leg, LegState::Connected)],
            // Of the leg that a transfer closes, the wrap-up tells that starts with the same append. So the tile does
            // not show its agent as free for no time at all.
            Event::TransferredConsult(e) => vec![(e.to_leg, LegState::Connected)],
            Event::ConsultCancelled(e) => vec![(e.consult_leg, LegState::Closed)],
            Event::WrapUpStarted(e) => vec![(e.leg, LegState::WrapUp)],
            Event::WrapUpCompleted(e) => vec![(e.leg, LegState::Closed)],
            Event::Ended(_) | Event::Abandoned(_) | Event::Failed(_) => {
                self.legs_not_in_wrap_up(call_id).into_iter().map(|leg| (leg, LegState::Closed)).collect()
            }
            _ => return,
        };
        // Each agent's tile is drawn once an event, when all legs have turned.
        let turned = turns.into_iter().filter_map(|(leg, state)| self.turn(call_id, leg, state, moment));
        let turned: BTreeMap<AgentId, Moment> = turned.collect();
        turned.into_iter().for_each(|(agent_id, moment)| self.refresh(agent_id, moment));
    }

    fn contacts(&self) -> impl Iterator<Item = &ContactRow> {
        self.agents.values().flat_map(|agent| &agent.view.contacts)
    }

    fn is_consult(&self, call_id: CallId, leg: LegNumber) -> bool {
        self.contacts().any(|contact| contact.is(call_id, leg) && contact.consult)
    }

    fn legs_not_in_wrap_up(&self, call_id: CallId) -> Vec<LegNumber> {
        let open = self.contacts().filter(|contact| contact.call_id == call_id && contact.state != LegState::WrapUp);
        open.map(|contact| contact.leg).collect()
    }

    fn open(&mut self, agent_id: AgentId, call_id: CallId, leg: LegNumber, consult: bool, moment: Moment) {
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        let Moment { at, position } = moment;
        let state = LegState::Ringing;
        let contact = ContactRow { agent_id, call_id, leg, state, state_since: at, consult, began_at: at, position };
        agent.begin(Dimension::Contact, word(state), None, Some((call_id, leg)), moment);
        agent.view.contacts.push(contact);
        self.refresh(agent_id, moment);
    }

    /// Turns a leg to another state, and tells whose it is and when that agent's next interval may begin.
    fn turn(&mut self, call_id: CallId, leg: LegNumber, state: LegState, moment: Moment) -> Option<(AgentId, Moment)> {
        let agent_id = self.contacts().find(|contact| contact.is(call_id, leg))?.agent_id;
        let agent = self.agents.get_mut(&agent_id)?;
        let of_leg = |interval: &IntervalRow| interval.call_id == Some(call_id) && interval.leg == Some(leg);
        let (ended, moment) = agent.end(of_leg, moment);
        self.ended.extend(ended);
        if state == LegState::Closed {
            agent.view.contacts.retain(|contact| !contact.is(call_id, leg));
            self.closed.insert((call_id, leg));
        } else {
            agent.begin(Dimension::Contact, word(state), None, Some((call_id, leg)), moment);
            for contact in agent.view.contacts.iter_mut().filter(|contact| contact.is(call_id, leg)) {
                contact.state = state;
                contact.state_since = moment.at;
                contact.position = moment.position;
            }
        }
        Some((agent_id, moment))
    }

    /// Draws the tile anew.
    fn refresh(&mut self, agent_id: AgentId, moment: Moment) {
        let Some(agent) = self.agents.get_mut(&agent_id) else {
            return;
        };
        self.touched.insert(agent_id, moment.position);
        // What was parked is folded later than what came after it.
        agent.view.position = agent.view.position.max(moment.position);
        let activity = Activity::of(agent.view.presence, agent.view.contacts.iter().map(|contact| contact.state));
        if activity == agent.view.activity {
            return;
        }
        let (ended, moment) = agent.end(|interval| interval.dimension == Dimension::Activity, moment);
        self.ended.extend(ended);
        agent.begin(Dimension::Activity, word(activity), None, None, moment);
        agent.view.activity = activity;
        agent.view.activity_since = Some(moment.at);
    }
}

impl Agent {
    fn new(profile: AgentProfile) -> Self {
        let view = AgentView {
            profile,
            presence: None,
            presence_reason: None,
            presence_since: None,
            activity: Activity::SignedOut,
            activity_since: None,
            contacts: Vec::new(),
            version: 0,
            position: 0,
        };
        Self { view, open: Vec::new() }
    }

    fn change_presence(
        &mut self,
        presence: Option<Presence>,
        reason: Option<String>,
        moment: Moment,
    ) -> Option<IntervalRow> {
        let (ended, moment) = self.end(|interval| interval.dimension == Dimension::Presence, moment);
        let state = presence.map_or_else(|| word(Activity::SignedOut), word);
        self.begin(Dimension::Presence, state, reason.clone(), None, moment);
        self.view.presence = presence;
        self.view.presence_reason = reason;
        self.view.presence_since = Some(moment.at);
        ended
    }

    fn begin(
        &mut self,
        dimension: Dimension,
        state: String,
        reason: Option<String>,
        leg: Option<(CallId, LegNumber)>,
        moment: Moment,
    ) {
        self.open.push(IntervalRow {
            agent_id: self.view.profile.agent_id,
            dimension,
            began_position: moment.position,
            began_at: moment.at,
            ended_at: None,
            ended_position: None,
            state,
            reason,
            call_id: leg.map(|(call_id, _)| call_id),
            leg: leg.map(|(_, leg)| leg),
        });
    }

    /// Ends the open interval that is meant, and gives the moment at which the next may begin: not before this one did.
    fn end(&mut self, meant: impl Fn(&IntervalRow) -> bool, moment: Moment) -> (Option<IntervalRow>, Moment) {
        let Some(found) = self.open.iter().position(meant) else {
            return (None, moment);
        };
        let mut interval = self.open.remove(found);
        let at = moment.at.max(interval.began_at);
        interval.ended_at = Some(at);
        interval.ended_position = Some(moment.position);
        (Some(interval), Moment { at, ..moment })
    }
}

impl ContactRow {
    fn is(&self, call_id: CallId, leg: LegNumber) -> bool {
        self.call_id == call_id && self.leg == leg
    }
}
