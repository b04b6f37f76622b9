//! Attribute values: the observed, the desired or the last applied value of a field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::secret::Secret;

/// Fields of one resource, keyed by their dotted path inside it (`friendly_name`, `secrets.TWILIO_API_KEY`,
/// `dependencies.twilio`). Sorted, so that every output is in a fixed order.
pub type Attrs = BTreeMap<String, Value>;

/// Non-secret facts that a resource hands to others and to its own next run (`sid`, `id`). Keyed by output name.
pub type Ids = BTreeMap<String, String>;

/// One desired or observed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Plain data; sets are sorted arrays.
    Known(Json),
    /// A value that is never printed. Either desired, or observed because the vendor returns it in clear.
    Secret(Secret),
    /// Desired: text that contains outputs of other resources, resolved once those exist.
    Output(Template),
    /// Desired: a secret that the apply generates, under the name after `generated.`.
    Generated(String),
    /// Desired: the secret of a key that the apply makes at Twilio, under the name after `minted.`. Only the reply that
    /// makes the key shows it.
    Minted(String),
    /// Observed: a value that cannot be read back. Holds remote marks (such as a time of change) that differ after
    /// every write of the value.
    Stamp(Json),
    /// Desired: a reference without a value, in a plan that may go on without it. Holds the reference's name.
    Unknown(String),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Known(Json::String(text.into()))
    }

    /// The plain data, if it is plain.
    pub fn known(&self) -> Option<&Json> {
        match self {
            Value::Known(json) => Some(json),
            _ => None,
        }
    }

    /// The plain text, if it is plain text.
    pub fn as_str(&self) -> Option<&str> {
        self.known().and_then(Json::as_str)
    }

    /// The text that may be printed in place of the value.
    pub fn shown(&self) -> Json {
        match self {
            Value::Known(json) => json.clone(),
            Value::Secret(_) => Json::String("(secret) set".into()),
            Value::Output(_) => Json::String("(known after apply)".into()),
            Value::Generated(_) => Json::String("(secret) generated".into()),
            Value::Minted(_) => Json::String("(secret) minted".into()),
            Value::Stamp(_) => Json::String("(secret) set".into()),
            Value::Unknown(name) => Json::String(format!("(unknown: {name})")),
        }
    }
}

/// Text that contains references to outputs. It has at least one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub parts: Vec<Part>,
    /// The field is for a secret, so the resolved text is handled as one (of public origin).
    pub secret: bool,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Output(OutputRef),
}

/// How the address of a resource of another tenant of the fleet begins: `tenants.hub.verify_service`.
pub const TENANTS: &str = "tenants.";

/// An output of a resource, `${verify_service.sid}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutputRef {
    /// Address of the resource, `verify_service`.
    pub resource: String,
    /// Name of the output, `sid`.
    pub output: String,
}

impl OutputRef {
    /// The tenant and the name of the output there, if it is one of another tenant.
    pub fn of_tenant(&self) -> Option<(&str, String)> {
        let (tenant, resource) = self.resource.strip_prefix(TENANTS)?.rsplit_once('.')?;
        Some((tenant, format!("{resource}.{}", self.output)))
    }
}

/// What a stack hands on, by name: `verify_service.sid`.
pub type Outputs = BTreeMap<String, Value>;
