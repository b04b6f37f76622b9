//! Trigger bindings. A write replaces the whole list, gives every binding a new id, and has no protection against
//! concurrent writers.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::options::BindingRule;
use super::super::wire::{Outcome, Reply};
use super::super::world::{Action, Binding};
use super::actions::shown_version;
use super::body::{Fields, invalid};
use super::versions::{current_version_json, deployed_version_json};
use super::{Call, Route, invalid_uri, offset_page, refusal, triggers};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/actions/triggers/{trigger_id}/bindings",
        operation: "list_bindings",
        scopes: &["read:actions"],
        query: &["page", "per_page"],
        run: list,
    },
    Route {
        method: Method::Patch,
        pattern: "/actions/triggers/{trigger_id}/bindings",
        operation: "set_bindings",
        scopes: &["update:actions"],
        query: &[],
        run: set,
    },
];

/// Limit of every plan (Auth0 docs, entity limit policy, 2026-08).
const ACTIONS_PER_TRIGGER: usize = 20;

fn trigger(call: &Call) -> Result<&'static triggers::Trigger, Reply> {
    triggers::by_id(call.param(0)).ok_or_else(|| invalid_uri("trigger-id", call.param(0)))
}

fn list(call: &mut Call) -> Outcome {
    let trigger = trigger(call)?;
    let (page, per_page) = call.page(20)?;
    // The list of a trigger that is bound through other objects is empty (recorded). Older tenants answered an error.
    let bound = if trigger.trigger_bound { call.tenant.bound(trigger.id) } else { &[] };
    let items = bound.iter().filter_map(|binding| binding_json(call, trigger.id, binding)).collect();
    Ok(offset_page("bindings", items, page, per_page))
}

fn set(call: &mut Call) -> Outcome {
    let trigger = trigger(call)?;
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["bindings"])?;
    let list = fields.array("bindings")?;
    let list = fields.need("bindings", list)?;
    if !trigger.trigger_bound {
        return Err(refusal(400, None, "Cannot set action bindings for an entity-bound trigger."));
    }
    if trigger.id == "custom-phone-provider" && call.options.custom_phone_binding == BindingRule::Refused4xx {
        return Err(refusal(400, None, "This trigger does not accept bindings."));
    }
    if list.len() > ACTIONS_PER_TRIGGER {
        return Err(invalid("Array is too long, maximum 20' on property 'bindings"));
    }
    let mut wanted: Vec<(String, String)> = Vec::new();
    for (at, item) in list.iter().enumerate() {
        let item = Fields::strict(item, &format!("bindings[{at}]"), &["ref", "display_name", "secrets"])?;
        let action = read_ref(call, trigger, &item)?;
        let name = item.string("display_name", 1, 255)?.unwrap_or(&action.name).to_owned();
        item.array("secrets")?;
        check_bindable(action, trigger.id, call.now_ms)?;
        if wanted.iter().any(|(id, _)| *id == action.id) {
            return Err(invalid("An action is bound twice' on property 'bindings"));
        }
        wanted.push((action.id.clone(), name));
    }
    let stamp = call.ids.stamp(call.now_ms);
    let bindings: Vec<Binding> = wanted
        .into_iter()
        .map(|(action_id, display_name)| Binding {
            id: call.ids.uuid(),
            action_id,
            display_name,
            created_at: stamp.clone(),
            updated_at: stamp.clone(),
        })
        .collect();
    call.tenant.bindings.insert(trigger.id.to_owned(), bindings);
    let shown: Vec<Value> = call
        .tenant
        .bound(trigger.id)
        .iter()
        .filter_map(|binding| binding_json(call, trigger.id, binding))
        .collect();
    Ok(Reply::json(200, &json!({ "bindings": shown })))
}

fn read_ref<'a>(call: &'a Call, trigger: &triggers::Trigger, item: &Fields) -> Result<&'a Action, Reply> {
    let reference = item.value("ref");
    let reference = item.need("ref", reference)?;
    let reference = Fields::strict(reference, &item.path("ref"), &["type", "value"])?;
    let kind = reference.choice("type", &["action_id", "action_name", "binding_id"])?;
    let kind = reference.need("type", kind)?;
    let value = reference.need_string("value", 1, 255)?;
    let found = match kind {
        "action_id" => call.tenant.action(value),
        "action_name" => call.tenant.actions.iter().find(|action| action.name == value),
        _ => {
            let bound = call.tenant.bound(trigger.id).iter().find(|binding| binding.id == value);
            bound.and_then(|binding| call.tenant.action(&binding.action_id))
        }
    };
    found.ok_or_else(|| refusal(400, None, "That action does not exist."))
}

fn check_bindable(action: &Action, trigger_id: &str, now_ms: u64) -> Result<(), Reply> {
    if !action.supports(trigger_id) {
        return Err(refusal(400, None, "The action does not support this trigger."));
    }
    // For a short time after a deploy (seen under load, 2022-2025), the API answers as if the Action had never been
    // deployed.
    match &action.deployment {
        Some(deployment) if now_ms >= deployment.bindable_at_ms => Ok(()),
        _ => Err(refusal(400, None, "Trying to create a binding for an action that has not been deployed.")),
    }
}

/// A binding as reads show it. The nested Action always says `all_changes_deployed: false`, even when all changes are
/// deployed (recorded). `None`: the bound Action does not exist, which only an edited world file can cause.
fn binding_json(call: &Call, trigger_id: &str, binding: &Binding) -> Option<Value> {
    let action = call.tenant.action(&binding.action_id)?;
    let mut nested = json!({
        "id": action.id,
        "name": action.name,
        "supported_triggers": action.supported_triggers,
        "created_at": action.created_at,
        "updated_at": action.updated_at,
    });
    if let Some((version, deployed)) = shown_version(action, call.now_ms) {
        nested["current_version"] = current_version_json(version);
        nested["deployed_version"] = deployed_version_json(version, deployed);
    }
    nested["all_changes_deployed"] = json!(false);
    Some(json!({
        "id": binding.id,
        "trigger_id": trigger_id,
        "action": nested,
        "created_at": binding.created_at,
        "updated_at": binding.updated_at,
        "display_name": binding.display_name,
    }))
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::{Value, json};

    use crate::bench::{Bench, DOMAIN, decode, keys};
    use crate::{BindingRule, Options, Rate, TriggerRef};

    const POST_LOGIN: &str = "/actions/triggers/post-login/bindings";

    fn binding(id: &str) -> Value {
        json!({"ref": {"type": "action_id", "value": id}, "display_name": "Shown"})
    }

    #[test]
    fn reads_and_writes_are_shaped_as_recorded() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.get(&format!("{POST_LOGIN}?per_page=50")).1,
            json!({"bindings": [], "per_page": 50})
        );
        let id = bench.deployed_action("a", "post-login", "v3");
        let (status, first) = bench.patch(POST_LOGIN, &json!({"bindings": [binding(&id)]}));
        assert_eq!((status, keys(&first)), (200, vec!["bindings"]));
        let (_, second) = bench.patch(POST_LOGIN, &json!({"bindings": [binding(&id)]}));
        assert_ne!(first["bindings"][0]["id"], second["bindings"][0]["id"], "ids are renewed");
        let (_, list) = bench.get(&format!("{POST_LOGIN}?page=0&per_page=100"));
        assert_eq!(keys(&list), ["bindings", "total", "per_page"]);
        let shown = &list["bindings"][0];
        assert_eq!(keys(shown), ["id", "trigger_id", "action", "created_at", "updated_at", "display_name"]);
        assert_eq!(shown["action"]["deployed_version"]["deployed"], true);
        assert_eq!(shown["action"]["all_changes_deployed"], false, "the nested copy is wrong");
        assert_eq!(bench.get(&format!("/actions/actions/{id}")).1["all_changes_deployed"], true);
        assert_eq!(bench.patch(POST_LOGIN, &json!({"bindings": []})), (200, json!({"bindings": []})));
    }

    #[test]
    fn an_action_is_bindable_only_some_time_after_its_deploy() {
        let mut bench = Bench::new();
        let body =
            json!({"name": "a", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": "1"});
        let id = bench.post("/actions/actions", &body).1["id"].as_str().unwrap_or_default().to_owned();
        let bind = json!({"bindings": [binding(&id)]});
        bench.now_ms += 1_000;
        assert_eq!(bench.patch(POST_LOGIN, &bind).0, 400, "not deployed");
        decode(bench.raw(Method::Post, &format!("/actions/actions/{id}/deploy"), None));
        bench.now_ms += 900;
        let (status, refused) = bench.patch(POST_LOGIN, &bind);
        assert_eq!(status, 400);
        assert!(
            refused["message"]
                .as_str()
                .unwrap_or_default()
                .starts_with("Trying to create a binding for an action that has")
        );
        bench.now_ms += 100;
        assert_eq!(bench.patch(POST_LOGIN, &bind).0, 200);
    }

    #[test]
    fn a_bound_action_is_deleted_only_by_force() {
        let mut bench = Bench::new();
        let id = bench.deployed_action("a", "post-login", "v3");
        bench.patch(POST_LOGIN, &json!({"bindings": [binding(&id)]}));
        assert_eq!(bench.delete(&format!("/actions/actions/{id}")).0, 409);
        let upgrade = json!({"supported_triggers": [{"id": "credentials-exchange", "version": "v2"}]});
        let (status, refused) = bench.patch(&format!("/actions/actions/{id}"), &upgrade);
        assert_eq!((status, refused["message"].as_str()), (400, Some("can't upgrade to this trigger.")));
        assert_eq!(bench.delete(&format!("/actions/actions/{id}?force=true")).0, 204);
        assert_eq!(bench.get(POST_LOGIN).1["bindings"], json!([]));
    }

    #[test]
    fn the_list_is_replaced_with_everybody_on_it() {
        let mut bench = Bench::new();
        let now_ms = bench.now_ms;
        let trigger = TriggerRef::new("post-login", "v3");
        let foreign = bench.twin.world.add_deployed_action(DOMAIN, "theirs", &trigger, now_ms);
        bench.twin.world.bind(DOMAIN, "post-login", &foreign, "Theirs", now_ms);
        let id = bench.deployed_action("a", "post-login", "v3");
        let (_, list) = bench.patch(POST_LOGIN, &json!({"bindings": [binding(&id)]}));
        assert_eq!(list["bindings"].as_array().map(Vec::len), Some(1), "theirs is gone");
        let by_name =
            json!({"bindings": [binding(&id), {"ref": {"type": "action_name", "value": "theirs"}}]});
        let (_, list) = bench.patch(POST_LOGIN, &by_name);
        assert_eq!(list["bindings"][1]["display_name"], "theirs", "the default is the Action's name");
    }

    #[test]
    fn refusals() {
        let mut bench = Bench::with(Options {
            rate: Rate::Unlimited,
            custom_phone_binding: BindingRule::Refused4xx,
            ..Options::default()
        });
        let id = bench.deployed_action("a", "post-login", "v3");
        let cases = [
            ("entity-bound", "/actions/triggers/mcp-tool/bindings", json!([])),
            ("by option", "/actions/triggers/custom-phone-provider/bindings", json!([])),
            ("unknown trigger", "/actions/triggers/nope/bindings", json!([])),
            ("another trigger", "/actions/triggers/credentials-exchange/bindings", json!([binding(&id)])),
            ("twice", POST_LOGIN, json!([binding(&id), binding(&id)])),
            ("read shape", POST_LOGIN, json!([{"action": {"id": id}}])),
        ];
        for (name, path, bindings) in cases {
            assert_eq!(bench.patch(path, &json!({ "bindings": bindings })).0, 400, "{name}");
        }
        assert_eq!(bench.get("/actions/triggers/mcp-tool/bindings").0, 200);
        let (_, triggers) = bench.get("/actions/triggers");
        assert_eq!(triggers["triggers"].as_array().map(Vec::len), Some(20));
    }
}
