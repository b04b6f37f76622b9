//! Entropy from the operating system, and the scrubber that all outputs share.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value as Json;

use crate::model::plan::Plan;
use crate::model::random::Entropy;
use crate::model::scrub::{HIDDEN, Scrubber};
use crate::model::secret::Secret;
use crate::model::text;

/// Thirty-two bytes from the operating system, for one run.
///
/// # Errors
/// The system has no random source.
pub fn entropy() -> Result<Entropy> {
    let mut bytes = [0u8; 32];
    fill(&mut bytes)?;
    Ok(Entropy(bytes))
}

/// A seed for jitter and nonces; not for secrets.
///
/// # Errors
/// The system has no random source.
pub fn seed() -> Result<u64> {
    let mut bytes = [0u8; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| anyhow!("the operating system gave no random bytes"))
}

/// One scrubber for the terminal, the log and every file. All clones hide what one of them learns.
#[derive(Clone, Default)]
pub struct Scrub(Arc<Mutex<Scrubber>>);

impl Scrub {
    /// Learns a secret.
    pub fn learn(&self, secret: &Secret) {
        self.with(|scrubber| scrubber.learn(secret));
    }

    /// Learns user and password of HTTP Basic authentication.
    pub fn learn_pair(&self, user: &str, password: &Secret) {
        self.with(|scrubber| scrubber.learn_pair(user, password));
    }

    /// The finished text without any recognisable part of a known secret.
    pub fn scrub(&self, text: &str) -> String {
        self.with(|scrubber| scrubber.ours(text))
    }

    /// The plan as it is shown. A value or a name that equals a secret as a whole is hidden.
    pub fn plan(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        self.with(|scrubber| {
            for resource in &mut plan.resources {
                let texts = resource.changes.iter_mut().filter(|change| !change.secret);
                for change in texts {
                    // A line with a hidden value would accept another one, and no digest of a secret is shown.
                    let has_secret = |value: &Json| holds_secret(value, scrubber);
                    if change.accept.is_some() && change.old.as_ref().is_some_and(has_secret) {
                        change.accept = None;
                    }
                    change
                        .old
                        .iter_mut()
                        .chain(&mut change.new)
                        .for_each(|value| hide_values(value, scrubber));
                }
                let left = resource
                    .accepted
                    .iter_mut()
                    .flat_map(|left| left.tenant.iter_mut().chain(&mut left.manifest));
                left.for_each(|value| hide_values(value, scrubber));
                resource
                    .name
                    .iter_mut()
                    .filter(|name| scrubber.is_value(name))
                    .for_each(|name| *name = HIDDEN.into());
            }
        });
        plan
    }

    /// Removes every recognisable part of a known secret from a JSON document, keys included.
    pub fn json(&self, document: &mut Json) {
        match document {
            Json::String(text) => *text = self.scrub(text),
            Json::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Json::Object(entries) => {
                for (key, mut value) in std::mem::take(entries) {
                    self.json(&mut value);
                    entries.insert(self.scrub(&key), value);
                }
            }
            _ => {}
        }
    }

    /// A JSON document over several lines, without a recognisable part of a known secret. Characters that control a
    /// terminal are escaped, so none is lost.
    pub fn document(&self, document: &Json) -> String {
        let mut document = document.clone();
        self.json(&mut document);
        text::json(&serde_json::to_string_pretty(&document).unwrap_or_default()) + "\n"
    }

    /// A copy of the scrubber with what it knows now, for a connection.
    pub fn snapshot(&self) -> Rc<Scrubber> {
        Rc::new(self.with(Scrubber::share))
    }

    fn with<T>(&self, run: impl FnOnce(&mut Scrubber) -> T) -> T {
        // A panic in another thread must not stop the hiding.
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn holds_secret(value: &Json, scrubber: &Scrubber) -> bool {
    match value {
        Json::String(text) => scrubber.is_value(text) || scrubber.ours(text) != *text,
        Json::Array(items) => items.iter().any(|item| holds_secret(item, scrubber)),
        Json::Object(entries) => entries.values().any(|item| holds_secret(item, scrubber)),
        _ => false,
    }
}

fn hide_values(value: &mut Json, scrubber: &Scrubber) {
    match value {
        Json::String(text) if scrubber.is_value(text) => *text = HIDDEN.into(),
        Json::Array(items) => items.iter_mut().for_each(|item| hide_values(item, scrubber)),
        Json::Object(entries) => entries.values_mut().for_each(|item| hide_values(item, scrubber)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Origin;

    #[test]
    fn draws_differ() {
        let (one, two) = (entropy().expect("random source"), entropy().expect("random source"));
        assert_ne!(one.0, two.0);
        assert_ne!(seed().expect("random source"), seed().expect("random source"));
    }

    #[test]
    fn what_one_clone_learns_all_hide() {
        let scrub = Scrub::default();
        let other = scrub.clone();
        scrub.learn(&Secret::new("hunter2-hunter2", Origin::Person));
        assert_eq!(other.scrub("it is hunter2-hunter2"), "it is [secret]");
        assert_eq!(scrub.snapshot().others("hunter2-hunter2"), "[secret]");
    }
}
