//! The promotion of an account's secondary auth token, for `rotate --promote-auth-token`.

use serde_json::Value as Json;

use super::lease::{Lease, Taken};
use super::observe::Session;
use crate::kinds::text;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Repeat, Write};
use crate::model::secret::Secret;
use crate::port::{Port, Reader};

/// Which of the account's tokens the manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// The present one, which a promotion ends.
    Present,
    /// Another one that works: the secondary one.
    Second,
}

/// Compares the account's present token with the one of the manifest. Neither leaves the memory of this run.
///
/// # Errors
/// The account cannot be read.
pub async fn looks(account: &str, token: &Secret, reader: &Reader) -> Result<Tokens, Failed> {
    let path = format!("/2010-04-01/Accounts/{account}.json");
    let read = reader.get(&Get::whole(Api::Core, path)).await?;
    which(&read, account, token)
}

/// Which token the manifest has, by the account as it was read. An account that shows no token tells nothing.
fn which(read: &Json, account: &str, token: &Secret) -> Result<Tokens, Failed> {
    if text(read, "sid") != account {
        return Err(Failed::Misread("the account: not the one that was asked for".into()));
    }
    match text(read, "auth_token") {
        "" => Err(Failed::Misread("the account: it does not show its auth token".into())),
        present if present == token.expose() => Ok(Tokens::Present),
        _ => Ok(Tokens::Second),
    }
}

/// Promotes the secondary token, while no run applies to the tenant. The inner error says who has the lease.
///
/// # Errors
/// Twilio refused, or the answer was lost, or the token that is the only one now is not that of the manifest.
pub async fn promote(session: &Session, token: &Secret, port: &Port) -> Result<Result<(), String>, Failed> {
    let taken =
        Lease::take(&session.tenant, &session.account, &session.who, session.lease_ttl_ms, port).await?;
    let lease = match taken {
        Taken::Lease(lease) => lease,
        Taken::Held { owner } => return Ok(Err(owner)),
        Taken::OtherAccount(other) => {
            return Err(Failed::NotDone(format!(
                "the Twilio credentials belong to account {other}; nothing was changed"
            )));
        }
    };
    let path = "/v1/AuthTokens/Promote".to_owned();
    let write = Write {
        api: Api::Accounts,
        method: Method::Post,
        path,
        body: Body::None,
        repeat: Repeat::NeverBlind,
    };
    let sent = port.writer().send(write).await;
    let judged = match sent {
        // If the answer was lost, the account tells which token is the present one.
        Err(Failed::Unknown(cause)) => match looks(&session.account, token, &port.reader()).await {
            Ok(Tokens::Present) => Ok(()),
            _ => Err(Failed::Unknown(cause)),
        },
        sent => sent.and_then(|reply| is_ours(&reply, token)),
    };
    // The token of this run is the only one now, so the lease can be given back with it.
    let released = lease.release(port).await;
    judged?;
    if let Err(failed) = released {
        port.tell(crate::model::event::Event::notice(format!(
            "the lease could not be released and expires by itself: {failed}"
        )));
    }
    Ok(Ok(()))
}

fn is_ours(reply: &Json, token: &Secret) -> Result<(), Failed> {
    match text(reply, "auth_token") == token.expose() {
        true => Ok(()),
        false => Err(Failed::NotDone(
            "a token was promoted, and it is not the one in twilio.auth_token: put the account's present token there (Twilio \
             Console, API keys & tokens)"
                .into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::secret::Origin;

    /// Whoever is taken to have the second token has the first one ended.
    #[test]
    fn an_account_that_shows_no_token_is_not_taken_to_have_another_one() {
        let token = Secret::new("0123456789abcdef0123456789abcdef", Origin::Machine);
        let which = |read: Json| which(&read, "AC1", &token).ok();
        assert_eq!(which(json!({ "sid": "AC1", "auth_token": token.expose() })), Some(Tokens::Present));
        assert_eq!(which(json!({ "sid": "AC1", "auth_token": "another" })), Some(Tokens::Second));
        for read in [
            json!({ "sid": "AC1" }),
            json!({ "sid": "AC1", "auth_token": null }),
            json!({ "sid": "AC1", "auth_token": "" }),
            json!({ "sid": "AC2", "auth_token": "another" }),
        ] {
            assert_eq!(which(read.clone()), None, "{read}");
        }
    }
}
