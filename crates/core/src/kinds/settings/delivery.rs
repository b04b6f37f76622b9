//! What an exposing step re-reads right before it writes: everything that a phone message passes through.

use serde_json::{Value as Json, json};

use super::legacy::HOOK;
use super::{SELECTED_PROVIDER, UNIFIED_PHONE, factors, unified};
use crate::kinds::phone_provider::PhoneProvider;
use crate::kinds::trigger_binding::{LEGACY_BINDING, PHONE_BINDING, TriggerBinding};
use crate::kinds::{
    Kind as _, Run, Task, action, code_limits, feedback_function, handed_on, legacy, log_stream,
    phone_provider, sender, text, trigger_binding,
};
use crate::model::call::{Api, Failed, Get};
use crate::model::facts::{ActionState, Binding, Fact, Facts};
use crate::model::login_path::LoginPath;
use crate::model::value::Value;
use crate::port::{Reader, join_all};

type Stands = fn(&Json, &str) -> bool;
/// What is looked at, how, its id, and what has to be seen.
type Look = (&'static str, Get, String, Stands);

/// Everything that a phone message passes through still stands, and the Action is known to be bound: for what leaves
/// users with the phone alone.
pub(in crate::kinds) async fn delivers(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    stands(run, reader).await?;
    if is_refused(run, reader).await? {
        let then = match run.step.kind == UNIFIED_PHONE.name {
            true => format!("and the legacy set-up would be left for good; {AGAIN}"),
            false => format!("and users would have the phone alone; {NEXT}"),
        };
        return Err(Failed::NotDone(format!("{REFUSED}, {then}")));
    }
    Ok(())
}

/// The same for the phone factor itself, which may go on while the binding is refused if users have another factor.
pub(super) async fn delivers_beside(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    stands(run, reader).await?;
    if is_refused(run, reader).await? && factors::on(reader).await?.iter().all(|name| name == "sms") {
        return Err(Failed::NotDone(format!("{REFUSED}, and the phone would be the only factor; {NEXT}")));
    }
    Ok(())
}

/// Right before the tenant's provider hands messages to our Action: what the Action needs at Twilio is there, and
/// nobody who sends now is switched off for an Action that may never be called.
pub(in crate::kinds) async fn may_hand_over(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    handed_on::live(run, reader).await?;
    theirs_stands(run, reader).await?;
    let is = |field: &str, value: Json| run.seen.attrs.get(field) == Some(&Value::Known(value));
    let sends = run.seen.exists && !is("disabled", json!(true)) && !is("name", json!("custom"));
    let alone = |on: &[String]| !on.is_empty() && on.iter().all(|name| name == "sms");
    if sends && is_refused(run, reader).await? && alone(&factors::on(reader).await?) {
        return Err(Failed::NotDone(format!("{REFUSED}, and who sends now would be switched off; {NEXT}")));
    }
    Ok(())
}

/// Right before what another way has taken the place of goes for good: the unified experience is on still, and everything that
/// a message passes through stands, with our code in it.
pub(in crate::kinds) async fn took_over(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let stays = |why: &str| format!("it stays, because the new way may not deliver any more: {why}");
    let on: Task<'_, Result<(), Failed>> = Box::pin(async {
        match unified::is_on(reader).await? {
            true => Ok(()),
            false => Err(Failed::NotDone("the unified phone experience is off; plan again".into())),
        }
    });
    let all = vec![on, Box::pin(stands(run, reader)), Box::pin(all_stand(code(run), reader))];
    let looked: Result<(), Failed> = join_all(all).await.into_iter().collect();
    looked.map_err(|failed| match failed {
        Failed::NotDone(why) => Failed::NotDone(stays(&why)),
        failed => failed,
    })
}

const REFUSED: &str = "the tenant refuses to bind the Action, so whether codes arrive is not known";
const AGAIN: &str = "every apply tries the binding again; bind it in the dashboard to see why Auth0 refuses";
const NEXT: &str = "every apply tries the binding again; bind it in the dashboard to see why Auth0 refuses, or leave another factor on \
     (mfa.factors)";

/// Whether the manifest leaves to others who sends, or the Action that does.
fn is_of_others(run: &Run<'_>) -> bool {
    run.manifest.section("phone").is_none() || id(run, binding(run).action.name, "id").is_none()
}

/// Right before messages are handed to an Action: where it is not of this stack, it is deployed and bound.
async fn theirs_stands(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let binding = binding(run);
    if id(run, binding.action.name, "id").is_some() {
        return Ok(());
    }
    let facts = sender::facts(binding, &sender::look(binding, reader).await?);
    let stands = [(binding.action.fact)(ActionState::Deployed), (binding.fact)(Binding::Bound)];
    match stands.iter().all(|fact| facts.has(fact)) {
        true => Ok(()),
        false => Err(Failed::NotDone(format!(
            "no Action that is deployed and bound to {} is there any more; plan again",
            binding.action.trigger.id
        ))),
    }
}

/// Whoever sends for the tenant sends still, as far as that can be read.
async fn somebody_sends(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let is_unified = unified::is_on(reader).await?;
    let mut facts = Facts::from([Fact::Unified(Some(is_unified))]);
    let binding = if is_unified {
        let reply = reader.get(&phone_provider::list()).await?;
        let provider = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
        let seen = provider.map(phone_provider::parse).unwrap_or_default();
        facts.extend(PhoneProvider.facts("", &seen));
        &PHONE_BINDING
    } else {
        let reply = reader.get(&SELECTED_PROVIDER.get()).await?;
        let selected = SELECTED_PROVIDER.values(SELECTED_PROVIDER.name, &reply)?;
        let word = selected.get("provider").and_then(Value::as_str);
        facts.insert(Fact::Selected(word.map(Into::into)));
        &LEGACY_BINDING
    };
    // An Action of ours and its place are asked for by themselves.
    if id(run, binding.action.name, "id").is_none() {
        facts.extend(sender::facts(binding, &sender::look(binding, reader).await?));
    }
    let path = LoginPath::from(&facts);
    if path.delivers_any() == Some(false) || path.is_unlisted() {
        return Err(Failed::NotDone(format!("{NOBODY}; plan again")));
    }
    Ok(())
}

/// The binding of the Action that sends: as the manifest has it, else as there is one of ours.
fn binding(run: &Run<'_>) -> &'static TriggerBinding {
    let is_ours = |binding: &TriggerBinding| id(run, binding.action.name, "id").is_some();
    let is_legacy = match run.manifest.section("phone") {
        Some(_) => legacy::is_legacy(run.manifest),
        None => is_ours(&LEGACY_BINDING) && !is_ours(&PHONE_BINDING),
    };
    if is_legacy { &LEGACY_BINDING } else { &PHONE_BINDING }
}

/// Whether the phone Action is in none of its trigger's places although this stack wants it there: the tenant refused.
async fn is_refused(run: &Run<'_>, reader: &Reader) -> Result<bool, Failed> {
    let unbound = !legacy::is_legacy(run.manifest) && id(run, PHONE_BINDING.name, "action_id").is_none();
    let Some(action) = id(run, PHONE_BINDING.action.name, "id").filter(|_| unbound) else {
        return Ok(false);
    };
    match reader.get(&PHONE_BINDING.list()).await {
        Ok(reply) => Ok(trigger_binding::parse(&reply)?.iter().all(|bound| bound.action_id != action)),
        // What cannot be listed cannot be bound either.
        Err(failed) if matches!(failed.status(), Some(400 | 404)) => Ok(true),
        Err(failed) => Err(failed),
    }
}

/// Everything that a phone message passes through still stands. Read side by side, right before what exposes it.
async fn stands(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let mut looks = action(run);
    if let Some(sid) = id(run, "verify_service", "sid") {
        let get = Get::whole(Api::Verify, format!("/v2/Services/{sid}"));
        looks.push(("the Verify service with custom codes", get, sid, |reply, sid| {
            text(reply, "sid") == sid && reply["custom_code_enabled"] != json!(false)
        }));
    }
    looks.extend(code_limits::read(run));
    let part = |name: &str| id(run, feedback_function::NAME, name);
    if let (Some(service), Some(environment)) = (part("service"), part("environment"))
        && run.manifest.section(feedback_function::SECTION_PATH).is_some()
    {
        let get = feedback_function::serving(&service, &environment);
        looks.push(("the deployed feedback Function", get, String::new(), |reply, _| {
            feedback_function::serves(reply)
        }));
    }
    if let Some(id) = id(run, "log_stream", "id") {
        let get = Get::whole(Api::Auth0, format!("/api/v2/log-streams/{id}"));
        let status = run.manifest.text(log_stream::SECTION_PATH, "status").unwrap_or_default();
        let wanted = format!("{id} {status}");
        looks.push(("the feedback stream", get, wanted, |reply, wanted| {
            let (id, status) = wanted.split_once(' ').unwrap_or_default();
            text(reply, "id") == id && (status.is_empty() || text(reply, "status") == status)
        }));
    }
    // Last, because it is what others change most easily, and one trip is the window that remains.
    looks.extend(selected(run));
    with_twilio(looks, run, reader).await?;
    if is_of_others(run) { somebody_sends(run, reader).await } else { Ok(()) }
}

/// Who is to send, where the manifest says it.
fn selected(run: &Run<'_>) -> Option<Look> {
    run.manifest.section("phone")?;
    if legacy::is_legacy(run.manifest) {
        let get = SELECTED_PROVIDER.get();
        return Some(("the selected provider", get, String::new(), |reply, _| {
            text(reply, "provider") == HOOK
        }));
    }
    let methods = phone_provider::methods(run.manifest).join(",");
    Some(("the phone provider", phone_provider::list(), methods, |reply, methods| {
        let provider = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
        provider.is_some_and(|provider| {
            let sends = provider["configuration"]["delivery_methods"].as_array();
            let covers = |method: &str| sends.is_some_and(|sends| sends.iter().any(|one| one == method));
            text(provider, "name") == "custom"
                && provider["disabled"] != json!(true)
                && methods.split(',').all(covers)
        })
    }))
}

/// Looks at parts of the tenant and at what the Action needs at Twilio, side by side.
async fn with_twilio(looks: Vec<Look>, run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let both: Vec<Task<'_, Result<(), Failed>>> =
        vec![Box::pin(all_stand(looks, reader)), Box::pin(handed_on::live(run, reader))];
    join_all(both).await.into_iter().collect()
}

/// Who sends phone messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Nobody,
    /// An Action, whoever's it is.
    Action,
    /// A vendor's own provider, or Auth0 itself.
    Vendor,
}

/// Why a step is not taken where nobody sends.
pub(super) const NOBODY: &str = "nothing sends phone messages any more, and codes would not arrive";

/// Who sends phone messages now: the tenant's provider, or the one of the legacy set-up.
pub(super) async fn sender(reader: &Reader) -> Result<Sender, Failed> {
    let mut sends = by_provider(reader).await;
    // The way that a tenant does not use may be out of reach.
    let next = match &sends {
        Ok(sends) => *sends == Sender::Nobody,
        Err(failed) => matches!(failed.status(), Some(403 | 404)),
    };
    if next {
        sends = by_legacy(reader).await;
    }
    match sends {
        Err(failed) if matches!(failed.status(), Some(403 | 404)) => Ok(Sender::Nobody),
        sends => sends,
    }
}

async fn by_provider(reader: &Reader) -> Result<Sender, Failed> {
    let reply = reader.get(&phone_provider::list()).await?;
    let providers = reply.get("providers").and_then(Json::as_array);
    let on = providers.into_iter().flatten().find(|provider| provider["disabled"] != json!(true));
    // A custom one may do without a binding, so its own state is all that can be asked for.
    Ok(match on.map(|provider| text(provider, "name")) {
        None => Sender::Nobody,
        Some("custom") => Sender::Action,
        Some(_) => Sender::Vendor,
    })
}

async fn by_legacy(reader: &Reader) -> Result<Sender, Failed> {
    let reply = reader.get(&SELECTED_PROVIDER.get()).await?;
    let selected = SELECTED_PROVIDER.values(SELECTED_PROVIDER.name, &reply)?;
    match selected.get("provider").and_then(Value::as_str) {
        Some(HOOK) => {
            let list = reader.get(&LEGACY_BINDING.list()).await?;
            Ok(if trigger_binding::parse(&list)?.is_empty() { Sender::Nobody } else { Sender::Action })
        }
        None | Some("") => Ok(Sender::Nobody),
        Some(_) => Ok(Sender::Vendor),
    }
}

/// Right before a factor goes that leaves the phone alone to logins that are asked: whoever sends its codes still can, as far
/// as that is ours to know.
pub(super) async fn carries_alone(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let binding = binding(run);
    let is_ours = id(run, binding.action.name, "id").is_some();
    match sender(reader).await? {
        Sender::Action if is_ours && !run.step.op.restore => delivers(run, reader).await,
        // On the way down parts of it may be gone that it does without.
        Sender::Action if is_ours => handed_on::live(run, reader).await,
        Sender::Action if !run.step.op.restore => somebody_sends(run, reader).await,
        _ => Ok(()),
    }
}

/// The Action is deployed and bound, and has what it needs at Twilio.
pub(super) async fn action_stands(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    with_twilio(action(run), run, reader).await?;
    theirs_stands(run, reader).await
}

fn id(run: &Run<'_>, address: &str, name: &str) -> Option<String> {
    run.ids.get(address).and_then(|ids| ids.get(name)).filter(|id| !id.is_empty()).cloned()
}

fn action(run: &Run<'_>) -> Vec<Look> {
    let binding = binding(run);
    let mut looks: Vec<Look> = Vec::new();
    if let Some(id) = id(run, binding.action.name, "id") {
        let get = Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"));
        let section = run.manifest.section("action").into_iter().flatten();
        let secrets: Vec<&str> = section.filter_map(|(key, _)| key.strip_prefix("secrets.")).collect();
        looks.push(("the deployed Action", get, secrets.join(","), |reply, secrets| {
            let live = &reply["deployed_version"];
            let held = live["secrets"].as_array();
            let holds = |name: &str| held.is_none_or(|held| held.iter().any(|one| text(one, "name") == name));
            live.is_object() && secrets.split(',').filter(|name| !name.is_empty()).all(holds)
        }));
    }
    if let Some(id) = id(run, binding.name, "action_id") {
        looks.push(("the Action's binding", binding.list(), id, |reply, id| {
            trigger_binding::parse(reply).is_ok_and(|list| list.iter().any(|bound| bound.action_id == id))
        }));
    }
    looks
}

/// The code that runs is the manifest's.
fn code(run: &Run<'_>) -> Vec<Look> {
    let Some(id) = id(run, PHONE_BINDING.action.name, "id") else { return Vec::new() };
    let declared = PHONE_BINDING.action.declare(run.manifest).into_iter().next();
    let code = declared.and_then(|action| action.desired.get("code")?.as_str().map(str::to_owned));
    let look = |code: String| -> Look {
        ("the code of the deployed Action", action::one(&id), code, |reply, code| {
            let live = reply["deployed_version"].get("code").and_then(Json::as_str);
            live.is_none_or(|live| live.replace("\r\n", "\n") == code)
        })
    };
    code.map(look).into_iter().collect()
}

async fn all_stand(looks: Vec<Look>, reader: &Reader) -> Result<(), Failed> {
    let tasks: Vec<Task<'_, Result<bool, Failed>>> = looks
        .iter()
        .map(|(_, get, id, stands)| {
            Box::pin(async move {
                match reader.get(get).await {
                    Ok(reply) => Ok(stands(&reply, id)),
                    Err(failed) if failed.status() == Some(404) => Ok(false),
                    Err(failed) => Err(failed),
                }
            }) as Task<'_, _>
        })
        .collect();
    for (stands, (what, ..)) in join_all(tasks).await.into_iter().zip(&looks) {
        if !stands? {
            let text =
                format!("{what} does not stand as the plan has it, and codes would not arrive; plan again");
            return Err(Failed::NotDone(text));
        }
    }
    Ok(())
}
