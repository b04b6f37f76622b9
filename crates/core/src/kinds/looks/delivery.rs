//! Checks right before a step that lets users depend on the phone: everything that a phone message passes through is
//! read again.

use serde_json::{Value as Json, json};

use super::{Check, handed_on, limits, sender, unified};
use crate::kinds::remote::legacy::{HOOK, SELECTED, provider};
use crate::kinds::remote::{actions, bindings, factors, phone_provider, serverless, streams, verify_service};
use crate::kinds::said::actions::{LEGACY, PHONE, Spec};
use crate::kinds::said::{self, function, legacy, phone};
use crate::kinds::{Run, Task, text};
use crate::model::call::Failed;
use crate::model::facts::{ActionState, Binding, Fact, Facts};
use crate::model::login_path::LoginPath;
use crate::model::value::Value;
use crate::port::{Reader, join_all};

/// Checks that everything that a phone message passes through is in place, and that the tenant has not refused to bind
/// the Action. This is for steps after which users have nothing but the phone, and for the unified experience, which
/// gives up the legacy set-up for good.
pub async fn delivers(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    ensure_path_stands(run, reader).await?;
    if is_refused(run, reader).await? {
        let then = match run.step.kind == phone::UNIFIED {
            true => format!("and the legacy set-up would be left for good; {}", next(run)),
            false => format!("and the phone would be the users' only factor; {}{FACTORS}", next(run)),
        };
        return Err(Failed::NotDone(format!("{REFUSED}, {then}")));
    }
    Ok(())
}

/// The same check right before the phone factor is switched on. If the tenant has refused the binding, the step may go
/// on as long as users have another factor.
pub async fn delivers_beside(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    ensure_path_stands(run, reader).await?;
    if is_refused(run, reader).await?
        && factors::enabled_factors(reader).await?.iter().all(|name| name == "sms")
    {
        let next = next(run);
        return Err(Failed::NotDone(format!(
            "{REFUSED}, and the phone would be the only factor; {next}{FACTORS}"
        )));
    }
    Ok(())
}

/// The check right before the tenant's provider hands messages to an Action. Everything that our Action needs at Twilio
/// is in place; an Action of others is deployed and bound. If the tenant has refused the binding, our Action may never
/// be called: then a sender that works now is not replaced while the phone is the only factor.
pub async fn may_hand_over(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    handed_on::credentials_and_service_hold(run, reader).await?;
    theirs_stands(run, reader).await?;
    let is = |field: &str, value: Json| run.seen.attrs.get(field) == Some(&Value::Known(value));
    let sends = run.seen.exists && !is("disabled", json!(true)) && !is("name", json!("custom"));
    let alone = |on: &[String]| !on.is_empty() && on.iter().all(|name| name == "sms");
    if sends && is_refused(run, reader).await? && alone(&factors::enabled_factors(reader).await?) {
        return Err(Failed::NotDone(format!(
            "{REFUSED}, and the present sender would be replaced by an Action that may never be called; {}{FACTORS}",
            next(run)
        )));
    }
    Ok(())
}

/// The check right before something is removed for good because the unified way has taken its place. The unified
/// experience is on, everything that a message passes through is in place, and the deployed code is the manifest's.
pub async fn took_over(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let stays = |why: &str| format!("it is not removed, because the unified way may not deliver: {why}");
    let on: Task<'_, Result<(), Failed>> = Box::pin(async {
        match unified::is_on(reader).await? {
            true => Ok(()),
            false => Err(Failed::NotDone("the unified phone experience is off; plan again".into())),
        }
    });
    let all =
        vec![on, Box::pin(ensure_path_stands(run, reader)), Box::pin(all_stand(code_check(run), reader))];
    let looked: Result<(), Failed> = join_all(all).await.into_iter().collect();
    looked.map_err(|failed| match failed {
        Failed::NotDone(why) => Failed::NotDone(stays(&why)),
        Failed::NotReached(why) => Failed::NotReached(stays(&why)),
        Failed::Limited(why) => Failed::Limited(stays(&why)),
        failed => failed,
    })
}

const REFUSED: &str = "the tenant refuses to bind the Action, so whether codes arrive is not known";
const FACTORS: &str = ", or leave another factor on (mfa.factors)";

/// The next move where the tenant refuses to bind the Action. A manifest that has no Action any more binds none.
fn next(run: &Run<'_>) -> &'static str {
    match run.manifest.section(PHONE.section) {
        Some(_) => "every apply tries the binding again; bind it in the dashboard to see why Auth0 refuses",
        None => "bind it in the dashboard, because this manifest has no action that an apply would bind",
    }
}

/// Whether the sending is left to others: the manifest has no `phone`, or this stack does not have the Action that
/// sends.
fn is_of_others(run: &Run<'_>) -> bool {
    run.manifest.section(phone::SECTION_PATH).is_none() || known_id(run, sending(run).name, "id").is_none()
}

/// The check of other people's Actions right before messages are handed to an Action. If this stack does not have the
/// Action that sends, one of others has to be deployed and bound.
async fn theirs_stands(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let spec = sending(run);
    if known_id(run, spec.name, "id").is_some() {
        return Ok(());
    }
    let facts = sender::facts(spec, &sender::look(spec, reader).await?);
    let stands = [(spec.fact)(ActionState::Deployed), (spec.bound)(Binding::Bound)];
    match stands.iter().all(|fact| facts.has(fact)) {
        true => Ok(()),
        false => Err(Failed::NotDone(format!(
            "no Action that is deployed and bound to {} is there any more; plan again",
            spec.trigger.id
        ))),
    }
}

/// Checks that whoever sends for the tenant still sends, as far as that can be read.
async fn somebody_sends(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let is_unified = unified::is_on(reader).await?;
    let mut facts = Facts::from([Fact::Unified(Some(is_unified))]);
    let spec = if is_unified {
        let reply = reader.get(&phone_provider::list_providers()).await?;
        let provider = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
        facts.extend(phone_provider::facts(provider));
        &PHONE
    } else {
        let reply = reader.get(&SELECTED.get()).await?;
        facts.insert(Fact::Selected(Some(provider(&reply)?.into())));
        &LEGACY
    };
    // If this stack has the Action, other checks cover it and its binding.
    if known_id(run, spec.name, "id").is_none() {
        facts.extend(sender::facts(spec, &sender::look(spec, reader).await?));
    }
    let path = LoginPath::from(&facts);
    if path.delivers_any() == Some(false) || path.is_unlisted() {
        return Err(Failed::NotDone(format!("{NOBODY}; plan again")));
    }
    Ok(())
}

/// The Action that sends: the one for the delivery in `phone`, or without `phone` the one that this stack has.
fn sending(run: &Run<'_>) -> &'static Spec {
    let is_ours = |spec: &Spec| known_id(run, spec.name, "id").is_some();
    let is_legacy = match run.manifest.section(phone::SECTION_PATH) {
        Some(_) => legacy::is_legacy(run.manifest),
        None => is_ours(&LEGACY) && !is_ours(&PHONE),
    };
    if is_legacy { &LEGACY } else { &PHONE }
}

/// Whether the tenant has refused to bind the phone Action: this stack wants the Action bound, but the trigger's list
/// does not have it.
async fn is_refused(run: &Run<'_>, reader: &Reader) -> Result<bool, Failed> {
    let unbound = !legacy::is_legacy(run.manifest) && known_id(run, PHONE.binding, "action_id").is_none();
    let Some(action) = known_id(run, PHONE.name, "id").filter(|_| unbound) else {
        return Ok(false);
    };
    match reader.get(&bindings::list_bindings(PHONE.trigger.id)).await {
        Ok(reply) => Ok(bindings::parse(&reply)?.iter().all(|bound| bound.action_id != action)),
        // If the tenant does not list the bindings of this trigger, it does not take any either.
        Err(failed) if matches!(failed.status(), Some(400 | 404)) => Ok(true),
        Err(failed) => Err(failed),
    }
}

/// Checks that everything that a phone message passes through is in place. All reads are sent at the same time.
async fn ensure_path_stands(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let mut checks = action_checks(run);
    if let Some(sid) = known_id(run, "verify_service", "sid") {
        checks.push(Check {
            what: "the Verify service with custom codes",
            get: verify_service::read_service(&sid),
            expected: sid,
            holds: |reply, sid| text(reply, "sid") == sid && reply["custom_code_enabled"] != json!(false),
        });
    }
    checks.extend(limits::check(run));
    let part = |name: &str| known_id(run, function::NAME, name);
    if let (Some(service), Some(environment)) = (part("service"), part("environment"))
        && run.manifest.section(function::SECTION_PATH).is_some()
    {
        checks.push(Check {
            what: "the deployed feedback Function",
            get: serverless::read_environment(&service, &environment),
            expected: String::new(),
            holds: |reply, _| serverless::serves(reply),
        });
    }
    if let Some(id) = known_id(run, "log_stream", "id") {
        let status = run.manifest.text(said::streams::SECTION_PATH, "status").unwrap_or_default();
        checks.push(Check {
            what: "the feedback stream",
            get: streams::read_stream(&id),
            expected: format!("{id} {status}"),
            holds: |reply, expected| {
                let (id, status) = expected.split_once(' ').unwrap_or_default();
                text(reply, "id") == id && (status.is_empty() || text(reply, "status") == status)
            },
        });
    }
    // The provider comes last, because other people change it most easily. A change after this read is not seen, and
    // only one round trip remains until the write.
    checks.extend(sender_check(run));
    with_twilio(checks, run, reader).await?;
    if is_of_others(run) { somebody_sends(run, reader).await } else { Ok(()) }
}

/// The check that the tenant sends the way that `phone` says. `None`: the manifest has no `phone`.
fn sender_check(run: &Run<'_>) -> Option<Check> {
    run.manifest.section(phone::SECTION_PATH)?;
    if legacy::is_legacy(run.manifest) {
        return Some(Check {
            what: "the selected provider",
            get: SELECTED.get(),
            expected: String::new(),
            holds: |reply, _| text(reply, "provider") == HOOK,
        });
    }
    Some(Check {
        what: "the phone provider",
        get: phone_provider::list_providers(),
        expected: phone::methods(run.manifest).join(","),
        holds: |reply, methods| {
            let provider = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
            provider.is_some_and(|provider| {
                let sends = provider["configuration"]["delivery_methods"].as_array();
                let covers = |method: &str| sends.is_some_and(|sends| sends.iter().any(|one| one == method));
                text(provider, "name") == "custom"
                    && provider["disabled"] != json!(true)
                    && methods.split(',').all(covers)
            })
        },
    })
}

/// Makes these checks of the tenant, and checks what the Action needs at Twilio, at the same time.
async fn with_twilio(checks: Vec<Check>, run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let both: Vec<Task<'_, Result<(), Failed>>> = vec![
        Box::pin(all_stand(checks, reader)),
        Box::pin(handed_on::credentials_and_service_hold(run, reader)),
    ];
    join_all(both).await.into_iter().collect()
}

/// Who sends phone messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Nobody,
    /// An Action, ours or somebody else's.
    Action,
    /// A vendor's own provider, or Auth0 itself.
    Vendor,
}

/// Why a step is not taken if nobody sends phone messages.
pub const NOBODY: &str = "nothing sends phone messages any more, and codes would not arrive";

/// Who sends phone messages now: the tenant's provider, or else the selected provider of the legacy set-up.
pub async fn sender(reader: &Reader) -> Result<Sender, Failed> {
    let mut sends = by_provider(reader).await;
    // A tenant may refuse to show the set-up that it does not use.
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
    let reply = reader.get(&phone_provider::list_providers()).await?;
    let providers = reply.get("providers").and_then(Json::as_array);
    let on = providers.into_iter().flatten().find(|provider| provider["disabled"] != json!(true));
    // A custom provider may work without a binding, so only its own state can be checked.
    Ok(match on.map(|provider| text(provider, "name")) {
        None => Sender::Nobody,
        Some("custom") => Sender::Action,
        Some(_) => Sender::Vendor,
    })
}

async fn by_legacy(reader: &Reader) -> Result<Sender, Failed> {
    match provider(&*reader.get(&SELECTED.get()).await?)? {
        HOOK => {
            let list = reader.get(&bindings::list_bindings(LEGACY.trigger.id)).await?;
            Ok(if bindings::parse(&list)?.is_empty() { Sender::Nobody } else { Sender::Action })
        }
        "" => Ok(Sender::Nobody),
        _ => Ok(Sender::Vendor),
    }
}

/// The check right before a factor is switched off, if logins that are asked for a factor then have nothing but the
/// phone. If our Action sends the codes, it has to be able to. Actions of others are checked as far as that can be
/// read, and a vendor cannot be checked.
pub async fn carries_alone(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let is_ours = known_id(run, sending(run).name, "id").is_some();
    match sender(reader).await? {
        Sender::Action if is_ours && !run.step.op.restore => delivers(run, reader).await,
        // A step that puts former values back may come after the removal of parts that the Action can do without.
        Sender::Action if is_ours => handed_on::credentials_and_service_hold(run, reader).await,
        Sender::Action if !run.step.op.restore => somebody_sends(run, reader).await,
        _ => Ok(()),
    }
}

/// Checks that the Action is deployed and bound, and has what it needs at Twilio.
pub async fn action_stands(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    with_twilio(action_checks(run), run, reader).await?;
    theirs_stands(run, reader).await
}

fn known_id(run: &Run<'_>, address: &str, name: &str) -> Option<String> {
    run.ids.get(address).and_then(|ids| ids.get(name)).filter(|id| !id.is_empty()).cloned()
}

fn action_checks(run: &Run<'_>) -> Vec<Check> {
    let ours = sending(run);
    let mut checks: Vec<Check> = Vec::new();
    if let Some(id) = known_id(run, ours.name, "id") {
        let section = run.manifest.section("action").into_iter().flatten();
        let secrets: Vec<&str> = section.filter_map(|(key, _)| key.strip_prefix("secrets.")).collect();
        checks.push(Check {
            what: "the deployed Action",
            get: actions::read_action(&id),
            expected: secrets.join(","),
            holds: |reply, secrets| {
                let live = &reply["deployed_version"];
                let held = live["secrets"].as_array();
                let has =
                    |name: &str| held.is_none_or(|held| held.iter().any(|one| text(one, "name") == name));
                live.is_object() && secrets.split(',').filter(|name| !name.is_empty()).all(has)
            },
        });
    }
    if let Some(id) = known_id(run, ours.binding, "action_id") {
        checks.push(Check {
            what: "the Action's binding",
            get: bindings::list_bindings(ours.trigger.id),
            expected: id,
            holds: |reply, id| {
                bindings::parse(reply).is_ok_and(|list| list.iter().any(|bound| bound.action_id == id))
            },
        });
    }
    checks
}

/// The check that the deployed code is the manifest's.
fn code_check(run: &Run<'_>) -> Vec<Check> {
    let Some(id) = known_id(run, PHONE.name, "id") else { return Vec::new() };
    let given = run.manifest.text(PHONE.section, "code").filter(|_| (PHONE.wanted)(run.manifest));
    let code = given.and_then(|code| (PHONE.code)(run.manifest, code.to_owned()).as_str().map(str::to_owned));
    let check = |code: String| Check {
        what: "the code of the deployed Action",
        get: actions::read_action(&id),
        expected: code,
        holds: |reply, code| {
            let live = reply["deployed_version"].get("code").and_then(Json::as_str);
            live.is_none_or(|live| live.replace("\r\n", "\n") == code)
        },
    };
    code.map(check).into_iter().collect()
}

async fn all_stand(checks: Vec<Check>, reader: &Reader) -> Result<(), Failed> {
    let tasks: Vec<Task<'_, Result<bool, Failed>>> = checks
        .iter()
        .map(|Check { get, expected, holds, .. }| {
            Box::pin(async move {
                match reader.get(get).await {
                    Ok(reply) => Ok(holds(&reply, expected)),
                    Err(failed) if failed.status() == Some(404) => Ok(false),
                    Err(failed) => Err(failed),
                }
            }) as Task<'_, _>
        })
        .collect();
    for (stands, Check { what, .. }) in join_all(tasks).await.into_iter().zip(&checks) {
        if !stands? {
            let text = format!(
                "{what} is missing or has changed since the plan, and codes would not arrive; plan again"
            );
            return Err(Failed::NotDone(text));
        }
    }
    Ok(())
}
