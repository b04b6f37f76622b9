//! Attestations of what no API can tell or set: Fraud Guard's level, Verify's geo permissions, and the channel switches
//! of the Console.
//!
//! A person looks at these in the Twilio Console and notes in the manifest who looked, when, and until when the
//! statement holds. There is no resource and no request. A statement that is missing or out of date is a finding with
//! the steps to take.

use jiff::civil::Date;
use serde_json::json;

use super::{Diff, Done, Hint, Kind, Resource, Run, Seen, Task, countries};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::codes::Code;
use crate::model::date::{self, date_field};
use crate::model::facts::Facts;
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Step};
use crate::model::value::Value;
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct Attest;

pub(super) const NAME: &str = "attest";

/// The user is reminded of an attestation that ends within so many days.
const REMIND_DAYS: i32 = 14;

const BY: Field = Field {
    key: "by",
    ty: Type::Text { min: 1, max: 200, check: None },
    required: true,
    doc: "who looked: a name or an address",
    ..FIELD
};
const ON: Field = date_field("on", "the day of the look, YYYY-MM-DD");
const UNTIL: Field = date_field("until", "the last day on which the attestation holds, YYYY-MM-DD");

static FRAUD_GUARD: &[Field] = &[
    Field {
        key: "level",
        ty: Type::OneOf(&["standard", "max", "basic"]),
        required: true,
        doc: "protection level of the service's SMS tab; basic does not work with the codes of Auth0",
        ..FIELD
    },
    BY,
    ON,
    UNTIL,
];

static GEO_PERMISSIONS: &[Field] = &[
    Field {
        key: "countries",
        ty: Type::Set(&[]),
        doc: "the allowed countries, as two-letter ISO codes",
        ..FIELD
    },
    Field {
        key: "policy",
        ty: Type::Text { min: 1, max: 500, check: None },
        lines: true,
        doc: "the rule in words, where a list would be too long",
        ..FIELD
    },
    BY,
    ON,
    UNTIL,
];

static CHANNELS: &[Field] = &[
    Field {
        key: "enabled",
        ty: Type::Set(&["sms", "voice", "email", "whatsapp"]),
        required: true,
        doc: "the channels that the service has switched on",
        ..FIELD
    },
    BY,
    ON,
    UNTIL,
];

const fn entry(key: &'static str, fields: &'static [Field], doc: &'static str) -> Field {
    Field { key, ty: Type::Object(fields), doc, ..FIELD }
}

static SECTION: Section = Section {
    path: NAME,
    doc: "Settings that only the Twilio Console shows: who looked, when, and until when that holds",
    required: false,
    fields: &[
        entry("fraud_guard", FRAUD_GUARD, "Fraud Guard's protection level"),
        entry(
            "geo_permissions",
            GEO_PERMISSIONS,
            "Verify's geo permissions, which hold for the whole account",
        ),
        entry("channels", CHANNELS, "the channels of the Verify service"),
        Field {
            key: "remind",
            ty: Type::Bool,
            doc: "false: no reminders of missing or valid attestations; expired ones are still reported",
            ..FIELD
        },
    ],
};

static SECTIONS: &[&Section] = &[&SECTION];

/// An entry of the section.
struct Attested {
    key: &'static str,
    /// What the entry is about.
    about: &'static str,
    /// What to do in the Console.
    console: &'static str,
}

/// The entries of the section ("Twilio docs", Verify Fraud Guard and geo permissions, 2026-08).
const ENTRIES: &[Attested] = &[
    Attested {
        key: "fraud_guard",
        about: "Fraud Guard's level",
        console: "Twilio Console, Verify, Services, the service, SMS: set Fraud Guard to Standard or Max",
    },
    Attested {
        key: "geo_permissions",
        about: "Verify's geo permissions",
        console: "Twilio Console, Verify, Settings, Geo permissions: allow only the countries that your users are in",
    },
    Attested {
        key: "channels",
        about: "the service's channels",
        console: "Twilio Console, Verify, Services, the service: see that each channel of phone.channels is switched on",
    },
];

fn day(manifest: &Manifest, entry: &str, key: &str) -> Option<Date> {
    date::parsed(manifest.text(NAME, &format!("{entry}.{key}"))?)
}

fn is_there(manifest: &Manifest, entry: &str) -> bool {
    let prefix = format!("{entry}.");
    manifest.section(NAME).is_some_and(|attrs| attrs.keys().any(|key| key.starts_with(&prefix)))
}

impl Kind for Attest {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        ""
    }

    fn declare(&self, _manifest: &Manifest) -> Vec<Resource> {
        Vec::new()
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let at = |key: &str| format!("{NAME}.{key}");
        if manifest.text(NAME, "fraud_guard.level") == Some("basic") {
            out.push(Problem::error(
                codes::UNSAFE,
                at("fraud_guard.level"),
                "Fraud Guard does not protect at this level",
                "Auth0 uses custom codes, and Fraud Guard protects those only at Standard or Max",
                "raise the level in the Console (Verify, Services, the service, SMS), then write standard or max",
            ));
        }
        for Attested { key: entry, .. } in ENTRIES {
            if let (Some(on), Some(until)) = (day(manifest, entry, "on"), day(manifest, entry, "until"))
                && until <= on
            {
                out.push(Problem::error(
                    codes::CONFLICT,
                    at(&format!("{entry}.until")),
                    "the attestation ends before it begins",
                    format!("{until} is not after {on}"),
                    "write a later day",
                ));
            }
        }
        let codes_of_two = manifest.set(NAME, "geo_permissions.countries");
        let wrong: Vec<&String> = codes_of_two.iter().filter(|code| !countries::is_country(code)).collect();
        if let Some(first) = wrong.first() {
            out.push(Problem::error(
                codes::NOT_ALLOWED,
                at("geo_permissions.countries"),
                format!("{first:?} is not a country"),
                format!("none of these is an ISO 3166 code of two capitals: {wrong:?}"),
                countries::suggestion(first),
            ));
        }
        let enabled = manifest.set(NAME, "channels.enabled");
        let in_use = manifest.set("phone", "channels");
        let lacks: Vec<&str> =
            in_use.iter().filter(|channel| !enabled.contains(channel)).map(String::as_str).collect();
        if !enabled.is_empty() && !lacks.is_empty() {
            out.push(Problem::error(
                codes::CONFLICT,
                at("channels.enabled"),
                format!("enabled lacks a channel in use: {}", lacks.join(", ")),
                "phone.channels uses what this attestation does not list as enabled",
                "switch it on in the Console and add it here, or take it out of phone.channels",
            ));
        }
        let says = !codes_of_two.is_empty() || manifest.get(NAME, "geo_permissions.policy").is_some();
        if is_there(manifest, "geo_permissions") && !says {
            out.push(
                Problem::error(
                    codes::MISSING_KEY,
                    at("geo_permissions"),
                    "neither countries nor policy is given",
                    "the attestation has to say what is permitted",
                    "add countries: [DE, AT], or policy: with the rule in words",
                )
                .at_key(),
            );
        }
    }

    fn notices(&self, manifest: &Manifest, as_of_ms: u64) -> Vec<Finding> {
        let section = manifest.section(NAME);
        if section.is_none() && manifest.section("verify_service").is_none() {
            return Vec::new();
        }
        if section.is_none() {
            return vec![unattested()];
        }
        let Some(today) = date::day_of(as_of_ms) else { return Vec::new() };
        let silent = manifest.get(NAME, "remind") == Some(&Value::Known(json!(false)));
        let mut findings = Vec::new();
        for Attested { key: entry, about, console } in ENTRIES {
            let mut tell = |code: Code, level: Level, text: String, help: String| {
                findings.push(Finding { code, address: Address::named(NAME, entry), text, help, level });
            };
            let parts = (day(manifest, entry, "on"), day(manifest, entry, "until"));
            let (Some(on), Some(until)) = parts else {
                // Somebody who attests one entry wants to be told of the entries that are missing.
                if !silent {
                    let text = format!("there is no attestation of {about}, and no API can read it");
                    tell(
                        codes::NOT_ATTESTED,
                        Level::Warning,
                        text,
                        format!("{console}; then say so under attest.{entry}"),
                    );
                }
                continue;
            };
            let says = statement(manifest, entry);
            let by = manifest.text(NAME, &format!("{entry}.by")).unwrap_or_default();
            let told = format!("{about}: {says}, attested by {by} on {on} until {until}");
            let again = format!("look again ({console}) and write the new days under attest.{entry}");
            let left = (until - today).get_days();
            if until < today {
                tell(codes::EXPIRED, Level::Warning, format!("{told}; it has expired"), again);
                continue;
            }
            // In some time zones it is already the next day, so one day ahead of UTC is accepted.
            if (on - today).get_days() > 1 {
                tell(
                    codes::NOT_YET,
                    Level::Warning,
                    format!("{told}; the date `on` is in the future"),
                    again,
                );
                continue;
            }
            if silent {
                continue;
            }
            if left <= REMIND_DAYS {
                tell(
                    codes::ENDS_SOON,
                    Level::Note,
                    format!("{told}; it ends in {left} days and cannot be verified by an API"),
                    again,
                );
            } else {
                // There is nothing to do before the attestation ends, so the finding has no help.
                tell(
                    codes::ATTESTED,
                    Level::Note,
                    format!("{told}; it cannot be verified by an API"),
                    String::new(),
                );
            }
        }
        findings
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        Vec::new()
    }

    fn observe<'a>(&'a self, _hint: Hint<'a>, _reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async { Ok(Seen::default()) })
    }

    fn steps(&self, _diff: &Diff<'_>) -> Vec<Step> {
        Vec::new()
    }

    fn removal(&self, _address: &Address, _seen: &Seen, _entry: &Entry) -> Vec<Step> {
        Vec::new()
    }

    fn facts(&self, _address: &Address, _seen: &Seen) -> Facts {
        Facts::new()
    }

    fn run<'a>(&'a self, _run: Run<'a>, _writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async { Err(Failed::NotDone("an attestation has no steps".into())) })
    }

    fn settle<'a>(&'a self, _run: Run<'a>, _reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async { Ok(None) })
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }
}

/// The only finding if the manifest has no such section.
fn unattested() -> Finding {
    let about: Vec<&str> = ENTRIES.iter().map(|entry| entry.about).collect();
    Finding {
        code: codes::NOT_ATTESTED,
        address: NAME.into(),
        text: format!(
            "there is no attestation of {}, which no API can read: see docs/attest.md, also for how to turn this off",
            about.join(", ")
        ),
        help: String::new(),
        level: Level::Note,
    }
}

/// The statement of an entry, in a few words.
fn statement(manifest: &Manifest, entry: &str) -> String {
    match entry {
        "fraud_guard" => {
            format!("level {}", manifest.text(NAME, "fraud_guard.level").unwrap_or_default())
        }
        "channels" => manifest.set(NAME, "channels.enabled").join(", "),
        _ => {
            let countries = manifest.set(NAME, "geo_permissions.countries").join(", ");
            let policy = manifest.text(NAME, "geo_permissions.policy").unwrap_or_default();
            [countries.as_str(), policy]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("; ")
        }
    }
}
