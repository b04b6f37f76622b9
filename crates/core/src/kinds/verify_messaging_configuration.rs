//! Messaging configurations of the Verify service: which messaging service sends the codes to a country. The country is
//! the identity; countries that the manifest does not name stay as they are.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::looks::verify_below::{prefetch, read_below};
use super::looks::verify_service::unproven;
use super::remote::verify_below;
use super::said::verify_service::{LEFT_WITH_IT, is_spared, is_used};
use super::{
    Diff, Done, Hint, Kind, Leaving, Resource, Run, Seen, Task, added, countries, identity, step, text,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::ledger::{Entry, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct VerifyMessagingConfiguration;

const NAME: &str = "verify_messaging_configuration";
const SECTION: &str = "verify_service";
const PREFIX: &str = "messaging_configurations.";
const LIST: &str = "MessagingConfigurations";
const FIELD: &str = "messaging_service_sid";

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Create,
    Update,
    Delete,
}

/// Countries that have a configuration and that the manifest does not name.
#[derive(Clone, Default)]
struct Added(Vec<String>);

fn country(address: &Address) -> &str {
    address.name().unwrap_or_default()
}

impl Kind for VerifyMessagingConfiguration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        &[]
    }

    fn api_path(&self) -> &'static str {
        "/v2/Services/{sid}/MessagingConfigurations"
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let resource = |(key, value): (&String, &Value)| {
            let address = Address::named(NAME, key.strip_prefix(PREFIX)?);
            Some(Resource { address, kind: NAME, desired: Attrs::from([(FIELD.to_owned(), value.clone())]) })
        };
        manifest.section(SECTION).into_iter().flatten().filter_map(resource).collect()
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        for (key, value) in manifest.section(SECTION).into_iter().flatten() {
            let Some(country) = key.strip_prefix(PREFIX) else { continue };
            let place = format!("{SECTION}.{key}");
            if country != "all" && !countries::is_country(country) {
                out.push(
                    Problem::error(
                        codes::BAD_TEXT,
                        place.clone(),
                        format!("{country:?} is not a country"),
                        "it has to be an ISO 3166 code of two capitals, or all",
                        countries::suggestion(country),
                    )
                    .at_key(),
                );
            }
            if value.as_str().is_some_and(|sid| !is_messaging_service(sid)) {
                out.push(Problem::error(
                    codes::BAD_TEXT,
                    place,
                    "not the SID of a messaging service",
                    "its SID is MG and 32 hex digits",
                    "copy it from the Twilio Console (Messaging, Services)",
                ));
            }
        }
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        prefetch(manifest, LIST)
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let Some((sid, list)) = read_below(&hint, LIST, reader).await? else {
                return Ok(Seen::default());
            };
            let there = verify_below::items(&list, "messaging_configurations", &["/country"])?;
            let section = hint.manifest.section(SECTION).into_iter().flatten();
            let declared: Vec<&str> = section.filter_map(|(key, _)| key.strip_prefix(PREFIX)).collect();
            let countries = there.iter().map(|one| text(one, "country"));
            let added = added::added_to_list(&hint, NAME, &declared, countries);
            let found = find(&list, country(hint.address))?;
            let mut seen = found.map(|found| parse(found, &sid)).unwrap_or_default();
            seen.keep(|own: &mut Added| own.0 = added);
            if !seen.exists {
                return Ok(seen);
            }
            // A configuration has no SID of its own. The record is about this one if it has the SID of this service.
            seen.whose = identity::whose(&hint.clues("service_sid", ""), &sid);
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        if !diff.seen.exists {
            let op = Op::of(Act::Create);
            let mut create = diff.step(Verb::Create, Stage::Limits, "create the configuration", op);
            create.creates = true;
            create.reason = match diff.entry {
                Some(_) => "it was deleted outside".into(),
                None => "it does not exist".into(),
            };
            return vec![create];
        }
        if diff.changes.is_empty() {
            return Vec::new();
        }
        let op = Op::of(Act::Update);
        let mut update = diff.step(Verb::Update, Stage::Limits, "set the messaging service", op);
        update.reason = diff.changed_names();
        vec![update]
    }

    /// A service that is left to others keeps what is below it.
    fn leaving(&self, manifest: &Manifest) -> Leaving {
        if is_used(manifest) { Leaving::Abandoned(LEFT_WITH_IT) } else { Leaving::Removed }
    }

    fn spares(&self, manifest: &Manifest, entry: &Entry) -> bool {
        is_spared(manifest, entry.ids.get("service_sid"))
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        let ours = entry.ownership == Ownership::Created;
        let former =
            entry.restore.get(FIELD).filter(|old| seen.attrs.get(FIELD).and_then(Value::known) != Some(*old));
        let (verb, what, op, reason) = match (ours, former) {
            (true, _) => (
                Verb::Delete,
                "delete the configuration",
                Op::of(Act::Delete),
                "it was created by this stack",
            ),
            (false, Some(old)) => (
                Verb::Update,
                "put the former messaging service back",
                Op::of(Act::Update).writing([(FIELD.to_owned(), old.clone())]),
                "it existed before this stack",
            ),
            (false, None) => return Vec::new(),
        };
        let mut made = step(address, NAME, verb, Stage::RemoveLimits, what, op);
        made.reason = reason.into();
        vec![made]
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn refusals(&self, diff: &Diff<'_>, steps: &[Step]) -> Vec<Finding> {
        let what = "the Verify service has messaging configurations for countries";
        let place = "verify_service.messaging_configurations";
        let added = diff.seen.own::<Added>();
        let added = added.and_then(|added| added::finding(diff.address, what, &added.0, place));
        added.into_iter().chain(unproven(diff, steps)).collect()
    }

    fn facts(&self, _address: &Address, _seen: &Seen) -> Facts {
        // Twilio sends codes without a configuration too, so the delivery path does not depend on one.
        Facts::new()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let country = country(run.address);
            let one = verify_below::path(&run, &format!("{LIST}/{country}"))?;
            let sid = ("MessagingServiceSid", wanted_sid(&run));
            let reply = match run.act()? {
                Act::Create => {
                    let form = [("Country", country.to_owned()), sid];
                    let path = verify_below::path(&run, LIST)?;
                    verify_below::send(writer, Method::Post, path, &form, Repeat::NeverBlind).await?
                }
                Act::Update => verify_below::send(writer, Method::Post, one, &[sid], Repeat::Safe).await?,
                Act::Delete => {
                    return match verify_below::send(writer, Method::Delete, one, &[], Repeat::Safe).await {
                        Err(failed) if failed.status() != Some(404) => Err(failed),
                        _ => Ok(Done::seen(Seen::default())),
                    };
                }
            };
            if text(&reply, FIELD).is_empty() {
                return Err(Failed::Unknown("the reply to a write does not show the configuration".into()));
            }
            Ok(Done::seen(Seen {
                whose: run.seen.whose,
                own: run.seen.own.clone(),
                ..parse(&reply, &verify_below::service_sid(&run))
            }))
        })
    }

    /// Twilio refuses a second configuration for the same country (60213).
    fn may_repeat(&self, _step: &Step) -> bool {
        true
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let service = verify_below::service_sid(&run);
            let list = reader.fresh(&verify_below::list_below(&service, LIST)).await?;
            let found = find(&list, country(run.address))?;
            Ok(match (run.act()?, found) {
                (Act::Delete, None) => Some(Done::seen(Seen::default())),
                (Act::Create | Act::Update, Some(found)) if text(found, FIELD) == wanted_sid(&run) => {
                    Some(Done::seen(parse(found, &service)))
                }
                (Act::Delete, Some(_)) | (Act::Create | Act::Update, _) => None,
            })
        })
    }
}

/// Whether the SID is `MG` and 32 hex digits.
fn is_messaging_service(sid: &str) -> bool {
    sid.len() == 34 && sid.starts_with("MG") && sid.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit())
}

fn wanted_sid(run: &Run<'_>) -> String {
    let former = run.step.op.value(FIELD).and_then(Json::as_str).map(str::to_owned);
    former.or_else(|| run.desired.get(FIELD).and_then(verify_below::text_to_send)).unwrap_or_default()
}

fn find<'a>(list: &'a Json, country: &str) -> Result<Option<&'a Json>, Failed> {
    let items = verify_below::items(list, "messaging_configurations", &["/country"])?;
    Ok(items.iter().find(|one| text(one, "country").eq_ignore_ascii_case(country)))
}

fn parse(one: &Json, service_sid: &str) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("service_sid".into(), service_sid.to_owned());
    seen.attrs.insert(FIELD.into(), Value::text(text(one, FIELD)));
    seen
}
