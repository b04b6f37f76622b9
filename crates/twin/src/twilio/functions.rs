//! Functions of a Serverless service and their uploaded versions.

use serde_json::{Value, json};

use super::super::clock::iso_seconds;
use super::super::wire::{Outcome, Part, Reply, multipart};
use super::super::world::{Function, FunctionVersion};
use super::builds::is_active;
use super::form::Form;
use super::serverless::{service, service_mut};
use super::{Call, SERVERLESS, invalid, missing};

fn function<'a>(call: &'a Call) -> Result<&'a Function, Reply> {
    let found = service(call)?.functions.iter().find(|one| one.sid == call.param(1));
    found.ok_or_else(|| missing(&call.request.path))
}

fn read_name(form: &Form) -> Result<String, Reply> {
    let name = form.need("FriendlyName")?;
    if name.chars().count() > 255 { Err(invalid("FriendlyName is too long")) } else { Ok(name.to_owned()) }
}

pub(super) fn list(call: &mut Call) -> Outcome {
    let service = service(call)?;
    let items = service.functions.iter().map(|one| function_json(call, &service.sid, one)).collect();
    call.page("functions", items)
}

/// Names are not unique: the same call twice creates two Functions.
pub(super) fn create(call: &mut Call) -> Outcome {
    let name = read_name(&Form::read(call, &["FriendlyName"])?)?;
    let now_ms = call.now_ms;
    let (service, ids) = service_mut(call)?;
    let one = Function {
        sid: ids.sid("ZH"),
        friendly_name: name,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        versions: Vec::new(),
    };
    let service_sid = service.sid.clone();
    service.functions.push(one.clone());
    Ok(Reply::json(201, &function_json(call, &service_sid, &one)))
}

pub(super) fn get(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &function_json(call, &service(call)?.sid, function(call)?)))
}

pub(super) fn update(call: &mut Call) -> Outcome {
    let sid = function(call)?.sid.clone();
    let name = read_name(&Form::read(call, &["FriendlyName"])?)?;
    let now_ms = call.now_ms;
    if let Some(one) = service_mut(call)?.0.functions.iter_mut().find(|one| one.sid == sid) {
        one.friendly_name = name;
        one.updated_at_ms = now_ms;
    }
    get(call)
}

/// Deletes a Function; refused while a deployed build holds one of its versions.
pub(super) fn delete(call: &mut Call) -> Outcome {
    let (service, function) = (service(call)?, function(call)?);
    let in_use =
        service.builds.iter().filter(|build| is_active(service, &build.sid)).any(|build| {
            function.versions.iter().any(|version| build.function_versions.contains(&version.sid))
        });
    if in_use {
        return Err(invalid("Cannot delete a Function that is part of an active Deployment"));
    }
    let sid = function.sid.clone();
    service_mut(call)?.0.functions.retain(|one| one.sid != sid);
    Ok(Reply::empty())
}

fn function_json(call: &Call, service_sid: &str, one: &Function) -> Value {
    let url = format!("https://{SERVERLESS}/v1/Services/{service_sid}/Functions/{}", one.sid);
    json!({
        "sid": one.sid,
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "friendly_name": one.friendly_name,
        "date_created": iso_seconds(one.created_at_ms),
        "date_updated": iso_seconds(one.updated_at_ms),
        "url": url,
        "links": {"function_versions": format!("{url}/Versions")},
    })
}

/// The only call of the upload host. It takes three parts; the content type of the file part marks it as code.
pub(super) fn upload(call: &mut Call) -> Outcome {
    let function_sid = function(call)?.sid.clone();
    let content_type = call.request.header("content-type").unwrap_or_default();
    let parts = multipart(content_type, &call.request.body).map_err(|what| invalid(&what))?;
    if let Some(part) =
        parts.iter().find(|part| !["Path", "Visibility", "Content"].contains(&part.name.as_str()))
    {
        return Err(invalid(&format!("Unknown parameter {}", part.name)));
    }
    let find = |name: &str| {
        let part: Option<&Part> = parts.iter().find(|part| part.name == name);
        part.ok_or_else(|| invalid(&format!("Missing required parameter {name}")))
    };
    let text =
        |part: &Part| String::from_utf8(part.content.clone()).map_err(|_| invalid("A part is not UTF-8"));
    let mut path = text(find("Path")?)?;
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let forbidden = |letter: char| letter.is_whitespace() || "#;,?:@+&$()'\"".contains(letter);
    if path.len() < 2 || path.len() > 255 || path.contains(forbidden) {
        return Err(invalid("Path is not valid"));
    }
    let visibility = text(find("Visibility")?)?;
    if !["public", "protected", "private"].contains(&visibility.as_str()) {
        return Err(invalid("Visibility is not valid"));
    }
    let file = find("Content")?;
    if file.filename.is_none() || file.content_type.as_deref() != Some("application/javascript") {
        return Err(invalid("Content must be a file of type application/javascript"));
    }
    let content = text(file)?;
    let newest = function(call)?.versions.last();
    if let Some(one) = newest.filter(|one| {
        !call.options.same_upload_is_new
            && (&one.path, &one.visibility, &one.content) == (&path, &visibility, &content)
    }) {
        return Ok(Reply::json(201, &version_json(call, &service(call)?.sid, &function_sid, one)));
    }
    let now_ms = call.now_ms;
    let (service, ids) = service_mut(call)?;
    let version = FunctionVersion { sid: ids.sid("ZN"), path, visibility, content, created_at_ms: now_ms };
    let service_sid = service.sid.clone();
    if let Some(one) = service.functions.iter_mut().find(|one| one.sid == function_sid) {
        one.versions.push(version.clone());
    }
    Ok(Reply::json(201, &version_json(call, &service_sid, &function_sid, &version)))
}

pub(super) fn list_versions(call: &mut Call) -> Outcome {
    let (service_sid, function) = (&service(call)?.sid, function(call)?);
    let one = |version| version_json(call, service_sid, &function.sid, version);
    let items = function.versions.iter().rev().map(one).collect();
    call.page("function_versions", items)
}

fn version<'a>(call: &'a Call) -> Result<&'a FunctionVersion, Reply> {
    let found = function(call)?.versions.iter().find(|one| one.sid == call.param(2));
    found.ok_or_else(|| missing(&call.request.path))
}

pub(super) fn get_version(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &version_json(call, &service(call)?.sid, call.param(1), version(call)?)))
}

/// The source text of a version, by which a client sees a change of code.
pub(super) fn get_content(call: &mut Call) -> Outcome {
    let (service_sid, version) = (&service(call)?.sid, version(call)?);
    let function_sid = call.param(1);
    let url = format!(
        "https://{SERVERLESS}/v1/Services/{service_sid}/Functions/{function_sid}/Versions/{}/Content",
        version.sid
    );
    let body = json!({
        "sid": version.sid,
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "function_sid": function_sid,
        "content": version.content,
        "url": url,
    });
    Ok(Reply::json(200, &body))
}

fn version_json(call: &Call, service_sid: &str, function_sid: &str, one: &FunctionVersion) -> Value {
    let url = format!(
        "https://{SERVERLESS}/v1/Services/{service_sid}/Functions/{function_sid}/Versions/{}",
        one.sid
    );
    json!({
        "sid": one.sid,
        "account_sid": call.account_sid,
        "service_sid": service_sid,
        "function_sid": function_sid,
        "path": one.path,
        "visibility": one.visibility,
        "date_created": iso_seconds(one.created_at_ms),
        "url": url,
        "links": {"function_version_content": format!("{url}/Content")},
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::{Value, json};

    use super::super::super::bench::{ACCOUNT, Bench};
    use super::super::super::{Options, Rate};

    const SERVICE: &str = "serverless.twilio.com/v1/Services/fb";

    fn text<'a>(value: &'a Value, key: &str) -> &'a str {
        value[key].as_str().unwrap_or_default()
    }

    /// Creates a service with an environment and a Function; returns the SIDs of both.
    fn prepared(bench: &mut Bench) -> (String, String) {
        let services = "serverless.twilio.com/v1/Services";
        bench.twilio(Method::Post, services, &[("UniqueName", "fb"), ("FriendlyName", "f")]);
        let (_, environment) =
            bench.twilio(Method::Post, &format!("{SERVICE}/Environments"), &[("UniqueName", "production")]);
        let (_, function) =
            bench.twilio(Method::Post, &format!("{SERVICE}/Functions"), &[("FriendlyName", "logs")]);
        (text(&environment, "sid").to_owned(), text(&function, "sid").to_owned())
    }

    fn upload(bench: &mut Bench, function: &str, path: &str, kind: &str) -> (u16, Value) {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"Path\"\r\n\r\n{path}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"Visibility\"\r\n\r\npublic\r\n\
             --b\r\nContent-Disposition: form-data; name=\"Content\"; filename=\"f.js\"\r\n\
             Content-Type: {kind}\r\n\r\nexports.handler = 1;\r\n--b--\r\n"
        );
        let url = format!("serverless-upload.twilio.com/v1/Services/fb/Functions/{function}/Versions");
        let content_type = "multipart/form-data; boundary=b";
        bench.twilio_raw(ACCOUNT, Method::Post, &url, content_type, body.into_bytes())
    }

    #[test]
    fn from_upload_to_deployment_and_back() {
        let mut bench = Bench::new();
        let (environment, function) = prepared(&mut bench);
        let (status, version) = upload(&mut bench, &function, "/logs", "application/javascript");
        assert_eq!((status, text(&version, "visibility")), (201, "public"));
        let version = text(&version, "sid").to_owned();
        let content = format!("{SERVICE}/Functions/{function}/Versions/{version}/Content");
        assert_eq!(text(&bench.twilio(Method::Get, &content, &[]).1, "content"), "exports.handler = 1;");
        let form = [("FunctionVersions", version.as_str()), ("Runtime", "node22"), ("Dependencies", "[]")];
        let (status, build) = bench.twilio(Method::Post, &format!("{SERVICE}/Builds"), &form);
        assert_eq!((status, text(&build, "status")), (201, "building"));
        assert_eq!(build["dependencies"].as_array().map(Vec::len), Some(2), "more than was sent");
        assert_eq!(build["function_versions"][0]["visibility"], "PUBLIC");
        let build = text(&build, "sid").to_owned();
        let deployments = format!("{SERVICE}/Environments/{environment}/Deployments");
        let deploy = [("BuildSid", build.as_str())];
        assert_eq!(bench.twilio(Method::Post, &deployments, &deploy).0, 400, "still building");
        bench.now_ms += 4_000;
        let status_url = format!("{SERVICE}/Builds/{build}/Status");
        assert_eq!(text(&bench.twilio(Method::Get, &status_url, &[]).1, "status"), "completed");
        assert_eq!(bench.twilio(Method::Post, &deployments, &deploy).0, 201);
        assert_eq!(bench.twilio(Method::Post, &deployments, &deploy).0, 409, "already serving");
        let environment_url = format!("{SERVICE}/Environments/{environment}");
        assert_eq!(text(&bench.twilio(Method::Get, &environment_url, &[]).1, "build_sid"), build);
        let (build_url, function_url) =
            (format!("{SERVICE}/Builds/{build}"), format!("{SERVICE}/Functions/{function}"));
        assert_eq!(bench.twilio(Method::Delete, &build_url, &[]).0, 400);
        assert_eq!(bench.twilio(Method::Delete, &function_url, &[]).0, 400);
        assert_eq!(bench.twilio(Method::Post, &deployments, &[]).0, 201, "un-deploys");
        let (_, list) = bench.twilio(Method::Get, &deployments, &[]);
        assert_eq!(
            (&list["deployments"][0]["build_sid"], text(&list["deployments"][1], "build_sid")),
            (&Value::Null, build.as_str())
        );
        assert_eq!(bench.twilio(Method::Delete, &build_url, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Delete, &function_url, &[]).0, 204);
    }

    #[test]
    fn the_same_upload_may_be_the_same_version() {
        for same_upload_is_new in [true, false] {
            let rate = Rate::Unlimited;
            let mut bench = Bench::with(Options { rate, same_upload_is_new, ..Options::default() });
            let (_, function) = prepared(&mut bench);
            let mut sid = |path: &str| {
                let (_, version) = upload(&mut bench, &function, path, "application/javascript");
                text(&version, "sid").to_owned()
            };
            let (first, again, moved) = (sid("/logs"), sid("/logs"), sid("/other"));
            assert_eq!(first != again, same_upload_is_new);
            assert!(moved != first && moved != again);
        }
    }

    #[test]
    fn uploads_are_checked() {
        let mut bench = Bench::new();
        let (_, function) = prepared(&mut bench);
        assert_eq!(upload(&mut bench, &function, "/a b", "application/javascript").0, 400);
        assert_eq!(upload(&mut bench, &function, "/logs", "text/plain").0, 400);
        assert_eq!(text(&upload(&mut bench, &function, "logs", "application/javascript").1, "path"), "/logs");
        let normal_host = format!("{SERVICE}/Functions/{function}/Versions");
        assert_eq!(bench.twilio(Method::Post, &normal_host, &[]).0, 404, "uploads have a host of their own");
        assert_eq!(
            upload(&mut bench, "ZH00000000000000000000000000000000", "/x", "application/javascript").0,
            404
        );
    }

    #[test]
    fn builds_fail_or_are_refused() {
        let mut bench = Bench::new();
        let (_, function) = prepared(&mut bench);
        let version =
            text(&upload(&mut bench, &function, "/l", "application/javascript").1, "sid").to_owned();
        let builds = format!("{SERVICE}/Builds");
        let v = ("FunctionVersions", version.as_str());
        let exact = r#"[{"name":"@twilio/runtime-handler","version":"^2.0.0"}]"#;
        let refused: [Vec<(&str, &str)>; 5] = [
            vec![],
            vec![("FunctionVersions", "ZN00000000000000000000000000000000")],
            vec![v, ("Runtime", "deno")],
            vec![v, ("Dependencies", "twilio")],
            vec![v, ("Dependencies", exact)],
        ];
        for form in refused {
            assert_eq!(bench.twilio(Method::Post, &builds, &form).0, 400, "{form:?}");
        }
        let impossible = r#"[{"name":"x","version":"0.0.0-fail"}]"#;
        for form in [vec![v, ("Runtime", "node18")], vec![v, ("Dependencies", impossible)]] {
            let (_, build) = bench.twilio(Method::Post, &builds, &form);
            bench.now_ms += 4_000;
            let url = format!("{builds}/{}/Status", text(&build, "sid"));
            assert_eq!(text(&bench.twilio(Method::Get, &url, &[]).1, "status"), "failed");
        }
    }

    #[test]
    fn unused_builds_may_vanish() {
        let rate = Rate::Unlimited;
        let mut bench =
            Bench::with(Options { rate, unused_builds_expire_ms: Some(1_000), ..Options::default() });
        let (_, function) = prepared(&mut bench);
        let version =
            text(&upload(&mut bench, &function, "/l", "application/javascript").1, "sid").to_owned();
        let builds = format!("{SERVICE}/Builds");
        let (_, build) = bench.twilio(Method::Post, &builds, &[("FunctionVersions", &version)]);
        bench.now_ms += 5_000;
        assert_eq!(bench.twilio(Method::Get, &builds, &[]).1["builds"], json!([]));
        assert_eq!(bench.twilio(Method::Get, &format!("{builds}/{}", text(&build, "sid")), &[]).0, 404);
    }
}
