//! A subscription from its beginning until it rides along with its equals.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::openings::{CATCHES_UP_WITHIN, Lead, Turn};
use super::{Beginning, Fanout, Key, Lane, Source, Step};
use crate::track::Track;

/// Somebody who subscribes.
pub(crate) struct Newcomer {
    /// What the subscription has in common with others; `None`: nothing that can be told.
    pub(crate) equals: Option<(Key, Beginning)>,
    /// Where it is told that the subscription has begun.
    pub(crate) begun: Arc<Track>,
    /// Where it goes.
    pub(crate) lane: Lane,
}

impl Newcomer {
    /// Fills the lane. The source is made when it is needed: not where another reads the opening.
    pub(crate) async fn subscribe(self, fanout: Fanout, source: impl FnOnce() -> Source) {
        let Some((key, beginning)) = self.equals else { return alone(source(), &self.lane).await };
        let lead = match fanout.turn(beginning).await {
            Turn::Leads(lead) => Some(lead),
            // One that has ended meanwhile, or is too far ahead, is of no use.
            Turn::Follows(opening) if fanout.follow(key, &opening, &self.lane) => return self.begun.begin(),
            Turn::Follows(_) | Turn::Alone => None,
        };
        // Boxed, because who waits for its turn should not keep room for it.
        Box::pin(until_joined(source(), key, lead, fanout, self.lane)).await;
    }
}

async fn alone(mut source: Source, lane: &Lane) {
    loop {
        match source.step().await {
            Step::Frame(frame) => {
                if !lane.push(Arc::new(frame)).await {
                    return;
                }
            }
            Step::Waits(_) => {}
            Step::Ended(ending) => return lane.finish(ending),
        }
    }
}

async fn until_joined(mut source: Source, key: Key, mut lead: Option<Lead>, fanout: Fanout, lane: Lane) {
    let mut leads_until = None;
    loop {
        let step = match leads_until {
            Some(until) if lead.is_some() => timeout_at(until, source.step()).await.ok(),
            _ => Some(source.step().await),
        };
        match step {
            Some(Step::Frame(frame)) => {
                let frame = Arc::new(frame);
                leads_until.get_or_insert_with(|| Instant::now() + CATCHES_UP_WITHIN);
                lead = lead.and_then(|lead| lead.note(&frame, lane.opening_bytes()));
                if !lane.push(frame).await {
                    return;
                }
            }
            Some(Step::Waits(place)) => {
                // Those who follow ride along with this one, so it can't have them wait for its client. Its queue is half
                // empty, and theirs will be.
                if lead.as_ref().is_none_or(|lead| !lead.is_followed()) {
                    drop(lead.take());
                    // Who is still behind goes on at its own pace.
                    lane.drained().await;
                }
                match (fanout.join(key, place, &lane, source), lead.take()) {
                    (Ok(()), Some(lead)) => return lead.caught_up(place),
                    (Ok(()), None) => return,
                    (Err(apart), lead) => {
                        lead.into_iter().for_each(Lead::goes_alone);
                        source = apart;
                    }
                }
            }
            Some(Step::Ended(ending)) => {
                lead.into_iter().for_each(Lead::goes_alone);
                return lane.finish(ending);
            }
            // It has more to show than a page.
            None => lead.take().into_iter().for_each(Lead::goes_alone),
        }
    }
}
