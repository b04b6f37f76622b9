//! The content of a version of an Action, and the dates of the secrets that it was given.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::kinds::text;

/// The content of a version, as far as the API shows it.
#[derive(Clone, PartialEq)]
pub(super) struct Content {
    pub(super) code: String,
    pub(super) runtime: String,
    /// Version of each package, by name.
    pub(super) dependencies: BTreeMap<String, Json>,
    /// Time of each secret's last write, by name.
    pub(super) secrets: BTreeMap<String, Json>,
}

/// The version that ran before this stack.
#[derive(Clone)]
pub(super) struct Former {
    /// The version's code. `None`: this stack has never replaced the version, so there is nothing to compare.
    pub(super) code: Option<String>,
    /// Whether the version runs.
    pub(super) is_back: bool,
    /// The dates that [`told_at`] returns for the version.
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

/// The dates at which a version was given its secrets, whose values nobody can read. Modules have secrets of their own,
/// so the date of a version that uses modules counts too. `None`: the reply does not list secrets.
pub(super) fn told_at(version: &Json) -> Option<Vec<String>> {
    let secrets = version["secrets"].as_array()?;
    let uses_modules = version["modules"].as_array().is_some_and(|modules| !modules.is_empty());
    let dates = secrets.iter().map(|secret| text(secret, "updated_at"));
    Some(dates.chain(uses_modules.then(|| text(version, "created_at"))).map(str::to_owned).collect())
}

/// The content without the times of its secrets, because Auth0 may renew these times.
pub(super) fn undated(mut content: Content) -> Content {
    content.secrets.values_mut().for_each(|at| *at = Json::Null);
    content
}
