//! Seals of the record. Whoever can read Actions can read the record, and whoever can edit Actions can write one. The
//! record's claims of ownership therefore count only when a credential that no Action holds has sealed it.
//!
//! A seal is an HMAC over the whole record. The key is derived from a credential of the connection that only a machine
//! generates, so a seal does not help to guess the credential.

use std::num::NonZeroU32;

use ring::{hmac, pbkdf2};

use crate::model::ledger::Ledger;
use crate::model::manifest::Manifest;
use crate::model::random::hex;
use crate::model::secret::Secret;
use crate::model::value::Value;

/// Separates this use of a credential from every other use.
const DOMAIN: &str = "lockstep record seal v1";
/// Shortest client secret that counts as machine-made. Auth0 generates 64 characters; a client secret set through the
/// API by a person may be shorter.
const DRAWN_MIN_CHARS: usize = 40;

/// What the seals of a record prove to a holder of these credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// At least one seal is right: a run with this credential wrote the record.
    Sealed,
    /// The seals are of other credentials, so they cannot be checked here. Holds the labels.
    OfOthers(Vec<String>),
    /// Seals of our own credentials do not match: they are forged, or the credentials have changed since. Holds the
    /// labels.
    Broken(Vec<String>),
    /// The record has no seal: an older build wrote it, or somebody else.
    Absent,
}

/// The credentials that seal, each with its label.
pub struct Keys {
    held: Vec<(String, Secret)>,
    /// Rounds of the slow digest that derives the key from the credential; `None`: the credentials are machine-made and
    /// need no slow digest.
    rounds: Option<NonZeroU32>,
}

impl Keys {
    /// The credentials with which the manifest connects, except those that it also hands to an Action, a Function or a
    /// stream: whoever can deploy code there can read them. A credential that a person may have chosen seals only where
    /// there is no other, and through a slow digest; `rounds` as for fingerprints.
    pub fn of(manifest: &Manifest, rounds: u32) -> Keys {
        let credential = |section: &str, key: &str, whose: &str| {
            let secret = manifest.secret(section, key)?.clone();
            let whose = manifest.text(section, whose).map(|id| format!(" of {id}")).unwrap_or_default();
            Some((format!("{section}.{key}{whose}"), secret))
                .filter(|(_, secret)| !is_handed_on(manifest, secret))
        };
        let client_secret = credential("auth0", "client_secret", "client_id");
        let (drawn, chosen): (Vec<_>, Vec<_>) =
            client_secret.into_iter().partition(|(_, secret)| secret.expose().len() >= DRAWN_MIN_CHARS);
        let made = [
            credential("auth0", "private_key", "client_id"),
            credential("twilio", "api_secret", "api_key"),
            credential("twilio", "auth_token", "account_sid"),
        ];
        let held: Vec<_> = made.into_iter().flatten().chain(drawn).collect();
        match held.is_empty() {
            true => Keys { held: chosen, rounds: Some(NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN)) },
            false => Keys { held, rounds: None },
        }
    }

    /// The record with a seal by each credential. Earlier seals are dropped.
    pub fn sealed(&self, ledger: &Ledger) -> Ledger {
        let seals = self.held.iter().map(|(label, secret)| (label.clone(), self.seal(label, secret, ledger)));
        Ledger { seals: seals.collect(), ..ledger.clone() }
    }

    /// What the seals of a record prove.
    pub fn proof(&self, ledger: &Ledger) -> Proof {
        if ledger.seals.is_empty() {
            return Proof::Absent;
        }
        let fits = |(label, secret): &(String, Secret)| {
            let seal = ledger.seals.get(label)?;
            Some((label.clone(), *seal == self.seal(label, secret, ledger)))
        };
        let mine: Vec<(String, bool)> = self.held.iter().filter_map(fits).collect();
        match mine.as_slice() {
            [] => Proof::OfOthers(ledger.seals.keys().cloned().collect()),
            mine if mine.iter().any(|(_, fits)| *fits) => Proof::Sealed,
            mine => Proof::Broken(mine.iter().map(|(label, _)| label.clone()).collect()),
        }
    }

    fn seal(&self, label: &str, secret: &Secret, ledger: &Ledger) -> String {
        let context = format!("{DOMAIN}\n{label}\n{}", ledger.salt);
        let mut key = [0u8; 32];
        match self.rounds {
            Some(rounds) => pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                rounds,
                context.as_bytes(),
                secret.expose().as_bytes(),
                &mut key,
            ),
            None => {
                let held = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
                key.copy_from_slice(hmac::sign(&held, context.as_bytes()).as_ref());
            }
        }
        hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &payload(ledger)).as_ref())
    }
}

fn is_handed_on(manifest: &Manifest, secret: &Secret) -> bool {
    let elsewhere = manifest.sections.iter().filter(|(path, _)| !matches!(path.as_str(), "auth0" | "twilio"));
    elsewhere.flat_map(|(_, attrs)| attrs.values()).any(|value| match value {
        Value::Secret(held) => held == secret,
        value => value.as_str() == Some(secret.expose()),
    })
}

/// The sealed bytes: the whole record as it is used, header and serial included, without its seals.
fn payload(ledger: &Ledger) -> Vec<u8> {
    let bare = Ledger { seals: Default::default(), ..ledger.clone() };
    serde_json::to_vec(&bare).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::sample;
    use crate::model::secret::Origin;

    fn keys(pairs: &[(&str, &str)]) -> Keys {
        let secret = |text: &str| Secret::new(text, Origin::Machine);
        let held = pairs.iter().map(|(label, text)| ((*label).to_owned(), secret(text))).collect();
        Keys { held, rounds: None }
    }

    #[test]
    fn a_seal_holds_for_its_record_and_its_credential_alone() {
        let ours = keys(&[("twilio.api_secret of SK1", "secret-1"), ("auth0.private_key", "pem-1")]);
        let sealed = ours.sealed(&sample());
        assert_eq!(ours.proof(&sealed), Proof::Sealed);
        assert_eq!(ours.proof(&sample()), Proof::Absent);
        let mut later = sealed.clone();
        later.serial += 1;
        assert!(matches!(ours.proof(&later), Proof::Broken(_)), "another serial");
        let mut salted = sealed.clone();
        salted.salt = "ffeeddccbbaa99887766554433221100".into();
        assert!(matches!(ours.proof(&salted), Proof::Broken(_)), "another salt");
        let mut moved = sealed.clone();
        let seal = moved.seals.remove("auth0.private_key").expect("there");
        moved.seals = [("twilio.api_secret of SK1".to_owned(), seal)].into();
        assert!(matches!(ours.proof(&moved), Proof::Broken(_)), "the seal of another label");
        let one_changed = keys(&[("twilio.api_secret of SK1", "secret-2"), ("auth0.private_key", "pem-1")]);
        assert_eq!(one_changed.proof(&sealed), Proof::Sealed, "one of two was rotated");
        let rotated = keys(&[("twilio.api_secret of SK1", "secret-2")]);
        assert!(matches!(rotated.proof(&sealed), Proof::Broken(_)));
        let other = keys(&[("twilio.api_secret of SK2", "secret-1")]);
        assert!(matches!(other.proof(&sealed), Proof::OfOthers(_)));
        assert_eq!(keys(&[]).sealed(&sample()), sample());
    }

    #[test]
    fn a_record_that_was_read_back_is_still_sealed() {
        let ours = keys(&[("twilio.auth_token", "secret-1")]);
        let source = crate::ledger::write(&ours.sealed(&sample())).expect("small");
        let read = crate::ledger::tests::read_sample(&source).expect("ours");
        assert_eq!(ours.proof(&read), Proof::Sealed);
        assert!(!source.contains("secret-1"));
    }

    #[test]
    fn what_actions_get_seals_nothing_and_what_a_person_may_have_chosen_seals_slowly() {
        let secret = |text: &str| Value::Secret(Secret::new(text, Origin::Person));
        let (long, token) = ("x".repeat(64), "0123456789abcdef0123456789abcdef");
        let keys = |client_secret: &str, handed_on: &str| {
            let auth0 = [
                ("client_id".to_owned(), Value::text("client-1")),
                ("client_secret".to_owned(), secret(client_secret)),
            ];
            let twilio = [("auth_token".to_owned(), secret(token))];
            let action = [("secrets.TWILIO_AUTH_TOKEN".to_owned(), secret(handed_on))];
            let sections = [("auth0", auth0.into()), ("twilio", twilio.into()), ("action", action.into())];
            let sections =
                sections.map(|(path, attrs): (_, crate::model::value::Attrs)| (path.to_owned(), attrs));
            let keys = Keys::of(&Manifest { stack: "acme".into(), sections: sections.into() }, 2);
            let labels: Vec<String> = keys.held.iter().map(|(label, _)| label.clone()).collect();
            (labels.join(", "), keys)
        };
        assert_eq!(keys(&long, token).0, "auth0.client_secret of client-1");
        assert_eq!(keys(&long, "another").0, "twilio.auth_token, auth0.client_secret of client-1");
        assert_eq!(keys("hunter2-hunter2", "another").0, "twilio.auth_token");
        let (labels, slow) = keys("hunter2-hunter2", token);
        assert_eq!(labels, "auth0.client_secret of client-1");
        assert!(slow.rounds.is_some());
        assert_eq!(slow.proof(&slow.sealed(&sample())), Proof::Sealed);
    }
}
