//! Renders a plan, and what drift found, as text for people. Pure: with or without colour, never with a secret.
//!
//! Texts that others chose (names, ids, keys, values, code) are made harmless before they stand next to a word or a
//! colour of ours.

use std::fmt::Write as _;

use serde_json::Value as Json;
use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices, group_diff_ops};

use crate::model::address::Address;
use crate::model::plan::{
    Accepted, Deferred, Digest, FieldChange, Finding, Level, Plan, ResourcePlan, Step, Unproven, Verb,
};
use crate::model::text::line;

/// Lines of unchanged text around a change of source code.
const CONTEXT_LINES: usize = 2;
/// Most pairs of lines of two texts that are compared: this takes some tenths of a second.
const COMPARED_MAX: usize = 4_000_000;
/// Least width of the column of addresses.
const ADDRESS_MIN_CHARS: usize = 24;
/// Greatest width of it.
const ADDRESS_MAX_CHARS: usize = 1_000;
/// Values longer than this are cut in one-line texts.
const VALUE_MAX_CHARS: usize = 100;

/// Writes with or without colour.
#[derive(Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Green, for additions and good news.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Yellow, for changes.
    pub fn change(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Red, for removals and faults.
    pub fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Bold.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Dim, for text that can be skipped.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn verb(self, verb: Verb, text: &str) -> String {
        match verb {
            Verb::Create => self.good(text),
            Verb::Update | Verb::Replace => self.change(text),
            Verb::Delete => self.bad(text),
            Verb::Adopt => self.bold(text),
            Verb::NoOp => self.dim(text),
        }
    }
}

/// The whole plan.
pub fn plan(plan: &Plan, paint: Paint) -> String {
    let plan = &harmless(plan);
    let mut out = String::new();
    let what = match (plan.destroy, plan.rollback) {
        (true, _) => "destroy",
        (_, true) => "rollback",
        _ => "plan",
    };
    let _ = writeln!(out, "{}", paint.bold(&format!("Lockstep {what} of stack {}", plan.stack)));
    let _ = writeln!(out, "  tenant   {}\n  account  {}\n", plan.tenant, plan.account);
    let is_quiet = |resource: &&ResourcePlan| {
        let silent = resource.unknown.is_empty() && resource.changes.is_empty() && resource.stays.is_none();
        resource.verb == Verb::NoOp && silent && resource.accepted.is_empty()
    };
    let (still, told): (Vec<_>, Vec<_>) = plan.resources.iter().partition(is_quiet);
    let width = column(told.iter().map(|resource| resource.address.as_str()));
    for resource in &told {
        match &resource.stays {
            Some(why) => {
                let (address, which) = (&resource.address, which(resource));
                let _ = writeln!(out, "  = {address:<width$} stays{which}\n      {why}");
            }
            None => write_resource(&mut out, resource, width, paint),
        }
    }
    let quiet = still.len();
    if quiet > 0 {
        let _ = writeln!(out, "{}", paint.dim(&format!("  {quiet} unchanged")));
    }
    if !plan.steps.is_empty() {
        let _ = writeln!(out, "\n{}", paint.bold("Steps, in order"));
        for step in &plan.steps {
            write_step(&mut out, step, goes(plan, step), paint);
        }
    }
    deferred(&mut out, plan, paint);
    findings(&mut out, plan, paint);
    let _ = writeln!(out, "\n{}\n{}", digest(plan), summary(plan, paint));
    out
}

/// One line: the digest by which the plan is reviewed, or why it has none.
pub fn digest(plan: &Plan) -> String {
    match (&plan.digest, plan.unknown_values) {
        (Digest::Of(digest), _) => format!("Digest: {digest}"),
        (_, 0) => "no digest".to_owned(),
        (_, 1) => "no digest: 1 value unknown".to_owned(),
        (_, n) => format!("no digest: {n} values unknown"),
    }
}

/// What drift found: the cause of each difference, what was applied, what the tenant has and what the manifest wants.
pub fn drift(plan: &Plan, paint: Paint) -> String {
    let plan = &harmless(plan);
    let mut out = String::new();
    let _ = writeln!(out, "{}", paint.bold(&format!("Lockstep drift of stack {}", plan.stack)));
    let _ = writeln!(out, "  tenant   {}\n  account  {}\n", plan.tenant, plan.account);
    let all = super::drift::differences(plan);
    let width = column(all.iter().map(|told| told.address.as_str()));
    for told in &all {
        super::drift::write(&mut out, told, width, paint);
    }
    let left: Vec<&Accepted> = plan.resources.iter().flat_map(|resource| &resource.accepted).collect();
    if !left.is_empty() {
        let _ = writeln!(out, "\n{}", paint.bold("Accepted, no part of the verdict"));
        for left in &left {
            let _ = writeln!(out, "  = {}: {}", left.key, accepted(left));
        }
    }
    let lines: Vec<&String> =
        all.iter().flat_map(|told| &told.fields).filter_map(|field| field.accept.as_ref()).collect();
    if !lines.is_empty() {
        let how = "To leave a difference for a time, copy its line below `accept:` in the manifest, and fill in reason and by";
        let _ = writeln!(out, "\n{}", paint.bold(how));
        for accept in lines {
            let _ = writeln!(out, "  {}", line(accept));
        }
    }
    deferred(&mut out, plan, paint);
    findings(&mut out, plan, paint);
    let _ = writeln!(out, "\n{}", drift_summary(plan, paint));
    out
}

/// One line: how much differs.
pub fn drift_summary(plan: &Plan, paint: Paint) -> String {
    let differing = plan.resources.iter().filter(|resource| plan.differs(resource)).count();
    let incomplete = plan.findings.iter().any(|finding| finding.level == Level::NotRead);
    let is_accepted = plan.resources.iter().any(|resource| !resource.accepted.is_empty());
    let besides = if is_accepted { " besides what is accepted" } else { "" };
    match differing {
        0 if incomplete => paint.change("No difference in the part that could be read."),
        0 if plan.resources.iter().any(|resource| !resource.unknown.is_empty()) => {
            paint.good(&format!("No difference in what can be compared{besides}."))
        }
        0 => paint.good(&format!("No difference between manifest and tenant{besides}.")),
        1 => "1 resource differs.".to_owned(),
        n => format!("{n} resources differ."),
    }
}

/// The plan with every name, id and sentence as one harmless line. Values stay: [`shown`] and [`write_diff`] treat
/// them. Each struct is destructured in full, so that a new field cannot be forgotten.
fn harmless(plan: &Plan) -> Plan {
    let Plan {
        format,
        stack,
        tenant,
        account,
        destroy,
        rollback,
        resources,
        steps,
        findings,
        deferred,
        unproven,
        record,
        digest,
        unknown_values,
        basis,
    } = plan.clone();
    Plan {
        format,
        stack: line(&stack),
        tenant: line(&tenant),
        account: line(&account),
        destroy,
        rollback,
        resources: resources.into_iter().map(harmless_resource).collect(),
        steps: steps.into_iter().map(harmless_step).collect(),
        findings: findings
            .into_iter()
            .map(|Finding { code, address, text, help, level }| Finding {
                code,
                address: harmless_address(&address),
                text: line(&text),
                help: line(&help),
                level,
            })
            .collect(),
        deferred: deferred
            .into_iter()
            .map(|Deferred { address, stage, what, needs, wait_ms, not_before }| Deferred {
                address: harmless_address(&address),
                stage,
                what: line(&what),
                needs: line(&needs),
                wait_ms,
                not_before: not_before.as_deref().map(line),
            })
            .collect(),
        unproven: unproven
            .into_iter()
            .map(|Unproven { address, id, name, what }| Unproven {
                address: harmless_address(&address),
                id: line(&id),
                name: line(&name),
                what: line(&what),
            })
            .collect(),
        record,
        digest: match digest {
            Digest::Of(text) => Digest::Of(line(&text)),
            other => other,
        },
        unknown_values,
        basis: line(&basis),
    }
}

fn harmless_resource(resource: ResourcePlan) -> ResourcePlan {
    let ResourcePlan {
        address,
        kind,
        verb,
        changes,
        accepted,
        unknown,
        ids,
        name,
        taken_over,
        leaves,
        stays,
    } = resource;
    let change = |FieldChange { field, applied, old, new, secret, cause, accept }| FieldChange {
        field: line(&field),
        applied,
        old,
        new,
        secret,
        cause,
        // It is harmless, and a cut line would be no YAML.
        accept,
    };
    let left = |Accepted { field, key, tenant, manifest, reason, by, until }| Accepted {
        field: line(&field),
        key: line(&key),
        tenant,
        manifest,
        reason: line(&reason),
        by: line(&by),
        until: line(&until),
    };
    ResourcePlan {
        address: harmless_address(&address),
        kind: line(&kind),
        verb,
        changes: changes.into_iter().map(change).collect(),
        accepted: accepted.into_iter().map(left).collect(),
        unknown: unknown.iter().map(|field| line(field)).collect(),
        ids: ids.iter().map(|(name, id)| (line(name), line(id))).collect(),
        name: name.as_deref().map(line),
        taken_over,
        leaves,
        stays: stays.as_deref().map(line),
    }
}

fn harmless_address(address: &Address) -> Address {
    Address::from(line(address.as_str()).as_str())
}

fn harmless_step(step: Step) -> Step {
    let Step { number, address, kind, verb, stage, what, reason, op, effects, danger, creates, again } = step;
    Step {
        number,
        address: harmless_address(&address),
        kind: line(&kind),
        verb,
        stage,
        what: line(&what),
        reason: line(&reason),
        op,
        effects,
        danger: danger.as_deref().map(line),
        creates,
        again,
    }
}

/// The text of one resource, as the plan has it.
pub fn resource(resource: &ResourcePlan) -> String {
    let mut out = String::new();
    write_resource(&mut out, &harmless_resource(resource.clone()), 0, Paint(false));
    out
}

/// The deferred removals, and what each waits for.
fn deferred(out: &mut String, plan: &Plan, paint: Paint) {
    if plan.deferred.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.bold("Later, by a plan after that time"));
    let width = column(plan.deferred.iter().map(|later| later.address.as_str()));
    for later in &plan.deferred {
        let when = when(later);
        let goes = plan.resources.iter().find(|resource| resource.address == later.address);
        let which = goes.map(which).unwrap_or_default();
        let _ = writeln!(
            out,
            "  - {:<width$} {}{which}: {when}, and when {}",
            later.address, later.what, later.needs
        );
    }
}

/// The time before which a deferred removal does not happen.
pub fn when(later: &Deferred) -> String {
    match &later.not_before {
        Some(at) => format!("not before {at}"),
        None if later.wait_ms < 3_600_000 => {
            format!("not before {} min after this is applied", later.wait_ms / 60_000)
        }
        None => format!("not before {} h after this is applied", later.wait_ms / 3_600_000),
    }
}

/// Width of the column of addresses: that of the longest address, so that the next column is straight. No address on
/// the screen is longer than a line.
pub fn column<'a>(addresses: impl Iterator<Item = &'a str>) -> usize {
    addresses
        .map(|address| address.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(ADDRESS_MIN_CHARS, ADDRESS_MAX_CHARS)
}

fn write_resource(out: &mut String, resource: &ResourcePlan, width: usize, paint: Paint) {
    let mut head = format!("  {} {:<width$} {}", resource.verb.symbol(), resource.address, resource.verb);
    if resource.verb == Verb::Delete {
        head += &which(resource);
    }
    if resource.taken_over {
        let changes = match resource.changes.len() {
            0 => "nothing of it changes",
            1 => "1 field of it changes",
            n => &format!("{n} fields of it change"),
        };
        let which = match which(resource).trim() {
            "" => "the setting as the tenant has it".to_owned(),
            which => which.to_owned(),
        };
        let _ = write!(head, ": takes over {which}; {changes}");
    }
    let _ = writeln!(out, "{}", paint.verb(resource.verb, &head));
    for change in &resource.changes {
        write_change(out, change, resource.verb, paint);
    }
    for left in &resource.accepted {
        let _ = writeln!(out, "      {}: stays; {}", left.field, accepted(left));
    }
    for field in &resource.unknown {
        write_unknown(out, field, paint);
    }
}

/// What is accepted of a field, by whom, until when, and why.
pub fn accepted(left: &Accepted) -> String {
    let Accepted { field: _, key: _, tenant, manifest, reason, by, until } = left;
    let brief = |value: &Option<Json>| match value {
        None | Some(Json::Null) => "none".to_owned(),
        value => shown(value.as_ref()),
    };
    let (tenant, manifest) = (brief(tenant), brief(manifest));
    format!(
        "the tenant has {tenant}, the manifest wants {manifest}; accepted until {until} by {by}: {reason}"
    )
}

pub(super) fn write_unknown(out: &mut String, field: &str, paint: Paint) {
    let text = format!("      ? {field}: unknown (not shown by the tenant, or not on record; not a change)");
    let _ = writeln!(out, "{}", paint.dim(&text));
}

fn write_change(out: &mut String, change: &FieldChange, verb: Verb, paint: Paint) {
    let field = &change.field;
    if change.secret {
        let _ = writeln!(out, "      {field}: {}", of_secret(change));
        return;
    }
    if is_text(change.old.as_ref()) || is_text(change.new.as_ref()) {
        let text = |json: &Option<Json>| json.as_ref().and_then(Json::as_str).unwrap_or_default().to_owned();
        let (old, new) = (text(&change.old), text(&change.new));
        if change.old.is_none() || verb == Verb::Create {
            let _ = writeln!(out, "      {field}: {} lines", new.lines().count());
            return;
        }
        let _ = writeln!(out, "      {field}:");
        write_diff(out, &old, &new, paint);
        return;
    }
    let new = shown(change.new.as_ref());
    if verb == Verb::Create {
        let _ = writeln!(out, "      {field}: {new}");
    } else {
        let _ =
            writeln!(out, "      {field}: {} → {}", paint.bad(&shown(change.old.as_ref())), paint.good(&new));
    }
}

/// What becomes of a secret.
pub fn of_secret(change: &FieldChange) -> &'static str {
    match (&change.old, &change.new) {
        (None, _) => "set (secret)",
        (_, None) => "removed (secret)",
        _ => "changed (secret)",
    }
}

/// Whether a value is a text of several lines, such as code.
pub fn is_text(value: Option<&Json>) -> bool {
    value.and_then(Json::as_str).is_some_and(|text| text.contains('\n'))
}

/// The differing lines of two texts, each a harmless line with its mark.
pub fn diff(old: &str, new: &str) -> Vec<String> {
    let mut out = String::new();
    write_diff(&mut out, old, new, Paint(false));
    out.lines().map(|line| line.strip_prefix("        ").unwrap_or(line).to_owned()).collect()
}

/// Writes the differing lines. Each line has a mark before it, unchanged ones too, so that no line of the output begins
/// with a text of others.
pub(super) fn write_diff(out: &mut String, old: &str, new: &str, paint: Paint) {
    let (was, is) = (lines(old), lines(new));
    for (index, group) in group_diff_ops(compared(&was, &is), CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            let _ = writeln!(out, "        {}", paint.dim("…"));
        }
        for change in group.iter().flat_map(|op| op.iter_changes(&was, &is)) {
            let line = line(change.value());
            let text = match change.tag() {
                ChangeTag::Delete => paint.bad(&format!("- {line}")),
                ChangeTag::Insert => paint.good(&format!("+ {line}")),
                ChangeTag::Equal => paint.dim(&format!("| {line}")),
            };
            let _ = writeln!(out, "        {text}");
        }
    }
    let text = match (old.ends_with('\n'), new.ends_with('\n')) {
        (true, false) => paint.bad("- (the line break at the end)"),
        (false, true) => paint.good("+ (the line break at the end)"),
        _ => return,
    };
    let _ = writeln!(out, "        {text}");
}

/// The lines of a text. A line break at the end does not begin another line.
fn lines(text: &str) -> Vec<&str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n').collect()
}

/// Compares two lists of lines. The time of a comparison grows with the product of the differing lines, so beyond a
/// bound everything between the first and the last difference counts as replaced.
fn compared(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old_len, new_len) = (old_rest.len() - tail, new_rest.len() - tail);
    if old_len.saturating_mul(new_len) <= COMPARED_MAX {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let (old_index, new_index) = (head + old_len, head + new_len);
    vec![
        DiffOp::Equal { old_index: 0, new_index: 0, len: head },
        DiffOp::Replace { old_index: head, old_len, new_index: head, new_len },
        DiffOp::Equal { old_index, new_index, len: tail },
    ]
}

/// A value on one line.
pub fn shown(value: Option<&Json>) -> String {
    let text = match value {
        None => "(absent)".to_owned(),
        Some(Json::String(text)) if text.is_empty() => "\"\"".to_owned(),
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| shown(Some(item))).collect();
            format!("[{}]", items.join(", "))
        }
        Some(other) => other.to_string(),
    };
    let text = line(&text);
    if text.chars().count() <= VALUE_MAX_CHARS {
        return text;
    }
    text.chars().take(VALUE_MAX_CHARS).chain(['…']).collect()
}

/// The resource that a step removes: the last deletion of an address. One before it removes something beside the
/// resource, and names it.
fn goes<'a>(plan: &'a Plan, step: &Step) -> Option<&'a ResourcePlan> {
    let removes = |one: &&Step| one.verb == Verb::Delete && one.address == step.address;
    let last = plan.steps.iter().rev().find(removes)?;
    let goes = |resource: &&ResourcePlan| last.number == step.number && resource.address == step.address;
    plan.resources.iter().find(goes)
}

/// Name and ids of an object. An address is only our own name for it, and whoever confirms a removal must know which
/// object it is.
pub fn which(resource: &ResourcePlan) -> String {
    let ids: Vec<String> = resource.ids.iter().map(|(name, id)| format!("{name} {id}")).collect();
    let name = resource.name.as_ref().map(|name| format!("  {name:?}")).unwrap_or_default();
    format!("{name}  {}", ids.join(", "))
}

fn write_step(out: &mut String, step: &Step, goes: Option<&ResourcePlan>, paint: Paint) {
    let which = goes.map(which).unwrap_or_default();
    let what = &step.what;
    let line = format!("  {:>2}. {} {}: {what}{which}", step.number, step.verb.symbol(), step.address);
    let _ = writeln!(out, "{}", paint.verb(step.verb, &line));
    let _ = writeln!(out, "        {}", paint.dim(&format!("because {}", step.reason)));
    if let Some(danger) = &step.danger {
        let _ = writeln!(out, "        {} {}", paint.bad("! danger:"), danger);
    }
}

fn findings(out: &mut String, plan: &Plan, paint: Paint) {
    if plan.findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.bold("Findings"));
    for finding in &plan.findings {
        let word = finding.level.word();
        let word = match finding.level {
            Level::Note => paint.dim(word),
            Level::Warning => paint.change(word),
            Level::Blocker | Level::NotRead => paint.bad(word),
        };
        let place = if finding.address.is_empty() { String::new() } else { format!("{}: ", finding.address) };
        let _ = writeln!(out, "  {word}[{}]: {place}{}", finding.code, finding.text);
        if !finding.help.is_empty() {
            let _ = writeln!(out, "        {}", paint.dim(&format!("help: {}", finding.help)));
        }
    }
}

/// One line: how much would change.
pub fn summary(plan: &Plan, paint: Paint) -> String {
    let incomplete = plan.findings.iter().any(|finding| finding.level == Level::NotRead);
    if plan.is_empty() && incomplete {
        return paint.change("No changes in the part that could be read.");
    }
    if plan.blockers().next().is_some() {
        let n = plan.blockers().count();
        return paint.bad(&format!(
            "Blocked: {n} finding{} to be settled first; nothing can be applied.",
            if n == 1 { "" } else { "s" }
        ));
    }
    if plan.is_empty() {
        return paint.good(if plan.destroy {
            "Nothing to destroy: the record lists nothing of this stack."
        } else if plan.rollback {
            "Nothing to take back."
        } else if plan.has_work() {
            "No changes; an apply tries again what the tenant refused before."
        } else if plan.resources.iter().any(|resource| !resource.accepted.is_empty()) {
            "No changes: the tenant is as the manifest says and accepts."
        } else {
            "No changes: the tenant is as the manifest says."
        });
    }
    let dangerous = plan.steps.iter().filter(|step| step.danger.is_some()).count();
    let parts = counts(plan);
    let steps = plan.steps.len();
    let mut text = match parts.is_empty() {
        true => "Only the record is to be written".to_owned(),
        false => format!("{}; {steps} step{}", parts.join(", "), if steps == 1 { "" } else { "s" }),
    };
    if dangerous > 0 {
        let _ = write!(text, ", {dangerous} dangerous");
    }
    text.push('.');
    text
}

/// Number of resources for each verb, in words.
pub fn counts(plan: &Plan) -> Vec<String> {
    let count = |verb: Verb| plan.resources.iter().filter(|resource| resource.verb == verb).count();
    let mut parts = Vec::new();
    for (verb, word) in [
        (Verb::Create, "to create"),
        (Verb::Update, if plan.destroy || plan.rollback { "to put back" } else { "to update" }),
        (Verb::Replace, "to replace"),
        (Verb::Delete, "to delete"),
        (Verb::Adopt, "to adopt"),
    ] {
        if count(verb) > 0 {
            parts.push(format!("{} {word}", count(verb)));
        }
    }
    match plan.resources.iter().filter(|resource| resource.stays.is_some()).count() {
        0 => {}
        1 => parts.push("1 stays".into()),
        n => parts.push(format!("{n} stay")),
    }
    parts
}

/// Objects that still exist after the plan was applied, one line each.
pub fn left_behind(plan: &Plan) -> Vec<String> {
    let plan = harmless(plan);
    let told = |resource: &ResourcePlan| {
        Some(format!("{}{}: {}", resource.address, which(resource), resource.stays.as_ref()?))
    };
    plan.resources.iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_at_the_end_is_told_as_what_it_is() {
        assert_eq!(diff("a\n};\n", "a\n};"), ["- (the line break at the end)"]);
        assert_eq!(diff("a\n};", "a\n};\n"), ["+ (the line break at the end)"]);
        assert_eq!(diff("a\nb\n", "a\nc\n"), ["| a", "- b", "+ c"]);
    }

    #[test]
    fn long_texts_with_nothing_in_common_are_not_compared_line_by_line() {
        let text = |word: &str| -> String { (0..30_000).map(|n| format!("{word}{n}\n")).collect() };
        let (old, new) = (format!("head\n{}tail\n", text("x")), format!("head\n{}tail\n", text("y")));
        let told = diff(&old, &new);
        assert_eq!(told.len(), 60_002);
        assert_eq!((told[0].as_str(), told[1].as_str()), ("| head", "- x0"));
        assert_eq!((told[60_000].as_str(), told[60_001].as_str()), ("+ y29999", "| tail"));
        let (was, is) = (lines(&old), lines(&new));
        assert_eq!(compared(&was, &is).len(), 3, "head, what is replaced, tail");
    }
}
