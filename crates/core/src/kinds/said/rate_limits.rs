//! The rate limits of the Verify service in the manifest: the keys of one, and their names.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::{FIELD, Field, Type, says};
use crate::model::manifest::Manifest;

/// Where the limits stand in the manifest.
pub const SECTION: &str = "verify_service";

static BUCKET_FIELDS: &[Field] = &[Field {
    key: "max",
    ty: Type::Int { min: 1, max: 1_000_000 },
    required: true,
    doc: "sends of one value within the interval",
    ..FIELD
}];

/// Keys of one limit, in the section of the service.
pub static FIELDS: &[Field] = &[
    Field {
        key: "key",
        ty: Type::OneOf(&["recipient", "user", "ip", "none"]),
        required: true,
        says: &[says("action", "code"), says("legacy_action", "code")],
        doc: "what the Action counts: the number, the user, the address; none when another sender passes it",
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
        doc: "by interval (60s, 10m, 1h, 1d); the list is closed once it has an entry",
        ..FIELD
    },
];

/// A key below `rate_limits`, taken apart.
pub enum Part<'a> {
    Key,
    Description,
    /// A bucket, by its interval as written.
    Max(&'a str),
}

/// The name of the limit that a key belongs to, and which of its keys it is.
pub fn part(key: &str) -> Option<(&str, Part<'_>)> {
    let rest = key.strip_prefix("rate_limits.")?;
    if let Some((name, interval)) = rest.strip_suffix(".max").and_then(|stem| stem.rsplit_once(".buckets.")) {
        return Some((name, Part::Max(interval)));
    }
    let key = rest.strip_suffix(".key").map(|name| (name, Part::Key));
    key.or_else(|| rest.strip_suffix(".description").map(|name| (name, Part::Description)))
}

/// Names of the declared limits.
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
