//! Secret values, and the net that keeps them out of every text.
//!
//! A [`Secret`] has no `Display`, no `Serialize` and a `Debug` that says `set`. A [`Scrubber`] knows the secrets
//! of a run and blanks them, whole or in part and in the usual encodings, from texts that came from outside
//! (vendor messages may echo what was sent).

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// How hard a value is to guess, judged by where it comes from and never by looking at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Drawn by a machine (vendor token, key secret of the connection, generated here): a fast digest is safe.
    Machine,
    /// Could have been chosen by a person (any environment variable, file or command): only a slow digest is.
    Person,
    /// Sent as a secret but not confidential by itself (an account SID, a Verify service SID).
    Public,
}

/// A value that is never printed. Compares by content.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    origin: Origin,
}

impl Secret {
    /// Wraps a value together with where it came from.
    pub fn new(value: impl Into<String>, origin: Origin) -> Secret {
        Secret { value: SecretString::from(value.into()), origin }
    }

    /// The value itself, to be put into a request or a digest and nowhere else.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// Where the value came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }
}
impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set")
    }
}

/// Length of the shortest part of a secret that counts as recognisable, in bytes.
const PART_BYTES: usize = 8;

/// Blanks known secrets from text: every run of eight or more bytes that a secret (or its base64, hex, percent or
/// JSON form) contains; shorter secrets only whole.
#[derive(Clone, Default)]
pub struct Scrubber {
    windows: BTreeSet<[u8; PART_BYTES]>,
    short: BTreeSet<Vec<u8>>,
}

impl Scrubber {
    /// Learns a secret. Values marked [`Origin::Public`] and values under four bytes are not learnt: blanking
    /// `on` everywhere would make every message unreadable and protect nothing.
    pub fn learn(&mut self, secret: &Secret) {
        if secret.origin() != Origin::Public {
            self.learn_text(secret.expose());
        }
    }

    /// Learns the user and password pair of a Basic header.
    pub fn learn_pair(&mut self, user: &str, password: &Secret) {
        self.learn(password);
        self.learn_form(STANDARD.encode(format!("{user}:{}", password.expose())).as_bytes());
    }

    fn learn_text(&mut self, text: &str) {
        self.learn_form(text.as_bytes());
        // A part of a base64 text depends on the position modulo three, so all three are learnt.
        for shift in 0..3usize {
            let mut shifted = vec![b'0'; shift];
            shifted.extend_from_slice(text.as_bytes());
            for engine in [&STANDARD as &dyn Encode, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let encoded = engine.encode_bytes(&shifted);
                self.learn_form(encoded.as_bytes().get(shift * 2..).unwrap_or_default());
            }
        }
        let hex = super::random::hex(text.as_bytes());
        self.learn_form(hex.to_uppercase().as_bytes());
        self.learn_form(hex.as_bytes());
        let json = serde_json::to_string(text).unwrap_or_default();
        self.learn_form(json.trim_matches('"').as_bytes());
        self.learn_form(percent_encode(text).as_bytes());
        self.learn_form(percent_encode(text).to_lowercase().as_bytes());
    }

    fn learn_form(&mut self, form: &[u8]) {
        if form.len() >= PART_BYTES {
            for window in form.windows(PART_BYTES) {
                // A run of zeros is in every made-up SID: blanking it would hide ids and protect nothing.
                let distinct = window.iter().collect::<BTreeSet<_>>().len();
                if let Ok(window) = window.try_into()
                    && distinct > 2
                {
                    self.windows.insert(window);
                }
            }
        } else if form.len() >= 4 {
            self.short.insert(form.to_vec());
        }
    }

    /// The text with every recognisable part of a known secret replaced by `[secret]`.
    pub fn scrub(&self, text: &str) -> String {
        let bytes = text.as_bytes();
        let mut hidden = vec![false; bytes.len()];
        if !self.windows.is_empty() {
            for (at, window) in bytes.windows(PART_BYTES).enumerate() {
                let known = <[u8; PART_BYTES]>::try_from(window).is_ok_and(|w| self.windows.contains(&w));
                if known {
                    hidden[at..at + PART_BYTES].fill(true);
                }
            }
        }
        for short in &self.short {
            for at in 0..bytes.len().saturating_sub(short.len() - 1) {
                if &bytes[at..at + short.len()] == short.as_slice() {
                    hidden[at..at + short.len()].fill(true);
                }
            }
        }
        if !hidden.contains(&true) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut inside = false;
        for (at, ch) in text.char_indices() {
            let covered = hidden[at..at + ch.len_utf8()].contains(&true);
            if covered && !inside {
                out.push_str("[secret]");
            } else if !covered {
                out.push(ch);
            }
            inside = covered;
        }
        out
    }
}

trait Encode {
    fn encode_bytes(&self, bytes: &[u8]) -> String;
}
impl<E: base64::Engine> Encode for E {
    fn encode_bytes(&self, bytes: &[u8]) -> String {
        self.encode(bytes)
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2-hunter2", Origin::Person);
        assert_eq!(format!("{secret:?}"), "set");
    }

    #[test]
    fn parts_and_encodings_are_blanked() {
        let value = "sk/9+f3=Zx\"Qa_77Lm";
        let mut scrubber = Scrubber::default();
        scrubber.learn_pair("SK00", &Secret::new(value, Origin::Machine));
        let base64 = STANDARD.encode(value);
        let basic = STANDARD.encode(format!("SK00:{value}"));
        let inner = STANDARD.encode(format!("{{\"a\":\"{value}\"}}"));
        for form in [
            value,
            &value[3..12],
            &super::super::random::hex(value.as_bytes()),
            &super::super::random::hex(value.as_bytes()).to_uppercase(),
            &base64,
            &basic,
            &inner[8..24],
            &percent_encode(value),
            "sk/9+f3=Zx\\\"Qa_77Lm",
        ] {
            let out = scrubber.scrub(&format!("before {form} after"));
            assert!(out.starts_with("before ") && out.ends_with(" after"), "{out}");
            assert!(out.contains("[secret]"), "{form} stayed in {out}");
        }
        assert_eq!(scrubber.scrub("nothing here"), "nothing here");
    }

    #[test]
    fn public_values_stay_readable() {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new("VA00000000000000000000000000000001", Origin::Public));
        assert_eq!(
            scrubber.scrub("VA00000000000000000000000000000001"),
            "VA00000000000000000000000000000001"
        );
    }
}
