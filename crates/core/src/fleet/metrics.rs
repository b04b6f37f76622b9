//! Metrics in Prometheus' text format, as a file for the textfile collector of node_exporter.

use std::fmt::Write as _;

use super::report::FleetReport;
use super::rollout::{Became, Cause, State, Verdict};
use super::summary::Found;
use crate::report::Door;

/// The text of a metrics file under way.
struct Text<'a> {
    out: String,
    door: Door<'a>,
}

impl Text<'_> {
    /// One metric with its samples; without a sample it is left out.
    fn gauge(&mut self, name: &str, help: &str, samples: Vec<(Vec<(&str, String)>, f64)>) {
        if samples.is_empty() {
            return;
        }
        let _ = writeln!(self.out, "# HELP lockstep_{name} {help}\n# TYPE lockstep_{name} gauge");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(key, text)| format!("{key}=\"{}\"", self.label(text))).collect();
            let _ = writeln!(self.out, "lockstep_{name}{{{}}} {value}", labels.join(","));
        }
    }

    /// The value of a label.
    fn label(&self, text: &str) -> String {
        self.door.line(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The metrics of a rollout.
pub fn of_rollout(state: &State, exit: u8, now_ms: u64, door: Door<'_>) -> String {
    let mut text = Text { out: String::new(), door };
    let fleet = || ("fleet", state.fleet.clone());
    let at = |ms: Option<u64>| ms.map(|ms| (vec![fleet()], seconds(ms))).into_iter().collect::<Vec<_>>();
    text.gauge("written_timestamp_seconds", "When this file was written.", at(Some(now_ms)));
    text.gauge("rollout_began_timestamp_seconds", "When the rollout began.", at(Some(state.began_ms)));
    text.gauge("rollout_ended_timestamp_seconds", "When the rollout ended.", at(state.ended_ms));
    text.gauge(
        "rollout_exit_code",
        "Exit code that the rollout stands for.",
        vec![(vec![fleet()], f64::from(exit))],
    );
    let causes = [
        (Cause::Gate, "gate"),
        (Cause::Budget, "budget"),
        (Cause::Limit, "limit"),
        (Cause::Person, "person"),
    ];
    let is = |cause| f64::from(u8::from(state.halt.as_ref().is_some_and(|halt| halt.cause == cause)));
    let halted = causes.map(|(cause, word)| (vec![fleet(), ("cause", word.to_owned())], is(cause)));
    text.gauge("rollout_halted", "1 if the rollout is halted, by cause.", halted.to_vec());
    text.gauge(
        "rollout_in_flight",
        "Tenants that shards write to.",
        vec![(vec![fleet()], state.shards.claims.len() as f64)],
    );
    let mut tenants = Vec::new();
    let (mut opened, mut passed, mut gates) = (Vec::new(), Vec::new(), Vec::new());
    for (at, wave) in state.waves.iter().enumerate() {
        let of = || vec![fleet(), ("wave", wave.name.clone())];
        let results = [
            (Became::Applied, "applied"),
            (Became::Unchanged, "unchanged"),
            (Became::Failed, "failed"),
            (Became::Broken, "broken"),
            (Became::Skipped, "skipped"),
            (Became::RolledBack, "rolled_back"),
        ];
        let result = |word: &str| [of(), vec![("result", word.to_owned())]].concat();
        for (became, word) in results {
            tenants.push((result(word), state.count(Some(at), became) as f64));
        }
        tenants.push((result("waiting"), state.waiting(at).len() as f64));
        opened.extend(wave.opened_ms.map(|ms| (of(), seconds(ms))));
        passed.extend(wave.passed_ms.map(|ms| (of(), seconds(ms))));
        for gate in &wave.gates {
            let passes = matches!(gate.verdict, Verdict::Passed | Verdict::Accepted);
            let labels = [of(), vec![("gate", gate.gate.clone())]].concat();
            gates.push((labels, f64::from(u8::from(passes))));
        }
    }
    text.gauge("rollout_tenants", "Tenants by wave and by what became of them.", tenants);
    text.gauge("rollout_wave_opened_timestamp_seconds", "When the wave was opened.", opened);
    text.gauge("rollout_wave_passed_timestamp_seconds", "When the wave passed its gates.", passed);
    text.gauge("rollout_gate_passed", "1 if the last reading of the gate lets the wave pass.", gates);
    text.out
}

/// The metrics of a plan or a drift check.
pub fn of_reading(report: &FleetReport, now_ms: u64, door: Door<'_>) -> String {
    let mut text = Text { out: String::new(), door };
    let of = || vec![("fleet", report.fleet.clone()), ("command", report.command.to_owned())];
    text.gauge("written_timestamp_seconds", "When this file was written.", vec![(of(), seconds(now_ms))]);
    text.gauge("fleet_exit_code", "Exit code of the command.", vec![(of(), f64::from(report.exit))]);
    let result = |one: &Found| match one {
        Found::Error { .. } => "unread",
        Found::Plan(plan) if plan.blockers().next().is_some() => "blocked",
        Found::Plan(plan) if plan.is_empty() && plan.resources.iter().all(|one| !plan.differs(one)) => {
            "unchanged"
        }
        Found::Plan(_) => "changed",
    };
    let count = |word: &str| report.readings.iter().filter(|one| result(&one.result) == word).count() as f64;
    let results = ["unchanged", "changed", "blocked", "unread"];
    let counts = results.map(|word| ([of(), vec![("result", word.to_owned())]].concat(), count(word)));
    text.gauge("fleet_tenants", "Tenants by what was found.", counts.to_vec());
    let each = report.readings.iter().map(|one| {
        let labels = vec![("tenant", one.name.clone()), ("wave", one.wave.clone())];
        ([of(), labels].concat(), f64::from(one.exit))
    });
    text.gauge(
        "fleet_tenant_exit_code",
        "Exit code that the command alone would have for the tenant.",
        each.collect(),
    );
    text.out
}
