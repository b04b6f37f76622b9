//! The credentials of a stack: of which kind each is, how that is known, and whether those that are handed on work.

use super::{Exam, Trip, finding};
use crate::kinds::handed_on::{self, Trial, Tried};
use crate::kinds::text;
use crate::model::call::Failed;
use crate::model::checkup::{Credential, CredentialKind, Known};
use crate::model::codes::{self, Code};
use crate::model::plan::{Finding, Level};
use crate::port::Answered;

/// Code of the refusal of a valid key that lacks a permission ("Twilio docs, error 70051", 2026-08).
const NOT_PERMITTED: &str = "70051";

impl Exam<'_> {
    /// The credentials, and what is wrong with those that are handed on.
    pub(super) fn credentials(&self, findings: &mut Vec<Finding>) -> Vec<Credential> {
        let manifest = &self.session.manifest;
        let own = |key: &str| manifest.text("auth0", key).unwrap_or_default().to_owned();
        let is_key = manifest.secret("auth0", "client_secret").is_none();
        let client = Credential {
            place: "auth0.client_id".into(),
            id: Some(own("client_id")),
            kind: if is_key { CredentialKind::PrivateKey } else { CredentialKind::ClientSecret },
            known: Known::Said,
            why: "the manifest says it",
        };
        let (place, id) = match manifest.text("twilio", "api_key") {
            Some(key) => ("twilio.api_key", key.to_owned()),
            None => ("twilio.auth_token", self.session.account.clone()),
        };
        let (kind, known, why) = self.own_kind();
        let mut out = vec![client, Credential { place: place.into(), id: Some(id), kind, known, why }];
        for tried in &self.trip.tried {
            out.push(self.handed_on(tried, (kind, known), findings));
        }
        if let Ok(account) = &self.trip.account
            && text(account, "type") == "Trial"
        {
            findings.push(finding(
                codes::TRIAL_ACCOUNT,
                "twilio.account_sid",
                Level::Warning,
                format!(
                    "{} is a trial account, and Twilio sends its messages to verified numbers only",
                    self.session.account
                ),
                "upgrade the account in the Twilio Console before other users meet the phone",
            ));
        }
        findings.extend(handed_on::untried(manifest));
        out
    }

    /// The kind of this program's own credential at Twilio.
    pub(super) fn own_kind(&self) -> (CredentialKind, Known, &'static str) {
        if self.session.manifest.text("twilio", "api_key").is_none() {
            return (CredentialKind::AuthToken, Known::Said, "the manifest says it; it may do everything");
        }
        let Trip { account, serverless, services, .. } = self.trip;
        let refused = |reply: &Answered| reply.as_ref().err().and_then(Failed::status).is_some();
        let is_code =
            |reply: &Answered| reply.as_ref().is_err_and(|failed| failed.code() == Some(NOT_PERMITTED));
        match () {
            () if account.is_ok() => (
                CredentialKind::MainKey,
                Known::Shown,
                "Twilio shows it the account, which no other kind of key may read",
            ),
            () if refused(account) && serverless.is_ok() => (
                CredentialKind::StandardKey,
                Known::Inferred,
                "Twilio refuses it the account and shows it Functions; a restricted key has no Functions",
            ),
            () if is_code(account) && is_code(serverless) && (services.is_ok() || is_code(services)) => (
                CredentialKind::RestrictedKey,
                Known::Inferred,
                "Twilio knows it and lacks permissions for it; its list of permissions is not shown to it",
            ),
            () => (CredentialKind::Unknown, Known::Unknown, "what Twilio answered fits no kind"),
        }
    }

    /// A credential that is handed on, and what there is to say of it.
    fn handed_on(
        &self,
        tried: &Tried,
        own: (CredentialKind, Known),
        findings: &mut Vec<Finding>,
    ) -> Credential {
        let Tried { address, place, id, trial } = tried;
        let is_token = id.starts_with("AC");
        let mut tell = |code: Code, level: Level, text: String, help: &str| {
            findings.push(finding(code, *address, level, text, help));
        };
        let (kind, known, why) = match trial {
            Trial::Own => {
                // Of the auth token there is more to say below.
                if !is_token {
                    tell(
                        codes::WIDE_CREDENTIALS,
                        Level::Note,
                        format!(
                            "{place} hands on the credentials of this program itself, which may do far more"
                        ),
                        "make a restricted key for it: verification/create for the Action, verification/update for the Function",
                    );
                }
                (own.0, own.1, "the same as this program's own")
            }
            Trial::NotTried => {
                tell(
                    codes::CREDENTIALS_UNTRIED,
                    Level::Note,
                    format!(
                        "{place} was not tried, because there are more pairs of credentials than requests"
                    ),
                    "run `lockstep drift`, which tries each of them",
                );
                (CredentialKind::Unknown, Known::Unknown, "it was not tried")
            }
            Trial::Dead(failed) => {
                tell(
                    codes::CREDENTIALS_DEAD,
                    Level::Blocker,
                    format!("Twilio does not take the credentials in {place}: {failed}"),
                    "make a new key, put it where the manifest reads it from, and apply",
                );
                (CredentialKind::Dead, Known::Shown, "Twilio refuses it")
            }
            Trial::Unclear(failed) => {
                tell(
                    codes::CREDENTIALS_UNTRIED,
                    Level::NotRead,
                    format!(
                        "whether Twilio takes the credentials in {place} could not be found out: {failed}"
                    ),
                    "run doctor again later",
                );
                (CredentialKind::Unknown, Known::Unknown, "it could not be tried")
            }
            Trial::Restricted => (
                CredentialKind::RestrictedKey,
                Known::Inferred,
                "Twilio knows it and does not let it list services, which it need not do",
            ),
            Trial::Lists => (
                CredentialKind::StandardKey,
                Known::Inferred,
                "it lists Verify services; a main key does so too",
            ),
        };
        if is_token && !matches!(trial, Trial::Dead(_)) {
            findings.push(finding(
                codes::WIDE_CREDENTIALS,
                *address,
                Level::Warning,
                format!("{place} hands on the account's auth token, with which everything in the account can be done"),
                "make a restricted key for it: verification/create for the Action, verification/update for the Function",
            ));
            let known = if matches!(trial, Trial::Own) { known } else { Known::Said };
            return Credential {
                place: place.clone(),
                id: None,
                kind: CredentialKind::AuthToken,
                known,
                why: "its name is the account's",
            };
        }
        if matches!(trial, Trial::Lists) {
            findings.push(finding(
                codes::WIDE_CREDENTIALS,
                *address,
                Level::Note,
                format!("the key in {place} may read Verify services, which it need not do"),
                "a restricted key is enough: verification/create for the Action, verification/update for the Function",
            ));
        }
        Credential { place: place.clone(), id: None, kind, known, why }
    }
}
