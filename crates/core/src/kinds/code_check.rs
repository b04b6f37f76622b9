//! Checks the code of Actions and of the Function: can it work at all, as far as its text and the manifest show?
//!
//! Auth0 and Twilio build and deploy even code that throws in its first line, and then users are the first to notice.
//! Code that surely cannot work is an error, and code that probably does not work is a warning. A fault that depends on
//! an unknown value is not reported.

use std::collections::BTreeSet;

use super::is_sid;
use crate::builtin::{self, Reads, SENDER_READS};
use crate::diag::{Code, Problem, codes, nearest};
use crate::javascript::{self, Surface};
use crate::model::manifest::Manifest;
use crate::model::minted;
use crate::model::value::{Attrs, Part, Value};

/// A piece of code in the manifest, and the names and packages that it can use when it runs.
pub(super) struct Source<'a> {
    pub manifest: &'a Manifest,
    /// Path of the section with the keys `code` and `dependencies`.
    pub section: &'static str,
    /// The source text as the manifest gives it.
    pub own: &'a str,
    /// The source text as it is sent; `None` while a value in it is not known.
    pub sent: Option<&'a str>,
    /// Name of the export that the vendor calls.
    pub handler: &'static str,
    /// Who calls the export, in words.
    pub caller: String,
    /// The map of the section that holds what the code reads: `secrets` or `variables`.
    pub reads: &'static str,
    /// The object from which the code reads these values: `event.secrets` or `context`.
    pub from: &'static str,
    /// Further names that the code can read although `reads` does not have them.
    pub given: &'a [&'static str],
    /// Packages that the code can load although the manifest does not name them.
    pub packages: &'a [&'static str],
}

impl Source<'_> {
    fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.section)
    }

    fn attrs(&self) -> &Attrs {
        static NONE: Attrs = Attrs::new();
        self.manifest.section(self.section).unwrap_or(&NONE)
    }

    /// The keys of a map of the section.
    fn keys<'a>(&'a self, map: &'a str) -> impl Iterator<Item = &'a str> {
        self.attrs().keys().filter_map(move |key| key.strip_prefix(map)?.strip_prefix('.'))
    }

    fn error(&self, key: &str, title: &str, reason: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem::error(codes::UNSAFE, self.at(key), title, reason, help)
    }
}

/// All problems of the code. Without a source text there are none.
pub(super) fn problems(source: &Source<'_>) -> Vec<Problem> {
    if source.own.is_empty() {
        return Vec::new();
    }
    // Code that ships with the program is not parsed here, because tests parse it.
    if builtin::ships(source.own) {
        if source.sent.is_some_and(|sent| !builtin::exports(sent, source.handler)) {
            return vec![no_handler(source)];
        }
        return if builtin::sends(source.own) { built_in(source) } else { Vec::new() };
    }
    let sent = source.sent.unwrap_or(source.own);
    // If the text as sent does not parse, and the user's own text does not either, the fault of the own text is
    // reported. Its line numbers are those of the user's file.
    match javascript::parse(sent) {
        Err(wrong) => {
            let own = javascript::parse(source.own).err();
            let is_own = own.is_some();
            let wrong = own.unwrap_or(wrong);
            let (title, help) = match wrong.remedy {
                None => ("the code does not parse", "mend the JavaScript; `node --check FILE` says the same"),
                Some(remedy) => ("the code is too much to be checked", remedy),
            };
            let reason = format!("line {}, column {}: {}", wrong.line, wrong.column, wrong.what);
            let problem = source.error("code", title, reason, help);
            vec![if is_own { problem.inside(wrong.line, wrong.column) } else { problem }]
        }
        Ok(parsed) => user_code(source, &parsed.surface),
    }
}

/// Problems of code that the user wrote, as its syntax tree shows them.
fn user_code(source: &Source<'_>, surface: &Surface) -> Vec<Problem> {
    let Source { handler, caller, from, .. } = source;
    if surface.is_module {
        return vec![source.error(
            "code",
            "the code is an ES module",
            format!("it has import or export declarations, and {caller} runs CommonJS"),
            format!("write require(…) and exports.{handler} = …"),
        )];
    }
    if surface.lacks(handler) {
        return vec![no_handler(source)];
    }
    let warn = |code: Code, title: &str, reason: String, help: String| {
        Problem::error(code, source.at("code"), title, reason, help).warning()
    };
    let mut out = Vec::new();
    let read = if *from == "context" { &surface.context } else { &surface.secrets };
    let named: BTreeSet<&str> = source.keys(source.reads).chain(source.given.iter().copied()).collect();
    for name in read.iter().filter(|name| !named.contains(name.as_str())) {
        let help = match nearest(name, source.keys(source.reads)) {
            Some(near) => format!("the manifest has {near}; one of the two may be misspelt"),
            None => format!("add {name} to {}", source.at(source.reads)),
        };
        let reason = format!("it reads {from}.{name}, which is not in {}", source.at(source.reads));
        out.push(warn(codes::UNSAFE, "the code reads a value that the manifest does not name", reason, help));
    }
    let brought: BTreeSet<&str> =
        source.keys("dependencies").chain(source.packages.iter().copied()).collect();
    for package in surface.packages().into_iter().filter(|package| !brought.contains(package)) {
        out.push(warn(
            codes::UNSAFE,
            "the code loads a package that is not installed",
            format!("it calls require('{package}'), and no dependency in the manifest names it"),
            format!("add {package} with an exact version to {}", source.at("dependencies")),
        ));
    }
    for file in surface.files() {
        out.push(warn(
            codes::UNSAFE,
            "the code loads a file that is not sent",
            format!("it calls require('{file}'), and only the code itself is sent"),
            "put everything into one file, with a bundler for example".into(),
        ));
    }
    out
}

fn no_handler(source: &Source<'_>) -> Problem {
    let Source { handler, caller, .. } = source;
    // Without the section `phone`, the manifest does not say whether the tenant sends by its phone provider or by the
    // legacy set-up. Code with the handler of the legacy set-up is most likely meant for the legacy set-up.
    let is_for_legacy = *handler == "onExecuteCustomPhoneProvider"
        && source.manifest.section("phone").is_none()
        && source.own.contains("onExecuteSendPhoneMessage");
    let help = match is_for_legacy {
        true => {
            "add phone: { delivery: legacy } to the file: without it the Action is for the tenant's phone provider"
        }
        false => "export that handler, or use the built-in code that is meant for this place",
    };
    let reason = format!("exports.{handler} is what {caller} calls, and the code does not export it");
    source.error("code", "the handler is missing", reason, help)
}

/// The line by which a built-in Action loads Twilio's helper.
const LOADS_HELPER: &str = "\nconst twilio = require('twilio');\n";

/// Problems of a sending Action that ships with the program. Such an Action reads the secrets in [`SENDER_READS`].
fn built_in(source: &Source<'_>) -> Vec<Problem> {
    let mut out = missing_secrets(source);
    for reads in SENDER_READS {
        if let Some(value) = source.attrs().get(&format!("{}.{}", source.reads, reads.name)) {
            out.extend(check_sid(source, reads, value));
        }
    }
    out.extend(other_sids(source));
    let loads_helper = source.own.contains(LOADS_HELPER);
    if loads_helper && !source.keys("dependencies").any(|name| name == "twilio") {
        out.push(source.error(
            "dependencies",
            "the built-in code needs the package twilio",
            "it begins with require('twilio'), and no dependency in the manifest names it",
            "add twilio: 6.2.0",
        ));
    }
    out
}

/// An error for each missing secret without which no message can be sent. If another secret has a similar name, the
/// error suggests that its name is misspelt.
fn missing_secrets(source: &Source<'_>) -> Vec<Problem> {
    let has = |name: &str| {
        let value = source.attrs().get(&format!("{}.{name}", source.reads));
        value.is_some_and(|value| known_text(value).is_none_or(|text| !text.trim().is_empty()))
    };
    let key = ["TWILIO_API_KEY", "TWILIO_API_SECRET"];
    let credentials: Vec<&str> = match (key.iter().filter(|name| has(name)).count(), has("TWILIO_AUTH_TOKEN"))
    {
        (2, _) | (_, true) => Vec::new(),
        _ => key.into_iter().filter(|name| !has(name)).collect(),
    };
    let needed =
        ["TWILIO_ACCOUNT_SID", "TWILIO_VERIFY_SID"].into_iter().filter(|name| !has(name)).chain(credentials);
    needed
        .map(|name| {
            let known = |key: &&str| !SENDER_READS.iter().any(|reads| reads.name == *key);
            let meant = source.keys(source.reads).filter(known).find(|key| nearest(key, [name]).is_some());
            match meant {
                Some(meant) => source
                    .error(
                        &format!("{}.{meant}", source.reads),
                        "the built-in code does not read this secret",
                        format!("it reads {name}, which is missing, and no message could be sent"),
                        format!("did you mean {name}?"),
                    )
                    .at_key(),
                None => source.error(
                    source.reads,
                    "a secret of the built-in code is missing",
                    format!("it reads {name}, and without it no message can be sent"),
                    how_to_add(source, name),
                ),
            }
        })
        .collect()
}

fn how_to_add(source: &Source<'_>, name: &str) -> String {
    let value = match name {
        "TWILIO_ACCOUNT_SID" => "${twilio.account_sid}",
        "TWILIO_VERIFY_SID" if source.manifest.section("verify_service").is_none() => {
            "with the SID of the service (VA…), or add verify_service: to the file"
        }
        "TWILIO_VERIFY_SID" => "${verify_service.sid}",
        "TWILIO_API_KEY" => "${env.TWILIO_SENDER_KEY}",
        _ => "${env.TWILIO_SENDER_SECRET}",
    };
    format!("add {name}: {value}")
}

/// The text of a value, if it is known.
fn known_text(value: &Value) -> Option<&str> {
    match value {
        Value::Secret(secret) => Some(secret.expose()),
        value => value.as_str(),
    }
}

/// The problem of a secret whose value has the wrong form for the built-in code, if it has one. The message never
/// repeats the value, because the value may be a secret in the wrong place.
fn check_sid(source: &Source<'_>, reads: Reads, value: &Value) -> Option<Problem> {
    let Reads { name, prefix, .. } = reads;
    let at = format!("{}.{name}", source.reads);
    if let Value::Output(template) = value {
        let Some(Part::Output(output)) = template.parts.first() else { return None };
        let resource = output.resource.rsplit('.').next().unwrap_or_default();
        let is_key = name == "TWILIO_API_KEY" && minted::part_of(value).is_some();
        let is_service = name == "TWILIO_VERIFY_SID" && resource == "verify_service";
        let fits = (is_key || is_service) && template.parts.len() == 1;
        return (!fits).then(|| {
            let reason = format!("{name} cannot be {}.{}", output.resource, output.output);
            source.error(&at, "the secret holds the wrong kind of value", reason, how_to_add(source, name))
        });
    }
    let text = known_text(value)?.trim();
    if text.is_empty() {
        return None;
    }
    let is_key = |text: &str| is_sid(text, "SK");
    if prefix.is_empty() {
        return is_key(text).then(|| {
            let reason = "it begins with SK, which is a key's SID and not its secret";
            source.error(&at, "the secret holds the wrong kind of value", reason, key_help(source))
        });
    }
    let looks = text.starts_with(prefix) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if looks && text.len() == 34 {
        return None;
    }
    let known =
        [("AC", "an account"), ("SK", "a key"), ("VA", "a Verify service"), ("MG", "a messaging service")];
    let is = known.iter().find(|(letters, _)| is_sid(text, letters)).map(|(_, what)| *what);
    let reason = match is {
        Some(what) if !looks => {
            format!("it holds the SID of {what}; the built-in code needs one that begins with {prefix}")
        }
        _ if looks => format!("a SID has 34 characters, and this one has {}", text.len()),
        _ => format!("the built-in code needs a SID: {prefix} and 32 more letters and digits"),
    };
    let help = if name == "TWILIO_API_KEY" { key_help(source) } else { how_to_add(source, name) };
    let problem = source.error(&at, "the secret holds the wrong kind of value", reason, help);
    // A wrong length is only a warning, because the placeholder of a sandbox may be shorter.
    Some(if looks { problem.warning() } else { problem })
}

fn key_help(source: &Source<'_>) -> String {
    let holds_key = |name: &str| {
        let value = source.attrs().get(&format!("{}.{name}", source.reads));
        value.and_then(known_text).is_some_and(|text| is_sid(text.trim(), "SK"))
    };
    if holds_key("TWILIO_API_SECRET") && !holds_key("TWILIO_API_KEY") {
        return "TWILIO_API_KEY and TWILIO_API_SECRET are swapped: exchange their values".into();
    }
    "TWILIO_API_KEY takes the key's SID (SK…), TWILIO_API_SECRET its secret".into()
}

/// Warnings for SIDs of another Verify service or another account than the manifest's.
fn other_sids(source: &Source<'_>) -> Vec<Problem> {
    let value = |name: &str| source.attrs().get(&format!("{}.{name}", source.reads)).and_then(known_text);
    let warn = |name: &str, what: &str, help: &str| {
        let at = source.at(&format!("{}.{name}", source.reads));
        let title = format!("the code sends through another {what} than the manifest's");
        let reason = format!("{name} names a {what} by its SID");
        Problem::error(codes::CONFLICT, at, title, reason, help).warning()
    };
    let mut out = Vec::new();
    let pinned = source.manifest.text("verify_service", "sid").filter(|sid| *sid != "new");
    let manages = source.manifest.section("verify_service").is_some();
    if value("TWILIO_VERIFY_SID").is_some_and(|sid| manages && is_sid(sid, "VA") && pinned != Some(sid)) {
        out.push(warn(
            "TWILIO_VERIFY_SID",
            "Verify service",
            "write ${verify_service.sid}, or pin that service with verify_service.sid",
        ));
    }
    let account = source.manifest.text("twilio", "account_sid");
    if let (Some(sid), Some(account)) = (value("TWILIO_ACCOUNT_SID"), account)
        && manages
        && is_sid(sid, "AC")
        && sid != account
    {
        out.push(warn("TWILIO_ACCOUNT_SID", "account", "write ${twilio.account_sid}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_exports_what_it_says() {
        let handlers =
            ["onExecuteCustomPhoneProvider", "onExecuteSendPhoneMessage", "onExecutePostLogin", "handler"];
        for name in builtin::NAMES {
            let text = builtin::source(name).expect("a source");
            let surface = javascript::parse(text).expect("it parses").surface;
            for handler in handlers {
                assert_ne!(builtin::exports(text, handler), surface.lacks(handler), "{name}: {handler}");
            }
        }
    }
}
