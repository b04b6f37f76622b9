//! The lease: two applies to one tenant must not interleave.
//!
//! Auth0 enforces no unique name and has no compare-and-set, so the lease is a Twilio Serverless service with a unique
//! name, which the server refuses to make twice. Its friendly name holds the owner and a counter that a living owner
//! moves on. A lease whose counter does not move for the TTL, on our own clock, is taken over: delete by SID, then
//! create, which only one can win. Where the Twilio key may not do that, a nonce in the ledger is the best effort.

use std::cell::Cell;
use std::rc::Rc;

use ring::digest;
use serde_json::Value as Json;

use crate::kinds::text;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Repeat, Write};
use crate::model::plan::Event;
use crate::model::random::hex;
use crate::port::{Port, Reader, Writes};

/// Unchanged for this long means that the owner is gone. Longer than a request may take, so that a slow owner is not
/// taken for a dead one, and short enough to wait for after a crash.
pub const TTL_MS: u64 = 60_000;

/// A lease that is held, or the reason why there is none.
#[derive(Clone)]
pub struct Lease {
    sid: Option<String>,
    owner: String,
    counter: Rc<Cell<u64>>,
    lost: Rc<Cell<bool>>,
    /// When the latest beat was sent that is known to have arrived, in ms of our own clock.
    alive_ms: Rc<Cell<u64>>,
    ttl_ms: u64,
    /// Another run had it first: what was read before is as old as that run.
    waited: bool,
}

/// What came of asking for the lease.
pub enum Taken {
    Lease(Lease),
    /// A living owner has it.
    Held {
        owner: String,
    },
    /// Another account than the manifest's answered.
    OtherAccount(String),
}

/// Somebody's lease, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub sid: String,
    /// Owner and counter.
    pub owner: String,
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
/// It cannot be read, or the reply is no service: then nobody knows whether there is one.
pub async fn standing(tenant: &str, reader: &Reader) -> Result<Option<Standing>, Failed> {
    let get = Get::whole(Api::Serverless, format!("/v1/Services/{}", unique_name(tenant)));
    match reader.fresh(&get).await {
        // Nobody's lease is deleted by an id that a reply does not hold.
        Ok(service) if !is_sid(text(&service, "sid")) || !service["friendly_name"].is_string() => {
            Err(Failed::Misread("Serverless: the reply for the lease names no SID and owner".into()))
        }
        Ok(service) => Ok(Some(Standing {
            sid: text(&service, "sid").to_owned(),
            owner: super::reply::printable(text(&service, "friendly_name")),
        })),
        Err(failed) if failed.status() == Some(404) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Deletes a lease by its SID; gone already is fine.
pub async fn delete(sid: &str, port: &Port) -> Result<(), Failed> {
    let call = || write(Method::Delete, format!("/v1/Services/{sid}"), &[], Repeat::Safe);
    let mut gone = port.writer_of(Writes::Lease).send(call()).await;
    if matches!(gone, Err(Failed::Unknown(_))) {
        // Answered with something else than a deletion is: a second one does no harm.
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
        let owner: String = owner.chars().filter(|ch| !ch.is_control()).take(200).collect();
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
        // What an earlier lease of this process forbade is over: nothing is written before this one is there.
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
                // Accepted, but the reply names nothing: look what stands there.
                made @ (Ok(_) | Err(Failed::Unknown(_))) => match standing(tenant, &port.reader()).await {
                    Ok(Some(held)) if held.owner == super::reply::printable(&first) => {
                        lease.sid = Some(held.sid);
                        return Ok(Taken::Lease(lease));
                    }
                    Ok(_) => lost = made.err(),
                    // What stands there may be ours, so the next round looks once more.
                    Err(failed @ Failed::Misread(_)) => lost = Some(failed),
                    Err(failed) => return Err(failed),
                },
                Err(failed) if matches!(failed.status(), Some(401 | 403)) => {
                    port.tell(Event::Notice(format!(
                        "no lease: this Twilio key may not use Serverless ({failed}); two applies at once are told apart by the ledger only, as well as that goes"
                    )));
                    return Ok(Taken::Lease(lease));
                }
                Err(Failed::Refused(refusal)) if refusal.status < 500 => {
                    // The name is taken, or there is no room for another service.
                    match standing(tenant, &port.reader()).await? {
                        None if refusal.status == 409 => {
                            lease.waited = true;
                            continue;
                        }
                        // Another status may stand for either; what was taken is free by now.
                        None if !asked_again => {
                            asked_again = true;
                            continue;
                        }
                        None => {
                            port.tell(Event::Notice(format!(
                                "no lease: Twilio refuses another Serverless service ({}); two applies at once are told apart by the ledger only",
                                Failed::Refused(refusal)
                            )));
                            return Ok(Taken::Lease(lease));
                        }
                        Some(held) => match wait_out(held, tenant, ttl_ms, port).await? {
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
            None => Ok(Taken::Held { owner: "several runs at once".into() }),
        }
    }

    /// Whether the lease is a real one, not just a best effort.
    pub fn is_real(&self) -> bool {
        self.sid.is_some()
    }

    /// Whether another run had it while this one planned.
    pub fn was_waited_for(&self) -> bool {
        self.waited
    }

    /// Whether somebody took it over, or may have: for the whole TTL no beat is known to have arrived.
    pub fn is_lost(&self, port: &Port) -> bool {
        self.lost.get()
            || (self.is_real() && port.now_ms().saturating_sub(self.alive_ms.get()) >= self.ttl_ms)
    }

    /// Moves the counter on until it is dropped. Where that stops working, writes end before anybody else begins.
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
            port.tell(Event::Notice(format!("the lease in the other account stays: {failed}")));
        }
        return Taken::OtherAccount(other);
    }
    Taken::Lease(lease)
}

/// Watches a lease for the TTL. `Some`: its owner lives. `None`: it is gone, or was taken away as dead.
async fn wait_out(
    held: Standing,
    tenant: &str,
    ttl_ms: u64,
    port: &Port,
) -> Result<Option<Standing>, Failed> {
    port.tell(Event::Notice(format!(
        "the lease is held by {:?}; waiting up to {} s to see whether it is alive",
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
    port.tell(Event::Notice(format!("the lease of {:?} did not move; taking it over", held.owner)));
    delete(&held.sid, port).await?;
    Ok(None)
}
