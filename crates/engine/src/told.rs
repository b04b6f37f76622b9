//! Reads budget and time from the headers of a reply, as far as they can be believed.
//!
//! A header that cannot be true (a limit of zero, more requests left than the limit, a time in the past or years ahead)
//! counts as absent: no wait rests on it.

use crate::model::api::ApiReply;

/// A pause that a server asks for is believed up to this long. The vendors' longest window is a day; a reply that asks
/// for months is a mistake, and the program's own pauses are used instead.
const HINT_BELIEVED_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// A limit above this is not believed: the largest that is sold is a few hundred requests a second.
const LIMIT_BELIEVED: u64 = 1_000_000;
/// Time until the budget is full, where the reply does not say: the smallest plan's refill.
const WINDOW_MIN_MS: u64 = 1000;
/// Time in which the smallest plan's budget grows by one request.
const REFILL_MS: u64 = 500;
/// Longest window that is waited for: Auth0's are a second to a minute long.
const WINDOW_MAX_MS: u64 = 60 * 1000;
/// A server that says it is before this (January 2025, in ms) does not know the time.
const DATE_MIN_MS: u64 = 1_735_689_600_000;
/// A server that says it is after this (January 2100, in ms) does not know the time either.
const DATE_MAX_MS: u64 = 4_102_444_800_000;

/// The budget of a tenant as one reply tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub limit: u64,
    pub remaining: u64,
    /// Time from the reply until the budget is full again.
    pub full_in_ms: u64,
    /// Time in which it grows by one request; `None` if the reply does not say when it is full.
    pub refill: Option<Refill>,
}

/// The budget from `X-RateLimit-Limit`, `-Remaining` and `-Reset`; `None` if they are absent or cannot be true.
pub fn budget(reply: &ApiReply, now_ms: u64) -> Option<Budget> {
    let number = |name: &str| reply.header(name).and_then(|text| text.trim().parse::<u64>().ok());
    let (limit, remaining) = (number("x-ratelimit-limit")?, number("x-ratelimit-remaining")?);
    if limit == 0 || limit > LIMIT_BELIEVED || remaining > limit {
        return None;
    }
    let reset_ms = reset_ms(reply, now_ms).map(|ms| ms.clamp(WINDOW_MIN_MS, WINDOW_MAX_MS));
    let refill = reset_ms.map(|full_in_ms| Refill::of(limit - remaining, full_in_ms));
    Some(Budget { limit, remaining, full_in_ms: reset_ms.unwrap_or(WINDOW_MIN_MS), refill })
}

/// Bounds of the time in which a budget grows by one request, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    least_ms: u64,
    most_ms: u64,
}

impl Refill {
    /// The time at which a budget is full is rounded up to a second and the `Date` down, so it may be full two seconds
    /// earlier than they say; and a part of one more request may be left than the remainder says.
    fn of(used: u64, full_in_ms: u64) -> Refill {
        let most_ms = full_in_ms.checked_div(used.saturating_sub(1)).unwrap_or(u64::MAX);
        Refill { least_ms: full_in_ms.saturating_sub(2000) / used.max(1), most_ms }
    }

    /// What two replies tell together.
    pub fn and(self, other: Refill) -> Refill {
        Refill { least_ms: self.least_ms.max(other.least_ms), most_ms: self.most_ms.min(other.most_ms) }
    }

    /// The smallest plan's time, as far as the bounds allow it.
    pub fn guess_ms(self) -> u64 {
        REFILL_MS.min(self.most_ms).max(self.least_ms)
    }
}

/// The pause that the server asks for, in ms: `Retry-After` (seconds or date), else `X-RateLimit-Reset` (Unix seconds).
/// `None`: it asks for none that can be believed.
pub fn hint_ms(reply: &ApiReply, now_ms: u64) -> Option<u64> {
    let after = reply.header("retry-after").map(str::trim).and_then(|text| {
        let seconds = text.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000));
        let date = || rfc2822_ms(text).and_then(|at_ms| at_ms.checked_sub(server_now_ms(reply, now_ms)));
        seconds.or_else(date)
    });
    after.filter(|ms| is_believed(*ms)).or_else(|| reset_ms(reply, now_ms))
}

fn reset_ms(reply: &ApiReply, now_ms: u64) -> Option<u64> {
    let reset_s = reply.header("x-ratelimit-reset")?.trim().parse::<u64>().ok()?;
    let ahead_ms = reset_s.saturating_mul(1000).checked_sub(server_now_ms(reply, now_ms))?;
    is_believed(ahead_ms).then_some(ahead_ms)
}

fn is_believed(ms: u64) -> bool {
    (1..=HINT_BELIEVED_MS).contains(&ms)
}

/// The server's own time if the reply has a date, else ours. A reset time is by the server's clock.
fn server_now_ms(reply: &ApiReply, now_ms: u64) -> u64 {
    date_ms(reply).unwrap_or(now_ms)
}

/// The `Date` of a reply in ms since the Unix epoch.
pub fn date_ms(reply: &ApiReply) -> Option<u64> {
    let at_ms = rfc2822_ms(reply.header("date")?.trim())?;
    (DATE_MIN_MS..DATE_MAX_MS).contains(&at_ms).then_some(at_ms)
}

fn rfc2822_ms(text: &str) -> Option<u64> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    u64::try_from(date.timestamp().as_millisecond()).ok()
}

/// How far the server's clock is ahead of ours, in ms, by the dates of its replies in this run. A reply may come from a
/// cache and have an older date, so the smallest and the largest difference are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    pub least_ms: i64,
    pub most_ms: i64,
}

/// Clocks that are closer than this are taken to agree.
const SAME_MS: u64 = 5_000;
/// Clocks that are further apart than this are said to disagree: more than a slow reply and the seconds of a `Date`
/// can explain.
pub const APART_MS: u64 = 2 * 60 * 1000;

impl Ahead {
    /// The difference after one more reply, with the date `date_ms`. `None`: the date contradicts the earlier ones, so
    /// one of them is wrong and none counts.
    pub fn heard(known: Option<Ahead>, date_ms: u64, now_ms: u64) -> Option<Ahead> {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        // A `Date` has whole seconds, and a reply takes time to arrive: a difference that they explain is none.
        let ahead_ms = signed(date_ms).saturating_sub(signed(now_ms));
        let ahead_ms = if ahead_ms.unsigned_abs() < SAME_MS { 0 } else { ahead_ms };
        let known = known.unwrap_or(Ahead { least_ms: ahead_ms, most_ms: ahead_ms });
        let now = Ahead { least_ms: known.least_ms.min(ahead_ms), most_ms: known.most_ms.max(ahead_ms) };
        (now.most_ms.abs_diff(now.least_ms) <= APART_MS).then_some(now)
    }

    /// Whether the clocks disagree.
    pub fn is_apart(self) -> bool {
        self.least_ms.unsigned_abs().min(self.most_ms.unsigned_abs()) > APART_MS
    }

    /// The earliest time that it may be by the server's clock: for what must not happen too early.
    pub fn earliest_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.least_ms)
    }

    /// The latest time that it may be by the server's clock: for a date from which a wait begins.
    pub fn latest_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.most_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;
    const HOUR_S: u64 = 3600;

    fn reply(headers: &[(&str, &str)]) -> ApiReply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ApiReply { status: 429, headers, body: Vec::new() }
    }

    #[test]
    fn a_budget_that_makes_no_sense_is_none() {
        let table = [
            ("10", "3", true),
            ("1", "0", true),
            ("0", "0", false),
            ("-5", "0", false),
            ("10", "-1", false),
            ("10", "11", false),
            ("many", "0", false),
            ("18446744073709551615", "0", false),
            ("99999999999999999999999", "0", false),
        ];
        for (limit, remaining, believed) in table {
            let reply = reply(&[("x-ratelimit-limit", limit), ("x-ratelimit-remaining", remaining)]);
            assert_eq!(budget(&reply, NOW_MS).is_some(), believed, "{remaining} of {limit}");
        }
    }

    #[test]
    fn a_reset_that_makes_no_sense_is_a_second() {
        let now_s = NOW_MS / 1000;
        let table = [
            (now_s + 30, 30_000),
            (now_s + 600, WINDOW_MAX_MS),
            (0, WINDOW_MIN_MS),
            (now_s - HOUR_S, WINDOW_MIN_MS),
            (now_s + 9000 * HOUR_S, WINDOW_MIN_MS),
            (u64::MAX, WINDOW_MIN_MS),
        ];
        for (reset_s, full_in_ms) in table {
            let reset = reset_s.to_string();
            let headers =
                [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &*reset)];
            assert_eq!(
                budget(&reply(&headers), NOW_MS).map(|told| told.full_in_ms),
                Some(full_in_ms),
                "{reset}"
            );
        }
    }

    #[test]
    fn a_pause_that_makes_no_sense_is_none() {
        let table = [
            ("45", Some(45_000)),
            ("7200", Some(7_200_000)),
            ("0", None),
            ("-1", None),
            ("soon", None),
            ("31536000", None),
            ("99999999999999999999", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None),
            ("Mon, 21 Sep 2026 14:13:50 GMT", Some(30_000)),
        ];
        for (text, hint) in table {
            assert_eq!(hint_ms(&reply(&[("retry-after", text)]), NOW_MS), hint, "{text}");
        }
    }

    #[test]
    fn dates_that_contradict_each_other_do_not_count() {
        let at = |known: Option<Ahead>, ahead_s: u64| Ahead::heard(known, NOW_MS + ahead_s * 1000, NOW_MS);
        let known = at(at(None, 3 * HOUR_S), 3 * HOUR_S + 60);
        assert_eq!(known.map(|ahead| (ahead.least_ms, ahead.most_ms)), Some((10_800_000, 10_860_000)));
        assert_eq!(at(known, 70 * 365 * 24 * HOUR_S), None);
        assert!(at(None, 3 * HOUR_S).is_some(), "the next one counts again");
    }

    #[test]
    fn a_date_far_off_is_no_time() {
        for (text, is_time) in [
            ("Mon, 21 Sep 2026 14:13:20 GMT", true),
            ("Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("Fri, 31 Dec 9999 23:59:59 GMT", false),
            ("yesterday", false),
        ] {
            assert_eq!(date_ms(&reply(&[("date", text)])).is_some(), is_time, "{text}");
        }
    }
}
