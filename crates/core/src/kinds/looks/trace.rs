//! Finds the Verify service of a stack whose record is lost, through the variables of the stack's Function.

use serde_json::Value as Json;

use crate::kinds::remote::serverless;
use crate::kinds::said::function::{SECTION_PATH, environment_name, unique_name};
use crate::kinds::{is_sid, text};
use crate::model::manifest::Manifest;
use crate::port::Reader;

/// The object's SID, if it begins with the prefix `kind` and has the form of a SID. Any other text is dropped, because
/// the SID becomes part of a later request's path, and a reply must not direct that request elsewhere.
fn sid_of(object: &Json, kind: &str) -> Option<String> {
    Some(text(object, "sid").to_owned()).filter(|sid| is_sid(sid, kind))
}

/// SID of the Verify service that the declared Function reports to, taken from the Function's variables. `None`: the
/// manifest declares no Function, or the SID cannot be read. The observation of the Function sends the same reads, so
/// these cost no extra request.
pub async fn verify_sid(manifest: &Manifest, reader: &Reader) -> Option<String> {
    manifest.section(SECTION_PATH)?;
    let service = reader.get(&serverless::read_service(&unique_name(manifest))).await.ok()?;
    let service = sid_of(&service, "ZS")?;
    let environments = reader.get(&serverless::list_in_service(&service, "Environments")).await.ok()?;
    let wanted = environment_name(manifest);
    let environments = serverless::entries_with_sids(&environments, "environments").ok()?;
    let environment = environments.iter().find(|one| text(one, "unique_name") == wanted)?;
    let path = format!("Environments/{}/Variables", sid_of(environment, "ZE")?);
    let variables = reader.get(&serverless::list_in_service(&service, &path)).await.ok()?;
    let variables = serverless::entries_with_sids(&variables, "variables").ok()?;
    let variable = variables.iter().find(|one| text(one, "key") == "TWILIO_VERIFY_SID")?;
    Some(text(variable, "value").to_owned()).filter(|sid| is_sid(sid, "VA"))
}
