//! Runs one step. After a lost reply, `settle` reads whether the step took effect.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::act::{Act, FUNCTION_NAME, Former, Own, own_state};
use super::observe;
use super::wire::{self, form, pair};
use crate::kinds::looks::handed_on;
use crate::kinds::remote::serverless;
use crate::kinds::said::function::{CURRENT, PREVIOUS, environment_name, unique_name};
use crate::kinds::{Done, Run, Seen, text};
use crate::model::call::{Failed, Repeat};
use crate::model::event::Event;
use crate::model::value::Value;
use crate::port::{Reader, Writer};

/// Pauses between two looks at a build, in ms; the last one repeats. The vendor's tool looks every second and gives up
/// after five minutes ("serverless-toolkit" source, 2026-06).
const BUILD_PAUSES_MS: &[u64] = &[2_000, 3_000, 5_000];
const BUILD_LOOKS_MAX: usize = 62;
/// How long the former secret stays valid after the stream has changed. A Function may run for ten seconds, so a
/// delivery that began with the former secret has ended by then.
const FORMER_SECRET_WAIT_MS: u64 = 10_000;

struct Running<'a> {
    run: &'a Run<'a>,
    act: &'a Act,
    /// What was known beside the fields before the step.
    own: Rc<Own>,
    /// The state so far; the methods below change it to the state after the step.
    seen: Seen,
}

impl Running<'_> {
    fn id(&self, name: &str) -> &str {
        self.run.seen.ids.get(name).map(String::as_str).unwrap_or_default()
    }

    fn service(&self) -> String {
        format!("/v1/Services/{}", self.id("service"))
    }

    fn variables(&self) -> String {
        format!("{}/Environments/{}/Variables", self.service(), self.id("environment"))
    }

    fn plain(&self, field: &str) -> String {
        match self.run.desired.get(field) {
            Some(Value::Known(Json::String(text))) => text.clone(),
            Some(Value::Known(json)) => json.to_string(),
            _ => String::new(),
        }
    }

    /// SID of the version that our build takes: the one that waits for a build, else the one of the observed build.
    fn version(&self) -> &str {
        Some(self.own.ready_version.as_str()).filter(|ready| !ready.is_empty()).unwrap_or(self.id("version"))
    }

    /// SID of the step's variable; empty if the variable does not exist.
    fn variable(&self) -> &str {
        self.own.variables.get(self.key()).map(String::as_str).unwrap_or_default()
    }

    fn managed(&self, name: &str) -> bool {
        let field = format!("dependencies.{name}");
        self.run.desired.contains_key(&field)
            || self.run.entry.is_some_and(|entry| entry.fields.contains_key(&field))
    }

    fn key(&self) -> &str {
        match self.act {
            Act::Variable { key } | Act::Forget { key } => key,
            _ => PREVIOUS,
        }
    }

    /// The value of the variable that the step sets. The variable of the former secret gets the observed value of the
    /// current one.
    fn value(&self) -> Result<Value, Failed> {
        let (attrs, field) = match self.key() {
            PREVIOUS => (&self.run.seen.attrs, format!("variables.{CURRENT}")),
            key => (self.run.desired, format!("variables.{key}")),
        };
        match attrs.get(&field) {
            Some(value @ Value::Secret(_)) => Ok(value.clone()),
            Some(Value::Known(json)) if json.is_string() => Ok(Value::Known(json.clone())),
            _ => Err(Failed::NotDone(format!(
                "the value of {field} is not known, so it cannot be sent; plan again"
            ))),
        }
    }

    fn done(self) -> Done {
        Done::seen(self.seen)
    }

    /// The state after the service was created. A former service is noted for the record, so that a later run still
    /// finds it.
    fn service_made(mut self, service: &Json) -> Result<Done, Failed> {
        let former = self.own.former.clone();
        let note = |Former { service, unique_name }: &Former| json!({ "service": service, "unique_name": unique_name });
        let notes: BTreeMap<_, _> = former.iter().map(|former| ("former".to_owned(), note(former))).collect();
        self.seen = observe::of_service(wire::object_with_sid(service).map_err(unknown_outcome)?);
        self.seen.keep(|own: &mut Own| own.former = former);
        Ok(Done { notes, ..Done::seen(self.seen) })
    }

    fn environment_made(mut self, environment: &Json) -> Result<Done, Failed> {
        let path = self.plain("path");
        observe::of_environment(
            wire::object_with_sid(environment).map_err(unknown_outcome)?,
            &path,
            &mut self.seen,
        );
        self.seen.keep(|own: &mut Own| own.variables.clear());
        Ok(self.done())
    }

    fn function_made(mut self, sid: &str) -> Done {
        self.seen.ids.insert("function".into(), sid.to_owned());
        self.done()
    }

    fn variable_set(mut self, sid: &str) -> Result<Done, Failed> {
        let (key, value) = (self.key().to_owned(), self.value()?);
        self.seen.attrs.insert(format!("variables.{key}"), as_secret(&value));
        self.seen.keep(|own: &mut Own| own.variables.insert(key, sid.to_owned()));
        Ok(self.done())
    }

    fn variable_gone(mut self) -> Done {
        let key = self.key().to_owned();
        self.seen.attrs.remove(&format!("variables.{key}"));
        self.seen.keep(|own: &mut Own| own.variables.remove(&key));
        self.done()
    }

    fn uploaded(mut self, sid: String) -> Done {
        self.seen.keep(|own: &mut Own| own.ready_version = sid);
        self.done()
    }

    fn built(mut self, build: &Json) -> Done {
        self.seen.keep(|own: &mut Own| text(build, "sid").clone_into(&mut own.ready_build));
        self.done()
    }

    /// The state after the build was deployed.
    fn deployed(mut self, build: &Json) -> Done {
        let version = self.version().to_owned();
        let versions = build["function_versions"].as_array();
        let ours = versions.into_iter().flatten().find(|one| text(one, "sid") == version);
        let managed = |name: &str| self.managed(name);
        let mut attrs = self.seen.attrs.clone();
        attrs.retain(|field, _| !field.starts_with("dependencies."));
        observe::put_build(build, ours.unwrap_or(&Json::Null), &managed, &mut attrs);
        attrs.insert("deployed".into(), Value::Known(json!(true)));
        // The version that serves has the wanted source text: it was uploaded with this text, or read and found equal.
        if let Some(code) = self.run.desired.get("code") {
            attrs.insert("code".into(), code.clone());
        }
        self.seen.attrs = attrs;
        self.seen.ids.insert("build".into(), text(build, "sid").to_owned());
        self.seen.ids.insert("version".into(), version);
        self.seen.keep(|own: &mut Own| [&mut own.ready_build, &mut own.ready_version].map(String::clear));
        self.done()
    }
}

fn as_secret(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => {
            Value::Secret(crate::model::secret::Secret::new(text, crate::model::secret::Origin::Person))
        }
        None => value.clone(),
    }
}

fn exposed(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.expose().to_owned(),
        value => value.as_str().unwrap_or_default().to_owned(),
    }
}

fn unknown_outcome(_: Failed) -> Failed {
    Failed::Unknown("the reply to a write has no SID".into())
}

fn sid_of_reply(reply: &Json) -> Result<String, Failed> {
    Ok(text(wire::object_with_sid(reply).map_err(unknown_outcome)?, "sid").to_owned())
}

pub(super) async fn run(run: Run<'_>, writer: &mut Writer) -> Result<Done, Failed> {
    let act: Act = run.act()?;
    let step = Running { run: &run, act: &act, own: own_state(run.seen), seen: run.seen.clone() };
    let service = step.service();
    match &act {
        Act::Service { .. } => {
            let pairs = vec![
                pair("UniqueName", unique_name(run.manifest)),
                pair("FriendlyName", step.plain("friendly_name")),
                pair("IncludeCredentials", "false"),
                pair("UiEditable", step.plain("ui_editable")),
            ];
            let made = writer.send(form("/v1/Services".into(), pairs, Repeat::NeverBlind)).await?;
            step.service_made(&made)
        }
        Act::Settings => {
            let pairs = vec![
                pair("FriendlyName", step.plain("friendly_name")),
                pair("IncludeCredentials", "false"),
                pair("UiEditable", step.plain("ui_editable")),
            ];
            settings(step, writer.send(form(service, pairs, Repeat::Safe)).await?)
        }
        Act::Restore => {
            let wire = [
                ("friendly_name", "FriendlyName"),
                ("include_credentials", "IncludeCredentials"),
                ("ui_editable", "UiEditable"),
            ];
            let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            let pairs = wire
                .iter()
                .filter_map(|(key, name)| Some(pair(name, text(run.step.op.value(key)?))))
                .collect();
            settings(step, writer.send(form(service, pairs, Repeat::Safe)).await?)
        }
        Act::Environment { .. } => {
            let pairs = vec![pair("UniqueName", environment_name(run.manifest))];
            let path = format!("{service}/Environments");
            let made = writer.send(form(path, pairs, Repeat::NeverBlind)).await?;
            step.environment_made(&made)
        }
        Act::Function => {
            let pairs = vec![pair("FriendlyName", FUNCTION_NAME)];
            let made = writer.send(form(format!("{service}/Functions"), pairs, Repeat::NeverBlind)).await?;
            let sid = sid_of_reply(&made)?;
            Ok(step.function_made(&sid))
        }
        Act::Upload => {
            let call = wire::upload(step.id("service"), step.id("function"), run.desired);
            let sid = sid_of_reply(&writer.send(call).await?)?;
            Ok(step.uploaded(sid))
        }
        Act::Build => {
            let call = wire::new_build(step.id("service"), step.version(), &step.own.others, run.desired);
            let made = writer.send(call).await?;
            let sid = sid_of_reply(&made)?;
            let build = wait_until_built(&run, step.id("service"), &sid, Some(made), writer.reader()).await?;
            Ok(step.built(&build))
        }
        Act::Previous | Act::Variable { .. } => {
            let value = exposed(&step.value()?);
            let key = step.key().to_owned();
            if ["TWILIO_API_KEY", "TWILIO_API_SECRET"].contains(&&*key) {
                let tried = handed_on::tried_variables(run.desired, run.manifest, writer.reader());
                writer.checked(tried).await?;
            }
            let path = step.variables();
            let mut sent = write_variable(&path, step.variable(), &key, &value, writer).await;
            if matches!(sent.as_ref().err().and_then(Failed::status), Some(404 | 409)) {
                // Since the plan, somebody has removed the variable (404) or created it (409). The refused write
                // changed nothing, so the write is sent again in the form that fits now.
                let now = read_variable(&step, &key, writer.reader()).await?;
                let sid = now.as_ref().map(|one| text(one, "sid")).unwrap_or_default().to_owned();
                sent = write_variable(&path, &sid, &key, &value, writer).await;
            }
            let sid = sid_of_reply(&sent?)?;
            step.variable_set(&sid)
        }
        Act::Forget { .. } => {
            if step.key() == PREVIOUS {
                writer.reader().sleep_ms(FORMER_SECRET_WAIT_MS).await;
                if writer.reader().interrupted() {
                    return Err(Failed::Stopped);
                }
            }
            let path = format!("{}/{}", step.variables(), step.variable());
            ok_if_missing(writer.send(wire::delete(path)).await)?;
            Ok(step.variable_gone())
        }
        Act::Deploy => {
            let sid = step.own.ready_build.clone();
            let built = wait_until_built(&run, step.id("service"), &sid, None, writer.reader());
            let build = writer.checked(built).await?;
            let path = format!("{service}/Environments/{}/Deployments", step.id("environment"));
            let pairs = vec![pair("BuildSid", &*sid)];
            match writer.send(form(path, pairs, Repeat::NeverBlind)).await {
                Ok(made) if text(&made, "sid").is_empty() => {
                    Err(Failed::Unknown("the reply to the deployment has no SID".into()))
                }
                Ok(_) => Ok(step.deployed(&build)),
                // A conflict is a success if this build serves already.
                Err(failed) if failed.status() == Some(409) => {
                    let environment = fresh_environment(&step, writer.reader()).await?;
                    if text(&environment, "build_sid") == sid {
                        Ok(step.deployed(&build))
                    } else {
                        Err(failed)
                    }
                }
                Err(failed) => Err(failed),
            }
        }
        Act::Former { service: former } => {
            ok_if_missing(writer.send(wire::delete(format!("/v1/Services/{former}"))).await)?;
            Ok(former_gone(step))
        }
        Act::Delete => {
            ok_if_missing(writer.send(wire::delete(service)).await)?;
            Ok(Done::seen(Seen::default()))
        }
    }
}

fn ok_if_missing(sent: Result<Json, Failed>) -> Result<(), Failed> {
    match sent {
        Ok(_) => Ok(()),
        Err(failed) if failed.status() == Some(404) => Ok(()),
        Err(failed) => Err(failed),
    }
}

fn settings(mut step: Running<'_>, reply: Json) -> Result<Done, Failed> {
    observe::put_service(wire::object_with_sid(&reply).map_err(unknown_outcome)?, &mut step.seen.attrs);
    Ok(step.done())
}

fn former_gone(mut step: Running<'_>) -> Done {
    let notes = BTreeMap::from([("former".to_owned(), Json::Null)]);
    step.seen.keep(|own: &mut Own| own.former = None);
    Done { notes, ..Done::seen(step.seen) }
}

async fn write_variable(
    path: &str,
    sid: &str,
    key: &str,
    value: &str,
    writer: &mut Writer,
) -> Result<Json, Failed> {
    if sid.is_empty() {
        let pairs = vec![pair("Key", key), pair("Value", value)];
        return writer.send(form(path.to_owned(), pairs, Repeat::NeverBlind)).await;
    }
    writer.send(form(format!("{path}/{sid}"), vec![pair("Value", value)], Repeat::Safe)).await
}

/// Waits until a build is completed.
///
/// # Errors
/// The build failed, or is not completed after about five minutes; the run was interrupted; or a read failed.
async fn wait_until_built(
    run: &Run<'_>,
    service: &str,
    sid: &str,
    first: Option<Json>,
    reader: &Reader,
) -> Result<Json, Failed> {
    let get = wire::read_in_service(service, &format!("Builds/{sid}"));
    let mut build = match first {
        Some(build) => build,
        None => reader.fresh(&get).await?,
    };
    for look in 0..BUILD_LOOKS_MAX {
        match text(&build, "status") {
            "completed" => return Ok(build),
            "failed" => return Err(Failed::NotDone(failed_build(run, service, sid, &build))),
            state => reader.tell(Event::Polling { address: run.address.to_owned(), state: state.to_owned() }),
        }
        reader.sleep_ms(BUILD_PAUSES_MS[look.min(BUILD_PAUSES_MS.len() - 1)]).await;
        if reader.interrupted() {
            return Err(Failed::Stopped);
        }
        build = reader.fresh(&get).await?;
    }
    let state = text(&build, "status");
    Err(Failed::NotDone(format!("build {sid} is still {state:?} after several minutes; apply again later")))
}

/// The message for a failed build. Twilio gives no reason, so the message names everything that went into the build.
fn failed_build(run: &Run<'_>, service: &str, sid: &str, build: &Json) -> String {
    let packages: Vec<String> =
        wire::dependencies(build).into_iter().map(|(name, version)| format!("{name} {version}")).collect();
    let versions: Vec<&str> =
        build["function_versions"].as_array().into_iter().flatten().map(|one| text(one, "sid")).collect();
    format!(
        "Twilio could not build {} (build {sid}, versions {}, runtime {}, packages {}); Twilio gives no reason, and what \
         was deployed before still serves. Check feedback.function.dependencies and runtime; the build log is in the \
         Twilio Console, Functions and Assets, service {service}",
        run.address,
        versions.join(", "),
        text(build, "runtime"),
        packages.join(", "),
    )
}

async fn fresh_environment(step: &Running<'_>, reader: &Reader) -> Result<Json, Failed> {
    reader.fresh(&serverless::read_environment(step.id("service"), step.id("environment"))).await
}

async fn read_variable(step: &Running<'_>, key: &str, reader: &Reader) -> Result<Option<Json>, Failed> {
    let what = format!("Environments/{}/Variables", step.id("environment"));
    let list = reader.fresh(&wire::list_in_service(step.id("service"), &what)).await?;
    Ok(wire::entries_with_sids(&list, "variables")?.iter().find(|one| text(one, "key") == key).cloned())
}

/// The object; `None` if it is gone (404).
async fn none_if_missing(found: Result<Json, Failed>) -> Result<Option<Json>, Failed> {
    match found {
        Ok(reply) => Ok(Some(reply)),
        Err(failed) if failed.status() == Some(404) => Ok(None),
        Err(failed) => Err(failed),
    }
}

pub(super) async fn settle(run: Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let act: Act = run.act()?;
    let step = Running { run: &run, act: &act, own: own_state(run.seen), seen: run.seen.clone() };
    let service = step.id("service").to_owned();
    match &act {
        Act::Service { .. } => {
            let name = unique_name(run.manifest);
            match none_if_missing(reader.fresh(&wire::read_service(&name)).await).await? {
                Some(service) => step.service_made(&service).map(Some),
                None => Ok(None),
            }
        }
        Act::Settings | Act::Restore => {
            let reply = reader.fresh(&wire::read_service(&service)).await?;
            let wanted = &run.step.op.values;
            let done = settings(step, reply)?;
            let is = |field: &str, wanted: Option<&Json>| {
                wanted.is_none() || done.seen.attrs.get(field).and_then(Value::known) == wanted
            };
            let took =
                ["friendly_name", "include_credentials", "ui_editable"].iter().all(|field| match wanted {
                    Some(values) => is(field, values.get(*field)),
                    None => is(field, run.desired.get(*field).and_then(Value::known)),
                });
            Ok(took.then_some(done))
        }
        Act::Environment { .. } => {
            let list = reader.fresh(&wire::list_in_service(&service, "Environments")).await?;
            let name = environment_name(run.manifest);
            let made = wire::entries_with_sids(&list, "environments")?
                .iter()
                .find(|one| text(one, "unique_name") == name);
            made.map(|one| step.environment_made(one)).transpose()
        }
        Act::Function => {
            let list = reader.fresh(&wire::list_in_service(&service, "Functions")).await?;
            let before = &step.own.same_function;
            let fresh: Vec<&str> = wire::entries_with_sids(&list, "functions")?
                .iter()
                .filter(|one| text(one, "friendly_name") == FUNCTION_NAME)
                .map(|one| text(one, "sid"))
                .filter(|sid| !before.iter().any(|known| known == sid))
                .collect();
            match fresh.as_slice() {
                [] => Ok(None),
                [sid] => Ok(Some(step.function_made(sid))),
                several => Err(Failed::Unknown(format!(
                    "several new Functions are named {FUNCTION_NAME:?}: {}; delete all but one",
                    several.join(", ")
                ))),
            }
        }
        Act::Upload => {
            let version = observe::newest(&service, step.id("function"), run.desired, reader).await?;
            Ok(version.map(|sid| step.uploaded(sid)))
        }
        Act::Build => {
            let list = reader.fresh(&wire::list_in_service(&service, "Builds")).await?;
            let mut builds = wire::entries_with_sids(&list, "builds")?.iter();
            let made = builds
                .find(|build| wire::is_wanted(build, step.version(), &step.own.others, run.desired))
                .cloned();
            let Some(made) = made else { return Ok(None) };
            let sid = text(&made, "sid").to_owned();
            let build = wait_until_built(&run, &service, &sid, Some(made), reader).await?;
            Ok(Some(step.built(&build)))
        }
        Act::Previous | Act::Variable { .. } => {
            let Some(now) = read_variable(&step, step.key(), reader).await? else { return Ok(None) };
            let sid = text(&now, "sid").to_owned();
            let took = text(&now, "value") == exposed(&step.value()?);
            if took { step.variable_set(&sid).map(Some) } else { Ok(None) }
        }
        Act::Forget { .. } => {
            let now = read_variable(&step, step.key(), reader).await?;
            Ok(now.is_none().then(|| step.variable_gone()))
        }
        Act::Deploy => {
            let sid = step.own.ready_build.clone();
            let environment = fresh_environment(&step, reader).await?;
            if text(&environment, "build_sid") != sid {
                return Ok(None);
            }
            let build = wait_until_built(&run, &service, &sid, None, reader).await?;
            Ok(Some(step.deployed(&build)))
        }
        Act::Former { service: former } => {
            let now = none_if_missing(reader.fresh(&wire::read_service(former)).await).await?;
            Ok(now.is_none().then(|| former_gone(step)))
        }
        Act::Delete => {
            let now = none_if_missing(reader.fresh(&wire::read_service(&service)).await).await?;
            Ok(now.is_none().then(|| Done::seen(Seen::default())))
        }
    }
}
