//! Builds of Functions, which are asynchronous, and their deployment to an environment.

use serde_json::{Value, json};

use super::super::clock::iso_seconds;
use super::super::wire::{Outcome, Reply};
use super::super::world::{Dependency, FunctionBuild, FunctionDeployment, ServerlessService};
use super::form::Form;
use super::serverless::{conflict, environment, environment_mut, service, service_mut};
use super::{Call, SERVERLESS, invalid, is_sid, missing, refusal};

/// Runtimes that build today (Twilio changelog, 2025-11 and 2026-07). Retired ones are accepted, and their builds fail.
const RUNTIMES: [&str; 3] = ["node20", "node22", "node24"];
const RETIRED_RUNTIMES: [&str; 6] = ["node8", "node10", "node12", "node14", "node16", "node18"];
/// From older documents; no newer number is published.
const VERSIONS_PER_BUILD: usize = 50;
/// Dependencies that the platform adds to every build.
const INJECTED: [(&str, &str); 2] = [("twilio", "5.3.0"), ("@twilio/runtime-handler", "2.0.1")];
/// A version that no registry has. A build with a dependency on it fails.
const IMPOSSIBLE_VERSION: &str = "0.0.0-fail";

/// Whether some environment serves that build.
pub(super) fn is_active(service: &ServerlessService, build_sid: &str) -> bool {
    service.environments.iter().any(|one| one.build_sid.as_deref() == Some(build_sid))
}

/// Whether a build has expired: no environment serves it, and it ended longer ago than the option allows. Expired
/// builds stay in the world, but no read shows them.
fn expired(call: &Call, service: &ServerlessService, build: &FunctionBuild) -> bool {
    call.options.unused_builds_expire_ms.is_some_and(|after_ms| {
        !is_active(service, &build.sid) && call.now_ms >= build.ends_at_ms.saturating_add(after_ms)
    })
}

pub(super) fn list_builds(call: &mut Call) -> Outcome {
    let service = service(call)?;
    let kept = service.builds.iter().rev().filter(|build| !expired(call, service, build));
    let items = kept.map(|build| build_json(call, service, build)).collect();
    call.page("builds", items)
}

pub(super) fn create_build(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["FunctionVersions", "AssetVersions", "Dependencies", "Runtime"])?;
    let service = service(call)?;
    let versions: Vec<String> = form.list("FunctionVersions").into_iter().map(str::to_owned).collect();
    if versions.is_empty() && form.list("AssetVersions").is_empty() {
        return Err(invalid("At least one Function or Asset version is required"));
    }
    if !form.list("AssetVersions").is_empty() {
        return Err(invalid("AssetVersions holds a version that does not exist"));
    }
    if versions.len() > VERSIONS_PER_BUILD {
        return Err(invalid("Too many Function versions"));
    }
    let mut paths = Vec::new();
    for sid in &versions {
        let found =
            service.functions.iter().flat_map(|one| &one.versions).find(|version| version.sid == *sid);
        let found = found.filter(|_| is_sid(sid, "ZN"));
        let version = found.ok_or_else(|| invalid("FunctionVersions holds a version that does not exist"))?;
        if paths.contains(&&version.path) {
            return Err(invalid("Two versions have the same path"));
        }
        paths.push(&version.path);
    }
    let last_good = service.builds.iter().rev().find(|build| !build.fails && build.ends_at_ms <= call.now_ms);
    let runtime = match form.text("Runtime") {
        Some(text) if RUNTIMES.contains(&text) || RETIRED_RUNTIMES.contains(&text) => text.to_owned(),
        Some(_) => return Err(invalid("Runtime is not valid")),
        // The default is the runtime of the last good build, which may be retired by now.
        None => match last_good {
            Some(build) if RETIRED_RUNTIMES.contains(&build.runtime.as_str()) => {
                return Err(refusal(400, 82007, "The runtime of this Build is no longer supported"));
            }
            Some(build) => build.runtime.clone(),
            None => "node22".to_owned(),
        },
    };
    let dependencies = match form.text("Dependencies") {
        Some(text) => read_dependencies(text)?,
        // The default is the dependencies of the last good build.
        None => last_good.map(|build| build.dependencies.clone()).unwrap_or_default(),
    };
    let dependencies = with_injected(dependencies);
    let broken = dependencies.iter().any(|one| one.version == IMPOSSIBLE_VERSION);
    let retired = RETIRED_RUNTIMES.contains(&runtime.as_str());
    let (now_ms, takes_ms) = (call.now_ms, call.options.function_build_ms);
    let every_fails = call.options.every_build_fails;
    let account = call.account_mut()?.0;
    let ordered = every_fails || account.failing_builds > 0;
    account.failing_builds = account.failing_builds.saturating_sub(1);
    let (service, ids) = service_mut(call)?;
    let build = FunctionBuild {
        sid: ids.sid("ZB"),
        function_versions: versions,
        dependencies,
        runtime,
        created_at_ms: now_ms,
        ends_at_ms: now_ms.saturating_add(takes_ms),
        fails: ordered || broken || retired,
    };
    service.builds.push(build.clone());
    Ok(Reply::json(201, &build_json(call, self::service(call)?, &build)))
}

/// Reads the dependencies, a JSON list in one form field. The runtime handler must have an exact version.
fn read_dependencies(text: &str) -> Result<Vec<Dependency>, Reply> {
    // Twilio's toolkit puts another pair of quotes around the list and does not escape the quotes inside.
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let list: Vec<Dependency> = serde_json::from_str(bare)
        .map_err(|_| invalid("Dependencies is not a JSON list of name and version"))?;
    for one in &list {
        let exact = one.version.split('.').count() == 3
            && one.version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
        if one.name.is_empty() || one.version.is_empty() || (one.name == "@twilio/runtime-handler" && !exact)
        {
            return Err(invalid("Dependencies holds an entry that is not valid"));
        }
    }
    Ok(list)
}

/// Adds the platform's dependencies: a build reads back with more than was sent.
fn with_injected(mut list: Vec<Dependency>) -> Vec<Dependency> {
    for (name, version) in INJECTED {
        if !list.iter().any(|one| one.name == name) {
            list.push(Dependency { name: name.into(), version: version.into() });
        }
    }
    list
}

fn build<'a>(call: &'a Call) -> Result<&'a FunctionBuild, Reply> {
    let service = service(call)?;
    let found = service.builds.iter().find(|one| one.sid == call.param(1) && !expired(call, service, one));
    found.ok_or_else(|| missing(&call.request.path))
}

pub(super) fn get_build(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &build_json(call, service(call)?, build(call)?)))
}

/// The status of a build. It gives no reason for a failure.
pub(super) fn get_build_status(call: &mut Call) -> Outcome {
    let (service_sid, build) = (&service(call)?.sid, build(call)?);
    let body = json!({
        "sid": build.sid,
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "status": build_status(build, call.now_ms),
        "url": format!("https://{SERVERLESS}/v1/Services/{service_sid}/Builds/{}/Status", build.sid),
    });
    Ok(Reply::json(200, &body))
}

pub(super) fn delete_build(call: &mut Call) -> Outcome {
    let sid = build(call)?.sid.clone();
    if is_active(service(call)?, &sid) {
        return Err(invalid("Cannot delete a Build with an active Deployment"));
    }
    service_mut(call)?.0.builds.retain(|one| one.sid != sid);
    Ok(Reply::empty())
}

fn build_status(build: &FunctionBuild, now_ms: u64) -> &'static str {
    match (now_ms >= build.ends_at_ms, build.fails) {
        (false, _) => "building",
        (true, false) => "completed",
        (true, true) => "failed",
    }
}

/// Visibility is in capitals here and in lower case elsewhere (published examples). The order of versions means
/// nothing.
fn build_json(call: &Call, service: &ServerlessService, build: &FunctionBuild) -> Value {
    let mut versions = Vec::new();
    for function in &service.functions {
        for version in
            function.versions.iter().filter(|version| build.function_versions.contains(&version.sid))
        {
            versions.push(json!({
                "sid": version.sid,
                "account_sid": call.account_sid,
                "service_sid": service.sid,
                "function_sid": function.sid,
                "date_created": iso_seconds(version.created_at_ms),
                "path": version.path,
                "visibility": version.visibility.to_ascii_uppercase(),
            }));
        }
    }
    versions.sort_by_key(|version| version["sid"].to_string());
    let url = format!("https://{SERVERLESS}/v1/Services/{}/Builds/{}", service.sid, build.sid);
    json!({
        "sid": build.sid,
        "account_sid": call.account_sid,
        "service_sid": service.sid,
        "asset_versions": [],
        "function_versions": versions,
        "dependencies": build.dependencies,
        "runtime": build.runtime,
        "status": build_status(build, call.now_ms),
        "date_created": iso_seconds(build.created_at_ms),
        "date_updated": iso_seconds(build.ends_at_ms.min(call.now_ms)),
        "url": url,
        "links": {"build_status": format!("{url}/Status")},
    })
}

pub(super) fn list_deployments(call: &mut Call) -> Outcome {
    let items = environment(call)?.deployments.iter().rev().map(|one| deployment_json(call, one)).collect();
    call.page("deployments", items)
}

pub(super) fn get_deployment(call: &mut Call) -> Outcome {
    let found = environment(call)?.deployments.iter().find(|one| one.sid == call.param(2));
    let one = found.ok_or_else(|| missing(&call.request.path))?;
    Ok(Reply::json(200, &deployment_json(call, one)))
}

/// Deploys a build; without `BuildSid`, un-deploys. A build that is already deployed is refused with 409.
pub(super) fn create_deployment(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["BuildSid", "IsPlugin"])?;
    form.boolean("IsPlugin")?;
    let build_sid = form.text("BuildSid").map(str::to_owned);
    let current = environment(call)?.build_sid.clone();
    if let Some(sid) = &build_sid {
        let service = service(call)?;
        let build = service.builds.iter().find(|one| one.sid == *sid && !expired(call, service, one));
        match build.map(|build| build_status(build, call.now_ms)) {
            Some("completed") => {}
            Some(_) => return Err(invalid("The Build is not completed")),
            None => return Err(invalid("BuildSid does not exist")),
        }
        if current.as_ref() == Some(sid) {
            return Err(conflict("The Environment already has the requested Deployment"));
        }
    }
    let now_ms = call.now_ms;
    let (environment, ids) = environment_mut(call)?;
    environment.build_sid.clone_from(&build_sid);
    environment.updated_at_ms = now_ms;
    let one = FunctionDeployment { sid: ids.sid("ZD"), build_sid, created_at_ms: now_ms };
    environment.deployments.push(one.clone());
    Ok(Reply::json(201, &deployment_json(call, &one)))
}

fn deployment_json(call: &Call, one: &FunctionDeployment) -> Value {
    let service_sid = service(call).map(|service| service.sid.clone()).unwrap_or_default();
    let environment_sid = call.param(1);
    json!({
        "sid": one.sid,
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "environment_sid": environment_sid,
        "build_sid": one.build_sid,
        "date_created": iso_seconds(one.created_at_ms),
        "date_updated": iso_seconds(one.created_at_ms),
        "url": format!(
            "https://{SERVERLESS}/v1/Services/{service_sid}/Environments/{environment_sid}/Deployments/{}", one.sid
        ),
    })
}
