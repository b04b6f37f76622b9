//! How a rollout ended, and how that is told.

use serde_json::{Value as Json, json};

use super::super::exit::Exit;
use crate::engine::apply::timestamp;
use crate::fleet::forms::of_wave;
use crate::fleet::report::listed;
use crate::fleet::rollout::{Became, State};
use crate::fleet::waiting::Waiting;
use crate::model::text::line;
use crate::plan::render::Paint;

/// How a rollout ended.
#[derive(Clone, Debug)]
pub struct Settled {
    pub state: State,
    pub exit: u8,
    /// The user stopped it, or its time was over.
    pub signal: bool,
    /// What it waits for; `None`: nothing, because it has ended.
    pub waits: Option<Waiting>,
}

impl Settled {
    /// The exit code that the state stands for.
    pub fn exit(&self) -> Exit {
        let bad = [Became::Failed, Became::Broken].iter().any(|became| self.state.count(None, *became) > 0);
        match () {
            () if self.state.halt.is_some() => Exit::Halted,
            () if bad || self.signal => Exit::Failed,
            () if !self.state.departed.is_empty() => Exit::FindingsOnly,
            () => Exit::Done,
        }
    }

    /// A line for each wave, and what failed.
    pub fn text(&self, paint: Paint) -> String {
        let State { fleet, waves, tenants, halt, .. } = &self.state;
        let mut out = vec![paint.bold(&format!("Rollout of fleet {}", line(fleet)))];
        for wave in waves {
            let cells: String = wave
                .members
                .iter()
                .map(|name| tenants.get(name).map_or(' ', |one| one.became.sign()))
                .collect();
            let word = of_wave(wave, halt.is_some());
            let done = wave.members.iter().filter(|name| tenants.contains_key(*name)).count();
            out.push(format!("  {:<16} {done}/{} {word}  {cells}", line(&wave.name), wave.members.len()));
            for judged in &wave.gates {
                let word = judged.verdict.word();
                out.push(format!("    gate {}: {word}: {}", line(&judged.gate), line(&judged.words)));
            }
        }
        for became in [Became::Failed, Became::Broken, Became::Skipped, Became::RolledBack] {
            for (name, one) in tenants.iter().filter(|(_, one)| one.became == became) {
                let why = if one.why.is_empty() { String::new() } else { format!(": {}", line(&one.why)) };
                out.push(paint.bad(&format!("  {} {} {}{why}", became.sign(), line(name), became.word())));
            }
        }
        if !self.state.departed.is_empty() {
            let names = listed(&self.state.departed);
            out.push(paint.change(&format!(
                "  not in the table any more: {names}; what was set up there still runs and sends"
            )));
            out.push("  help: put the row back and run `lockstep destroy FLEET --tenant NAME`, or name the tenant under `former` if that is done".to_owned());
        }
        match halt {
            Some(halt) => {
                out.push(paint.bad(&format!("Halted at {}: {}", timestamp(halt.at_ms), line(&halt.why))));
                out.push("  help: later waves are untouched. Mend the cause and run the same command again; `--accept GATE --why TEXT` lets a gate pass, `--skip NAME=REASON` leaves a tenant out".to_owned());
            }
            None => {
                if let Some(waits) = &self.waits {
                    out.push(format!("  waits for {}", waits.words()));
                    out.push(format!("  help: {}", waits.help));
                }
                out.push(self.last_line(paint));
            }
        }
        out.join("\n") + "\n"
    }

    fn last_line(&self, paint: Paint) -> String {
        let count = |became| self.state.count(None, became);
        let (applied, unchanged) = (count(Became::Applied), count(Became::Unchanged));
        let left = self.state.waves.iter().filter(|wave| wave.passed_ms.is_none()).count();
        let text = format!("{applied} applied, {unchanged} unchanged");
        match (self.exit, left) {
            _ if self.signal => format!("Stopped: {text}; run the same command again to go on."),
            (0 | 7, 0) => paint.good(&format!("Done: {text}.")),
            (0, left) => {
                format!("Done so far: {text}; {left} wave{} left.", if left == 1 { "" } else { "s" })
            }
            _ => paint
                .bad(&format!("Not complete: {text}; see above, mend it and run the same command again.")),
        }
    }

    /// The JSON document.
    pub fn json(&self) -> Json {
        let mut rollout = json!({ "exit": self.exit, "state": self.state });
        if let Some(waits) = &self.waits {
            rollout["waits"] = json!(waits);
        }
        json!({ "format": 1, "rollout": rollout, "diagnostics": [] })
    }
}
