//! Serverless v1: the table of its operations, and services, environments and variables. Functions and uploads are in
//! `functions`, builds and deployments in `builds`.
//!
//! The unique name of a service is unique within the account. The status that refuses a second one is not documented;
//! an option sets it, with 409 as default, as for environments.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::clock::iso_seconds;
use super::super::ids::Ids;
use super::super::wire::{Outcome, Reply};
use super::super::world::{Environment, ServerlessService, Variable};
use super::builds as b;
use super::form::Form;
use super::functions as f;
use super::{Call, Route, SERVERLESS, UPLOAD, invalid, missing, refusal};

/// Restricted keys have no permission for Serverless.
const fn route(
    method: Method,
    pattern: &'static str,
    operation: &'static str,
    run: fn(&mut Call) -> Outcome,
) -> Route {
    Route { host: SERVERLESS, method, pattern, operation, permission: "", run }
}

const SERVICE: &str = "/v1/Services/{key}";
const ENVIRONMENTS: &str = "/v1/Services/{key}/Environments";
const ENVIRONMENT: &str = "/v1/Services/{key}/Environments/{environment}";
const VARIABLES: &str = "/v1/Services/{key}/Environments/{environment}/Variables";
const VARIABLE: &str = "/v1/Services/{key}/Environments/{environment}/Variables/{variable}";
const DEPLOYMENTS: &str = "/v1/Services/{key}/Environments/{environment}/Deployments";
const DEPLOYMENT: &str = "/v1/Services/{key}/Environments/{environment}/Deployments/{deployment}";
const FUNCTIONS: &str = "/v1/Services/{key}/Functions";
const FUNCTION: &str = "/v1/Services/{key}/Functions/{function}";
const VERSIONS: &str = "/v1/Services/{key}/Functions/{function}/Versions";
const VERSION: &str = "/v1/Services/{key}/Functions/{function}/Versions/{version}";
const CONTENT: &str = "/v1/Services/{key}/Functions/{function}/Versions/{version}/Content";
const BUILDS: &str = "/v1/Services/{key}/Builds";
const BUILD: &str = "/v1/Services/{key}/Builds/{build}";
const BUILD_STATUS: &str = "/v1/Services/{key}/Builds/{build}/Status";

pub(super) const ROUTES: &[Route] = &[
    route(Method::Get, "/v1/Services", "list_serverless_services", list),
    route(Method::Post, "/v1/Services", "create_serverless_service", create),
    route(Method::Get, SERVICE, "get_serverless_service", get),
    route(Method::Post, SERVICE, "update_serverless_service", update),
    route(Method::Delete, SERVICE, "delete_serverless_service", delete),
    route(Method::Get, ENVIRONMENTS, "list_environments", list_environments),
    route(Method::Post, ENVIRONMENTS, "create_environment", create_environment),
    route(Method::Get, ENVIRONMENT, "get_environment", get_environment),
    route(Method::Delete, ENVIRONMENT, "delete_environment", delete_environment),
    route(Method::Get, VARIABLES, "list_variables", list_variables),
    route(Method::Post, VARIABLES, "create_variable", create_variable),
    route(Method::Get, VARIABLE, "get_variable", get_variable),
    route(Method::Post, VARIABLE, "update_variable", update_variable),
    route(Method::Delete, VARIABLE, "delete_variable", delete_variable),
    route(Method::Get, DEPLOYMENTS, "list_deployments", b::list_deployments),
    route(Method::Post, DEPLOYMENTS, "create_deployment", b::create_deployment),
    route(Method::Get, DEPLOYMENT, "get_deployment", b::get_deployment),
    route(Method::Get, "/v1/Services/{sid}/Assets", "list_assets", list_assets),
    route(Method::Get, FUNCTIONS, "list_functions", f::list),
    route(Method::Post, FUNCTIONS, "create_function", f::create),
    route(Method::Get, FUNCTION, "get_function", f::get),
    route(Method::Post, FUNCTION, "update_function", f::update),
    route(Method::Delete, FUNCTION, "delete_function", f::delete),
    route(Method::Get, VERSIONS, "list_function_versions", f::list_versions),
    route(Method::Get, VERSION, "get_function_version", f::get_version),
    route(Method::Get, CONTENT, "get_function_version_content", f::get_content),
    Route {
        host: UPLOAD,
        method: Method::Post,
        pattern: VERSIONS,
        operation: "upload_function_version",
        permission: "",
        run: f::upload,
    },
    route(Method::Get, BUILDS, "list_builds", b::list_builds),
    route(Method::Post, BUILDS, "create_build", b::create_build),
    route(Method::Get, BUILD, "get_build", b::get_build),
    route(Method::Get, BUILD_STATUS, "get_build_status", b::get_build_status),
    route(Method::Delete, BUILD, "delete_build", b::delete_build),
];

/// From older documents; no newer number is published.
const ENVIRONMENTS_PER_SERVICE: usize = 25;
/// Bounds of a variable's value and key (published schema).
const VARIABLE_BYTES: usize = 450;
const VARIABLE_KEY: usize = 128;

/// 409 with Twilio's code for a conflict.
pub(super) fn conflict(message: &str) -> Reply {
    refusal(409, 20409, message)
}

/// The service that the path names by SID or unique name.
pub(super) fn service<'a>(call: &'a Call) -> Result<&'a ServerlessService, Reply> {
    call.account()?.serverless_service(call.param(0)).ok_or_else(|| missing(&call.request.path))
}

/// The service that the path names, mutable, and the source of ids.
pub(super) fn service_mut<'a>(call: &'a mut Call) -> Result<(&'a mut ServerlessService, &'a mut Ids), Reply> {
    let (key, path) = (call.param(0).to_owned(), call.request.path.clone());
    let (account, ids) = call.account_mut()?;
    account.serverless_service_mut(&key).map(|service| (service, ids)).ok_or_else(|| missing(&path))
}

fn list(call: &mut Call) -> Outcome {
    let account = call.account()?;
    let items = account.serverless_services.iter().map(|service| service_json(call, service)).collect();
    call.page("services", items)
}

fn create(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["UniqueName", "FriendlyName", "IncludeCredentials", "UiEditable"])?;
    let unique_name = form.need("UniqueName")?.to_owned();
    let friendly_name = form.need("FriendlyName")?.to_owned();
    let include_credentials = form.boolean("IncludeCredentials")?.unwrap_or(true);
    let ui_editable = form.boolean("UiEditable")?.unwrap_or(false);
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if unique_name.len() > 50 || !unique_name.chars().all(allowed) {
        return Err(invalid("UniqueName is not valid"));
    }
    check_friendly(&friendly_name)?;
    let (limit, now_ms) = (call.options.serverless_service_limit, call.now_ms);
    let taken = call.options.serverless_name_taken_status;
    let (account, ids) = call.account_mut()?;
    if account.serverless_services.iter().any(|service| service.unique_name == unique_name) {
        let code = if taken == 409 { 20409 } else { 20001 };
        return Err(refusal(taken, code, "A Service with this UniqueName already exists"));
    }
    if account.serverless_services.len() >= limit {
        return Err(invalid("The limit of Services has been reached"));
    }
    let service = ServerlessService {
        sid: ids.sid("ZS"),
        domain_base: format!("{}-{:04}", unique_name.to_ascii_lowercase(), ids.draw() % 10_000),
        unique_name,
        friendly_name,
        include_credentials,
        ui_editable,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        environments: Vec::new(),
        functions: Vec::new(),
        builds: Vec::new(),
    };
    account.serverless_services.push(service.clone());
    Ok(Reply::json(201, &service_json(call, &service)))
}

fn check_friendly(name: &str) -> Result<(), Reply> {
    if name.is_empty() || name.chars().count() > 255 {
        Err(invalid("FriendlyName is not valid"))
    } else {
        Ok(())
    }
}

fn get(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &service_json(call, service(call)?)))
}

/// Changes any field except the unique name.
fn update(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["FriendlyName", "IncludeCredentials", "UiEditable"])?;
    let include_credentials = form.boolean("IncludeCredentials")?;
    let ui_editable = form.boolean("UiEditable")?;
    let now_ms = call.now_ms;
    let service = service_mut(call)?.0;
    if let Some(name) = form.text("FriendlyName") {
        check_friendly(name)?;
        name.clone_into(&mut service.friendly_name);
    }
    service.include_credentials = include_credentials.unwrap_or(service.include_credentials);
    service.ui_editable = ui_editable.unwrap_or(service.ui_editable);
    service.updated_at_ms = now_ms;
    get(call)
}

/// Deletes the service and everything in it, even what is deployed.
fn delete(call: &mut Call) -> Outcome {
    let sid = service(call)?.sid.clone();
    call.account_mut()?.0.serverless_services.retain(|service| service.sid != sid);
    Ok(Reply::empty())
}

fn service_json(call: &Call, service: &ServerlessService) -> Value {
    let url = format!("https://{SERVERLESS}/v1/Services/{}", service.sid);
    json!({
        "sid": service.sid,
        "account_sid": call.account_sid,
        "friendly_name": service.friendly_name,
        "unique_name": service.unique_name,
        "include_credentials": service.include_credentials,
        "ui_editable": service.ui_editable,
        "domain_base": service.domain_base,
        "date_created": iso_seconds(service.created_at_ms),
        "date_updated": iso_seconds(service.updated_at_ms),
        "url": url,
        "links": {
            "environments": format!("{url}/Environments"),
            "functions": format!("{url}/Functions"),
            "assets": format!("{url}/Assets"),
            "builds": format!("{url}/Builds"),
        },
    })
}

fn list_environments(call: &mut Call) -> Outcome {
    let service = service(call)?;
    let items = service.environments.iter().map(|one| environment_json(call, service, one)).collect();
    call.page("environments", items)
}

/// A service has no assets, because the twin cannot create them. Twilio's toolkit asks for them before each deployment.
fn list_assets(call: &mut Call) -> Outcome {
    service(call)?;
    call.page("assets", Vec::new())
}

fn create_environment(call: &mut Call) -> Outcome {
    // `FriendlyName` is not a published parameter. Twilio's own deploy toolkit sends it with every environment it
    // creates ("for the future"), so it is accepted and ignored.
    let form = Form::read(call, &["UniqueName", "DomainSuffix", "FriendlyName"])?;
    let unique_name = form.need("UniqueName")?.to_owned();
    let domain_suffix = form.text("DomainSuffix").filter(|text| !text.is_empty()).map(str::to_owned);
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if unique_name.len() > 100 || !unique_name.chars().all(|letter| allowed(letter) || letter == '_') {
        return Err(invalid("UniqueName is not valid"));
    }
    if domain_suffix.as_ref().is_some_and(|text| text.len() > 16 || !text.chars().all(allowed)) {
        return Err(invalid("DomainSuffix is not valid"));
    }
    let now_ms = call.now_ms;
    let (service, ids) = service_mut(call)?;
    if service
        .environments
        .iter()
        .any(|one| one.unique_name == unique_name || one.domain_suffix == domain_suffix)
    {
        return Err(conflict("An Environment with this UniqueName or DomainSuffix already exists"));
    }
    if service.environments.len() >= ENVIRONMENTS_PER_SERVICE {
        return Err(invalid("The limit of Environments has been reached"));
    }
    let tail = domain_suffix.as_ref().map(|text| format!("-{text}")).unwrap_or_default();
    let environment = Environment {
        sid: ids.sid("ZE"),
        unique_name,
        domain_name: format!("{}{tail}.twil.io", service.domain_base),
        domain_suffix,
        build_sid: None,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        variables: Vec::new(),
        deployments: Vec::new(),
    };
    service.environments.push(environment.clone());
    Ok(Reply::json(201, &environment_json(call, self::service(call)?, &environment)))
}

pub(super) fn environment<'a>(call: &'a Call) -> Result<&'a Environment, Reply> {
    let found = service(call)?.environments.iter().find(|one| one.sid == call.param(1));
    found.ok_or_else(|| missing(&call.request.path))
}

pub(super) fn environment_mut<'a>(call: &'a mut Call) -> Result<(&'a mut Environment, &'a mut Ids), Reply> {
    let (sid, path) = (call.param(1).to_owned(), call.request.path.clone());
    let (service, ids) = service_mut(call)?;
    let found = service.environments.iter_mut().find(|one| one.sid == sid);
    found.map(|one| (one, ids)).ok_or_else(|| missing(&path))
}

fn get_environment(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &environment_json(call, service(call)?, environment(call)?)))
}

fn delete_environment(call: &mut Call) -> Outcome {
    let sid = environment(call)?.sid.clone();
    service_mut(call)?.0.environments.retain(|one| one.sid != sid);
    Ok(Reply::empty())
}

fn environment_json(call: &Call, service: &ServerlessService, one: &Environment) -> Value {
    let url = format!("https://{SERVERLESS}/v1/Services/{}/Environments/{}", service.sid, one.sid);
    json!({
        "sid": one.sid,
        "account_sid": call.account_sid,
        "service_sid": service.sid,
        "build_sid": one.build_sid,
        "unique_name": one.unique_name,
        "domain_suffix": one.domain_suffix,
        "domain_name": one.domain_name,
        "date_created": iso_seconds(one.created_at_ms),
        "date_updated": iso_seconds(one.updated_at_ms),
        "url": url,
        "links": {
            "variables": format!("{url}/Variables"),
            "deployments": format!("{url}/Deployments"),
            "logs": format!("{url}/Logs"),
        },
    })
}

fn list_variables(call: &mut Call) -> Outcome {
    let service_sid = &service(call)?.sid;
    let environment = environment(call)?;
    let one = |variable| variable_json(call, service_sid, &environment.sid, variable);
    let items = environment.variables.iter().map(one).collect();
    call.page("variables", items)
}

fn check_variable(key: &str, value: &str) -> Result<(), Reply> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if key.len() > VARIABLE_KEY || !key.chars().all(allowed) {
        return Err(invalid("Key is not valid"));
    }
    if value.is_empty() || value.len() > VARIABLE_BYTES {
        return Err(invalid("Value must be 1 to 450 bytes"));
    }
    Ok(())
}

fn create_variable(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["Key", "Value"])?;
    let (key, value) = (form.need("Key")?.to_owned(), form.need("Value")?.to_owned());
    check_variable(&key, &value)?;
    let (now_ms, unique) = (call.now_ms, call.options.variable_keys_unique);
    let (environment, ids) = environment_mut(call)?;
    if unique && environment.variables.iter().any(|variable| variable.key == key) {
        return Err(conflict("A Variable with this Key already exists"));
    }
    let variable = Variable { sid: ids.sid("ZV"), key, value, created_at_ms: now_ms, updated_at_ms: now_ms };
    environment.variables.push(variable.clone());
    Ok(Reply::json(201, &variable_json(call, &service(call)?.sid, call.param(1), &variable)))
}

fn variable<'a>(call: &'a Call) -> Result<&'a Variable, Reply> {
    let found = environment(call)?.variables.iter().find(|one| one.sid == call.param(2));
    found.ok_or_else(|| missing(&call.request.path))
}

fn get_variable(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &variable_json(call, &service(call)?.sid, call.param(1), variable(call)?)))
}

fn update_variable(call: &mut Call) -> Outcome {
    let form = Form::read(call, &["Key", "Value"])?;
    let mut new = variable(call)?.clone();
    if let Some(key) = form.text("Key") {
        key.clone_into(&mut new.key);
    }
    if let Some(value) = form.text("Value") {
        value.clone_into(&mut new.value);
    }
    check_variable(&new.key, &new.value)?;
    new.updated_at_ms = call.now_ms;
    let unique = call.options.variable_keys_unique;
    let environment = environment_mut(call)?.0;
    if unique && environment.variables.iter().any(|other| other.sid != new.sid && other.key == new.key) {
        return Err(conflict("A Variable with this Key already exists"));
    }
    if let Some(stored) = environment.variables.iter_mut().find(|stored| stored.sid == new.sid) {
        *stored = new;
    }
    get_variable(call)
}

fn delete_variable(call: &mut Call) -> Outcome {
    let sid = variable(call)?.sid.clone();
    environment_mut(call)?.0.variables.retain(|one| one.sid != sid);
    Ok(Reply::empty())
}

/// A read always shows the value in clear text.
fn variable_json(call: &Call, service_sid: &str, environment_sid: &str, one: &Variable) -> Value {
    json!({
        "sid": one.sid,
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "environment_sid": environment_sid,
        "key": one.key,
        "value": one.value,
        "date_created": iso_seconds(one.created_at_ms),
        "date_updated": iso_seconds(one.updated_at_ms),
        "url": format!(
            "https://{SERVERLESS}/v1/Services/{service_sid}/Environments/{environment_sid}/Variables/{}", one.sid
        ),
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::json;

    use super::super::super::bench::{Bench, keys};

    const SERVICES: &str = "serverless.twilio.com/v1/Services";

    #[test]
    fn a_unique_name_is_unique_and_found() {
        let mut bench = Bench::new();
        let form = [("UniqueName", "lockstep-lease-1"), ("FriendlyName", "owner 1")];
        let (status, made) = bench.twilio(Method::Post, SERVICES, &form);
        assert_eq!(status, 201);
        let expected = [
            "sid",
            "account_sid",
            "friendly_name",
            "unique_name",
            "include_credentials",
            "ui_editable",
            "domain_base",
            "date_created",
            "date_updated",
            "url",
            "links",
        ];
        assert_eq!(keys(&made), expected);
        assert_eq!((&made["include_credentials"], &made["ui_editable"]), (&json!(true), &json!(false)));
        assert_eq!(bench.twilio(Method::Post, SERVICES, &form).0, 409);
        let by_name = format!("{SERVICES}/lockstep-lease-1");
        assert_eq!(bench.twilio(Method::Get, &by_name, &[]).1["sid"], made["sid"]);
        assert_eq!(
            bench.twilio(Method::Post, &by_name, &[("FriendlyName", "owner 2")]).1["friendly_name"],
            "owner 2"
        );
        assert_eq!(bench.twilio(Method::Post, &by_name, &[("UniqueName", "x")]).0, 400);
        assert_eq!(bench.twilio(Method::Delete, &by_name, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Get, &by_name, &[]).0, 404);
        assert_eq!(bench.twilio(Method::Post, SERVICES, &form).0, 201);
    }

    #[test]
    fn environments_and_variables() {
        let mut bench = Bench::new();
        bench.twilio(Method::Post, SERVICES, &[("UniqueName", "fb"), ("FriendlyName", "f")]);
        let environments = format!("{SERVICES}/fb/Environments");
        let form = [("UniqueName", "production"), ("DomainSuffix", "prod")];
        let (status, made) = bench.twilio(Method::Post, &environments, &form);
        assert_eq!((status, &made["build_sid"]), (201, &json!(null)));
        let domain = made["domain_name"].as_str().unwrap_or_default();
        assert!(domain.starts_with("fb-") && domain.ends_with("-prod.twil.io"), "{domain}");
        assert_eq!(bench.twilio(Method::Post, &environments, &form).0, 409);
        let one = format!("{environments}/{}", made["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Post, &one, &[("DomainSuffix", "x")]).0, 404, "there is no update");
        let variables = format!("{one}/Variables");
        let (status, variable) =
            bench.twilio(Method::Post, &variables, &[("Key", "TOKEN"), ("Value", "secret")]);
        assert_eq!((status, &variable["value"]), (201, &json!("secret")));
        assert_eq!(bench.twilio(Method::Post, &variables, &[("Key", "TOKEN"), ("Value", "x")]).0, 409);
        let long = "v".repeat(451);
        assert_eq!(bench.twilio(Method::Post, &variables, &[("Key", "LONG"), ("Value", &long)]).0, 400);
        let url = format!("{variables}/{}", variable["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio(Method::Post, &url, &[("Value", "new")]).1["value"], "new");
        assert_eq!(bench.twilio(Method::Get, &variables, &[]).1["variables"][0]["value"], "new");
        assert_eq!(bench.twilio(Method::Delete, &url, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Delete, &one, &[]).0, 204);
    }
}
