//! A rollout as Markdown and as JUnit.

use std::fmt::Write as _;

use super::rollout::{Became, State, Verdict, Wave};
use super::waiting::Waiting;
use crate::health::rfc3339;
use crate::report::{BYTES_MAX, Door, span, xml};

/// Characters of a cell.
const CELL_MAX_CHARS: usize = 200;

impl Verdict {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Waits => "waits",
            Verdict::Failed => "failed",
            Verdict::Accepted => "accepted",
        }
    }
}

/// What is the matter with a wave, in a few words.
pub fn of_wave(wave: &Wave, is_halted: bool) -> String {
    match (wave.passed_ms, wave.opened_ms) {
        (Some(at_ms), _) => format!("passed at {}", time(at_ms)),
        (None, Some(_)) if is_halted => "halted".to_owned(),
        (None, Some(_)) => "under way".to_owned(),
        (None, None) => "not begun".to_owned(),
    }
}

/// A time for people, in whole seconds.
pub fn time(at_ms: u64) -> String {
    rfc3339(at_ms).split('.').next().map(|whole| format!("{whole}Z")).unwrap_or_default()
}

/// Counts of what became of the tenants, in one sentence.
pub fn totals(state: &State) -> String {
    let all = [
        Became::Applied,
        Became::Unchanged,
        Became::Failed,
        Became::Broken,
        Became::Skipped,
        Became::RolledBack,
    ];
    let counts = all.map(|became| (state.count(None, became), became.word()));
    let left: usize = (0..state.waves.len()).map(|wave| state.waiting(wave).len()).sum();
    let counts = counts.into_iter().chain([(left, "left")]).filter(|(count, _)| *count > 0);
    let words: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    if words.is_empty() { "no tenants".to_owned() } else { words.join(", ") }
}

/// Markdown for a comment; every text of others stands in a code span.
pub fn markdown(state: &State, waits: Option<&Waiting>, door: Door<'_>) -> String {
    let cell = |text: &str| match text {
        "" => String::new(),
        // A bar would end the cell of a table, even in a code span.
        text => span(&door.line_of(text, CELL_MAX_CHARS)).replace('|', "\\|"),
    };
    let mut out = format!("## Lockstep rollout of fleet {}\n\n{}\n", cell(&state.fleet), totals(state));
    if let Some(waits) = waits {
        let _ =
            writeln!(out, "\n**Waits for** {}\n\nWhat to do: {}", cell(&waits.words()), cell(&waits.help));
    }
    out.push_str("\n| Wave | Tenants | State | Gates |\n| --- | ---: | --- | --- |\n");
    for wave in &state.waves {
        let done = wave.members.iter().filter(|name| state.tenants.contains_key(*name)).count();
        let gates: Vec<String> = wave
            .gates
            .iter()
            .map(|gate| cell(&format!("{} {}: {}", gate.gate, gate.verdict.word(), gate.words)))
            .collect();
        let row = format!(
            "| {} | {done}/{} | {} | {} |\n",
            cell(&wave.name),
            wave.members.len(),
            of_wave(wave, state.halt.is_some()),
            gates.join(" ")
        );
        if out.len() + row.len() < BYTES_MAX / 2 {
            out.push_str(&row);
        }
    }
    let told = |became| !matches!(became, Became::Applied | Became::Unchanged);
    let told: Vec<_> = state.tenants.iter().filter(|(_, one)| told(one.became)).collect();
    if !told.is_empty() {
        out.push_str("\n### Tenants\n\n");
    }
    let mut left_out = 0;
    for (name, one) in told {
        let row = format!("- {} {}: {}\n", one.became.word(), cell(name), cell(&one.why));
        match out.len() + row.len() < BYTES_MAX - 200 {
            true => out.push_str(&row),
            false => left_out += 1,
        }
    }
    if left_out > 0 {
        let _ = writeln!(out, "\n{left_out} more: see the text or the JSON output");
    }
    out
}

/// What stands in a case that did not pass: the element, and why.
type NotPassed = (&'static str, String);

/// JUnit: a case for each tenant, and one for each gate that was read.
pub fn junit(state: &State, door: Door<'_>) -> String {
    let text = |text: &str| xml(&door.line(text));
    let mut cases: Vec<(String, String, Option<NotPassed>)> = Vec::new();
    for wave in &state.waves {
        for name in &wave.members {
            let result = match state.tenants.get(name) {
                None => Some(("skipped", "not begun".to_owned())),
                Some(one) => match one.became {
                    Became::Applied | Became::Unchanged => None,
                    Became::Skipped => Some(("skipped", one.why.clone())),
                    became => Some(("failure", format!("{}: {}", became.word(), one.why))),
                },
            };
            cases.push((wave.name.clone(), name.clone(), result));
        }
        for gate in &wave.gates {
            let result = match gate.verdict {
                Verdict::Passed | Verdict::Accepted => None,
                verdict => Some(("failure", format!("{}: {}", verdict.word(), gate.words))),
            };
            cases.push((wave.name.clone(), format!("gate {}", gate.gate), result));
        }
    }
    let count =
        |kind: &str| cases.iter().filter(|one| one.2.as_ref().is_some_and(|one| one.0 == kind)).count();
    let (tests, failures, skipped) = (cases.len(), count("failure"), count("skipped"));
    let name = text(&format!("lockstep rollout of fleet {}", state.fleet));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"0\">\n  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">\n"
    );
    for (wave, name, result) in cases {
        let _ =
            write!(out, "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"", text(&wave), text(&name));
        let _ = match result {
            None => writeln!(out, "/>"),
            Some((kind, words)) => writeln!(out, "><{kind} message=\"{}\"/></testcase>", text(&words)),
        };
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::rollout::{Cause, Halt, Judged, Progress};
    use super::super::{metrics, page};
    use super::*;

    /// A rollout in which every text that others could write tries to be markup.
    fn hostile() -> State {
        let evil = |what: &str| format!("{what} <b onclick='x'>|&\"\\\n`{{}}");
        let progress =
            |became, why: &str| Progress { became, at_ms: 9_000, began_ms: 4_000, steps: 2, why: evil(why) };
        let gate = |gate: &str, verdict| Judged { gate: evil(gate), verdict, words: evil("words") };
        let wave = Wave {
            name: evil("wave"),
            members: vec![evil("one"), evil("two"), evil("three")],
            opened_ms: Some(2_000),
            passed_ms: None,
            gates: vec![gate("good", Verdict::Passed), gate("bad", Verdict::Failed)],
        };
        State {
            fleet: evil("fleet"),
            by: evil("by"),
            began_ms: 1_000,
            waves: vec![wave],
            tenants: BTreeMap::from([
                (evil("one"), progress(Became::Applied, "")),
                (evil("two"), progress(Became::Failed, "why")),
            ]),
            halt: Some(Halt { cause: Cause::Gate, why: evil("halt"), by: evil("by"), at_ms: 9_500 }),
            ..State::default()
        }
    }

    #[test]
    fn no_text_of_others_is_markup_in_any_form() {
        let state = hostile();
        let same = |text: &str| text.replace("hidden", "");
        let door = Door(&same);
        let waits = Waiting {
            what: "a person <b onclick='x'>".into(),
            since_ms: 9_500,
            until_ms: Some(20_000),
            help: "mend it & go".into(),
        };
        let html = page::of_rollout(&state, Some(&waits), 10_000, door);
        let xml = junit(&state, door);
        for text in [&html, &xml] {
            assert!(!text.contains("<b onclick") && text.contains("&lt;b onclick"), "{text}");
        }
        assert!(html.contains("since 1970-01-01T00:00:09Z, until 1970-01-01T00:00:20Z"), "{html}");
        assert!(html.contains("left:37.5%;width:62.5%"), "{html}");
        assert_eq!(html.matches("<div class=\"tenant").count(), 3);
        assert!(xml.contains("tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"1\""), "{xml}");
        let markdown = markdown(&state, Some(&waits), door);
        assert!(markdown.lines().filter(|line| line.starts_with('|')).count() == 3, "{markdown}");
        let text = metrics::of_rollout(&state, 8, 10_000, door);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (labels, value) = line.rsplit_once("} ").expect("labels and a value");
            assert!(
                value.parse::<f64>().is_ok() && labels.contains("fleet=\"fleet <b onclick='x'>|&\\\""),
                "{line}"
            );
        }
        assert!(text.contains("result=\"failed\"} 1\n") && text.contains("cause=\"gate\"} 1\n"), "{text}");
    }
}
