//! The faults on the wire, as a table.

use lockstep::model::api::{ApiRequest, Method};
use lockstep::twin::What;
use lockstep::twin::faults::Garble;

use super::dice::Dice;

/// One kind of fault.
pub struct Fault {
    /// In the name, "before" and "after" refer to the effect of the request.
    pub name: &'static str,
    pub make: fn(&mut Dice) -> What,
    pub hits: Hits,
    /// The body is padded to [`HUGE_BYTES`]. The twin's own huge body is meant for a real connection; here many huge
    /// bodies have to be read, so they are smaller.
    pub huge: bool,
}

/// The fault by which a server refuses a run for hours.
pub const FOR_HOURS: &str = "429 for hours";

pub const HUGE_BYTES: usize = 256 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hits {
    All,
    /// Requests that start a build.
    Builds,
    /// Creates of Actions, streams and Verify services by a step: their lists accept a second object of the same name.
    /// A Function's versions and builds accept one too, but have no list in which the twin could hide one.
    Creates,
    /// Reads within the stated bound after a write.
    FreshReads,
}

/// Greatest age of a read: it may show the state before the last write, if that write was less than this long ago. No
/// recording of the Management API shows this; the bound is a plausible lag of a replica.
pub const STALE_MS: u64 = 400;

const fn fault(name: &'static str, make: fn(&mut Dice) -> What) -> Fault {
    Fault { name, make, hits: Hits::All, huge: false }
}

const fn garbled(after_effect: bool, how: Garble) -> What {
    What::Garbled { after_effect, how }
}

const SERVER: &[u16] = &[500, 502, 503, 504, 524];

pub const FAULTS: &[Fault] = &[
    fault("429 with a hint", |dice| What::RateLimited { retry_after_s: Some(dice.between(1, 8)) }),
    fault("429 without a hint", |_| What::RateLimited { retry_after_s: None }),
    fault("5xx before", |dice| What::ServerError { status: *dice.pick(SERVER), after_effect: false }),
    fault("5xx after", |dice| What::ServerError { status: *dice.pick(SERVER), after_effect: true }),
    fault("lost before", |_| What::Lost { after_effect: false }),
    fault("lost after", |_| What::Lost { after_effect: true }),
    fault("not sent", |_| What::NotSent),
    fault("html before", |_| What::Malformed { after_effect: false }),
    fault("html after", |_| What::Malformed { after_effect: true }),
    fault("cut before", |_| garbled(false, Garble::Cut)),
    fault("cut after", |_| garbled(true, Garble::Cut)),
    fault("empty before", |_| garbled(false, Garble::Empty)),
    fault("empty after", |_| garbled(true, Garble::Empty)),
    fault("shape before", |_| garbled(false, Garble::Shape)),
    fault("shape after", |_| garbled(true, Garble::Shape)),
    Fault { huge: true, ..fault("huge before", |_| garbled(false, Garble::Shape)) },
    Fault { huge: true, ..fault("huge after", |_| garbled(true, Garble::Shape)) },
    fault("timeout before", |dice| What::TimeOut { after_effect: false, ms: dice.between(5_000, 40_000) }),
    fault("timeout after", |dice| What::TimeOut { after_effect: true, ms: dice.between(5_000, 40_000) }),
    Fault { hits: Hits::Builds, ..fault("build fails", |_| What::BuildFails) },
    Fault {
        hits: Hits::Builds,
        ..fault("build slow", |dice| What::BuildTakes { ms: dice.between(20_000, 200_000) })
    },
    fault("403", |_| What::Forbidden),
    fault("401", |_| What::Unauthorized),
    fault("slow", |dice| What::Delay { ms: dice.between(500, 15_000) }),
    Fault { hits: Hits::FreshReads, ..fault("stale", |_| What::Stale) },
    fault(FOR_HOURS, |dice| What::RateLimited { retry_after_s: Some(dice.between(3_600, 90_000)) }),
    fault("429 with nonsense", |dice| What::RateLimited {
        retry_after_s: Some(*dice.pick(&[0, 10 * 365 * 86_400, u64::MAX / 2_000])),
    }),
    Fault {
        hits: Hits::Creates,
        ..fault("lost unseen", |dice| What::Unseen { ms: dice.between(1_000, UNSEEN_MAX_MS) })
    },
];

/// Number of the last rows, which have a stream of their own, so that the draws of the others do not depend on them.
const ODD: usize = 3;

/// Longest time for which a list may hide a new object. Neither vendor states a bound; the program waits longer than
/// this.
pub const UNSEEN_MAX_MS: u64 = 200_000;

/// How often requests of one run fail.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub percent: u64,
    /// The percentage for the steps' own writes, which are few.
    pub steps_percent: u64,
    pub left: usize,
    dice: Dice,
    odd: Dice,
}

impl Schedule {
    pub fn draw(dice: &mut Dice, label: &str) -> Schedule {
        let (percent, steps_percent) =
            *dice.pick(&[(0, 0), (0, 0), (2, 2), (5, 5), (10, 10), (20, 20), (0, 40), (2, 60)]);
        Schedule {
            percent,
            steps_percent,
            left: dice.below(12) + 1,
            dice: dice.fork(label),
            odd: dice.fork("odd"),
        }
    }

    pub fn calm() -> Schedule {
        Schedule { percent: 0, steps_percent: 0, left: 0, dice: Dice::new(0), odd: Dice::new(0) }
    }

    /// The fault for the next request, if any.
    pub fn next(
        &mut self,
        request: &ApiRequest,
        of_step: bool,
        since_write_ms: u64,
    ) -> Option<(&'static Fault, What)> {
        let percent = if of_step { self.steps_percent } else { self.percent };
        let (usual, odd) = FAULTS.split_at(FAULTS.len() - ODD);
        let (dice, table) = match self.left {
            0 => return None,
            _ if self.dice.chance(percent) => (&mut self.dice, usual),
            _ if self.odd.chance(percent.div_ceil(4)) => (&mut self.odd, odd),
            _ => return None,
        };
        let fault = dice.pick(table);
        let is_get = request.method == Method::Get;
        let fits = match fault.hits {
            Hits::All => true,
            Hits::FreshReads => is_get && since_write_ms < STALE_MS,
            Hits::Builds => !is_get && starts_build(request),
            Hits::Creates => of_step && request.method == Method::Post && UNGUARDED.contains(&&*request.path),
        };
        if !fits {
            return None;
        }
        self.left -= 1;
        let what = (fault.make)(dice);
        Some((fault, what))
    }
}

/// Lists that accept a second object of the same name.
const UNGUARDED: &[&str] = &["/v2/Services", "/api/v2/log-streams", "/api/v2/actions/actions"];

/// Whether the request writes a draft or the code of a Function.
fn starts_build(request: &ApiRequest) -> bool {
    let draft = request.path.contains("/actions/actions") && !request.path.ends_with("/deploy");
    (draft && request.method != Method::Delete) || request.path.ends_with("/Builds")
}
