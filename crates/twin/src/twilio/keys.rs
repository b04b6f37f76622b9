//! The account itself (2010 API) and its API keys (IAM v1). Only the reply that creates a key shows its secret.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::clock::{iso_seconds, rfc2822};
use super::super::wire::{Outcome, Reply};
use super::super::world::{ApiKey, KeyKind};
use super::form::Form;
use super::{CORE, Call, IAM, Route, invalid, is_sid, missing, refusal};

const fn iam(
    method: Method,
    pattern: &'static str,
    operation: &'static str,
    permission: &'static str,
    run: fn(&mut Call) -> Outcome,
) -> Route {
    Route { host: IAM, method, pattern, operation, permission, run }
}

pub(super) const ROUTES: &[Route] = &[
    Route {
        host: CORE,
        method: Method::Get,
        pattern: "/2010-04-01/Accounts/{sid}.json",
        operation: "get_account",
        permission: "",
        run: get_account,
    },
    iam(Method::Get, "/v1/Keys", "list_keys", "/twilio/iam/api-keys/read", list),
    iam(Method::Post, "/v1/Keys", "create_key", "", create),
    iam(Method::Get, "/v1/Keys/{sid}", "get_key", "/twilio/iam/api-keys/read", get),
    iam(Method::Post, "/v1/Keys/{sid}", "update_key", "", update),
    iam(Method::Delete, "/v1/Keys/{sid}", "delete_key", "", delete),
];

/// Most permissions that a restricted key may have (Twilio docs, restricted API keys, 2025-12).
const PERMISSIONS: usize = 100;

/// Reads an account. This is the only call in which a parent account may name a subaccount. The reply holds the
/// account's token.
fn get_account(call: &mut Call) -> Outcome {
    let sid = call.param(0);
    let account = call.world.accounts.get(sid);
    let account =
        account.filter(|one| one.sid == call.account_sid || one.owner_account_sid == call.account_sid);
    let account = account.ok_or_else(|| missing(&call.request.path))?;
    let uri = format!("/2010-04-01/Accounts/{sid}.json");
    Ok(Reply::json(
        200,
        &json!({
            "sid": account.sid,
            "friendly_name": account.friendly_name,
            "auth_token": account.auth_token.clone().unwrap_or_else(|| "0".repeat(32)),
            "status": account.status,
            "type": if account.trial { "Trial" } else { "Full" },
            "owner_account_sid": account.owner_account_sid,
            "date_created": rfc2822(0),
            "date_updated": rfc2822(0),
            "subresource_uris": {"keys": format!("/2010-04-01/Accounts/{sid}/Keys.json")},
            "uri": uri,
        }),
    ))
}

fn list(call: &mut Call) -> Outcome {
    let account_sid =
        call.target.query("AccountSid").ok_or_else(|| invalid("Missing required parameter AccountSid"))?;
    check_account(call, account_sid)?;
    let live = call.world.keys.iter().filter(|(_, key)| !key.deleted && key.account_sid == account_sid);
    // The list shows neither the policy nor the kind of a key.
    let items = live.map(|(sid, key)| {
        json!({"sid": sid, "friendly_name": key.friendly_name, "date_created": iso_seconds(key.created_at_ms),
            "date_updated": iso_seconds(key.updated_at_ms), "flags": []})
    });
    let items = items.collect();
    call.page("keys", items)
}

fn check_account(call: &Call, account_sid: &str) -> Result<(), Reply> {
    if account_sid == call.account_sid { Ok(()) } else { Err(super::unauthenticated()) }
}

fn create(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["AccountSid", "FriendlyName", "KeyType", "Policy"])?;
    check_account(call, form.need("AccountSid")?)?;
    let restricted = match form.text("KeyType") {
        None => false,
        Some("restricted") => true,
        Some(_) => return Err(invalid("KeyType is not valid")),
    };
    let allow = match (restricted, form.text("Policy")) {
        (true, Some(policy)) => read_policy(policy)?,
        (true, None) => return Err(invalid("Missing required parameter Policy")),
        (false, Some(_)) => return Err(invalid("Policy needs KeyType restricted")),
        (false, None) => Vec::new(),
    };
    let (account_sid, now_ms) = (call.account_sid.clone(), call.now_ms);
    let is_live = |key: &&ApiKey| !key.deleted && key.account_sid == account_sid;
    if call.world.keys.values().filter(is_live).count() >= call.options.key_limit {
        return Err(refusal(400, 70151, "The account has as many API keys as it may have"));
    }
    let ids = &mut call.world.ids;
    let (sid, secret) = (ids.sid("SK"), ids.word(32));
    let key = ApiKey {
        account_sid,
        secret: Some(secret.clone()),
        kind: if restricted { KeyKind::Restricted } else { KeyKind::Standard },
        allow,
        friendly_name: read_name(&form)?,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        deleted: false,
    };
    let mut body = key_json(&sid, &key);
    body["secret"] = json!(secret);
    call.world.keys.insert(sid, key);
    Ok(Reply::json(201, &body))
}

fn read_name(form: &Form) -> Result<String, Reply> {
    let name = form.text("FriendlyName").unwrap_or_default();
    if name.chars().count() > 64 { Err(invalid("FriendlyName is too long")) } else { Ok(name.to_owned()) }
}

/// Reads `{"allow": [...]}`, a list of permission strings.
fn read_policy(text: &str) -> Result<Vec<String>, Reply> {
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid("Policy is not JSON"))?;
    let list =
        policy.get("allow").and_then(Value::as_array).ok_or_else(|| invalid("Policy has no allow list"))?;
    let allow: Option<Vec<String>> = list
        .iter()
        .map(|item| item.as_str().filter(|text| text.starts_with("/twilio/")).map(str::to_owned))
        .collect();
    match allow {
        Some(allow) if !allow.is_empty() && allow.len() <= PERMISSIONS => Ok(allow),
        _ => Err(invalid("Policy holds a permission that is not valid")),
    }
}

fn key<'a>(call: &'a Call) -> Result<&'a ApiKey, Reply> {
    let sid = call.param(0);
    let found = call
        .world
        .keys
        .get(sid)
        .filter(|key| is_sid(sid, "SK") && !key.deleted && key.account_sid == call.account_sid);
    found.ok_or_else(|| missing(&call.request.path))
}

fn get(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &key_json(call.param(0), key(call)?)))
}

fn update(call: &mut Call) -> Outcome {
    let mut new = key(call)?.clone();
    let form = Form::read(call, &["FriendlyName", "Policy"])?;
    if form.text("FriendlyName").is_some() {
        new.friendly_name = read_name(&form)?;
    }
    if let Some(policy) = form.text("Policy") {
        if new.kind != KeyKind::Restricted {
            return Err(invalid("Policy needs a restricted key"));
        }
        new.allow = read_policy(policy)?;
    }
    new.updated_at_ms = call.now_ms;
    let sid = call.param(0).to_owned();
    call.world.keys.insert(sid, new);
    get(call)
}

fn delete(call: &mut Call) -> Outcome {
    key(call)?;
    let sid = call.param(0).to_owned();
    if let Some(key) = call.world.keys.get_mut(&sid) {
        key.deleted = true;
    }
    Ok(Reply::empty())
}

fn key_json(sid: &str, key: &ApiKey) -> Value {
    let policy = match key.kind {
        KeyKind::Restricted => json!({ "allow": key.allow }),
        _ => Value::Null,
    };
    json!({
        "sid": sid,
        "friendly_name": key.friendly_name,
        "date_created": iso_seconds(key.created_at_ms),
        "date_updated": iso_seconds(key.updated_at_ms),
        "policy": policy,
    })
}
