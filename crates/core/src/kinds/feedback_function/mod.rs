//! The Twilio Function that receives the log stream and tells Verify which codes were used.
//!
//! Its objects, in the order of their creation: Serverless service, environment, Function, version, build, deployment;
//! and the variables of the environment. Versions and builds cannot be changed, and Twilio deletes unused ones after a
//! while. Their ids therefore do not tell whether the right code serves, and the source text is compared instead. Every
//! build includes what others have deployed in the same environment.
//!
//! Pitfalls of the API: a new service or a new environment has another URL; the values of variables can be read; Auth0
//! cannot reach a Function that is not public; a build reads back with more packages than were sent.

mod act;
mod observe;
mod run;
mod section;
mod steps;
mod wire;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::said::function::{NAME, unique_name};
use super::{Diff, Done, Hint, Kind, Resource, Run, SaidBy, Seen, Task};
use crate::diag::Problem;
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Step};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

use act::{Act, own_state};

/// See the module's text.
pub struct FeedbackFunction;

static SECTIONS: &[&Section] = &[&section::SECTION];

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

    fn said_by(&self, _manifest: &Manifest, _address: &Address, field: &str) -> SaidBy {
        section::said_by(field)
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        section::declare(manifest)
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        section::check(manifest, out);
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        vec![wire::read_service(&unique_name(manifest))]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(observe::observe(hint, reader))
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        steps::steps(diff)
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        steps::removal(address, seen, entry)
    }

    fn facts(&self, _address: &Address, seen: &Seen) -> Facts {
        steps::facts(seen)
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(run::run(run, writer))
    }

    /// Twilio refuses a second service, environment or variable of the same name. It accepts a second Function, version
    /// or build.
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
            (Some(name), Some(wanted), Some(there)) => wire::version_fits(name, wanted, there),
            _ => false,
        }
    }

    /// Only names that this stack manages are read. Such a name that the manifest lacks was applied by an earlier run.
    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &["dependencies.", "variables."]
    }

    fn refusals(&self, diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        steps::added(diff)
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn forgets(&self, step: &Step) -> bool {
        matches!(step.op.act(), Ok(Act::Forget { key }) if key == "TWILIO_VERIFY_SID")
    }

    /// Keeps the service's settings and the names of the variables that existed before this stack. The source text and
    /// the values of variables are not kept.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let mut values: BTreeMap<String, Json> = ["friendly_name", "include_credentials", "ui_editable"]
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), seen.attrs.get(field)?.known()?.clone())))
            .collect();
        let names: Vec<String> = own_state(seen).variables.keys().cloned().collect();
        values.insert("variables".into(), json!(names));
        values
    }
}
