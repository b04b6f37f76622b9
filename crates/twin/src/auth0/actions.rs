//! Actions: the draft and its asynchronous build. Deploying is in `versions`, binding in `bindings`.
//!
//! The surprises of the API are simulated as recorded: every PATCH restarts the build; secrets and dependencies are
//! replaced as a whole and come back in another order; values of secrets never come back; lists omit zero values.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::options::{Options, WithoutAction};
use super::super::wire::{Outcome, Reply};
use super::super::world::{Action, ActionVersion, Build, Dependency, Secret, Tenant, TriggerRef};
use super::action_body::{
    read_code, read_dependencies, read_modules, read_runtime, read_secrets, read_triggers,
};
use super::body::{Fields, invalid};
use super::versions::{current_version_json, deployed_version_json};
use super::{Call, Route, invalid_query, invalid_uri, is_uuid, offset_page, refusal, triggers};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/actions/actions",
        operation: "list_actions",
        scopes: &["read:actions"],
        query: &["triggerId", "actionName", "deployed", "installed", "page", "per_page"],
        run: list,
    },
    Route {
        method: Method::Post,
        pattern: "/actions/actions",
        operation: "create_action",
        scopes: &["create:actions"],
        query: &[],
        run: create,
    },
    Route {
        method: Method::Get,
        pattern: "/actions/actions/{id}",
        operation: "get_action",
        scopes: &["read:actions"],
        query: &[],
        run: get,
    },
    Route {
        method: Method::Patch,
        pattern: "/actions/actions/{id}",
        operation: "update_action",
        scopes: &["update:actions"],
        query: &[],
        run: update,
    },
    Route {
        method: Method::Delete,
        pattern: "/actions/actions/{id}",
        operation: "delete_action",
        scopes: &["delete:actions"],
        query: &["force"],
        run: delete,
    },
    Route {
        method: Method::Get,
        pattern: "/actions/triggers",
        operation: "list_triggers",
        scopes: &["read:actions"],
        query: &[],
        run: |_| Ok(Reply::json(200, &triggers::list())),
    },
];

/// Limit of every plan (Auth0 docs, entity limit policy, 2026-08).
const ACTIONS_PER_TENANT: usize = 100;
/// Triggers for which a tenant may have only one Action (Auth0 docs, deprecations, in force since 2025-12-16).
const SINGLE_TRIGGERS: [&str; 2] = ["custom-phone-provider", "custom-email-provider"];
/// A version that no registry has. The build of an Action that depends on it fails.
const IMPOSSIBLE_VERSION: &str = "0.0.0-fail";

/// The path parameter `{id}`; one that is not a UUID is refused.
pub(super) fn action_id(call: &Call) -> Result<String, Reply> {
    let id = call.param(0);
    if is_uuid(id) { Ok(id.to_owned()) } else { Err(invalid_uri("action-id", id)) }
}

/// 404 without an `errorCode` (recorded).
pub(super) fn missing() -> Reply {
    refusal(404, None, "That action does not exist.")
}

fn list(call: &mut Call) -> Outcome {
    let (page, per_page) = call.page(20)?;
    let (deployed, installed) = (call.flag("deployed")?, call.flag("installed")?);
    let trigger = call.target.query("triggerId");
    if trigger.is_some_and(|id| triggers::by_id(id).is_none()) {
        return Err(invalid_query("triggerId", "is not a trigger"));
    }
    let name = call.target.query("actionName");
    let items = call
        .tenant
        .actions
        .iter()
        .filter(|action| trigger.is_none_or(|id| action.supports(id)))
        .filter(|action| name.is_none_or(|name| action.name == name))
        .filter(|action| deployed.is_none_or(|wanted| action.deployment.is_some() == wanted))
        // Nothing in a twin comes from the marketplace.
        .filter(|_| installed != Some(true))
        .map(|action| action_json(action, call.now_ms))
        .collect();
    Ok(offset_page("actions", items, page, per_page))
}

fn get(call: &mut Call) -> Outcome {
    let id = action_id(call)?;
    let action = call.tenant.action(&id).ok_or_else(missing)?;
    Ok(Reply::json(200, &action_json(action, call.now_ms)))
}

fn create(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let allowed =
        ["name", "supported_triggers", "code", "dependencies", "runtime", "secrets", "modules", "deploy"];
    let fields = Fields::strict(&body, "", &allowed)?;
    let name = fields.need_string("name", 1, call.options.action_name_limit)?.to_owned();
    let wanted = read_triggers(&fields)?;
    let wanted = fields.need("supported_triggers", wanted)?;
    let trigger =
        triggers::find(&wanted).ok_or_else(|| invalid("No such trigger' on property 'supported_triggers"))?;
    let runtime = read_runtime(&fields, trigger)?.unwrap_or_else(|| "node22".into());
    let code = read_code(&fields)?.unwrap_or_default();
    let dependencies =
        read_dependencies(&fields, call.options.latest_reads_back_resolved)?.unwrap_or_default();
    let stamp = call.ids.stamp(call.now_ms);
    let secrets = read_secrets(&fields, &[], call, &stamp)?.unwrap_or_default();
    let modules = read_modules(&fields, &call.tenant.action_modules)?.unwrap_or_default();
    if fields.boolean("deploy")? == Some(true) {
        // The schema has this field but does not say what it does while the build runs. The twin refuses it rather than
        // guess.
        return Err(invalid("deploy is not available in the twin"));
    }
    if call.options.action_names_unique && call.tenant.actions.iter().any(|action| action.name == name) {
        return Err(refusal(409, None, "An action with that name already exists."));
    }
    if call.tenant.actions.len() >= ACTIONS_PER_TENANT {
        return Err(refusal(403, None, "You have reached the maximum number of actions for this tenant."));
    }
    check_single(call, &wanted.id, None)?;
    let build = start_build(call.tenant, &dependencies, call.options, call.now_ms);
    let action = Action {
        id: call.ids.uuid(),
        name,
        supported_triggers: vec![wanted],
        code,
        dependencies,
        runtime,
        secrets,
        modules,
        created_at: stamp.clone(),
        updated_at: stamp,
        build,
        draft_version: None,
        versions: Vec::new(),
        deployment: None,
    };
    let reply = Reply::json(201, &action_json(&action, call.now_ms));
    call.tenant.actions.push(action);
    Ok(reply)
}

fn update(call: &mut Call) -> Outcome {
    let id = action_id(call)?;
    let body = call.json()?;
    let allowed = ["name", "supported_triggers", "code", "dependencies", "runtime", "secrets", "modules"];
    let fields = Fields::strict(&body, "", &allowed)?;
    let old = call.tenant.action(&id).ok_or_else(missing)?.clone();
    let mut new = old.clone();
    if let Some(name) = fields.string("name", 1, call.options.action_name_limit)? {
        let taken = call.tenant.actions.iter().any(|action| action.id != id && action.name == name);
        if call.options.action_names_unique && taken {
            return Err(refusal(409, None, "An action with that name already exists."));
        }
        name.clone_into(&mut new.name);
    }
    if let Some(wanted) = read_triggers(&fields)? {
        check_upgrade(call.tenant, &old, &wanted)?;
        check_single(call, &wanted.id, Some(&id))?;
        new.supported_triggers = vec![wanted];
    }
    let trigger = new.supported_triggers.first().and_then(triggers::find);
    let trigger = trigger.ok_or_else(|| invalid("No such trigger' on property 'supported_triggers"))?;
    if let Some(runtime) = read_runtime(&fields, trigger)? {
        new.runtime = runtime;
    }
    if let Some(code) = read_code(&fields)? {
        new.code = code;
    }
    if let Some(list) = read_dependencies(&fields, call.options.latest_reads_back_resolved)? {
        new.dependencies = list;
    }
    if let Some(list) = read_modules(&fields, &call.tenant.action_modules)? {
        new.modules = list;
    }
    let stamp = call.ids.stamp(call.now_ms);
    if let Some(list) = read_secrets(&fields, &old.secrets, call, &stamp)? {
        new.secrets = list;
    }
    new.updated_at = stamp;
    // An unchanged draft is built again, and still counts as deployed if it was (recorded).
    let same = |one: &Action, two: &Action| {
        (&one.code, &one.dependencies, &one.runtime) == (&two.code, &two.dependencies, &two.runtime)
            && (&one.secrets, &one.supported_triggers, &one.modules)
                == (&two.secrets, &two.supported_triggers, &two.modules)
    };
    new.build = start_build(call.tenant, &new.dependencies, call.options, call.now_ms);
    if !same(&old, &new) {
        new.draft_version = None;
    }
    let reply = Reply::json(200, &action_json(&new, call.now_ms));
    if let Some(action) = call.tenant.action_mut(&id) {
        *action = new;
    }
    Ok(reply)
}

fn delete(call: &mut Call) -> Outcome {
    let id = action_id(call)?;
    let force = call.flag("force")?.unwrap_or(false);
    call.tenant.action(&id).ok_or_else(missing)?;
    let bound = call.tenant.bindings.values().flatten().any(|binding| binding.action_id == id);
    if bound && !force {
        return Err(refusal(409, None, "Unable to delete an action bound to a trigger."));
    }
    let left =
        call.tenant.actions.iter().any(|action| action.id != id && action.supports("custom-phone-provider"));
    let custom = call.tenant.phone_providers.iter().any(|provider| provider.name == "custom");
    let orphans =
        custom && !left && call.tenant.action(&id).is_some_and(|a| a.supports("custom-phone-provider"));
    if orphans && call.options.provider_without_action == WithoutAction::Refuses {
        return Err(refusal(409, None, "The action is in use by the phone provider."));
    }
    for list in call.tenant.bindings.values_mut() {
        list.retain(|binding| binding.action_id != id);
    }
    call.tenant.actions.retain(|action| action.id != id);
    if orphans {
        let providers = &mut call.tenant.phone_providers;
        match call.options.provider_without_action {
            WithoutAction::Disabled => providers.iter_mut().for_each(|provider| provider.disabled = true),
            WithoutAction::Removed => providers.clear(),
            WithoutAction::Stays | WithoutAction::Refuses => {}
        }
    }
    Ok(Reply::empty())
}

/// Starts the build of a draft. The options hold the recorded durations.
fn start_build(tenant: &mut Tenant, dependencies: &[Dependency], options: &Options, now_ms: u64) -> Build {
    let ordered = options.every_build_fails || tenant.failing_builds > 0;
    tenant.failing_builds = tenant.failing_builds.saturating_sub(1);
    let fails = ordered || dependencies.iter().any(|dependency| dependency.version == IMPOSSIBLE_VERSION);
    let with_dependencies = !dependencies.is_empty();
    let takes_ms = match (fails, with_dependencies) {
        (true, _) => options.build_failing_ms,
        (false, true) => options.build_with_dependencies_ms,
        (false, false) => options.build_ms,
    };
    Build { started_at_ms: now_ms, ends_at_ms: now_ms.saturating_add(takes_ms), fails, with_dependencies }
}

/// State of a build at a time. Recorded sequences: without dependencies `pending` → `built`; with dependencies
/// `pending` → `building` → `built`; a failing build `pending` → `building` → `retrying` → `building` → `retrying` →
/// `building` → `failed`.
pub(in super::super) fn build_status(build: &Build, now_ms: u64) -> &'static str {
    if now_ms >= build.ends_at_ms {
        return if build.fails { "failed" } else { "built" };
    }
    let takes_ms = build.ends_at_ms.saturating_sub(build.started_at_ms);
    let tenth = now_ms.saturating_sub(build.started_at_ms) * 10 / takes_ms.max(1);
    match (build.fails, tenth) {
        (_, 0) => "pending",
        (false, _) => {
            if build.with_dependencies {
                "building"
            } else {
                "pending"
            }
        }
        (true, 3 | 6) => "retrying",
        (true, _) => "building",
    }
}

/// Refuses a change of trigger that a bound Action may not make.
fn check_upgrade(tenant: &Tenant, action: &Action, wanted: &TriggerRef) -> Result<(), Reply> {
    let trigger =
        triggers::find(wanted).ok_or_else(|| invalid("No such trigger' on property 'supported_triggers"))?;
    let bound = tenant.bindings.values().flatten().any(|binding| binding.action_id == action.id);
    let same = action.supported_triggers.contains(wanted);
    let compatible = action
        .supported_triggers
        .iter()
        .any(|old| old.id == wanted.id && trigger.compatible == Some(old.version.as_str()));
    if bound && !same && !compatible {
        return Err(refusal(400, None, "can't upgrade to this trigger."));
    }
    Ok(())
}

/// Refuses a second Action for a trigger that allows one. The status is not recorded; 400 is what the documents of the
/// create call name for bad requests.
fn check_single(call: &Call, trigger_id: &str, except: Option<&str>) -> Result<(), Reply> {
    let taken = call
        .tenant
        .actions
        .iter()
        .any(|action| action.supports(trigger_id) && Some(action.id.as_str()) != except);
    if SINGLE_TRIGGERS.contains(&trigger_id) && taken {
        let message = format!("Only one action is allowed for the trigger {trigger_id}.");
        return Err(refusal(400, call.options.conflict_error_code.as_deref(), &message));
    }
    Ok(())
}

pub(super) fn secrets_json(secrets: &[Secret]) -> Value {
    secrets.iter().map(|secret| json!({"name": secret.name, "updated_at": secret.updated_at})).collect()
}

/// An Action as reads show it. The keys of versions are missing until the first deploy (recorded).
pub(super) fn action_json(action: &Action, now_ms: u64) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), json!(action.id));
    body.insert("name".into(), json!(action.name));
    body.insert("supported_triggers".into(), json!(action.supported_triggers));
    body.insert("created_at".into(), json!(action.created_at));
    body.insert("updated_at".into(), json!(action.updated_at));
    body.insert("code".into(), json!(action.code));
    body.insert("dependencies".into(), json!(action.dependencies));
    body.insert("runtime".into(), json!(action.runtime));
    body.insert("status".into(), json!(build_status(&action.build, now_ms)));
    body.insert("secrets".into(), secrets_json(&action.secrets));
    if !action.modules.is_empty() {
        body.insert("modules".into(), json!(action.modules));
    }
    if let Some((version, deployed)) = shown_version(action, now_ms) {
        body.insert("current_version".into(), current_version_json(version));
        body.insert("deployed_version".into(), deployed_version_json(version, deployed));
    }
    body.insert("all_changes_deployed".into(), json!(all_changes_deployed(action, now_ms)));
    Value::Object(body)
}

/// The version that reads show, and whether they call it deployed. Until a deploy settles, reads show the previous
/// version; until the first deploy settles, they show the new one with `deployed: false`.
pub(super) fn shown_version(action: &Action, now_ms: u64) -> Option<(&ActionVersion, bool)> {
    let deployment = action.deployment.as_ref()?;
    let find = |id: &str| action.versions.iter().find(|version| version.id == id);
    let settled = now_ms >= deployment.visible_at_ms;
    let former = deployment.former_version_id.as_deref().and_then(find);
    match former {
        Some(former) if !settled => Some((former, true)),
        _ => find(&deployment.version_id).map(|version| (version, settled)),
    }
}

/// Whether the draft is the deployed version and its deploy has settled.
pub(super) fn all_changes_deployed(action: &Action, now_ms: u64) -> bool {
    action.deployment.as_ref().is_some_and(|deployment| {
        action.draft_version.as_ref() == Some(&deployment.version_id) && now_ms >= deployment.visible_at_ms
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::{Value, json};

    use crate::bench::{Bench, decode, keys};
    use crate::{Options, Rate, SecretWithoutValue};

    fn post_login(name: &str) -> Value {
        json!({"name": name, "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": "x"})
    }

    fn with(base: &Value, key: &str, value: Value) -> Value {
        let mut body = base.clone();
        body[key] = value;
        body
    }

    #[test]
    fn a_draft_sent_again_as_it_was_is_built_again_and_still_counts_as_deployed() {
        let mut bench = Bench::new();
        let id = bench.deployed_action("a", "post-login", "v3");
        let path = format!("/actions/actions/{id}");
        let (_, same) = bench.patch(&path, &json!({"code": "x", "dependencies": [], "secrets": []}));
        assert_eq!((&same["status"], &same["all_changes_deployed"]), (&json!("pending"), &json!(true)));
        let (_, other) = bench.patch(&path, &json!({"code": "y"}));
        assert_eq!(other["all_changes_deployed"], false);
    }

    #[test]
    fn a_created_action_reads_as_recorded() {
        let mut bench = Bench::new();
        let body = with(&post_login("a"), "secrets", json!([{"name": "foo", "value": "1"}]));
        let (status, action) = bench.post("/actions/actions", &body);
        assert_eq!(status, 201);
        let expected = [
            "id",
            "name",
            "supported_triggers",
            "created_at",
            "updated_at",
            "code",
            "dependencies",
            "runtime",
            "status",
            "secrets",
            "all_changes_deployed",
        ];
        assert_eq!(keys(&action), expected);
        assert_eq!(action["runtime"], "node22");
        assert_eq!(action["status"], "pending");
        assert_eq!(keys(&action["secrets"][0]), ["name", "updated_at"]);
        assert_eq!(action["secrets"][0]["updated_at"], action["updated_at"]);
        assert_eq!(action["all_changes_deployed"], false);
    }

    #[test]
    fn zero_values_are_missing_from_lists() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.get("/actions/actions?actionName=x&per_page=50").1,
            json!({"actions": [], "per_page": 50})
        );
        bench.post("/actions/actions", &post_login("a"));
        let (_, list) = bench.get("/actions/actions?page=0&per_page=100");
        assert_eq!(keys(&list), ["actions", "total", "per_page"]);
        let (_, list) = bench.get("/actions/actions?page=1&per_page=100");
        assert_eq!(list, json!({"actions": [], "page": 1, "per_page": 100}));
        let (status, refused) = bench.get("/actions/actions?include_totals=true");
        assert_eq!(
            (status, refused["message"].as_str()),
            (400, Some("Query validation error: 'Additional properties not allowed: include_totals'."))
        );
    }

    #[test]
    fn builds_go_through_the_recorded_states() {
        let mut bench = Bench::new();
        let mut states = |dependencies: Value, every_ms: u64, polls: usize| {
            let body = with(&post_login("a"), "dependencies", dependencies);
            let (_, action) = bench.post("/actions/actions", &body);
            let id = action["id"].as_str().unwrap_or_default().to_owned();
            let mut states = vec![action["status"].clone()];
            for _ in 0..polls {
                bench.now_ms += every_ms;
                let status = bench.get(&format!("/actions/actions/{id}")).1["status"].clone();
                if states.last() != Some(&status) {
                    states.push(status);
                }
            }
            Value::Array(states)
        };
        assert_eq!(states(json!([]), 400, 1), json!(["pending", "built"]));
        let auth0 = json!([{"name": "auth0", "version": "2.41.0"}]);
        assert_eq!(states(auth0, 1_000, 9), json!(["pending", "building", "built"]));
        let impossible = json!([{"name": "crypto", "version": "0.0.0-fail"}]);
        assert_eq!(
            states(impossible, 1_200, 10),
            json!(["pending", "building", "retrying", "building", "retrying", "building", "failed"])
        );
    }

    #[test]
    fn patch_replaces_sets_keeps_what_is_left_out_and_rebuilds() {
        let mut bench = Bench::new();
        let mut body = post_login("a");
        body["runtime"] = json!("node18-actions");
        body["dependencies"] =
            json!([{"name": "moment", "version": "2.29.4"}, {"name": "auth0", "version": "2.42.0"}]);
        body["secrets"] = json!([{"name": "bar", "value": "2"}, {"name": "foo", "value": "1"}]);
        let id = bench.post("/actions/actions", &body).1["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/actions/actions/{id}");
        bench.now_ms += 60_000;
        let (_, read) = bench.get(&path);
        assert_eq!(read["secrets"][0]["name"], "foo", "another order than sent");
        assert_eq!(read["dependencies"][0]["name"], "auth0");
        let (status, patched) = bench.patch(&path, &json!({"secrets": [{"name": "foo", "value": "1"}]}));
        assert_eq!(status, 200);
        assert_eq!(patched["status"], "pending");
        assert_eq!(patched["runtime"], "node18-actions");
        assert_eq!(patched["dependencies"], read["dependencies"]);
        assert_eq!(patched["secrets"].as_array().map(Vec::len), Some(1));
        assert_ne!(patched["secrets"][0]["updated_at"], read["secrets"][0]["updated_at"]);
        assert_eq!(bench.patch(&path, &json!({"secrets": []})).1["secrets"], json!([]));
        assert_eq!(bench.patch(&path, &json!({"dependencies": []})).1["dependencies"], json!([]));
    }

    #[test]
    fn open_questions_about_secrets_have_both_answers() {
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options {
            rate,
            secret_name_without_value: SecretWithoutValue::KeepOld,
            unchanged_secret_moves_time: false,
            ..Options::default()
        });
        let body = with(&post_login("a"), "secrets", json!([{"name": "s", "value": "old"}]));
        let (_, first) = bench.post("/actions/actions", &body);
        let path = format!("/actions/actions/{}", first["id"].as_str().unwrap_or_default());
        for secret in [json!([{"name": "s"}]), json!([{"name": "s", "value": "old"}])] {
            let (status, kept) = bench.patch(&path, &json!({ "secrets": secret }));
            assert_eq!((status, &kept["secrets"]), (200, &first["secrets"]));
        }
        assert_eq!(bench.patch(&path, &json!({"secrets": [{"name": "new"}]})).0, 400);
        let mut strict = Bench::new();
        let (_, first) = strict.post("/actions/actions", &body);
        let path = format!("/actions/actions/{}", first["id"].as_str().unwrap_or_default());
        assert_eq!(strict.patch(&path, &json!({"secrets": [{"name": "s"}]})).0, 400);
    }

    #[test]
    fn a_failed_build_keeps_what_is_deployed() {
        let mut bench = Bench::new();
        let id = bench.deployed_action("a", "post-login", "v3");
        let path = format!("/actions/actions/{id}");
        bench.patch(&path, &json!({"dependencies": [{"name": "x", "version": "0.0.0-fail"}]}));
        bench.now_ms += 60_000;
        let (_, read) = bench.get(&path);
        assert_eq!((&read["status"], &read["deployed_version"]["number"]), (&json!("failed"), &json!(1)));
        assert_eq!(read["all_changes_deployed"], false);
        assert_eq!(decode(bench.raw(Method::Post, &format!("{path}/deploy"), None)).0, 400);
    }

    #[test]
    fn bad_bodies_are_refused() {
        let mut bench = Bench::new();
        let base = post_login("a");
        let many = |count: usize, item: fn(usize) -> Value| Value::Array((0..count).map(item).collect());
        let cases = [
            ("unknown key", with(&base, "status", json!("built"))),
            ("name type", with(&base, "name", json!(1))),
            ("no trigger", with(&base, "supported_triggers", json!([]))),
            ("unknown trigger", with(&base, "supported_triggers", json!([{"id": "nope", "version": "v1"}]))),
            ("runtime spelt as in the dashboard", with(&base, "runtime", json!("node18"))),
            ("large code", with(&base, "code", json!("x".repeat(100_001)))),
            (
                "secrets",
                with(&base, "secrets", many(31, |at| json!({"name": format!("s{at}"), "value": "v"}))),
            ),
            ("secret value", with(&base, "secrets", json!([{"name": "s", "value": "v".repeat(4_097)}]))),
            (
                "dependencies",
                with(
                    &base,
                    "dependencies",
                    many(11, |at| json!({"name": format!("d{at}"), "version": "1.0.0"})),
                ),
            ),
            ("dependency type", with(&base, "dependencies", json!({"twilio": "1.0.0"}))),
        ];
        for (name, body) in cases {
            let (status, refused) = bench.post("/actions/actions", &body);
            assert_eq!((status, refused["errorCode"].as_str()), (400, Some("invalid_body")), "{name}");
        }
    }

    #[test]
    fn modules_are_shown_with_name_and_number_also_by_versions() {
        let mut bench = Bench::new();
        let versions = [("11111111-1111-4111-8111-111111111111".to_owned(), 3)].into();
        let id = "22222222-2222-4222-8222-222222222222".to_owned();
        let module = crate::world::ActionModule { id: id.clone(), name: "shared".into(), versions };
        bench.twin.world.tenant_mut(crate::bench::DOMAIN).action_modules.push(module);
        let named = |version: &str| json!([{"module_id": id, "module_version_id": version}]);
        let body = with(&post_login("a"), "modules", named("33333333-3333-4333-8333-333333333333"));
        assert_eq!(bench.post("/actions/actions", &body).0, 400);
        let body = with(&post_login("a"), "modules", named("11111111-1111-4111-8111-111111111111"));
        let (status, made) = bench.post("/actions/actions", &body);
        let expected = json!([{"module_id": id, "module_name": "shared",
            "module_version_id": "11111111-1111-4111-8111-111111111111", "module_version_number": 3}]);
        assert_eq!((status, &made["modules"]), (201, &expected));
        let path = format!("/actions/actions/{}", made["id"].as_str().unwrap_or_default());
        bench.now_ms += 1_000;
        let (_, version) = decode(bench.raw(Method::Post, &format!("{path}/deploy"), None));
        assert_eq!(version["modules"], expected);
        bench.now_ms += 1_000;
        assert_eq!(bench.get(&path).1["deployed_version"]["modules"], expected);
        assert_eq!(bench.patch(&path, &json!({"modules": []})).1.get("modules"), None);
        assert_eq!(bench.get(&path).1["deployed_version"]["modules"], expected);
    }

    #[test]
    fn limits_of_the_tenant() {
        let mut bench = Bench::new();
        let phone = json!({"name": "p", "code": "x",
            "supported_triggers": [{"id": "custom-phone-provider", "version": "v1"}]});
        assert_eq!(bench.post("/actions/actions", &phone).0, 201);
        let (status, refused) = bench.post("/actions/actions", &phone);
        assert_eq!((status, refused.get("errorCode")), (400, None));
        for at in 1..100 {
            assert_eq!(bench.post("/actions/actions", &post_login(&format!("a{at}"))).0, 201);
        }
        assert_eq!(bench.post("/actions/actions", &post_login("last")).0, 403);
    }

    #[test]
    fn ids_are_checked_before_they_are_looked_up() {
        let mut bench = Bench::new();
        let (status, refused) = bench.get("/actions/actions/nonsense");
        assert_eq!((status, refused["errorCode"].as_str()), (400, Some("invalid_uri")));
        let missing =
            json!({"statusCode": 404, "error": "Not Found", "message": "That action does not exist."});
        let path = "/actions/actions/09ee2b9b-282d-4a65-87d1-f01adf007745";
        assert_eq!(bench.get(path), (404, missing.clone()));
        assert_eq!(bench.delete(path), (404, missing));
    }

    #[test]
    fn latest_reads_back_as_the_options_say() {
        for (resolved, expected) in [(true, "6.2.0"), (false, "latest")] {
            let rate = Rate::Unlimited;
            let mut bench =
                Bench::with(Options { rate, latest_reads_back_resolved: resolved, ..Options::default() });
            let body =
                with(&post_login("a"), "dependencies", json!([{"name": "twilio", "version": "latest"}]));
            assert_eq!(bench.post("/actions/actions", &body).1["dependencies"][0]["version"], expected);
        }
    }
}
