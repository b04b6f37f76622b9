//! Real time for the driver: the wall clock at the start, and from there a clock that cannot go back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. They never decrease, even if somebody sets the system's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_unix_ms: u64,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock once.
    pub fn start() -> Clock {
        // A clock before 1970 is no reason to fail: the dates that the servers send are the ones that count.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { started_unix_ms: millis(since_epoch), started: Instant::now() }
    }

    /// Now, in ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.started_unix_ms.saturating_add(millis(self.started.elapsed()))
    }

    /// How long it is until that time (ms since the Unix epoch); zero when it has passed.
    pub fn until(&self, at_ms: u64) -> Duration {
        Duration::from_millis(at_ms.saturating_sub(self.now_ms()))
    }
}

/// Whole milliseconds; a duration too long for `u64` becomes the largest number.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_forward_only() {
        let clock = Clock::start();
        let first = clock.now_ms();
        assert!(first > 1_700_000_000_000, "the test machine's clock is after 2023");
        assert!(clock.now_ms() >= first);
        assert_eq!(clock.until(first.saturating_sub(1)), Duration::ZERO);
        assert!(clock.until(u64::MAX) > Duration::from_secs(1_000_000));
    }
}
