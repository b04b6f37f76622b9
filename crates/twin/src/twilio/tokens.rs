//! The two tokens of an account (Accounts v1). A call is about the account of its credential.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::clock::iso_seconds;
use super::super::wire::{Outcome, Reply};
use super::{ACCOUNTS, Call, Route, invalid, missing};

const fn route(
    method: Method,
    pattern: &'static str,
    operation: &'static str,
    run: fn(&mut Call) -> Outcome,
) -> Route {
    Route { host: ACCOUNTS, method, pattern, operation, permission: "", run }
}

pub(super) const ROUTES: &[Route] = &[
    route(Method::Post, "/v1/AuthTokens/Secondary", "create_secondary_token", create),
    route(Method::Delete, "/v1/AuthTokens/Secondary", "delete_secondary_token", delete),
    route(Method::Post, "/v1/AuthTokens/Promote", "promote_token", promote),
];

/// Makes the second token. A second one beside it is refused; what Twilio answers then is not documented.
fn create(call: &mut Call) -> Outcome {
    no_body(call)?;
    let (account, ids) = call.account_mut()?;
    if account.secondary_auth_token.is_some() {
        return Err(invalid("The account has a secondary auth token already"));
    }
    let token = ids.word(32);
    account.secondary_auth_token = Some(token.clone());
    Ok(Reply::json(201, &shown(call, "secondary_auth_token", &token, "Secondary")))
}

fn delete(call: &mut Call) -> Outcome {
    let path = call.request.path.clone();
    call.account_mut()?.0.secondary_auth_token.take().ok_or_else(|| missing(&path))?;
    Ok(Reply::empty())
}

/// Makes the second token the only one: the former token stops at once.
fn promote(call: &mut Call) -> Outcome {
    no_body(call)?;
    let path = call.request.path.clone();
    let account = call.account_mut()?.0;
    let token = account.secondary_auth_token.take().ok_or_else(|| missing(&path))?;
    account.auth_token = Some(token.clone());
    Ok(Reply::json(200, &shown(call, "auth_token", &token, "Promote")))
}

fn no_body(call: &Call) -> Result<(), Reply> {
    if call.request.body.is_empty() { Ok(()) } else { Err(invalid("The call takes no parameters")) }
}

fn shown(call: &Call, name: &str, token: &str, path: &str) -> Value {
    json!({
        "account_sid": call.account_sid,
        name: token,
        "date_created": iso_seconds(call.now_ms),
        "date_updated": iso_seconds(call.now_ms),
        "url": format!("https://{ACCOUNTS}/v1/AuthTokens/{path}"),
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;

    use super::super::super::bench::{ACCOUNT, Bench};
    use super::super::super::world::{ApiKey, KeyKind};

    const TOKENS: &str = "accounts.twilio.com/v1/AuthTokens";
    const SERVICES: &str = "verify.twilio.com/v2/Services";

    /// The bench's own calls have the password `secret`.
    #[test]
    fn both_tokens_work_until_the_second_one_is_promoted() {
        let mut bench = Bench::new();
        bench.twin.world.account_mut(ACCOUNT).auth_token = Some("secret".into());
        assert_eq!(bench.twilio(Method::Post, &format!("{TOKENS}/Promote"), &[]).0, 404, "there is none");
        let (status, made) = bench.twilio(Method::Post, &format!("{TOKENS}/Secondary"), &[]);
        let second = made["secondary_auth_token"].as_str().unwrap_or_default().to_owned();
        assert_eq!((status, second.len(), made["account_sid"].as_str()), (201, 32, Some(ACCOUNT)));
        assert_eq!(bench.twilio(Method::Post, &format!("{TOKENS}/Secondary"), &[]).0, 400);
        assert_eq!(bench.twilio(Method::Get, SERVICES, &[]).0, 200, "the first token works");
        let account = bench.twin.world.account_mut(ACCOUNT);
        account.auth_token = Some("another".into());
        account.secondary_auth_token = Some("secret".into());
        assert_eq!(bench.twilio(Method::Get, SERVICES, &[]).0, 200, "so does the second");
        let (status, promoted) = bench.twilio(Method::Post, &format!("{TOKENS}/Promote"), &[]);
        assert_eq!((status, promoted["auth_token"].as_str()), (200, Some("secret")));
        let account = bench.twin.world.account_mut(ACCOUNT);
        assert_eq!(account.auth_token.as_deref(), Some("secret"), "the former one is gone");
        assert_eq!(account.secondary_auth_token, None);
        assert_eq!(bench.twilio(Method::Delete, &format!("{TOKENS}/Secondary"), &[]).0, 404);
    }

    #[test]
    fn a_standard_key_reaches_neither_keys_nor_tokens() {
        let mut bench = Bench::new();
        let key = "SK00000000000000000000000000000001";
        bench.twin.world.keys.insert(key.into(), ApiKey::new(ACCOUNT, KeyKind::Standard));
        for (method, url) in [
            (Method::Post, format!("{TOKENS}/Secondary")),
            (Method::Get, format!("iam.twilio.com/v1/Keys?AccountSid={ACCOUNT}")),
        ] {
            let (status, refused) = bench.twilio_as(key, method, &url, &[]);
            assert_eq!((status, refused["code"].as_u64()), (401, Some(20003)), "{url}");
        }
    }

    #[test]
    fn an_account_has_a_last_key() {
        let mut bench = Bench::new();
        bench.twin.options.key_limit = 1;
        let form = [("AccountSid", ACCOUNT), ("FriendlyName", "k")];
        assert_eq!(bench.twilio(Method::Post, "iam.twilio.com/v1/Keys", &form).0, 201);
        let (status, refused) = bench.twilio(Method::Post, "iam.twilio.com/v1/Keys", &form);
        assert_eq!((status, refused["code"].as_u64()), (400, Some(70151)));
    }
}
