//! Addresses of resources.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The address of a resource within its stack: its kind, and a name where a stack has several of the kind
/// (`verify_service`, `mfa_factor.otp`). A finding that concerns no resource has an empty address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The address of the only resource of a kind.
    pub fn of(kind: &str) -> Address {
        Address(kind.to_owned())
    }

    /// The address of a resource with a name.
    pub fn named(kind: &str, name: &str) -> Address {
        Address(format!("{kind}.{name}"))
    }

    /// Name of the resource's kind.
    pub fn kind(&self) -> &str {
        self.0.split_once('.').map_or(self.0.as_str(), |(kind, _)| kind)
    }

    /// Name of the resource among those of its kind. `None`: the address has no name.
    pub fn name(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, name)| name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the address is that of no resource.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lets a map keyed by address be searched with plain text.
impl Borrow<str> for Address {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Address {
        Address(text.to_owned())
    }
}

impl PartialEq<str> for Address {
    fn eq(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl PartialEq<&str> for Address {
    fn eq(&self, text: &&str) -> bool {
        self.0 == *text
    }
}

impl PartialEq<Address> for str {
    fn eq(&self, address: &Address) -> bool {
        address == self
    }
}

impl PartialEq<Address> for &str {
    fn eq(&self, address: &Address) -> bool {
        address == *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_kind_and_perhaps_a_name() {
        let one = Address::of("verify_service");
        assert_eq!((one.kind(), one.name()), ("verify_service", None));
        let named = Address::named("log_stream", "siem.eu");
        assert_eq!(
            (named.kind(), named.name(), named.as_str()),
            ("log_stream", Some("siem.eu"), "log_stream.siem.eu")
        );
    }
}
