//! What a failed call means, and what to do about it: the one table of the errors of both vendors. A row is found by
//! status, vendor code, method and path, and never by the words of a message.
//!
//! Sources: "Auth0 docs, Management API errors" (2026-08), recorded exchanges of Auth0's own tools (2026-08), "Twilio
//! error dictionary" (2026-11), "Twilio docs, Verify error codes" (2026-08).

use super::codes::{self, Code};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Refusal};
use crate::model::outcome::Cause;

/// One error of a vendor.
pub struct Row {
    pub code: Code,
    vendor: Vendor,
    /// Empty: any.
    status: &'static [u16],
    /// Vendor codes. One with `*` at its end is the beginning of a code. Empty: any, or none.
    vendor_codes: &'static [&'static str],
    method: Option<Method>,
    /// Beginning of the path, in which `*` stands for one segment.
    path: &'static str,
    place: &'static str,
    words: &'static str,
    /// `{scope}` stands for the scope that the request needs.
    help: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Auth0,
    Twilio,
    /// Those hosts of Twilio that serve Functions.
    Serverless,
    Any,
}

/// A row that fits everything, to begin with.
const ROW: Row = Row {
    code: codes::REFUSED,
    vendor: Vendor::Any,
    status: &[],
    vendor_codes: &[],
    method: None,
    path: "",
    place: "",
    words: "",
    help: "",
};

const LAST: &Row = &ROW;
const GRANT: &str =
    "grant {scope} to the application (Applications, APIs, Auth0 Management API, Machine to Machine)";
const PLAN_AGAIN: &str = "run the same command again: it plans anew";

/// The table. The first row that fits counts.
pub const ROWS: &[Row] = &[
    // The token of Auth0.
    Row {
        code: codes::CLIENT_REFUSED,
        vendor: Vendor::Auth0,
        status: &[401],
        path: "/oauth/token",
        place: "auth0.client_id",
        help: "check auth0.domain, auth0.client_id and its secret or key",
        ..ROW
    },
    Row {
        code: codes::CLIENT_NOT_AUTHORISED,
        vendor: Vendor::Auth0,
        status: &[403],
        path: "/oauth/token",
        place: "auth0.client_id",
        help: "authorise the application for the Auth0 Management API (Applications, APIs, Machine to Machine)",
        ..ROW
    },
    Row {
        code: codes::NO_TENANT,
        vendor: Vendor::Auth0,
        status: &[404],
        path: "/oauth/token",
        place: "auth0.domain",
        help: "check auth0.domain: no tenant of that name answers",
        ..ROW
    },
    // Auth0's Management API.
    Row {
        code: codes::LEGACY_LOCKED,
        vendor: Vendor::Auth0,
        status: &[403],
        vendor_codes: &["legacy_mfa_phone_provider*"],
        place: "phone.delivery",
        help: "no scope is missing: the tenant's switch legacy_mfa_phone_provider is off; use phone.delivery: unified, or ask \
               Auth0's support to switch it on",
        ..ROW
    },
    Row {
        code: codes::PLAN_LIMIT,
        vendor: Vendor::Auth0,
        status: &[403],
        vendor_codes: &["insufficient_entitlement", "feature_not_enabled"],
        help: "the tenant's plan does not have this: take it out of the manifest, or move to a plan that has it",
        ..ROW
    },
    Row {
        code: codes::SCOPE_REFUSED,
        vendor: Vendor::Auth0,
        status: &[403],
        vendor_codes: &["insufficient_scope"],
        place: "auth0.client_id",
        help: GRANT,
        ..ROW
    },
    // Auth0 does not document which refusal means that the plan allows no further stream.
    Row {
        code: codes::PLAN_LIMIT,
        vendor: Vendor::Auth0,
        status: &[400, 403, 409],
        method: Some(Method::Post),
        path: "/api/v2/log-streams",
        words: "if the values are correct, the Auth0 plan may not allow another log stream",
        help: "delete a log stream that is not needed, or move to a plan with more",
        ..ROW
    },
    Row {
        code: codes::SCOPE_REFUSED,
        vendor: Vendor::Auth0,
        status: &[403],
        path: "/api/v2/",
        place: "auth0.client_id",
        help: GRANT,
        ..ROW
    },
    Row {
        code: codes::TOKEN_REFUSED,
        vendor: Vendor::Auth0,
        status: &[401],
        path: "/api/v2/",
        place: "auth0.domain",
        help: "the tenant refuses the token that it gave: auth0.domain has to be the canonical domain, and auth0.audience the \
               Management API of that domain",
        ..ROW
    },
    Row {
        code: codes::NOT_BUILT,
        vendor: Vendor::Auth0,
        status: &[400],
        method: Some(Method::Post),
        path: "/api/v2/actions/actions/*/deploy",
        words: "Auth0 deploys an Action only when its draft is built",
        help: "look at the Action in the Auth0 dashboard, which shows the build log, and run again",
        ..ROW
    },
    Row { code: codes::IN_THE_WAY, vendor: Vendor::Auth0, status: &[409], help: PLAN_AGAIN, ..ROW },
    // Twilio: what the credentials may do.
    Row {
        code: codes::ACCOUNT_SUSPENDED,
        vendor: Vendor::Twilio,
        vendor_codes: &["20403"],
        place: "twilio.account_sid",
        help: "look in the Twilio Console why the account is suspended or closed",
        ..ROW
    },
    Row {
        code: codes::NO_SERVERLESS,
        vendor: Vendor::Serverless,
        status: &[401, 403],
        vendor_codes: &["70051"],
        place: "twilio.api_key",
        help: "Functions need a standard key, a main key or the auth token: restricted keys do not have Serverless",
        ..ROW
    },
    Row {
        code: codes::NO_SERVERLESS,
        vendor: Vendor::Serverless,
        status: &[403],
        place: "twilio.api_key",
        help: "Functions need a standard key, a main key or the auth token: restricted keys do not have Serverless",
        ..ROW
    },
    Row {
        code: codes::KEY_MAY_NOT,
        vendor: Vendor::Twilio,
        status: &[401, 403],
        path: "/v1/Keys",
        place: "twilio.api_key",
        words: "only the account's auth token or a main key may manage API keys",
        help: "give twilio.auth_token or a main key (made in the Console), or name keys of your own in place of ${minted…}",
        ..ROW
    },
    Row {
        code: codes::KEY_MAY_NOT,
        vendor: Vendor::Twilio,
        status: &[401, 403],
        path: "/v1/AuthTokens",
        place: "twilio.auth_token",
        words: "only the account's auth token or a main key may promote a token",
        help: "give twilio.auth_token",
        ..ROW
    },
    Row {
        code: codes::NO_ROOM,
        vendor: Vendor::Twilio,
        vendor_codes: &["70151"],
        words: "the account has as many API keys as it may have",
        help: "delete keys that nobody uses (Twilio Console, API keys), then run again",
        ..ROW
    },
    Row {
        code: codes::KEY_MAY_NOT,
        vendor: Vendor::Twilio,
        vendor_codes: &["70051"],
        place: "twilio.api_key",
        help: "give the key that permission, or use a standard key",
        ..ROW
    },
    Row {
        code: codes::KEY_REFUSED,
        vendor: Vendor::Twilio,
        status: &[401],
        place: "twilio.api_key",
        help: "check the Twilio key and secret, and that they belong to twilio.account_sid",
        ..ROW
    },
    // Twilio Verify.
    Row {
        code: codes::NO_CUSTOM_CODES,
        vendor: Vendor::Twilio,
        vendor_codes: &["60204"],
        place: "verify_service",
        words: "the account or the service may not use this feature, which for Auth0 means custom codes",
        help: "ask Twilio to switch custom codes on for the account, then run again",
        ..ROW
    },
    Row {
        code: codes::NOT_APPROVED,
        vendor: Vendor::Twilio,
        vendor_codes: &["60201", "60252"],
        place: "verify_service.default_template",
        help: "wait for Twilio's approval of the template, or name another one",
        ..ROW
    },
    Row {
        code: codes::NO_ROOM,
        vendor: Vendor::Twilio,
        vendor_codes: &["60207"],
        words: "the service has as many rate limits as it may have: remove one from the manifest and apply, or delete an unused one",
        ..ROW
    },
    Row {
        code: codes::IN_THE_WAY,
        vendor: Vendor::Twilio,
        vendor_codes: &["60208"],
        words: "a rate limit of this name appeared since the plan was made: plan again, and it is taken over with your consent",
        ..ROW
    },
    Row {
        code: codes::VALUE_REFUSED,
        vendor: Vendor::Twilio,
        vendor_codes: &["60209"],
        words: "Twilio does not take this name for a rate limit: use letters, digits, dashes and underscores",
        ..ROW
    },
    Row {
        code: codes::NO_ROOM,
        vendor: Vendor::Twilio,
        vendor_codes: &["60210"],
        words: "the rate limit has as many buckets as it may have: remove one from the manifest and apply first",
        ..ROW
    },
    Row {
        code: codes::IN_THE_WAY,
        vendor: Vendor::Twilio,
        vendor_codes: &["60211"],
        words: "a bucket of this interval appeared since the plan was made: plan again",
        ..ROW
    },
    Row {
        code: codes::IN_THE_WAY,
        vendor: Vendor::Twilio,
        vendor_codes: &["60213"],
        words: "a messaging configuration of this country appeared since the plan was made: plan again, and it is taken over with your consent",
        ..ROW
    },
    Row {
        code: codes::VALUE_REFUSED,
        vendor: Vendor::Twilio,
        vendor_codes: &["60253"],
        place: "verify_service.email",
        words: "from, from_name and content_template_id of the email sender go together",
        help: "give all three, or none",
        ..ROW
    },
    Row {
        code: codes::VALUE_REFUSED,
        vendor: Vendor::Twilio,
        vendor_codes: &["60214"],
        place: "verify_service.psd2_enabled",
        words: "psd2_enabled does not allow voice calls",
        help: "remove voice from phone.channels, or psd2_enabled",
        ..ROW
    },
    Row {
        code: codes::NO_ROOM,
        vendor: Vendor::Twilio,
        vendor_codes: &["21102"],
        words: "the account has as many services as it may have, those of its subaccounts included",
        help: "delete services that nobody needs, or ask Twilio for more",
        ..ROW
    },
    // Twilio gives no code of its own for this: 20001 is any value that it does not take.
    Row {
        code: codes::NO_ROOM,
        vendor: Vendor::Serverless,
        status: &[400],
        vendor_codes: &["20001"],
        method: Some(Method::Post),
        path: "/v1/Services",
        words: "the account may have as many Serverless services as it is allowed, which is 50",
        help: "delete Serverless services that nobody needs, or ask Twilio for more",
        ..ROW
    },
    Row { code: codes::IN_THE_WAY, vendor: Vendor::Twilio, status: &[409], help: PLAN_AGAIN, ..ROW },
    // Both.
    Row {
        code: codes::LIMITED,
        status: &[429],
        help: "another client uses the budget up; try again later, or lower --rate-share",
        ..ROW
    },
    Row {
        code: codes::GONE,
        status: &[404],
        words: "it was there when the plan was made, or the manifest names it wrongly",
        help: PLAN_AGAIN,
        ..ROW
    },
    Row {
        code: codes::VALUE_REFUSED,
        status: &[400, 422],
        help: "correct the value that the message names; if the manifest is right, the vendor has changed a rule",
        ..ROW
    },
    Row {
        code: codes::SERVER_ERROR,
        status: &[408, 500, 501, 502, 503, 504, 505, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530],
        help: "try again later; the vendor's status page tells of outages",
        ..ROW
    },
    Row { help: "run again with -v to see every request", ..ROW },
];

/// What a failure means, and what to do.
pub fn cause(failed: &Failed) -> Cause {
    let told = Cause::of;
    match failed {
        Failed::Refused(refusal) => of_refusal(refusal),
        Failed::NotReached(_) => {
            told(codes::NOT_REACHED, "check the network, the proxy (HTTPS_PROXY, NO_PROXY) and --ca-file")
        }
        Failed::Limited(_) => {
            told(codes::LIMITED, "another client uses the budget up; try again later, or lower --rate-share")
        }
        Failed::NotDone(_) => {
            told(codes::HELD_BACK, "look at what the message names, then run the same command again")
        }
        Failed::Unknown(_) => {
            told(codes::UNANSWERED, "run the same command again: it looks first what took effect")
        }
        Failed::Misread(_) => told(codes::MISREAD, "run again with -v to see every request"),
        Failed::NotBuilt(_) => {
            told(codes::NOT_BUILT, "correct the code or its dependencies, then run the same command again")
        }
        Failed::Stopped => told(codes::STOPPED, "run the same command again to continue"),
        Failed::LeaseLost => told(codes::LEASE_LOST, "run the same command again to continue"),
        Failed::OtherRun | Failed::Moved(_) => {
            told(codes::RECORD_MOVED, "find out who else applies, then run the same command again")
        }
    }
}

/// What is to be said after the vendor's words; empty if these say enough.
pub fn words(failed: &Failed) -> &'static str {
    match failed {
        Failed::Refused(refusal) => row_of(refusal).words,
        _ => "",
    }
}

fn row_of(refusal: &Refusal) -> &'static Row {
    ROWS.iter().find(|row| row.fits(refusal)).unwrap_or(LAST)
}

fn of_refusal(refusal: &Refusal) -> Cause {
    let row = row_of(refusal);
    let needs =
        scope(refusal.method, &refusal.path).unwrap_or_else(|| "the scope of this request".to_owned());
    Cause {
        code: row.code,
        help: row.help.replace("{scope}", &needs),
        place: row.place,
        request_id: refusal.request_id.clone(),
    }
}

impl Row {
    fn fits(&self, refusal: &Refusal) -> bool {
        let vendor = match self.vendor {
            Vendor::Any => true,
            Vendor::Auth0 => !TWILIO.iter().any(|api| is_at(refusal, *api)),
            Vendor::Twilio => TWILIO.iter().any(|api| is_at(refusal, *api)),
            Vendor::Serverless => [Api::Serverless, Api::Upload].iter().any(|api| is_at(refusal, *api)),
        };
        let code = refusal.code.as_deref();
        let names = |known: &&str| match known.strip_suffix('*') {
            Some(start) => code.is_some_and(|code| code.starts_with(start)),
            None => code == Some(*known),
        };
        vendor
            && (self.status.is_empty() || self.status.contains(&refusal.status))
            && (self.vendor_codes.is_empty() || self.vendor_codes.iter().any(names))
            && self.method.is_none_or(|method| method == refusal.method)
            && begins(&refusal.path, self.path)
    }
}

const TWILIO: [Api; 6] = [Api::Verify, Api::Serverless, Api::Upload, Api::Core, Api::Iam, Api::Accounts];

fn is_at(refusal: &Refusal, api: Api) -> bool {
    api.fixed_host() == Some(refusal.host.as_str())
}

/// Whether the path begins like the pattern, in which `*` stands for one segment.
fn begins(path: &str, pattern: &str) -> bool {
    let mut segments = path.split('/');
    let last = pattern.split('/').count() - 1;
    pattern.split('/').enumerate().all(|(at, part)| {
        let segment = segments.next().unwrap_or_default();
        match part {
            "*" => !segment.is_empty(),
            part if at == last => segment.starts_with(part),
            part => segment == part,
        }
    })
}

/// Beginnings of paths of the Management API, and what the scopes for them are called ("Auth0 docs, Management API",
/// 2026-08). A longer beginning comes before a shorter one.
const SCOPES: &[(&str, &str)] = &[
    ("/api/v2/actions/", "actions"),
    ("/api/v2/guardian/policies", "mfa_policies"),
    ("/api/v2/guardian/", "guardian_factors"),
    ("/api/v2/branding/phone/providers", "phone_providers"),
    ("/api/v2/branding/phone/templates", "phone_templates"),
    ("/api/v2/branding", "branding"),
    ("/api/v2/log-streams", "log_streams"),
    ("/api/v2/tenants/settings", "tenant_settings"),
    ("/api/v2/attack-protection/", "attack_protection"),
    ("/api/v2/prompts", "prompts"),
    ("/api/v2/clients", "clients"),
    ("/api/v2/connections", "connections"),
    ("/api/v2/logs", "logs"),
];

/// The scope that a request of the Management API needs.
pub fn scope(method: Method, path: &str) -> Option<String> {
    let (_, name) = SCOPES.iter().find(|(start, _)| path.starts_with(start))?;
    let verb = match method {
        Method::Get => "read",
        Method::Post => "create",
        Method::Put | Method::Patch => "update",
        Method::Delete => "delete",
    };
    Some(format!("{verb}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, method: Method, path: &str, status: u16, code: Option<&str>) -> Failed {
        Failed::Refused(Box::new(Refusal {
            host: host.into(),
            method,
            path: path.into(),
            status,
            code: code.map(str::to_owned),
            message: "words that decide nothing".into(),
            request_id: None,
            attempts: 1,
            unsure: false,
        }))
    }

    const TENANT: &str = "acme-dev.eu.auth0.com";
    const VERIFY: &str = "verify.twilio.com";
    const FUNCTIONS: &str = "serverless.twilio.com";

    #[test]
    fn each_error_of_the_vendors_has_its_code_and_the_line_to_look_at() {
        use Method::{Get, Patch, Post, Put};
        for (failed, code, place, help) in [
            (
                refused(TENANT, Post, "/oauth/token", 401, Some("access_denied")),
                codes::CLIENT_REFUSED,
                "auth0.client_id",
                "secret or key",
            ),
            (
                refused(TENANT, Post, "/oauth/token", 403, None),
                codes::CLIENT_NOT_AUTHORISED,
                "auth0.client_id",
                "authorise",
            ),
            (
                refused(TENANT, Post, "/oauth/token", 404, None),
                codes::NO_TENANT,
                "auth0.domain",
                "auth0.domain",
            ),
            (
                refused(TENANT, Get, "/api/v2/actions/actions", 403, Some("insufficient_scope")),
                codes::SCOPE_REFUSED,
                "auth0.client_id",
                "grant read:actions to",
            ),
            (
                refused(TENANT, Post, "/api/v2/actions/actions/7/deploy", 403, None),
                codes::SCOPE_REFUSED,
                "auth0.client_id",
                "grant create:actions to",
            ),
            (
                refused(TENANT, Put, "/api/v2/guardian/policies", 403, Some("insufficient_scope")),
                codes::SCOPE_REFUSED,
                "auth0.client_id",
                "update:mfa_policies",
            ),
            (
                refused(TENANT, Patch, "/api/v2/unheard-of", 403, None),
                codes::SCOPE_REFUSED,
                "auth0.client_id",
                "the scope of this request",
            ),
            (
                refused(TENANT, Put, "/api/v2/guardian/factors/duo", 403, Some("insufficient_entitlement")),
                codes::PLAN_LIMIT,
                "",
                "plan",
            ),
            (
                refused(TENANT, Post, "/api/v2/log-streams", 409, None),
                codes::PLAN_LIMIT,
                "",
                "plan with more",
            ),
            (
                refused(TENANT, Post, "/api/v2/log-streams", 403, Some("insufficient_scope")),
                codes::SCOPE_REFUSED,
                "auth0.client_id",
                "create:log_streams",
            ),
            (
                refused(
                    TENANT,
                    Put,
                    "/api/v2/guardian/factors/phone/selected-provider",
                    403,
                    Some("legacy_mfa_phone_provider_not_allowed"),
                ),
                codes::LEGACY_LOCKED,
                "phone.delivery",
                "no scope is missing",
            ),
            (
                refused(TENANT, Get, "/api/v2/prompts", 401, None),
                codes::TOKEN_REFUSED,
                "auth0.domain",
                "canonical",
            ),
            (
                refused(TENANT, Post, "/api/v2/actions/actions/7/deploy", 400, None),
                codes::NOT_BUILT,
                "",
                "build log",
            ),
            (
                refused(TENANT, Post, "/api/v2/branding/phone/providers", 409, None),
                codes::IN_THE_WAY,
                "",
                "plans anew",
            ),
            (
                refused(TENANT, Patch, "/api/v2/branding", 400, None),
                codes::VALUE_REFUSED,
                "",
                "correct the value",
            ),
            (refused(TENANT, Get, "/api/v2/branding", 429, None), codes::LIMITED, "", "--rate-share"),
            (refused(TENANT, Get, "/api/v2/branding", 503, None), codes::SERVER_ERROR, "", "later"),
            (refused(TENANT, Get, "/api/v2/branding", 418, None), codes::REFUSED, "", "-v"),
            (
                refused(VERIFY, Get, "/v2/Services", 401, Some("20003")),
                codes::KEY_REFUSED,
                "twilio.api_key",
                "key and secret",
            ),
            (
                refused(VERIFY, Get, "/v2/Services", 403, Some("20403")),
                codes::ACCOUNT_SUSPENDED,
                "twilio.account_sid",
                "suspended",
            ),
            (
                refused(VERIFY, Post, "/v2/Services", 403, Some("70051")),
                codes::KEY_MAY_NOT,
                "twilio.api_key",
                "permission",
            ),
            (
                refused(VERIFY, Post, "/v2/Services", 403, Some("60204")),
                codes::NO_CUSTOM_CODES,
                "verify_service",
                "custom codes",
            ),
            (
                refused(VERIFY, Post, "/v2/Services/VA1/RateLimits", 400, Some("60207")),
                codes::NO_ROOM,
                "",
                "",
            ),
            (
                refused(VERIFY, Post, "/v2/Services/VA1/RateLimits", 400, Some("60208")),
                codes::IN_THE_WAY,
                "",
                "",
            ),
            (
                refused(VERIFY, Post, "/v2/Services/VA1", 400, Some("60200")),
                codes::VALUE_REFUSED,
                "",
                "correct the value",
            ),
            (refused(VERIFY, Post, "/v2/Services/VA1", 404, Some("20404")), codes::GONE, "", "plans anew"),
            (
                refused(FUNCTIONS, Post, "/v1/Services", 403, Some("70051")),
                codes::NO_SERVERLESS,
                "twilio.api_key",
                "standard key",
            ),
            (
                refused(FUNCTIONS, Post, "/v1/Services", 401, Some("20003")),
                codes::KEY_REFUSED,
                "twilio.api_key",
                "key and secret",
            ),
            (refused(FUNCTIONS, Post, "/v1/Services", 400, Some("20001")), codes::NO_ROOM, "", "ask Twilio"),
            (Failed::NotReached("no such host".into()), codes::NOT_REACHED, "", "HTTPS_PROXY"),
            (Failed::Limited("until then".into()), codes::LIMITED, "", "later"),
            (Failed::Unknown("reset".into()), codes::UNANSWERED, "", "looks first"),
        ] {
            let told = cause(&failed);
            assert_eq!((told.code, told.place), (code, place), "{failed}");
            assert!(told.help.contains(help), "{failed}: {}", told.help);
        }
    }

    #[test]
    fn no_row_stands_behind_one_that_takes_its_place() {
        let hosts = [TENANT, VERIFY, FUNCTIONS];
        for (at, row) in ROWS.iter().enumerate() {
            let path = row.path.replace('*', "7");
            let status = row.status.first().copied().unwrap_or(418);
            let code = row.vendor_codes.first().map(|code| code.trim_end_matches('*'));
            let reached = hosts.iter().any(|host| {
                let method = row.method.unwrap_or(Method::Get);
                let Failed::Refused(refusal) = refused(host, method, &path, status, code) else {
                    return false;
                };
                ROWS.iter().position(|row| row.fits(&refusal)) == Some(at)
            });
            assert!(reached, "row {at} ({}) is never reached", row.code);
        }
    }
}
