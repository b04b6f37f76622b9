//! Salted fingerprints of secrets: enough to see that a value has changed, too slow to guess one from.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use ring::{digest, pbkdf2};

use crate::model::random::hex;
use crate::model::secret::{Origin, Secret};

/// Rounds of the slow digest for new fingerprints (PBKDF2-HMAC-SHA256): about a tenth of a second a guess.
pub const ROUNDS: u32 = 200_000;
/// A ledger may name other rounds, but not so many that reading it hangs the run.
const ROUNDS_MAX: u32 = 1_000_000;

/// Makes and compares fingerprints with one salt. Slow digests are computed once per value.
pub struct Prints {
    salt: String,
    rounds: u32,
    memo: RefCell<BTreeMap<(u32, String), String>>,
}

impl Prints {
    /// `salt` as in the ledger; `rounds` is [`ROUNDS`] except in tests.
    pub fn new(salt: &str, rounds: u32) -> Prints {
        Prints { salt: salt.to_owned(), rounds, memo: RefCell::default() }
    }

    /// The fingerprint of a secret: `fast:…` for machine-made and public values, `slow:ROUNDS:…` for all others.
    pub fn print(&self, secret: &Secret) -> String {
        match secret.origin() {
            Origin::Machine | Origin::Public => self.fast(secret),
            Origin::Person => self.slow(secret, self.rounds),
        }
    }

    /// Whether a remembered fingerprint is this secret's. One that cannot be read is nobody's.
    pub fn is_of(&self, print: &str, secret: &Secret) -> bool {
        if print.starts_with("fast:") {
            return self.fast(secret) == print;
        }
        let rounds =
            print.strip_prefix("slow:").and_then(|rest| rest.split(':').next()).and_then(|n| n.parse().ok());
        rounds.is_some_and(|rounds: u32| {
            (1..=ROUNDS_MAX).contains(&rounds) && self.slow(secret, rounds) == print
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_knows_its_secret_and_no_other() {
        let prints = Prints::new("00", 2);
        for origin in [Origin::Machine, Origin::Person, Origin::Public] {
            let print = prints.print(&Secret::new("value-1", origin));
            assert!(prints.is_of(&print, &Secret::new("value-1", Origin::Person)), "{print}");
            assert!(!prints.is_of(&print, &Secret::new("value-2", origin)), "{print}");
            assert!(!print.contains("value"));
        }
        assert!(prints.print(&Secret::new("x", Origin::Person)).starts_with("slow:"));
        assert_ne!(
            Prints::new("01", 2).print(&Secret::new("x", Origin::Machine)),
            prints.print(&Secret::new("x", Origin::Machine))
        );
    }

    #[test]
    fn a_hostile_round_count_is_not_obeyed() {
        let prints = Prints::new("00", 2);
        assert!(!prints.is_of("slow:4000000000:00", &Secret::new("x", Origin::Person)));
        assert!(!prints.is_of("slow:0:00", &Secret::new("x", Origin::Person)));
    }
}
