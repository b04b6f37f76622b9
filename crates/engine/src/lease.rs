//! The lease: two applies to one tenant must not interleave.
//!
//! Auth0 enforces no unique name and has no compare-and-set, so the lease is a Twilio Serverless service with a unique
//! name, which the server refuses to make twice. Its friendly name holds the owner, the beat, the TTL and a counter:
//! `me [beat 15 s, ttl 60 s] #3`. A living owner raises the counter once per beat.
//!
//! A run that waits uses the TTL that the lease itself names, and its own clock. If the counter does not move for the
//! TTL, the owner is gone, and the waiting run takes the lease over: it deletes by SID, then creates, which only one
//! run can win. If the Twilio key may neither read nor write Serverless, a nonce in the ledger is the best effort. If
//! the key may read there and not write, the run ends, because the lease is its first write.

use std::cell::Cell;
use std::rc::Rc;

use ring::digest;
use serde_json::Value as Json;

use crate::kinds::text;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Refusal, Repeat, Write};
use crate::model::event::Event;
use crate::model::ledger::{Held, Ledger};
use crate::model::random::hex;
use crate::model::text::{line, line_of};
use crate::port::{Port, Reader, Writes};

/// TTL of a lease that names none: if it does not change for this long, its owner is gone. Longer than a request may
/// take, so that a slow owner is not taken for a dead one, and short enough to wait for after a crash.
pub const TTL_MS: u64 = 60_000;
/// Shortest TTL that is used, even if a lease names a shorter one: a beat takes a round trip.
const TTL_MIN_MS: u64 = 1_000;
/// Longest TTL that is used: anybody can write the text of a lease, and it must not keep everybody out for a year.
pub const TTL_MAX_MS: u64 = 10 * 60_000;
/// An apply with nothing to do looks for a lease left behind only if the last recorded run is younger than this. A
/// nightly run thus looks once, and the runs after it that change nothing either send no further request.
const LEFT_OVER_MS: u64 = 25 * 60 * 60_000;

/// The lease of a run. Without a `sid` there is none, and the nonce in the ledger is the best effort.
#[derive(Clone)]
pub struct Lease {
    sid: Option<String>,
    /// Owner, beat and TTL: all of the name but the counter.
    owner: String,
    counter: Rc<Cell<u64>>,
    lost: Rc<Cell<bool>>,
    /// Time at which the latest beat that is known to have arrived was sent, by our own clock.
    alive_ms: Rc<Cell<u64>>,
    ttl_ms: u64,
    /// Another run held the lease before, so what this run has read may be out of date.
    waited: bool,
}

/// The outcome of asking for the lease.
pub enum Taken {
    Lease(Lease),
    /// A living owner has it.
    Held {
        owner: String,
    },
    /// Another account than the manifest's answered. Holds its SID.
    OtherAccount(String),
}

/// A lease as it was read, of any run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub sid: String,
    /// Owner and counter.
    pub owner: String,
}

impl Standing {
    /// The TTL that the lease names: if the lease does not change for this long, its owner is gone.
    fn ttl_ms(&self) -> u64 {
        let word = || {
            let (_, of_its_own) = self.owner.rsplit_once('[')?;
            let (_, ttl) = of_its_own.split_once(']')?.0.split_once("ttl ")?;
            let (number, unit) = ttl.trim().split_once(' ')?;
            let number: u64 = number.parse().ok()?;
            match unit {
                "s" => number.checked_mul(1000),
                "ms" => Some(number),
                _ => None,
            }
        };
        word().unwrap_or(TTL_MS).clamp(TTL_MIN_MS, TTL_MAX_MS)
    }
}

/// The owner with the beat and the TTL of its lease.
fn with_word(owner: &str, ttl_ms: u64) -> String {
    let shown =
        |ms: u64| if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") };
    format!("{owner} [beat {}, ttl {}]", shown(ttl_ms / 4), shown(ttl_ms))
}

/// The name that the server keeps unique.
pub fn unique_name(tenant: &str) -> String {
    let hash = digest::digest(&digest::SHA256, tenant.as_bytes());
    format!("lockstep-lease-{}", hex(&hash.as_ref()[..8]))
}

fn write(method: Method, path: String, form: &[(&str, &str)], repeat: Repeat) -> Write {
    let pairs =
        form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
    let body = if pairs.is_empty() { Body::None } else { Body::Form(pairs) };
    Write { api: Api::Serverless, method, path, body, repeat }
}

/// Whether a text can stand for a service in a path.
fn is_sid(sid: &str) -> bool {
    !sid.is_empty() && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The lease of a tenant, if somebody has it.
///
/// # Errors
/// The lease cannot be read, or the reply is no service, so it is unknown whether there is a lease.
pub async fn standing(tenant: &str, reader: &Reader) -> Result<Option<Standing>, Failed> {
    let get = Get::whole(Api::Serverless, format!("/v1/Services/{}", unique_name(tenant)));
    match reader.fresh(&get).await {
        // The lease may be deleted by this SID later, so a reply without a SID is an error.
        Ok(service) if !is_sid(text(&service, "sid")) || !service["friendly_name"].is_string() => {
            Err(Failed::Misread("Serverless: the reply for the lease names no SID and owner".into()))
        }
        Ok(service) if service["unique_name"].as_str().is_some_and(|name| name != unique_name(tenant)) => {
            Err(Failed::Misread("Serverless: the reply for the lease is another service".into()))
        }
        Ok(service) => Ok(Some(Standing {
            sid: text(&service, "sid").to_owned(),
            owner: line(text(&service, "friendly_name")),
        })),
        Err(failed) if failed.status() == Some(404) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Whether a refusal of the lease's create may mean that its name is taken, or that the account has no room for another
/// service (20001). A gateway's redirection means neither.
fn is_full_or_taken(refusal: &Refusal) -> bool {
    let by_twilio = refusal.code.as_deref().is_some_and(|code| code.parse::<u32>().is_ok());
    matches!(refusal.status, 400 | 409) || ((400..500).contains(&refusal.status) && by_twilio)
}

/// Deletes a lease by its SID; gone already is fine.
pub async fn delete(sid: &str, port: &Port) -> Result<(), Failed> {
    let call = || write(Method::Delete, format!("/v1/Services/{sid}"), &[], Repeat::Safe);
    let mut gone = port.writer_of(Writes::Lease).send(call()).await;
    if matches!(gone, Err(Failed::Unknown(_))) {
        // The reply is not the one of a deletion. Send it once more, which does no harm.
        gone = port.writer_of(Writes::Lease).send(call()).await;
    }
    match gone {
        Ok(_) => Ok(()),
        Err(failed) if failed.status() == Some(404) => Ok(()),
        Err(failed) => Err(failed),
    }
}

impl Lease {
    /// Takes the lease, waiting out a dead owner.
    pub async fn take(
        tenant: &str,
        account: &str,
        owner: &str,
        ttl_ms: u64,
        port: &Port,
    ) -> Result<Taken, Failed> {
        let name = unique_name(tenant);
        let ttl_ms = ttl_ms.clamp(TTL_MIN_MS, TTL_MAX_MS);
        let owner = with_word(&line_of(owner, 180), ttl_ms);
        let mut lease = Lease {
            sid: None,
            owner: owner.clone(),
            counter: Rc::new(Cell::new(0)),
            lost: Rc::new(Cell::new(false)),
            alive_ms: Rc::new(Cell::new(port.now_ms())),
            ttl_ms,
            waited: false,
        };
        let first = format!("{owner} #0");
        // Lift the fence of an earlier lease of this process: until this lease is held, nothing else is written.
        port.fence(u64::MAX);
        // Each round either wins, or ends, or has seen a take-over by somebody else.
        let mut lost = None;
        let mut asked_again = false;
        for _ in 0..5 {
            lease.alive_ms.set(port.now_ms());
            let form = [
                ("UniqueName", name.as_str()),
                ("FriendlyName", first.as_str()),
                ("IncludeCredentials", "false"),
            ];
            let made = port
                .writer()
                .send(write(Method::Post, "/v1/Services".into(), &form, Repeat::NeverBlind))
                .await;
            match made {
                Ok(service) if is_sid(text(&service, "sid")) => {
                    lease.waited |= asked_again;
                    return Ok(checked(lease, &service, account, port).await);
                }
                // The answer was lost, or names no SID: look which lease there is.
                made @ (Ok(_) | Err(Failed::Unknown(_))) => match standing(tenant, &port.reader()).await {
                    Ok(Some(held)) if held.owner == line(&first) => {
                        lease.sid = Some(held.sid);
                        return Ok(Taken::Lease(lease));
                    }
                    Ok(_) => lost = made.err(),
                    // The lease may be ours, so the next round looks once more.
                    Err(failed @ Failed::Misread(_)) => lost = Some(failed),
                    Err(failed) => return Err(failed),
                },
                Err(failed) if failed.status() == Some(401) => return Err(failed),
                Err(failed) if failed.status() == Some(403) => {
                    // A key that may read Serverless and not write there is a read-only key: the run fails. A key
                    // without any access to Serverless may still be right for everything else.
                    match standing(tenant, &port.reader()).await {
                        Err(unread) if unread.status() == Some(403) => {}
                        Err(unread) if unread.status().is_none() => return Err(unread),
                        _ => return Err(failed),
                    }
                    port.tell(Event::notice(format!(
                        "no lease: this Twilio key may not use Serverless ({failed}); only the ledger guards against a second apply at the same time, which is less certain"
                    )));
                    return Ok(Taken::Lease(lease));
                }
                Err(Failed::Refused(refusal)) if is_full_or_taken(&refusal) => {
                    // The name is taken, or there is no room for another service.
                    match standing(tenant, &port.reader()).await? {
                        None if refusal.status == 409 => {
                            lease.waited = true;
                            continue;
                        }
                        // Another status may mean either. If the name was taken, it is free by now: ask once more.
                        None if !asked_again => {
                            asked_again = true;
                            continue;
                        }
                        None => {
                            port.tell(Event::notice(format!(
                                "no lease: Twilio refuses another Serverless service ({}); only the ledger guards against a second apply at the same time",
                                Failed::Refused(refusal)
                            )));
                            return Ok(Taken::Lease(lease));
                        }
                        Some(held) => match wait_out(held, tenant, port).await? {
                            Some(living) => return Ok(Taken::Held { owner: living.owner }),
                            None => {
                                lease.waited = true;
                                continue;
                            }
                        },
                    }
                }
                Err(failed) => return Err(failed),
            }
        }
        match lost {
            Some(failed) => Err(failed),
            None => Ok(Taken::Held { owner: "one of several other runs".into() }),
        }
    }

    /// Whether there is a real lease, not just a best effort.
    pub fn is_real(&self) -> bool {
        self.sid.is_some()
    }

    /// The lease as the record keeps it, for a later run that finds it left behind.
    pub fn receipt(&self) -> Option<Held> {
        self.sid.clone().map(|sid| Held { sid, ttl_ms: self.ttl_ms })
    }

    /// Whether another run held the lease while this one planned.
    pub fn was_waited_for(&self) -> bool {
        self.waited
    }

    /// Whether another run took the lease over, or may have, because no beat is known to have arrived for the whole
    /// TTL.
    pub fn is_lost(&self, port: &Port) -> bool {
        self.lost.get()
            || (self.is_real() && port.now_ms().saturating_sub(self.alive_ms.get()) >= self.ttl_ms)
    }

    /// Raises the counter once per beat until the future is dropped. If the beats stop arriving, the fence ends the
    /// writes of this run before another run may begin.
    pub async fn keep(&self, port: &Port) {
        let Some(sid) = &self.sid else { return };
        loop {
            port.fence(self.alive_ms.get() + self.ttl_ms);
            port.reader().sleep_ms((self.ttl_ms / 4).max(1)).await;
            if port.interrupted() {
                return;
            }
            self.counter.set(self.counter.get() + 1);
            let name = format!("{} #{}", self.owner, self.counter.get());
            let call =
                write(Method::Post, format!("/v1/Services/{sid}"), &[("FriendlyName", &name)], Repeat::Safe);
            let sent_ms = port.now_ms();
            match port.writer_of(Writes::Lease).send(call).await {
                Ok(_) => self.alive_ms.set(sent_ms),
                Err(failed) if failed.status() == Some(404) => {
                    self.lost.set(true);
                    port.fence(0);
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// Gives the lease back.
    pub async fn release(&self, port: &Port) -> Result<(), Failed> {
        match &self.sid {
            Some(sid) if !self.lost.get() => delete(sid, port).await,
            _ => Ok(()),
        }
    }
}

/// The account that answered must be the manifest's, or everything after this would go to somebody else's account.
async fn checked(mut lease: Lease, service: &Json, account: &str, port: &Port) -> Taken {
    lease.sid = Some(text(service, "sid").to_owned());
    let answered = text(service, "account_sid");
    if !answered.is_empty() && answered != account {
        let other = answered.to_owned();
        if let Err(failed) = lease.release(port).await {
            port.tell(Event::notice(format!(
                "the lease that was created in the other account could not be deleted: {failed}"
            )));
        }
        return Taken::OtherAccount(other);
    }
    Taken::Lease(lease)
}

/// Deletes the lease of a run that is over and did not release it. Looks only if the record gives a reason: the last
/// run left its intent, or wrote its result under a lease not long ago, or this is a destroy without a record. For runs
/// that have nothing to do; other runs take the lease anyway.
///
/// # Errors
/// The lease cannot be read or deleted, and stays.
pub async fn clear_left_over(
    tenant: &str,
    ledger: Option<&Ledger>,
    is_destroy: bool,
    port: &Port,
) -> Result<(), Failed> {
    let last = ledger.and_then(|ledger| ledger.history.last());
    let over = last.and_then(|last| {
        let lease = last.lease.as_ref()?;
        let at: jiff::Timestamp = last.at.parse().ok()?;
        let at_ms = u64::try_from(at.as_millisecond()).ok()?;
        // Until the TTL is over, that run may still release the lease itself.
        let ttl_ms = lease.ttl_ms.clamp(TTL_MIN_MS, TTL_MAX_MS);
        let age_ms = port.server_now_ms().checked_sub(at_ms)?;
        (ttl_ms..LEFT_OVER_MS).contains(&age_ms).then_some(lease)
    });
    let unfinished = ledger.is_some_and(|ledger| ledger.intent.is_some());
    // A destroy that finished has deleted the record, so it may have left a lease.
    let unknown = is_destroy && ledger.is_none();
    if over.is_none() && !unfinished && !unknown {
        return Ok(());
    }
    let Some(held) = standing(tenant, &port.reader()).await? else { return Ok(()) };
    if over.is_some_and(|lease| lease.sid == held.sid) {
        port.tell(Event::notice(format!("deleting the lease of {:?}, whose run is over", held.owner)));
        return delete(&held.sid, port).await;
    }
    wait_out(held, tenant, port).await.map(|_| ())
}

/// Watches a lease for the TTL. `Some`: its owner lives. `None`: it is gone, or was taken away as dead.
async fn wait_out(held: Standing, tenant: &str, port: &Port) -> Result<Option<Standing>, Failed> {
    let ttl_ms = held.ttl_ms();
    port.tell(Event::notice(format!(
        "the lease is held by {:?}; waiting up to {} s to see whether that run is alive",
        held.owner,
        ttl_ms.div_ceil(1000)
    )));
    let until = port.now_ms() + ttl_ms;
    while port.now_ms() < until {
        port.reader().sleep_ms((ttl_ms / 5).clamp(1, until - port.now_ms())).await;
        if port.interrupted() {
            return Err(Failed::Stopped);
        }
        match standing(tenant, &port.reader()).await? {
            None => return Ok(None),
            Some(now) if now != held => return Ok(Some(now)),
            Some(_) => {}
        }
    }
    port.tell(Event::notice(format!(
        "the lease of {:?} was not renewed, so its run is gone; taking it over",
        held.owner
    )));
    delete(&held.sid, port).await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_vendor_says_of_a_full_account_does_not_go_without_a_lease() {
        let refused = |status, code: Option<&str>| Refusal {
            host: "serverless.twilio.com".into(),
            method: Method::Post,
            path: "/v1/Services".into(),
            status,
            code: code.map(str::to_owned),
            message: String::new(),
            request_id: None,
            attempts: 1,
            unsure: false,
        };
        for (status, code, may_be) in [
            (400, Some("20001"), true),
            (400, None, true),
            (409, None, true),
            (422, Some("20001"), true),
            (301, None, false),
            (308, None, false),
            (418, None, false),
            (404, Some("not_found"), false),
        ] {
            assert_eq!(is_full_or_taken(&refused(status, code)), may_be, "{status} {code:?}");
        }
    }

    #[test]
    fn a_lease_is_given_the_time_that_it_asks_for_within_reason() {
        for (name, ttl_ms) in [
            ("me@here pid 1 [beat 15 s, ttl 60 s] #3", 60_000),
            ("me@here pid 1 [beat 1500 ms, ttl 6 s] #0", 6_000),
            ("me [ttl 2 s] @here [beat 30 s, ttl 120 s] #12", 120_000),
            ("me@here pid 1 #3", TTL_MS),
            ("me [beat 15 s, ttl soon] #3", TTL_MS),
            ("me [beat 15 s, ttl -1 s] #3", TTL_MS),
            ("me [beat 15 s, ttl 0 s] #3", TTL_MIN_MS),
            ("me [beat 15 s, ttl 99999999999 s] #3", TTL_MAX_MS),
            ("me [beat 15 s, ttl 18446744073709551615 s] #3", TTL_MS),
        ] {
            let standing = Standing { sid: "ZS1".into(), owner: name.into() };
            assert_eq!(standing.ttl_ms(), ttl_ms, "{name}");
        }
        let standing = Standing { sid: "ZS1".into(), owner: format!("{} #7", with_word("me", 6_500)) };
        assert_eq!(standing.ttl_ms(), 6_500);
    }
}
