//! The content of a version of an Action.

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
    /// The dates that [`secret_dates`](crate::kinds::remote::versions::secret_dates) returns for the version.
    pub(super) secret_dates: Option<Vec<String>>,
    /// Whether the version has the SID of a Verify service.
    pub(super) verifies: bool,
}

/// The version that ran before the last run.
#[derive(Clone)]
pub(super) struct Earlier {
    pub(super) content: Content,
    /// Whether it has the SID of a Verify service.
    pub(super) verifies: bool,
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

/// The content without the times of its secrets, because Auth0 may renew these times.
pub(super) fn undated(mut content: Content) -> Content {
    content.secrets.values_mut().for_each(|at| *at = Json::Null);
    content
}
