//! Auth0 Actions: draft → built → deployed. One implementation; the phone Action is one row, others may follow.
//!
//! A PATCH changes the draft only and starts a build; what runs is the deployed version. Secrets and dependencies
//! are replaced wholesale, so whoever changes one sends all. Secret values can never be read back; the times of
//! their last write can, and those say whether somebody else wrote.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Diff, Done, Hint, Kind, Resource, Run, Seen, Task, named, step, text};
use crate::diag::{Problem, codes};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Paging, Repeat};
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::ledger::{Entry, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Event, Facts, Finding, Level, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// A trigger, as Auth0 names it ("Auth0 docs, Actions triggers", 2026-08).
#[derive(Debug, PartialEq, Eq)]
pub struct Trigger {
    pub id: &'static str,
    pub version: &'static str,
    /// The function that the code has to export.
    pub handler: &'static str,
    /// The tenant may have one Action of this trigger, or two would send two messages: another one is a conflict.
    pub alone: bool,
}

/// One Action of the stack.
pub struct Action {
    /// Name of the kind and address of its resource.
    pub name: &'static str,
    /// Path of its manifest section.
    pub section: &'static str,
    pub sections: &'static [&'static Section],
    pub trigger: &'static Trigger,
    /// Begin of the Action's name when the manifest gives none; the stack follows in parentheses.
    pub title: &'static str,
    /// Whether the manifest declares it.
    pub wanted: fn(&Manifest) -> bool,
    /// Its code as it is sent, from the manifest's attributes (some rows add to it).
    pub code: fn(&Manifest, String) -> String,
    /// Fact that says what state the Action is in.
    pub fact: &'static str,
    pub stages: Stages,
}

/// Where an Action's steps stand in the order of a plan.
pub struct Stages {
    pub draft: Stage,
    pub deploy: Stage,
    pub remove: Stage,
}

/// Sends the codes through the tenant's phone provider.
pub static PHONE: Action = Action {
    name: "action",
    section: "action",
    sections: &[&SECTION],
    trigger: &Trigger {
        id: "custom-phone-provider",
        version: "v1",
        handler: "onExecuteCustomPhoneProvider",
        alone: true,
    },
    title: "Lockstep phone",
    wanted: |manifest| {
        manifest.section("action").is_some() && manifest.text("phone", "delivery") != Some("legacy")
    },
    code: |_, code| code,
    fact: "action",
    stages: Stages { draft: Stage::Draft, deploy: Stage::Deploy, remove: Stage::RemoveAction },
};

/// Pauses before a look at a build: a build without dependencies takes half a second, one with them about nine
/// (recorded 2026-05), so these find either early with few requests. The last one repeats.
const BUILD_PAUSES_MS: &[u64] = &[1_000, 4_000, 5_000];
/// Looks at a build: the field's most used tool gives up after six minutes ("terraform-provider-auth0 changelog",
/// 2026-08).
const BUILD_LOOKS_MAX: usize = 75;
/// Pause before a look at a deployment. An Action is not bindable in its first second ("auth0-deploy-cli, actions
/// handler", 2026-08), so an earlier look would only cost a refused request.
const DEPLOY_PAUSE_MS: u64 = 1_000;
/// Looks for a deployment whose answer was lost.
const SETTLE_LOOKS: usize = 5;
static SECTION: Section = Section {
    path: "action",
    doc: "The Auth0 Action that hands the code to Verify",
    required: true,
    fields: &[
        Field {
            key: "name",
            ty: Type::Text { min: 1, max: 255, check: None },
            wire: "name",
            doc: "unique in the tenant; defaults to `Lockstep phone (<stack>)`",
            ..FIELD
        },
        Field {
            key: "code",
            ty: Type::Code,
            required: true,
            wire: "code",
            doc: "`builtin:twilio-verify` or a file",
            ..FIELD
        },
        Field {
            key: "runtime",
            ty: Type::OpenOneOf(&["node22", "node18"]),
            default: Some("node22"),
            wire: "runtime",
            doc: "Node.js version",
            ..FIELD
        },
        Field {
            key: "dependencies",
            ty: Type::Map { max: 10 },
            default: Some("{}"),
            wire: "dependencies",
            doc: "npm packages with exact versions",
            ..FIELD
        },
        Field {
            key: "secrets",
            ty: Type::Map { max: 30 },
            default: Some("{}"),
            secret: true,
            wire: "secrets",
            doc: "what the code reads as event.secrets",
            ..FIELD
        },
        Field {
            key: "unmanaged_secrets",
            ty: Type::OneOf(&["refuse", "remove"]),
            default: Some("refuse"),
            doc: "what to do with secret names that only the tenant has: every write of secrets would drop them",
            ..FIELD
        },
    ],
};

impl Action {
    /// The Action's name in the tenant.
    pub fn action_name(&self, manifest: &Manifest) -> String {
        let given = manifest.text(self.section, "name").map(str::to_owned);
        given.unwrap_or_else(|| format!("{} ({})", self.title, manifest.stack))
    }
}

/// The one call that lists Actions; at most 100 exist in a tenant.
pub fn list() -> Get {
    Get {
        api: Api::Auth0,
        path: "/api/v2/actions/actions".into(),
        paging: Paging::Offset { key: "actions", per_page: 100 },
    }
}

/// The Actions of a list reply.
pub fn items(list: &Json) -> &[Json] {
    list.get("actions").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether an Action is for that trigger.
pub fn has_trigger(action: &Json, trigger: &str) -> bool {
    action["supported_triggers"]
        .as_array()
        .is_some_and(|triggers| triggers.iter().any(|t| text(t, "id") == trigger))
}

impl Kind for Action {
    fn name(&self) -> &'static str {
        self.name
    }

    fn sections(&self) -> &'static [&'static Section] {
        self.sections
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let Some(attrs) = manifest.section(self.section).filter(|_| (self.wanted)(manifest)) else {
            return Vec::new();
        };
        let mut desired = attrs.clone();
        desired.retain(|key, _| !matches!(key.as_str(), "unmanaged_secrets"));
        if let Some(code) = attrs.get("code").and_then(Value::as_str) {
            desired.insert("code".into(), Value::text((self.code)(manifest, code.to_owned())));
        }
        // Runtime state is part of the desired state: what runs is what the draft says.
        desired.insert("deployed".into(), Value::Known(json!(true)));
        desired.insert("name".into(), Value::text(self.action_name(manifest)));
        vec![Resource { address: self.name.to_owned(), kind: self.name, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let Some(attrs) = manifest.section(self.section).filter(|_| (self.wanted)(manifest)) else { return };
        for (key, value) in attrs {
            let version = value.as_str().unwrap_or_default();
            if key.starts_with("dependencies.") && !version.starts_with(|ch: char| ch.is_ascii_digit()) {
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
        // An Action's secrets cannot be read back, so nobody could ever tell whether it still holds the drawn value.
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
        let code = manifest.text(self.section, "code").unwrap_or_default();
        let handler = self.trigger.handler;
        if !code.contains(handler) {
            out.push(Problem::error(
                codes::UNSAFE,
                format!("{}.code", self.section),
                "the handler of the trigger is missing",
                format!("exports.{handler} is what Auth0 calls on {}", self.trigger.id),
                "export that handler, or use the built-in code",
            ));
        }
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![list()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let list = reader.get(&list()).await?;
            let name = hint
                .want
                .and_then(|want| want.desired.get("name"))
                .and_then(Value::as_str)
                .unwrap_or_default();
            let id = hint.entry.and_then(|entry| entry.ids.get("id")).map(String::as_str).unwrap_or_default();
            let all = items(&list);
            let ours = all.iter().find(|action| !id.is_empty() && text(action, "id") == id);
            let named: Vec<&Json> = all.iter().filter(|action| text(action, "name") == name).collect();
            let mut seen = match (ours, named.as_slice()) {
                (Some(action), _) => parse(action),
                (None, []) => Seen::default(),
                (None, [action]) if has_trigger(action, self.trigger.id) => {
                    let mut seen = parse(action);
                    // A run that was killed after its create has left an intent: the Action is its own.
                    let creating =
                        hint.intent.is_some_and(|intent| intent.creating.contains_key(hint.address));
                    seen.unowned = hint.entry.is_none() && !creating;
                    if creating && hint.entry.is_none() {
                        seen.raw["resumed"] = json!(true);
                    }
                    seen
                }
                (None, [action]) => {
                    let mut seen = Seen::default();
                    seen.finding(
                        hint.address,
                        Level::Blocker,
                        format!(
                            "an Action named {name:?} exists on another trigger (id {})",
                            text(action, "id")
                        ),
                        "rename it, or set action.name to something else",
                    );
                    seen
                }
                (None, several) => {
                    let ids: Vec<&str> = several.iter().map(|action| text(action, "id")).collect();
                    let mut seen = Seen::default();
                    seen.finding(
                        hint.address,
                        Level::Blocker,
                        format!("{} Actions are named {name:?}: {}", ids.len(), ids.join(", ")),
                        "delete or rename all but the right one",
                    );
                    seen
                }
            };
            if hint.want.is_some() {
                let foreign = all.iter().filter(|_| self.trigger.alone).find(|action| {
                    has_trigger(action, self.trigger.id)
                        && Some(&text(action, "id").to_owned()) != seen.ids.get("id")
                });
                if let Some(other) = foreign {
                    seen.finding(
                        hint.address,
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
                let keeps = hint.ledger_in_tenant
                    && !all.iter().any(|a| text(a, "name") == crate::model::ledger::action_name(hint.stack));
                if !seen.exists && all.len() + 1 + usize::from(keeps) > 100 {
                    seen.finding(
                        hint.address,
                        Level::Blocker,
                        format!("the tenant has {} Actions and may have 100: no room for the Action and the ledger", all.len()),
                        "delete unused Actions, or keep the ledger elsewhere with --ledger file:PATH",
                    );
                }
                if let Some(want) = hint.want {
                    foreign_secrets(&mut seen, want, hint.manifest.text(self.section, "unmanaged_secrets"));
                }
            }
            if seen.exists && text(&seen.raw, "status") == "failed" {
                seen.finding(
                    hint.address,
                    Level::Note,
                    "the last build of the Action failed; the version before it is still live",
                    "check names and versions of the dependencies; the Auth0 dashboard shows the build log",
                );
            }
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        let seen = diff.seen;
        let failed = seen.exists && text(&seen.raw, "status") == "failed";
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
            // Secrets travel as a whole set; without a change of theirs they are left out and stay.
            let with_secrets =
                !seen.exists || diff.changes.iter().any(|change| change.field.starts_with("secrets."));
            let op = json!({ "do": "draft", "secrets": with_secrets });
            let mut step = diff.step(verb, self.stages.draft, what, op);
            step.creates = !seen.exists;
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
            let mut step = diff.step(
                if seen.exists { Verb::Update } else { Verb::Create },
                self.stages.deploy,
                "deploy",
                json!({ "do": "deploy" }),
            );
            step.reason = if draft_differs {
                "only a deployed version runs".into()
            } else {
                "the draft is ahead of what runs".into()
            };
            step.effects = Facts::from([(self.fact.to_owned(), json!("deployed"))]);
            steps.push(step);
        }
        steps
    }

    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists || entry.ownership == Ownership::Adopted {
            return Vec::new();
        }
        let mut step = step(
            address,
            self.name,
            Verb::Delete,
            self.stages.remove,
            "delete the Action",
            json!({ "do": "delete" }),
        );
        step.reason = "it was created by this stack".into();
        step.effects = Facts::from([(self.fact.to_owned(), json!("absent"))]);
        vec![step]
    }

    fn scopes(&self, step: &Step) -> &'static [&'static str] {
        match text(&step.op, "do") {
            "draft" if step.creates => &["create:actions"],
            "draft" => &["update:actions"],
            // A deployment is a creation to the API: it makes a version.
            "deploy" => &["create:actions"],
            _ => &["delete:actions"],
        }
    }

    fn facts(&self, _address: &str, seen: &Seen) -> Facts {
        let state = if !seen.exists {
            "absent"
        } else if seen.raw_text("deployed_version").is_empty() {
            "draft"
        } else {
            "deployed"
        };
        Facts::from([(self.fact.to_owned(), json!(state))])
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let id = run.seen.ids.get("id").cloned().unwrap_or_default();
            let path = format!("/api/v2/actions/actions/{id}");
            match text(&run.step.op, "do") {
                "draft" if !run.seen.exists => {
                    let body = body(run.desired, Some(self.trigger), true);
                    let made = writer
                        .json(Method::Post, "/api/v2/actions/actions", body, Repeat::NeverBlind)
                        .await?;
                    Ok(Done::seen(named(parse(&made), "id")?))
                }
                "draft" => {
                    let body = body(run.desired, None, run.step.op["secrets"] == json!(true));
                    // The same draft twice is the same draft; only another build is started.
                    let made = writer.json(Method::Patch, path, body, Repeat::Safe).await?;
                    Ok(Done::seen(parse(&made)))
                }
                "deploy" => {
                    built(&run, &id, writer.reader()).await?;
                    let version = writer
                        .json(Method::Post, format!("{path}/deploy"), Json::Null, Repeat::NeverBlind)
                        .await?;
                    deployed(&run, &id, text(&version, "id"), writer.reader()).await
                }
                _ => match writer.json(Method::Delete, path, Json::Null, Repeat::Safe).await {
                    Ok(_) => Ok(Done::seen(Seen::default())),
                    Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
                    Err(failed) => Err(failed),
                },
            }
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let what = text(&run.step.op, "do");
            if what == "draft" && !run.seen.exists {
                let list = reader.fresh(&list()).await?;
                let name = run.desired.get("name").and_then(Value::as_str).unwrap_or_default();
                let named: Vec<&Json> = items(&list)
                    .iter()
                    .filter(|a| text(a, "name") == name && has_trigger(a, self.trigger.id))
                    .collect();
                return match named.as_slice() {
                    [] => Ok(None),
                    [action] => Ok(Some(Done::seen(parse(action)))),
                    several => {
                        Err(Failed::Unknown(format!("{} Actions named {name:?} exist", several.len())))
                    }
                };
            }
            let id = run.seen.ids.get("id").cloned().unwrap_or_default();
            if what == "deploy" {
                // Reads show a deployment only after a while, and a second one would be a second version.
                for _ in 0..SETTLE_LOOKS {
                    reader.sleep_ms(DEPLOY_PAUSE_MS).await;
                    let seen = parse(&reader.fresh(&one(&id)).await?);
                    let live = seen.raw_text("deployed_version");
                    if !live.is_empty()
                        && live != run.seen.raw_text("deployed_version")
                        && !needs_deploy(&seen)
                    {
                        return Ok(Some(Done::seen(seen)));
                    }
                }
                return Ok(None);
            }
            let action = match reader.fresh(&one(&id)).await {
                Ok(action) => action,
                Err(failed) if failed.status() == Some(404) && what == "delete" => {
                    return Ok(Some(Done::seen(Seen::default())));
                }
                Err(failed) => return Err(failed),
            };
            let seen = parse(&action);
            let took = match what {
                "draft" => text(&action, "updated_at") != run.seen.raw_text("updated_at"),
                _ => false,
            };
            Ok(took.then(|| Done::seen(seen)))
        })
    }

    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &["dependencies.", "secrets."]
    }

    fn refusals(&self, diff: &Diff<'_>, steps: &[Step]) -> Vec<Finding> {
        let foreign = diff.seen.raw["foreign_secrets"].as_array().filter(|names| !names.is_empty());
        let sends = steps.iter().any(|step| step.op["secrets"] == json!(true));
        let Some(names) = foreign else { return Vec::new() };
        let names: Vec<&str> = names.iter().filter_map(Json::as_str).collect();
        let level = if sends { Level::Blocker } else { Level::Note };
        vec![Finding {
            address: diff.address.to_owned(),
            text: format!("the Action has secrets that the manifest does not name: {}", names.join(", ")),
            help: "a write of secrets replaces the whole set: name them in action.secrets, or set \
                   action.unmanaged_secrets: remove"
                .into(),
            level,
        }]
    }

    /// A dependency that the manifest leaves floating reads back resolved on some tenants; that is no drift.
    fn tolerates(&self, field: &str, desired: &Value, observed: &Value) -> bool {
        field.starts_with("dependencies.")
            && desired.as_str() == Some("latest")
            && observed.as_str().is_some()
    }
}

/// Secret names that only the tenant has: a write of the set would drop them, so somebody has to decide.
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
        seen.raw["drop_secrets"] = json!(foreign);
        return;
    }
    for name in &foreign {
        seen.attrs.remove(&format!("secrets.{name}"));
    }
    seen.raw["foreign_secrets"] = json!(foreign);
}

fn one(id: &str) -> Get {
    Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"))
}

fn needs_deploy(seen: &Seen) -> bool {
    seen.exists && seen.attrs.get("deployed") != Some(&Value::Known(json!(true)))
}

/// The body of a create (with its trigger) or of an update.
fn body(desired: &Attrs, create: Option<&Trigger>, with_secrets: bool) -> Json {
    let part = |prefix: &str, name: &str, value: &str| -> Vec<Json> {
        desired
            .iter()
            .filter_map(|(key, held)| {
                let inner = key.strip_prefix(prefix)?;
                let text = match held {
                    Value::Secret(secret) => secret.expose(),
                    Value::Known(json) => json.as_str()?,
                    _ => return None,
                };
                Some(json!({ name: inner, value: text }))
            })
            .collect()
    };
    let mut body = json!({ "code": desired.get("code").and_then(Value::as_str).unwrap_or_default() });
    if let Some(trigger) = create {
        body["name"] = json!(desired.get("name").and_then(Value::as_str).unwrap_or_default());
        body["supported_triggers"] = json!([{ "id": trigger.id, "version": trigger.version }]);
    } else if let Some(name) = desired.get("name").and_then(Value::as_str) {
        body["name"] = json!(name);
    }
    if let Some(runtime) = desired.get("runtime").and_then(Value::as_str) {
        body["runtime"] = json!(if runtime == "node18" { "node18-actions" } else { runtime });
    }
    body["dependencies"] = json!(part("dependencies.", "name", "version"));
    if with_secrets {
        body["secrets"] = json!(part("secrets.", "name", "value"));
    }
    body
}

/// Waits until the draft is built.
async fn built(run: &Run<'_>, id: &str, reader: &Reader) -> Result<(), Failed> {
    let mut status = run.seen.raw_text("status").to_owned();
    for look in 0..BUILD_LOOKS_MAX {
        match status.as_str() {
            "built" if look > 0 || run.seen.raw_text("status") == "built" => return Ok(()),
            "failed" if look > 0 => {
                return Err(Failed::Misread(
                    "the build of the Action failed (what ran before still runs): check names and versions of \
                     action.dependencies; the Auth0 dashboard shows the build log"
                        .into(),
                ));
            }
            _ => {}
        }
        reader.sleep_ms(BUILD_PAUSES_MS[look.min(BUILD_PAUSES_MS.len() - 1)]).await;
        if reader.interrupted() {
            return Err(Failed::Stopped);
        }
        let action = reader.fresh(&one(id)).await?;
        status = text(&action, "status").to_owned();
        reader.tell(Event::Polling { address: run.address.to_owned(), state: status.clone() });
    }
    Err(Failed::NotDone(format!(
        "the build of the Action is still {status:?} after several minutes; apply again later"
    )))
}

/// Waits until the new version is the one that runs.
async fn deployed(run: &Run<'_>, id: &str, version: &str, reader: &Reader) -> Result<Done, Failed> {
    for _ in 0..BUILD_LOOKS_MAX {
        reader.sleep_ms(DEPLOY_PAUSE_MS).await;
        if reader.interrupted() {
            return Err(Failed::Stopped);
        }
        let action = reader.fresh(&one(id)).await?;
        let live = &action["deployed_version"];
        if text(live, "id") == version && live["deployed"] == json!(true) {
            return Ok(Done::seen(parse(&action)));
        }
        reader.tell(Event::Polling { address: run.address.to_owned(), state: "deploying".into() });
    }
    Err(Failed::Unknown("the new version of the Action does not become the deployed one".into()))
}

/// Reads an Action in any reply. Fields are the draft's; `deployed` says whether the draft is what runs.
pub fn parse(action: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("id".into(), text(action, "id").to_owned());
    let live = action.get("deployed_version").filter(|version| version.is_object());
    let live_attrs = live.map(attrs_of).unwrap_or_default();
    let mut attrs = attrs_of(action);
    // A secret is as it was applied only if neither the draft's nor the live version's mark has moved.
    for (key, value) in &mut attrs {
        if let Value::Stamp(draft) = value {
            let live = match live_attrs.get(key) {
                Some(Value::Stamp(stamp)) => stamp.clone(),
                _ => Json::Null,
            };
            *value = Value::Stamp(json!({ "draft": draft, "live": live }));
        }
    }
    let deployed = live.is_some() && action.get("all_changes_deployed") == Some(&json!(true));
    attrs.insert("name".into(), Value::text(text(action, "name")));
    attrs.insert("deployed".into(), Value::Known(json!(deployed)));
    seen.attrs = attrs;
    seen.raw = json!({
        "status": text(action, "status"),
        "updated_at": text(action, "updated_at"),
        "deployed_version": live.map(|version| text(version, "id")).unwrap_or_default(),
    });
    seen
}

fn attrs_of(part: &Json) -> Attrs {
    let mut attrs: Attrs = BTreeMap::new();
    attrs.insert("code".into(), Value::text(text(part, "code").replace("\r\n", "\n")));
    let runtime = text(part, "runtime");
    attrs.insert("runtime".into(), Value::text(if runtime == "node18-actions" { "node18" } else { runtime }));
    for item in part["dependencies"].as_array().into_iter().flatten() {
        attrs.insert(format!("dependencies.{}", text(item, "name")), Value::text(text(item, "version")));
    }
    for item in part["secrets"].as_array().into_iter().flatten() {
        attrs
            .insert(format!("secrets.{}", text(item, "name")), Value::Stamp(json!(text(item, "updated_at"))));
    }
    attrs
}
