//! Twilio credentials that the stack hands on: to the Action that sends, to the Function that reports.
//!
//! Wrong ones would be seen only by users whose codes do not come, so they are tried before they are written. What
//! they may do is not tried: nothing that Verify offers is without an effect.

use super::is_sid;
use crate::model::call::{Credentials, Failed};
use crate::model::manifest::Manifest;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Value};
use crate::port::{Answered, LOOK_AGAIN_MS, Reader};

/// Codes of refusals that mean the credentials themselves ("Twilio docs, error 20003 and 20403", 2026-08): wrong or
/// deleted, and of an account that is suspended or closed. A key that may not read Verify services is refused as
/// well, with another code.
const DEAD: [&str; 2] = ["20003", "20403"];

fn held(attrs: &Attrs, field: &str) -> Option<String> {
    let text = match attrs.get(field)? {
        Value::Secret(secret) => secret.expose(),
        value => value.as_str()?,
    };
    (!text.is_empty()).then(|| text.to_owned())
}

/// Tries the credentials that stand under these names among the attributes, if they are complete and not the ones
/// that this program itself uses. A whole key wins over the account's token, as in the built-in code.
///
/// # Errors
/// Twilio does not take them, or it was not to be found out: nothing was written.
pub(super) async fn tried(
    attrs: &Attrs,
    prefix: &str,
    manifest: &Manifest,
    reader: &Reader,
) -> Result<(), Failed> {
    let value = |name: &str| held(attrs, &format!("{prefix}{name}"));
    let key = value("TWILIO_API_KEY").zip(value("TWILIO_API_SECRET"));
    let token = value("TWILIO_ACCOUNT_SID").zip(value("TWILIO_AUTH_TOKEN"));
    let names = match key {
        Some(_) => "TWILIO_API_KEY and TWILIO_API_SECRET",
        None => "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN",
    };
    // What is no SID at all may be a placeholder of a sandbox, and nothing but a SID can be asked about.
    let Some((user, secret)) = key.or(token).filter(|(user, _)| is_sid(user, "SK") || is_sid(user, "AC"))
    else {
        return Ok(());
    };
    let own = |sid: &str, secret_key: &str| {
        manifest.text("twilio", sid) == Some(&user)
            && manifest.secret("twilio", secret_key).is_some_and(|own| own.expose() == secret)
    };
    if own("api_key", "api_secret") || own("account_sid", "auth_token") {
        return Ok(());
    }
    let credentials = Credentials { user, secret: Secret::new(&*secret, Origin::Person) };
    let dead = |answer: &Answered| match answer {
        Err(Failed::Refused(refusal)) => refusal.code.as_deref().is_some_and(|code| DEAD.contains(&code)),
        _ => false,
    };
    let mut answer = reader.probe(credentials.clone()).await;
    if dead(&answer) {
        // Once is no proof: a gateway refuses so too, and keys that were just made are not known everywhere.
        reader.sleep_ms(LOOK_AGAIN_MS).await;
        answer = reader.probe(credentials).await;
    }
    match answer {
        Err(failed) if dead(&Err(failed.clone())) => Err(Failed::NotDone(format!(
            "Twilio does not take the credentials in {names} ({failed}); nothing was written: correct their values"
        ))),
        Ok(_) => Ok(()),
        // Refused for what it may not read, which it need not: Twilio knows who asks.
        Err(Failed::Refused(refusal)) if refusal.status < 500 => Ok(()),
        Err(Failed::Stopped) => Err(Failed::Stopped),
        Err(failed) => Err(Failed::NotDone(format!(
            "whether Twilio takes the credentials in {names} was not to be found out: {failed}"
        ))),
    }
}
