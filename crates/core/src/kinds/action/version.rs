//! What a version of an Action is made of, and when it was told what it knows.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::kinds::text;

/// What a version is made of, as far as it is shown.
#[derive(Clone, PartialEq)]
pub(super) struct Content {
    pub(super) code: String,
    pub(super) runtime: String,
    /// Versions by name.
    pub(super) dependencies: BTreeMap<String, Json>,
    /// When they were written, by name.
    pub(super) secrets: BTreeMap<String, Json>,
}

/// The version that ran before this stack.
#[derive(Clone)]
pub(super) struct Former {
    /// `None`: it was never replaced, so there was nothing to compare with.
    pub(super) code: Option<String>,
    pub(super) is_back: bool,
    /// As [`told_at`] says.
    pub(super) told: Option<Vec<String>>,
}

pub(super) fn content(version: &Json) -> Content {
    let told = |list: &str, told: &str| {
        let list = version[list].as_array().into_iter().flatten();
        list.map(|one| (text(one, "name").to_owned(), one[told].clone())).collect()
    };
    Content {
        code: text(version, "code").replace("\r\n", "\n"),
        runtime: text(version, "runtime").to_owned(),
        dependencies: told("dependencies", "version"),
        secrets: told("secrets", "updated_at"),
    }
}

/// When a version was told what it knows: the dates of its secrets, which nobody can read. Modules have secrets of their own,
/// so where it uses one its own date counts as well.
pub(super) fn told_at(version: &Json) -> Option<Vec<String>> {
    let secrets = version["secrets"].as_array()?;
    let uses_modules = version["modules"].as_array().is_some_and(|modules| !modules.is_empty());
    let dates = secrets.iter().map(|secret| text(secret, "updated_at"));
    Some(dates.chain(uses_modules.then(|| text(version, "created_at"))).map(str::to_owned).collect())
}

/// The content without the times of its secrets, which Auth0 may write anew.
pub(super) fn undated(mut content: Content) -> Content {
    content.secrets.values_mut().for_each(|at| *at = Json::Null);
    content
}
