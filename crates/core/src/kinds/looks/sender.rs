//! The read of other people's Actions that send phone messages, for a stack that has no Action on the trigger.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::kinds::remote::versions::{knows, secret_dates, verifies};
use crate::kinds::remote::{actions, bindings};
use crate::kinds::said::actions::{Company, SENDING, Spec};
use crate::kinds::{Seen, text};
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::facts::{ActionState, Binding, Fact, Facts};
use crate::port::Reader;

/// The observed state of a trigger.
#[derive(Clone, Default)]
struct Own {
    /// The state of the Actions of others, and whether one of them is bound. `None`: they were not read.
    on_trigger: Option<(ActionState, Binding)>,
    /// The deployed code of the Actions of others. `None`: none of these Actions is deployed.
    live: Option<Live>,
}

/// The deployed code of others on one trigger.
#[derive(Clone)]
struct Live {
    code: String,
    /// The dates that [`secret_dates`] returns for all deployed versions together. `None`: at least one version does
    /// not list its secrets.
    secret_dates: Option<Vec<String>>,
    /// Whether a deployed version has the SID of a Verify service, as [`verifies`] tells.
    verifies: bool,
}

/// Reads the Actions on the trigger and their code. The API never shows secrets, so a read cannot prove that the code
/// works.
pub async fn look(spec: &Spec, reader: &Reader) -> Result<Seen, Failed> {
    let list = reader.get(&actions::list_actions()).await?;
    let trigger = spec.trigger;
    let bound = match reader.get(&bindings::list_bindings(trigger.id)).await {
        Ok(reply) => bindings::parse(&reply)?,
        // A tenant that cannot list the bindings of this trigger does not accept bindings for it either.
        Err(failed) if spec.optional && matches!(failed.status(), Some(400 | 404)) => Vec::new(),
        Err(failed) => return Err(failed),
    };
    let is_bound = |action: &Json| bound.iter().any(|entry| entry.action_id == text(action, "id"));
    let all = actions::items(&list)?.iter().filter(|action| actions::has_trigger(action, trigger.id));
    // A trigger with `Company::None` has at most one Action, and Auth0 may call it even if it is not bound. On the
    // other triggers, Auth0 calls only the bound Actions.
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
        secret_dates: versions().map(secret_dates).collect::<Option<Vec<_>>>().map(|lists| lists.concat()),
        verifies: versions().any(verifies),
    });
    let mut seen = Seen::default();
    seen.keep(|own: &mut Own| *own = Own { on_trigger: Some((state, listed)), live: lives });
    Ok(seen)
}

/// The facts about the delivery path that follow from the observed state.
pub fn facts(spec: &Spec, seen: &Seen) -> Facts {
    let Some(own) = seen.own::<Own>() else { return Facts::new() };
    let Some((state, bound)) = own.on_trigger else { return Facts::new() };
    let mut facts = Facts::from([(spec.fact)(state), (spec.bound)(bound)]);
    facts.extend(spec.of_others.filter(|_| state != ActionState::Absent).map(|fact| fact(true)));
    let without = own.live.as_ref().is_some_and(|live| !live.verifies);
    facts.extend(spec.verifies.filter(|_| without).map(|fact| fact(false)));
    facts
}

/// The triggers on which Actions of others may know the Verify service `sid`, which was created at `made_at`. Each
/// trigger comes with the fact that follows from the code of its Actions. A trigger whose Actions were not read, or are
/// not deployed, is left out.
pub fn may_know<'a>(
    all: &'a BTreeMap<Address, Seen>,
    sid: &'a str,
    made_at: &'a str,
) -> impl Iterator<Item = (&'static str, Fact)> + 'a {
    SENDING.into_iter().filter_map(move |spec| {
        let own = all.get(spec.sender)?.own::<Own>()?;
        let live = own.live.as_ref()?;
        knows(live.secret_dates.as_deref(), Some(&live.code), sid, made_at)
            .then(|| (spec.trigger.id, (spec.fact_of_code)(&live.code)))
    })
}
