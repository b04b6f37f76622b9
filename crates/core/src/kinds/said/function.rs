//! The Function of the feedback in the manifest: its names, its URL, and the variables that the stack fills in.

use ring::digest;

use super::streams;
use crate::model::manifest::Manifest;
use crate::model::random::hex;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, OutputRef, Part, Template, Value};

/// Name of the kind and address of its resource.
pub const NAME: &str = "feedback_function";
/// Its section.
pub const SECTION_PATH: &str = "feedback.function";
/// The secret that the stream sends, and the one before it while a change is under way.
pub const CURRENT: &str = "WEBHOOK_SECRET";
pub const PREVIOUS: &str = "WEBHOOK_SECRET_PREVIOUS";

/// Stands for the URL of a Function whose environment does not exist yet.
pub const URL_TO_COME: &str = "(the Function)";

/// Unique name of the service. The default names stack and tenant: one account may serve the tenants of several
/// stages, whose manifests are the same but for the domain.
pub fn unique_name(manifest: &Manifest) -> String {
    if let Some(name) = manifest.text(SECTION_PATH, "unique_name") {
        return name.to_owned();
    }
    let domain = manifest
        .text("auth0", "domain")
        .or_else(|| manifest.secret("auth0", "domain").map(Secret::expose))
        .unwrap_or_default();
    let whole = format!("{}\n{}", domain.to_ascii_lowercase(), manifest.stack);
    let hash = hex(&digest::digest(&digest::SHA256, whole.as_bytes()).as_ref()[..3]);
    let clean = |ch: char| if ch.is_ascii_alphanumeric() { ch.to_ascii_lowercase() } else { '-' };
    // 50 characters in all.
    let stack: String = manifest.stack.chars().take(25).map(clean).collect();
    format!("lockstep-feedback-{stack}-{hash}")
}

/// Unique name of the environment.
pub fn environment_name(manifest: &Manifest) -> &str {
    manifest.text(SECTION_PATH, "environment").unwrap_or("production")
}

/// Whether that URL is one of the Function that the manifest declares, also of an earlier environment of it.
pub fn is_own_url(manifest: &Manifest, url: &str) -> bool {
    let start = format!("https://{}-", unique_name(manifest).to_ascii_lowercase());
    let host = url.split('/').nth(2).unwrap_or_default();
    url.to_ascii_lowercase().starts_with(&start) && host.ends_with(".twil.io")
}

/// The variables that are wanted, the user's own and those that the stack fills in; `None`: there is no Function.
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
        ("TWILIO_ACCOUNT_SID", manifest.get("twilio", "account_sid").map(hidden)),
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

/// Every variable is read back as a secret, so an address is compared as one.
fn hidden(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => Value::Secret(Secret::new(text, Origin::Public)),
        None => value.clone(),
    }
}
