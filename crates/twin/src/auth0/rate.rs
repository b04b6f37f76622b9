//! The Management API's token buckets for one tenant (Auth0 docs, rate limit configurations, 2026-08).

use std::collections::BTreeMap;

use lockstep_wire::{ApiRequest, Method};

use super::super::options::{BudgetTold, Options, Rate};
use super::super::wire::Reply;
use super::refusal;

/// One request in a bucket's unit. With 60,000 units per request, the units refilled per millisecond equal the plan's
/// requests per minute.
const REQUEST: u64 = 60_000;

/// Limit that the headers show for a plan without a limit.
const UNLIMITED: u64 = 1_000;

/// The bucket that a request is taken from. The professional plan has buckets of their own for three kinds of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Other,
    ReadClients,
    ReadConnections,
    ReadLogs,
}

impl Class {
    pub fn of(rate: Rate, request: &ApiRequest) -> Class {
        let below = |stem: &str| {
            let rest = request.path.strip_prefix("/api/v2/").and_then(|path| path.strip_prefix(stem));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        };
        match (rate, request.method) {
            (Rate::Professional, Method::Get) if below("clients") => Class::ReadClients,
            (Rate::Professional, Method::Get) if below("connections") => Class::ReadConnections,
            (Rate::Professional, Method::Get) if below("logs") => Class::ReadLogs,
            _ => Class::Other,
        }
    }
}

/// The buckets of all tenants, keyed by domain and class.
pub type Buckets = BTreeMap<(String, Class), Bucket>;

/// One bucket of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    level: u64,
    at_ms: u64,
}

/// What the bucket says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub admitted: bool,
    pub limit: u64,
    pub remaining: u64,
    /// Unix seconds at which the bucket is full again.
    pub reset_s: u64,
    /// Whole seconds until another request would be admitted.
    pub wait_s: u64,
}

/// Size in requests and refill in requests per minute.
fn plan(rate: Rate, class: Class) -> Option<(u64, u64)> {
    match (rate, class) {
        (Rate::Unlimited, _) => None,
        (Rate::Free, _) => Some((2, 120)),
        (Rate::Professional, Class::Other) => Some((10, 150)),
        (Rate::Professional, Class::ReadClients) => Some((5, 100)),
        (Rate::Professional, Class::ReadConnections) => Some((5, 50)),
        (Rate::Professional, Class::ReadLogs) => Some((10, 100)),
        (Rate::Enterprise, _) => Some((50, 960)),
    }
}

/// Size of the bucket `Other`, as `x-ratelimit-limit` shows it.
pub fn limit(rate: Rate) -> u64 {
    plan(rate, Class::Other).map_or(UNLIMITED, |(size, _)| size)
}

/// Replaces the rate-limit headers of a reply by what the option says.
pub fn tell(told: BudgetTold, now_ms: u64, headers: &mut [(String, String)]) {
    let now_s = now_ms / 1000;
    for (name, value) in headers {
        let instead = match (told, name.as_str()) {
            (BudgetTold::AsItIs, _) => None,
            (BudgetTold::Zero, "x-ratelimit-limit" | "x-ratelimit-remaining") => Some("0".to_owned()),
            (BudgetTold::Negative, "x-ratelimit-limit" | "x-ratelimit-remaining") => Some("-1".to_owned()),
            (BudgetTold::TooMuch, "x-ratelimit-remaining") => Some("4000000000".to_owned()),
            (BudgetTold::InYears, "x-ratelimit-reset") => Some((now_s + 10 * 365 * 86_400).to_string()),
            (BudgetTold::LongAgo, "x-ratelimit-reset") => Some("0".to_owned()),
            (BudgetTold::Words, "retry-after" | "x-ratelimit-remaining" | "x-ratelimit-reset") => {
                Some("soon".to_owned())
            }
            _ => None,
        };
        if let Some(instead) = instead {
            *value = instead;
        }
    }
}

impl Bucket {
    pub fn full(rate: Rate, class: Class, now_ms: u64) -> Bucket {
        Bucket { level: plan(rate, class).map_or(0, |(size, _)| size * REQUEST), at_ms: now_ms }
    }

    /// Takes one request out of the bucket, if it holds one. A refused request costs nothing.
    pub fn take(&mut self, rate: Rate, class: Class, now_ms: u64) -> Budget {
        let Some((size, refill)) = plan(rate, class) else {
            return Budget {
                admitted: true,
                limit: UNLIMITED,
                remaining: UNLIMITED - 1,
                reset_s: now_ms / 1_000 + 1,
                wait_s: 0,
            };
        };
        let most = size * REQUEST;
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.level = self.level.saturating_add(passed_ms.saturating_mul(refill)).min(most);
        self.at_ms = self.at_ms.max(now_ms);
        let admitted = self.level >= REQUEST;
        if admitted {
            self.level -= REQUEST;
        }
        let full_in_ms = (most - self.level).div_ceil(refill);
        let wait_ms = REQUEST.saturating_sub(self.level).div_ceil(refill);
        Budget {
            admitted,
            limit: size,
            remaining: self.level / REQUEST,
            reset_s: (now_ms + full_in_ms).div_ceil(1_000),
            wait_s: wait_ms.div_ceil(1_000),
        }
    }
}

pub fn too_many(options: &Options) -> Reply {
    let message = "Global limit has been reached: too many requests, see the X-RateLimit headers";
    refusal(429, options.too_many_requests_code.as_deref(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> ApiRequest {
        let host = "acme-dev.eu.auth0.com".into();
        ApiRequest { host, method: Method::Get, path: path.into(), headers: vec![], body: vec![] }
    }

    #[test]
    fn the_free_plan_gives_two_at_once_and_two_per_second() {
        let (rate, class) = (Rate::Free, Class::Other);
        let mut bucket = Bucket::full(rate, class, 10_000);
        let admitted: Vec<bool> = (0..3).map(|_| bucket.take(rate, class, 10_000).admitted).collect();
        assert_eq!(admitted, [true, true, false]);
        let refused = bucket.take(rate, class, 10_100);
        assert_eq!((refused.admitted, refused.remaining, refused.wait_s, refused.reset_s), (false, 0, 1, 11));
        assert!(bucket.take(rate, class, 10_500).admitted, "half a second buys one request");
        assert!(!bucket.take(rate, class, 10_600).admitted);
    }

    #[test]
    fn unlimited_never_refuses() {
        let (rate, class) = (Rate::Unlimited, Class::Other);
        let mut bucket = Bucket::full(rate, class, 0);
        assert!((0..1_000).all(|_| bucket.take(rate, class, 0).admitted));
    }

    #[test]
    fn the_paid_plans_have_buckets_of_their_own_for_three_kinds_of_reads() {
        let paid = |path: &str| Class::of(Rate::Professional, &get(path));
        assert_eq!(paid("/api/v2/clients?page=0"), Class::ReadClients);
        assert_eq!(paid("/api/v2/clients/abc"), Class::ReadClients);
        assert_eq!(paid("/api/v2/connections"), Class::ReadConnections);
        assert_eq!(paid("/api/v2/logs"), Class::ReadLogs);
        assert_eq!(paid("/api/v2/log-streams"), Class::Other);
        assert_eq!(paid("/api/v2/actions/actions"), Class::Other);
        let write = ApiRequest { method: Method::Patch, ..get("/api/v2/clients/abc") };
        assert_eq!(Class::of(Rate::Professional, &write), Class::Other);
        assert_eq!(Class::of(Rate::Enterprise, &get("/api/v2/clients")), Class::Other);
        let (rate, class) = (Rate::Professional, Class::ReadConnections);
        let mut bucket = Bucket::full(rate, class, 0);
        assert_eq!((0..6).filter(|_| bucket.take(rate, class, 0).admitted).count(), 5);
        assert_eq!(bucket.take(rate, class, 0).wait_s, 2, "50 per minute");
    }
}
