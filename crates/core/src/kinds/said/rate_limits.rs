//! The rate limits of the Verify service in the manifest: the keys of a limit, and the names of the limits.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::{FIELD, Field, Type, says};
use crate::model::manifest::Manifest;

/// Path of the section that has the limits.
pub const SECTION: &str = "verify_service";
/// Name of the kind. A limit has the address of this name and its own.
pub const KIND: &str = "verify_rate_limit";

static BUCKET_FIELDS: &[Field] = &[Field {
    key: "max",
    ty: Type::Int { min: 1, max: 1_000_000 },
    required: true,
    doc: "sends of one value within the interval",
    ..FIELD
}];

/// The keys of one limit.
pub static FIELDS: &[Field] = &[
    Field {
        key: "key",
        ty: Type::OneOf(&["recipient", "user", "ip", "none"]),
        required: true,
        says: &[says("action", "code"), says("legacy_action", "code")],
        doc: "what the Action counts: the recipient's number, the user or the IP address; \
              none if another sender passes the limit",
        ..FIELD
    },
    Field {
        key: "description",
        ty: Type::Text { min: 0, max: 255, check: None },
        doc: "for people; no personal data",
        ..FIELD
    },
    Field {
        key: "buckets",
        ty: Type::Named { max: 20, fields: BUCKET_FIELDS },
        says: &[says("", "buckets.*")],
        doc: "by interval (60s, 10m, 1h, 1d); with one entry or more, all other buckets of the limit are deleted",
        ..FIELD
    },
];

/// The last part of a key below `rate_limits`, after the name of the limit.
pub enum Part<'a> {
    Key,
    Description,
    /// The `max` of a bucket. Holds the bucket's interval as the manifest writes it.
    Max(&'a str),
}

/// Takes a key apart: the name of the limit that the key belongs to, and which key of the limit it is. `None`: the key
/// does not belong to a limit.
pub fn part(key: &str) -> Option<(&str, Part<'_>)> {
    let rest = key.strip_prefix("rate_limits.")?;
    if let Some((name, interval)) = rest.strip_suffix(".max").and_then(|stem| stem.rsplit_once(".buckets.")) {
        return Some((name, Part::Max(interval)));
    }
    let key = rest.strip_suffix(".key").map(|name| (name, Part::Key));
    key.or_else(|| rest.strip_suffix(".description").map(|name| (name, Part::Description)))
}

/// The names of the declared limits.
pub fn names(manifest: &Manifest) -> BTreeSet<&str> {
    let keys = manifest.section(SECTION).into_iter().flat_map(BTreeMap::keys);
    keys.filter_map(|key| part(key)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart_from_the_right() {
        let shown = |key| match part(key) {
            Some((name, Part::Key)) => format!("{name} key"),
            Some((name, Part::Description)) => format!("{name} description"),
            Some((name, Part::Max(interval))) => format!("{name} {interval}"),
            None => String::new(),
        };
        assert_eq!(shown("rate_limits.a.b.key"), "a.b key");
        assert_eq!(shown("rate_limits.buckets.description"), "buckets description");
        assert_eq!(shown("rate_limits.a.buckets.10m.max"), "a 10m");
        assert_eq!(shown("friendly_name"), "");
    }
}
