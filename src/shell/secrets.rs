//! Entropy from the operating system, and the scrubber that all ways out share.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::model::random::Entropy;
use crate::model::secret::{Scrubber, Secret};

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

/// One scrubber for the terminal, the log and every file: what one part learns, all hide.
#[derive(Clone, Default)]
pub struct Scrub(Arc<Mutex<Scrubber>>);

impl Scrub {
    /// Learns a secret.
    pub fn learn(&self, secret: &Secret) {
        self.with(|scrubber| scrubber.learn(secret));
    }

    /// Learns a Basic pair.
    pub fn learn_pair(&self, user: &str, password: &Secret) {
        self.with(|scrubber| scrubber.learn_pair(user, password));
    }

    /// The text without any recognisable part of a known secret.
    pub fn scrub(&self, text: &str) -> String {
        self.with(|scrubber| scrubber.scrub(text))
    }

    /// What is known by now, for a connection.
    pub fn snapshot(&self) -> Rc<Scrubber> {
        Rc::new(self.with(|scrubber| scrubber.clone()))
    }

    fn with<T>(&self, run: impl FnOnce(&mut Scrubber) -> T) -> T {
        // A panic elsewhere is no reason to stop hiding.
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
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
        assert_eq!(scrub.snapshot().scrub("hunter2-hunter2"), "[secret]");
    }
}
