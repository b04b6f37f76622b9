//! Checks the Twilio credentials that the stack hands on to the Action that sends codes, and to the Function that
//! reports which codes were used.
//!
//! With wrong credentials no code arrives, and users are the first to notice. The credentials are therefore tried
//! before they are written, and by `drift`. They are also tried again right before a step that makes users depend on
//! the phone, because a key may have been revoked meanwhile. The trial only reads. It does not show whether a key may
//! also send, because every call of Verify that would show this has an effect.

use std::rc::Rc;

use serde_json::Value as Json;

use super::limits;
use crate::kinds::remote::verify_service::read_service;
use crate::kinds::said::{function, login_feedback};
use crate::kinds::{Run, Task, is_sid, text};
use crate::model::call::{Credentials, Failed};
use crate::model::codes;
use crate::model::manifest::Manifest;
use crate::model::minted;
use crate::model::plan::{Finding, Level};
use crate::model::secret::{Origin, Secret};
use crate::model::text::line;
use crate::model::value::{Attrs, Part, Value};
use crate::port::{Answered, LOOK_AGAIN_MS, Reader, join_all};

/// Error codes which say that the credentials are wrong or deleted, or that their account is suspended or closed
/// ("Twilio docs, error 20003 and 20403", 2026-08). A key that may not read Verify services is refused with another
/// code.
const DEAD: [&str; 2] = ["20003", "20403"];
/// Code of the refusal of a valid key that lacks the permission to read ("Twilio docs, error 70051", 2026-08).
const NOT_PERMITTED: &str = "70051";

/// How long an acceptance by Twilio counts for the following steps, in ms. Most steps follow each other within seconds
/// and share one trial. After a build, which may take minutes, the credentials are tried again.
const GOOD_MS: u64 = 10_000;

/// Where credentials are handed on.
#[derive(Clone, Copy)]
struct Place {
    /// Address of the resource.
    address: &'static str,
    /// Prefix of its fields.
    prefix: &'static str,
    /// The place in the manifest, in words.
    section: &'static str,
}

const ACTION: Place = Place { address: "action", prefix: "secrets.", section: "action.secrets" };
const FUNCTION: Place =
    Place { address: function::NAME, prefix: "variables.", section: function::SECTION_PATH };
const FEEDBACK: Place =
    Place { address: login_feedback::NAME, prefix: "secrets.", section: login_feedback::SECTION };

/// One pair of credentials among the values of a place.
struct Held {
    credentials: Credentials,
    /// SID of the account that the same place names. Messages are sent through this account, and the credentials must
    /// belong to it.
    account: Option<String>,
    /// The names of the two values that are the credentials, in words.
    names: String,
    /// Where they are handed on.
    place: Place,
}

/// Whether Twilio accepts credentials.
enum Verdict {
    Taken,
    /// Twilio does not accept them, or they are of another account. Holds the answer.
    Dead(Failed),
    /// Whether Twilio accepts them could not be found out. Holds the reason.
    Unknown(Failed),
}

/// The text of a field, plain or secret. `None`: it is empty or has no value yet.
fn field_text(attrs: &Attrs, field: &str) -> Option<String> {
    let text = match attrs.get(field)? {
        Value::Secret(secret) => secret.expose(),
        value => value.as_str()?,
    };
    (!text.is_empty()).then(|| text.to_owned())
}

/// The names that the secret of a key or an account may have, where `name` is the name of the key or account and
/// `suffix` the end of the secret's name. For `X_KEY` or `X_KEY_SID` and `SECRET`, they are `X_SECRET` and
/// `X_KEY_SECRET`. For `X_ACCOUNT_SID` and `AUTH_TOKEN`, they are `X_AUTH_TOKEN` and `X_ACCOUNT_AUTH_TOKEN`.
fn partners(name: &str, suffix: &str) -> Vec<String> {
    let stem = name.strip_suffix("_SID").unwrap_or(name);
    let parts = stem.rsplit_once('_').map_or("", |(before, _)| before);
    let join = |stem: &str| if stem.is_empty() { suffix.to_owned() } else { format!("{stem}_{suffix}") };
    vec![join(parts), join(stem)]
}

/// The credentials among the attributes of a place. A key or account that is not a SID is skipped: it may be a
/// placeholder of a sandbox, and Twilio can only be asked about a SID. If there is a key with its secret, the account's
/// token is left out, because the built-in code does not use the token then.
fn credentials_in(attrs: &Attrs, place: Place) -> Vec<Held> {
    let prefix = place.prefix;
    let mut values =
        attrs.keys().filter(|key| key.starts_with(prefix)).filter_map(|key| field_text(attrs, key));
    let account = values.find(|value| is_sid(value, "AC"));
    let pairs = |kind: &str, suffix: &str| -> Vec<Held> {
        let names = attrs.keys().filter_map(|key| key.strip_prefix(prefix));
        let pair = |name: &str| {
            let user = field_text(attrs, &format!("{prefix}{name}")).filter(|user| is_sid(user, kind))?;
            let (partner, secret) = partners(name, suffix)
                .into_iter()
                .find_map(|partner| Some((field_text(attrs, &format!("{prefix}{partner}"))?, partner)))
                .map(|(secret, partner)| (partner, secret))?;
            Some(Held {
                credentials: Credentials { user, secret: Secret::new(secret, Origin::Person) },
                account: account.clone(),
                names: format!("{name} and {partner}"),
                place,
            })
        };
        names.filter_map(pair).collect()
    };
    let keys = pairs("SK", "SECRET");
    if keys.is_empty() { pairs("AC", "AUTH_TOKEN") } else { keys }
}

/// The wanted values of each place that the manifest hands credentials to.
fn places_with_values(manifest: &Manifest) -> Vec<(Attrs, Place)> {
    let action = manifest.section(ACTION.section.split('.').next().unwrap_or_default()).cloned();
    let function = function::variables(manifest);
    let feedback = manifest.section(login_feedback::SECTION).map(|_| login_feedback::secrets(manifest));
    [(action, ACTION), (function, FUNCTION), (feedback, FEEDBACK)]
        .into_iter()
        .filter_map(|(attrs, place)| Some((attrs?, place)))
        .collect()
}

/// All credentials that the manifest hands on, except those that this program itself uses. The program's own reads show
/// whether these work.
fn all_credentials(manifest: &Manifest) -> Vec<Held> {
    let all =
        places_with_values(manifest).into_iter().flat_map(|(attrs, place)| credentials_in(&attrs, place));
    all.filter(|one| !is_own(&one.credentials, manifest)).collect()
}

fn is_own(credentials: &Credentials, manifest: &Manifest) -> bool {
    [("api_key", "api_secret"), ("account_sid", "auth_token")].iter().any(|(sid, secret)| {
        manifest.text("twilio", sid) == Some(&credentials.user)
            && manifest.secret("twilio", secret).is_some_and(|own| *own == credentials.secret)
    })
}

async fn try_one(held: &Held, reader: &Reader) -> Verdict {
    let credentials = &held.credentials;
    if reader.was_taken(credentials, GOOD_MS) {
        return Verdict::Taken;
    }
    let mut answer = reader.probe(credentials.clone()).await;
    if matches!(judge(&answer), Answer::No) {
        // One refusal proves nothing: a gateway may refuse in the same way, and it takes a moment until all of Twilio
        // knows a new key.
        reader.sleep_ms(LOOK_AGAIN_MS).await;
        answer = reader.probe(credentials.clone()).await;
    }
    if let (Some(own), Some(other)) = (&held.account, account_of(&answer))
        && own != other
    {
        return Verdict::Dead(Failed::NotDone(format!("they are of account {}, not of {own}", line(other))));
    }
    match (judge(&answer), answer) {
        (Answer::Yes, _) => {
            reader.took(credentials);
            Verdict::Taken
        }
        (Answer::No, Err(failed)) => Verdict::Dead(failed),
        (_, Err(failed)) => Verdict::Unknown(failed),
        (_, Ok(_)) => Verdict::Unknown(Failed::Misread("the list of Verify services: not a list".into())),
    }
}

/// SID of the account whose Verify services an answer lists. `None`: the answer has no service with such a SID.
fn account_of(answer: &Answered) -> Option<&str> {
    answer.as_ref().ok()?.get("services")?.get(0)?.get("account_sid")?.as_str()
}

/// What an answer says about the credentials that were tried.
#[derive(Clone, Copy)]
enum Answer {
    /// Twilio accepts the credentials. It may still refuse to show the list, but the list is not needed.
    Yes,
    No,
    /// The answer may be a gateway's, or there was none.
    Nothing,
}

fn judge(answer: &Answered) -> Answer {
    match answer {
        Ok(list) if list.get("services").is_some_and(Json::is_array) => Answer::Yes,
        Ok(_) => Answer::Nothing,
        Err(Failed::Refused(refusal)) => match (refusal.status, refusal.code.as_deref()) {
            (_, Some(code)) if DEAD.contains(&code) => Answer::No,
            (401 | 403, Some(NOT_PERMITTED)) => Answer::Yes,
            (401, _) => Answer::No,
            // The error codes of Twilio are numbers, and those of a gateway are words. With any number that is
            // not in `DEAD`, Twilio knows the key but does not let it read.
            (403, Some(code)) if code.parse::<u32>().is_ok() => Answer::Yes,
            _ => Answer::Nothing,
        },
        Err(_) => Answer::Nothing,
    }
}

/// Asks Twilio about all of these credentials at the same time.
async fn try_all(all: Vec<Held>, reader: &Reader) -> Vec<(Held, Verdict)> {
    let tasks: Vec<Task<'_, Verdict>> =
        all.iter().map(|one| Box::pin(try_one(one, reader)) as Task<'_, _>).collect();
    let verdicts = join_all(tasks).await;
    all.into_iter().zip(verdicts).collect()
}

/// Fails unless Twilio accepts all of these credentials. The message contains `undone`, which says what was not done.
async fn all_taken(all: Vec<Held>, undone: &str, reader: &Reader) -> Result<(), Failed> {
    for (Held { names, place: Place { section, .. }, .. }, verdict) in try_all(all, reader).await {
        match verdict {
            Verdict::Taken => {}
            Verdict::Unknown(Failed::Stopped) => return Err(Failed::Stopped),
            Verdict::Dead(failed) => {
                return Err(Failed::NotDone(format!(
                    "Twilio does not take the credentials in {names} of {section} ({failed}); {undone}: make a new key or \
                     correct their values, then apply again"
                )));
            }
            Verdict::Unknown(failed) => {
                return Err(Failed::NotDone(format!(
                    "whether Twilio takes the credentials in {names} of {section} could not be found out: {failed}; \
                     {undone}: apply again later"
                )));
            }
        }
    }
    Ok(())
}

/// Tries the credentials among the secrets of an Action that is about to be written. `action`: name of its kind.
///
/// # Errors
/// Twilio does not accept them, or this could not be found out. Nothing was written.
pub async fn tried_secrets(
    attrs: &Attrs,
    action: &str,
    manifest: &Manifest,
    reader: &Reader,
) -> Result<(), Failed> {
    let place = if action == FEEDBACK.address { FEEDBACK } else { ACTION };
    tried(attrs, place, manifest, reader).await
}

/// Like [`tried_secrets`], for the variables of the Function.
pub async fn tried_variables(attrs: &Attrs, manifest: &Manifest, reader: &Reader) -> Result<(), Failed> {
    tried(attrs, FUNCTION, manifest, reader).await
}

async fn tried(attrs: &Attrs, place: Place, manifest: &Manifest, reader: &Reader) -> Result<(), Failed> {
    let lost = |(field, value): (&String, &Value)| match value {
        Value::Minted(name) if field.starts_with(place.prefix) => Some(name.clone()),
        _ => None,
    };
    if let Some(name) = attrs.iter().find_map(lost) {
        return Err(Failed::NotDone(format!(
            "nobody has the secret of the key {name}, because the reply that showed it was lost; nothing was written: apply \
             again, which makes a new key and removes this one later"
        )));
    }
    let mut all = credentials_in(attrs, place);
    all.retain(|one| !is_own(&one.credentials, manifest));
    all_taken(all, "nothing was written", reader).await
}

/// The Verify services whose SIDs are among the secrets of the Action: the name of each secret, and the SID. If the
/// value refers to a resource, the SID comes from the ids that this run knows. Without a run, such a service is left
/// out.
fn named_services(attrs: &Attrs, run: Option<&Run<'_>>) -> Vec<(String, String)> {
    let of = |(key, value): (&String, &Value)| {
        let name = key.strip_prefix(ACTION.prefix)?;
        let sid = match value {
            Value::Output(template) => match template.parts.as_slice() {
                [Part::Output(output)] => {
                    run?.ids.get(output.resource.as_str())?.get(&output.output)?.clone()
                }
                _ => return None,
            },
            _ => field_text(attrs, key)?,
        };
        is_sid(&sid, "VA").then(|| (name.to_owned(), sid))
    };
    attrs.iter().filter_map(of).collect()
}

/// Whether the secrets of the Action name another account than `twilio.account_sid`. This program's own credentials
/// cannot read the services of that account.
fn is_elsewhere(attrs: &Attrs, manifest: &Manifest) -> bool {
    let own = manifest.text("twilio", "account_sid");
    let accounts =
        attrs.keys().filter(|key| key.starts_with(ACTION.prefix)).filter_map(|key| field_text(attrs, key));
    own.is_some_and(|own| accounts.into_iter().any(|sid| is_sid(&sid, "AC") && sid != own))
}

/// The problem of each of these services, read side by side.
async fn service_problems(
    named: &[(String, String)],
    reader: &Reader,
) -> Vec<Result<Option<&'static str>, Failed>> {
    let problems: Vec<Task<'_, _>> =
        named.iter().map(|(_, sid)| Box::pin(service_problem(sid, reader)) as Task<'_, _>).collect();
    join_all(problems).await
}

/// Why no code can be sent through the service, as the end of a sentence that begins with the service. `None`: no
/// reason is known.
async fn service_problem(sid: &str, reader: &Reader) -> Result<Option<&'static str>, Failed> {
    let mut reply = reader.get(&read_service(sid)).await;
    if reply.as_ref().is_err_and(|failed| failed.status() == Some(404)) {
        // A service that was created just now may not be found yet.
        reader.sleep_ms(LOOK_AGAIN_MS).await;
        reply = reader.fresh(&read_service(sid)).await.map(Rc::new);
    }
    match reply {
        Ok(service) if text(&service, "sid") != sid => {
            Err(Failed::Misread(format!("GET /v2/Services/{sid}: not the service that was asked for")))
        }
        Ok(service) if service["custom_code_enabled"] == serde_json::json!(false) => {
            Ok(Some("has custom codes off, so that Verify refuses every message of Auth0 (60204)"))
        }
        Ok(_) => Ok(None),
        Err(failed) if failed.status() == Some(404) => Ok(Some("does not exist in this account")),
        Err(failed) => Err(failed),
    }
}

/// Checks two things right before a step that makes users depend on the phone. Twilio must still accept all credentials
/// that the deployed code will use. The Verify service that the code names must exist and have custom codes on, whether
/// this stack manages the service or not.
///
/// # Errors
/// One of the two does not hold, or could not be found out. The caller must then not run the step.
pub async fn credentials_and_service_hold(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    const UNDONE: &str = "the step was not run, because it would make users depend on this";
    let attrs = run.manifest.section("action").cloned().unwrap_or_default();
    let named =
        if is_elsewhere(&attrs, run.manifest) { Vec::new() } else { named_services(&attrs, Some(run)) };
    let mut problems = Vec::new();
    let mut taken = Ok(());
    let both: Vec<Task<'_, ()>> = vec![
        Box::pin(async { problems = service_problems(&named, reader).await }),
        Box::pin(async { taken = all_taken(all_credentials(run.manifest), UNDONE, reader).await }),
    ];
    join_all(both).await;
    taken?;
    for (problem, (name, sid)) in problems.into_iter().zip(&named) {
        if let Some(problem) = problem? {
            return Err(Failed::NotDone(format!(
                "{}.{name} names the Verify service {sid}, which {problem}; {UNDONE}: correct the SID, or the service, \
                 then apply again",
                ACTION.section
            )));
        }
    }
    Ok(())
}

/// [`credentials_and_service_hold`] as a [`Ready`](super::Ready).
pub fn ready<'a>(run: &'a Run<'a>, reader: &'a Reader) -> Task<'a, Result<(), Failed>> {
    Box::pin(credentials_and_service_hold(run, reader))
}

/// The check right before a phone Action is deployed: [`credentials_and_service_hold`], and whether the rate limits
/// exist that the Action passes.
pub fn ready_to_deploy<'a>(run: &'a Run<'a>, reader: &'a Reader) -> Task<'a, Result<(), Failed>> {
    Box::pin(async move {
        credentials_and_service_hold(run, reader).await?;
        limits::ensure_limits_exist(run, reader).await
    })
}

/// The findings of `drift`: credentials that Twilio does not accept any more, and a Verify service through which no
/// code can be sent, if the manifest names that service by its SID. Each check costs one request, or two if the first
/// answer is a refusal or a 404. The notes of [`untried`] are included.
///
/// # Errors
/// The user stopped the run.
pub async fn drifted(manifest: &Manifest, reader: &Reader) -> Result<Vec<Finding>, Failed> {
    let attrs = manifest.section("action").cloned().unwrap_or_default();
    let named = if is_elsewhere(&attrs, manifest) { Vec::new() } else { named_services(&attrs, None) };
    let mut problems = Vec::new();
    let mut verdicts = Vec::new();
    let both: Vec<Task<'_, ()>> = vec![
        Box::pin(async { problems = service_problems(&named, reader).await }),
        Box::pin(async { verdicts = try_all(all_credentials(manifest), reader).await }),
    ];
    join_all(both).await;
    let mut findings = untried(manifest);
    for (Held { names, place: Place { address, section, .. }, .. }, verdict) in verdicts {
        let (code, level, text, help) = match verdict {
            Verdict::Taken => continue,
            Verdict::Unknown(Failed::Stopped) => return Err(Failed::Stopped),
            Verdict::Dead(failed) => (
                codes::CREDENTIALS_DEAD,
                Level::Warning,
                format!("Twilio does not take the credentials in {names} of {section} any more: {failed}"),
                "make a new key, put it where the manifest reads it from, and apply",
            ),
            Verdict::Unknown(failed) => (
                codes::CREDENTIALS_UNTRIED,
                Level::NotRead,
                format!(
                    "whether Twilio takes the credentials in {names} of {section} could not be found out: {failed}"
                ),
                "run drift again later",
            ),
        };
        findings.push(Finding { code, address: address.into(), text, help: help.into(), level });
    }
    for (problem, (name, sid)) in problems.into_iter().zip(&named) {
        let (level, problem) = match problem {
            Ok(None) => continue,
            Ok(Some(problem)) => (Level::Warning, problem.to_owned()),
            Err(Failed::Stopped) => return Err(Failed::Stopped),
            Err(failed) => (Level::NotRead, format!("could not be read: {failed}")),
        };
        findings.push(Finding {
            code: codes::CANNOT_SEND,
            address: ACTION.address.into(),
            text: format!("{}.{name} names the Verify service {sid}, which {problem}", ACTION.section),
            help: "correct the SID or the service; until then no code arrives".into(),
            level,
        });
    }
    Ok(findings)
}

/// Credentials that the stack hands on, and what one trial of them showed.
pub struct Tried {
    /// Address of the resource that they are handed to.
    pub address: &'static str,
    /// The place in the manifest, with the names of the two values.
    pub place: String,
    /// SID of the key or of the account.
    pub id: String,
    pub trial: Trial,
}

/// What one trial of credentials showed.
pub enum Trial {
    /// They are those of this program, whose own reads show whether they work.
    Own,
    /// No request was left for them.
    NotTried,
    /// Twilio does not accept them, or they are of another account.
    Dead(Failed),
    /// Twilio knows the key and does not let it list Verify services.
    Restricted,
    /// They list the Verify services of the account.
    Lists,
    Unclear(Failed),
}

/// Tries what the manifest hands on, each pair of credentials with one request and at most so many pairs. One refusal
/// proves less than the two of [`drifted`].
pub async fn tried_once(manifest: &Manifest, most: usize, reader: &Reader) -> Vec<Tried> {
    let all: Vec<Held> = places_with_values(manifest)
        .into_iter()
        .flat_map(|(attrs, place)| credentials_in(&attrs, place))
        .collect();
    let mut distinct: Vec<Credentials> = Vec::new();
    for one in all.iter().map(|held| &held.credentials).filter(|one| !is_own(one, manifest)) {
        if distinct.len() < most && !distinct.contains(one) {
            distinct.push(one.clone());
        }
    }
    let probes: Vec<Task<'_, Answered>> =
        distinct.iter().map(|one| Box::pin(reader.probe(one.clone())) as Task<'_, _>).collect();
    let answers = join_all(probes).await;
    let trial = |held: &Held| {
        if is_own(&held.credentials, manifest) {
            return Trial::Own;
        }
        let Some(at) = distinct.iter().position(|one| *one == held.credentials) else {
            return Trial::NotTried;
        };
        let answer = &answers[at];
        if let (Some(own), Some(other)) = (&held.account, account_of(answer))
            && own != other
        {
            return Trial::Dead(Failed::NotDone(format!(
                "they are of account {}, not of {own}",
                line(other)
            )));
        }
        match (judge(answer), answer) {
            (Answer::Yes, Ok(_)) => Trial::Lists,
            (Answer::Yes, Err(_)) => Trial::Restricted,
            (Answer::No, Err(failed)) => Trial::Dead(failed.clone()),
            (_, Err(failed)) => Trial::Unclear(failed.clone()),
            (_, Ok(_)) => Trial::Unclear(Failed::Misread("the list of Verify services: not a list".into())),
        }
    };
    let tried = |held: &Held| Tried {
        address: held.place.address,
        place: format!("{} ({})", held.place.section, held.names),
        id: held.credentials.user.clone(),
        trial: trial(held),
    };
    all.iter().map(tried).collect()
}

/// The Verify services whose SIDs the secrets of the Action have, each with the name of its secret. Empty if the
/// secrets name another account, whose services cannot be read.
pub fn named_sids(manifest: &Manifest) -> Vec<(String, String)> {
    let attrs = manifest.section("action").cloned().unwrap_or_default();
    if is_elsewhere(&attrs, manifest) { Vec::new() } else { named_services(&attrs, None) }
}

/// Notes that tell the user which credentials and services this program cannot try.
pub fn untried(manifest: &Manifest) -> Vec<Finding> {
    let note = |address: &str, text: String, help: &str| Finding {
        code: codes::CREDENTIALS_UNTRIED,
        address: address.into(),
        text,
        help: help.into(),
        level: Level::Note,
    };
    let mut findings = Vec::new();
    for (attrs, place) in places_with_values(manifest) {
        let Place { address, prefix, section } = place;
        let unknown: Vec<&str> = attrs
            .iter()
            .filter(|(_, value)| matches!(value, Value::Unknown(_)))
            .filter_map(|(key, _)| key.strip_prefix(prefix))
            .collect();
        let is_minted = attrs.values().any(|value| minted::part_of(value).is_some());
        if is_minted && unknown.is_empty() {
            continue;
        }
        if !unknown.is_empty() {
            findings.push(note(
                address,
                format!(
                    "not tried at Twilio, because they have no value here: {} of {section}",
                    unknown.join(", ")
                ),
                "an apply has their values, and tries them before users depend on them",
            ));
        } else if credentials_in(&attrs, place).is_empty() {
            findings.push(note(
                address,
                format!(
                    "{section} has no Twilio key or token under a known name, so none is tried before users \
                     depend on it"
                ),
                "call them TWILIO_API_KEY and TWILIO_API_SECRET (or TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN)",
            ));
        }
    }
    if let Some(attrs) = manifest.section("action")
        && is_elsewhere(attrs, manifest)
    {
        findings.push(note(
            ACTION.address,
            format!("{} names another account than twilio.account_sid, so the Verify service there is not looked at", ACTION.section),
            "see in that account that the service exists and has custom codes on",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::api::Method;
    use crate::model::call::Refusal;

    #[test]
    fn a_secret_is_found_beside_its_key_under_the_usual_names() {
        for (key, secret) in [
            ("TWILIO_API_KEY", "TWILIO_API_SECRET"),
            ("TWILIO_API_KEY", "TWILIO_API_KEY_SECRET"),
            ("TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET"),
            ("SENDER_KEY", "SENDER_SECRET"),
            ("KEY_SID", "SECRET"),
        ] {
            let attrs = Attrs::from([
                (format!("secrets.{key}"), Value::text(format!("SK{:032}", 1))),
                (format!("secrets.{secret}"), Value::text("any")),
                ("secrets.TWILIO_ACCOUNT_SID".into(), Value::text(format!("AC{:032}", 1))),
                ("secrets.TWILIO_AUTH_TOKEN".into(), Value::text("token")),
            ]);
            let found = credentials_in(&attrs, ACTION);
            assert_eq!(found.len(), 1, "{key}");
            assert_eq!(found[0].names, format!("{key} and {secret}"));
        }
        let token = Attrs::from([
            ("secrets.ACCOUNT_SID".into(), Value::text(format!("AC{:032}", 1))),
            ("secrets.AUTH_TOKEN".into(), Value::text("token")),
            ("secrets.TWILIO_API_KEY".into(), Value::text("a placeholder")),
        ]);
        assert_eq!(credentials_in(&token, ACTION)[0].names, "ACCOUNT_SID and AUTH_TOKEN");
    }

    /// An answer of a gateway, a redirect or a reply of another shape proves nothing. A refusal because the key lacks a
    /// permission proves that the key is valid.
    #[test]
    fn only_twilio_itself_says_that_a_key_is_good() {
        let refused = |status, code: Option<&str>| -> Answered {
            Err(Failed::Refused(Box::new(Refusal {
                host: "verify.twilio.com".into(),
                method: Method::Get,
                path: "/v2/Services".into(),
                status,
                code: code.map(str::to_owned),
                message: String::new(),
                request_id: None,
                attempts: 1,
                unsure: false,
            })))
        };
        let rows = [
            (Ok(json!({ "services": [], "meta": {} })), "yes"),
            (Ok(json!({})), "nothing"),
            (Ok(json!([])), "nothing"),
            (refused(403, Some("70051")), "yes"),
            (refused(401, Some("70051")), "yes"),
            (refused(403, Some("20008")), "yes"),
            (refused(401, None), "no"),
            (refused(401, Some("20003")), "no"),
            (refused(403, Some("20403")), "no"),
            (refused(403, None), "nothing"),
            (refused(403, Some("forbidden")), "nothing"),
            (refused(302, None), "nothing"),
            (refused(400, Some("20001")), "nothing"),
            (refused(404, Some("20404")), "nothing"),
            (refused(407, None), "nothing"),
            (refused(410, None), "nothing"),
            (refused(500, None), "nothing"),
            (Err(Failed::Misread("x".into())), "nothing"),
        ];
        for (answer, expected) in rows {
            let word = match judge(&answer) {
                Answer::Yes => "yes",
                Answer::No => "no",
                Answer::Nothing => "nothing",
            };
            assert_eq!(word, expected, "{answer:?}");
        }
    }
}
