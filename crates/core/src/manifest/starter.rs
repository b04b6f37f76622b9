//! A commented manifest to start from, for `lockstep init`. `manifests/quickstart.yaml` is what it writes for
//! [`Choices::default`] with a receiver of somebody's own.
//!
//! What a key means is said by the tables. Only what no table can know stands here: why this value, and what to do next.

use super::yaml::needs_quotes;
use super::{Parsed, Tables, references, schema};
use crate::model::field::flat;
use crate::model::text::{line, shell_word};

/// The column in which comments begin, as in the shipped manifests.
const COMMENT_AT: usize = 46;

/// Longest line.
const WIDTH: usize = 120;

/// What the manifest is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    pub stack: String,
    /// The name in the messages.
    pub brand: String,
    /// SID of a Verify service that others manage; `None`: the stack makes one.
    pub uses_service: Option<String>,
    pub delivery: Delivery,
    pub channels: Channels,
    pub receiver: Receiver,
    pub mfa: Mfa,
}

impl Default for Choices {
    fn default() -> Choices {
        Choices {
            stack: "acme-login".to_owned(),
            brand: "Acme".to_owned(),
            uses_service: None,
            delivery: Delivery::Unified,
            channels: Channels { sms: true, voice: true },
            receiver: Receiver::Function,
            mfa: Mfa::Later,
        }
    }
}

/// How the tenant sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Unified,
    Legacy,
}

/// How a code may travel: at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    pub sms: bool,
    pub voice: bool,
}

/// Who tells Verify which codes were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A Twilio Function, which the manifest has too.
    Function,
    /// A receiver that is there already; without its URL, a variable has that.
    Url(Option<String>),
    Nobody,
}

/// Which logins are asked for a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mfa {
    /// As the tenant has it now.
    Later,
    All,
    /// Those that a rule names.
    Rules,
}

/// The manifest. `file` is the name under which it is going to be kept, for the commands in its head.
pub fn text(choices: &Choices, file: &str, tables: &Tables) -> String {
    let mut page = Page { out: String::new(), tables };
    head(&mut page, choices, file);
    connect(&mut page);
    send(&mut page, choices);
    feedback(&mut page, &choices.receiver);
    mfa(&mut page, choices);
    console(&mut page, choices.channels);
    page.out
}

/// The variables that a manifest takes from the environment, each once: its name, and the comment of the line that
/// needs it.
pub fn variables(parsed: &Parsed) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut all = references(parsed);
    all.sort_by_key(|reference| reference.span.start);
    for reference in all {
        let Some(name) = reference.text.strip_prefix("env.") else { continue };
        if found.iter().any(|(known, _)| known == name) {
            continue;
        }
        let rest = parsed.source.text.get(reference.span.end..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let comment = line.split_once(" # ").map_or(reference.path.as_str(), |(_, comment)| comment);
        found.push((name.to_owned(), comment.to_owned()));
    }
    found
}

fn head(page: &mut Page<'_>, choices: &Choices, file: &str) {
    page.line(schema::modeline(schema::FILE).trim_end());
    page.note("Phone MFA for one Auth0 tenant, with Twilio Verify as the sender.");
    page.line("#");
    // An empty twin has no service of others.
    let begin = if choices.uses_service.is_none() {
        page.line(&format!(
            "#   try it, no accounts needed:   lockstep apply {} --twin",
            line(&shell_word(file))
        ));
        "for real: set"
    } else {
        "set"
    };
    page.line(&format!("#   {begin} the variables named below, then `lockstep plan` and `lockstep apply`."));
    page.line("");
    page.said("lockstep", "v1", "");
    page.said("stack", &scalar(&choices.stack), "");
}

fn connect(page: &mut Page<'_>) {
    page.section("auth0");
    page.key("auth0.domain", "${env.AUTH0_DOMAIN}");
    page.key("auth0.client_id", "${env.AUTH0_CLIENT_ID}");
    page.said("auth0.client_secret", "${env.AUTH0_CLIENT_SECRET}", "or private_key: ${file.auth0.pem}");
    page.section("twilio");
    page.key("twilio.account_sid", "${env.TWILIO_ACCOUNT_SID}");
    page.said("twilio.api_key", "${env.TWILIO_API_KEY}", "a standard key; or auth_token");
    page.key("twilio.api_secret", "${env.TWILIO_API_SECRET}");
}

fn send(page: &mut Page<'_>, choices: &Choices) {
    let Channels { sms, voice } = choices.channels;
    let (delivery, channels) = (choices.delivery.word(), choices.channels.words().join(", "));
    page.section("verify_service");
    match &choices.uses_service {
        Some(sid) => page.said(
            "verify_service.use",
            &scalar(sid),
            "others manage it: it is read and checked, never changed",
        ),
        None => {
            page.key("verify_service.friendly_name", &scalar(&choices.brand));
            page.key("verify_service.code_length", "6");
        }
    }
    page.section("phone");
    page.key("phone.delivery", delivery);
    match voice {
        true => page.key("phone.channels", &format!("[{channels}]")),
        false => page.said("phone.channels", &format!("[{channels}]"), "or [sms, voice]"),
    }
    debug_assert!(sms || voice, "a code has to travel somehow");
    page.section("action");
    let own = "or a file of your own: ./actions/send.js";
    page.said("action.code", "builtin:twilio-verify-fetch", own);
    page.said("action.runtime", "node22", "");
    page.said("action.secrets", "", "");
    page.said("action.secrets.TWILIO_ACCOUNT_SID", "${twilio.account_sid}", "");
    let narrow = "a restricted key: verification/create only";
    page.said("action.secrets.TWILIO_API_KEY", "${env.TWILIO_SENDER_KEY}", narrow);
    page.said("action.secrets.TWILIO_API_SECRET", "${env.TWILIO_SENDER_SECRET}", "secret of that key");
    page.said("action.secrets.TWILIO_VERIFY_SID", "${verify_service.sid}", "");
}

fn feedback(page: &mut Page<'_>, receiver: &Receiver) {
    page.line("");
    page.note("Tells Verify which codes were used. Without feedback, five sends in ten minutes lock a number out, and Fraud Guard judges blind.");
    if *receiver == Receiver::Nobody {
        page.note("This manifest has none. To have it: a receiver of your own in log_stream.endpoint, or the Function of `lockstep init --receiver function`.");
        return;
    }
    page.said("feedback", "", "");
    match receiver {
        Receiver::Function => {
            page.said("feedback.function", "", "");
            let own = "or a file of your own that exports handler";
            page.said("feedback.function.code", "builtin:verify-feedback", own);
            page.key("feedback.function.api_key", "${env.TWILIO_FEEDBACK_KEY}");
            page.said("feedback.function.api_secret", "${env.TWILIO_FEEDBACK_SECRET}", "secret of that key");
            page.said("feedback.log_stream", "", "");
        }
        Receiver::Url(url) => {
            page.said("feedback.log_stream", "", "");
            let value = url.as_ref().map_or_else(|| "${env.FEEDBACK_URL}".to_owned(), |url| scalar(url));
            page.said("feedback.log_stream.endpoint", &value, "the receiver, https only");
        }
        Receiver::Nobody => {}
    }
    let drawn = "drawn at apply; in braces {…}, a reference needs quotes: \"${…}\"";
    page.said("feedback.log_stream.authorization", "${generated.feedback}", drawn);
    page.said("feedback.log_stream.status", "active", "");
}

fn mfa(page: &mut Page<'_>, choices: &Choices) {
    page.section("mfa");
    page.said("mfa.factors", "", "");
    page.said("mfa.factors.phone", "on", "");
    page.said("mfa.factors.otp", "on", "a second way in, should phone messages fail");
    match choices.mfa {
        Mfa::Later => {
            let later = "every application, every login: switch on when ready";
            page.entry("  # ", "", "mfa.policy", "always", later);
        }
        Mfa::All => page.said("mfa.policy", "always", "every application, every login"),
        Mfa::Rules => {
            page.said("mfa.policy", "never", "the rules below decide");
            page.said("mfa.post_login", "", "");
            page.said("mfa.post_login.rules", "", "a login has to meet every rule that fits it");
            page.said("mfa.post_login.rules.admins", "", "a name of your choice");
            let other = "or applications, organizations, connections";
            page.said("mfa.post_login.rules.admins.roles", "[Admin]", other);
        }
    }
    if choices.channels.voice {
        page.line("");
        page.off("universal_login", "", "");
        page.off("universal_login.experience", "new", "voice codes need it; changes the login pages");
    }
}

fn console(page: &mut Page<'_>, channels: Channels) {
    page.line("");
    page.note("What only the Twilio Console shows. Look, then say so; `plan` and `drift` tell when it runs out (docs/attest.md).");
    page.off("attest", "", "");
    let look = "by: jo@acme.example, on: 2026-11-20, until: 2027-05-20";
    page.off("attest.fraud_guard", &format!("{{ level: standard, {look} }}"), "");
    page.off("attest.geo_permissions", &format!("{{ countries: [AT, DE], {look} }}"), "");
    let enabled = channels.words().join(", ");
    page.off("attest.channels", &format!("{{ enabled: [{enabled}], {look} }}"), "");
}

impl Delivery {
    /// Every one with its word in the manifest.
    pub const ALL: [(&str, Delivery); 2] = [("unified", Delivery::Unified), ("legacy", Delivery::Legacy)];

    fn word(self) -> &'static str {
        match self {
            Delivery::Unified => "unified",
            Delivery::Legacy => "legacy",
        }
    }
}

impl Channels {
    /// The words in the manifest.
    pub fn words(self) -> Vec<&'static str> {
        [(self.sms, "sms"), (self.voice, "voice")]
            .iter()
            .filter(|(is_on, _)| *is_on)
            .map(|(_, word)| *word)
            .collect()
    }
}

/// A text as YAML: in quotes where it would be read as something else, and where a person might read a number.
fn scalar(text: &str) -> String {
    match needs_quotes(text) || text.starts_with(|ch: char| ch.is_ascii_digit()) {
        // Every JSON string is a text in double quotes for YAML too.
        true => serde_json::Value::from(text).to_string(),
        false => text.to_owned(),
    }
}

/// The blanks before a key.
fn indent(path: &str) -> String {
    "  ".repeat(path.matches('.').count())
}

/// The manifest as far as it is written. Keys are given as dotted paths, whose length is their indentation.
struct Page<'a> {
    out: String,
    tables: &'a Tables,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// A section after a blank line, with what the tables say about it.
    fn section(&mut self, path: &str) {
        let section = self.tables.sections.iter().find(|section| section.path == path);
        let doc = section.map_or("", |section| section.doc);
        self.line("");
        self.note(&super::reference::sentence(doc));
        self.said(path, "", "");
    }

    /// A key with what the tables say about it.
    fn key(&mut self, path: &str, value: &str) {
        let doc = self.doc(path);
        self.said(path, value, doc);
    }

    /// A key with a comment of ours, or none.
    fn said(&mut self, path: &str, value: &str, comment: &str) {
        self.entry("", &indent(path), path, value, comment);
    }

    /// A key of a section that is commented out.
    fn off(&mut self, path: &str, value: &str, comment: &str) {
        self.entry("# ", &indent(path), path, value, comment);
    }

    fn entry(&mut self, before: &str, indent: &str, path: &str, value: &str, comment: &str) {
        let key = path.rsplit('.').next().unwrap_or(path);
        let text = format!("{before}{indent}{key}: {value}");
        let text = text.trim_end();
        let padded = format!("{text:<COMMENT_AT$}");
        let gap = if padded.ends_with(' ') { "" } else { "   " };
        let full = format!("{padded}{gap}# {comment}");
        if comment.is_empty() {
            self.line(text);
        } else if full.chars().count() <= WIDTH {
            self.line(&full);
        } else {
            self.wrapped(indent, comment);
            self.line(text);
        }
    }

    /// A comment on lines of its own.
    fn note(&mut self, text: &str) {
        self.wrapped("", text);
    }

    fn wrapped(&mut self, indent: &str, text: &str) {
        let mut line = format!("{indent}#");
        for word in text.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = format!("{indent}#");
            }
            line = format!("{line} {word}");
        }
        self.line(&line);
    }

    /// What the tables say about a key.
    fn doc(&self, path: &str) -> &'static str {
        let inside = |section: &str| match section {
            "" => Some(path.to_owned()),
            section => path.strip_prefix(section)?.strip_prefix('.').map(str::to_owned),
        };
        let sections = self.tables.sections.iter();
        let fields = sections.filter_map(|section| Some((inside(section.path)?, flat(section.fields))));
        let docs = fields.filter_map(|(key, fields)| fields.into_iter().find(|(name, _)| *name == key));
        docs.map(|(_, field)| field.doc).next_back().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_yaml_would_misread_are_quoted() {
        for (text, expected) in
            [("acme", "acme"), ("007", "\"007\""), ("a: b", "\"a: b\""), ("x #1", "\"x #1\"")]
        {
            assert_eq!(scalar(text), expected);
        }
    }
}
