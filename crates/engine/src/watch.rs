//! The watch after an apply: follows the tenant log, and takes the run back if what it deployed fails.
//!
//! The record has the watch from the run's intent on until the watch has come to its end, so no kill is without a
//! sequel: the next run with a watch goes on with one that was cut off, and first of all takes back what was found to
//! fail. The watch itself holds no lease. What it writes to the record, and the rollback, take it like any other run.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::{Ended, Wishes, timestamp};
use super::lease::{Lease, Taken};
use super::observe::Session;
use super::reconcile::{Decided, Decision, Report, reconcile};
use super::rollback::rollback;
use crate::health::{self, LogEvent, Running, Window, asks_for_before, count, judge};
use crate::kinds;
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::event::Event;
use crate::model::health::{Counts, Health, Verdict};
use crate::model::ledger::{Ledger, Watch};
use crate::model::plan::Plan;
use crate::plan::watched::is_watched;
use crate::port::{Port, Reader, beside};

/// Pause between two looks at the log: four requests a minute, where the smallest plan allows two a second and no plan
/// of the vendor's fewer than a hundred reads of logs a minute ("Auth0 docs, rate limit configurations", 2026-08).
pub const LOOK_MS: u64 = 15_000;
/// Pause before the second look at a failure: an event that explains another is logged within seconds.
const CONFIRM_MS: u64 = 5_000;
/// Each look begins this long before the latest known event, because events are not logged in order.
const OVERLAP_MS: u64 = 60_000;
const SECOND_MS: u64 = 1_000;
/// Length of the time before a run that failures of numbers and users are compared with.
const BEFORE_MS: u64 = 24 * 60 * 60_000;

/// What came of a run with a watch.
#[derive(Clone, Debug)]
pub struct Run {
    /// The apply; `None`: an earlier run had to be settled first, and nothing was applied.
    pub report: Option<Report>,
    /// `None`: nothing was deployed or exposed, or the apply did not finish.
    pub watched: Option<Watched>,
}

/// What the watch saw and did.
#[derive(Clone, Debug)]
pub struct Watched {
    pub health: Health,
    /// What came of taking the run back.
    pub back: Option<Result<Report, Failed>>,
}

/// As [`reconcile`], with a watch over what the run deploys or exposes. The session's `watch_ms` says for how long.
///
/// # Errors
/// The tenant could not be read; nothing was changed by this run.
pub async fn watched(
    session: Session,
    wishes: Wishes,
    decide: impl FnMut(&Plan) -> Decided,
    port: &Port,
) -> Result<Run, Failed> {
    let open = on_record(&session, port).await?;
    let mut earlier = None;
    if let Some((ledger, watch)) = open.as_ref().and_then(|ledger| Some((ledger, ledger.watch.clone()?))) {
        // A run that did not come to its end is finished first, unless it was to be taken back.
        if watch.failing.is_some() || !ledger.is_unfinished() {
            port.tell(Event::notice(format!(
                "the watch of {} did not come to its end; going on with it",
                watch.since
            )));
            let watched = settle(&session, watch, port).await?;
            let health = &watched.health;
            port.tell(Event::notice(format!(
                "that watch ended: {} ({})",
                health.verdict.words(),
                health.counts.line()
            )));
            if health.verdict == Verdict::Failing {
                return Ok(Run { report: None, watched: Some(watched) });
            }
            earlier = Some(watched);
        }
    }
    may_read_the_log(&port.reader()).await?;
    let report = reconcile(session.clone(), wishes, decide, port).await?;
    if report.outcome.ended != Ended::Done {
        return Ok(Run { report: Some(report), watched: None });
    }
    // Whatever becomes of the watch: what the run has done is reported. Where it has nothing to watch itself, the watch that
    // it brought to an end counts.
    let since = timestamp(port.server_now_ms());
    let watched = match on_record(&session, port).await.map(|ledger| ledger.and_then(|ledger| ledger.watch)) {
        // The intent had it.
        Ok(None) if is_watched(&report.plan) && !report.outcome.done.is_empty() => {
            let why =
                "the record of the watch is gone: somebody has changed the record since the run".to_owned();
            Some(Watched {
                health: Health::not_read(since, timestamp(port.server_now_ms()), why),
                back: None,
            })
        }
        Ok(None) => earlier,
        Ok(Some(watch)) => {
            let since = watch.since.clone();
            let settled = settle(&session, watch, port).await;
            Some(settled.unwrap_or_else(|failed| unwatched(&failed, since, port)))
        }
        Err(_) if report.outcome.done.is_empty() => earlier,
        Err(failed) => Some(unwatched(&failed, since, port)),
    };
    Ok(Run { report: Some(report), watched })
}

/// The watch over a run that is done, if it ended before its time.
fn unwatched(failed: &Failed, since: String, port: &Port) -> Watched {
    let why = match failed {
        Failed::Stopped => "it was stopped before its time was over".to_owned(),
        failed => format!("the record could not be read after the run: {failed}"),
    };
    let why = format!("{why}; the next run with a watch goes on with it");
    Watched { health: Health::not_read(since, timestamp(port.server_now_ms()), why), back: None }
}

async fn on_record(session: &Session, port: &Port) -> Result<Option<Ledger>, Failed> {
    Ok(session.store.load(session.owner(), &port.reader(), true).await?.ledger)
}

/// Reads a little of the log if the token does not say its scopes: whoever cannot watch should know it before the
/// first write. If the token says them, the plan names the missing one.
async fn may_read_the_log(reader: &Reader) -> Result<(), Failed> {
    match reader.scopes().filter(|scopes| !scopes.is_empty()) {
        Some(_) => Ok(()),
        None => health::read(reader, (reader.now_ms(), reader.now_ms()), true).await.map(drop),
    }
}

/// Brings a watch to its end: follows the log for the time that is left, takes the run back if it fails, and takes the
/// watch off the record.
async fn settle(session: &Session, watch: Watch, port: &Port) -> Result<Watched, Failed> {
    if let Some(failing) = watch.failing.clone() {
        let health = Health { reasons: vec![failing], ..decided(&watch) };
        return Ok(Watched { health, back: Some(take_back(session, &watch, port).await) });
    }
    // The tenant tells the second in which a version was made. What is logged in that second may be of the version before.
    let since_ms = millis(&watch.since).saturating_add(SECOND_MS);
    let until_ms = since_ms.saturating_add(watch.ms);
    // As with a question to a person: the run has a deadline for its own work.
    port.asked(until_ms.saturating_sub(port.server_now_ms()).min(watch.ms));
    let health = follow(&watch.running, (since_ms, until_ms), port).await?;
    if health.verdict != Verdict::Failing || !health.is_new {
        close(session, &watch, port, None).await;
        return Ok(Watched { health, back: None });
    }
    let why = health.reasons.join("; ");
    port.tell(Event::notice(format!("{why}; taking the run back")));
    close(session, &watch, port, Some(why)).await;
    Ok(Watched { health, back: Some(take_back(session, &watch, port).await) })
}

/// Takes back what the watched run changed, if it is still the last one on record. Whoever asked for the watch has
/// confirmed it. A rollback that was cut off is finished, and one that has come to its end finds nothing more to do.
async fn take_back(session: &Session, watch: &Watch, port: &Port) -> Result<Report, Failed> {
    let back = Session {
        watch_ms: None,
        only_run: Some(watch.run.clone()),
        rotate: BTreeSet::new(),
        ..session.clone()
    };
    let report = rollback(back, Wishes::default(), |_| Decision::Apply.into(), port).await?;
    // A rollback with steps has taken the watch off the record.
    if report.outcome.ended == Ended::Done && report.outcome.done.is_empty() {
        close(session, watch, port, None).await;
    }
    Ok(report)
}

/// The health of a run that was found to fail before this one.
fn decided(watch: &Watch) -> Health {
    let counts = Counts::default();
    let (since, until) = (watch.since.clone(), String::new());
    Health {
        verdict: Verdict::Failing,
        reasons: Vec::new(),
        since,
        until,
        counts,
        before: None,
        is_new: true,
    }
}

/// A time of the record, in ms since the Unix epoch.
pub fn millis(at: &str) -> u64 {
    let at = at.parse::<jiff::Timestamp>().map(|at| at.as_millisecond()).unwrap_or(0);
    u64::try_from(at).unwrap_or(0)
}

/// Reads the log of a time once.
///
/// # Errors
/// The log cannot be read.
async fn look(
    running: &Running,
    (since_ms, until_ms): (u64, u64),
    reader: &Reader,
) -> Result<Health, Failed> {
    let window = health::read(reader, (since_ms, until_ms), true).await?;
    let mut counts = count(&window.events, running);
    counts.cut = window.cut;
    let before = match asks_for_before(&counts) {
        true => Some(before(since_ms, running, reader).await?),
        false => None,
    };
    Ok(judge(counts, before, (timestamp(since_ms), timestamp(until_ms))))
}

/// The health of the running versions: of the last 24 hours, or since the latest of them was made.
///
/// # Errors
/// The run was stopped. A log that cannot be read is a health of its own.
pub async fn lately(seen: &BTreeMap<Address, kinds::Seen>, reader: &Reader) -> Result<Health, Failed> {
    let (running, made_ms) = running(seen);
    let now_ms = reader.server_now_ms().unwrap_or_else(|| reader.now_ms());
    let since_ms = made_ms.unwrap_or(0).max(now_ms.saturating_sub(BEFORE_MS));
    let granted = reader.scopes().filter(|scopes| !scopes.is_empty());
    if granted.is_some_and(|granted| !granted.iter().any(|scope| scope == health::SCOPE)) {
        let why = format!("the access token lacks the scope {}", health::SCOPE);
        return Ok(Health::not_read(timestamp(since_ms), timestamp(now_ms), why));
    }
    match look(&running, (since_ms, now_ms), reader).await {
        Err(Failed::Stopped) => Err(Failed::Stopped),
        Err(failed) => Ok(not_read(&failed, (timestamp(since_ms), timestamp(now_ms)))),
        Ok(health) => Ok(health),
    }
}

/// What was seen in the 24 hours before a time.
async fn before(since_ms: u64, running: &Running, reader: &Reader) -> Result<Counts, Failed> {
    let from_ms = since_ms.saturating_sub(BEFORE_MS);
    let Window { events, cut } = health::read(reader, (from_ms, since_ms.saturating_sub(1)), true).await?;
    Ok(Counts { cut, ..count(&events, running) })
}

/// Looks at the log until a time has passed, or until it fails twice in a row: events come out of order, and one may
/// explain another.
async fn follow(running: &Running, (since_ms, until_ms): (u64, u64), port: &Port) -> Result<Health, Failed> {
    let reader = port.reader();
    let mut events: BTreeMap<String, LogEvent> = BTreeMap::new();
    let (mut earlier, mut cut, mut failed_before) = (None, false, false);
    let times = |now_ms: u64| (timestamp(since_ms), timestamp(now_ms.min(until_ms)));
    loop {
        let latest_ms = events.values().map(|event| event.at_ms).max().unwrap_or(0);
        let from_ms = since_ms.max(latest_ms.saturating_sub(OVERLAP_MS));
        let asked_ms = reader.now_ms();
        let mut unread = None;
        match health::read(&reader, (from_ms, until_ms), false).await {
            Ok(window) => {
                cut |= window.cut;
                events.extend(window.events.into_iter().map(|event| (event.id.clone(), event)));
            }
            Err(Failed::Stopped) => return Err(Failed::Stopped),
            Err(failed) => unread = Some(failed),
        }
        let mut counts = count(events.values(), running);
        counts.cut = cut;
        if earlier.is_none() && asks_for_before(&counts) {
            match before(since_ms, running, &reader).await {
                Ok(counts) => earlier = Some(counts),
                Err(Failed::Stopped) => return Err(Failed::Stopped),
                Err(failed) => unread = Some(failed),
            }
        }
        // A slow reply may show the log as it was when it was asked for. The tenant's time is known behind the first one.
        let now_ms = port.server_now_ms().saturating_sub(reader.now_ms() - asked_ms);
        let health = match unread {
            None => judge(counts, earlier.clone(), times(now_ms)),
            Some(failed) => Health { counts, ..not_read(&failed, times(now_ms)) },
        };
        let left_s = until_ms.saturating_sub(now_ms).div_ceil(1000);
        port.tell(Event::Watched { verdict: health.verdict, seen: health.counts.line(), left_s });
        let fails = health.verdict == Verdict::Failing;
        let refused = matches!(&health.verdict, Verdict::NotRead) && now_ms >= until_ms;
        if fails && failed_before || !fails && now_ms >= until_ms || refused {
            return Ok(health);
        }
        failed_before = fails;
        let left_ms = until_ms.saturating_sub(port.server_now_ms());
        let pause_ms = if fails { CONFIRM_MS } else { LOOK_MS.min(left_ms).max(1) };
        reader.sleep_ms(pause_ms).await;
    }
}

fn not_read(failed: &Failed, (since, until): (String, String)) -> Health {
    let scope = match failed.status() {
        Some(403) => format!("; grant {} to the application", health::SCOPE),
        _ => String::new(),
    };
    Health::not_read(since, until, format!("the tenant log could not be read: {failed}{scope}"))
}

/// Takes the watch off the record, or writes there why the run is to be taken back. If that does not succeed, the
/// record says what it said before, and the next run goes on from there.
async fn close(session: &Session, watch: &Watch, port: &Port, failing: Option<String>) {
    let done = amend(session, port, |ledger| {
        let Some(open) = ledger.watch.as_mut().filter(|open| open.run == watch.run) else { return false };
        match failing {
            Some(why) => open.failing = Some(why),
            None => ledger.watch = None,
        }
        true
    });
    if let Err(failed) = done.await {
        port.tell(Event::notice(format!(
            "the end of the watch is not on record: {failed}; the next run with a watch looks again"
        )));
    }
}

/// Changes the record under the lease, outside of an apply.
async fn amend(
    session: &Session,
    port: &Port,
    change: impl FnOnce(&mut Ledger) -> bool,
) -> Result<(), Failed> {
    let lease =
        Lease::take(&session.tenant, &session.account, &session.who, session.lease_ttl_ms, port).await?;
    let lease = match lease {
        Taken::Lease(lease) => lease,
        Taken::Held { owner } => return Err(Failed::NotDone(format!("{owner} is applying to this tenant"))),
        Taken::OtherAccount(other) => {
            return Err(Failed::NotDone(format!("the Twilio credentials belong to account {other}")));
        }
    };
    let write = async {
        let mut found = session.store.load(session.owner(), &port.reader(), true).await?;
        let Some(mut ledger) = found.ledger.take().filter(Ledger::has_reported) else { return Ok(()) };
        if !change(&mut ledger) {
            return Ok(());
        }
        ledger.serial += 1;
        ledger.schema = ledger.schema_needed();
        let ledger = session.owner().keys.sealed(&ledger);
        session.store.save(&ledger, &mut found.stands, port).await?;
        port.tell(Event::Record { serial: Some(ledger.serial) });
        Ok(())
    };
    let result = beside(write, lease.keep(port)).await;
    let released = lease.release(port).await;
    result.and(released)
}

/// The running versions of a stack, as the log names them, and the time at which the latest of them was made (ms since
/// the Unix epoch).
pub fn running(seen: &BTreeMap<Address, kinds::Seen>) -> (Running, Option<u64>) {
    let all = kinds::running(seen);
    let latest = all.values().map(|live| millis(&live.since)).max().filter(|at| *at > 0);
    (all.into_values().map(|live| (live.action, live.version)).collect(), latest)
}
