//! Outputs that one tenant of a fleet hands to others: what a stack has to hand on, what a manifest takes, and the
//! manifest with the taken values in it.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::Known;
use crate::kinds;
use crate::model::manifest::Manifest;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Outputs, Part, Template, Value};

/// Where the secret stands that a hub hands on beside the outputs of its resources, and its name.
const AUTHORIZATION: (&str, &str, &str) = ("feedback.log_stream", "authorization", "feedback.authorization");

/// The outputs of other tenants, by the name of the tenant. `None`: the tenant could not be read.
pub type Hubs = BTreeMap<String, Option<Outputs>>;

/// What the stack of a manifest has to hand on, as far as it is known.
pub fn outputs(manifest: &Manifest, known: &Known) -> Outputs {
    let mut out = Outputs::new();
    for (resource, names) in kinds::OUTPUTS {
        for name in *names {
            let id = known.ids.get(*resource).and_then(|ids| ids.get(*name)).filter(|id| !id.is_empty());
            let value = match id {
                Some(id) => Value::text(id),
                None if known.unread.contains(*resource) => Value::Unknown(format!("{resource}.{name}")),
                None => continue,
            };
            out.insert(format!("{resource}.{name}"), value);
        }
    }
    let (section, key, name) = AUTHORIZATION;
    let said = manifest.get(section, key).map(|value| Attrs::from([(key.to_owned(), value.clone())]));
    match said.and_then(|attrs| known.fill(&attrs).remove(key)) {
        Some(Value::Known(json)) => {
            let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            out.insert(name.to_owned(), Value::Secret(Secret::new(text, Origin::Person)));
        }
        Some(value @ (Value::Secret(_) | Value::Unknown(_))) => drop(out.insert(name.to_owned(), value)),
        _ => {}
    }
    out
}

/// Whether some stack has an output of that name.
pub fn is_output(name: &str) -> bool {
    let of = |(resource, outputs): &(&str, &[&str])| {
        outputs.iter().any(|output| name == format!("{resource}.{output}"))
    };
    name == AUTHORIZATION.2 || kinds::OUTPUTS.iter().any(of)
}

/// Whether the stack of a manifest makes the output of that name.
pub fn makes(manifest: &Manifest, name: &str) -> bool {
    if name == AUTHORIZATION.2 {
        return manifest.get(AUTHORIZATION.0, AUTHORIZATION.1).is_some();
    }
    let resource = name.split('.').next().unwrap_or_default();
    super::desired::declared(manifest).iter().any(|one| one.address == resource)
}

/// The outputs of other tenants that a manifest takes: the tenant, the output, and the key that takes it.
pub fn taken(manifest: &Manifest) -> BTreeSet<(String, String, String)> {
    let mut out = BTreeSet::new();
    for (section, attrs) in &manifest.sections {
        for (key, value) in attrs {
            let Value::Output(template) = value else { continue };
            for (tenant, name) in template.parts.iter().filter_map(of_tenant) {
                out.insert((tenant.to_owned(), name, format!("{section}.{key}")));
            }
        }
    }
    out
}

/// The manifest with the outputs of other tenants in it, as far as they are known. What comes only with the apply of
/// the other tenant stays a reference.
pub fn filled(manifest: &Manifest, hubs: &Hubs) -> Manifest {
    let mut out = manifest.clone();
    for value in out.sections.values_mut().flat_map(BTreeMap::values_mut) {
        if let Value::Output(template) = value
            && template.parts.iter().any(|part| of_tenant(part).is_some())
        {
            *value = with_values(template, hubs);
        }
    }
    out
}

fn with_values(template: &Template, hubs: &Hubs) -> Value {
    let mut parts = Vec::with_capacity(template.parts.len());
    let mut origin = template.secret.then_some(Origin::Public);
    let mut is_hidden = false;
    for part in &template.parts {
        let Some((tenant, name)) = of_tenant(part) else {
            parts.push(part.clone());
            continue;
        };
        match hubs.get(tenant).map(|outputs| outputs.as_ref().map(|outputs| outputs.get(&name))) {
            Some(Some(Some(Value::Secret(secret)))) => {
                (origin, is_hidden) = (Some(secret.origin()), true);
                parts.push(Part::Text(secret.expose().to_owned()));
            }
            Some(Some(Some(Value::Known(json)))) => {
                parts.push(Part::Text(json.as_str().map_or_else(|| json.to_string(), str::to_owned)));
            }
            Some(None | Some(Some(_))) => return Value::Unknown(format!("tenants.{tenant}.{name}")),
            None | Some(Some(None)) => return Value::Output(template.clone()),
        }
    }
    let text = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        Part::Output(_) => None,
    };
    match (parts.iter().map(text).collect::<Option<String>>(), origin) {
        (Some(text), Some(origin)) => Value::Secret(Secret::new(text, origin)),
        (Some(text), None) => Value::text(text),
        // A template prints its text, so the secret waits until all of it is known.
        (None, _) if is_hidden => Value::Output(template.clone()),
        (None, _) => Value::Output(Template { parts, secret: template.secret }),
    }
}

fn of_tenant(part: &Part) -> Option<(&str, String)> {
    match part {
        Part::Output(output) => output.of_tenant(),
        Part::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::value::OutputRef;

    fn output(resource: &str, name: &str) -> Part {
        Part::Output(OutputRef { resource: resource.into(), output: name.into() })
    }

    fn hubs(outputs: &[(&str, Value)]) -> Hubs {
        let outputs = outputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Hubs::from([("a.hub".to_owned(), Some(outputs)), ("gone".to_owned(), None)])
    }

    #[test]
    fn a_value_is_filled_in_stays_a_reference_or_is_unknown() {
        let secret = Value::Secret(Secret::new("s3", Origin::Machine));
        let hubs =
            hubs(&[("verify_service.sid", json_text("VA1")), ("feedback.authorization", secret.clone())]);
        let sid = || output("tenants.a.hub.verify_service", "sid");
        let rows = [
            (vec![sid()], false, Value::text("VA1")),
            (vec![sid()], true, Value::Secret(Secret::new("VA1", Origin::Public))),
            (vec![Part::Text("x-".into()), sid()], false, Value::text("x-VA1")),
            (vec![output("tenants.a.hub.feedback", "authorization")], true, secret),
            (
                vec![output("tenants.gone.verify_service", "sid")],
                false,
                Value::Unknown("tenants.gone.verify_service.sid".into()),
            ),
        ];
        for (parts, secret, expected) in rows {
            assert_eq!(with_values(&Template { parts: parts.clone(), secret }, &hubs), expected, "{parts:?}");
        }
        for parts in [
            vec![output("tenants.a.hub.feedback_function", "url")],
            vec![output("tenants.other.verify_service", "sid")],
            // The secret would be printed with the rest.
            vec![output("tenants.a.hub.feedback", "authorization"), output("verify_service", "sid")],
        ] {
            let template = Template { parts, secret: true };
            assert_eq!(with_values(&template, &hubs), Value::Output(template.clone()));
        }
        let mixed = Template { parts: vec![sid(), output("action", "id")], secret: false };
        let left = Template { parts: vec![Part::Text("VA1".into()), output("action", "id")], secret: false };
        assert_eq!(with_values(&mixed, &hubs), Value::Output(left));
    }

    fn json_text(text: &str) -> Value {
        Value::Known(json!(text))
    }
}
