//! A manifest that manages everything, and a stack whose manifest and world can be edited one value at a time.

use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep::diag::{Problem, Severity};
use lockstep::engine::apply::{Ended, Outcome};
use lockstep::engine::observe::{Observation, Session, observe};
use lockstep::kinds;
use lockstep::manifest::{self, FileError, Missing, Sources};
use lockstep::model::manifest::Manifest;
use lockstep::plan::desired;
use lockstep::shell::in_process::Stop;
use lockstep::twin::checkers::{PhoneProblem, locked_out, phone_problems};
use lockstep::twin::world::{
    Action, ApiKey, FunctionBuild, FunctionVersion, KeyKind, LogStream, PhoneTemplate, ServerlessService,
    Variable, VerifyService, VerifyTemplate,
};
use lockstep::twin::{Flag, Options, Tenant, Twin, World};
use serde_json::{Value as Json, json};

use crate::support::{ACCOUNT, DOMAIN, Stack, options, reconciled, tables};

/// Every managed field of every kind.
pub const FULL: &str = r#"
lockstep: v1
stack: acme-full
auth0:
  domain: ${env.AUTH0_DOMAIN}
  client_id: ${env.AUTH0_CLIENT_ID}
  client_secret: ${env.AUTH0_CLIENT_SECRET}
twilio:
  account_sid: ${env.TWILIO_ACCOUNT_SID}
  api_key: ${env.TWILIO_API_KEY}
  api_secret: ${env.TWILIO_API_SECRET}
verify_service:
  friendly_name: Acme Login
  code_length: 6
  lookup_enabled: true
  skip_sms_to_landlines: true
  dtmf_input_required: true
  tts_name: alice
  psd2_enabled: false
  do_not_share_warning_enabled: true
  custom_code_enabled: true
  default_template_sid: HJ00000000000000000000000000000001
  push:
    include_date: false
    apn_credential_sid: CR00000000000000000000000000000001
    fcm_credential_sid: CR000000000000000000000000000000f1
  totp:
    issuer: Acme
    time_step: 30
    code_length: 6
    skew: 1
  whatsapp:
    msg_service_sid: MG00000000000000000000000000000001
    from: "+15550100"
  passkeys:
    relying_party:
      id: acme.example
      name: Acme
      origins: https://acme.example,https://login.acme.example
    authenticator_attachment: platform
    discoverable_credentials: preferred
    user_verification: preferred
  verify_event_subscription_enabled: false
  email:
    from: codes@acme.example
    from_name: Acme
    content_template_id: HX00000000000000000000000000000001
  mailer_sid: MD00000000000000000000000000000001
  rate_limits:
    per_number:
      key: recipient
      description: Sends to one number
      buckets:
        60s: { max: 5 }
        1h: { max: 20 }
    per_ip:
      key: ip
      buckets:
        1d: { max: 100 }
  messaging_configurations:
    US: MG000000000000000000000000000000a1
phone:
  delivery: unified
  channels: [sms, voice]
  protection: exponential
  templates:
    otp_verify:
      from: "+15550100"
      text: "Acme: @{code}"
      voice: "Acme says @{code}"
      disabled: false
    otp_enroll:
      from: "+15550100"
      text: "Acme: @{code}"
      voice: "Acme says @{code}"
      disabled: false
    change_password:
      from: "+15550100"
      text: "Acme: @{code}"
      voice: "Acme says @{code}"
      disabled: false
    blocked_account:
      from: "+15550100"
      text: "Acme: @{code}"
      voice: "Acme says @{code}"
      disabled: false
    password_breach:
      from: "+15550100"
      text: "Acme: @{code}"
      voice: "Acme says @{code}"
      disabled: false
action:
  name: Acme phone
  code: builtin:twilio-verify
  runtime: node22
  dependencies:
    twilio: 6.2.0
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_KEY: ${env.TWILIO_SENDER_KEY}
    TWILIO_API_SECRET: ${env.TWILIO_SENDER_SECRET}
    TWILIO_VERIFY_SID: ${verify_service.sid}
  binding:
    display_name: Send the code
    position: last
feedback:
  action:
    name: Acme login feedback
    code: builtin:login-feedback
    runtime: node22
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${env.TWILIO_FEEDBACK_SECRET}
  function:
    code: builtin:verify-feedback
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${env.TWILIO_FEEDBACK_SECRET}
    runtime: node22
    dependencies:
      twilio: 6.2.0
      "@twilio/runtime-handler": 2.1.2
    variables:
      EXTRA: ${env.HEADER_SECRET}
    path: /auth0-logs
    friendly_name: Acme receiver
    ui_editable: false
    unique_name: acme-feedback
    environment: production
  log_stream:
    name: Acme feedback
    endpoint: https://acme-feedback.example/auth0-logs
    authorization: ${env.FEEDBACK_SECRET}
    content_format: JSONARRAY
    content_type: application/json
    custom_headers:
      X-Stack: ${env.HEADER_SECRET}
    filters: [other, user.notification]
    pii_config:
      log_fields: [email]
      method: mask
      algorithm: xxhash
    is_priority: false
    status: active
mfa:
  policy: always
  factors:
    phone: true
    otp: true
    email: false
    push_notification: false
    webauthn_roaming: true
    webauthn_platform: false
    recovery_code: true
    duo: false
  post_login:
    name: Acme MFA
    code: builtin:mfa-post-login
    runtime: node22
    binding:
      display_name: Ask for a factor
      position: last
    rules:
      admins:
        roles: [Admin, Support]
        remember_hours: 12
      partners:
        require: mfa_if_enrolled
        organizations: [acme-partners]
        connections: [partners-oidc]
        applications: [app1]
        factors: [otp, webauthn_roaming]
universal_login:
  experience: new
  identifier_first: true
  webauthn_platform_first_factor: true
branding:
  logo_url: https://acme.example/logo.png
  favicon_url: https://acme.example/icon.png
  colors:
    primary: '#112233'
    page_background: '#445566'
  font:
    url: https://acme.example/font.woff
  identifiers:
    login_display: separate
    otp_autocomplete: true
    phone_display:
      formatting: international
      masking: mask_digits
log_streams:
  http:
    siem:
      name: Acme SIEM
      endpoint: https://siem.example/auth0
      authorization: ${env.SIEM_SECRET}
      content_format: JSONLINES
      content_type: application/x-ndjson
      custom_headers:
        X-Source: ${env.HEADER_SECRET}
      filters: [auth.login.fail, user.fail]
      pii_config:
        log_fields: [phone]
        method: hash
        algorithm: xxhash
      is_priority: false
      status: active
sample_client:
  name: Acme sample
  url: http://localhost:3000
  connection: Username-Password-Authentication
attest:
  fraud_guard: { level: standard, by: jo@acme.example, on: 2026-11-01, until: 2027-05-01 }
  geo_permissions: { countries: [AT, DE], by: jo@acme.example, on: 2026-11-01, until: 2027-05-01 }
  channels: { enabled: [sms, voice], by: jo@acme.example, on: 2026-11-01, until: 2027-05-01 }
"#;

/// Dotted places in the manifest, and their new values; null removes the key.
pub type Edits = Vec<(String, Json)>;

/// One edit.
pub fn edit(place: impl Into<String>, value: Json) -> (String, Json) {
    (place.into(), value)
}

/// The environment: the variables of the other tests, and further values to change to.
pub fn env() -> BTreeMap<String, String> {
    let mut env = crate::support::env();
    for (name, value) in [
        ("HEADER_SECRET", "Header-Secret-77aa10"),
        ("OTHER_SECRET", "Other-Secret-e01b94"),
        // These begin like SIDs, and are too short to be mistaken for real ones.
        ("OTHER_ACCOUNT", "ACother0e01b94"),
        ("OTHER_KEY", "SKother0e01b94"),
        ("OTHER_SERVICE", "VAother0e01b94"),
        ("SIEM_SECRET", "Siem-Secret-90d2c4"),
        // Variables of the shipped manifests.
        ("TWILIO_AUTH_TOKEN", "Twilio-Auth-Token-0b5e1f"),
        ("FEEDBACK_LOG_LEVEL", "Log-Level-41d07e"),
        ("FEEDBACK_TENANT_TAG", "Tenant-Tag-9c2ab8"),
        ("SIEM_TOKEN", "Siem-Token-6f30d1"),
        ("SIEM_SOURCE", "Siem-Source-2ee9a5"),
        ("PARTNER_CLIENT_ID", "partner-client-id"),
    ] {
        env.insert(name.into(), value.into());
    }
    // One byte more than a variable of a Function may have.
    env.insert("LONG_SECRET".into(), "x".repeat(451));
    env
}

/// Sources in which every file is the built-in code with one more line, so that the code can be changed.
struct Folder(BTreeMap<String, String>);

/// The sources for resolving a manifest: every variable of the tests, any file, no commands.
pub fn folder() -> impl Sources {
    Folder(env())
}

/// The text of a file that the manifest names.
pub fn file(path: &str) -> String {
    if path.contains("broken") {
        return "exports.handler = exports.onExecuteCustomPhoneProvider = async () => {\n  if (\n".into();
    }
    if path.contains("unexported") {
        return "const handler = (context, event, callback) => callback();\n".into();
    }
    if path.contains("comment") {
        return "// exports.handler, exports.onExecuteCustomPhoneProvider, exports.onExecutePostLogin\n"
            .into();
    }
    let name = match path {
        path if path.contains("mfa") => "mfa-post-login",
        path if path.contains("function") => "verify-feedback",
        path if path.contains("older") => "twilio-verify-legacy",
        _ => "twilio-verify",
    };
    let source = lockstep::builtin::source(name).unwrap_or_default();
    format!("{source}// {}\n", path.trim_start_matches("./"))
}

impl Sources for Folder {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        Ok(file(path))
    }
}

/// The manifest with edits, resolved and checked.
///
/// # Errors
/// The errors of its checks, as text.
pub fn manifest(text: &str, edits: &[(String, Json)]) -> Result<Manifest, String> {
    let (manifest, mut problems) = checked(text, edits)?;
    problems.retain(|problem| problem.severity == Severity::Error);
    if problems.is_empty() { Ok(manifest) } else { Err(format!("{problems:?}")) }
}

/// The manifest with edits, resolved, and the problems that the kinds report.
pub fn checked(text: &str, edits: &[(String, Json)]) -> Result<(Manifest, Vec<Problem>), String> {
    let mut root: Json = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    for (place, value) in edits {
        let (path, key) = place.rsplit_once('.').unwrap_or(("", place));
        let mut at = &mut root;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            at = &mut at[part];
        }
        match (value, at.as_object_mut()) {
            (Json::Null, Some(map)) => drop(map.shift_remove(key)),
            (value, _) => at[key] = value.clone(),
        }
    }
    // JSON is YAML.
    let text = root.to_string();
    let (parsed, _) =
        manifest::parse("full.yaml", &text, &tables()).map_err(|rejected| rejected.render(false))?;
    let manifest = manifest::resolve(&parsed, &Folder(env()), Missing::Error)
        .map_err(|rejected| rejected.render(false))?;
    let mut problems = Vec::new();
    kinds::KINDS.iter().for_each(|kind| kind.check(&manifest, &mut problems));
    Ok((manifest, problems))
}

/// [`manifest`] for edits that are known to be valid.
pub fn valid(text: &str, edits: &[(String, Json)]) -> Manifest {
    manifest(text, edits).unwrap_or_else(|problems| panic!("{edits:?}: {problems}"))
}

/// A twin and the time on it, so that one applied state serves many tests.
#[derive(Clone)]
pub struct Snapshot {
    pub twin: Twin,
    pub now_ms: u64,
}

/// A stack with its own manifest.
pub struct Bed {
    pub stack: Stack,
    pub manifest: Manifest,
}

impl Bed {
    /// A bed on an empty tenant.
    pub fn new(manifest: Manifest) -> Bed {
        // The newer fields are shown, so that drift can find a change of them. Hidden fields have their own tests.
        let unified_flag =
            if manifest.text("phone", "delivery") == Some("legacy") { Flag::Off } else { Flag::On };
        let options = Options { newer_verify_fields_shown: true, unified_flag, ..options() };
        let mut stack = Stack::new(options, crate::support::core_manifest());
        stack.env = env();
        let bed = Bed { stack, manifest };
        bed.with_twin(|twin| {
            let templates = ['2', '3'].map(|digit| VerifyTemplate {
                sid: format!("HJ{}{digit}", "0".repeat(31)),
                friendly_name: format!("Template {digit}"),
                channels: vec!["sms".into()],
                translations: json!({ "en": { "status": "approved" } }),
            });
            twin.world.account_mut(ACCOUNT).verify_templates.extend(templates);
            twin.tenant_mut(DOMAIN).adaptive_mfa = true;
            // Like the auth token, it makes keys.
            let own = ApiKey {
                account_sid: ACCOUNT.into(),
                secret: None,
                kind: KeyKind::Main,
                allow: Vec::new(),
                friendly_name: "deploys".into(),
                created_at_ms: 0,
                updated_at_ms: 0,
                deleted: false,
            };
            twin.world.keys.insert(env()["TWILIO_API_KEY"].clone(), own);
        });
        bed
    }

    /// A bed on the state of a snapshot.
    pub fn on(snapshot: &Snapshot, manifest: Manifest) -> Bed {
        let mut bed = Bed::new(manifest);
        *bed.stack.twin.borrow_mut() = snapshot.twin.clone();
        let now_ms = bed.now_ms();
        bed.stack.in_process.advance_ms(snapshot.now_ms - now_ms);
        // Random values depend on the number of the run, and this is a later one.
        bed.stack.runs = 100;
        bed
    }

    /// The present state, an hour later, so that times differ.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { twin: self.stack.twin.borrow().clone(), now_ms: self.now_ms() + 3_600_000 }
    }

    pub fn now_ms(&self) -> u64 {
        self.stack.in_process.now_ms()
    }

    pub fn with_twin<T>(&self, act: impl FnOnce(&mut Twin) -> T) -> T {
        act(&mut self.stack.twin.borrow_mut())
    }

    pub fn session(&mut self, destroy: bool) -> Session {
        let mut session = self.stack.session(destroy);
        session.manifest = Rc::new(self.manifest.clone());
        session
    }

    /// Observes as `drift` does, which counts removals as differences.
    pub fn observe(&mut self) -> Observation {
        let mut session = self.session(false);
        session.allow_delete = true;
        self.stack
            .process(Stop::default(), |port| async move { observe(&session, &port.reader()).await })
            .expect("not killed")
            .unwrap_or_else(|failed| panic!("{failed}"))
    }

    /// Observes as `destroy` does.
    pub fn observe_destroy(&mut self) -> Observation {
        let session = self.session(true);
        self.stack
            .process(Stop::default(), |port| async move { observe(&session, &port.reader()).await })
            .expect("not killed")
            .unwrap_or_else(|failed| panic!("{failed}"))
    }

    fn run(&mut self, destroy: bool) -> Outcome {
        self.run_until(Stop::default(), destroy).expect("not killed")
    }

    /// `None`: the run was killed.
    pub fn run_until(&mut self, stop: Stop, destroy: bool) -> Option<Outcome> {
        let session = self.session(destroy);
        self.stack.process(stop, |port| async move {
            reconciled(session, port).await.unwrap_or_else(|failed| panic!("{failed}")).outcome
        })
    }

    pub fn apply(&mut self) -> Outcome {
        self.run(false)
    }

    /// Applies; panics unless it went well.
    pub fn applied(&mut self) -> Outcome {
        let outcome = self.apply();
        assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
        outcome
    }

    /// Applies like [`Bed::applied`]. If the answer to a create was lost and the object is not found yet, it applies
    /// again after the time for which a list may lag.
    pub fn applied_at_last(&mut self) -> Outcome {
        let outcome = self.apply();
        if !matches!(&outcome.ended, Ended::Failed(text) if text.contains("slow to appear")) {
            assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
            return outcome;
        }
        self.stack.in_process.advance_ms(301_000);
        self.applied()
    }

    pub fn destroy(&mut self) -> Outcome {
        self.run(true)
    }

    /// Destroys; panics unless it went well.
    pub fn destroyed(&mut self) -> Outcome {
        let outcome = self.run(true);
        assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
        outcome
    }

    /// The world without what every write changes.
    pub fn plain(&self, ids: Remote) -> Json {
        plain(&self.stack.twin.borrow().world, ids)
    }

    /// Writes since a mark, as `METHOD host/path`, without those of lease and ledger.
    pub fn writes_since(&self, mark: usize) -> Vec<String> {
        let ledger = ledger_id(&self.stack.twin.borrow());
        let ledger = ledger.as_deref().unwrap_or("no ledger");
        let services: Vec<String> = self.with_twin(|twin| {
            let services = &twin.world.account_mut(ACCOUNT).serverless_services;
            services.iter().map(|service| service.sid.clone()).collect()
        });
        // The lease is gone by now, so its SID is unknown: the first create of a service is the lease's own.
        let ours = |path: &str| services.iter().any(|sid| path.contains(sid.as_str()));
        let mut leased = false;
        self.stack
            .log_since(mark)
            .into_iter()
            .filter(|entry| entry.wrote && !entry.path.contains(ledger))
            .filter(|entry| {
                let creates = entry.operation == "create_serverless_service";
                let lease = creates && !std::mem::replace(&mut leased, true);
                !lease && (entry.host != "serverless.twilio.com" || creates || ours(&entry.path))
            })
            .map(|entry| format!("{} {}{}", entry.method, entry.host, entry.path))
            .collect()
    }
}

/// The state after the full manifest was applied.
pub fn applied_full() -> Snapshot {
    applied_of(FULL)
}

/// The state after a manifest was applied.
pub fn applied_of(text: &str) -> Snapshot {
    let mut bed = Bed::new(valid(text, &[]));
    bed.applied();
    bed.snapshot()
}

/// Address and field of everything that a manifest declares.
pub fn declared_fields(text: &str) -> Vec<(String, String)> {
    desired::declared(&valid(text, &[]))
        .into_iter()
        .flat_map(|resource| {
            resource.desired.into_keys().map(move |field| (resource.address.to_string(), field))
        })
        .collect()
}

pub fn tenant(twin: &mut Twin) -> &mut Tenant {
    twin.tenant_mut(DOMAIN)
}

/// The first Verify service.
pub fn service(twin: &mut Twin) -> &mut VerifyService {
    &mut twin.world.account_mut(ACCOUNT).verify_services[0]
}

/// The Action on the phone trigger, unified or legacy.
pub fn action(twin: &mut Twin) -> &mut Action {
    let unified = "custom-phone-provider";
    let is_unified = tenant(twin).actions.iter().any(|action| action.supports(unified));
    our_action(twin, if is_unified { unified } else { "send-phone-message" }, "")
}

/// The Action on the trigger for rules.
pub fn rules_action(twin: &mut Twin) -> &mut Action {
    on_login(twin, |action| action.secret("TWILIO_VERIFY_SID").is_none())
}

/// The Action that gives feedback.
pub fn feedback_action(twin: &mut Twin) -> &mut Action {
    on_login(twin, |action| action.secret("TWILIO_VERIFY_SID").is_some())
}

fn on_login(twin: &mut Twin, fits: fn(&Action) -> bool) -> &mut Action {
    let is_ours = |action: &&mut Action| {
        action.supports("post-login") && action.code.contains("exports.onExecutePostLogin") && fits(action)
    };
    tenant(twin).actions.iter_mut().find(is_ours).expect("the Action is there")
}

/// The first Action on a trigger whose code contains a text.
fn our_action<'a>(twin: &'a mut Twin, trigger: &str, code: &str) -> &'a mut Action {
    let actions = &mut tenant(twin).actions;
    let found = actions.iter_mut().find(|action| action.supports(trigger) && action.code.contains(code));
    found.expect("the Action is there")
}

/// The Serverless service of the Function.
pub fn receiver(twin: &mut Twin) -> &mut ServerlessService {
    let services = &mut twin.world.account_mut(ACCOUNT).serverless_services;
    let ours = |name: &str| name == "acme-feedback" || name.starts_with("lockstep-feedback-");
    services.iter_mut().find(|service| ours(&service.unique_name)).expect("the service is there")
}

/// A variable of the Function.
pub fn variable<'a>(twin: &'a mut Twin, key: &str) -> &'a mut Variable {
    let variables = &mut receiver(twin).environments[0].variables;
    variables.iter_mut().find(|variable| variable.key == key).expect("the variable is there")
}

/// Another operator uploads, builds and deploys: `change` gets the new version of the Function and the new build.
pub fn redeploy(twin: &mut Twin, now_ms: u64, change: impl FnOnce(&mut FunctionVersion, &mut FunctionBuild)) {
    let (version_sid, build_sid) = (twin.world.ids.sid("ZN"), twin.world.ids.sid("ZB"));
    let service = receiver(twin);
    let live = service.environments[0].build_sid.clone();
    let mut build =
        service.builds.iter().find(|build| Some(&build.sid) == live.as_ref()).expect("live").clone();
    let mut version = service.functions[0].versions.last().expect("a version").clone();
    build.function_versions.retain(|sid| *sid != version.sid);
    (build.sid, version.sid, build.created_at_ms) = (build_sid, version_sid, now_ms);
    version.created_at_ms = now_ms;
    change(&mut version, &mut build);
    build.function_versions.push(version.sid.clone());
    service.environments[0].build_sid = Some(build.sid.clone());
    service.functions[0].versions.push(version);
    service.builds.push(build);
}

/// The feedback stream.
pub fn stream(twin: &mut Twin) -> &mut LogStream {
    stream_to(twin, "https://acme-feedback.example/")
}

/// The SIEM stream.
pub fn siem(twin: &mut Twin) -> &mut LogStream {
    stream_to(twin, "https://siem.example/auth0")
}

fn stream_to<'a>(twin: &'a mut Twin, endpoint: &str) -> &'a mut LogStream {
    let streams = &mut tenant(twin).log_streams;
    let to = |stream: &LogStream| {
        stream.sink.get("httpEndpoint").and_then(Json::as_str).is_some_and(|to| to.starts_with(endpoint))
    };
    // A test may have changed its endpoint, so the first stream is the fallback.
    let at = streams.iter().position(to).unwrap_or(0);
    streams.get_mut(at).expect("the stream is there")
}

/// A template of the tenant's own, by its type.
pub fn template<'a>(twin: &'a mut Twin, kind: &str) -> &'a mut PhoneTemplate {
    let templates = &mut tenant(twin).phone_templates;
    templates.iter_mut().find(|template| template.r#type == kind).expect("the template is there")
}

/// The application that the stack made.
pub fn sample(twin: &mut Twin) -> &mut serde_json::Map<String, Json> {
    tenant(twin).clients.values_mut().next().expect("the application is there")
}

/// The id of the ledger's Action.
pub fn ledger_id(twin: &Twin) -> Option<String> {
    let tenant = twin.world.tenants.get(DOMAIN)?;
    let ledger = tenant.actions.iter().find(|action| action.name.starts_with("Lockstep ledger"))?;
    Some(ledger.id.clone())
}

/// Removes the ledger.
pub fn lose_ledger(twin: &mut Twin) {
    tenant(twin).actions.retain(|action| !action.name.starts_with("Lockstep ledger"));
}

/// Selects an Action of the world.
pub type Pick = fn(&mut Twin) -> &mut Action;

/// Another operator edits the draft of the phone Action, lets it build and deploys it.
pub fn edit_action(twin: &mut Twin, now_ms: u64, change: impl FnOnce(&mut Action, &str)) {
    edit_this(action, twin, now_ms, change);
}

/// [`edit_action`] for any Action.
pub fn edit_this(pick: Pick, twin: &mut Twin, now_ms: u64, change: impl FnOnce(&mut Action, &str)) {
    let stamp = twin.world.ids.stamp(now_ms);
    let version_id = twin.world.ids.uuid();
    let action = pick(twin);
    change(action, &stamp);
    let live = action.live_version().expect("the Action is deployed").clone();
    action.versions.push(lockstep::twin::world::ActionVersion {
        id: version_id.clone(),
        number: live.number + 1,
        code: action.code.clone(),
        dependencies: action.dependencies.clone(),
        runtime: action.runtime.clone(),
        secrets: action.secrets.clone(),
        modules: action.modules.clone(),
        created_at: stamp.clone(),
        updated_at: stamp.clone(),
        built_at: stamp.clone(),
        ..live
    });
    action.updated_at = stamp;
    action.draft_version = Some(version_id.clone());
    if let Some(deployment) = &mut action.deployment {
        deployment.former_version_id = Some(std::mem::replace(&mut deployment.version_id, version_id));
        deployment.visible_at_ms = now_ms;
        deployment.bindable_at_ms = now_ms;
    }
}

/// Another operator edits the draft of the phone Action and does not deploy it.
pub fn edit_draft(twin: &mut Twin, now_ms: u64, change: impl FnOnce(&mut Action)) {
    edit_draft_of(action, twin, now_ms, change);
}

/// [`edit_draft`] for any Action.
pub fn edit_draft_of(pick: Pick, twin: &mut Twin, now_ms: u64, change: impl FnOnce(&mut Action)) {
    let stamp = twin.world.ids.stamp(now_ms);
    let action = pick(twin);
    change(action);
    action.updated_at = stamp;
    action.draft_version = None;
    action.build.started_at_ms = now_ms;
    action.build.ends_at_ms = now_ms;
}

/// Whether a comparison of worlds includes remote ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    Ids,
    /// An object may have been made again, so ids may differ.
    NoIds,
}

/// Members that change with every write: times, builds, the list of versions, tokens. The deployed version is compared
/// under another name.
const MOVING: &[&str] = &[
    "created_at",
    "updated_at",
    "created_at_ms",
    "updated_at_ms",
    "build",
    "draft_version",
    "versions",
    "deployment",
    // What a Function serves is compared as `live`.
    "builds",
    "build_sid",
    "deployments",
    // These are drawn again with a new service.
    "domain_base",
    "domain_name",
    "tokens",
    "used_assertions",
    "logs",
];

/// A world as data, without [`MOVING`] members, ids of bindings, and the ledger's content. Lists without an order are
/// sorted.
pub fn plain(world: &World, ids: Remote) -> Json {
    let mut json = serde_json::to_value(world).expect("a world is data");
    json["ids"] = Json::Null;
    // A key that was deleted is gone for everybody but the twin, which refuses its use.
    if let Some(keys) = json["keys"].as_object_mut() {
        keys.retain(|_, key| key["deleted"] != true);
    }
    for (domain, tenant) in &world.tenants {
        let actions: Vec<Json> = tenant
            .actions
            .iter()
            .map(|action| {
                let mut shown = serde_json::to_value(action).expect("an Action is data");
                if action.name.starts_with("Lockstep ledger") {
                    shown["code"] = json!("(ledger)");
                }
                shown["live"] = action.live_version().map_or(Json::Null, |live| {
                    json!({ "code": live.code, "dependencies": live.dependencies, "runtime": live.runtime, "secrets": live.secrets })
                });
                shown
            })
            .collect();
        json["tenants"][domain.as_str()]["actions"] = json!(actions);
        if ids == Remote::NoIds {
            let name =
                |id: &String| tenant.clients.get(id).map_or(json!(id), |client| client["name"].clone());
            let clients = json["tenants"][domain.as_str()]["clients"].as_object_mut().into_iter();
            for (_, client) in clients.flatten() {
                (client["client_id"], client["client_secret"]) = (json!("(id)"), json!("(secret)"));
            }
            let clients = json["tenants"][domain.as_str()]["clients"].take();
            let named = clients.as_object().into_iter().flatten();
            let named: serde_json::Map<String, Json> = named
                .map(|(_, client)| (client["name"].as_str().unwrap_or_default().to_owned(), client.clone()))
                .collect();
            json["tenants"][domain.as_str()]["clients"] = Json::Object(named);
            for (at, connection) in tenant.connections.iter().enumerate() {
                let enabled: Vec<Json> = connection.clients.iter().map(name).collect();
                json["tenants"][domain.as_str()]["connections"][at]["clients"] = json!(enabled);
            }
        }
    }
    for (sid, account) in &world.accounts {
        for (at, service) in account.serverless_services.iter().enumerate() {
            for (which, environment) in service.environments.iter().enumerate() {
                let build =
                    service.builds.iter().find(|build| Some(&build.sid) == environment.build_sid.as_ref());
                let live = build.map(|build| {
                    let all = service.functions.iter().flat_map(|function| &function.versions);
                    let serving = all.filter(|version| build.function_versions.contains(&version.sid));
                    let serving: Vec<Json> = serving
                        .map(|one| json!([one.path, one.visibility, one.content]))
                        .collect();
                    json!({ "serving": serving, "dependencies": build.dependencies, "runtime": build.runtime })
                });
                json["accounts"][sid.as_str()]["serverless_services"][at]["environments"][which]["live"] =
                    json!(live);
            }
        }
    }
    tidy(&mut json, ids);
    json
}

fn tidy(json: &mut Json, ids: Remote) {
    match json {
        Json::Object(map) => {
            map.retain(|key, _| !MOVING.contains(&key.as_str()));
            if map.contains_key("action_id") {
                map.shift_remove("id");
            }
            // For users a setting that was never made is the same as an empty one, and a trigger without bindings is
            // the same as no trigger.
            if map.get("message_types") == Some(&Json::Null) {
                map.insert("message_types".into(), json!([]));
            }
            if let Some(Json::Object(bindings)) = map.get_mut("bindings") {
                bindings.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
            }
            map.values_mut().for_each(|value| tidy(value, ids));
            let lists =
                ["actions", "log_streams", "verify_services", "secrets", "dependencies", "phone_templates"];
            for key in lists.into_iter().chain(["rate_limits", "buckets", "variables", "serving"]) {
                if let Some(Json::Array(list)) = map.get_mut(key) {
                    list.sort_by_key(Json::to_string);
                }
            }
            map.sort_keys();
        }
        Json::Array(list) => list.iter_mut().for_each(|value| tidy(value, ids)),
        Json::String(text) if ids == Remote::NoIds && is_remote_id(text) => *text = "(id)".into(),
        _ => {}
    }
}

fn is_remote_id(text: &str) -> bool {
    let is_uuid = text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
    let is_service =
        text.len() == 34 && ["VA", "RK", "BL", "Z"].iter().any(|prefix| text.starts_with(prefix));
    is_uuid || is_service || ["pro_", "lst_", "tem_"].iter().any(|prefix| text.starts_with(prefix))
}

/// Asserts that two worlds are equal, and lists the places where they differ.
pub fn assert_same(before: &Json, after: &Json, what: &str) {
    let differing = difference(before, after);
    assert!(differing.is_empty(), "{what}: the world is not as before:\n{}", differing.join("\n"));
}

/// The places where two worlds differ.
pub fn difference(before: &Json, after: &Json) -> Vec<String> {
    let mut out = Vec::new();
    compare("", before, after, &mut out);
    out
}

fn compare(place: &str, before: &Json, after: &Json, out: &mut Vec<String>) {
    match (before, after) {
        (Json::Object(old), Json::Object(new)) => {
            let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let value = |map: &serde_json::Map<String, Json>| map.get(key).cloned().unwrap_or(Json::Null);
                compare(&format!("{place}/{key}"), &value(old), &value(new), out);
            }
        }
        (Json::Array(old), Json::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{place}/{index}"), old, new, out);
            }
        }
        (old, new) if old != new => out.push(format!("  {place}: {old} → {new}")),
        _ => {}
    }
}

/// A change of a world, which several rows can share.
pub type Tamper = Rc<dyn Fn(&mut Twin, u64)>;

/// Asserts what must hold at every moment, even if the run is never resumed.
pub fn nobody_is_harmed(bed: &Bed, story: &str) {
    bed.with_twin(|twin| {
        assert!(!locked_out(&twin.world, DOMAIN), "{story}: locked out");
        // A factor without a message type is the state between two requests: nothing is sent, and nothing fails.
        let problems = phone_problems(&twin.world, DOMAIN);
        let harm: Vec<&PhoneProblem> =
            problems.iter().filter(|problem| **problem != PhoneProblem::NoMessageTypes).collect();
        assert!(harm.is_empty() || harm == [&PhoneProblem::NoFeedback], "{story}: {harm:?}");
    });
}
