//! What a Terraform state names: which objects of the tenant it manages, and which of them go over to a manifest.
//!
//! A state holds secrets in clear. So only ids are kept of it here, and no other value ever leaves this file.
//! ("Terraform docs, JSON output format" and state format 4; provider docs of auth0/auth0 1.2x, twilio/twilio 0.18 and
//! RJPearson94/twilio 0.2x, 2026-02.)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::Adopted;
use crate::model::text::line_of;

/// Longest id that is kept.
const ID_MAX: usize = 200;
/// Deepest nesting of modules that is read.
const MODULES_MAX: usize = 64;

/// The managed resources of a state, by address.
#[derive(Clone, Debug, Default)]
pub struct State {
    resources: BTreeMap<String, Resource>,
}

#[derive(Clone, Debug, Default)]
struct Resource {
    kind: String,
    provider: String,
    instances: Vec<Instance>,
}

/// Ids of one instance, by attribute.
#[derive(Clone, Debug, Default)]
struct Instance {
    ids: BTreeMap<&'static str, String>,
    /// Ids of the Actions in a list of bindings.
    actions: Vec<String>,
}

/// Attributes that hold ids or names of objects, and never a secret.
const KEPT: [&str; 9] = [
    "id",
    "sid",
    "service_sid",
    "environment_sid",
    "rate_limit_sid",
    "action_id",
    "trigger",
    "type",
    "country",
];

/// What of a state goes over, and what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandOver {
    /// Addresses of resources that Terraform is to forget.
    pub removed: Vec<String>,
    /// Resources that stay with Terraform, and why, in words.
    pub left: Vec<String>,
}

impl HandOver {
    /// The blocks by which Terraform forgets the resources and destroys nothing.
    pub fn blocks(&self) -> String {
        let mut out = String::new();
        for address in &self.removed {
            let _ = writeln!(
                out,
                "removed {{\n  from = {address}\n\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
            );
        }
        out
    }
}

/// Reads a state: the file (format 4), or what `terraform show -json` prints of it.
///
/// # Errors
/// It is something else. The text says what, and never a value of the state.
pub fn read(text: &str) -> Result<State, String> {
    let json: Json = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let what = if error.is_eof() { "ends in the middle" } else { "is not JSON" };
        format!("it {what} (line {}, column {})", error.line(), error.column())
    })?;
    let Some(root) = json.as_object() else { return Err("it is JSON, and not a Terraform state".into()) };
    let mut state = State::default();
    if root.contains_key("encrypted_data") {
        return Err("it is encrypted: write it out with `terraform show -json`".into());
    }
    if root.contains_key("planned_values") {
        return Err(
            "it is a plan: use the state, or what `terraform show -json` prints without a plan file".into()
        );
    }
    match (root.get("version"), root.get("format_version")) {
        (Some(version), None) if root.contains_key("terraform_version") || root.contains_key("lineage") => {
            match version.as_u64() {
                Some(4) => {}
                Some(version) => {
                    return Err(format!("it is a state of format {version}, and format 4 is read"));
                }
                None => return Err("its version is no number".into()),
            }
            let list = root.get("resources").and_then(Json::as_array).ok_or("it has no list of resources")?;
            list.iter().for_each(|one| state.add_file(one));
        }
        (None, Some(version)) => {
            let major = version.as_str().and_then(|text| text.split('.').next()?.parse::<u64>().ok());
            match major {
                Some(0 | 1) => {}
                _ => return Err("its format_version is not 0.x or 1.x".into()),
            }
            let root = root.get("values").and_then(|values| values.get("root_module"));
            // A state without resources has no values at all.
            if let Some(root) = root {
                state.add_module(root, 0)?;
            }
        }
        _ => return Err("it is JSON, and not a Terraform state".into()),
    }
    Ok(state)
}

impl State {
    fn add_file(&mut self, resource: &Json) {
        let text = |key: &str| resource.get(key).and_then(Json::as_str).unwrap_or_default();
        if text("mode") != "managed" {
            return;
        }
        let module = text("module");
        let address = if module.is_empty() { String::new() } else { format!("{module}.") };
        let address = format!("{address}{}.{}", text("type"), text("name"));
        let entry = self.entry(&address, text("type"), text("provider"));
        for instance in resource.get("instances").and_then(Json::as_array).into_iter().flatten() {
            entry.instances.push(instance_of(instance.get("attributes")));
        }
    }

    fn add_module(&mut self, module: &Json, depth: usize) -> Result<(), String> {
        if depth > MODULES_MAX {
            return Err("its modules are nested too deeply".into());
        }
        for resource in module.get("resources").and_then(Json::as_array).into_iter().flatten() {
            let text = |key: &str| resource.get(key).and_then(Json::as_str).unwrap_or_default();
            if text("mode") == "managed" {
                let entry = self.entry(text("address"), text("type"), text("provider_name"));
                entry.instances.push(instance_of(resource.get("values")));
            }
        }
        for child in module.get("child_modules").and_then(Json::as_array).into_iter().flatten() {
            self.add_module(child, depth + 1)?;
        }
        Ok(())
    }

    fn entry(&mut self, address: &str, kind: &str, provider: &str) -> &mut Resource {
        let entry = self.resources.entry(without_keys(address)).or_default();
        kind.clone_into(&mut entry.kind);
        provider.clone_into(&mut entry.provider);
        entry
    }

    /// Every id, so that of several candidates the one that the state manages is meant.
    pub fn ids(&self) -> BTreeSet<String> {
        let ids = self.resources.values().flat_map(|one| &one.instances).flat_map(|one| one.ids.iter());
        ids.filter(|(key, _)| ["id", "sid", "service_sid"].contains(key)).map(|(_, id)| id.clone()).collect()
    }

    /// What goes over to the adopted manifest.
    pub fn hand_over(&self, adopted: &Adopted) -> HandOver {
        let mut out = HandOver::default();
        let is_mixed = self.has_two_tenants();
        for (address, resource) in &self.resources {
            let shown = line_of(address, 200);
            if !is_address(address) {
                out.left.push(format!("{shown}: its address cannot be written"));
                continue;
            }
            let why: Vec<String> =
                resource.instances.iter().filter_map(|one| stays(resource, one, adopted, is_mixed)).collect();
            match (why.first(), resource.instances.len()) {
                (None, 0) => out.left.push(format!("{shown}: it has no instance")),
                (None, _) => out.removed.push(address.clone()),
                (Some(why), all) if why_all(all, &resource.instances, resource, adopted, is_mixed) => {
                    out.left.push(format!("{shown}: {why}"));
                }
                (Some(why), _) => out.left.push(format!(
                    "{shown}: some of its instances are in the manifest and others are not ({why}); a removed block names \
                     all of them"
                )),
            }
        }
        out
    }

    /// Whether resources of Auth0 belong to several configurations of the provider, and so perhaps to several tenants.
    fn has_two_tenants(&self) -> bool {
        let of_auth0 = |one: &&Resource| one.kind.starts_with("auth0_");
        self.resources
            .values()
            .filter(of_auth0)
            .map(|one| one.provider.as_str())
            .collect::<BTreeSet<_>>()
            .len()
            > 1
    }
}

fn why_all(
    all: usize,
    instances: &[Instance],
    resource: &Resource,
    adopted: &Adopted,
    is_mixed: bool,
) -> bool {
    instances.iter().filter(|one| stays(resource, one, adopted, is_mixed).is_some()).count() == all
}

fn instance_of(attributes: Option<&Json>) -> Instance {
    let none = Map::new();
    let attributes = attributes.and_then(Json::as_object).unwrap_or(&none);
    let id = |key: &&'static str| {
        let text = attributes.get(*key)?.as_str().filter(|text| text.len() <= ID_MAX)?;
        Some((*key, text.to_owned()))
    };
    let actions = attributes.get("actions").and_then(Json::as_array).into_iter().flatten();
    let actions = actions.filter_map(|one| Some(one.get("id")?.as_str()?.to_owned()));
    Instance { ids: KEPT.iter().filter_map(id).collect(), actions: actions.collect() }
}

/// The address of a resource, without the keys of its instances and of the modules around it.
fn without_keys(address: &str) -> String {
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0usize, false, false);
    for ch in address.chars() {
        match ch {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ch if depth == 0 => out.push(ch),
            _ => {}
        }
    }
    out
}

/// Whether a text is an address that Terraform reads: names of modules, a type and a name.
fn is_address(address: &str) -> bool {
    let parts: Vec<&str> = address.split('.').collect();
    let is_name = |part: &&str| {
        part.starts_with(|ch: char| ch.is_ascii_alphabetic() || ch == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
            && part.len() <= 100
    };
    let modules = &parts[..parts.len().saturating_sub(2)];
    parts.len() >= 2
        && parts.len().is_multiple_of(2)
        && parts.iter().all(is_name)
        && modules.chunks(2).all(|pair| pair[0] == "module")
}

/// How a type of Terraform's is found in the manifest.
enum Of {
    /// By the id in that attribute, which is an id of a resource of one of these kinds.
    Id(&'static str, &'static [&'static str]),
    /// Each tenant has it once; it is in the manifest if a resource of one of these kinds is.
    Once(&'static [&'static str]),
    /// It is always left, for this reason.
    Left(&'static str),
}

const ACTIONS: &[&str] = &["action", "legacy_action", "mfa_post_login", "feedback_action"];
const SERVICE: &[&str] = &["verify_service"];
const FUNCTION: &[&str] = &["feedback_function"];

/// What is known of the types of both providers. Any other type is not in a manifest.
const TYPES: &[(&str, Of)] = &[
    ("auth0_action", Of::Id("id", ACTIONS)),
    ("auth0_trigger_action", Of::Id("action_id", ACTIONS)),
    ("auth0_log_stream", Of::Id("id", &["log_stream"])),
    ("auth0_phone_provider", Of::Id("id", &["phone_provider"])),
    ("auth0_phone_provider_protection", Of::Once(&["phone_provider_protection"])),
    ("auth0_phone_notification_template", Of::Id("id", &["phone_template"])),
    ("auth0_branding_phone_notification_template", Of::Id("id", &["phone_template"])),
    ("auth0_guardian", Of::Once(&["mfa_factor", "mfa_policy"])),
    ("auth0_prompt", Of::Once(&["universal_login"])),
    ("auth0_branding", Of::Once(&["branding"])),
    (
        "auth0_tenant",
        Of::Left(
            "it has much more than a manifest says; take customize_mfa_in_postlogin_action and phone_consolidated_experience out of it",
        ),
    ),
    ("auth0_attack_protection", Of::Left("a manifest says only phone.protection of it")),
    ("twilio_verify_services_v2", Of::Id("sid", SERVICE)),
    ("twilio_verify_services_rate_limits_v2", Of::Id("service_sid", SERVICE)),
    ("twilio_verify_services_rate_limits_buckets_v2", Of::Id("service_sid", SERVICE)),
    ("twilio_verify_services_messaging_configurations_v2", Of::Id("service_sid", SERVICE)),
    ("twilio_verify_service", Of::Id("sid", SERVICE)),
    ("twilio_verify_service_rate_limit", Of::Id("service_sid", SERVICE)),
    ("twilio_verify_service_rate_limit_bucket", Of::Id("service_sid", SERVICE)),
    ("twilio_verify_messaging_configuration", Of::Id("service_sid", SERVICE)),
    ("twilio_serverless_services_v1", Of::Id("sid", FUNCTION)),
    ("twilio_serverless_services_environments_v1", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_services_environments_variables_v1", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_services_environments_deployments_v1", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_services_functions_v1", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_services_builds_v1", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_service", Of::Id("sid", FUNCTION)),
    ("twilio_serverless_environment", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_variable", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_deployment", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_function", Of::Id("service_sid", FUNCTION)),
    ("twilio_serverless_build", Of::Id("service_sid", FUNCTION)),
];

/// Names of ids in a resource of ours that a state can name.
const OURS: [&str; 4] = ["id", "sid", "service", "action_id"];

/// Why an instance stays with Terraform. `None`: the manifest has it.
fn stays(resource: &Resource, instance: &Instance, adopted: &Adopted, is_mixed: bool) -> Option<String> {
    let has = |kinds: &[&str], id: &str| {
        adopted.ids.iter().any(|(address, ids)| {
            kinds.contains(&address.kind()) && OURS.iter().any(|key| ids.get(*key).is_some_and(|is| is == id))
        })
    };
    // A list of bindings has the order of a trigger, with the Actions of others.
    if ["auth0_trigger_actions", "auth0_trigger_binding"].contains(&resource.kind.as_str()) {
        return match instance.actions.as_slice() {
            [id] if has(ACTIONS, id) => None,
            all if all.iter().any(|id| has(ACTIONS, id)) => Some(
                "it lists Actions of others too; let auth0_trigger_action bind those before you remove it"
                    .into(),
            ),
            _ => Some("none of its Actions is in the manifest".into()),
        };
    }
    let Some((_, of)) = TYPES.iter().find(|(kind, _)| *kind == resource.kind) else {
        return Some("a manifest does not have it".into());
    };
    match of {
        Of::Left(why) => Some((*why).into()),
        Of::Once(_) if is_mixed => Some(
            "the state has several tenants, and it does not say whose this is; if it is this tenant's, remove it as well".into(),
        ),
        Of::Once(kinds) if adopted.ids.keys().any(|address| kinds.contains(&address.kind())) => None,
        Of::Once(_) => Some("the manifest does not say it".into()),
        Of::Id(key, kinds) => {
            let id = instance.ids.get(key).or_else(|| instance.ids.get("id"));
            match id.is_some_and(|id| has(kinds, id)) {
                true => None,
                false => Some("its object is not in the manifest, or not in this tenant".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_instances_and_modules_are_no_part_of_an_address() {
        for (address, plain, fits) in [
            ("auth0_action.phone", "auth0_action.phone", true),
            ("auth0_action.phone[0]", "auth0_action.phone", true),
            ("module.a[\"x.y\"].auth0_action.phone[\"a]b\"]", "module.a.auth0_action.phone", true),
            ("module.a.module.b.auth0_action.phone", "module.a.module.b.auth0_action.phone", true),
            ("auth0_action.phone\n}", "auth0_action.phone\n}", false),
            ("auth0_action", "auth0_action", false),
            ("x.a.auth0_action.phone", "x.a.auth0_action.phone", false),
            ("auth0_action.${x}", "auth0_action.${x}", false),
        ] {
            assert_eq!(without_keys(address), plain);
            assert_eq!(is_address(plain), fits, "{address}");
        }
    }

    #[test]
    fn something_else_than_a_state_is_named() {
        for (text, words) in [
            ("", "ends in the middle"),
            ("{\"version\": 4, \"resources\": [", "ends in the middle"),
            ("hello", "is not JSON"),
            ("[]", "not a Terraform state"),
            ("{}", "not a Terraform state"),
            ("{\"version\": 3, \"terraform_version\": \"0.11.0\", \"modules\": []}", "format 3"),
            ("{\"version\": 5, \"lineage\": \"x\"}", "format 5"),
            ("{\"version\": 4, \"lineage\": \"x\"}", "no list of resources"),
            ("{\"format_version\": \"1.0\", \"planned_values\": {}}", "is a plan"),
            ("{\"format_version\": \"2.0\"}", "format_version"),
            ("{\"encrypted_data\": \"x\"}", "encrypted"),
        ] {
            let error = read(text).map(|_| ()).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(
            read("{\"format_version\": \"1.0\", \"terraform_version\": \"1.9.0\"}").is_ok(),
            "an empty state"
        );
    }
}
