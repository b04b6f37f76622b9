//! A rollout, or a plan of a fleet, as one HTML page that needs nothing else: no script, no font, no picture.

use std::fmt::Write as _;

use super::forms::{of_wave, time, totals};
use super::report::{FleetReport, listed};
use super::rollout::{Became, Progress, State, Verdict};
use super::summary::{Found, notes};
use super::waiting::Waiting;
use crate::report::{Door, xml};

const STYLE: &str = include_str!("page.css");
/// Longest reason that a row shows.
const WHY_MAX_CHARS: usize = 400;

/// A page of that title around its content, which is HTML already.
fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{content}</body>\n</html>\n"
    )
}

/// The class of a tenant's colour.
fn class(became: Became) -> &'static str {
    match became {
        Became::Applied => "good",
        Became::Unchanged | Became::Skipped => "quiet",
        Became::Failed | Became::Broken => "bad",
        Became::RolledBack => "warn",
    }
}

/// The page of a rollout, as it was at that time.
pub fn of_rollout(state: &State, waits: Option<&Waiting>, now_ms: u64, door: Door<'_>) -> String {
    let text = |text: &str| xml(&door.line(text));
    let title = text(&format!("Rollout of fleet {}", state.fleet));
    let mut out = format!("<h1>{title}</h1>\n<p>{}</p>\n", text(&totals(state)));
    let ended = match state.ended_ms {
        Some(at_ms) => format!(", ended at {}", time(at_ms)),
        None => format!("; as of {}", time(now_ms)),
    };
    let by = text(&format!("began at {} by {}{ended}", time(state.began_ms), state.by));
    let _ = writeln!(out, "<p class=\"quiet\">{by}<br>plan <code>{}</code></p>", text(&state.digest));
    match waits {
        Some(waits) => {
            let class = if state.halt.is_some() { "halted" } else { "waits" };
            let until = match waits.until_ms {
                Some(at_ms) => format!(", until {}", time(at_ms)),
                None => ", without a time-out".to_owned(),
            };
            let _ = writeln!(
                out,
                "<div class=\"banner {class}\">\n<p><b>It waits for</b> {}</p>\n<p>since {}{until}</p>\n<p><b>What to do:</b> {}</p>\n</div>",
                text(&waits.what),
                time(waits.since_ms),
                text(&waits.help)
            );
        }
        None => out.push_str("<div class=\"banner\"><p>It has ended; nothing is waited for.</p></div>\n"),
    }
    if !state.departed.is_empty() {
        let names = text(&listed(&state.departed));
        let _ = writeln!(out, "<p class=\"warn\">Not in the table any more, and still running: {names}</p>");
    }
    let last = state.tenants.values().map(|one| one.at_ms).max();
    let end_ms = state.ended_ms.or(last).unwrap_or(now_ms).max(state.began_ms + 1);
    for wave in &state.waves {
        let _ = writeln!(
            out,
            "<h2>{}</h2>\n<p>{} tenant{}, {}{}</p>",
            text(&format!("Wave {}", wave.name)),
            wave.members.len(),
            if wave.members.len() == 1 { "" } else { "s" },
            of_wave(wave, state.halt.is_some()),
            wave.opened_ms.map(|at_ms| format!(", opened at {}", time(at_ms))).unwrap_or_default()
        );
        if !wave.gates.is_empty() {
            out.push_str("<ul>\n");
        }
        for gate in &wave.gates {
            let class = match gate.verdict {
                Verdict::Passed => "good",
                Verdict::Waits | Verdict::Accepted => "warn",
                Verdict::Failed => "bad",
            };
            let (name, word, words) = (text(&gate.gate), gate.verdict.word(), text(&gate.words));
            let _ =
                writeln!(out, "<li>gate <b>{name}</b>: <span class=\"{class}\">{word}</span>: {words}</li>");
        }
        if !wave.gates.is_empty() {
            out.push_str("</ul>\n");
        }
        for name in &wave.members {
            let flies = state.shards.claims.contains_key(name);
            let one = state.tenants.get(name);
            out.push_str(&tenant(&text(name), one, flies, (state.began_ms, end_ms), door));
        }
    }
    page(&title, &out)
}

/// The row of a tenant: its name, what became of it, and when, on the line from the beginning to the end.
fn tenant(
    name: &str,
    one: Option<&Progress>,
    flies: bool,
    (from_ms, to_ms): (u64, u64),
    door: Door<'_>,
) -> String {
    let Some(one) = one else {
        let word = if flies { "in flight" } else { "waits" };
        return format!(
            "<div class=\"tenant quiet\"><span>{name}</span><span>{word}</span><span></span></div>\n"
        );
    };
    let share = |at_ms: u64| {
        let whole = to_ms.saturating_sub(from_ms).max(1) as f64;
        (at_ms.clamp(from_ms, to_ms) - from_ms) as f64 * 100.0 / whole
    };
    let began_ms = if one.began_ms == 0 { one.at_ms } else { one.began_ms };
    let (left, right) = (share(began_ms), share(one.at_ms));
    let steps = match one.steps {
        0 => String::new(),
        1 => ", 1 step".to_owned(),
        count => format!(", {count} steps"),
    };
    let times = format!("{} to {}", time(began_ms), time(one.at_ms));
    let why = match one.why.as_str() {
        "" => String::new(),
        why => format!("<span class=\"why\">{}</span>", xml(&door.line_of(why, WHY_MAX_CHARS))),
    };
    format!(
        "<div class=\"tenant {}\"><span>{} {name}</span><span>{}{steps}</span><span class=\"track\" title=\"{times}\"><i style=\"left:{:.1}%;width:{:.1}%\"></i></span>{why}</div>\n",
        class(one.became),
        one.became.sign(),
        one.became.word(),
        left.min(99.0),
        right - left,
    )
}

/// The page of a plan or a drift check.
pub fn of_reading(report: &FleetReport, now_ms: u64, door: Door<'_>) -> String {
    let text = |text: &str| xml(&door.line(text));
    let title = text(&format!("Lockstep {} of fleet {}", report.command, report.fleet));
    let mut out = format!(
        "<h1>{title}</h1>\n<p>{}</p>\n<p class=\"quiet\">as of {}</p>\n",
        text(&report.summary()),
        time(now_ms)
    );
    out.push_str("<h2>Changes</h2>\n<ul>\n");
    for row in report.rows() {
        let head = text(&format!("{} {} of {}", row.address, row.what, listed(&row.tenants)));
        let fields: Vec<String> = row
            .fields
            .iter()
            .map(|(field, words)| format!("<br><code>{}</code>", text(&format!("{field}: {words}"))))
            .collect();
        let _ = writeln!(out, "<li>{head}{}</li>", fields.concat());
    }
    out.push_str("</ul>\n");
    let notes = notes(&report.readings);
    if !notes.is_empty() {
        out.push_str("<h2>Findings</h2>\n<ul>\n");
    }
    for note in &notes {
        let head = text(&format!("{} {}: {} {}", note.level.word(), note.code, note.address, note.text));
        let (help, names) = (text(&note.help), text(&listed(&note.tenants)));
        let _ = writeln!(out, "<li>{head}<br>{help}<br><span class=\"quiet\">{names}</span></li>");
    }
    if !notes.is_empty() {
        out.push_str("</ul>\n");
    }
    out.push_str("<h2>Tenants</h2>\n");
    for one in &report.readings {
        let (class, word) = match &one.result {
            Found::Error { .. } => ("bad", "not read".to_owned()),
            Found::Plan(plan) if plan.blockers().next().is_some() => ("bad", "blocked".to_owned()),
            Found::Plan(plan) if plan.is_empty() && one.exit == 0 => ("quiet", "unchanged".to_owned()),
            Found::Plan(plan) => ("warn", format!("{} steps, exit code {}", plan.steps.len(), one.exit)),
        };
        let why = match &one.result {
            Found::Error { code, message, .. } => {
                format!(
                    "<span class=\"why\">{}</span>",
                    xml(&door.line_of(&format!("{code}: {message}"), WHY_MAX_CHARS))
                )
            }
            Found::Plan(_) => String::new(),
        };
        let (name, wave) = (text(&one.name), text(&one.wave));
        let _ = writeln!(
            out,
            "<div class=\"tenant {class}\"><span>{name}</span><span>{word}</span><span>{wave}</span>{why}</div>"
        );
    }
    page(&title, &out)
}
