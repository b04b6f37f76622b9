//! Tests of the gates.

use super::*;

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
        pace.answered(answer, NOW_MS, NOW_MS);
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
    pace.answered(&reply(200, &[]), NOW_MS + 1000, NOW_MS + 1100);
    assert_eq!(burst(&mut pace, NOW_MS + 1200), 0);
    assert_eq!(burst(&mut pace, NOW_MS + 2100), 1);
    pace.answered(&with_remaining("6"), NOW_MS + 2100, NOW_MS + 2200);
    assert_eq!(burst(&mut pace, NOW_MS + 2200), 4);
}

#[test]
fn replies_that_tell_nothing_are_counted() {
    let mut pace = after(&[with_remaining("6"), Answer::Lost("reset".into()), Answer::Lost("reset".into())]);
    assert_eq!(burst(&mut pace, NOW_MS + 2500), 2, "not full before both are paid for");
    assert_eq!(
        burst(&mut after(&[reply(401, &[])]), NOW_MS + 1000),
        2,
        "a refusal is no server without limits"
    );
    assert_eq!(burst(&mut after(&[reply(200, &[])]), NOW_MS + 1000), 8);
}

/// A server's bucket as the headers tell it: whole seconds, and the time at which it is full rounded up.
struct Bucket {
    size: u64,
    per_second: f64,
    level: f64,
    at_ms: u64,
}

impl Bucket {
    fn new(size: u64, per_second: f64, at_ms: u64) -> Bucket {
        Bucket { size, per_second, level: size as f64, at_ms }
    }

    fn take(&mut self, at_ms: u64) -> Answer {
        let grown = (at_ms - self.at_ms) as f64 / 1000.0 * self.per_second;
        (self.level, self.at_ms) = ((self.level + grown).min(self.size as f64), at_ms);
        assert!(self.level >= 1.0, "refused {} ms after the start", at_ms - NOW_MS);
        self.level -= 1.0;
        let full_s =
            (at_ms as f64 / 1000.0 + (self.size as f64 - self.level) / self.per_second).ceil() as u64;
        let date = jiff::Timestamp::from_second((at_ms / 1000) as i64).expect("a time");
        let date =
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).expect("a date");
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
fn follow(bucket: &mut Bucket, pace: &mut Pace, requests: usize, latency_ms: u64, start_ms: u64) -> u64 {
    let (mut now_ms, mut left) = (start_ms, requests);
    let mut under_way: std::collections::VecDeque<(u64, u64, Answer)> = Default::default();
    while left > 0 || !under_way.is_empty() {
        while under_way.front().is_some_and(|(_, at_ms, _)| *at_ms <= now_ms) {
            let Some((sent_ms, _, answer)) = under_way.pop_front() else { break };
            pace.answered(&answer, sent_ms, now_ms);
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
                let (mut bucket, mut pace) = (Bucket::new(size, per_second, start_ms), Pace::new(80));
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
