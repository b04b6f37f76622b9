//! Checks what a destroy reports as left because nobody can read what a version of an Action was told in its secrets.

use lockstep::twin::world::ActionVersion;

use super::manifests::{ACCOUNT, DOMAIN, FACTORS};
use super::procs::Proc;
use super::story::{STACK, Story};

/// Whether a finding of the plan about a resource contains these words.
fn says(destroy: &Proc, address: &str, words: &str) -> bool {
    let mut findings = destroy.plan.iter().flat_map(|plan| &plan.findings);
    findings.any(|finding| finding.address == address && finding.text.contains(words))
}

/// Running versions that send phone messages and were not made by this stack.
fn of_others(story: &Story) -> impl Iterator<Item = &ActionVersion> {
    let owner = format!("{DOMAIN}/{STACK}");
    let actions = story.ground.twin.world.tenants[DOMAIN].actions.iter();
    let sends = |trigger: &&str, action: &lockstep::twin::world::Action| action.supports(trigger);
    actions
        .filter(move |action| {
            ["custom-phone-provider", "send-phone-message"].iter().any(|trigger| sends(trigger, action))
                && story.ground.made.get(&action.id).is_none_or(|made| made.owner != owner)
        })
        .filter_map(|action| action.live_version())
}

/// Whether the plan said that the running code may know this Verify service, and that code has a secret that was set
/// after the service was made.
pub fn is_service_told(story: &Story, destroy: &Proc, sid: &str) -> bool {
    let Some(service) = story.ground.twin.world.accounts[ACCOUNT].verify_service(sid) else { return false };
    let made_s = i64::try_from(service.created_at_ms / 1000).unwrap_or(i64::MAX);
    let is_later = |at: &str| at.parse::<jiff::Timestamp>().is_ok_and(|at| at.as_second() >= made_s);
    let said = ["that ran before this stack may use it", "may have been given its SID"];
    said.iter().any(|words| says(destroy, "verify_service", words))
        && of_others(story).flat_map(|version| &version.secrets).any(|secret| is_later(&secret.updated_at))
}

/// Whether the plan said that a running Action, which stays, has this key or may have it, and that Action has a secret that was set after
/// the key was made: where a killed run deployed it, nobody can read whether it is this key.
pub fn is_key_told(story: &Story, destroy: &Proc, sid: &str) -> bool {
    let Some(key) = story.ground.twin.world.keys.get(sid) else { return false };
    let mut resources = destroy.plan.iter().flat_map(|plan| &plan.resources);
    let address =
        resources.find(|one| one.kind == "twilio_key" && one.ids.get("sid").is_some_and(|it| it == sid));
    let made_s = i64::try_from(key.created_at_ms / 1000).unwrap_or(i64::MAX);
    let live =
        story.ground.twin.world.tenants[DOMAIN].actions.iter().filter_map(|action| action.live_version());
    let is_later = |at: &str| at.parse::<jiff::Timestamp>().is_ok_and(|at| at.as_second() >= made_s);
    let said = ["which stays, uses it", "may have been given its SID"];
    address.is_some_and(|one| said.iter().any(|words| says(destroy, one.address.as_str(), words)))
        && live.flat_map(|version| &version.secrets).any(|secret| is_later(&secret.updated_at))
}

/// Whether the plan said that this former value is not put back, because nobody can prove that the running version
/// works, and that version is not ours.
pub fn is_value_told(story: &Story, destroy: &Proc, what: &str) -> bool {
    let address = match what.strip_prefix("factor ") {
        Some(wire) => {
            FACTORS.iter().find(|(_, name)| *name == wire).map(|(key, _)| format!("mfa_factor.{key}"))
        }
        None => (what == "policy").then(|| "mfa_policy".to_owned()),
    };
    let Some(address) = address else { return false };
    let said = says(destroy, &address, "nobody can prove") || story.left_unproven.contains(&address);
    said && of_others(story).next().is_some()
}

/// Addresses that a destroy left as they are for this reason.
pub fn left_unproven(destroy: &Proc) -> Vec<String> {
    let findings = destroy.plan.iter().flat_map(|plan| &plan.findings);
    let unproven = findings.filter(|finding| finding.text.contains("nobody can prove"));
    unproven.map(|finding| finding.address.to_string()).collect()
}
