//! One real message through the provider's test call, for `smoke`, and the wait until Verify has its attempt. The only
//! write is that call: nothing of the stack changes, so there is no lease and no record.

use serde_json::{Value as Json, json};

use super::apply::timestamp;
use super::observe::{Session, observe};
use crate::kinds::text;
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::phone;
use crate::model::secret::percent_encode;
use crate::model::text::line;
use crate::port::Port;

/// Pause between two looks for the attempt: Verify allows 100 reads of attempts a minute ("Twilio docs, Attempts
/// resource", 2026-08).
const LOOK_MS: u64 = 2_000;
/// The clocks of two vendors differ: an attempt that is this much older than the call may be its own.
const SLACK_MS: u64 = 10_000;

/// What to send.
#[derive(Clone)]
pub struct Wish {
    /// In E.164 form.
    pub to: String,
    pub voice: bool,
    /// How long to wait for the attempt.
    pub wait_ms: u64,
}

/// What became of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smoked {
    /// What happened, each with the time since the call in ms.
    pub hops: Vec<(u64, String)>,
    /// Verify has the attempt.
    pub arrived: bool,
}

/// Sends and waits.
///
/// # Errors
/// The tenant could not be read, the stack is not applied, or the call was refused.
pub async fn smoke(session: &Session, wish: &Wish, port: &Port) -> Result<Smoked, Failed> {
    let reader = port.reader();
    let observation = observe(session, &reader).await?;
    let id_of = |kind: &str, id: &str| -> Result<String, Failed> {
        let seen = observation.seen.get(&Address::of(kind)).filter(|seen| seen.exists);
        let found = seen.and_then(|seen| seen.ids.get(id)).cloned();
        found.ok_or_else(|| {
            Failed::NotDone(format!("there is no {kind} to send through: apply the manifest first"))
        })
    };
    let (provider, service) = (id_of("phone_provider", "id")?, id_of("verify_service", "sid")?);
    let path = format!("/api/v2/branding/phone/providers/{provider}/try");
    let method = if wish.voice { "voice" } else { "text" };
    let body = json!({ "to": wish.to, "delivery_method": method });
    let since = timestamp(port.server_now_ms().saturating_sub(SLACK_MS));
    let attempts = format!(
        "/v2/Attempts?VerifyServiceSid={service}&ChannelData.To={}&DateCreatedAfter={}&PageSize=20",
        percent_encode(&wish.to),
        percent_encode(&since)
    );
    let look = Get::whole(Api::Verify, attempts);
    // Those of an earlier message to the same number are not this one's.
    let earlier = attempts_of(&reader.fresh(&look).await?)?;
    let began_ms = port.now_ms();
    let took = |port: &Port| port.now_ms().saturating_sub(began_ms);
    let mut hops = vec![(
        0,
        format!("asked Auth0 for a test message to {} ({})", phone::shown(&wish.to), channel(wish)),
    )];
    port.writer().json(Method::Post, path, body, Repeat::NeverBlind).await?;
    hops.push((took(port), "Auth0 took it and runs the Action".to_owned()));
    loop {
        let attempts = attempts_of(&reader.fresh(&look).await?)?;
        let is_new = |one: &&Json| !earlier.iter().any(|known| text(known, "sid") == text(one, "sid"));
        if let Some(attempt) = attempts.iter().find(is_new) {
            hops.push((took(port), format!("Verify has the attempt ({})", said(attempt))));
            return Ok(Smoked { hops, arrived: true });
        }
        if took(port) >= wish.wait_ms {
            hops.push((took(port), "Verify has no attempt".to_owned()));
            return Ok(Smoked { hops, arrived: false });
        }
        reader.sleep_ms(LOOK_MS).await;
        if reader.interrupted() {
            return Err(Failed::Stopped);
        }
    }
}

fn channel(wish: &Wish) -> &'static str {
    if wish.voice { "voice" } else { "sms" }
}

/// The attempts of a reply.
fn attempts_of(reply: &Json) -> Result<Vec<Json>, Failed> {
    let list = reply["attempts"].as_array().cloned();
    list.ok_or_else(|| Failed::Misread("GET /v2/Attempts: no list of attempts".into()))
}

/// Channel and states of an attempt, without the number.
fn said(attempt: &Json) -> String {
    let data = &attempt["channel_data"];
    let status =
        [text(data, "message_status"), text(data, "call_status"), text(attempt, "conversion_status")];
    let words = std::iter::once(text(attempt, "channel")).chain(status).filter(|word| !word.is_empty());
    line(&words.collect::<Vec<_>>().join(", "))
}
