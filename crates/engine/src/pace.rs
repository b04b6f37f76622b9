//! Paces the requests of one tenant from the rate-limit headers, with head-room for the users' logins (law 8).

use super::reply::{Bucket, looks_like_json};
use super::told::{self, Budget, Refill, hint_ms};
use crate::model::api::Answer;

/// Time between two looks at a gate that should be open by now and is not, so that the loop does not look every
/// millisecond.
pub const LOOK_MS: u64 = 100;
/// Requests on the wire before the first rate-limit headers have been seen: the smallest plan's burst
/// ("Auth0 docs, rate limit configurations", 2026-08).
const BLIND_BURST: u64 = 2;
/// Requests on the wire when the server sends no rate-limit headers at all.
const UNPACED_IN_FLIGHT: u64 = 8;
/// A reply that takes longer than this may have been made right before it came: the program, or the way, may have stood
/// still with the request.
const SLOW_MS: u64 = 1000;

/// Pacing of one tenant from `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
#[derive(Debug)]
pub struct Pace {
    share_percent: u64,
    in_flight: u64,
    /// No other request was on the wire when the latest one left.
    alone: bool,
    /// An answer has come, of whatever kind.
    heard: bool,
    /// A success came that told no budget.
    untold: bool,
    /// A reply told of a budget, of whatever bucket.
    limited: bool,
    /// The latest reply that tells of the budget was a 429.
    refused: bool,
    window: Option<Window>,
    hold_until_ms: u64,
}

/// The budget as the replies tell it. Times are ms of our clock.
#[derive(Clone, Copy, Debug)]
struct Window {
    limit: u64,
    remaining: u64,
    /// When it is full again.
    full_at_ms: u64,
    /// When the reply told `remaining`, as early as that can have been.
    told_ms: u64,
    /// In which time it grows by one request; `None`: not told.
    refill: Option<Refill>,
}

impl Pace {
    pub(super) fn new(share_percent: u64) -> Pace {
        Pace {
            share_percent,
            in_flight: 0,
            alone: true,
            heard: false,
            untold: false,
            limited: false,
            refused: false,
            window: None,
            hold_until_ms: 0,
        }
    }

    /// Whether one more request may leave now.
    pub fn may_send(&self, now_ms: u64) -> bool {
        now_ms >= self.hold_until_ms
            && match self.window {
                _ if self.refused => self.in_flight == 0,
                None if self.untold && !self.limited => self.in_flight < UNPACED_IN_FLIGHT,
                // What is left of the smallest plan's burst is its users'.
                None if self.heard => self.in_flight == 0,
                None => self.in_flight < BLIND_BURST,
                Some(window) => {
                    let remaining = if now_ms >= window.full_at_ms { window.limit } else { window.remaining };
                    remaining.saturating_sub(self.in_flight) > self.reserve(window)
                        || self.refilled_at(window, now_ms).is_some_and(|at_ms| at_ms <= now_ms)
                }
            }
    }

    /// What is left to the users. At least one request per window gets through, or the smallest plan would never move.
    fn reserve(&self, window: Window) -> u64 {
        let Window { limit, .. } = window;
        (limit * (100 - self.share_percent)).div_ceil(100).min(limit.saturating_sub(1))
    }

    /// When our share of what the budget grows by has made up for the next request. That is a guess between the whole
    /// seconds of the headers, and nobody knows whether each server fills up bit by bit. So it counts only while at least
    /// one request is left for certain: a wrong guess takes from the reserve until the next reply, and is not refused.
    /// And the requests on the wire may have left when the budget was full, beyond which it does not grow.
    fn refilled_at(&self, window: Window, now_ms: u64) -> Option<u64> {
        if self.in_flight + self.reserve(window) >= window.limit {
            return None;
        }
        let left = window.remaining.checked_sub(self.in_flight).filter(|left| *left > 0)?;
        let missing = (self.reserve(window) + 1).saturating_sub(left);
        let grown_ms = missing * window.refill?.guess_ms() * 100 / self.share_percent;
        (now_ms < window.full_at_ms).then_some(window.told_ms + grown_ms)
    }

    /// Time until which the server asked for a pause, in ms of our clock; 0 if it did not ask.
    pub fn held_until_ms(&self) -> u64 {
        self.hold_until_ms
    }

    /// A request has left.
    pub fn sent(&mut self) {
        self.alone = self.in_flight == 0;
        self.in_flight += 1;
    }

    /// The answer to a request that left at `sent_ms` has come. `bucket` says which one it was taken from.
    pub fn answered(&mut self, answer: &Answer, bucket: Bucket, sent_ms: u64, now_ms: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.heard = true;
        let reply = match answer {
            Answer::Reply(reply) => reply,
            // The server may have counted the request all the same.
            Answer::Lost(_) => return self.uncounted(now_ms),
            Answer::NotSent(_) | Answer::Barred(_) => return,
        };
        let budget = told::budget(reply, now_ms);
        self.limited |= budget.is_some();
        let is_shared = match bucket {
            Bucket::Shared => true,
            Bucket::OfOtherSize => {
                let known = self.window.map(|window| window.limit);
                budget.is_some_and(|told| known == Some(told.limit))
            }
            Bucket::OfSameSize => false,
        };
        match budget {
            Some(budget) if is_shared => {
                let is_slow = now_ms.saturating_sub(sent_ms) > SLOW_MS;
                let told_ms = if is_slow { now_ms } else { sent_ms };
                // A refusal may say when one more request may come, which is long before the budget is full. And of a
                // slow reply nobody knows from when on it counts.
                let refill = budget.refill.filter(|_| !is_slow && reply.status != 429);
                self.told(Budget { refill, ..budget }, told_ms, now_ms);
            }
            // A gateway answered in the server's place, the headers cannot be true, or they tell of another bucket.
            _ => {
                // A refusal cannot show that the server sends no rate-limit headers, nor can a gateway.
                self.untold |= is_shared && (200..300).contains(&reply.status) && looks_like_json(reply);
                self.uncounted(now_ms);
            }
        }
        if reply.status == 429 {
            let hint = hint_ms(reply, now_ms).unwrap_or(1000).max(1000);
            self.hold_until_ms = self.hold_until_ms.max(now_ms + hint);
        }
        if is_shared {
            // After a 429 somebody else may draw on the budget too, and only the next reply with a budget tells what is
            // left.
            let tells = budget.is_some() || self.window.is_none();
            self.refused = reply.status == 429 || (self.refused && !tells);
        }
    }

    /// A reply told of the shared budget, as it was at `told_ms`.
    fn told(&mut self, budget: Budget, told_ms: u64, now_ms: u64) {
        let Budget { limit, remaining, full_in_ms, refill } = budget;
        // Every reply of one budget tells of the same refill.
        let known = self.window.filter(|known| known.limit == limit).and_then(|known| known.refill);
        let refill = refill.map_or(known, |told| Some(known.map_or(told, |known| told.and(known))));
        let told = Window { limit, remaining, full_at_ms: now_ms + full_in_ms, told_ms, refill };
        self.window = match self.window {
            // Answers overtake each other. Inside a window, the smallest remainder and the latest reset come from the
            // latest reply: a budget that refills bit by bit is full later with every request.
            Some(known) if now_ms < known.full_at_ms && !self.refused && !self.is_settled() => Some(Window {
                remaining: remaining.min(known.remaining),
                full_at_ms: told.full_at_ms.max(known.full_at_ms),
                told_ms: told_ms.max(known.told_ms),
                ..told
            }),
            _ => Some(told),
        };
    }

    /// Whether the answer that has just come is newer than all others.
    fn is_settled(&self) -> bool {
        self.alone && self.in_flight == 0
    }

    /// Counts a request whose answer says nothing of the budget.
    fn uncounted(&mut self, now_ms: u64) {
        if self.refused {
            // The budget is unknown again: wait for the smallest plan's refill.
            self.hold_until_ms = self.hold_until_ms.max(now_ms + 1000);
        } else if let Some(Window { limit, remaining, full_at_ms, told_ms, .. }) = &mut self.window {
            if now_ms >= *full_at_ms {
                (*remaining, *full_at_ms, *told_ms) = (*limit, now_ms, now_ms);
            }
            // The window is full later, too: by a second, in which the smallest plan refills more than one request.
            *remaining = remaining.saturating_sub(1);
            *full_at_ms += 1000;
        } else if !self.untold || self.limited {
            // The budget is not known yet: wait for the smallest plan's refill.
            self.hold_until_ms = self.hold_until_ms.max(now_ms + 1000);
        }
    }

    /// When one more request may leave, if time alone can bring that about.
    pub fn next_time(&self, now_ms: u64) -> Option<u64> {
        if now_ms < self.hold_until_ms {
            return Some(self.hold_until_ms);
        }
        // Else a request is in flight; its answer will tell.
        let window = self.window?;
        let is_ahead = self.in_flight == 0 || window.full_at_ms > now_ms;
        let full = is_ahead.then(|| window.full_at_ms.max(now_ms + LOOK_MS));
        let refilled = self.refilled_at(window, now_ms).filter(|at_ms| *at_ms > now_ms);
        full.into_iter().chain(refilled).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::api::ApiReply;

    const NOW_MS: u64 = 1_000_000_000;

    fn reply(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer::Reply(ApiReply { status, headers, body: b"{}".to_vec() })
    }

    fn with_remaining(remaining: &str) -> Answer {
        reply(200, &[("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", remaining)])
    }

    /// How many requests leave at once.
    fn burst(pace: &mut Pace, now_ms: u64) -> usize {
        let mut left = 0;
        while left < 100 && pace.may_send(now_ms) {
            pace.sent();
            left += 1;
        }
        left
    }

    fn after(answers: &[Answer]) -> Pace {
        let mut pace = Pace::new(80);
        for answer in answers {
            pace.sent();
            pace.answered(answer, Bucket::Shared, NOW_MS, NOW_MS);
        }
        pace
    }

    #[test]
    fn a_fifth_of_the_budget_is_the_users() {
        assert_eq!(burst(&mut after(&[with_remaining("10")]), NOW_MS), 8);
        assert_eq!(burst(&mut after(&[with_remaining("2")]), NOW_MS), 0);
    }

    #[test]
    fn after_a_refusal_one_at_a_time_until_a_reply_tells() {
        let refused = reply(429, &[("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "0")]);
        let mut pace = after(&[with_remaining("9"), refused]);
        assert_eq!(burst(&mut pace, NOW_MS + 999), 0, "a second at least");
        assert_eq!(burst(&mut pace, NOW_MS + 1000), 1, "whatever the window says");
        // A gateway's reply tells nothing, and costs a second.
        pace.answered(&reply(200, &[]), Bucket::Shared, NOW_MS + 1000, NOW_MS + 1100);
        assert_eq!(burst(&mut pace, NOW_MS + 1200), 0);
        assert_eq!(burst(&mut pace, NOW_MS + 2100), 1);
        pace.answered(&with_remaining("6"), Bucket::Shared, NOW_MS + 2100, NOW_MS + 2200);
        assert_eq!(burst(&mut pace, NOW_MS + 2200), 4);
    }

    #[test]
    fn replies_that_tell_nothing_are_counted() {
        let mut pace =
            after(&[with_remaining("6"), Answer::Lost("reset".into()), Answer::Lost("reset".into())]);
        assert_eq!(burst(&mut pace, NOW_MS + 2500), 2, "not full before both are paid for");
        assert_eq!(
            burst(&mut after(&[reply(401, &[])]), NOW_MS + 1000),
            1,
            "a refusal is no server without limits"
        );
        assert_eq!(burst(&mut after(&[reply(200, &[])]), NOW_MS + 1000), 8);
    }

    #[test]
    fn a_refusal_tells_nothing_of_the_refill() {
        let told = |status: u16, remaining: &str, full_in_s: u64| {
            let reset = (NOW_MS / 1000 + full_in_s).to_string();
            let headers = [
                ("x-ratelimit-limit", "10"),
                ("x-ratelimit-remaining", remaining),
                ("x-ratelimit-reset", reset.as_str()),
            ];
            reply(status, &headers)
        };
        // If the budget were full a second after it was empty, it would grow by one in 111 ms.
        let mut pace = after(&[told(429, "0", 1)]);
        let now_ms = NOW_MS + 1000;
        pace.sent();
        pace.answered(&told(200, "2", 5), Bucket::Shared, now_ms, now_ms);
        assert!(!pace.may_send(now_ms + 624), "it grows by one in 500 ms, and 80 % of that are ours");
        assert!(pace.may_send(now_ms + 625));
    }

    #[test]
    fn a_budget_does_not_grow_beyond_its_size() {
        let reset = (NOW_MS / 1000 + 1).to_string();
        let headers = [
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset", reset.as_str()),
        ];
        let mut pace = after(&[reply(200, &headers)]);
        assert_eq!(burst(&mut pace, NOW_MS + 999), 8, "it is full by then, and a fifth is the users'");
    }

    #[test]
    fn nothing_is_taken_to_have_grown_while_a_request_stood_still() {
        let told = |sent_ms: u64| {
            let mut pace = Pace::new(80);
            pace.sent();
            let reset = (NOW_MS / 1000 + 1).to_string();
            let headers = [
                ("x-ratelimit-limit", "2"),
                ("x-ratelimit-remaining", "1"),
                ("x-ratelimit-reset", reset.as_str()),
            ];
            pace.answered(&reply(200, &headers), Bucket::Shared, sent_ms, NOW_MS);
            pace
        };
        assert!(told(NOW_MS - 50).may_send(NOW_MS + 575), "625 ms after it left");
        let slow = told(NOW_MS - 10_000);
        assert!(!slow.may_send(NOW_MS + 575), "the server may just have counted it");
        assert!(!slow.may_send(NOW_MS + 625) && slow.may_send(NOW_MS + 1000), "and its refill is not known");
    }

    /// A server's bucket as the headers tell it: whole seconds, and the time at which it is full rounded up.
    struct Served {
        size: u64,
        per_second: f64,
        level: f64,
        at_ms: u64,
    }

    impl Served {
        fn new(size: u64, per_second: f64, at_ms: u64) -> Served {
            Served { size, per_second, level: size as f64, at_ms }
        }

        fn take(&mut self, at_ms: u64) -> Answer {
            let grown = (at_ms - self.at_ms) as f64 / 1000.0 * self.per_second;
            (self.level, self.at_ms) = ((self.level + grown).min(self.size as f64), at_ms);
            assert!(self.level >= 1.0, "refused {} ms after the start", at_ms - NOW_MS);
            self.level -= 1.0;
            let full_s =
                (at_ms as f64 / 1000.0 + (self.size as f64 - self.level) / self.per_second).ceil() as u64;
            let date = jiff::Timestamp::from_second((at_ms / 1000) as i64).expect("a time");
            let date = jiff::fmt::rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&date)
                .expect("a date");
            let (limit, remaining, reset) =
                (self.size.to_string(), (self.level as u64).to_string(), full_s.to_string());
            reply(
                200,
                &[
                    ("date", &date),
                    ("x-ratelimit-limit", &limit),
                    ("x-ratelimit-remaining", &remaining),
                    ("x-ratelimit-reset", &reset),
                ],
            )
        }
    }

    /// Follows a bucket for so many requests, with an answer after `latency_ms`; returns the time that they took, in ms.
    fn follow(bucket: &mut Served, pace: &mut Pace, requests: usize, latency_ms: u64, start_ms: u64) -> u64 {
        let (mut now_ms, mut left) = (start_ms, requests);
        let mut under_way: std::collections::VecDeque<(u64, u64, Answer)> = Default::default();
        while left > 0 || !under_way.is_empty() {
            while under_way.front().is_some_and(|(_, at_ms, _)| *at_ms <= now_ms) {
                let Some((sent_ms, _, answer)) = under_way.pop_front() else { break };
                pace.answered(&answer, Bucket::Shared, sent_ms, now_ms);
            }
            while left > 0 && pace.may_send(now_ms) {
                pace.sent();
                under_way.push_back((now_ms, now_ms + latency_ms, bucket.take(now_ms)));
                left -= 1;
            }
            let own = (left > 0).then(|| pace.next_time(now_ms)).flatten();
            let next = under_way.front().map(|(_, at_ms, _)| *at_ms).into_iter().chain(own).min();
            now_ms = next.unwrap_or(now_ms).max(now_ms + 1);
        }
        now_ms - start_ms
    }

    #[test]
    fn a_bucket_of_its_own_says_nothing_of_the_shared_one() {
        let of_its_own = reply(200, &[("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "5")]);
        let mut pace = after(&[with_remaining("3")]);
        assert_eq!(burst(&mut pace, NOW_MS), 1);
        pace.answered(&of_its_own, Bucket::OfOtherSize, NOW_MS, NOW_MS);
        assert_eq!(burst(&mut pace, NOW_MS), 0, "it may have been taken from the shared one");
        let mut pace = after(&[]);
        pace.sent();
        pace.answered(&of_its_own, Bucket::OfOtherSize, NOW_MS, NOW_MS);
        assert_eq!(burst(&mut pace, NOW_MS), 0, "nothing is known of the shared one");
        assert_eq!(burst(&mut pace, NOW_MS + 1000), 1, "the other one of the smallest plan is its users'");
        pace.answered(&reply(200, &[]), Bucket::Shared, NOW_MS + 1000, NOW_MS + 1000);
        assert_eq!(burst(&mut pace, NOW_MS + 2000), 1, "it has limits, though this reply tells of none");
        let mut pace = after(&[with_remaining("9")]);
        pace.sent();
        pace.answered(&with_remaining("3"), Bucket::OfOtherSize, NOW_MS, NOW_MS);
        assert_eq!(burst(&mut pace, NOW_MS), 1, "it names the size of the shared one");
        let mut pace = after(&[with_remaining("4")]);
        pace.sent();
        pace.answered(&with_remaining("9"), Bucket::OfSameSize, NOW_MS, NOW_MS);
        assert_eq!(burst(&mut pace, NOW_MS), 1, "the size does not tell which bucket it is");
    }

    /// Bucket sizes and refills of the vendor's plans, and a slower one, at each phase of a second.
    #[test]
    fn the_pace_follows_the_bucket_between_whole_seconds() {
        const NOW_MS: u64 = 1_790_000_000_000;
        for (size, per_second) in
            [(2, 2.0), (5, 5.0 / 6.0), (10, 2.0), (10, 2.5), (50, 16.0), (50, 50.0), (5, 1.0 / 12.0)]
        {
            for phase_ms in (0..1000).step_by(37) {
                for latency_ms in [50, 300] {
                    let start_ms = NOW_MS + phase_ms;
                    let (mut bucket, mut pace) = (Served::new(size, per_second, start_ms), Pace::new(80));
                    let requests = size as usize * 4;
                    let took_ms = follow(&mut bucket, &mut pace, requests, latency_ms, start_ms);
                    let share_ms = requests as f64 / (per_second * 0.8) * 1000.0;
                    let most_ms = share_ms * 1.2 + 1500.0;
                    assert!(
                        (took_ms as f64) < most_ms,
                        "{size} at {per_second}/s, {phase_ms}: {took_ms} ms of {share_ms}"
                    );
                }
            }
        }
    }
}
