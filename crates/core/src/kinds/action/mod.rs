//! Auth0 Actions: draft → built → deployed. One implementation; each Action of a stack is a row in `rows.rs`.
//!
//! A PATCH changes only the draft and starts its build; Auth0 runs the deployed version. A write replaces the whole set
//! of secrets and of dependencies, so a change of one has to send all. Secret values can never be read back. The times
//! of their last write can, and they show whether somebody else has written.

mod act;
mod build;
mod earlier;
mod find;
mod former;
mod limits;
mod remove;
mod row;
mod rows;
mod version;
mod wire;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::looks::handed_on;
use super::remote::versions::{VERIFY_SID, knows};
use super::said::actions::{self, Company, interim_name, is_named};
use super::said::login_feedback;
use super::{
    Back, Diff, Done, Hint, Kind, Leaving, Resource, Run, SaidBy, Seen, Task, WayBack, added, code_check,
    npm, require_id, step, text,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::facts::{ActionState, Facts};
use crate::model::field::Section;
use crate::model::last_run::Changed;
use crate::model::ledger::{Entry, Ownership};
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

use act::Act;
use build::{DEPLOY_PAUSE_MS, SETTLE_LOOKS, wait_until_built, wait_until_deployed};
use row::KEEPS;
pub use row::{Action, Stages};
pub use rows::{FEEDBACK, LEGACY, PHONE, POST_LOGIN};
use wire::{MODULES, Own, body, is_draft_of, name_of, needs_deploy, own_state};
pub use wire::{Running, live_version, parse, running, status};

pub use super::remote::actions::{has_trigger, items, list_actions, read_action};

/// Key in the manifest: the time at which the Action had the secrets of the manifest.
const AS_OF: &str = "secrets_as_of";

/// The danger of a deployment after which Verify sends and the manifest has no feedback.
const BEGINS: &str = "codes go through Verify from here on, and this manifest has neither feedback.log_stream nor feedback.action";

/// Whether Verify begins to send: the running version has no SID of a Verify service, and the wanted version has one.
fn begins_to_verify(diff: &Diff<'_>) -> bool {
    let own = own_state(diff.seen);
    let is_told = diff.want.desired.contains_key(&format!("secrets.{VERIFY_SID}"));
    is_told && !own.version.is_empty() && !own.live_verifies
}

impl Kind for Action {
    fn name(&self) -> &'static str {
        self.name
    }

    fn sections(&self) -> &'static [&'static Section] {
        self.sections
    }

    fn api_path(&self) -> &'static str {
        "/api/v2/actions/actions"
    }

    fn said_by(&self, _manifest: &Manifest, _address: &Address, field: &str) -> SaidBy {
        (self.said_by)(field)
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let Some(attrs) = manifest.section(self.section).filter(|_| (self.wanted)(manifest)) else {
            return Vec::new();
        };
        let mut desired = attrs.clone();
        // The rules are part of the code, and the key is among the secrets.
        let own = ["unmanaged_secrets", AS_OF, "api_key", "api_secret"];
        desired.retain(|key, _| !own.contains(&key.as_str()) && !key.starts_with("rules."));
        if let Some(code) = attrs.get("code").and_then(Value::as_str) {
            desired.insert("code".into(), (self.code)(manifest, code.to_owned()));
        }
        desired.extend((self.given)(manifest));
        // The runtime state is part of the desired state: the draft has to be what runs.
        desired.insert("deployed".into(), Value::Known(json!(true)));
        desired.insert("name".into(), Value::text(self.action_name(manifest)));
        vec![Resource { address: Address::of(self.name), kind: self.name, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let Some(attrs) = manifest.section(self.section).filter(|_| (self.wanted)(manifest)) else { return };
        limits::check(self.section, attrs, out);
        for (key, value) in attrs {
            let Some(name) = key.strip_prefix("dependencies.") else { continue };
            npm::check(&format!("{}.{key}", self.section), name, value.as_str(), out);
            let Some(version) = value.as_str() else { continue };
            if !npm::is_exact(version) {
                out.push(
                    Problem::error(
                        codes::MOVING_TARGET,
                        format!("{}.{key}", self.section),
                        "the version is not pinned",
                        format!("{version:?} can change between two builds"),
                        "write an exact version such as 6.2.0",
                    )
                    .warning(),
                );
            }
        }
        // An Action's secrets cannot be read back, so nobody could tell whether the Action still has the generated
        // value.
        for key in attrs.iter().filter(|(_, value)| matches!(value, Value::Generated(_))).map(|(key, _)| key)
        {
            out.push(Problem::error(
                codes::NOT_SUPPORTED,
                format!("{}.{key}", self.section),
                "a generated secret cannot stand here",
                "the API does not give an Action's secrets back",
                "use ${env.NAME}",
            ));
        }
        let own = manifest.text(self.section, "code").unwrap_or_default();
        let sent = (self.code)(manifest, own.to_owned());
        out.extend(code_check::problems(&code_check::Source {
            manifest,
            section: self.section,
            own,
            sent: sent.as_str(),
            handler: self.trigger.handler,
            caller: format!("Auth0 on {}", self.trigger.id),
            reads: "secrets",
            from: "event.secrets",
            given: &[],
            packages: &[],
        }));
        (self.check)(manifest, out);
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![list_actions()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let list = reader.get(&list_actions()).await?;
            let all = items(&list)?;
            let mut seen = find::find(self, &hint, all);
            if hint.want.is_some() {
                let foreign = all.iter().filter(|_| self.trigger.company == Company::None).find(|action| {
                    has_trigger(action, self.trigger.id)
                        && Some(&text(action, "id").to_owned()) != seen.ids.get("id")
                });
                if let Some(other) = foreign {
                    seen.finding(
                        codes::SENT_TWICE, hint.address,
                        Level::Blocker,
                        format!(
                            "the tenant already has an Action on {}: {:?} (id {}); two would send two messages",
                            self.trigger.id,
                            text(other, "name"),
                            text(other, "id")
                        ),
                        "set the name in the manifest to that name to take it over, or delete it",
                    );
                }
                let is_there = |name: &str| all.iter().any(|action| text(action, "name") == name);
                let keeps =
                    hint.ledger_in_tenant && !is_there(&crate::model::ledger::action_name(hint.stack));
                // The missing Actions of the other rows need room too. An Action that was renamed counts as missing.
                let others = actions::ALL.iter().filter(|row| {
                    row.name != self.name
                        && (row.wanted)(hint.manifest)
                        && !is_there(&row.action_name(hint.manifest))
                });
                let room = usize::from(!seen.exists) + others.count() + usize::from(keeps);
                if room > 0 && all.len() + room > 100 {
                    seen.finding(
                        codes::NO_ROOM, hint.address,
                        Level::Blocker,
                        format!(
                            "the tenant has {} of at most 100 Actions: too few are left for this stack's Actions \
                             and its ledger",
                            all.len()
                        ),
                        "delete unused Actions, or keep the ledger elsewhere with --ledger file:PATH",
                    );
                }
                if let Some(want) = hint.want {
                    foreign_secrets(&mut seen, want, hint.manifest.text(self.section, "unmanaged_secrets"));
                }
            }
            if seen.exists && status(&seen) == "failed" {
                let live = build::live_words(!own_state(&seen).version.is_empty());
                seen.finding(
                    codes::BUILD_FAILED,
                    hint.address,
                    Level::Note,
                    format!("the last build of the Action failed; {live}"),
                    "check names and versions of the dependencies; the Auth0 dashboard shows the build log",
                );
            }
            former::read_former(&mut seen, &hint, reader).await?;
            Ok(seen)
        })
    }

    fn notices(&self, manifest: &Manifest, _as_of_ms: u64) -> Vec<Finding> {
        (self.notice)(manifest).into_iter().collect()
    }

    fn must_stay(&self, _step: &Step, _before: &LoginPath, after: &LoginPath) -> Option<(Level, String)> {
        (self.is_needed)(after).then(|| (Level::Blocker, format!("{KEEPS} still sends through this Action")))
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        let seen = diff.seen;
        let failed = seen.exists && status(seen) == "failed";
        let draft_changes: Vec<&str> = diff
            .changes
            .iter()
            .map(|change| change.field.as_str())
            .filter(|field| *field != "deployed")
            .collect();
        let draft_differs = !seen.exists || failed || !draft_changes.is_empty();
        if draft_differs {
            let names: Vec<String> = diff
                .want
                .desired
                .keys()
                .filter_map(|key| key.strip_prefix("secrets.").map(str::to_owned))
                .collect();
            let (verb, what) = if seen.exists {
                (Verb::Update, "put the draft and build it")
            } else {
                (Verb::Create, "create the draft and build it")
            };
            // Secrets are sent as a whole set. If none of them changes, they are left out, and Auth0 keeps those that
            // it has.
            let with_secrets =
                !seen.exists || diff.changes.iter().any(|change| change.field.starts_with("secrets."));
            let op = Op::of(Act::Draft { secrets: with_secrets });
            let mut step = diff.step(verb, self.stages.draft, what, op);
            step.creates = !seen.exists;
            if !seen.exists {
                step.effects = Facts::from([(self.fact)(ActionState::Draft)]);
            }
            step.reason = if !seen.exists {
                "it does not exist".into()
            } else if draft_changes.is_empty() {
                "the last build failed".into()
            } else {
                diff.changed_names()
            };
            if with_secrets && !names.is_empty() {
                step.reason += &format!("; all secrets are sent: {}", names.join(", "));
            }
            steps.push(step);
        }
        if draft_differs || needs_deploy(seen) {
            let verb = if seen.exists { Verb::Update } else { Verb::Create };
            let mut step = diff.step(verb, self.stages.deploy, "deploy", Op::of(Act::Deploy));
            step.reason = if draft_differs {
                "only a deployed version runs".into()
            } else {
                "the draft is newer than the running version".into()
            };
            let code = diff.want.desired.get("code").and_then(Value::as_str).unwrap_or_default();
            step.effects = Facts::from([(self.fact)(ActionState::Deployed), (self.fact_of_code)(code)]);
            step.danger = (self.danger)(diff);
            if let Some(verifies) = self.verifies.filter(|_| begins_to_verify(diff)) {
                step.effects.insert(verifies(true));
                let is_reported = login_feedback::is_reported(diff.manifest);
                step.danger = step.danger.take().or_else(|| (!is_reported).then(|| BEGINS.into()));
            }
            steps.push(step);
        }
        steps
    }

    fn leaving(&self, manifest: &Manifest) -> Leaving {
        (self.leaving)(manifest)
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists || !own_state(seen).on_trigger {
            return Vec::new();
        }
        if entry.ownership == Ownership::Adopted {
            return former::step_back(self, address, seen, entry).into_iter().collect();
        }
        // Force takes the Action away together with its bindings, so the Action has to be known to be ours.
        let op = Op::of(Act::Delete { force: !entry.unproven });
        let mut step = step(address, self.name, Verb::Delete, self.stages.remove, "delete the Action", op);
        step.reason = "it was created by this stack".into();
        step.effects = Facts::from([(self.fact)(ActionState::Absent)]);
        vec![step]
    }

    fn removal_refusal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Option<Finding> {
        if seen.exists {
            return former::why_not_back(address, seen, entry);
        }
        let (name, id) = own_state(seen).elsewhere.clone()?;
        Some(Finding {
            code: codes::CHANGED_SINCE,
            address: address.to_owned(),
            text: format!(
                "the record names the Action {name:?} (id {id}), which is not on {}: it is left alone",
                self.trigger.id
            ),
            help: "nothing to do; if it is this stack's all the same, delete it in the Auth0 dashboard"
                .into(),
            level: Level::Warning,
        })
    }

    fn scopes(&self, step: &Step) -> &'static [&'static str] {
        match step.op.act() {
            Ok(Act::Draft { .. }) if step.creates => &["create:actions"],
            Ok(Act::Draft { .. }) => &["update:actions"],
            // A deployment makes a version, so the API wants the scope for creating.
            Ok(Act::Deploy | Act::FormerVersion { .. } | Act::EarlierVersion { .. }) => &["create:actions"],
            Ok(Act::Delete { .. }) => &["delete:actions"],
            Err(_) => &[],
        }
    }

    fn facts(&self, _address: &Address, seen: &Seen) -> Facts {
        let own = own_state(seen);
        let state = match (seen.exists, own.version.is_empty()) {
            (false, _) => ActionState::Absent,
            (true, true) => ActionState::Draft,
            (true, false) => ActionState::Deployed,
        };
        let told = own.live.as_ref().map(|live| (self.fact_of_code)(&live.code));
        let without = self.verifies.filter(|_| !own.version.is_empty() && !own.live_verifies);
        let without = without.map(|fact| fact(false));
        [(self.fact)(state)].into_iter().chain(told).chain(without).chain(former::facts(self, seen)).collect()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let id = run.seen.ids.get("id").cloned().unwrap_or_default();
            let path = format!("/api/v2/actions/actions/{id}");
            let wanted = name_of(run.desired);
            let act: Act = run.act()?;
            if let Act::Draft { secrets: true } = act {
                let tried = handed_on::tried_secrets(run.desired, self.name, run.manifest, writer.reader());
                writer.checked(tried).await?;
            }
            match act {
                Act::Draft { secrets } if !run.seen.exists => {
                    let mut body = body(run.desired, Some(self.trigger), true);
                    if own_state(run.seen).name_taken {
                        body["name"] = json!(interim_name(wanted));
                    }
                    let made = writer
                        .json(Method::Post, "/api/v2/actions/actions", body, Repeat::NeverBlind)
                        .await?;
                    Ok(written(require_id(self.read(&made, wanted), "id")?, secrets))
                }
                Act::Draft { secrets } => {
                    let mut body = body(run.desired, None, secrets);
                    if wanted != name_of(&run.seen.attrs) {
                        body["name"] = json!(wanted);
                    }
                    // A repeated PATCH writes the same draft and only starts another build.
                    let made = writer.json(Method::Patch, path, body, Repeat::Safe).await?;
                    Ok(written(require_id(self.read(&made, wanted), "id")?, secrets))
                }
                Act::Deploy => {
                    let look = deployed_by_others(self, &run, &id, writer.reader());
                    if let Some(now) = writer.checked(look).await? {
                        return Ok(Done::seen(now));
                    }
                    let version = writer
                        .json(Method::Post, format!("{path}/deploy"), Json::Null, Repeat::NeverBlind)
                        .await?;
                    Ok(Done::seen(
                        wait_until_deployed(self, &run, &id, text(&version, "id"), writer.reader()).await?,
                    ))
                }
                Act::FormerVersion { version } => former::run(self, &run, &version, writer).await,
                Act::EarlierVersion { version } => earlier::run(self, &run, &version, writer).await,
                Act::Delete { force } => remove::run(self, &run, force, writer).await,
            }
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let name = name_of(run.desired);
            let id = run.seen.ids.get("id").cloned().unwrap_or_default();
            let look = async || Ok::<_, Failed>(self.read(&reader.fresh(&read_action(&id)).await?, name));
            match run.act()? {
                Act::Draft { secrets } if !run.seen.exists => {
                    let list = reader.fresh(&list_actions()).await?;
                    let is_ours =
                        |a: &&Json| is_named(text(a, "name"), name) && has_trigger(a, self.trigger.id);
                    match items(&list)?.iter().filter(is_ours).collect::<Vec<_>>().as_slice() {
                        [] => Ok(None),
                        [action] => Ok(Some(written(self.read(action, name), secrets))),
                        several => {
                            Err(Failed::Unknown(format!("{} Actions named {name:?} exist", several.len())))
                        }
                    }
                }
                Act::Draft { secrets } => {
                    let seen = look().await?;
                    let tolerates =
                        |field: &str, wanted: &Value, there: &Value| self.tolerates(field, wanted, there);
                    let took = own_state(&seen).updated_at != own_state(run.seen).updated_at
                        && is_draft_of(&seen, &run, secrets, tolerates);
                    Ok(took.then(|| written(seen, secrets)))
                }
                Act::Deploy => {
                    // Reads show a deployment only after a while, and a repeated deployment would make a second
                    // version.
                    for _ in 0..SETTLE_LOOKS {
                        reader.sleep_ms(DEPLOY_PAUSE_MS).await;
                        let seen = look().await?;
                        if former::runs_anew(&seen, run.seen) && !needs_deploy(&seen) {
                            return Ok(Some(Done::seen(seen)));
                        }
                    }
                    Ok(None)
                }
                Act::FormerVersion { .. } => former::settle(self, &run, reader).await,
                Act::EarlierVersion { .. } => earlier::settle(self, &run, reader).await,
                Act::Delete { .. } => match look().await {
                    Ok(_) => Ok(None),
                    Err(failed) if failed.status() == Some(404) => Ok(Some(Done::seen(Seen::default()))),
                    Err(failed) => Err(failed),
                },
            }
        })
    }

    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &["dependencies.", "secrets."]
    }

    fn refusals(&self, diff: &Diff<'_>, steps: &[Step]) -> Vec<Finding> {
        let sends = steps.iter().any(|step| matches!(step.op.act(), Ok(Act::Draft { secrets: true })));
        let place = format!("{0}.secrets, or set {0}.unmanaged_secrets: remove", self.section);
        let secrets = added::finding(
            diff.address,
            "the Action has secrets",
            &own_state(diff.seen).foreign_secrets,
            &place,
        )
        .map(|told| if sends { dropping(told, self.section) } else { told });
        // Not every section can name them.
        let can_name =
            self.sections.iter().any(|one| one.fields.iter().any(|f| f.key == "unmanaged_secrets"));
        let secrets = secrets.map(|told| match can_name {
            true => told,
            false => Finding { help: "remove it from the Action in the Auth0 dashboard".into(), ..told },
        });
        secrets.into_iter().chain(added_modules(diff)).collect()
    }

    fn toggles(&self, field: &str) -> bool {
        field == "deployed"
    }

    /// Neither the draft's secret nor that of the running version was written since.
    fn vouches(&self, manifest: &Manifest, mark: &Json) -> bool {
        let at = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let Some(as_of) = manifest.text(self.section, AS_OF).and_then(at) else { return false };
        let is_older = |mark: &Json| mark.as_str().and_then(at).is_some_and(|written| written <= as_of);
        is_older(&mark["draft"]) && (mark["live"].is_null() || is_older(&mark["live"]))
    }

    fn sends(&self) -> bool {
        self.spec.sends
    }

    /// An Action runs its deployed version, whatever its draft is.
    fn runs(&self, seen: &Seen) -> bool {
        live_version(seen).is_some_and(|live| !live.is_empty())
    }

    fn runs_former(&self, seen: &Seen, entry: Option<&Entry>) -> bool {
        former::runs(seen, entry)
    }

    fn renews(&self, seen: &Seen, steps: &[&Step]) -> bool {
        let deploys = |step: &&Step| matches!(step.op.act(), Ok(Act::Deploy));
        let drafts = |step: &&Step| matches!(step.op.act(), Ok(Act::Draft { .. }));
        let sends = |step: &&Step| matches!(step.op.act(), Ok(Act::Draft { secrets: true }));
        match steps.iter().position(drafts) {
            Some(_) => {
                let draft = steps.iter().position(sends);
                draft.is_some_and(|draft| steps[draft..].iter().any(deploys))
            }
            // The draft is as wanted, with its secrets and no others.
            None => own_state(seen).foreign_secrets.is_empty() && steps.iter().any(deploys),
        }
    }

    fn brings_back(&self, step: &Step) -> bool {
        matches!(step.op.act(), Ok(Act::FormerVersion { .. }))
    }

    fn runs_with(&self, seen: &Seen, id: &str, made_at: &str) -> bool {
        let own = own_state(seen);
        let code = own.live.as_ref().map(|live| live.code.as_str());
        knows(own.live_secret_dates.as_deref(), code, id, made_at)
    }

    fn may_know(&self, seen: &Seen, id: &str, made_at: &str) -> bool {
        former::may_know(seen, id, made_at)
    }

    fn shown(&self, seen: &Seen, field: &str) -> Option<Json> {
        former::present_value(seen, field)
    }

    fn look_back<'a>(
        &'a self,
        changed: &'a Changed,
        seen: &'a mut Seen,
        reader: &'a Reader,
    ) -> Task<'a, Result<(), Failed>> {
        Box::pin(earlier::read(changed, seen, reader))
    }

    fn back(&self, back: &Back<'_>) -> WayBack {
        earlier::back(self, back)
    }

    fn running(&self, seen: &Seen) -> Option<String> {
        live_version(seen).filter(|live| !live.is_empty())
    }

    /// Also the id of the running version, by which everything that ran before this stack can be deployed again, and
    /// the names of the modules.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let plain = |(field, value): (&String, &Value)| Some((field.clone(), value.known()?.clone()));
        let own = own_state(seen);
        let version = (!own.version.is_empty()).then(|| (former::VERSION.to_owned(), json!(own.version)));
        let modules = (MODULES.to_owned(), json!(own.modules));
        seen.attrs.iter().filter_map(plain).chain(version).chain([modules]).collect()
    }

    /// Some tenants return a floating dependency with its resolved version. That is no drift.
    fn tolerates(&self, field: &str, desired: &Value, observed: &Value) -> bool {
        let (Some(desired), Some(observed)) = (desired.as_str(), observed.as_str()) else { return false };
        match field {
            // How the API spells a newer runtime is known only once it exists.
            "runtime" => desired.trim_end_matches("-actions") == observed.trim_end_matches("-actions"),
            field => field.starts_with("dependencies.") && npm::reads_back(desired, observed),
        }
    }
}

/// Waits until the draft is built, and makes sure that it is the planned one and may go live. `Some`: somebody else has
/// deployed this very draft.
async fn deployed_by_others(
    row: &Action,
    run: &Run<'_>,
    id: &str,
    reader: &Reader,
) -> Result<Option<Seen>, Failed> {
    let action = wait_until_built(run, id, reader).await?;
    if text(&action, "updated_at") != own_state(run.seen).updated_at {
        return Err(Failed::NotDone(
            "somebody else changed the draft in the meantime, and their change would go live; plan again"
                .into(),
        ));
    }
    let now = row.read(&action, name_of(run.desired));
    if !needs_deploy(&now) {
        return Ok(Some(now));
    }
    if let Some(ready) = row.ready {
        ready(run, reader).await?;
    }
    Ok(None)
}

/// The result of a step that wrote the draft, with its secrets or without.
fn written(seen: Seen, wrote_secrets: bool) -> Done {
    Done { wrote_secrets, ..Done::seen(seen) }
}

/// The finding as a blocker, because a step of this plan would drop the secrets that it names.
fn dropping(told: Finding, section: &str) -> Finding {
    let help = format!(
        "a write of secrets replaces the whole set: name them in {section}.secrets, or set \
         {section}.unmanaged_secrets: remove"
    );
    Finding { code: codes::WOULD_BE_DROPPED, level: Level::Blocker, help, ..told }
}

/// A finding about modules that somebody added to the Action. A manifest cannot name modules. If an older build took
/// the Action over and did not record its modules, they may have been there before, so there is no finding.
fn added_modules(diff: &Diff<'_>) -> Option<Finding> {
    diff.entry
        .filter(|entry| entry.ownership == Ownership::Created || entry.restore.contains_key(MODULES))?;
    let own = own_state(diff.seen);
    let names = added::added_names(diff, own.modules.iter().map(String::as_str), "modules.", MODULES);
    let told = added::finding(diff.address, "the Action uses modules", &names, "")?;
    let help = "remove it from the Action, or write what it does into the code; until then it stays, and drift tells it".into();
    Some(Finding { help, ..told })
}

/// Handles secrets that only the tenant has. A write of the set would drop them. Unless the policy is `remove`, they
/// are therefore no difference, and a finding asks a person to decide.
fn foreign_secrets(seen: &mut Seen, want: &Resource, policy: Option<&str>) {
    let foreign: Vec<String> = seen
        .attrs
        .keys()
        .filter(|key| key.starts_with("secrets.") && !want.desired.contains_key(*key))
        .filter_map(|key| key.strip_prefix("secrets.").map(str::to_owned))
        .collect();
    if foreign.is_empty() {
        return;
    }
    if policy == Some("remove") {
        return;
    }
    for name in &foreign {
        seen.attrs.remove(&format!("secrets.{name}"));
    }
    seen.keep(|own: &mut Own| own.foreign_secrets = foreign);
}
