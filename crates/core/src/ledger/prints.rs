//! Salted fingerprints of secrets: they show that a value has changed, and are too slow to compute for guessing the
//! value.
//!
//! The slow digest protects against a reader of the record. Beside it stands a keyed digest, which a run computes in no
//! time. The key consists of all secrets of the stack's Actions that Twilio generated: plan and apply have them with
//! any connection, and no record contains them. Only secrets of Actions have a keyed digest. Code in an Action can read
//! these secrets anyway, so code that learns the key learns nothing new from the record.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};
use serde_json::Value as Json;

use crate::model::ledger::Last;
use crate::model::manifest::Manifest;
use crate::model::random::hex;
use crate::model::secret::{Origin, Secret};
use crate::model::value::Value;

/// Rounds of the slow digest for new fingerprints (PBKDF2-HMAC-SHA256): about a tenth of a second per guess.
pub const ROUNDS: u32 = 200_000;
/// Most rounds that a fingerprint of a ledger may name: more would make a run hang.
const ROUNDS_MAX: u32 = 1_000_000;
/// Separates this use of a secret from every other use.
const DOMAIN: &str = "lockstep keyed print v1";
/// Length of an API secret (letters and digits) and of an auth token (digits) ("Twilio docs, API keys", 2026-04).
const DRAWN_CHARS: usize = 32;

/// Makes and compares fingerprints with one salt. Slow digests are computed once per value.
pub struct Prints {
    salt: String,
    rounds: u32,
    key: Option<hmac::Key>,
    memo: RefCell<BTreeMap<(u32, String), String>>,
}

impl Prints {
    /// Without a key. `salt` is the ledger's; `rounds` is [`ROUNDS`] except in tests.
    pub fn new(salt: &str, rounds: u32) -> Prints {
        Prints { salt: salt.to_owned(), rounds, key: None, memo: RefCell::default() }
    }

    /// With the key made from the secrets of a manifest, if it has suitable ones.
    pub fn of(manifest: &Manifest, salt: &str, rounds: u32) -> Prints {
        Prints { key: key(manifest), ..Prints::new(salt, rounds) }
    }

    /// What the ledger remembers of a secret: `fast:…` for machine-made and public values, `slow:ROUNDS:…` for all
    /// others. `stamp` is the remote mark of a value that cannot be read back. It is null for a value that can be read
    /// back: such a value is compared without a fingerprint, so it gets no keyed one.
    pub fn print(&self, secret: &Secret, stamp: Json) -> Last {
        match secret.origin() {
            Origin::Machine | Origin::Public => Last::Print { print: self.fast(secret), keyed: None, stamp },
            Origin::Person => self.with_key(self.slow(secret, self.rounds), secret, stamp),
        }
    }

    /// The remembered fingerprint with a new mark, in the form that this run would give it, without computing a slow
    /// digest.
    pub fn renewed(&self, last: &Last, secret: &Secret, stamp: Json) -> Last {
        match last {
            Last::Print { print, .. } if self.is_of(last, secret) => match secret.origin() {
                Origin::Machine | Origin::Public => self.print(secret, stamp),
                Origin::Person => self.with_key(print.clone(), secret, stamp),
            },
            Last::Print { print, keyed, .. } => {
                Last::Print { print: print.clone(), keyed: keyed.clone(), stamp }
            }
            plain => plain.clone(),
        }
    }

    /// Whether a remembered fingerprint belongs to this secret. An unreadable fingerprint belongs to none.
    pub fn is_of(&self, last: &Last, secret: &Secret) -> bool {
        let Last::Print { print, keyed, .. } = last else { return false };
        if print.starts_with("fast:") {
            return self.fast(secret) == *print;
        }
        // A mismatch means another key or another value; only the slow digest can tell which.
        if keyed.is_some() && *keyed == self.keyed(secret) {
            return true;
        }
        let rounds =
            print.strip_prefix("slow:").and_then(|rest| rest.split(':').next()).and_then(|n| n.parse().ok());
        rounds.is_some_and(|rounds: u32| {
            (1..=ROUNDS_MAX).contains(&rounds) && self.slow(secret, rounds) == *print
        })
    }

    /// Number of slow digests computed so far.
    pub fn slow_digests(&self) -> usize {
        self.memo.borrow().len()
    }

    fn with_key(&self, print: String, secret: &Secret, stamp: Json) -> Last {
        let is_slow = print.starts_with("slow:") && !stamp.is_null();
        Last::Print { print, keyed: self.keyed(secret).filter(|_| is_slow), stamp }
    }

    fn keyed(&self, secret: &Secret) -> Option<String> {
        let text = format!("{DOMAIN}\n{}\n{}", self.salt, secret.expose());
        Some(hex(&hmac::sign(self.key.as_ref()?, text.as_bytes()).as_ref()[..16]))
    }

    fn fast(&self, secret: &Secret) -> String {
        let text = format!("{}:{}", self.salt, secret.expose());
        format!("fast:{}", hex(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16]))
    }

    fn slow(&self, secret: &Secret, rounds: u32) -> String {
        let key = (rounds, secret.expose().to_owned());
        if let Some(known) = self.memo.borrow().get(&key) {
            return known.clone();
        }
        let mut out = [0u8; 16];
        let count = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            count,
            self.salt.as_bytes(),
            secret.expose().as_bytes(),
            &mut out,
        );
        let print = format!("slow:{rounds}:{}", hex(&out));
        self.memo.borrow_mut().insert(key, print.clone());
        print
    }
}

/// One key made of all secrets of Actions that Twilio generated and that have the form of an API secret or an auth
/// token. A SID is generated, too, but is no secret. Without one of the secrets there is no such key.
fn key(manifest: &Manifest) -> Option<hmac::Key> {
    let attrs = manifest.sections.values().flatten().filter(|(name, _)| name.starts_with("secrets."));
    let drawn: BTreeSet<&str> = attrs
        .filter_map(|(_, value)| match value {
            Value::Secret(secret) if secret.origin() == Origin::Machine => Some(secret.expose()),
            _ => None,
        })
        .filter(|text| text.len() == DRAWN_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .collect();
    let text = drawn.into_iter().collect::<String>();
    (!text.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::value::Attrs;

    const DRAWN: &str = "0123456789abcdefGHIJKLMNopqrstuv";
    const OTHER: &str = "another0another0another0another0";

    fn person(text: &str) -> Secret {
        Secret::new(text, Origin::Person)
    }

    /// Fingerprints of a stack whose Action has these secrets.
    fn keyed_by(secrets: &[(&str, &str, Origin)]) -> Prints {
        let secret = |(name, text, origin): &(&str, &str, Origin)| {
            ((*name).to_owned(), Value::Secret(Secret::new(*text, *origin)))
        };
        let attrs: Attrs = secrets.iter().map(secret).collect();
        let sections = [("action".to_owned(), attrs)].into();
        Prints::of(&Manifest { stack: "acme".into(), sections }, "00", 2)
    }

    fn by(text: &str) -> Prints {
        keyed_by(&[("secrets.TWILIO_API_SECRET", text, Origin::Machine)])
    }

    fn keyed(last: &Last) -> Option<&str> {
        match last {
            Last::Print { keyed, .. } => keyed.as_deref(),
            Last::Plain(_) => None,
        }
    }

    fn last_in_words(last: &Last) -> String {
        serde_json::to_string(last).expect("JSON")
    }

    fn slow(print: &str, keyed: Option<&str>) -> Last {
        Last::Print { print: print.into(), keyed: keyed.map(Into::into), stamp: json!("then") }
    }

    #[test]
    fn a_print_knows_its_secret_and_no_other() {
        for prints in [Prints::new("00", 2), by(DRAWN)] {
            for origin in [Origin::Machine, Origin::Person, Origin::Public] {
                let print = prints.print(&Secret::new("value-1", origin), json!("then"));
                assert!(prints.is_of(&print, &person("value-1")), "{print:?}");
                assert!(!prints.is_of(&print, &Secret::new("value-2", origin)), "{print:?}");
                assert!(!last_in_words(&print).contains("value"));
                assert_eq!(keyed(&print).is_some(), prints.key.is_some() && origin == Origin::Person);
            }
        }
        let (prints, drawn) = (Prints::new("00", 2), Secret::new("x", Origin::Machine));
        assert!(last_in_words(&prints.print(&person("x"), Json::Null)).contains("slow:2:"));
        assert_ne!(Prints::new("01", 2).print(&drawn, Json::Null), prints.print(&drawn, Json::Null));
    }

    #[test]
    fn a_hostile_round_count_is_not_obeyed() {
        let prints = Prints::new("00", 2);
        assert!(!prints.is_of(&slow("slow:4000000000:00", None), &person("x")));
        assert!(!prints.is_of(&slow("slow:0:00", None), &person("x")));
        assert_eq!(prints.slow_digests(), 0);
    }

    #[test]
    fn a_keyed_print_takes_no_slow_digest_until_the_key_changes() {
        let print = by(DRAWN).print(&person("value-1"), json!("then"));
        let same = by(DRAWN);
        assert!(same.is_of(&print, &person("value-1")));
        assert_eq!(same.slow_digests(), 0);
        assert!(!same.is_of(&print, &person("value-2")), "another value has neither digest");
        assert_eq!(same.slow_digests(), 1);

        for prints in [by(OTHER), Prints::new("00", 2)] {
            assert!(prints.is_of(&print, &person("value-1")), "the slow digest says so");
            assert!(prints.is_of(&print, &person("value-1")));
            assert_eq!(prints.slow_digests(), 1, "once per value");
            let renewed = prints.renewed(&print, &person("value-1"), json!("now"));
            assert_eq!(prints.slow_digests(), 1);
            assert_ne!(keyed(&renewed), keyed(&print));
        }
        let renewed = by(OTHER).renewed(&print, &person("value-1"), json!("now"));
        let next = by(OTHER);
        assert!(next.is_of(&renewed, &person("value-1")) && last_in_words(&renewed).contains("now"));
        assert_eq!(next.slow_digests(), 0, "the new key's digest is on record");
    }

    #[test]
    fn what_is_renewed_is_what_was_proven() {
        let (prints, before) = (by(DRAWN), Prints::new("00", 2));
        let old = before.print(&person("value-1"), json!("then"));
        assert!(
            keyed(&old).is_none() && keyed(&prints.renewed(&old, &person("value-1"), json!("now"))).is_some()
        );
        let another = prints.renewed(&old, &person("value-2"), json!("now"));
        assert!(keyed(&another).is_none() && !prints.is_of(&another, &person("value-2")), "{another:?}");
        let drawn = prints.renewed(&old, &Secret::new("value-1", Origin::Machine), json!("now"));
        assert!(
            last_in_words(&drawn).contains("fast:") && keyed(&drawn).is_none(),
            "what a machine made needs no more"
        );
        let readable = prints.print(&person("value-1"), Json::Null);
        assert!(keyed(&readable).is_none(), "it is read where it stands: {readable:?}");
    }

    /// A value makes no key if it is not a secret, if a person may have chosen it, or if it stands elsewhere than in an
    /// Action.
    #[test]
    fn only_what_twilio_drew_for_an_action_is_a_key() {
        let sid = "SK0123456789abcdef0123456789abcdef";
        let none = [
            ("secrets.TWILIO_API_SECRET", DRAWN, Origin::Person),
            ("secrets.TWILIO_API_SECRET", DRAWN, Origin::Public),
            ("secrets.TWILIO_API_KEY", sid, Origin::Machine),
            ("secrets.HOOK", "too-short", Origin::Machine),
            ("secrets.HOOK", "0123456789abcdef-0123456789abcde", Origin::Machine),
            ("variables.TWILIO_API_SECRET", DRAWN, Origin::Machine),
            ("api_secret", DRAWN, Origin::Machine),
        ];
        for row in none {
            assert!(keyed_by(&[row]).key.is_none(), "{row:?}");
        }
        let two = [("secrets.A", DRAWN, Origin::Machine), ("secrets.B", OTHER, Origin::Machine)];
        let print = keyed_by(&two).print(&person("value-1"), json!("then"));
        for prints in [by(DRAWN), by(OTHER)] {
            assert!(prints.is_of(&print, &person("value-1")));
            assert_eq!(prints.slow_digests(), 1, "one of the two is not the key");
        }
        let swapped = [("secrets.A", OTHER, Origin::Machine), ("secrets.C", DRAWN, Origin::Machine)];
        assert_eq!(keyed(&print), keyed(&keyed_by(&swapped).print(&person("value-1"), json!("then"))));
    }

    /// Without the key, nobody can compute a keyed fingerprint: not from the value, the salt and the rest of the
    /// record.
    #[test]
    fn a_forged_keyed_print_is_nobodys() {
        let (prints, value) = (by(DRAWN), person("value-1"));
        let theirs = by("0").print(&value, json!("then"));
        assert!(keyed(&theirs).is_none(), "too short for a key");
        let by_their_own = by(OTHER).print(&value, json!("then"));
        let of_another = prints.print(&person("value-2"), json!("then"));
        let unkeyed =
            hex(&digest::digest(&digest::SHA256, b"lockstep keyed print v1\n00\nvalue-1").as_ref()[..16]);
        let forged = [keyed(&by_their_own), keyed(&of_another), Some(unkeyed.as_str()), Some("")];
        for forged in forged {
            assert!(!prints.is_of(&slow("slow:2:00", forged), &value), "{forged:?}");
        }
        let blind = Prints::new("00", 2);
        assert!(!blind.is_of(&slow("slow:2:00", keyed(&prints.print(&value, json!("then")))), &value));
    }
}
