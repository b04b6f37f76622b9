//! Secret values: no `Display`, no `Serialize`, and a `Debug` that says `set`. What keeps them out of texts is
//! [`super::scrub`].

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// How hard a value is to guess, judged by where it comes from and where it goes; its look alone never makes it safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Drawn by a machine (a key or a token of the vendor where only such a one works, generated here): a fast digest is
    /// safe.
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
}
