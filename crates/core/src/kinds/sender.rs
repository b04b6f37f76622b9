//! Who sends phone messages where no Action of this stack does: what others have on the trigger.

use serde_json::Value as Json;

use super::action::{self, Company, former};
use super::trigger_binding::{self, LEGACY_BINDING, PHONE_BINDING, TriggerBinding};
use super::{Seen, text};
use crate::model::call::Failed;
use crate::model::facts::{ActionState, Binding, Fact, Facts};
use crate::port::Reader;

/// What was seen of the trigger of a binding.
#[derive(Clone, Default)]
struct Own {
    /// The state of the Actions of others, and whether one of them is bound; `None` before it was read.
    on_trigger: Option<(ActionState, Binding)>,
    /// `None`: none of them is deployed.
    live: Option<Live>,
}

/// The deployed code of others on one trigger.
#[derive(Clone)]
struct Live {
    code: String,
    /// The dates at which the code was told its secrets; `None`: not readable.
    told: Option<Vec<String>>,
    /// Whether its secrets name a Verify service; `true` where they are not readable.
    verifies: bool,
}

/// The bindings of Actions that send.
pub const ALL: [&TriggerBinding; 2] = [&PHONE_BINDING, &LEGACY_BINDING];

/// Reads what is on the trigger. Whether the code works nobody can read, because its secrets are never shown.
pub async fn look(binding: &TriggerBinding, reader: &Reader) -> Result<Seen, Failed> {
    let list = reader.get(&action::list()).await?;
    let trigger = binding.action.trigger;
    let bound = match reader.get(&binding.list()).await {
        Ok(reply) => trigger_binding::parse(&reply)?,
        // What cannot be listed cannot be bound either.
        Err(failed) if binding.optional && matches!(failed.status(), Some(400 | 404)) => Vec::new(),
        Err(failed) => return Err(failed),
    };
    let is_bound = |action: &Json| bound.iter().any(|entry| entry.action_id == text(action, "id"));
    let all = action::items(&list)?.iter().filter(|action| action::has_trigger(action, trigger.id));
    // Of those that may be beside each other only the bound ones are called.
    let called: Vec<&Json> =
        all.filter(|action| trigger.company == Company::None || is_bound(action)).collect();
    let live: Vec<&&Json> = called.iter().filter(|action| action["deployed_version"].is_object()).collect();
    let state = match (called.is_empty(), live.is_empty()) {
        (true, _) => ActionState::Absent,
        (_, true) => ActionState::Draft,
        _ => ActionState::Deployed,
    };
    let listed = match state {
        ActionState::Absent => Binding::Unbound,
        _ if live.len() > 1 => Binding::Several,
        _ if called.iter().any(|action| is_bound(action)) => Binding::Bound,
        _ => Binding::Unlisted,
    };
    let versions = || live.iter().map(|action| &action["deployed_version"]);
    let lives = (!live.is_empty()).then(|| Live {
        code: versions().map(|version| text(version, "code")).collect::<Vec<_>>().join("\n"),
        told: versions().map(former::told_at).collect::<Option<Vec<_>>>().map(|lists| lists.concat()),
        verifies: versions().any(action::verifies),
    });
    let mut seen = Seen::default();
    seen.keep(|own: &mut Own| *own = Own { on_trigger: Some((state, listed)), live: lives });
    Ok(seen)
}

/// What that says of the login's path.
pub fn facts(binding: &TriggerBinding, seen: &Seen) -> Facts {
    let Some(own) = seen.own::<Own>() else { return Facts::new() };
    let Some((state, bound)) = own.on_trigger else { return Facts::new() };
    let action = binding.action;
    let mut facts = Facts::from([(action.fact)(state), (binding.fact)(bound)]);
    facts.extend(action.of_others.filter(|_| state != ActionState::Absent).map(|fact| fact(true)));
    let without = own.live.as_ref().is_some_and(|live| !live.verifies);
    facts.extend(action.verifies.filter(|_| without).map(|fact| fact(false)));
    facts
}

/// Whether an Action of others may have been told of the Verify service with that SID, which was made at that time. Holds its
/// trigger and the rate limits that its code passes.
pub fn may_know<'a>(
    binding: &'a TriggerBinding,
    seen: &Seen,
    sid: &str,
    made_at: &str,
) -> Option<(&'a str, Fact)> {
    let own = seen.own::<Own>()?;
    let live = own.live.as_ref()?;
    let told = (binding.action.trigger.id, (binding.action.told)(&live.code));
    former::knows(live.told.as_deref(), Some(&live.code), sid, made_at).then_some(told)
}
