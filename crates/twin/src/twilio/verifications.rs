//! Verifications, which the Auth0 Action starts and the feedback Function ends, and the summary that shows whether
//! feedback arrives. Nothing is sent anywhere.

use std::collections::BTreeMap;

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::clock::{self, iso_seconds};
use super::super::wire::{Outcome, Reply};
use super::super::world::{Verification, VerifyRateLimit, VerifyService};
use super::form::Form;
use super::verify::{service, service_mut};
use super::{Call, Route, VERIFY, is_sid, missing, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        host: VERIFY,
        method: Method::Post,
        pattern: "/v2/Services/{sid}/Verifications",
        operation: "start_verification",
        permission: "/twilio/verify/verification/create",
        run: start,
    },
    Route {
        host: VERIFY,
        method: Method::Get,
        pattern: "/v2/Services/{sid}/Verifications/{key}",
        operation: "get_verification",
        permission: "/twilio/verify/verification/read",
        run: get,
    },
    Route {
        host: VERIFY,
        method: Method::Post,
        pattern: "/v2/Services/{sid}/Verifications/{key}",
        operation: "update_verification",
        permission: "/twilio/verify/verification/update",
        run: update,
    },
    Route {
        host: VERIFY,
        method: Method::Get,
        pattern: "/v2/Attempts/Summary",
        operation: "get_attempts_summary",
        permission: "/twilio/verify/verification-attempts-summary/read",
        run: summary,
    },
];

/// A verification expires after ten minutes (Twilio docs, rate limits and timeouts, 2026).
const LIFETIME_MS: u64 = 600_000;
/// Sends to one number within the lifetime; the next one is refused with 60203 (same page).
const SENDS: usize = 5;
/// Most tags of one verification (Twilio docs, Verifications resource).
const TAGS: usize = 10;

const START_FIELDS: &[&str] = &[
    "To",
    "Channel",
    "CustomCode",
    "Locale",
    "TemplateSid",
    "TemplateCustomSubstitutions",
    "Templates",
    "CustomFriendlyName",
    "CustomMessage",
    "SendDigits",
    "AppHash",
    "DeviceIp",
    "RateLimits",
    "ChannelConfiguration",
    "EnableSnaClientToken",
    "RiskCheck",
    "Tags",
    "Amount",
    "Payee",
];

fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

fn alive(verification: &Verification, now_ms: u64) -> bool {
    verification.status == "pending" && now_ms < verification.created_at_ms.saturating_add(LIFETIME_MS)
}

/// Index of the pending verification of a SID or phone number. `None`: it ended or expired, and the API answers 404.
fn position(service: &VerifyService, key: &str, now_ms: u64) -> Option<usize> {
    service.verifications.iter().rposition(|one| (one.sid == key || one.to == key) && alive(one, now_ms))
}

fn start(call: &mut Call) -> Outcome {
    service(call)?;
    let form = Form::read(call, START_FIELDS)?;
    let to = form.need("To")?.to_owned();
    let channel = form.need("Channel")?.to_owned();
    if !["sms", "call", "email", "whatsapp", "sna", "auto", "rcs"].contains(&channel.as_str()) {
        return Err(refusal(400, 60200, "Invalid parameter `Channel`"));
    }
    let reachable = is_number(&to) || (channel == "email" && to.contains('@'));
    if !reachable {
        return Err(refusal(400, 60200, &format!("Invalid parameter `To`: {to}")));
    }
    if let Some(code) = form.text("CustomCode") {
        if !(4..=10).contains(&code.len()) {
            return Err(refusal(400, 60200, "Invalid parameter `CustomCode`"));
        }
        if !service(call)?.flag("custom_code_enabled") {
            return Err(refusal(403, 60204, "Custom code not allowed"));
        }
    }
    let code = form.text("CustomCode").map(str::to_owned);
    let limits = passed_limits(call, &form)?;
    if form.text("RiskCheck").is_some_and(|value| !["enable", "disable"].contains(&value)) {
        return Err(refusal(400, 60200, "Invalid parameter `RiskCheck`"));
    }
    if let Some(tags) = form.text("Tags") {
        let tags: Option<std::collections::BTreeMap<String, String>> = serde_json::from_str(tags).ok();
        if !tags
            .is_some_and(|tags| tags.len() <= TAGS && tags.iter().all(|(k, v)| k.len().max(v.len()) <= 128))
        {
            return Err(refusal(400, 60200, "Invalid parameter `Tags`"));
        }
    }
    let blocks = call.account()?.blocks.iter();
    if let Some((status, code, words)) = blocks.filter_map(|block| block.refusal(&to, &channel)).next() {
        return Err(refusal(status, code, words));
    }
    let now_ms = call.now_ms;
    let (service, ids) = service_mut(call)?;
    let passed = |limit: &VerifyRateLimit| limits.get(&limit.unique_name).cloned();
    let full = |limit: &VerifyRateLimit| passed(limit).is_some_and(|value| limit.is_used_up(&value, now_ms));
    if service.rate_limits.iter().any(full) {
        return Err(refusal(429, 20429, "Too many requests"));
    }
    let at = match position(service, &to, now_ms) {
        // Within the lifetime, the same verification is sent once more.
        Some(at) if service.verifications[at].sends.len() >= SENDS => {
            return Err(refusal(429, 60203, "Max send attempts reached"));
        }
        Some(at) => at,
        None => {
            service.verifications.push(Verification {
                sid: ids.sid("VE"),
                to,
                channel: channel.clone(),
                status: "pending".into(),
                created_at_ms: now_ms,
                updated_at_ms: now_ms,
                sends: Vec::new(),
                code: None,
            });
            service.verifications.len() - 1
        }
    };
    for limit in &mut service.rate_limits {
        if let Some(value) = passed(limit) {
            limit.count(&value, now_ms);
        }
    }
    let one = &mut service.verifications[at];
    one.channel = channel;
    one.code = code;
    one.sends.push(now_ms);
    one.updated_at_ms = now_ms;
    let one = one.clone();
    Ok(Reply::json(201, &verification_json(call, &one)))
}

/// The rate limits that the sender passes, with their values. An unknown name is refused or ignored, as the options
/// say.
fn passed_limits(call: &Call, form: &Form) -> Result<BTreeMap<String, String>, Reply> {
    let Some(text) = form.text("RateLimits") else { return Ok(BTreeMap::new()) };
    let bad = || refusal(400, 60200, "Invalid parameter `RateLimits`");
    let limits: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| bad())?;
    let known = &service(call)?.rate_limits;
    if !call.options.unknown_rate_limit_refused
        || limits.keys().all(|name| known.iter().any(|limit| limit.unique_name == *name))
    {
        Ok(limits)
    } else {
        Err(bad())
    }
}

fn get(call: &mut Call) -> Outcome {
    let service = service(call)?;
    let at = position(service, call.param(1), call.now_ms).ok_or_else(|| missing(&call.request.path))?;
    Ok(Reply::json(200, &verification_json(call, &service.verifications[at])))
}

/// The feedback call. A second or late call finds no pending verification and answers 404.
fn update(call: &mut Call) -> Outcome {
    service(call)?;
    let form = Form::read(call, &["Status"])?;
    let status = form.need("Status")?.to_owned();
    if !["approved", "canceled"].contains(&status.as_str()) {
        return Err(refusal(400, 60200, "Invalid parameter `Status`"));
    }
    let (key, now_ms, path) = (call.param(1).to_owned(), call.now_ms, call.request.path.clone());
    let service = service_mut(call)?.0;
    let at = position(service, &key, now_ms).ok_or_else(|| missing(&path))?;
    let one = &mut service.verifications[at];
    one.status = status;
    one.updated_at_ms = now_ms;
    let one = one.clone();
    Ok(Reply::json(200, &verification_json(call, &one)))
}

/// The summary of attempts. Each send is an attempt; an approved verification counts one of its sends as converted.
/// Dates are compared as ISO text, to the second.
fn summary(call: &mut Call) -> Outcome {
    let wanted = call.target.query("VerifyServiceSid");
    if wanted.is_some_and(|sid| !is_sid(sid, "VA")) {
        return Err(super::invalid("VerifyServiceSid is not a SID"));
    }
    let (after, before) = (call.target.query("DateCreatedAfter"), call.target.query("DateCreatedBefore"));
    for (name, text) in [("DateCreatedAfter", after), ("DateCreatedBefore", before)] {
        if text.is_some_and(|text| !clock::is_iso(text)) {
            return Err(super::invalid(&format!("{name} is not a date and time")));
        }
    }
    let within = |at_ms: u64| {
        let at = iso_seconds(at_ms);
        after.is_none_or(|after| at.as_str() >= after) && before.is_none_or(|before| at.as_str() <= before)
    };
    let (mut total, mut converted) = (0_u64, 0_u64);
    for service in
        call.account()?.verify_services.iter().filter(|one| wanted.is_none_or(|sid| one.sid == sid))
    {
        for one in &service.verifications {
            let sends = one.sends.iter().filter(|at_ms| within(**at_ms)).count() as u64;
            total += sends;
            // Exactly one of the sends led to the approval.
            converted += u64::from(one.status == "approved" && sends > 0);
        }
    }
    // The rate is a string, unlike the counts beside it (published schema).
    let hundredths = (converted * 10_000).checked_div(total).unwrap_or(0);
    Ok(Reply::json(
        200,
        &json!({
            "total_attempts": total,
            "total_converted": converted,
            "total_unconverted": total - converted,
            "conversion_rate_percentage": format!("{}.{:02}", hundredths / 100, hundredths % 100),
            "url": format!("https://{VERIFY}/v2/Attempts/Summary"),
        }),
    ))
}

fn verification_json(call: &Call, one: &Verification) -> Value {
    let attempts: Vec<Value> = one
        .sends
        .iter()
        .enumerate()
        .map(|(at, sent_at_ms)| {
            json!({"time": iso_seconds(*sent_at_ms), "channel": one.channel,
                "attempt_sid": format!("VL{:08x}{}", at, one.sid.get(2..26).unwrap_or_default())})
        })
        .collect();
    json!({
        "sid": one.sid,
        "service_sid": call.param(0),
        "account_sid": call.account_sid,
        "to": one.to,
        "channel": one.channel,
        "status": one.status,
        "valid": one.status == "approved",
        "lookup": {},
        "amount": null,
        "payee": null,
        "send_code_attempts": attempts,
        "sna": null,
        "date_created": iso_seconds(one.created_at_ms),
        "date_updated": iso_seconds(one.updated_at_ms),
        "url": format!("https://{VERIFY}/v2/Services/{}/Verifications/{}", call.param(0), one.sid),
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::json;

    use super::super::super::bench::Bench;

    const SERVICES: &str = "verify.twilio.com/v2/Services";

    fn service(bench: &mut Bench) -> String {
        let (_, made) = bench.twilio(Method::Post, SERVICES, &[("FriendlyName", "Acme")]);
        format!("{SERVICES}/{}", made["sid"].as_str().unwrap_or_default())
    }

    #[test]
    fn without_feedback_the_sixth_send_is_refused() {
        let mut bench = Bench::new();
        let service = service(&mut bench);
        let url = format!("{service}/Verifications");
        let send = [("To", "+15550100123"), ("Channel", "sms"), ("CustomCode", "123456")];
        assert_eq!(bench.twilio(Method::Post, &url, &send).1["code"], 60204, "custom codes are off");
        bench.twilio(Method::Post, &service, &[("CustomCodeEnabled", "true")]);
        let (_, first) = bench.twilio(Method::Post, &url, &send);
        for _ in 0..4 {
            let (status, again) = bench.twilio(Method::Post, &url, &send);
            assert_eq!((status, &again["sid"]), (201, &first["sid"]), "the same verification");
        }
        assert_eq!(bench.twilio(Method::Post, &url, &send).1["code"], 60203);
        let feedback = format!("{url}/%2B15550100123");
        let (status, approved) = bench.twilio(Method::Post, &feedback, &[("Status", "approved")]);
        assert_eq!(
            (status, &approved["status"], &approved["valid"]),
            (200, &json!("approved"), &json!(true))
        );
        assert_eq!(bench.twilio(Method::Post, &feedback, &[("Status", "approved")]).1["code"], 20404);
        assert_eq!(bench.twilio(Method::Post, &url, &send).0, 201);
        let (_, summary) = bench.twilio(Method::Get, "verify.twilio.com/v2/Attempts/Summary", &[]);
        assert_eq!((&summary["total_attempts"], &summary["total_converted"]), (&json!(6), &json!(1)));
        assert_eq!(summary["conversion_rate_percentage"], "16.66");
    }

    #[test]
    fn a_rate_limit_counts_what_the_sender_passes() {
        let mut bench = Bench::new();
        let service = service(&mut bench);
        let url = format!("{service}/Verifications");
        let send = |bench: &mut Bench, to: &str, limits: &str| {
            let form = [("To", to), ("Channel", "sms"), ("RateLimits", limits)];
            let (status, body) = bench.twilio(Method::Post, &url, &form);
            (status, body["code"].as_u64().unwrap_or(0))
        };
        let by_ip = "{\"by_ip\":\"192.0.2.1\"}";
        assert_eq!(send(&mut bench, "+15550100123", by_ip), (400, 60200), "no such limit yet");
        let limits = format!("{service}/RateLimits");
        let (_, limit) = bench.twilio(Method::Post, &limits, &[("UniqueName", "by_ip")]);
        let buckets = format!("{limits}/{}/Buckets", limit["sid"].as_str().unwrap_or_default());
        for _ in 0..3 {
            assert_eq!(send(&mut bench, "+15550100123", by_ip).0, 201, "without buckets nothing is limited");
        }
        bench.now_ms += 3_600_000;
        bench.twilio(Method::Post, &buckets, &[("Max", "2"), ("Interval", "60")]);
        assert_eq!(send(&mut bench, "+15550100123", by_ip).0, 201);
        assert_eq!(send(&mut bench, "+15550100124", by_ip).0, 201);
        assert_eq!(send(&mut bench, "+15550100125", by_ip), (429, 20429), "another number, the same address");
        assert_eq!(send(&mut bench, "+15550100125", "{\"by_ip\":\"192.0.2.2\"}").0, 201);
        assert_eq!(send(&mut bench, "+15550100125", "{}").0, 201, "who passes nothing is not counted");
        bench.now_ms += 60_000;
        assert_eq!(send(&mut bench, "+15550100125", by_ip).0, 201, "the interval is over");
        for bad in ["[]", "by_ip", "{\"by_ip\":1}", "{\"by_ip\":\"x\",\"nope\":\"x\"}"] {
            assert_eq!(send(&mut bench, "+15550100123", bad), (400, 60200), "{bad}");
        }
    }

    #[test]
    fn a_verification_ends_by_itself() {
        let mut bench = Bench::new();
        let url = format!("{}/Verifications", service(&mut bench));
        let (_, one) = bench.twilio(Method::Post, &url, &[("To", "+15550100123"), ("Channel", "call")]);
        let key = format!("{url}/{}", one["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Get, &key, &[]).0, 200);
        bench.now_ms += 600_000;
        assert_eq!(bench.twilio(Method::Get, &key, &[]).0, 404);
        for bad in [[("To", "0123"), ("Channel", "sms")], [("To", "+15550100123"), ("Channel", "fax")]] {
            assert_eq!(bench.twilio(Method::Post, &url, &bad).1["code"], 60200);
        }
        let limits = [("To", "+15550100123"), ("Channel", "sms"), ("RateLimits", "{\"nope\":\"1\"}")];
        assert_eq!(bench.twilio(Method::Post, &url, &limits).0, 400);
    }
}
