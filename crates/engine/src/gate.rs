//! The gates decide when a request may leave, and whether it is sent again.
//!
//! Law 8: the Management API budget belongs to the users' logins first. A tenant's gate paces from the rate-limit
//! headers with head-room; an account's gate bounds concurrency, which is what Twilio limits.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::connection::{Connection, Grant};
use super::pace::Pace;
use super::reply::{self, Bucket};
use super::told::{self, Ahead, hint_ms};
use super::{CallId, TaskId};
use crate::model::api::{Answer, ApiRequest, Method};
use crate::model::call::{Failed, Refusal, Repeat};
use crate::model::random::{Random, hex};
use crate::model::secret::Secret;
use crate::port::Call;

/// Attempts of one call, all causes together. Eight doublings of the first pause are more than a minute, and an
/// outage longer than that is for a person to look at.
const ATTEMPTS_MAX: u32 = 8;
/// A call that has been held back for this long is given up: ten rate-limit windows of a minute.
const CALL_DEADLINE_MS: u64 = 10 * 60 * 1000;
/// First pause before a repeat; doubles, with full jitter.
const PAUSE_MS: u64 = 500;
/// A call without a reply is repeated at least once, and then until this long after its first attempt. A server that
/// keeps silent thus gets two attempts; where connections fail at once, there is time for all of them.
const SILENCE_MAX_MS: u64 = 60 * 1000;
/// A wait of at least this long is reported, because the user begins to wonder.
pub const TOLD_FROM_MS: u64 = 5000;
/// Twilio's concurrency limit is not published; the vendor's own toolkit uses ten.
const ACCOUNT_IN_FLIGHT: u64 = 8;
/// A token is used at least this long, whatever its lifetime says: a server that answers "0 s" must not be asked for
/// tokens without end.
const TOKEN_LIFE_MIN_MS: u64 = 30 * 1000;
/// A token is renewed this long before it expires.
const TOKEN_MARGIN_MS: u64 = 60 * 1000;

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the same call again after a pause.
    Again { after_ms: u64, why: String },
    /// The server asks for a longer pause than the run has time for. Holds the time at which the pause ends.
    Limited { until: String },
    /// This answer is the last one.
    Over,
}

/// One answer to a call, with the history of the call.
pub struct Attempt<'a> {
    pub call: &'a Call,
    pub answer: &'a Answer,
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// Attempts that were answered with a status of success and an empty body, this one included.
    pub empty: u32,
    /// Time since the call was made.
    pub age_ms: u64,
    /// Time since its first attempt left.
    pub tried_ms: u64,
    /// Longest pause that the run has time for.
    pub patience_ms: u64,
}

/// Decides whether a call is repeated. After a 429 or an unsent request any call may be, because it was not executed.
/// After a lost answer or a server error only a call may be that changes nothing more the second time.
pub fn judge(attempt: &Attempt<'_>, random: &mut Random, now_ms: u64) -> Verdict {
    let Attempt { call, answer, attempts, empty, age_ms, tried_ms, patience_ms } = *attempt;
    let harmless = match call {
        Call::Read(..) | Call::Probe(_) => true,
        Call::Write(write, _) => write.repeat == Repeat::Safe,
    };
    let why = match answer {
        Answer::Reply(reply) => match reply.status {
            429 => "rate limit reached".to_owned(),
            408 | 500 | 502 | 503 | 504 | 520..=524 if harmless => format!("status {}", reply.status),
            200..=299 if reply::says_nothing(call, reply, empty) => return Verdict::Over,
            200..=299 if !matches!(call, Call::Write(..)) && !reply::looks_like_json(reply) => {
                "reply is not JSON".to_owned()
            }
            _ => return Verdict::Over,
        },
        Answer::NotSent(cause) => cause.clone(),
        Answer::Lost(cause) if harmless => cause.clone(),
        Answer::Lost(_) | Answer::Barred(_) => return Verdict::Over,
    };
    let hint = match answer {
        Answer::Reply(reply) if reply.status == 429 => hint_ms(reply, now_ms),
        _ => None,
    };
    if let Some(until) = hint.filter(|hint| *hint > patience_ms).and_then(|_| limited_until(answer, now_ms)) {
        return Verdict::Limited { until };
    }
    let silent = !matches!(answer, Answer::Reply(_)) && attempts >= 2 && tried_ms >= SILENCE_MAX_MS;
    if attempts >= ATTEMPTS_MAX || age_ms >= CALL_DEADLINE_MS || silent {
        return Verdict::Over;
    }
    let pause = PAUSE_MS << attempts.min(6);
    let jitter = random.up_to(pause);
    let after_ms = match (answer, hint) {
        // Every client that was refused reads the same hint; jitter on top spreads them.
        (_, Some(hint)) => hint + random.up_to(PAUSE_MS),
        (Answer::Reply(reply), None) if reply.status == 429 => jitter.max(PAUSE_MS),
        _ => jitter.max(PAUSE_MS / 2),
    };
    Verdict::Again { after_ms, why }
}

/// The time from which a 429 says that requests are taken again, as text. By the server's clock if the reply has a
/// date.
fn limited_until(answer: &Answer, now_ms: u64) -> Option<String> {
    let Answer::Reply(reply) = answer else { return None };
    Some(clock_time(told::date_ms(reply).unwrap_or(now_ms) + hint_ms(reply, now_ms)?))
}

/// The vendor's message, followed by the time until which the vendor takes no request.
pub fn limited_words(message: &str, until: &str) -> String {
    let joint = if message.is_empty() { "" } else { "; " };
    format!("{message}{joint}limited until {until}, which is longer than this run may wait")
}

/// `2026-11-28T22:05:00Z`.
pub fn clock_time(unix_ms: u64) -> String {
    super::apply::timestamp(unix_ms)
}

/// Concurrency of one Twilio account, shared by all its hosts and tenants.
#[derive(Debug, Default)]
pub struct AccountGate {
    in_flight: u64,
    /// Other machines send to the account too: so many have a part of its concurrency. 0: it is ours alone.
    pub shared_by: u64,
    hold_until_ms: u64,
    /// The user was told that requests wait until this time, in ms since the Unix epoch.
    pub told_until_ms: u64,
}

impl AccountGate {
    /// Requests that may be under way.
    fn most(&self) -> u64 {
        (ACCOUNT_IN_FLIGHT / self.shared_by.max(1)).max(1)
    }

    /// Time until which the server asked for a pause, in ms of our clock; 0 if it did not ask.
    pub fn held_until_ms(&self) -> u64 {
        self.hold_until_ms
    }

    /// Whether one more request may leave now.
    pub fn may_send(&self, now_ms: u64) -> bool {
        self.in_flight < self.most() && now_ms >= self.hold_until_ms
    }

    /// How many of the calls that wait are worth a look. While the server asked for a pause, all are: for some it may be
    /// too long.
    pub fn lets_through(&self, now_ms: u64) -> usize {
        match now_ms < self.hold_until_ms {
            true => usize::MAX,
            false => usize::try_from(self.most().saturating_sub(self.in_flight)).unwrap_or(0),
        }
    }

    /// A request has left.
    pub fn sent(&mut self) {
        self.in_flight += 1;
    }

    /// An answer has come.
    pub fn answered(&mut self, answer: &Answer, now_ms: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Answer::Reply(reply) = answer
            && reply.status == 429
        {
            let hint = hint_ms(reply, now_ms).unwrap_or(PAUSE_MS);
            self.hold_until_ms = self.hold_until_ms.max(now_ms + hint);
        }
    }

    /// When one more request may leave, if time alone can bring that about.
    pub fn next_time(&self, now_ms: u64) -> Option<u64> {
        if self.in_flight >= self.most() { None } else { Some(self.hold_until_ms.max(now_ms)) }
    }
}

enum Token {
    None {
        not_before_ms: u64,
        attempts: u32,
    },
    /// `by` is how far the server's clock was taken to be ahead when the request was made.
    Asked {
        attempts: u32,
        by: Option<Ahead>,
    },
    Have {
        value: Secret,
        renew_at_ms: u64,
        scopes: Vec<String>,
    },
}

/// Token and pacing of one tenant.
pub struct TenantGate {
    pub connection: Connection,
    /// Position of its Twilio account.
    pub account: usize,
    /// Its tasks that have not ended, and its calls that are not answered.
    pub tasks: BTreeSet<TaskId>,
    pub calls: BTreeSet<CallId>,
    pace: Pace,
    /// Pacing of the log's own bucket. On the plans where the log has none, it follows the shared one a second time.
    log_pace: Pace,
    token: Token,
    ahead: Option<Ahead>,
    /// Whether the user was told that the clocks disagree.
    apart_told: bool,
    /// The user was told that requests wait until this time, in ms since the Unix epoch.
    pub told_until_ms: u64,
}

impl TenantGate {
    /// A gate without a token yet.
    pub fn new(connection: Connection, account: usize) -> TenantGate {
        let pace = || Pace::new(connection.share_percent.clamp(1, 100));
        let (pace, log_pace) = (pace(), pace());
        TenantGate {
            connection,
            account,
            tasks: BTreeSet::new(),
            calls: BTreeSet::new(),
            pace,
            log_pace,
            token: Token::None { not_before_ms: 0, attempts: 0 },
            ahead: None,
            apart_told: false,
            told_until_ms: 0,
        }
    }

    /// Whether a request that is taken from this bucket may leave now.
    pub fn may_send(&self, bucket: Bucket, now_ms: u64) -> bool {
        self.pace.may_send(now_ms) && (bucket != Bucket::OfSameSize || self.log_pace.may_send(now_ms))
    }

    /// When one may leave, if time alone can bring that about.
    pub fn next_time(&self, bucket: Bucket, now_ms: u64) -> Option<u64> {
        match self.pace.may_send(now_ms) {
            true if self.may_send(bucket, now_ms) => Some(now_ms),
            true => self.log_pace.next_time(now_ms),
            false => self.pace.next_time(now_ms),
        }
    }

    /// A request has left.
    pub fn sent(&mut self, bucket: Bucket) {
        self.pace.sent();
        if bucket == Bucket::OfSameSize {
            self.log_pace.sent();
        }
    }

    /// The answer to a request that left at `sent_ms` has come.
    pub fn answered(&mut self, answer: &Answer, bucket: Bucket, sent_ms: u64, now_ms: u64) {
        self.pace.answered(answer, bucket, sent_ms, now_ms);
        if bucket == Bucket::OfSameSize {
            self.log_pace.answered(answer, Bucket::Shared, sent_ms, now_ms);
        }
    }

    /// Time until which the tenant asked for a pause, in ms of our clock; 0 if it did not ask.
    pub fn held_until_ms(&self) -> u64 {
        self.pace.held_until_ms()
    }

    /// Learns the tenant's time from the date of a reply. A gateway's error may have any date, so only replies of the
    /// tenant itself count, and dates that contradict each other do not. `Some`: a warning that the clocks disagree,
    /// once.
    pub fn hear_time(&mut self, answer: &Answer, now_ms: u64) -> Option<String> {
        let Answer::Reply(reply) = answer else { return None };
        if !reply::looks_like_json(reply) || reply.status >= 500 {
            return None;
        }
        let date_ms = told::date_ms(reply)?;
        self.ahead = Ahead::heard(self.ahead, date_ms, now_ms);
        if !self.ahead.is_some_and(Ahead::is_apart) || std::mem::replace(&mut self.apart_told, true) {
            return None;
        }
        Some(format!(
            "warning: the clock of this machine says {}, but the clock of {} says {}; dates are compared with the tenant's clock",
            clock_time(now_ms),
            self.connection.domain,
            clock_time(date_ms)
        ))
    }

    /// The time by the tenant's clock, as an early and a late guess; `None` where no reply told it.
    pub fn server_time(&self, now_ms: u64) -> Option<(u64, u64)> {
        self.ahead.map(|ahead| (ahead.earliest_ms(now_ms), ahead.latest_ms(now_ms)))
    }

    /// Whether a call has to wait for a token.
    pub fn needs_token(&self, now_ms: u64) -> bool {
        !matches!(&self.token, Token::Have { renew_at_ms, .. } if now_ms < *renew_at_ms)
    }

    /// Whether a token may be asked for now; one request at a time.
    pub fn may_ask_token(&self, now_ms: u64) -> bool {
        match self.token {
            Token::Asked { .. } => false,
            Token::None { not_before_ms, .. } => now_ms >= not_before_ms,
            Token::Have { .. } => true,
        }
    }

    /// When a token may be asked for; `None` while one is being asked for.
    pub fn token_time(&self) -> Option<u64> {
        match self.token {
            Token::Asked { .. } => None,
            Token::None { not_before_ms, .. } => Some(not_before_ms),
            Token::Have { .. } => Some(0),
        }
    }

    /// The bearer token, empty when there is none.
    pub fn bearer(&self) -> &str {
        match &self.token {
            Token::Have { value, .. } => value.expose(),
            _ => "",
        }
    }

    /// Scopes of the token, when the server named them.
    pub fn scopes(&self) -> Option<Vec<String>> {
        match &self.token {
            Token::Have { scopes, .. } if !scopes.is_empty() => Some(scopes.clone()),
            _ => None,
        }
    }

    /// Drops the token; the next call asks for a new one.
    pub fn forget_token(&mut self) {
        if matches!(self.token, Token::Have { .. }) {
            self.token = Token::None { not_before_ms: 0, attempts: 0 };
        }
    }

    /// The token request. Each attempt makes a new assertion, since one is good for one use only.
    pub fn token_request(&mut self, now_ms: u64, draw1: u64, draw2: u64) -> Result<ApiRequest, String> {
        let attempts = match self.token {
            Token::None { attempts, .. } => attempts,
            _ => 0,
        };
        let mut spoken = None;
        let connection = &self.connection;
        let mut pairs = vec![
            ("grant_type".to_owned(), "client_credentials".to_owned()),
            ("client_id".to_owned(), connection.client_id.clone()),
            ("audience".to_owned(), connection.audience.clone()),
        ];
        match &connection.grant {
            Grant::ClientSecret(secret) => {
                pairs.push(("client_secret".to_owned(), secret.expose().to_owned()))
            }
            Grant::Assertion(sign) => {
                let jti = format!("{}{}", hex(&draw1.to_be_bytes()), hex(&draw2.to_be_bytes()));
                // The server's clock decides when an assertion has expired.
                let now_ms = self.ahead.map_or(now_ms, |ahead| ahead.earliest_ms(now_ms));
                let assertion = sign(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX), &jti)?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                pairs.push(("client_assertion_type".to_owned(), kind.to_owned()));
                pairs.push(("client_assertion".to_owned(), assertion.expose().to_owned()));
                let mut scrubber = (*connection.scrubber).clone();
                scrubber.learn(&assertion);
                spoken = Some(std::rc::Rc::new(scrubber));
            }
        }
        self.token = Token::Asked { attempts: attempts + 1, by: self.ahead };
        if let Some(scrubber) = spoken {
            self.connection.scrubber = scrubber;
        }
        Ok(ApiRequest {
            host: self.connection.domain.clone(),
            method: Method::Post,
            path: "/oauth/token".to_owned(),
            headers: vec![
                ("accept".to_owned(), "application/json".to_owned()),
                ("user-agent".to_owned(), reply::USER_AGENT.to_owned()),
                ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ],
            body: reply::form(&pairs).into_bytes(),
        })
    }

    /// Takes the answer to a token request. `Some`: the token is asked for again, after so many ms, and why.
    ///
    /// # Errors
    /// No token is to be had.
    pub fn token_answer(
        &mut self,
        answer: Answer,
        now_ms: u64,
        patience_ms: u64,
        random: &mut Random,
    ) -> Result<Option<(u64, String)>, Failed> {
        let Token::Asked { attempts, by } = self.token else { return Ok(None) };
        self.token = Token::None { not_before_ms: 0, attempts: 0 };
        let place = format!("POST https://{}/oauth/token", self.connection.domain);
        let scrubber = self.connection.scrubber.clone();
        let passing = match &answer {
            Answer::Reply(reply) => matches!(reply.status, 408 | 429 | 500 | 502 | 503 | 504 | 520..=524),
            Answer::NotSent(_) | Answer::Lost(_) => true,
            Answer::Barred(_) => false,
        };
        // The server refuses an assertion signed by a wrong clock; the date of the refusal is the right time.
        let refused = matches!(&answer, Answer::Reply(reply) if matches!(reply.status, 400 | 401 | 403));
        let signed = matches!(self.connection.grant, Grant::Assertion(_));
        if refused && signed && by.is_none() && self.ahead.is_some_and(Ahead::is_apart) {
            self.token = Token::None { not_before_ms: now_ms, attempts };
            return Ok(Some((0, "the assertion is signed again with the server's time".to_owned())));
        }
        let hint = match &answer {
            Answer::Reply(reply) if reply.status == 429 => hint_ms(reply, now_ms),
            _ => None,
        };
        let until = limited_until(&answer, now_ms).filter(|_| hint.is_some_and(|hint| hint > patience_ms));
        if passing && attempts < ATTEMPTS_MAX && until.is_none() {
            let pause = PAUSE_MS << attempts.min(6);
            let after_ms = hint.unwrap_or(0) + random.up_to(pause).max(PAUSE_MS / 2);
            self.token = Token::None { not_before_ms: now_ms + after_ms, attempts };
            let why = match answer {
                Answer::Reply(reply) if reply.status == 429 => "rate limit reached".to_owned(),
                Answer::Reply(reply) => format!("status {}", reply.status),
                Answer::NotSent(cause) | Answer::Lost(cause) | Answer::Barred(cause) => {
                    reply::words(&cause, &scrubber)
                }
            };
            return Ok(Some((after_ms, why)));
        }
        let reply = match answer {
            Answer::Reply(reply) => reply,
            Answer::NotSent(cause) | Answer::Lost(cause) | Answer::Barred(cause) => {
                return Err(Failed::NotReached(format!("{place}: {}", reply::words(&cause, &scrubber))));
            }
        };
        if reply.status != 200 {
            let (code, message) = reply::message(&reply, &scrubber);
            return Err(Failed::Refused(Box::new(Refusal {
                host: self.connection.domain.clone(),
                method: Method::Post,
                path: "/oauth/token".to_owned(),
                status: reply.status,
                code,
                message: match until {
                    Some(until) => limited_words(message.trim_start_matches(": "), &until),
                    None => message.trim_start_matches(": ").to_owned(),
                },
                request_id: reply::request_id(&reply, &scrubber),
                attempts,
                unsure: false,
            })));
        }
        let json: Json = super::reply::json_of(&reply.body).unwrap_or(Json::Null);
        let Some(value) = json.get("access_token").and_then(Json::as_str) else {
            return Err(Failed::Misread(format!("{place}: no access_token in the reply")));
        };
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failed::Misread(format!("{place}: the access_token cannot be sent in a header")));
        }
        let lifetime_s = json.get("expires_in").and_then(Json::as_u64).unwrap_or(86_400);
        let lifetime_ms = lifetime_s.saturating_mul(1000);
        let scopes = json.get("scope").and_then(Json::as_str).unwrap_or_default();
        let value = Secret::new(value, crate::model::secret::Origin::Machine);
        // An error reply may echo the header that was sent.
        let mut scrubber = (*self.connection.scrubber).clone();
        scrubber.learn(&value);
        self.connection.scrubber = std::rc::Rc::new(scrubber.share());
        let good_ms = lifetime_ms.saturating_sub(TOKEN_MARGIN_MS.min(lifetime_ms / 4)).max(TOKEN_LIFE_MIN_MS);
        self.token = Token::Have {
            value,
            renew_at_ms: now_ms.saturating_add(good_ms),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        };
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::connection::{Grant, TwilioAuth};
    use super::*;
    use crate::model::api::ApiReply;
    use crate::model::scrub::Scrubber;
    use crate::model::secret::{Origin, Secret};

    const NOW_MS: u64 = 1_000_000_000;

    fn tenant() -> TenantGate {
        let secret = || Secret::new("s", Origin::Person);
        let connection = Connection {
            domain: "acme-dev.eu.auth0.com".into(),
            audience: String::new(),
            client_id: String::new(),
            grant: Grant::ClientSecret(secret()),
            account_sid: String::new(),
            twilio: TwilioAuth::Key { sid: String::new(), secret: secret() },
            scrubber: Rc::new(Scrubber::default()),
            share_percent: 80,
        };
        TenantGate::new(connection, 0)
    }

    fn told(remaining: &str) -> Answer {
        let headers = [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", remaining)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Answer::Reply(ApiReply { status: 200, headers, body: b"{}".to_vec() })
    }

    /// On the paid plans the log has a bucket of its own, of the size of the shared one.
    #[test]
    fn the_log_waits_for_its_own_bucket_and_for_the_shared_one() {
        let log = Bucket::OfSameSize;
        let mut tenant = tenant();
        for (bucket, remaining) in [(Bucket::Shared, "9"), (log, "2")] {
            tenant.sent(bucket);
            tenant.answered(&told(remaining), bucket, NOW_MS, NOW_MS);
        }
        assert!(tenant.may_send(Bucket::Shared, NOW_MS) && !tenant.may_send(log, NOW_MS));
        assert_eq!(tenant.next_time(Bucket::Shared, NOW_MS), Some(NOW_MS));
        assert!(tenant.next_time(log, NOW_MS).is_some_and(|at_ms| at_ms > NOW_MS));
        tenant.sent(Bucket::Shared);
        tenant.answered(&told("2"), Bucket::Shared, NOW_MS, NOW_MS);
        tenant.sent(log);
        tenant.answered(&told("9"), log, NOW_MS, NOW_MS);
        assert!(!tenant.may_send(log, NOW_MS), "it may be taken from the shared one");
    }
}
