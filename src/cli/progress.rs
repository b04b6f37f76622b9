//! The lines that tell the user how a run goes.

use crate::engine::gate::TOLD_FROM_MS;
use crate::model::event::Event;

/// The running step, what it waits for, and since when.
#[derive(Default)]
pub struct Progress {
    /// `[number/of]` of the running step.
    step: String,
    began_ms: u64,
    polled: String,
    told_ms: u64,
}

impl Progress {
    /// Time after which an unchanged wait is reported again.
    const AGAIN_MS: u64 = 10_000;
    /// The same for a watch, which takes minutes.
    const WATCHED_AGAIN_MS: u64 = 60_000;

    /// The line for an event; `None`: the event is not worth a line. The duration of a step is reported from one second
    /// on, and an unchanged poll only from time to time.
    pub fn hear(&mut self, event: &Event, now_ms: u64) -> Option<String> {
        match event {
            Event::StepStarted { number, of, address, what } => {
                *self =
                    Progress { step: format!("[{number}/{of}]"), began_ms: now_ms, ..Progress::default() };
                Some(format!("  {} {address}: {what}", self.step))
            }
            Event::StepDone { .. } => {
                let took_s = now_ms.saturating_sub(self.began_ms) / 1000;
                (took_s > 0).then(|| format!("  {} done after {took_s} s", self.step))
            }
            Event::Polling { address, state } => {
                let line = format!("  {address}: waiting ({state})");
                let is_new = line != self.polled;
                if !is_new && now_ms.saturating_sub(self.told_ms) < Progress::AGAIN_MS {
                    return None;
                }
                self.told_ms = now_ms;
                self.polled.clone_from(&line);
                let so_far_s = now_ms.saturating_sub(self.began_ms) / 1000;
                Some(if so_far_s > 0 { format!("{line}, {so_far_s} s so far") } else { line })
            }
            Event::Holding { host, ms, why } if *ms >= TOLD_FROM_MS => {
                Some(format!("  waiting {} s for {host}: {why}", ms.div_ceil(1000)))
            }
            Event::Watched { verdict, seen, left_s } => {
                let line = format!("  watch: {}: {seen}", verdict.words());
                let is_new = line != self.polled;
                if !is_new && now_ms.saturating_sub(self.told_ms) < Progress::WATCHED_AGAIN_MS {
                    return None;
                }
                self.told_ms = now_ms;
                self.polled.clone_from(&line);
                Some(if *left_s > 0 { format!("{line}; {left_s} s left") } else { line })
            }
            Event::Notice { text } => Some(format!("  {text}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;

    #[test]
    fn a_step_tells_what_it_waits_for_since_when_and_how_long_it_took() {
        let (address, what) = (Address::of("action"), "deploy".to_owned());
        let started =
            |number| Event::StepStarted { number, of: 2, address: address.clone(), what: what.clone() };
        let done = Event::StepDone { number: 1, address: address.clone(), what: what.clone() };
        let polling = |state: &str| Event::Polling { address: address.clone(), state: state.into() };
        let told = [
            (started(1), 1_000, Some("  [1/2] action: deploy")),
            (polling("building"), 1_500, Some("  action: waiting (building)")),
            (polling("building"), 9_000, None),
            (polling("building"), 11_600, Some("  action: waiting (building), 10 s so far")),
            (polling("retrying"), 13_000, Some("  action: waiting (retrying), 12 s so far")),
            (done.clone(), 15_900, Some("  [1/2] done after 14 s")),
            (started(2), 16_000, Some("  [2/2] action: deploy")),
            (done, 16_900, None),
        ];
        let mut pace = Progress::default();
        for (event, now_ms, line) in told {
            assert_eq!(pace.hear(&event, now_ms).as_deref(), line, "{event:?} at {now_ms}");
        }
    }
}
