//! The whole use case: observe, plan, ask for a decision, apply; and plan again if another run changed the record.

use std::collections::BTreeSet;

use super::apply::{Ended, Outcome, Wishes, apply};
use super::observe::{Session, observe};
use crate::model::call::Failed;
use crate::model::event::Event;
use crate::model::plan::Plan;
use crate::port::Port;

/// How often a run plans again because another run changed the record.
const REPLANS_MAX: u32 = 3;
/// A plan may be out of date if its decision took longer than this.
const DECIDED_LATE_MS: u64 = 60_000;
/// Pause after a question. The clock has moved on, and the engine learns the time with the next tick.
const NEXT_TICK_MS: u64 = 1;

/// The decision about a plan, before anything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Apply the plan. An apply of a plan with blockers, or without work, ends before its first step.
    Apply,
    /// Plan again: these objects may be deleted or put back too, although nothing proves that they are this stack's.
    Name(BTreeSet<String>),
    /// Change nothing. Holds why, in words.
    Leave(String),
    /// Change nothing: the plan differs from the one that was decided before. Holds what changed.
    Stale(String),
}

/// A decision, and for how long a person was asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    pub asked_ms: u64,
}

impl From<Decision> for Decided {
    /// Nobody was asked.
    fn from(decision: Decision) -> Decided {
        Decided { decision, asked_ms: 0 }
    }
}

/// The last plan, and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub plan: Plan,
    pub outcome: Outcome,
}

impl Report {
    fn before_any_step(plan: Plan, ended: Ended) -> Report {
        Report { outcome: Outcome::before_any_step(ended, &plan), plan }
    }
}

/// Brings the tenant to what the session wants. `decide` is called with every plan, while no request is under way and
/// no lease is held; until it answers, nothing else happens.
///
/// # Errors
/// The tenant could not be read; nothing was changed.
pub async fn reconcile(
    session: Session,
    wishes: Wishes,
    decide: impl FnMut(&Plan) -> Decided,
    port: &Port,
) -> Result<Report, Failed> {
    port.tell(Event::RunStarted {
        stack: session.manifest.stack.clone(),
        account: session.account.clone(),
        who: session.who.clone(),
        revision: session.revision.clone(),
        destroy: session.destroy,
    });
    let result = rounds(session, wishes, decide, port).await;
    let (ended, why) = match &result {
        Ok(report) => report.outcome.ended.words(),
        Err(_) => ("unread", None),
    };
    let why = why.map(str::to_owned).or_else(|| result.as_ref().err().map(Failed::to_string));
    port.tell(Event::RunEnded { ended, why });
    result
}

async fn rounds(
    mut session: Session,
    wishes: Wishes,
    mut decide: impl FnMut(&Plan) -> Decided,
    port: &Port,
) -> Result<Report, Failed> {
    let mut replans = 0;
    let mut is_first = true;
    loop {
        port.tell(Event::PlanStarted);
        let observation = observe(&session, &port.reader()).await?;
        let plan = observation.plan.clone();
        // Only the first plan can show a wrong name: a named object that is gone by a later plan was named rightly.
        if let Some(misnamed) = observation.misnamed.clone().filter(|_| is_first) {
            return Ok(Report::before_any_step(plan, Ended::Misnamed(misnamed)));
        }
        is_first = false;
        port.tell(Event::PlanMade { plan: Box::new(plan.clone()) });
        // Let the outside show the events before a person is asked.
        port.give_way().await;
        let Decided { decision, asked_ms } = decide(&plan);
        if asked_ms > 0 {
            port.asked(asked_ms);
            port.reader().sleep_ms(NEXT_TICK_MS).await;
        }
        match decision {
            Decision::Apply => {}
            Decision::Name(ids) => {
                session.named.extend(ids);
                continue;
            }
            Decision::Leave(why) => return Ok(Report::before_any_step(plan, Ended::NotConfirmed(why))),
            Decision::Stale(what) => return Ok(Report::before_any_step(plan, Ended::Stale(what))),
        }
        let reread = wishes.reread || asked_ms > DECIDED_LATE_MS;
        let outcome = apply(&session, observation, Wishes { reread, ..wishes }, port).await;
        if outcome.ended == Ended::Moved && replans < REPLANS_MAX && !wishes.reread {
            replans += 1;
            port.tell(Event::notice("another run changed the record in the meantime; planning anew"));
            continue;
        }
        return Ok(Report { plan, outcome });
    }
}
