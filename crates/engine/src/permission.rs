//! Names what a refused write lacked: the credential, and the permission or scope that it needs.
//!
//! Auth0 may name the scopes of a token when it gives the token. Twilio never names the permissions of a key, so a
//! refused write is the first sign there. Refusals with one of Verify's own codes have other causes than permissions.

use crate::diag::remote;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Refusal};
use crate::model::manifest::Manifest;

/// Auth0's code for a token without the scope ("Auth0 docs, Management API errors", 2026-08).
const NO_SCOPE: &str = "insufficient_scope";
/// First digits of Verify's own codes, for refusals that no permission would prevent ("Twilio docs, Verify error
/// codes", 2026-08): 60204, for example, if the account may not send custom codes.
const OF_VERIFY: &str = "60";
const TWILIO: [Api; 6] = [Api::Verify, Api::Serverless, Api::Upload, Api::Core, Api::Iam, Api::Accounts];
/// For requests that no known permission of a restricted key allows ("Twilio docs, restricted API keys", 2025-12).
const NO_RESTRICTED_KEY: &str =
    "which restricted keys do not have: use a standard key, a main key or the auth token";

/// The failure in words. `scopes`: what the write needs at Auth0.
pub fn failure_in_words(failed: &Failed, manifest: &Manifest, scopes: &[&str]) -> String {
    let known = Some(remote::words(failed)).filter(|words| !words.is_empty()).map(str::to_owned);
    match lacking(failed, manifest, scopes).or(known) {
        Some(more) => format!("{failed}; {more}"),
        None => failed.to_string(),
    }
}

fn lacking(failed: &Failed, manifest: &Manifest, scopes: &[&str]) -> Option<String> {
    let Failed::Refused(refusal) = failed else { return None };
    let at_twilio = TWILIO.iter().any(|api| is_at(refusal, *api));
    match refusal.status {
        403 if !at_twilio && refusal.code.as_deref() == Some(NO_SCOPE) && !scopes.is_empty() => {
            let client = manifest.text("auth0", "client_id").unwrap_or_default();
            Some(format!("the application {client} needs {} for it", scopes.join(" and ")))
        }
        401 | 403 if at_twilio && !of_verify(refusal) => {
            let (whose, needs) = (credential(manifest)?, permission(refusal));
            Some(match refusal.status {
                401 => {
                    format!("Twilio does not accept {whose}, or not for this request, which needs {needs}")
                }
                _ => format!("{whose} may not do this: it needs {needs}"),
            })
        }
        _ => None,
    }
}

fn is_at(refusal: &Refusal, api: Api) -> bool {
    api.fixed_host() == Some(refusal.host.as_str())
}

fn of_verify(refusal: &Refusal) -> bool {
    refusal.code.as_deref().is_some_and(|code| code.len() == 5 && code.starts_with(OF_VERIFY))
}

/// The credential that this program itself uses at Twilio.
fn credential(manifest: &Manifest) -> Option<String> {
    let key = manifest.text("twilio", "api_key").map(|sid| format!("the key {sid} (twilio.api_key)"));
    let token = || {
        let account = manifest.text("twilio", "account_sid")?;
        Some(format!("the auth token of {account} (twilio.auth_token)"))
    };
    key.or_else(token)
}

/// The permission of a write, by its name for restricted keys; or else which credentials have it.
fn permission(refusal: &Refusal) -> String {
    if is_at(refusal, Api::Serverless) || is_at(refusal, Api::Upload) {
        return format!("write access to Serverless, {NO_RESTRICTED_KEY}");
    }
    // `/v2/Services/VA…/RateLimits/RK…/Buckets`: collections and SIDs alternate.
    let segments: Vec<&str> = refusal.path.split('/').skip(2).collect();
    let named = |segment: &&str| COLLECTIONS.iter().find(|(collection, _)| collection == segment);
    let resource = segments.iter().rev().find_map(named).and_then(|(_, resource)| *resource);
    let verb = match (refusal.method, segments.len() % 2) {
        (Method::Delete, _) => "delete",
        (Method::Get, 0) => "read",
        (Method::Get, _) => "list",
        (_, 0) => "update",
        (..) => "create",
    };
    match resource {
        Some(resource) => format!("the permission /twilio/verify/{resource}/{verb}"),
        None => format!("a permission for {} {}, {NO_RESTRICTED_KEY}", refusal.method, refusal.path),
    }
}

/// Collections of Verify, and what restricted keys call them; `None`: no permission is known.
const COLLECTIONS: [(&str, Option<&str>); 4] = [
    ("Services", Some("service")),
    ("RateLimits", Some("rate-limit")),
    ("Buckets", Some("bucket")),
    ("MessagingConfigurations", None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Attrs, Value};

    fn refused(host: &str, method: Method, path: &str, status: u16, code: &str) -> Failed {
        Failed::Refused(Box::new(Refusal {
            host: host.into(),
            method,
            path: path.into(),
            status,
            code: Some(code.into()),
            message: String::new(),
            request_id: None,
            attempts: 1,
            unsure: false,
        }))
    }

    fn manifest() -> Manifest {
        let auth0 = Attrs::from([("client_id".into(), Value::text("client-1"))]);
        let twilio = Attrs::from([("api_key".into(), Value::text("SK1"))]);
        let sections = [("auth0".into(), auth0), ("twilio".into(), twilio)].into();
        Manifest { stack: "acme".into(), sections }
    }

    #[test]
    fn a_refused_write_says_which_permission_it_needs() {
        let (post, delete) = (Method::Post, Method::Delete);
        for (host, method, path, needs) in [
            ("verify.twilio.com", post, "/v2/Services", "the permission /twilio/verify/service/create"),
            ("verify.twilio.com", post, "/v2/Services/VA1", "the permission /twilio/verify/service/update"),
            ("verify.twilio.com", delete, "/v2/Services/VA1", "the permission /twilio/verify/service/delete"),
            ("verify.twilio.com", post, "/v2/Services/VA1/RateLimits", "/twilio/verify/rate-limit/create"),
            (
                "verify.twilio.com",
                post,
                "/v2/Services/VA1/RateLimits/RK1/Buckets",
                "/twilio/verify/bucket/create",
            ),
            (
                "verify.twilio.com",
                delete,
                "/v2/Services/VA1/RateLimits/RK1/Buckets/BL1",
                "/twilio/verify/bucket/delete",
            ),
            ("verify.twilio.com", post, "/v2/Services/VA1/MessagingConfigurations", "use a standard key"),
            (
                "serverless.twilio.com",
                post,
                "/v1/Services",
                "write access to Serverless, which restricted keys",
            ),
            (
                "serverless-upload.twilio.com",
                post,
                "/v1/Services/ZS1/Functions/ZH1/Versions",
                "write access to Serverless",
            ),
        ] {
            let text = failure_in_words(
                &refused(host, method, path, 403, "70051"),
                &manifest(),
                &["update:actions"],
            );
            assert!(text.contains(needs), "{text}");
            assert!(text.contains("; the key SK1 (twilio.api_key) may not do this"), "{text}");
            let text = failure_in_words(&refused(host, method, path, 401, "20003"), &manifest(), &[]);
            assert!(text.contains(needs) && text.contains("does not accept the key SK1"), "{text}");
        }
    }

    #[test]
    fn what_no_permission_helps_is_not_called_one() {
        for (host, path, status, code) in [
            ("verify.twilio.com", "/v2/Services", 429, "20429"),
            ("acme-dev.eu.auth0.com", "/api/v2/guardian/factors/duo", 403, "insufficient_entitlement"),
            ("acme-dev.eu.auth0.com", "/oauth/token", 401, "access_denied"),
        ] {
            let failed = refused(host, Method::Post, path, status, code);
            assert_eq!(failure_in_words(&failed, &manifest(), &["update:actions"]), failed.to_string());
        }
    }

    #[test]
    fn a_token_that_does_not_tell_its_scopes_is_told_of_them_by_the_refusal() {
        let failed =
            refused("acme-dev.eu.auth0.com", Method::Put, "/api/v2/guardian/policies", 403, NO_SCOPE);
        let text = failure_in_words(&failed, &manifest(), &["update:mfa_policies"]);
        assert!(text.ends_with("; the application client-1 needs update:mfa_policies for it"), "{text}");
    }
}
