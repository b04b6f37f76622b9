//! The feedback Function in the manifest: its names, its URL, and the variables that the stack fills in.

use ring::digest;

use super::streams;
use crate::model::manifest::Manifest;
use crate::model::random::hex;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, OutputRef, Part, Template, Value};

/// The name of the kind, which is also the address of its resource.
pub const NAME: &str = "feedback_function";
/// Path of its section.
pub const SECTION_PATH: &str = "feedback.function";
/// The variable with the secret that the stream sends.
pub const CURRENT: &str = "WEBHOOK_SECRET";
/// The variable with the former secret, while a change of the secret is under way.
pub const PREVIOUS: &str = "WEBHOOK_SECRET_PREVIOUS";

/// Variables that the code reads and the stack fills in, each with the manifest key that gives its value. `None`: no
/// key gives it.
pub const FILLED_IN: [(&str, Option<&str>); 6] = [
    ("TWILIO_ACCOUNT_SID", Some("twilio.account_sid")),
    ("TWILIO_API_KEY", Some("feedback.function.api_key")),
    ("TWILIO_API_SECRET", Some("feedback.function.api_secret")),
    ("TWILIO_VERIFY_SID", None),
    (CURRENT, Some("feedback.log_stream.authorization")),
    (PREVIOUS, None),
];

/// The text that is shown in place of the URL while the Function's environment does not exist.
pub const URL_TO_COME: &str = "(the Function)";

/// Unique name of the service. The default depends on the stack and on the tenant, because one account may serve the
/// tenants of several stages whose manifests differ only in the domain.
pub fn unique_name(manifest: &Manifest) -> String {
    if let Some(name) = manifest.text(SECTION_PATH, "unique_name") {
        return name.to_owned();
    }
    let hash = stack_hash(manifest);
    let clean = |ch: char| if ch.is_ascii_alphanumeric() { ch.to_ascii_lowercase() } else { '-' };
    // With 25 characters of the stack, the whole name has at most 50.
    let stack: String = manifest.stack.chars().take(25).map(clean).collect();
    format!("lockstep-feedback-{stack}-{hash}")
}

/// Six digits for one stack on one tenant, for names that several stacks of an account must not share.
pub fn stack_hash(manifest: &Manifest) -> String {
    let domain = manifest
        .text("auth0", "domain")
        .or_else(|| manifest.secret("auth0", "domain").map(Secret::expose))
        .unwrap_or_default();
    let whole = format!("{}\n{}", domain.to_ascii_lowercase(), manifest.stack);
    hex(&digest::digest(&digest::SHA256, whole.as_bytes()).as_ref()[..3])
}

/// Unique name of the environment.
pub fn environment_name(manifest: &Manifest) -> &str {
    manifest.text(SECTION_PATH, "environment").unwrap_or("production")
}

/// Whether the URL belongs to the Function that the manifest declares, in its present environment or in another one.
pub fn is_own_url(manifest: &Manifest, url: &str) -> bool {
    let start = format!("https://{}-", unique_name(manifest).to_ascii_lowercase());
    let host = url.split('/').nth(2).unwrap_or_default();
    url.to_ascii_lowercase().starts_with(&start) && host.ends_with(".twil.io")
}

/// The wanted variables: the user's own ones and those that the stack fills in. `None`: the manifest has no Function.
pub fn variables(manifest: &Manifest) -> Option<Attrs> {
    let attrs = manifest.section(SECTION_PATH)?;
    let own = attrs.iter().filter(|(key, _)| key.starts_with("variables."));
    let mut variables: Attrs = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    let verify = Template {
        parts: vec![Part::Output(OutputRef { resource: "verify_service".into(), output: "sid".into() })],
        secret: true,
    };
    let filled = [
        ("TWILIO_API_KEY", attrs.get("api_key").cloned()),
        ("TWILIO_API_SECRET", attrs.get("api_secret").cloned()),
        ("TWILIO_ACCOUNT_SID", manifest.get("twilio", "account_sid").map(as_secret)),
        ("TWILIO_VERIFY_SID", Some(Value::Output(verify))),
        (CURRENT, manifest.get(streams::SECTION_PATH, "authorization").cloned()),
    ];
    for (name, value) in filled {
        if let Some(value) = value {
            variables.insert(format!("variables.{name}"), value);
        }
    }
    Some(variables)
}

/// A public value as a secret. Every variable reads back as a secret, so the wanted value has to be a secret too.
fn as_secret(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => Value::Secret(Secret::new(text, Origin::Public)),
        None => value.clone(),
    }
}
