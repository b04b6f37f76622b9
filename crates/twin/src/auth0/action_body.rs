//! The parts of an Action's body: what may be sent, within which bounds, and in which order it comes back.

use serde_json::{Value, json};

use super::super::options::SecretWithoutValue;
use super::super::wire::Reply;
use super::super::world::{ActionModule, Dependency, Secret, TriggerRef};
use super::body::{Fields, invalid};
use super::{Call, triggers};

/// Limits of every plan (Auth0 docs, Actions limitations, 2026-08).
const SECRETS_PER_ACTION: usize = 30;
const DEPENDENCIES_PER_ACTION: usize = 10;
const MODULES_PER_ACTION: usize = 3;
const CODE_BYTES: usize = 100_000;
/// The version that `latest` and ranges resolve to.
const LATEST_VERSION: &str = "6.2.0";

pub(super) fn read_triggers(fields: &Fields) -> Result<Option<TriggerRef>, Reply> {
    let Some(list) = fields.array("supported_triggers")? else { return Ok(None) };
    // The schema allows a list, but only lists of one trigger were ever seen or accepted.
    let [only] = list.as_slice() else {
        return Err(invalid("Expected exactly one item' on property 'supported_triggers"));
    };
    // A client may send back the keys that the list of triggers shows.
    let keys =
        ["id", "version", "status", "runtimes", "default_runtime", "binding_policy", "compatible_triggers"];
    let item = Fields::strict(only, "supported_triggers[0]", &keys)?;
    let wanted = TriggerRef::new(item.need_string("id", 1, 64)?, item.need_string("version", 1, 16)?);
    match triggers::find(&wanted) {
        Some(_) => Ok(Some(wanted)),
        None => Err(invalid("No such trigger' on property 'supported_triggers")),
    }
}

pub(super) fn read_runtime(fields: &Fields, trigger: &triggers::Trigger) -> Result<Option<String>, Reply> {
    Ok(fields.choice("runtime", trigger.runtimes)?.map(str::to_owned))
}

pub(super) fn read_code(fields: &Fields) -> Result<Option<String>, Reply> {
    match fields.string("code", 0, usize::MAX)? {
        Some(code) if code.len() > CODE_BYTES => {
            Err(invalid("The code is larger than 100 kB' on property 'code"))
        }
        code => Ok(code.map(str::to_owned)),
    }
}

/// Whether a version is a tag or a range rather than a release.
fn moves(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default().split('.');
    numbers.clone().count() != 3 || !numbers.into_iter().all(|part| part.parse::<u64>().is_ok())
}

pub(super) fn read_dependencies(fields: &Fields, resolve: bool) -> Result<Option<Vec<Dependency>>, Reply> {
    let Some(list) = fields.array("dependencies")? else { return Ok(None) };
    if list.len() > DEPENDENCIES_PER_ACTION {
        return Err(invalid("Array is too long, maximum 10' on property 'dependencies"));
    }
    let mut out: Vec<Dependency> = Vec::new();
    for (at, item) in list.iter().enumerate() {
        let item =
            Fields::strict(item, &format!("dependencies[{at}]"), &["name", "version", "registry_url"])?;
        let name = item.need_string("name", 1, 214)?.to_owned();
        let mut version = item.need_string("version", 1, 128)?.to_owned();
        item.string("registry_url", 0, 1_000)?;
        if resolve && moves(&version) {
            version = LATEST_VERSION.into();
        }
        if out.iter().any(|seen| seen.name == name) {
            return Err(invalid("A dependency is named twice' on property 'dependencies"));
        }
        out.push(Dependency { name, version });
    }
    // The order of the request is not kept (recorded).
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(out))
}

pub(super) fn read_secrets(
    fields: &Fields,
    old: &[Secret],
    call: &Call,
    stamp: &str,
) -> Result<Option<Vec<Secret>>, Reply> {
    let Some(list) = fields.array("secrets")? else { return Ok(None) };
    if list.len() > SECRETS_PER_ACTION {
        return Err(invalid("Array is too long, maximum 30' on property 'secrets"));
    }
    let mut out: Vec<Secret> = Vec::new();
    for (at, item) in list.iter().enumerate() {
        // Secret objects accept further keys (published schema), so a client may send back what it read.
        let item = Fields::open(item, &format!("secrets[{at}]"))?;
        let name = item.need_string("name", 1, 128)?;
        let former = old.iter().find(|secret| secret.name == name);
        let secret = match (item.string("value", 0, 4_096)?, former) {
            (Some(value), Some(former))
                if former.value == value && !call.options.unchanged_secret_moves_time =>
            {
                former.clone()
            }
            (Some(value), _) => {
                Secret { name: name.to_owned(), value: value.to_owned(), updated_at: stamp.to_owned() }
            }
            (None, Some(former)) if call.options.secret_name_without_value == SecretWithoutValue::KeepOld => {
                former.clone()
            }
            (None, _) => return Err(invalid(&format!("Missing required property: {}", item.path("value")))),
        };
        if out.iter().any(|seen| seen.name == secret.name) {
            return Err(invalid("A secret is named twice' on property 'secrets"));
        }
        out.push(secret);
    }
    // Secrets come back in another order: bar, foo was sent, and foo, bar came back (recorded).
    out.sort_by(|a, b| b.name.cmp(&a.name));
    Ok(Some(out))
}

/// A client names a module version by ids. Reads also show its name and number (recorded).
pub(super) fn read_modules(fields: &Fields, known: &[ActionModule]) -> Result<Option<Vec<Value>>, Reply> {
    let Some(list) = fields.array("modules")? else { return Ok(None) };
    if list.len() > MODULES_PER_ACTION {
        return Err(invalid("Array is too long, maximum 3' on property 'modules"));
    }
    let mut out = Vec::new();
    for (at, item) in list.iter().enumerate() {
        let item = Fields::open(item, &format!("modules[{at}]"))?;
        let id = item.need_string("module_id", 1, 64)?;
        let version_id = item.need_string("module_version_id", 1, 64)?;
        let module = known.iter().find(|module| module.id == id);
        // How the API refuses an unknown module is not recorded.
        let (module, number) = module
            .and_then(|module| Some((module, module.versions.get(version_id)?)))
            .ok_or_else(|| invalid("No such module' on property 'modules"))?;
        out.push(json!({"module_id": id, "module_name": module.name, "module_version_id": version_id,
            "module_version_number": number}));
    }
    Ok(Some(out))
}
