//! What `doctor` shows.

use serde_json::{Value as Json, json};

use super::Told;
use crate::health::feedback::listed;
use crate::model::checkup::{Checkup, Feedback, Known, Limit, Scopes, severity};
use crate::model::plan::{Finding, Level};
use crate::model::text::line;
use crate::plan::render::{Paint, column};

/// How many findings there are of each severity, in words.
pub fn summary(findings: &[Finding]) -> String {
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let some = |level: Level, s: &str| match count(level) {
        0 => None,
        1 => Some(format!("1 {}", severity(level))),
        count => Some(format!("{count} {}{s}", severity(level))),
    };
    let parts = [
        some(Level::Blocker, "s"),
        some(Level::NotRead, ""),
        some(Level::Warning, "s"),
        some(Level::Note, "s"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing to look at".to_owned() } else { parts.join(", ") }
}

/// The screen: the parts, then the findings, the worst first.
pub fn told(checkup: &Checkup, paint: Paint) -> Vec<Told> {
    let Checkup { stack, tenant, account, findings, .. } = checkup;
    let head = line(&format!("Stack {stack} on {tenant} (account {account}): {}", summary(findings)));
    let worst = findings.iter().map(|finding| finding.level).max();
    let mut out = vec![if worst.is_none_or(|worst| worst == Level::Note) { paint.good(&head) } else { head }];
    out.extend(parts(checkup));
    for finding in findings {
        let Finding { code, address, text, help, level } = finding;
        let word = match level {
            Level::Note => paint.dim(severity(*level)),
            Level::Warning => paint.change(severity(*level)),
            Level::Blocker | Level::NotRead => paint.bad(severity(*level)),
        };
        let place = if address.is_empty() { String::new() } else { format!("{address}: ") };
        out.push(format!("{word}[{code}]: {}", line(&format!("{place}{text}"))));
        out.push(format!("  help: {}", line(help)));
    }
    out.into_iter().map(Told::Result).collect()
}

/// What was looked at, a line each; the lines of a part are indented.
pub fn parts(checkup: &Checkup) -> Vec<String> {
    let Checkup { credentials, scopes, limits, running, stream, conversion, feedback, .. } = checkup;
    let mut out = vec!["Credentials".to_owned()];
    for one in credentials {
        let how = match one.known {
            Known::Said | Known::Shown | Known::Unknown => "",
            Known::Inferred => "inferred: ",
        };
        let id = one.id.as_ref().map_or_else(String::new, |id| format!("{id}, "));
        out.push(format!("  {}: {id}{} ({how}{})", one.place, one.kind.words(), one.why));
    }
    out.push("Scopes".to_owned());
    out.extend(of_scopes(scopes));
    out.push("Limits".to_owned());
    let width = column(limits.iter().map(|limit| limit.what));
    out.extend(limits.iter().map(|limit| format!("  {:<width$}  {}", limit.what, of_limit(limit))));
    if !running.is_empty() {
        out.push("Code".to_owned());
    }
    for one in running {
        let runtime = one.runtime.as_deref().unwrap_or("on a runtime that is not shown");
        let built = if one.failed { "its last build failed" } else { "built" };
        out.push(format!("  {}: {runtime}, {built}", one.address));
    }
    if let Some(stream) = stream {
        let filters = match stream.filters.as_slice() {
            [] => "every event".to_owned(),
            filters => filters.join(", "),
        };
        out.extend(["Stream".to_owned(), format!("  {}; carries {filters}", stream.status)]);
    }
    if conversion.is_some() || feedback.is_some() {
        out.push("Feedback in the last 24 hours".to_owned());
    }
    if let Some(one) = conversion {
        let words = one.verdict.words();
        out.push(match one.attempts {
            0 => format!("  no verification was begun: {words}"),
            attempts => format!("  {} of {attempts} verifications were completed: {words}", one.converted),
        });
    }
    out.extend(feedback.as_ref().map(of_feedback));
    out.iter().map(|text| line_with_indent(text)).collect()
}

fn of_scopes(scopes: &Scopes) -> Vec<String> {
    let Scopes { granted, plan, apply } = scopes;
    let Some(granted) = granted else {
        let all: Vec<&str> = plan.iter().chain(apply).map(String::as_str).collect();
        return vec![format!("  the token does not list its scopes; needed are {}", all.join(", "))];
    };
    let of = |what: &str, needed: &[String]| {
        let missing = scopes.missing(needed);
        match missing.as_slice() {
            [] => format!("  {what}: {} needed, all granted", needed.len()),
            missing => format!("  {what}: {} needed, missing {}", needed.len(), missing.join(", ")),
        }
    };
    vec![format!("  granted: {}", granted.join(", ")), of("plan", plan), of("apply", apply)]
}

fn of_limit(limit: &Limit) -> String {
    let Limit { what: _, used, more, most } = limit;
    let used = match used {
        None => return "not read".to_owned(),
        Some(used) if *more => format!("more than {used}"),
        Some(used) => used.to_string(),
    };
    match most {
        Some(most) => format!("{used} of at most {most}"),
        None => format!("{used}; the most is not published"),
    }
}

fn of_feedback(feedback: &Feedback) -> String {
    let Feedback { reported, masked, unusable, filtered, not_taken, more } = feedback;
    let mut parts = vec![format!("{reported} reported")];
    for (count, what) in [(masked, "with a masked number"), (unusable, "with a number in another form")] {
        parts.extend((*count > 0).then(|| format!("{count} {what}")));
    }
    for (events, what) in [(filtered, "left out by the filters"), (not_taken, "not taken by the Function")] {
        parts.extend((!events.is_empty()).then(|| format!("{what}: {}", listed(events))));
    }
    let more = if *more { " (there are more events than were read)" } else { "" };
    format!("  logins by a code, by the tenant log: {}{more}", parts.join(", "))
}

/// One harmless line that keeps its indent.
fn line_with_indent(text: &str) -> String {
    let indent = text.len() - text.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), line(text.trim_start_matches(' ')))
}

pub fn json(checkup: &Checkup) -> Json {
    let Checkup {
        stack,
        tenant,
        account,
        credentials,
        scopes,
        limits,
        running,
        stream,
        conversion,
        feedback,
        findings,
    } = checkup;
    let findings: Vec<Json> = findings
        .iter()
        .map(|Finding { code, address, text, help, level }| {
            let severity = if *level == Level::NotRead { "not_read" } else { severity(*level) };
            json!({ "severity": severity, "code": code, "address": address, "text": text, "help": help })
        })
        .collect();
    let Scopes { granted, plan, apply } = scopes;
    let missing = json!({ "plan": scopes.missing(plan), "apply": scopes.missing(apply) });
    json!({
        "stack": stack, "tenant": tenant, "account": account, "credentials": credentials,
        "scopes": { "granted": granted, "plan": plan, "apply": apply, "missing": missing },
        "limits": limits, "code": running, "stream": stream, "conversion": conversion, "feedback": feedback,
        "findings": findings,
    })
}
