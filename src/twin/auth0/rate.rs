//! The Management API's token bucket, one per tenant.

use super::super::options::Rate;
use super::super::wire::Reply;
use super::refusal;

/// One request in the bucket's unit: a millionth, so that refill per millisecond is a whole number on every plan.
const REQUEST: u64 = 1_000_000;

/// Shown where nothing is ever refused.
const UNLIMITED: u64 = 1_000;

/// The budget of one tenant.
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

/// Size in requests and refill in millionths of a request per millisecond.
fn plan(rate: Rate) -> Option<(u64, u64)> {
    match rate {
        Rate::Unlimited => None,
        Rate::Free => Some((2, 2_000)),
        Rate::Professional => Some((10, 2_500)),
        Rate::Enterprise => Some((50, 16_000)),
    }
}

/// What the headers name as the size of the budget.
pub fn limit(rate: Rate) -> u64 {
    plan(rate).map_or(UNLIMITED, |(size, _)| size)
}

impl Bucket {
    pub fn full(rate: Rate, now_ms: u64) -> Bucket {
        Bucket { level: plan(rate).map_or(0, |(size, _)| size * REQUEST), at_ms: now_ms }
    }

    /// Takes one request out, if there is one. A refused request costs nothing.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> Budget {
        let Some((size, refill)) = plan(rate) else {
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

pub fn too_many() -> Reply {
    let message = "Global limit has been reached: too many requests, see the X-RateLimit headers";
    refusal(429, Some("too_many_requests"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_plan_gives_two_at_once_and_two_per_second() {
        let mut bucket = Bucket::full(Rate::Free, 10_000);
        let admitted: Vec<bool> = (0..3).map(|_| bucket.take(Rate::Free, 10_000).admitted).collect();
        assert_eq!(admitted, [true, true, false]);
        let refused = bucket.take(Rate::Free, 10_100);
        assert_eq!((refused.admitted, refused.remaining, refused.wait_s, refused.reset_s), (false, 0, 1, 11));
        assert!(bucket.take(Rate::Free, 10_500).admitted, "half a second buys one request");
        assert!(!bucket.take(Rate::Free, 10_600).admitted);
    }

    #[test]
    fn unlimited_never_refuses() {
        let mut bucket = Bucket::full(Rate::Unlimited, 0);
        assert!((0..1_000).all(|_| bucket.take(Rate::Unlimited, 0).admitted));
    }
}
