//! Verify v2, the parts of a service: rate limits with their buckets, and messaging configurations.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::clock::iso_seconds;
use super::super::ids::Ids;
use super::super::wire::{Outcome, Reply};
use super::super::world::{MessagingConfiguration, VerifyBucket, VerifyRateLimit};
use super::form::Form;
use super::verify::{bad, route, service, service_mut};
use super::{Call, Route, VERIFY, missing, refusal};

const LIMITS: &str = "/v2/Services/{sid}/RateLimits";
const LIMIT: &str = "/v2/Services/{sid}/RateLimits/{limit}";
const BUCKETS: &str = "/v2/Services/{sid}/RateLimits/{limit}/Buckets";
const BUCKET: &str = "/v2/Services/{sid}/RateLimits/{limit}/Buckets/{bucket}";
const MESSAGING: &str = "/v2/Services/{sid}/MessagingConfigurations";
const COUNTRY: &str = "/v2/Services/{sid}/MessagingConfigurations/{country}";

/// No permission is known for messaging configurations, so no restricted key may use them.
pub(super) const ROUTES: &[Route] = &[
    route(Method::Get, LIMITS, "list_rate_limits", "/twilio/verify/rate-limit/list", list_limits),
    route(Method::Post, LIMITS, "create_rate_limit", "/twilio/verify/rate-limit/create", create_limit),
    route(Method::Get, LIMIT, "get_rate_limit", "/twilio/verify/rate-limit/read", get_limit),
    route(Method::Post, LIMIT, "update_rate_limit", "/twilio/verify/rate-limit/update", update_limit),
    route(Method::Delete, LIMIT, "delete_rate_limit", "/twilio/verify/rate-limit/delete", delete_limit),
    route(Method::Get, BUCKETS, "list_buckets", "/twilio/verify/bucket/list", list_buckets),
    route(Method::Post, BUCKETS, "create_bucket", "/twilio/verify/bucket/create", create_bucket),
    route(Method::Get, BUCKET, "get_bucket", "/twilio/verify/bucket/read", get_bucket),
    route(Method::Post, BUCKET, "update_bucket", "/twilio/verify/bucket/update", update_bucket),
    route(Method::Delete, BUCKET, "delete_bucket", "/twilio/verify/bucket/delete", delete_bucket),
    route(Method::Get, MESSAGING, "list_messaging_configurations", "", list_messaging),
    route(Method::Post, MESSAGING, "create_messaging_configuration", "", create_messaging),
    route(Method::Get, COUNTRY, "get_messaging_configuration", "", get_messaging),
    route(Method::Post, COUNTRY, "update_messaging_configuration", "", update_messaging),
    route(Method::Delete, COUNTRY, "delete_messaging_configuration", "", delete_messaging),
];

fn limit<'a>(call: &'a Call) -> Result<&'a VerifyRateLimit, Reply> {
    let found = service(call)?.rate_limits.iter().find(|limit| limit.sid == call.param(1));
    found.ok_or_else(|| missing(&call.request.path))
}

fn limit_mut<'a>(call: &'a mut Call) -> Result<(&'a mut VerifyRateLimit, &'a mut Ids), Reply> {
    let (sid, path) = (call.param(1).to_owned(), call.request.path.clone());
    let (service, ids) = service_mut(call)?;
    let found = service.rate_limits.iter_mut().find(|limit| limit.sid == sid);
    found.map(|limit| (limit, ids)).ok_or_else(|| missing(&path))
}

fn list_limits(call: &mut Call) -> Outcome {
    let service = service(call)?;
    let items =
        service.rate_limits.iter().map(|limit| limit_json(&call.account_sid, &service.sid, limit)).collect();
    call.page("rate_limits", items)
}

fn create_limit(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["UniqueName", "Description"])?;
    let name = form.need("UniqueName")?.to_owned();
    let description = form.text("Description").unwrap_or_default().to_owned();
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&letter);
    if name.len() > 64 || !name.chars().all(allowed) {
        return Err(refusal(400, 60209, "Rate limit unique name is invalid"));
    }
    let (account_sid, now_ms) = (call.account_sid.clone(), call.now_ms);
    let most = call.options.verify_rate_limit_limit;
    let (service, ids) = service_mut(call)?;
    if service.rate_limits.iter().any(|limit| limit.unique_name == name) {
        return Err(refusal(400, 60208, "Rate limit with the same unique name already exists"));
    }
    if service.rate_limits.len() >= most {
        return Err(refusal(400, 60207, "Max rate limits per service reached"));
    }
    let limit = VerifyRateLimit {
        sid: ids.sid("RK"),
        unique_name: name,
        description,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        buckets: Vec::new(),
        counted: Default::default(),
    };
    let reply = Reply::json(201, &limit_json(&account_sid, &service.sid, &limit));
    service.rate_limits.push(limit);
    Ok(reply)
}

fn get_limit(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &limit_json(&call.account_sid, call.param(0), limit(call)?)))
}

fn update_limit(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["Description"])?;
    let now_ms = call.now_ms;
    let limit = limit_mut(call)?.0;
    if let Some(description) = form.text("Description") {
        description.clone_into(&mut limit.description);
    }
    limit.updated_at_ms = now_ms;
    get_limit(call)
}

fn delete_limit(call: &mut Call) -> Outcome {
    let sid = limit(call)?.sid.clone();
    service_mut(call)?.0.rate_limits.retain(|limit| limit.sid != sid);
    Ok(Reply::empty())
}

fn limit_json(account_sid: &str, service_sid: &str, limit: &VerifyRateLimit) -> Value {
    let url = format!("https://{VERIFY}/v2/Services/{service_sid}/RateLimits/{}", limit.sid);
    json!({
        "sid": limit.sid,
        "service_sid": service_sid,
        "account_sid": account_sid,
        "unique_name": limit.unique_name,
        "description": limit.description,
        "date_created": iso_seconds(limit.created_at_ms),
        "date_updated": iso_seconds(limit.updated_at_ms),
        "url": url,
        "links": {"buckets": format!("{url}/Buckets")},
    })
}

fn list_buckets(call: &mut Call) -> Outcome {
    let items = limit(call)?.buckets.iter().map(|bucket| bucket_json(call, bucket)).collect();
    call.page("buckets", items)
}

fn create_bucket(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["Max", "Interval"])?;
    form.need("Max")?;
    form.need("Interval")?;
    let max = form.number("Max", 1, 1_000_000)?.unwrap_or(1);
    let interval = form.number("Interval", 1, 86_400)?.unwrap_or(1);
    let (most, now_ms) = (call.options.verify_bucket_limit, call.now_ms);
    let (limit, ids) = limit_mut(call)?;
    if limit.buckets.iter().any(|bucket| bucket.interval == interval) {
        return Err(refusal(400, 60211, "Bucket with the same interval already exists"));
    }
    if limit.buckets.len() >= most {
        return Err(refusal(400, 60210, "Max buckets per rate limit reached"));
    }
    let bucket =
        VerifyBucket { sid: ids.sid("BL"), max, interval, created_at_ms: now_ms, updated_at_ms: now_ms };
    limit.buckets.push(bucket.clone());
    Ok(Reply::json(201, &bucket_json(call, &bucket)))
}

fn bucket<'a>(call: &'a Call) -> Result<&'a VerifyBucket, Reply> {
    let found = limit(call)?.buckets.iter().find(|bucket| bucket.sid == call.param(2));
    found.ok_or_else(|| missing(&call.request.path))
}

fn get_bucket(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &bucket_json(call, bucket(call)?)))
}

fn update_bucket(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["Max", "Interval"])?;
    let mut bucket = bucket(call)?.clone();
    bucket.max = form.number("Max", 1, 1_000_000)?.unwrap_or(bucket.max);
    bucket.interval = form.number("Interval", 1, 86_400)?.unwrap_or(bucket.interval);
    bucket.updated_at_ms = call.now_ms;
    let limit = limit_mut(call)?.0;
    if limit.buckets.iter().any(|other| other.sid != bucket.sid && other.interval == bucket.interval) {
        return Err(refusal(400, 60211, "Bucket with the same interval already exists"));
    }
    if let Some(stored) = limit.buckets.iter_mut().find(|stored| stored.sid == bucket.sid) {
        stored.clone_from(&bucket);
    }
    Ok(Reply::json(200, &bucket_json(call, &bucket)))
}

fn delete_bucket(call: &mut Call) -> Outcome {
    let sid = bucket(call)?.sid.clone();
    limit_mut(call)?.0.buckets.retain(|bucket| bucket.sid != sid);
    Ok(Reply::empty())
}

fn bucket_json(call: &Call, bucket: &VerifyBucket) -> Value {
    let (service_sid, limit_sid) = (call.param(0), call.param(1));
    json!({
        "sid": bucket.sid,
        "rate_limit_sid": limit_sid,
        "service_sid": service_sid,
        "account_sid": call.account_sid,
        "max": bucket.max,
        "interval": bucket.interval,
        "date_created": iso_seconds(bucket.created_at_ms),
        "date_updated": iso_seconds(bucket.updated_at_ms),
        "url": format!(
            "https://{VERIFY}/v2/Services/{service_sid}/RateLimits/{limit_sid}/Buckets/{}", bucket.sid
        ),
    })
}

fn list_messaging(call: &mut Call) -> Outcome {
    let configurations = &service(call)?.messaging_configurations;
    let items = configurations.iter().map(|(country, one)| messaging_json(call, country, one)).collect();
    call.page("messaging_configurations", items)
}

fn create_messaging(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["Country", "MessagingServiceSid"])?;
    let country = form.need("Country")?.to_owned();
    let two_letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    if !two_letters && country != "all" {
        return Err(bad("Country"));
    }
    let sid = need_messaging_sid(&form)?;
    let now_ms = call.now_ms;
    let configurations = &mut service_mut(call)?.0.messaging_configurations;
    if configurations.contains_key(&country) {
        return Err(refusal(400, 60213, "A messaging configuration for this country already exists"));
    }
    let one =
        MessagingConfiguration { messaging_service_sid: sid, created_at_ms: now_ms, updated_at_ms: now_ms };
    configurations.insert(country.clone(), one.clone());
    Ok(Reply::json(201, &messaging_json(call, &country, &one)))
}

fn need_messaging_sid(form: &Form) -> Result<String, Reply> {
    form.need("MessagingServiceSid")?;
    let sid = form.sid("MessagingServiceSid", "MG").map_err(|_| bad("MessagingServiceSid"))?;
    Ok(sid.unwrap_or_default().to_owned())
}

fn messaging<'a>(call: &'a Call) -> Result<&'a MessagingConfiguration, Reply> {
    let found = service(call)?.messaging_configurations.get(call.param(1));
    found.ok_or_else(|| missing(&call.request.path))
}

fn get_messaging(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &messaging_json(call, call.param(1), messaging(call)?)))
}

fn update_messaging(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["MessagingServiceSid"])?;
    let mut one = messaging(call)?.clone();
    one.messaging_service_sid = need_messaging_sid(&form)?;
    one.updated_at_ms = call.now_ms;
    let country = call.param(1).to_owned();
    service_mut(call)?.0.messaging_configurations.insert(country, one);
    get_messaging(call)
}

fn delete_messaging(call: &mut Call) -> Outcome {
    messaging(call)?;
    let country = call.param(1).to_owned();
    service_mut(call)?.0.messaging_configurations.remove(&country);
    Ok(Reply::empty())
}

fn messaging_json(call: &Call, country: &str, one: &MessagingConfiguration) -> Value {
    let service_sid = call.param(0);
    json!({
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "country": country,
        "messaging_service_sid": one.messaging_service_sid,
        "date_created": iso_seconds(one.created_at_ms),
        "date_updated": iso_seconds(one.updated_at_ms),
        "url": format!("https://{VERIFY}/v2/Services/{service_sid}/MessagingConfigurations/{country}"),
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::json;

    use super::super::super::Options;
    use super::super::super::bench::Bench;

    fn service(bench: &mut Bench) -> String {
        let (_, made) =
            bench.twilio(Method::Post, "verify.twilio.com/v2/Services", &[("FriendlyName", "Acme")]);
        format!("verify.twilio.com/v2/Services/{}", made["sid"].as_str().unwrap_or_default())
    }

    #[test]
    fn rate_limits_and_their_buckets() {
        let mut bench = Bench::new();
        let limits = format!("{}/RateLimits", service(&mut bench));
        let form = [("UniqueName", "end_user_ip"), ("Description", "d")];
        let (status, limit) = bench.twilio(Method::Post, &limits, &form);
        assert_eq!(status, 201);
        assert_eq!(bench.twilio(Method::Post, &limits, &form).1["code"], 60208);
        assert_eq!(bench.twilio(Method::Post, &limits, &[("UniqueName", "a b")]).1["code"], 60209);
        let one = format!("{limits}/{}", limit["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Post, &one, &[("UniqueName", "x")]).0, 400, "the name cannot change");
        assert_eq!(bench.twilio(Method::Post, &one, &[("Description", "new")]).1["description"], "new");
        let buckets = format!("{one}/Buckets");
        let (status, bucket) = bench.twilio(Method::Post, &buckets, &[("Max", "5"), ("Interval", "60")]);
        assert_eq!((status, &bucket["max"], &bucket["interval"]), (201, &json!(5), &json!(60)));
        assert_eq!(
            bench.twilio(Method::Post, &buckets, &[("Max", "9"), ("Interval", "60")]).1["code"],
            60211
        );
        let bucket = format!("{buckets}/{}", bucket["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Post, &bucket, &[("Max", "7")]).1["max"], 7);
        assert_eq!(bench.twilio(Method::Get, &buckets, &[]).1["buckets"][0]["max"], 7);
        assert_eq!(bench.twilio(Method::Delete, &bucket, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Delete, &one, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Get, &one, &[]).0, 404);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let options = Options { verify_rate_limit_limit: 1, verify_bucket_limit: 1, ..Options::default() };
        let mut bench = Bench::with(options);
        let limits = format!("{}/RateLimits", service(&mut bench));
        let (_, limit) = bench.twilio(Method::Post, &limits, &[("UniqueName", "a")]);
        assert_eq!(bench.twilio(Method::Post, &limits, &[("UniqueName", "b")]).1["code"], 60207);
        let buckets = format!("{limits}/{}/Buckets", limit["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Post, &buckets, &[("Max", "5"), ("Interval", "60")]).0, 201);
        assert_eq!(
            bench.twilio(Method::Post, &buckets, &[("Max", "5"), ("Interval", "61")]).1["code"],
            60210
        );
    }

    #[test]
    fn the_interval_of_a_bucket_may_not_become_that_of_another() {
        let mut bench = Bench::new();
        let limits = format!("{}/RateLimits", service(&mut bench));
        let (_, limit) = bench.twilio(Method::Post, &limits, &[("UniqueName", "a")]);
        let buckets = format!("{limits}/{}/Buckets", limit["sid"].as_str().unwrap_or_default());
        bench.twilio(Method::Post, &buckets, &[("Max", "5"), ("Interval", "60")]);
        let (_, other) = bench.twilio(Method::Post, &buckets, &[("Max", "5"), ("Interval", "90")]);
        let other = format!("{buckets}/{}", other["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Post, &other, &[("Interval", "60")]).1["code"], 60211);
        for bad in [("Max", "0"), ("Max", "many"), ("Interval", "0"), ("Interval", "86401")] {
            assert_eq!(bench.twilio(Method::Post, &other, &[bad]).0, 400, "{bad:?}");
        }
    }

    #[test]
    fn messaging_configurations_are_named_by_country() {
        let mut bench = Bench::new();
        let url = format!("{}/MessagingConfigurations", service(&mut bench));
        let sid = "MG00000000000000000000000000000001";
        let form = [("Country", "CA"), ("MessagingServiceSid", sid)];
        assert_eq!(bench.twilio(Method::Post, &url, &form).0, 201);
        assert_eq!(bench.twilio(Method::Post, &url, &form).1["code"], 60213);
        let bad = [("Country", "Canada"), ("MessagingServiceSid", sid)];
        assert_eq!(bench.twilio(Method::Post, &url, &bad).1["code"], 60200);
        assert_eq!(bench.twilio(Method::Get, &format!("{url}/CA"), &[]).1["messaging_service_sid"], sid);
        assert_eq!(bench.twilio(Method::Delete, &format!("{url}/CA"), &[]).0, 204);
        assert_eq!(bench.twilio(Method::Delete, &format!("{url}/CA"), &[]).0, 404);
    }
}
