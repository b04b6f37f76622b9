//! Versions of Actions: deploying a draft, listing, rolling back. Every deploy makes a new immutable version.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::wire::{Outcome, Reply};
use super::super::world::{Action, ActionVersion, Deployment};
use super::actions::{action_id, build_status, missing, secrets_json};
use super::body::Fields;
use super::{Call, Route, invalid_uri, is_uuid, offset_page, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        pattern: "/actions/actions/{id}/deploy",
        operation: "deploy_action",
        scopes: &["create:actions"],
        query: &[],
        run: deploy,
    },
    Route {
        method: Method::Get,
        pattern: "/actions/actions/{id}/versions",
        operation: "list_action_versions",
        scopes: &["read:actions"],
        query: &["page", "per_page"],
        run: list,
    },
    Route {
        method: Method::Get,
        pattern: "/actions/actions/{id}/versions/{version_id}",
        operation: "get_action_version",
        scopes: &["read:actions"],
        query: &[],
        run: get,
    },
    Route {
        method: Method::Post,
        pattern: "/actions/actions/{id}/versions/{version_id}/deploy",
        operation: "deploy_action_version",
        scopes: &["create:actions"],
        query: &[],
        run: roll_back,
    },
];

/// Most versions kept; beyond this number the oldest unused version is deleted (Auth0 docs, entity limit policy,
/// 2026-08).
const VERSIONS_PER_ACTION: usize = 50;

fn deploy(call: &mut Call) -> Outcome {
    let id = action_id(call)?;
    if !call.body.is_empty() {
        Fields::strict(&call.json()?, "", &[])?;
    }
    let action = call.tenant.action(&id).ok_or_else(missing)?;
    if build_status(&action.build, call.now_ms) != "built" {
        let message = "A draft must be in the 'built' state before it can be deployed.";
        return Err(refusal(400, None, message));
    }
    let draft = ActionVersion {
        id: String::new(),
        number: 0,
        code: action.code.clone(),
        dependencies: action.dependencies.clone(),
        runtime: action.runtime.clone(),
        secrets: action.secrets.clone(),
        modules: action.modules.clone(),
        supported_triggers: action.supported_triggers.clone(),
        created_at: String::new(),
        updated_at: String::new(),
        built_at: String::new(),
    };
    let version_id = add_version(call, &id, draft);
    if let Some(action) = call.tenant.action_mut(&id) {
        action.draft_version = Some(version_id.clone());
    }
    version_reply(call, &id, &version_id)
}

fn roll_back(call: &mut Call) -> Outcome {
    let (id, version_id) = ids(call)?;
    let mut update_draft = false;
    if !call.body.is_empty() {
        let body = call.json()?;
        update_draft =
            Fields::strict(&body, "", &["update_draft"])?.boolean("update_draft")?.unwrap_or(false);
    }
    let action = call.tenant.action(&id).ok_or_else(missing)?;
    let old =
        action.versions.iter().find(|version| version.id == version_id).ok_or_else(missing_version)?.clone();
    let new_id = add_version(call, &id, old.clone());
    if update_draft {
        let stamp = call.ids.stamp(call.now_ms);
        if let Some(action) = call.tenant.action_mut(&id) {
            action.code = old.code;
            action.dependencies = old.dependencies;
            action.runtime = old.runtime;
            action.secrets = old.secrets;
            action.modules = old.modules;
            action.supported_triggers = old.supported_triggers;
            action.updated_at = stamp;
            action.draft_version = Some(new_id.clone());
            // The version was built before, so its copy needs no build.
            action.build.started_at_ms = call.now_ms;
            action.build.ends_at_ms = call.now_ms;
            action.build.fails = false;
        }
    }
    version_reply(call, &id, &new_id)
}

fn list(call: &mut Call) -> Outcome {
    let id = action_id(call)?;
    let (page, per_page) = call.page(20)?;
    let action = call.tenant.action(&id).ok_or_else(missing)?;
    let items =
        action.versions.iter().rev().map(|version| version_json(action, version, call.now_ms)).collect();
    Ok(offset_page("versions", items, page, per_page))
}

fn get(call: &mut Call) -> Outcome {
    let (id, version_id) = ids(call)?;
    let action = call.tenant.action(&id).ok_or_else(missing)?;
    let version =
        action.versions.iter().find(|version| version.id == version_id).ok_or_else(missing_version)?;
    Ok(Reply::json(200, &version_json(action, version, call.now_ms)))
}

fn ids(call: &Call) -> Result<(String, String), Reply> {
    let version_id = call.param(1).to_owned();
    if is_uuid(&version_id) {
        Ok((action_id(call)?, version_id))
    } else {
        Err(invalid_uri("version-id", &version_id))
    }
}

fn missing_version() -> Reply {
    refusal(404, None, "That action version does not exist.")
}

/// Appends a copy of `version` under a new id and number, and deploys the copy. Returns the new id.
fn add_version(call: &mut Call, action_id: &str, mut version: ActionVersion) -> String {
    version.id = call.ids.uuid();
    version.created_at = call.ids.stamp(call.now_ms);
    version.updated_at.clone_from(&version.created_at);
    version.built_at = call.ids.stamp(call.now_ms);
    let new_id = version.id.clone();
    let (settle_ms, bindable_ms) = (call.options.deploy_settle_ms, call.options.bindable_after_ms);
    let now_ms = call.now_ms;
    if let Some(action) = call.tenant.action_mut(action_id) {
        version.number = action.versions.last().map_or(0, |last| last.number) + 1;
        let former_version_id = super::actions::shown_version(action, now_ms)
            .filter(|(_, deployed)| *deployed)
            .map(|(version, _)| version.id.clone());
        action.versions.push(version);
        if action.versions.len() > VERSIONS_PER_ACTION {
            let unused = action.versions.iter().position(|old| Some(&old.id) != former_version_id.as_ref());
            if let Some(at) = unused {
                action.versions.remove(at);
            }
        }
        action.deployment = Some(Deployment {
            version_id: new_id.clone(),
            former_version_id,
            visible_at_ms: now_ms.saturating_add(settle_ms),
            bindable_at_ms: now_ms.saturating_add(settle_ms.max(bindable_ms)),
        });
    }
    new_id
}

/// The answer to a deploy: the version at that moment, always with `deployed: false`, and a short form of its Action
/// with `all_changes_deployed: false` (recorded). The status is 200 as recorded; the schema says 202.
fn version_reply(call: &Call, action_id: &str, version_id: &str) -> Outcome {
    let action = call.tenant.action(action_id).ok_or_else(missing)?;
    let version =
        action.versions.iter().find(|version| version.id == version_id).ok_or_else(missing_version)?;
    let mut body = version_json(action, version, call.now_ms);
    body["deployed"] = json!(false);
    Ok(Reply::json(200, &body))
}

fn version_json(action: &Action, version: &ActionVersion, now_ms: u64) -> Value {
    let shown = super::actions::shown_version(action, now_ms);
    let deployed = shown.is_some_and(|(shown, deployed)| deployed && shown.id == version.id);
    let mut body = json!({
        "code": version.code,
        "dependencies": version.dependencies,
        "id": version.id,
        "deployed": deployed,
        "number": version.number,
        "secrets": secrets_json(&version.secrets),
        "status": "built",
        "created_at": version.created_at,
        "updated_at": version.updated_at,
        "runtime": version.runtime,
        "supported_triggers": version.supported_triggers,
        "action": {
            "id": action.id,
            "name": action.name,
            "supported_triggers": action.supported_triggers,
            "created_at": action.created_at,
            "updated_at": action.updated_at,
            "all_changes_deployed": false,
        },
    });
    show_modules(&mut body, version);
    body
}

/// `deployed_version` of an Action: the version that runs.
pub(super) fn deployed_version_json(version: &ActionVersion, deployed: bool) -> Value {
    let mut body = json!({
        "code": version.code,
        "dependencies": version.dependencies,
        "id": version.id,
        "deployed": deployed,
        "number": version.number,
        "built_at": version.built_at,
        "secrets": secrets_json(&version.secrets),
        "status": "built",
        "created_at": version.created_at,
        "updated_at": version.updated_at,
        "runtime": version.runtime,
        "supported_triggers": version.supported_triggers,
    });
    show_modules(&mut body, version);
    body
}

/// Shows the modules; the key is missing when there are none (recorded).
fn show_modules(body: &mut Value, version: &ActionVersion) {
    if !version.modules.is_empty() {
        body["modules"] = json!(version.modules);
    }
}

/// `current_version` of an Action: an old duplicate with the status in capitals (recorded).
pub(super) fn current_version_json(version: &ActionVersion) -> Value {
    json!({
        "id": version.id,
        "code": version.code,
        "runtime": version.runtime,
        "status": "BUILT",
        "number": version.number,
        "build_time": version.built_at,
        "created_at": version.created_at,
        "updated_at": version.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::json;

    use crate::bench::{Bench, decode, keys};

    #[test]
    fn deploying_answers_a_version_that_is_not_deployed_yet() {
        let mut bench = Bench::new();
        let body =
            json!({"name": "a", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": "1"});
        let id = bench.post("/actions/actions", &body).1["id"].as_str().unwrap_or_default().to_owned();
        let (path, deploy) = (format!("/actions/actions/{id}"), format!("/actions/actions/{id}/deploy"));
        let (status, early) = decode(bench.raw(Method::Post, &deploy, None));
        assert_eq!(status, 400);
        assert!(early["message"].as_str().unwrap_or_default().contains("must be in the 'built' state"));
        bench.now_ms += 400;
        let (status, version) = decode(bench.raw(Method::Post, &deploy, None));
        assert_eq!(status, 200);
        assert_eq!(
            (&version["deployed"], &version["number"], &version["status"]),
            (&json!(false), &json!(1), &json!("built"))
        );
        assert_eq!(version["action"]["all_changes_deployed"], false);
        let (_, read) = bench.get(&path);
        assert_eq!(
            (&read["deployed_version"]["deployed"], &read["all_changes_deployed"]),
            (&json!(false), &json!(false))
        );
        bench.now_ms += 200;
        let (_, read) = bench.get(&path);
        assert_eq!(read["deployed_version"]["id"], version["id"]);
        assert_eq!(read["deployed_version"]["deployed"], true);
        assert_eq!(read["current_version"]["status"], "BUILT");
        assert_eq!(read["all_changes_deployed"], true);
        let expected = [
            "code",
            "dependencies",
            "id",
            "deployed",
            "number",
            "built_at",
            "secrets",
            "status",
            "created_at",
            "updated_at",
            "runtime",
            "supported_triggers",
        ];
        assert_eq!(keys(&read["deployed_version"]), expected);
    }

    #[test]
    fn until_a_deploy_settles_the_former_version_is_shown() {
        let mut bench = Bench::new();
        let id = bench.deployed_action("a", "post-login", "v3");
        let path = format!("/actions/actions/{id}");
        bench.patch(&path, &json!({"code": "two"}));
        bench.now_ms += 1_000;
        decode(bench.raw(Method::Post, &format!("{path}/deploy"), None));
        let (_, read) = bench.get(&path);
        assert_eq!(
            (&read["deployed_version"]["number"], &read["all_changes_deployed"]),
            (&json!(1), &json!(false))
        );
        bench.now_ms += 200;
        assert_eq!(bench.get(&path).1["deployed_version"]["number"], 2);
    }

    #[test]
    fn versions_keep_their_secrets_and_can_be_brought_back() {
        let mut bench = Bench::new();
        let id = bench.deployed_action("a", "post-login", "v3");
        let path = format!("/actions/actions/{id}");
        bench.patch(&path, &json!({"secrets": [{"name": "s", "value": "two"}]}));
        bench.now_ms += 1_000;
        decode(bench.raw(Method::Post, &format!("{path}/deploy"), None));
        bench.now_ms += 1_000;
        let (_, versions) = bench.get(&format!("{path}/versions"));
        assert_eq!((&versions["total"], &versions["versions"][0]["number"]), (&json!(2), &json!(2)));
        let first = versions["versions"][1]["id"].as_str().unwrap_or_default().to_owned();
        let (status, _) = decode(bench.raw(Method::Post, &format!("{path}/versions/{first}/deploy"), None));
        assert_eq!(status, 200);
        bench.now_ms += 1_000;
        let (_, read) = bench.get(&path);
        assert_eq!(
            (&read["deployed_version"]["number"], &read["deployed_version"]["secrets"]),
            (&json!(3), &json!([]))
        );
        assert_eq!(read["all_changes_deployed"], false, "the draft still differs");
        let action = bench.twin.world.tenant_mut(crate::bench::DOMAIN).action(&id).expect("there");
        assert_eq!(action.versions[1].secret("s").map(|secret| secret.value.as_str()), Some("two"));
    }

    #[test]
    fn no_more_than_fifty_versions_are_kept() {
        let mut bench = Bench::new();
        let id = bench.deployed_action("a", "post-login", "v3");
        for _ in 0..60 {
            decode(bench.raw(Method::Post, &format!("/actions/actions/{id}/deploy"), None));
            bench.now_ms += 1_000;
        }
        let action = bench.twin.world.tenant_mut(crate::bench::DOMAIN).action(&id).expect("there");
        assert_eq!(action.versions.len(), 50);
        assert_eq!(action.live_version().map(|version| version.number), Some(61));
    }
}
