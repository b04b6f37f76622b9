//! The kinds of resource, one file or folder for each kind, and the table of all kinds.
//!
//! The module `kind` defines what a kind is, and `reply` reads what the APIs answer. Three modules hold what several
//! kinds share: `remote` knows remote resources, `said` knows the manifest, and `looks` finds objects and checks what
//! has to exist right before a write. None of these modules knows a kind. Only this file knows all kinds.

pub mod action;
mod added;
pub mod adopting;
pub mod attest;
mod binding_order;
mod code_check;
pub mod countries;
pub mod feedback_function;
mod further_streams;
pub mod guards;
mod identity;
mod kind;
pub mod log_stream;
mod looks;
pub mod npm;
pub mod phone_provider;
pub mod phone_template;
mod remote;
mod reply;
pub mod said;
pub mod sample_client;
mod seen;
pub mod settings;
mod stream_act;
mod stream_endpoint;
mod stream_restore;
pub mod trigger_binding;
pub mod twilio_key;
mod urls;
pub mod verify_messaging_configuration;
pub mod verify_rate_limit;
pub mod verify_service;
pub mod verify_template;

use std::collections::BTreeMap;

use serde_json::Value as Json;

pub use action::Running;

use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::field::Section;
use crate::model::manifest::Manifest;
use crate::model::plan::{Step, Verb};
use crate::model::value::{OutputRef, Part, Value};

pub use kind::{Back, Diff, Done, Hint, Kind, Leaving, Resource, Run, SaidBy, Task, Until, WayBack, step};
pub use looks::{handed_on, sender};
pub use reply::text;
use reply::{array, entries_with, has_good_ids, is_id, is_sid, object, require_id, set_of, unless_refused};
pub use said::{code_limits, legacy};
pub use seen::{Seen, Whose};

/// Every kind. The order of this list has no meaning: steps are ordered by their stage.
pub const KINDS: &[&dyn Kind] = &[
    &verify_service::VerifyService,
    &verify_rate_limit::VerifyRateLimit,
    &verify_messaging_configuration::VerifyMessagingConfiguration,
    &twilio_key::TwilioKey,
    &action::PHONE,
    &trigger_binding::PHONE_BINDING,
    &action::LEGACY,
    &trigger_binding::LEGACY_BINDING,
    &phone_provider::PhoneProvider,
    &settings::SELECTED_PROVIDER,
    &settings::LEGACY_TEMPLATES,
    &settings::UNIFIED_PHONE,
    &settings::MFA_FACTOR,
    &settings::MESSAGE_TYPES,
    &settings::MFA_POLICY,
    &settings::POST_LOGIN_FACTORS,
    &action::POST_LOGIN,
    &trigger_binding::POST_LOGIN_BINDING,
    &action::FEEDBACK,
    &trigger_binding::FEEDBACK_BINDING,
    &settings::UNIVERSAL_LOGIN,
    &settings::BRANDING,
    &settings::PHONE_PROTECTION,
    &phone_template::PhoneTemplate,
    &feedback_function::FeedbackFunction,
    &log_stream::LogStream,
    &sample_client::SampleClient,
    &attest::Attest,
];

/// The outputs that the manifest may refer to, as `${verify_service.sid}`: pairs of a resource and the names of its
/// outputs.
pub const OUTPUTS: &[(&str, &[&str])] = &[
    ("verify_service", &["sid"]),
    ("action", &["id"]),
    ("phone_provider", &["id"]),
    ("feedback_function", &["url"]),
    ("log_stream", &["id"]),
];

/// The resources with outputs, in the order in which they are created: pairs of the path of a section and the resource
/// that is created from it.
const MADE: &[(&str, &str)] = &[
    ("verify_service", "verify_service"),
    ("action", "action"),
    ("feedback.function", "feedback_function"),
    ("feedback.log_stream", "log_stream"),
    ("phone", "phone_provider"),
];

/// Whether a resource is created from that section or later. Its outputs come too late for every value of the section.
fn is_late(section: &str, resource: &str) -> bool {
    let at = MADE.iter().position(|(path, _)| *path == section);
    let made = MADE.iter().position(|(_, name)| *name == resource);
    at.zip(made).is_some_and(|(at, made)| made >= at)
}

/// The outputs that a value of a section may refer to, each as `resource.output`.
pub fn outputs_for(section: &str) -> Vec<String> {
    let early = OUTPUTS.iter().filter(|(resource, _)| !is_late(section, resource));
    let names = |(resource, outputs): &(&str, &[&str])| -> Vec<String> {
        outputs.iter().map(|output| format!("{resource}.{output}")).collect()
    };
    early.flat_map(names).collect()
}

/// Whether a section names what others manage, so that the manifest says nothing of its fields.
pub fn is_only_used(manifest: &Manifest, section: &str) -> bool {
    let has = |kind: &&&dyn Kind| kind.sections().iter().any(|one| one.path == section);
    KINDS.iter().filter(has).any(|kind| kind.only_uses(manifest))
}

/// The resource that has an output: what takes it cannot do without that resource.
pub fn of_output(output: &str) -> &str {
    match output {
        // The Function expects it.
        "feedback.authorization" => said::function::NAME,
        output => output.split('.').next().unwrap_or_default(),
    }
}

/// Whether a step takes away what other tenants need that take from a resource. They may pass the rate limits of a
/// Verify service, too, and Verify refuses a message that names a limit which is gone.
pub fn takes_away(step: &Step, resource: &str) -> bool {
    let is_limit = step.address.kind() == verify_rate_limit::NAME && resource == said::verify_service::NAME;
    step.verb == Verb::Delete && (step.address == resource || is_limit)
}

/// Runs the checks of every kind on a manifest, and finds references to outputs that do not exist yet when the value is
/// sent.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    KINDS.iter().for_each(|kind| kind.check(manifest, out));
    let declared: Vec<Resource> = KINDS.iter().flat_map(|kind| kind.declare(manifest)).collect();
    if declared.is_empty() && manifest.section(attest::NAME).is_none() {
        let known = sections().into_iter().map(|section| section.path).filter(|path| !path.contains('.'));
        let problem = Problem::error(
            codes::MISSING_KEY,
            "stack",
            "the manifest manages nothing",
            "an apply only takes away what is on record, and that with --allow-delete",
            format!(
                "add what it is to manage, each part by itself: {}",
                known.collect::<Vec<_>>().join(", ")
            ),
        );
        out.push(problem.warning());
    }
    let is_made = |name: &str| declared.iter().any(|resource| resource.address == name);
    for (section, attrs) in &manifest.sections {
        for (key, value) in attrs {
            let Value::Output(template) = value else { continue };
            let outputs = template.parts.iter().filter_map(|part| match part {
                Part::Output(output) => Some(output),
                Part::Text(_) => None,
            });
            // The Function's own check reports that the Function is missing.
            let is_absent =
                |output: &&OutputRef| output.resource != said::function::NAME && !is_made(&output.resource);
            let outputs = outputs.filter(|output| output.of_tenant().is_none());
            out.extend(outputs.clone().filter(is_absent).map(|output| {
                Problem::error(
                    codes::BAD_REFERENCE,
                    format!("{section}.{key}"),
                    format!("the reference {}.{} cannot be used", output.resource, output.output),
                    format!("this manifest makes no {}", output.resource),
                    "write the value itself, or use an environment variable",
                )
            }));
            out.extend(outputs.filter(|output| is_late(section, &output.resource)).map(|output| {
                let name = format!("{}.{}", output.resource, output.output);
                let reason = match MADE.contains(&(section, &output.resource)) {
                    true => format!("{name} exists only after this section is sent"),
                    false => format!("{name} belongs to a resource that is created later"),
                };
                Problem::error(
                    codes::BAD_REFERENCE,
                    format!("{section}.{key}"),
                    format!("{} cannot hold ${{{name}}}", key.rsplit('.').next().unwrap_or(key)),
                    reason,
                    "write the value itself, or use an environment variable",
                )
            }));
        }
    }
}

/// The list of Actions. Its reply includes the ledger, which is kept in an Action.
pub fn record_list() -> Get {
    remote::actions::list_actions()
}

/// The Actions of a reply to [`record_list`]; `None`: it is no list of Actions.
pub fn actions_of(reply: &Json) -> Option<&[Json]> {
    remote::actions::items(reply).ok()
}

/// Whether an Action is made for a trigger.
pub fn is_for(action: &Json, trigger: &str) -> bool {
    remote::actions::has_trigger(action, trigger)
}

/// The list of log streams.
pub fn streams_list() -> Get {
    remote::streams::list_streams()
}

/// The list of an account's Serverless services, which hold the Functions and the leases.
pub fn serverless_list() -> Get {
    remote::serverless::list_services()
}

/// How many services the reply to [`serverless_list`] has.
///
/// # Errors
/// The reply is not a list of services.
pub fn count_serverless(reply: &Json) -> Result<usize, Failed> {
    remote::serverless::entries_with_sids(reply, "services").map(<[Json]>::len)
}

/// The running versions of the stack's Actions, by address.
pub fn running(seen: &BTreeMap<Address, Seen>) -> BTreeMap<Address, Running> {
    let of = |name| Some((Address::from(name), action::running(seen.get(name)?)?));
    guards::actions().filter_map(of).collect()
}

/// The kind with that name.
pub fn by_name(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// The sections of all kinds, each once, ordered by path.
pub fn sections() -> Vec<&'static Section> {
    let mut sections: Vec<&'static Section> =
        KINDS.iter().flat_map(|kind| kind.sections()).copied().collect();
    sections.sort_by_key(|section| section.path);
    sections.dedup_by_key(|section| section.path);
    sections
}
