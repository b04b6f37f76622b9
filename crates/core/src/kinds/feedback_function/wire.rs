//! Calls of Serverless v1, and what their replies say.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::kinds::npm::{is_exact, reads_back};
use crate::kinds::text;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Part, Repeat, Write};
use crate::model::text::line_of;
use crate::model::value::{Attrs, Value};

pub(super) use crate::kinds::remote::serverless::{
    ADDED_BY_TWILIO, entries_with_sids, list_in_service, object_with_sid, read_in_service, read_service,
};

/// The read of a version's source text.
pub(super) fn read_source(service: &str, function: &str, version: &str) -> Get {
    read_in_service(service, &format!("Functions/{function}/Versions/{version}/Content"))
}

/// A POST with a form as its body, or without a body if the form is empty.
pub(super) fn form(path: String, pairs: Vec<(String, String)>, repeat: Repeat) -> Write {
    let body = if pairs.is_empty() { Body::None } else { Body::Form(pairs) };
    Write { api: Api::Serverless, method: Method::Post, path, body, repeat }
}

/// A removal. Its callers take a 404 as a success.
pub(super) fn delete(path: String) -> Write {
    Write { api: Api::Serverless, method: Method::Delete, path, body: Body::None, repeat: Repeat::Safe }
}

/// One pair of a form.
pub(super) fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The upload of a version. It goes to a host of its own as multipart; the file's content type marks the file as code.
pub(super) fn upload(service: &str, function: &str, desired: &Attrs) -> Write {
    let field = |key: &str| desired.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let plain = |name, content| Part { name, file: None, content };
    let parts = vec![
        plain("Path", field("path")),
        plain("Visibility", field("visibility")),
        Part {
            name: "Content",
            file: Some(("function.js", "application/javascript")),
            content: field("code"),
        },
    ];
    Write {
        api: Api::Upload,
        method: Method::Post,
        path: format!("/v1/Services/{service}/Functions/{function}/Versions"),
        body: Body::Multipart(parts),
        repeat: Repeat::NeverBlind,
    }
}

/// Checks that a build lists all its versions: a version of others that is missing here would be missing in our next
/// build.
pub(super) fn checked_build(build: Json) -> Result<Json, Failed> {
    object_with_sid(&build)?;
    entries_with_sids(&build, "function_versions")?;
    entries_with_sids(&build, "asset_versions")?;
    Ok(build)
}

/// Checks that the domain of an environment is a host name, because the stream sends a secret to it.
pub(super) fn checked_domain(environment: &Json) -> Result<&Json, Failed> {
    let host = text(environment, "domain_name");
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if !host.bytes().all(fits) {
        let shown = line_of(host, 80);
        return Err(Failed::Misread(format!(
            "Serverless: the environment's domain {shown:?} is not a host name"
        )));
    }
    Ok(environment)
}

/// What others have in a build: SIDs of versions, and packages by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Others {
    pub(super) functions: Vec<String>,
    pub(super) assets: Vec<String>,
    dependencies: BTreeMap<String, String>,
}

impl Others {
    /// Whether they have deployed nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.assets.is_empty()
    }
}

/// The parts of a build that belong to others: every build of ours includes them. Without versions of others there are
/// no packages of others either.
pub(super) fn others(build: &Json, function: &str, path: &str) -> Others {
    let sids = |key: &str, keep: &dyn Fn(&Json) -> bool| -> Vec<String> {
        let list = build.get(key).and_then(Json::as_array);
        let mut sids: Vec<String> =
            list.into_iter().flatten().filter(|v| keep(v)).map(|v| text(v, "sid").to_owned()).collect();
        sids.sort();
        sids
    };
    // Two versions cannot have the same path, and this path is ours.
    let functions = sids("function_versions", &|version| {
        text(version, "function_sid") != function && text(version, "path") != path
    });
    let assets = sids("asset_versions", &|asset| text(asset, "path") != path);
    let others = Others { functions, assets, dependencies: BTreeMap::new() };
    if others.is_empty() { others } else { Others { dependencies: dependencies(build), ..others } }
}

/// The packages of a build: name and version.
pub(super) fn dependencies(build: &Json) -> BTreeMap<String, String> {
    let list = build.get("dependencies").and_then(Json::as_array);
    list.into_iter().flatten().map(|one| (text(one, "name").into(), text(one, "version").into())).collect()
}

/// The packages that the manifest wants.
pub(super) fn wanted_dependencies(desired: &Attrs) -> BTreeMap<String, String> {
    let named = |(key, value): (&String, &Value)| {
        Some((key.strip_prefix("dependencies.")?.to_owned(), value.as_str()?.to_owned()))
    };
    desired.iter().filter_map(named).collect()
}

/// Whether the observed version of a package is the one that was asked for.
///
/// On some accounts a range reads back as the release that it resolved to. On node24 the platform raises the runtime
/// handler by itself ("Twilio changelog, Node 24", 2026-07).
pub(super) fn version_fits(name: &str, wanted: &str, there: &str) -> bool {
    let numbers =
        |version: &str| -> Vec<u64> { version.split('.').filter_map(|part| part.parse().ok()).collect() };
    let raised = || is_exact(wanted) && is_exact(there) && numbers(there) >= numbers(wanted);
    reads_back(wanted, there) || (name == "@twilio/runtime-handler" && raised())
}

/// The write of a new build: our version next to those of others.
pub(super) fn new_build(service: &str, version: &str, others: &Others, desired: &Attrs) -> Write {
    let mut pairs = vec![pair("FunctionVersions", version)];
    pairs.extend(others.functions.iter().map(|sid| pair("FunctionVersions", sid)));
    pairs.extend(others.assets.iter().map(|sid| pair("AssetVersions", sid)));
    let mut packages = others.dependencies.clone();
    packages.extend(wanted_dependencies(desired));
    let packages: Vec<Json> =
        packages.iter().map(|(name, version)| json!({ "name": name, "version": version })).collect();
    pairs.push(pair("Dependencies", json!(packages).to_string()));
    pairs.push(pair("Runtime", desired.get("runtime").and_then(Value::as_str).unwrap_or_default()));
    form(format!("/v1/Services/{service}/Builds"), pairs, Repeat::NeverBlind)
}

/// Whether a build holds exactly our version and those of others, with the wanted packages and runtime, and has not
/// failed.
pub(super) fn is_wanted(build: &Json, version: &str, others: &Others, desired: &Attrs) -> bool {
    let sids = |key: &str| -> Vec<&str> {
        let list = build.get(key).and_then(Json::as_array);
        let mut sids: Vec<&str> = list.into_iter().flatten().map(|v| text(v, "sid")).collect();
        sids.sort_unstable();
        sids
    };
    let mut functions: Vec<&str> = others.functions.iter().map(String::as_str).chain([version]).collect();
    functions.sort_unstable();
    let there = dependencies(build);
    matches!(text(build, "status"), "completed" | "building")
        && text(build, "runtime") == desired.get("runtime").and_then(Value::as_str).unwrap_or_default()
        && sids("function_versions") == functions
        && sids("asset_versions") == others.assets
        && wanted_dependencies(desired)
            .iter()
            .all(|(name, version)| there.get(name).is_some_and(|there| version_fits(name, version, there)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Json {
        json!({
            "sid": "ZB1", "status": "completed", "runtime": "node22",
            "asset_versions": [{ "sid": "ZN9", "asset_sid": "ZH9", "path": "/logo.png", "visibility": "PUBLIC" }],
            "function_versions": [
                { "sid": "ZN2", "function_sid": "ZH2", "path": "/theirs", "visibility": "PUBLIC" },
                { "sid": "ZN1", "function_sid": "ZH1", "path": "/auth0-logs", "visibility": "PUBLIC" },
                { "sid": "ZN3", "function_sid": "ZH3", "path": "/auth0-logs2", "visibility": "PRIVATE" },
            ],
            "dependencies": [{ "name": "lodash", "version": "4.17.21" }, { "name": "twilio", "version": "5.3.0" }],
        })
    }

    fn desired() -> Attrs {
        Attrs::from([
            ("runtime".to_owned(), Value::text("node22")),
            ("dependencies.twilio".to_owned(), Value::text("6.2.0")),
        ])
    }

    #[test]
    fn a_build_that_does_not_name_its_versions_is_misread() {
        assert!(checked_build(live()).is_ok());
        for key in ["function_versions", "asset_versions"] {
            for wrong in [Json::Null, json!({}), json!([null]), json!([{}]), json!([{ "sid": "ZN1/x" }])] {
                let mut build = live();
                build[key] = wrong.clone();
                assert!(matches!(checked_build(build), Err(Failed::Misread(_))), "{key}: {wrong}");
            }
        }
    }

    #[test]
    fn an_id_or_a_domain_that_leads_elsewhere_is_misread() {
        for sid in ["ZS1?x=1", "..", "a/b", "a#b", "a b", ""] {
            assert!(matches!(object_with_sid(&json!({ "sid": sid })), Err(Failed::Misread(_))), "{sid}");
            let list = json!({ "services": [{ "sid": sid }] });
            assert!(matches!(entries_with_sids(&list, "services"), Err(Failed::Misread(_))), "{sid}");
        }
        for domain in
            ["evil.example/x?", "user:pw@evil.example", "a b.twil.io", "evil.example#", "a.\u{202e}b"]
        {
            assert!(
                matches!(checked_domain(&json!({ "domain_name": domain })), Err(Failed::Misread(_))),
                "{domain}"
            );
        }
        assert!(checked_domain(&json!({ "domain_name": "acme-1234-dev.twil.io" })).is_ok());
    }

    #[test]
    fn what_others_deployed_goes_along() {
        let theirs = others(&live(), "ZH1", "/auth0-logs");
        assert_eq!(theirs.functions, ["ZN2", "ZN3"]);
        assert_eq!(theirs.assets, ["ZN9"]);
        let Body::Form(pairs) = new_build("ZS1", "ZN7", &theirs, &desired()).body else { panic!("a form") };
        let all = |name: &str| -> Vec<&str> {
            pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(all("FunctionVersions"), ["ZN7", "ZN2", "ZN3"]);
        assert_eq!(all("AssetVersions"), ["ZN9"]);
        let packages: Json = serde_json::from_str(all("Dependencies")[0]).expect("JSON");
        let expected =
            json!([{ "name": "lodash", "version": "4.17.21" }, { "name": "twilio", "version": "6.2.0" }]);
        assert_eq!(packages, expected, "theirs stay, ours win");
    }

    #[test]
    fn a_build_of_ours_alone_takes_nothing_along() {
        let mut alone = live();
        alone["asset_versions"] = json!([]);
        alone["function_versions"] = json!([live()["function_versions"][1]]);
        let theirs = others(&alone, "ZH1", "/auth0-logs");
        assert_eq!(theirs, Others::default());
    }

    #[test]
    fn a_build_is_known_again_in_any_order() {
        let theirs = others(&live(), "ZH1", "/auth0-logs");
        let mut desired = desired();
        assert!(!is_wanted(&live(), "ZN1", &theirs, &desired), "an older package");
        desired.insert("dependencies.twilio".into(), Value::text("5.3.0"));
        assert!(is_wanted(&live(), "ZN1", &theirs, &desired));
        assert!(!is_wanted(&live(), "ZN7", &theirs, &desired), "another version");
        let mut failed = live();
        failed["status"] = json!("failed");
        assert!(!is_wanted(&failed, "ZN1", &theirs, &desired));
    }

    #[test]
    fn packages_read_back_resolved_or_raised() {
        assert!(version_fits("twilio", "6.2.0", "6.2.0") && !version_fits("twilio", "6.2.0", "6.3.0"));
        assert!(version_fits("lodash", "^4.17.0", "4.17.21") && version_fits("lodash", "latest", "4.17.21"));
        assert!(version_fits("@twilio/runtime-handler", "2.0.1", "2.1.2"));
        assert!(!version_fits("@twilio/runtime-handler", "2.1.2", "2.0.1"));
        assert!(version_fits("lodash", "4.17", "4.17.21") && !version_fits("lodash", "1.0.0-rc.1", "1.0.0"));
    }

    #[test]
    fn exact_versions() {
        assert!(is_exact("2.1.2") && is_exact("2.1.2-rc.1"));
        assert!(!is_exact("^2.1.2") && !is_exact("latest") && !is_exact("2.1") && !is_exact("*"));
    }
}
