//! Tests of `adopt` with a Terraform state: the state is made here of a world, as the two providers write it.

use std::collections::BTreeMap;

use lockstep::adopt::Stop;
use lockstep::adopt::terraform::{self, HandOver};
use lockstep::kinds::adopting::Wish;
use lockstep::twin::World;
use serde_json::{Value as Json, json};

use super::lab::{Values, head, read, stack_on, try_adopted, without_pins};
use super::reproduced::{drawn, made_of, seeds};
use super::worlds::{differences, picture};
use crate::support::{ACCOUNT, DOMAIN};

/// Something of a world under Terraform: type, name and attributes.
type Managed = (&'static str, String, Json);

/// The two forms of a state.
#[derive(Clone, Copy)]
pub enum Form {
    File,
    Shown,
}

/// A state in which Terraform manages all of a world, but for the objects with these ids.
pub fn managed(world: &World, but: &[&str]) -> Vec<Managed> {
    let mut out: Vec<Managed> = Vec::new();
    let tenant = &world.tenants[DOMAIN];
    for (at, action) in tenant.actions.iter().enumerate() {
        let secrets: Vec<Json> =
            action.secrets.iter().map(|one| json!({ "name": one.name, "value": one.value })).collect();
        let attributes = json!({ "id": action.id, "name": action.name, "code": action.code, "secrets": secrets,
            "supported_triggers": action.supported_triggers, "deploy": true });
        out.push(("auth0_action", format!("action_{at}"), attributes));
    }
    for (trigger, bound) in &tenant.bindings {
        for (at, one) in bound.iter().enumerate() {
            let attributes = json!({ "id": format!("{trigger}::{}", one.action_id), "action_id": one.action_id,
                "trigger": trigger, "display_name": one.display_name });
            out.push(("auth0_trigger_action", format!("{}_{at}", trigger.replace('-', "_")), attributes));
        }
    }
    for (at, stream) in tenant.log_streams.iter().enumerate() {
        let sink = json!([{ "http_endpoint": stream.sink.get("httpEndpoint"), "http_authorization": stream.sink.get("httpAuthorization") }]);
        let attributes = json!({ "id": stream.id, "name": stream.name, "type": stream.r#type, "sink": sink });
        out.push(("auth0_log_stream", format!("stream_{at}"), attributes));
    }
    for provider in &tenant.phone_providers {
        out.push((
            "auth0_phone_provider",
            "phone".into(),
            json!({ "id": provider.id, "name": provider.name }),
        ));
    }
    for template in &tenant.phone_templates {
        let attributes = json!({ "id": template.id, "type": template.r#type });
        out.push(("auth0_phone_notification_template", template.r#type.clone(), attributes));
    }
    for kind in ["auth0_guardian", "auth0_prompt", "auth0_branding", "auth0_tenant"] {
        out.push((kind, "this".into(), json!({ "id": "0f4c2a", "policy": "all-applications" })));
    }
    out.push((
        "auth0_client",
        "spa".into(),
        json!({ "id": "c1", "client_secret": "Client-Secret-of-others-7781" }),
    ));
    for service in world.accounts.get(ACCOUNT).into_iter().flat_map(|one| &one.verify_services) {
        let name = service.friendly_name.to_ascii_lowercase().replace(' ', "_");
        let attributes =
            json!({ "id": service.sid, "sid": service.sid, "friendly_name": service.friendly_name });
        out.push(("twilio_verify_services_v2", name.clone(), attributes));
        for limit in &service.rate_limits {
            let attributes = json!({ "id": format!("{}/{}", service.sid, limit.sid), "sid": limit.sid,
                "service_sid": service.sid, "unique_name": limit.unique_name });
            out.push(("twilio_verify_services_rate_limits_v2", limit.unique_name.clone(), attributes));
        }
    }
    for service in world.accounts.get(ACCOUNT).into_iter().flat_map(|one| &one.serverless_services) {
        let attributes = json!({ "id": service.sid, "sid": service.sid, "unique_name": service.unique_name });
        out.push(("twilio_serverless_services_v1", "feedback".into(), attributes));
        for variable in service.environments.iter().flat_map(|one| &one.variables) {
            let attributes = json!({ "id": format!("{}/{}", service.sid, variable.sid), "sid": variable.sid,
                "service_sid": service.sid, "key": variable.key, "value": variable.value });
            out.push((
                "twilio_serverless_services_environments_variables_v1",
                variable.key.to_ascii_lowercase(),
                attributes,
            ));
        }
    }
    out.retain(|(_, _, attributes)| !but.iter().any(|id| attributes["id"] == json!(id)));
    out
}

pub fn state(managed: &[Managed], form: Form) -> String {
    let provider = |kind: &str| if kind.starts_with("auth0") { "auth0/auth0" } else { "twilio/twilio" };
    let all: Vec<Json> = managed
        .iter()
        .map(|(kind, name, attributes)| {
            let source = format!("registry.terraform.io/{}", provider(kind));
            match form {
                Form::File => json!({ "mode": "managed", "type": kind, "name": name, "provider": format!("provider[\"{source}\"]"),
                    "instances": [{ "schema_version": 0, "attributes": attributes, "sensitive_attributes": [],
                        "an_attribute_of_tomorrow": { "x": [1, null] } }] }),
                Form::Shown => json!({ "address": format!("{kind}.{name}"), "mode": "managed", "type": kind, "name": name,
                    "provider_name": source, "schema_version": 7, "values": attributes, "sensitive_values": {} }),
            }
        })
        .collect();
    let whole = match form {
        Form::File => {
            json!({ "version": 4, "terraform_version": "1.9.8", "serial": 12, "lineage": "3f0d", "outputs":
            { "token": { "value": "Output-Secret-5512", "type": "string", "sensitive": true } }, "resources": all, "check_results": null })
        }
        Form::Shown => json!({ "format_version": "1.0", "terraform_version": "1.9.8",
            "values": { "root_module": { "resources": [], "child_modules": [{ "address": "module.login", "resources":
                all.into_iter().map(|mut one| {
                    one["address"] = json!(format!("module.login.{}", one["address"].as_str().unwrap_or_default()));
                    one
                }).collect::<Vec<_>>() }] } } }),
    };
    whole.to_string()
}

/// Every value of a world and its state that nobody may see.
pub fn secrets(world: &World) -> Vec<String> {
    let tenant = &world.tenants[DOMAIN];
    let of_actions = tenant.actions.iter().flat_map(|one| &one.secrets).map(|one| one.value.clone());
    let of_streams = tenant.log_streams.iter().flat_map(|one| {
        let headers = one.sink.get("httpCustomHeaders").and_then(Json::as_array).into_iter().flatten();
        let headers: Vec<String> =
            headers.filter_map(|one| one["value"].as_str().map(str::to_owned)).collect();
        headers
            .into_iter()
            .chain(one.sink.get("httpAuthorization").and_then(|text| text.as_str().map(str::to_owned)))
    });
    let services = world.accounts.get(ACCOUNT).into_iter().flat_map(|one| &one.serverless_services);
    let variables = services.flat_map(|one| &one.environments).flat_map(|one| &one.variables);
    let all = of_actions.chain(of_streams).chain(variables.map(|one| one.value.clone()));
    let is_public = |value: &str| value == ACCOUNT || value.starts_with("VA");
    all.filter(|value| !is_public(value))
        .chain(["Client-Secret-of-others-7781".into(), "Output-Secret-5512".into()])
        .collect()
}

fn has_any(text: &str, secrets: &[String]) -> Option<String> {
    secrets.iter().find(|secret| text.contains(secret.as_str())).cloned()
}

/// A world in which the state has to say which Verify service is meant.
fn with_decoy(world: &World) -> World {
    let mut world = world.clone();
    let Some(account) = world.accounts.get_mut(ACCOUNT) else { return world };
    let services = &mut account.verify_services;
    if let Some(first) = services.first().cloned() {
        let mut decoy = first;
        decoy.sid = format!("VA{}", "d".repeat(32));
        decoy.friendly_name = "Decoy".into();
        decoy.rate_limits.clear();
        services.insert(0, decoy);
    }
    world
}

#[test]
fn a_manifest_by_a_state_makes_the_world_again() {
    let mut asked = 0;
    for seed in seeds() {
        let Some((world, is_legacy)) = drawn(seed) else { continue };
        let form = if seed % 2 == 0 { Form::File } else { Form::Shown };
        let crowded = with_decoy(&world);
        let text = state(&managed(&crowded, &[&format!("VA{}", "d".repeat(32))]), form);
        let state = terraform::read(&text).expect("a state");
        let mut stack = stack_on(crowded.clone(), is_legacy);
        if crowded != world {
            asked += 1;
            let stop =
                try_adopted(&mut stack, Wish::default(), head(Some("story"))).expect_err("two services");
            assert!(
                matches!(&stop, Stop::Ask(asks) if asks[0].candidates.len() == 2),
                "seed {seed}: {stop:?}"
            );
        }
        let wish = Wish { ids: state.ids(), ..Wish::default() };
        let adopted =
            try_adopted(&mut stack, wish, head(Some("story"))).unwrap_or_else(|stop| panic!("{stop:?}"));
        assert!(!stack.twin.borrow().log().iter().any(|entry| entry.wrote));
        let again = made_of(read(&without_pins(&adopted.manifest), &Values::of(&adopted, &world)), is_legacy);
        let differ = differences(&picture(&world), &picture(&again));
        assert!(differ.is_empty(), "seed {seed}:\n{}\n{}", differ.join("\n"), adopted.manifest);
        // Nothing of the state's secrets is anywhere.
        let HandOver { removed, left } = state.hand_over(&adopted);
        let told =
            [adopted.manifest.clone(), removed.join("\n"), left.join("\n"), adopted.left.join("\n")].concat();
        let told = told + &adopted.files.values().cloned().collect::<String>();
        assert_eq!(has_any(&told, &secrets(&crowded)), None, "seed {seed}");
    }
    assert!(asked > 3);
}

#[test]
fn the_blocks_name_what_the_manifest_has_and_nothing_else() {
    let (world, _) = (0..20)
        .filter_map(drawn)
        .find(|(world, is_legacy)| {
            !is_legacy
                && world.accounts[ACCOUNT].verify_services.len() == 1
                && world.tenants[DOMAIN].actions.len() == 1
                && !world.tenants[DOMAIN].phone_providers.is_empty()
        })
        .expect("a whole world");
    for (form, module) in [(Form::File, ""), (Form::Shown, "module.login.")] {
        let state = terraform::read(&state(&managed(&world, &[]), form)).expect("a state");
        let mut stack = stack_on(world.clone(), false);
        let adopted =
            try_adopted(&mut stack, Wish::default(), head(None)).unwrap_or_else(|stop| panic!("{stop:?}"));
        let handed = state.hand_over(&adopted);
        for name in [
            "auth0_action.action_0",
            "auth0_phone_provider.phone",
            "auth0_guardian.this",
            "twilio_verify_services_v2.",
        ] {
            let address = format!("{module}{name}");
            assert!(handed.removed.iter().any(|one| one.starts_with(&address)), "{address}: {handed:?}");
        }
        for name in ["auth0_client.spa", "auth0_tenant.this"] {
            assert!(
                handed.left.iter().any(|one| one.starts_with(&format!("{module}{name}: "))),
                "{handed:?}"
            );
        }
        let blocks = handed.blocks();
        assert_eq!(blocks.matches("destroy = false").count(), handed.removed.len());
        assert!(blocks.starts_with(&format!("removed {{\n  from = {module}auth0_")), "{blocks}");
    }
}

#[test]
fn objects_of_another_tenant_stay_with_terraform() {
    let (world, _) = (0..20)
        .find_map(drawn)
        .filter(|(_, is_legacy)| !is_legacy)
        .or_else(|| (5..40).filter_map(drawn).find(|(_, is_legacy)| !is_legacy))
        .expect("a world");
    let mut all: BTreeMap<String, Json> = BTreeMap::new();
    let text = state(&managed(&world, &[]), Form::File);
    let mut json: Json = serde_json::from_str(&text).expect("JSON");
    let other = json!({ "mode": "managed", "type": "auth0_action", "name": "other",
        "provider": "provider[\"registry.terraform.io/auth0/auth0\"].eu",
        "instances": [{ "attributes": { "id": "6b1f1c1e-0000-4000-8000-000000000000" } }] });
    json["resources"].as_array_mut().expect("a list").push(other);
    all.insert("x".into(), json.clone());
    let state = terraform::read(&json.to_string()).expect("a state");
    let mut stack = stack_on(world, false);
    let wish = Wish { ids: state.ids(), ..Wish::default() };
    let Ok(adopted) = try_adopted(&mut stack, wish, head(None)) else { return };
    let handed = state.hand_over(&adopted);
    let left =
        |start: &str| handed.left.iter().find(|one| one.starts_with(start)).cloned().unwrap_or_default();
    assert!(left("auth0_action.other").contains("not in this tenant"), "{handed:?}");
    assert!(left("auth0_guardian.this").contains("several tenants"), "{handed:?}");
}
