//! The Twilio Function that receives the log stream and tells Verify which codes were used.
//!
//! Serverless service → environment → Function → version → build → deployment, plus variables. Versions and builds
//! cannot be changed, and unused ones vanish after a while, so no id of one is trusted: what serves is compared by its
//! source text. Every build takes along what others have deployed in the same environment.
//!
//! Facts that bite: the URL changes when service or environment are made anew; variables are readable; a Function that
//! is not public cannot be reached by Auth0; the build's own list of packages is longer than what was sent.

mod observe;
mod run;
mod section;
mod steps;
mod trace;
mod wire;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Diff, Done, Hint, Kind, Resource, Run, Seen, Task};
use crate::diag::Problem;
use crate::model::call::{Failed, Get};
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Step};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

pub(crate) use observe::{serves, serving};
pub(crate) use steps::URL_TO_COME;
pub(crate) use trace::verify_sid;

/// See the module's text.
pub struct FeedbackFunction;

/// Name of the kind and address of its resource.
pub(crate) const NAME: &str = "feedback_function";
pub(crate) const SECTION_PATH: &str = "feedback.function";
/// Name of the Function inside its service. Not unique, as far as Twilio is concerned.
const FUNCTION_NAME: &str = "auth0-logs";
/// The secret that the stream sends, and the one before it while a change is under way.
const CURRENT: &str = "WEBHOOK_SECRET";
const PREVIOUS: &str = "WEBHOOK_SECRET_PREVIOUS";

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    /// Makes the service.
    Service {
        unique_name: String,
    },
    Settings,
    /// Settings from before this stack.
    Restore,
    Environment {
        unique_name: String,
    },
    Function,
    Upload,
    Build,
    /// Accepts the secret beside the one that replaces it.
    Previous,
    Variable {
        key: String,
    },
    /// Takes a variable away.
    Forget {
        key: String,
    },
    Deploy,
    /// Deletes the service whose place another one has taken.
    Former {
        service: String,
    },
    Delete,
}

/// Whether a step takes from a Function what it was told of the Verify service.
pub(crate) fn leaves_service(step: &Step) -> bool {
    let forgets = |act| matches!(act, Act::Forget { key } if key == "TWILIO_VERIFY_SID");
    step.kind == NAME && step.op.act().is_ok_and(forgets)
}

/// The Function as the manifest wants it, if it does.
pub(crate) fn wanted(manifest: &Manifest) -> Option<Resource> {
    section::declare(manifest).into_iter().next()
}

/// What there is of the Function beside its fields.
#[derive(Clone, Default)]
struct Own {
    /// The service that the record names and the manifest does not any more.
    former: Option<Former>,
    /// What others have in the build that serves.
    others: wire::Others,
    /// SIDs of the variables, by name; of all, not of ours alone.
    variables: BTreeMap<String, String>,
    /// Packages of the build.
    packages: Vec<String>,
    /// SIDs of all Functions of our name.
    same_function: Vec<String>,
    /// SIDs of an upload and of a build that are as wanted and wait to be used; empty: there is none.
    ready_version: String,
    ready_build: String,
    /// Names of other people's Functions in a service that goes.
    foreign: Vec<String>,
}

#[derive(Clone)]
struct Former {
    service: String,
    unique_name: String,
}

fn own(seen: &Seen) -> Rc<Own> {
    seen.own().unwrap_or_default()
}

static SECTIONS: &[&Section] = &[&section::SECTION];

/// Whether that URL is one of the Function that the manifest declares, also of an earlier environment of it.
pub(crate) fn is_own_url(manifest: &Manifest, url: &str) -> bool {
    let start = format!("https://{}-", section::unique_name(manifest).to_ascii_lowercase());
    let host = url.split('/').nth(2).unwrap_or_default();
    url.to_ascii_lowercase().starts_with(&start) && host.ends_with(".twil.io")
}

impl Kind for FeedbackFunction {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        "/v1/Services"
    }

    fn place(&self, _manifest: &Manifest, _address: &str, field: &str) -> Option<String> {
        section::place(field)
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        section::declare(manifest)
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        section::check(manifest, out);
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        vec![wire::service(&section::unique_name(manifest))]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(observe::observe(hint, reader))
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        steps::steps(diff)
    }

    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
        steps::removal(address, seen, entry)
    }

    fn facts(&self, _address: &str, seen: &Seen) -> Facts {
        steps::facts(seen)
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(run::run(run, writer))
    }

    /// The service, its environment and its variables have names that the server keeps unique; Functions, versions and
    /// builds have none.
    fn may_repeat(&self, step: &Step) -> bool {
        step.op.act().is_ok_and(|act| match act {
            Act::Function | Act::Upload | Act::Build => false,
            Act::Service { .. } | Act::Environment { .. } | Act::Settings | Act::Restore => true,
            Act::Variable { .. } | Act::Previous | Act::Forget { .. } | Act::Deploy => true,
            Act::Former { .. } | Act::Delete => true,
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(run::settle(run, reader))
    }

    fn tolerates(&self, field: &str, desired: &Value, observed: &Value) -> bool {
        match (field.strip_prefix("dependencies."), desired.as_str(), observed.as_str()) {
            (Some(name), Some(wanted), Some(there)) => wire::is_met(name, wanted, there),
            _ => false,
        }
    }

    /// Only what is ours is read at all, so a name that is not wanted is one that was.
    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &["dependencies.", "variables."]
    }

    fn refusals(&self, diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        steps::added(diff)
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    /// The service's settings, and which variables were there before us. Source and values are not kept.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let mut values: BTreeMap<String, Json> = ["friendly_name", "include_credentials", "ui_editable"]
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), seen.attrs.get(field)?.known()?.clone())))
            .collect();
        let names: Vec<String> = own(seen).variables.keys().cloned().collect();
        values.insert("variables".into(), json!(names));
        values
    }
}
