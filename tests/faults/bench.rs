//! The shared bench: a stack whose twin is watched. Every request is framed by two looks at the world, and whatever
//! worked in the first look but not in the second is noted as a loss.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::engine::apply::{Ended, Outcome, Wishes};
use lockstep::engine::observe::Observation;
use lockstep::engine::reconcile::{Decision, reconcile};
use lockstep::engine::store::Store;
use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::model::call::Failed;
use lockstep::model::plan::Plan;
use lockstep::shell::in_process::{Handled, Simulator, Stop};
use lockstep::twin::checkers::{PhoneProblem, locked_out, phone_problems};
use lockstep::twin::world::{Binding, LogStream, PhoneProvider};
use lockstep::twin::{Options, Rule, Tenant, TriggerRef, Twin, What, When, World};
use serde_json::json;

use crate::support::{ACCOUNT, DOMAIN, START_MS, Stack, core_manifest, way_to};

pub const ACTION: &str = "Lockstep phone (acme-login)";
pub const LEGACY: &str = "Lockstep phone, legacy (acme-login)";
/// The Action's name where a manifest gives one.
pub const NAMED: &str = "Acme sender";
pub const RULES: &str = "Lockstep MFA (acme-login)";
pub const LEDGER: &str = "Lockstep ledger (acme-login)";
pub const STREAM: &str = "Lockstep feedback (acme-login)";
pub const FOREIGN_STREAM: &str = "lst_0000000000000042";

/// What users get out of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    locked_out: bool,
    on: bool,
    sms: bool,
    voice: bool,
    tenant_messages: bool,
    problems: Vec<PhoneProblem>,
    /// Rules of the running post-login Action whose logins fail.
    failing: Vec<String>,
}

/// Names of the running rules that cannot be met. The rules are read from the code as JavaScript reads it, and judged
/// by the world alone.
fn failing_rules(world: &World) -> Vec<String> {
    let tenant = &world.tenants[DOMAIN];
    let bound = tenant.bound("post-login").iter().filter_map(|binding| tenant.action(&binding.action_id));
    let code =
        bound.filter_map(|action| action.live_version()).find(|live| live.code.contains("const RULES = "));
    let Some(list) = code.and_then(|live| live.code.split("const RULES = ").nth(1)) else {
        return Vec::new();
    };
    let list = list.split("\n// lockstep").next().unwrap_or_default().trim_end_matches(';');
    let rules: Vec<serde_json::Value> = serde_json::from_str(list).expect("a list");
    let asks = tenant.settings.get("customize_mfa_in_postlogin_action") == Some(&json!(true))
        && tenant.prompts.universal_login_experience == "new";
    let by_phone = tenant.factor_enabled("sms")
        && phone_problems(world, DOMAIN).iter().all(|problem| *problem == PhoneProblem::NoFeedback);
    let usable = |factor: &str| match factor {
        "phone" => by_phone,
        "any" => by_phone || tenant.factor_enabled("otp"),
        other => tenant.factor_enabled(other),
    };
    let fails = |rule: &&serde_json::Value| {
        let factors = rule["factors"].as_array().expect("factors");
        !asks || !factors.iter().filter_map(|factor| factor.as_str()).any(usable)
    };
    rules.iter().filter(fails).map(|rule| rule["name"].as_str().unwrap_or_default().to_owned()).collect()
}

impl Look {
    pub fn at(world: &World) -> Look {
        let Some(tenant) = world.tenants.get(DOMAIN) else {
            return Look {
                locked_out: false,
                on: false,
                sms: false,
                voice: false,
                tenant_messages: false,
                problems: Vec::new(),
                failing: Vec::new(),
            };
        };
        let on = tenant.factor_enabled("sms");
        let problems = phone_problems(world, DOMAIN);
        let types = tenant.message_types.clone().unwrap_or_default();
        // Other messages of the tenant (passwordless, reset) go through the provider, whatever the factor is set to.
        let mut exposed = world.clone();
        let tenant = exposed.tenant_mut(DOMAIN);
        tenant
            .factors
            .iter_mut()
            .filter(|factor| factor.name == "sms")
            .for_each(|factor| factor.enabled = true);
        tenant.message_types = Some(vec!["sms".to_owned(), "voice".to_owned()]);
        let path = phone_problems(&exposed, DOMAIN);
        let stands =
            path.iter().all(|p| [PhoneProblem::NoFeedback, PhoneProblem::TypeNotDelivered].contains(p));
        let tenant = &world.tenants[DOMAIN];
        let delivers = |method: &str| {
            let mut providers = tenant.phone_providers.iter().filter(|provider| !provider.disabled);
            stands && (!tenant.unified() || providers.any(|p| p.delivery_methods().contains(&method)))
        };
        let by = |kind: &str, method: &str| on && types.iter().any(|t| t == kind) && delivers(method);
        let new_login = tenant.prompts.universal_login_experience == "new";
        Look {
            locked_out: locked_out(world, DOMAIN),
            on,
            sms: by("sms", "text"),
            voice: by("voice", "voice") && new_login,
            tenant_messages: delivers("text") || delivers("voice"),
            problems,
            failing: failing_rules(world),
        }
    }
}

/// What the first look had and the second lacks, and what was exposed although a part that it needs is missing.
fn losses(before: &Look, after: &Look) -> Vec<String> {
    let mut losses = Vec::new();
    let mut lose = |what: &str| losses.push(what.to_owned());
    if after.locked_out && !before.locked_out {
        lose("locked out");
    }
    if after.failing.iter().any(|rule| !before.failing.contains(rule)) {
        lose("locked out by a rule");
    }
    if before.on && !after.on {
        lose("factor off");
    }
    if before.sms && !after.sms && after.on {
        lose("codes by sms");
    }
    if before.voice && !after.voice && after.on {
        lose("codes by voice");
    }
    if before.tenant_messages && !after.tenant_messages {
        lose("messages of the tenant");
    }
    if before.on && after.on && (before.sms || before.voice) && !after.sms && !after.voice {
        lose("every code");
    }
    let unfed = |look: &Look| look.on && look.problems.contains(&PhoneProblem::NoFeedback);
    if before.on && !unfed(before) && unfed(after) {
        lose("feedback");
    }
    if !before.on && after.on {
        for problem in after.problems.iter().filter(|problem| **problem != PhoneProblem::NoMessageTypes) {
            losses.push(format!("switched on although {problem}"));
        }
    }
    losses
}

/// Clears what every write of a list renews: ids and times. An entry is known by its Action, its name and its place.
pub fn nameless(list: &mut [Binding]) {
    for binding in list {
        binding.id.clear();
        binding.created_at.clear();
        binding.updated_at.clear();
    }
}

/// Everything in the world that is not ours: the world without our Actions, stream, binding, services, and without the
/// settings that the test manifests manage.
pub fn foreign(world: &World) -> World {
    let mut rest = world.clone();
    rest.ids = World::new(0).ids;
    for tenant in rest.tenants.values_mut() {
        let own: Vec<String> = tenant
            .actions
            .iter()
            .filter(|a| [ACTION, LEGACY, RULES, LEDGER].contains(&&*a.name) || a.name.starts_with(NAMED))
            .map(|a| a.id.clone())
            .collect();
        tenant.actions.retain(|action| !own.contains(&action.id));
        tenant.log_streams.retain(|stream| stream.name.as_deref() != Some(STREAM));
        for list in tenant.bindings.values_mut() {
            list.retain(|binding| !own.contains(&binding.action_id));
            nameless(list);
        }
        tenant.bindings.retain(|_, list| !list.is_empty());
        tenant.tokens.clear();
        tenant.used_assertions.clear();
        // Users fill the log whoever writes.
        tenant.logs.clear();
        tenant.users_until_ms = None;
        tenant.phone_providers.clear();
        tenant.message_types = None;
        tenant.policies.clear();
        tenant.factors.retain(|factor| factor.name != "sms" && factor.name != "otp");
        tenant.prompts.universal_login_experience = String::new();
        tenant.settings.remove("phone_consolidated_experience");
        tenant.legacy_phone.selected_provider.clear();
        tenant.settings.remove("customize_mfa_in_postlogin_action");
        tenant.failing_builds = 0;
    }
    rest.keys.retain(|_, key| !key.friendly_name.starts_with("Lockstep "));
    for account in rest.accounts.values_mut() {
        account.verify_services.retain(|service| service.friendly_name != "Acme");
        // Removes the lease and the receiver.
        account.serverless_services.retain(|service| !service.unique_name.starts_with("lockstep-"));
    }
    rest
}

/// The whole world, without differences that no reader can notice.
pub fn whole(world: &World) -> World {
    let mut rest = world.clone();
    rest.ids = World::new(0).ids;
    for tenant in rest.tenants.values_mut() {
        tenant.tokens.clear();
        tenant.bindings.retain(|_, list| !list.is_empty());
        // Readers cannot tell a list that was never set from an empty one.
        tenant.message_types = tenant.message_types.take().filter(|types| !types.is_empty());
    }
    rest
}

type Meddle = Box<dyn FnMut(&mut Twin, usize, u64)>;

/// The twin under watch.
pub struct Watch {
    pub twin: Rc<RefCell<Twin>>,
    /// Losses, each with the request that brought it.
    pub losses: Vec<String>,
    /// Another operator, called before every request of ours with its number since the last [`Bench::losses`].
    pub meddle: Option<Meddle>,
    /// The tenant's budget after each request, from the headers: limit and remaining requests.
    pub budgets: Vec<(u64, u64)>,
    count: usize,
}

impl Watch {
    fn note(&mut self, handled: &Handled) {
        let Answer::Reply(reply) = &handled.answer else { return };
        let number = |name: &str| reply.header(name).and_then(|text| text.parse().ok());
        if let (Some(limit), Some(left)) = (number("x-ratelimit-limit"), number("x-ratelimit-remaining")) {
            self.budgets.push((limit, left));
        }
    }
}

impl Simulator for Watch {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        self.count += 1;
        let shared = self.twin.clone();
        let mut twin = shared.borrow_mut();
        if let Some(meddle) = &mut self.meddle {
            meddle(&mut twin, self.count, now_ms);
        }
        if request.method == Method::Get || request.path == "/oauth/token" {
            let handled = Simulator::handle(&mut *twin, request, now_ms);
            self.note(&handled);
            return handled;
        }
        let world = twin.world.clone();
        let handled = Simulator::handle(&mut *twin, request, now_ms);
        self.note(&handled);
        if !twin.log().last().is_some_and(|entry| entry.wrote) {
            return handled;
        }
        let (before, after) = (Look::at(&world), Look::at(&twin.world));
        let (theirs, now) = (foreign(&world), foreign(&twin.world));
        let mut losses = losses(&before, &after);
        if theirs != now {
            losses.push("something foreign changed".into());
        }
        for loss in losses {
            self.losses.push(format!("#{} {} {}: {loss}", self.count, request.method, request.path));
        }
        handled
    }
}

/// A stack on a watched twin.
pub struct Bench {
    pub stack: Stack,
    pub watch: Rc<RefCell<Watch>>,
    /// The plan of the last run; `None` if the run ended before it had one.
    pub last_plan: Option<Plan>,
}

impl Bench {
    pub fn new(options: Options, text: impl Into<String>) -> Bench {
        let bench = Bench::over(Twin::new(options, 7), START_MS, text);
        // Tenant and account exist from the start, so that the first request finds the same world as every other.
        bench.stack.twin.borrow_mut().tenant_mut(DOMAIN);
        bench.stack.twin.borrow_mut().world.account_mut(ACCOUNT);
        bench
    }

    fn over(twin: Twin, now_ms: u64, text: impl Into<String>) -> Bench {
        let mut stack = Stack::new(twin.options.clone(), text);
        stack.twin = Rc::new(RefCell::new(twin));
        let watch = Watch {
            twin: stack.twin.clone(),
            losses: Vec::new(),
            meddle: None,
            budgets: Vec::new(),
            count: 0,
        };
        let watch = Rc::new(RefCell::new(watch));
        stack.in_process = way_to(watch.clone(), now_ms);
        Bench { stack, watch, last_plan: None }
    }

    /// Another bench in the same state, which can take another course.
    pub fn fork(&self) -> Bench {
        let twin = self.stack.twin.borrow().clone();
        let mut bench = Bench::over(twin, self.stack.in_process.now_ms(), self.stack.text.clone());
        bench.stack.env = self.stack.env.clone();
        bench.stack.runs = self.stack.runs;
        bench.stack.allow_delete = self.stack.allow_delete;
        bench.stack.store = self.stack.store.clone();
        bench.stack.files.borrow_mut().contents = self.stack.files.borrow().contents.clone();
        bench
    }

    /// The core stack on an empty tenant without a rate limit.
    pub fn core() -> Bench {
        Bench::new(crate::support::options(), core_manifest())
    }

    /// The core stack beside objects of other people in the tenant and the account.
    pub fn crowded() -> Bench {
        let bench = Bench::core();
        crowd(&mut bench.world());
        bench
    }

    pub fn world(&self) -> std::cell::RefMut<'_, World> {
        std::cell::RefMut::map(self.stack.twin.borrow_mut(), |twin| &mut twin.world)
    }

    /// Names of what is bound to post-login, in order.
    pub fn bound_to_post_login(&self) -> Vec<String> {
        let mut world = self.world();
        let tenant = world.tenant_mut(DOMAIN);
        let name = |id: &str| tenant.action(id).map(|action| action.name.clone()).unwrap_or_default();
        tenant.bound("post-login").iter().map(|binding| name(&binding.action_id)).collect()
    }

    /// Takes the losses so far. Request numbers for [`Watch::meddle`] start again.
    pub fn losses(&self) -> Vec<String> {
        self.watch.borrow_mut().count = 0;
        std::mem::take(&mut self.watch.borrow_mut().losses)
    }

    /// Plants one fault at the `nth` request from now on (1-based).
    pub fn fault(&self, nth: usize, what: What) {
        let mut twin = self.stack.twin.borrow_mut();
        let number = twin.log().len() + nth;
        twin.faults.rules.push(Rule::once(When::Number(number), what));
    }

    /// Ends all faults and the other operator's acts.
    pub fn calm(&self) {
        self.stack.twin.borrow_mut().faults.rules.clear();
        self.watch.borrow_mut().meddle = None;
    }

    /// Plans and applies as the command does. `None`: killed. `Err`: even the plan failed.
    pub fn run(&mut self, stop: Stop, destroy: bool) -> Option<Result<Outcome, Failed>> {
        let session = self.stack.session(destroy);
        let planned = Rc::new(RefCell::new(None));
        let slot = planned.clone();
        let result = self.stack.process(stop, |port| async move {
            let decide = |plan: &Plan| {
                *slot.borrow_mut() = Some(plan.clone());
                Decision::Apply.into()
            };
            Ok(reconcile(session, Wishes::default(), decide, &port).await?.outcome)
        });
        self.last_plan = planned.take();
        result
    }

    /// How an undisturbed run ended.
    pub fn ended(&mut self, destroy: bool) -> Ended {
        match self.run(Stop::default(), destroy).expect("not killed") {
            Ok(outcome) => outcome.ended,
            Err(failed) => Ended::Failed(failed.to_string()),
        }
    }

    pub fn plan(&mut self) -> Plan {
        self.stack.observe().plan
    }

    pub fn observe(&mut self) -> Observation {
        self.stack.observe()
    }

    /// Checks that a plain apply succeeds, that the apply after it writes nothing, and that no object exists twice.
    pub fn converge(&mut self, story: &str) {
        let mut mark = self.stack.mark();
        let mut ended = self.ended(false);
        if matches!(&ended, Ended::Failed(text) if text.contains("is not found yet")) {
            // The answer to a create was lost, and the list may still show the object later.
            self.stack.in_process.advance_ms(301_000);
            mark = self.stack.mark();
            ended = self.ended(false);
        }
        assert_eq!(ended, Ended::Done, "{story}: apply");
        let leased = self.writes_since(mark).iter().any(|name| name == "create_serverless_service");
        self.at_rest(story);
        if leased || leases(&mut self.world()) == 0 {
            self.once(story);
            return;
        }
        // A run that died between its result and its release left only a lease. An apply without work does not look at
        // leases; the next apply with work waits until the lease is dead.
        let text = self.stack.text.clone();
        self.stack.text = text.replace("friendly_name: Acme", "friendly_name: Acme\n  tts_name: Acme");
        assert_ne!(self.stack.text, text);
        assert_eq!(self.ended(false), Ended::Done, "{story}: the next change");
        self.once(story);
    }

    /// Lets the time pass that somebody needs to start a new run.
    pub fn later(&mut self) {
        self.stack.in_process.advance_ms(2_000);
    }

    /// Checks that the next plan is empty and that an apply writes nothing.
    pub fn at_rest(&mut self, story: &str) {
        let mark = self.stack.mark();
        assert_eq!(self.ended(false), Ended::Done, "{story}: second apply");
        let plan = self.last_plan.take().expect("planned");
        assert!(plan.is_empty(), "{story}: second plan: {}", shown(&plan));
        let mut writes: Vec<String> = self.writes_since(mark);
        if plan.has_work() {
            // The binding that the tenant refused is tried again under the lease; those are the only requests.
            writes.retain(|name| !name.ends_with("_serverless_service"));
        }
        assert!(writes.is_empty(), "{story}: the second apply wrote: {writes:?}");
    }

    pub fn writes_since(&self, mark: usize) -> Vec<String> {
        let log = self.stack.log_since(mark);
        log.iter().filter(|entry| entry.wrote).map(|entry| entry.operation.to_owned()).collect()
    }

    /// Law 3 while work is unfinished: no object exists twice.
    pub fn once_at_most(&self, story: &str) {
        let mut world = self.world();
        let services = &world.account_mut(ACCOUNT).verify_services;
        let acme = services.iter().filter(|service| service.friendly_name == "Acme").count();
        assert!(acme <= 1, "{story}: {acme} Verify services");
        let tenant = world.tenant_mut(DOMAIN);
        for name in [ACTION, RULES, LEDGER] {
            let count = tenant.actions.iter().filter(|action| action.name == name).count();
            assert!(count <= 1, "{story}: {count} Actions {name:?}");
        }
        let streams = tenant.log_streams.iter().filter(|s| s.name.as_deref() == Some(STREAM)).count();
        assert!(streams <= 1, "{story}: {streams} streams");
    }

    /// Law 3: exactly one of each object, and no lease left.
    pub fn once(&self, story: &str) {
        let mut world = self.world();
        assert_eq!(leases(&mut world), 0, "{story}: leases");
        let services = &world.account_mut(ACCOUNT).verify_services;
        let acme = services.iter().filter(|service| service.friendly_name == "Acme").count();
        assert_eq!(acme, 1, "{story}: Verify services");
        let tenant = world.tenant_mut(DOMAIN);
        let named = |name: &str| tenant.actions.iter().filter(|action| action.name == name).count();
        assert_eq!(named(ACTION), 1, "{story}: Actions");
        let kept = usize::from(matches!(self.stack.store, Store::Tenant));
        assert_eq!(named(LEDGER), kept, "{story}: ledgers");
        let streams = tenant.log_streams.iter().filter(|s| s.name.as_deref() == Some(STREAM)).count();
        let wanted = usize::from(self.stack.text.contains("  log_stream:"));
        assert_eq!(streams, wanted, "{story}: streams");
        assert_eq!(tenant.phone_providers.len(), 1, "{story}: providers");
        let bound = tenant.bound("custom-phone-provider").len();
        assert!(bound <= 1, "{story}: {bound} bindings");
    }

    /// Number of versions of our Action that were ever deployed.
    pub fn versions(&self) -> usize {
        let mut world = self.world();
        let tenant = world.tenant_mut(DOMAIN);
        tenant.actions.iter().find(|action| action.name == ACTION).map_or(0, |action| action.versions.len())
    }

    /// Number of requests since `mark`.
    pub fn requests(&self, mark: usize) -> usize {
        self.stack.mark() - mark
    }

    /// The whole world, to compare with the world after destroy.
    pub fn snapshot(&self) -> World {
        whole(&self.world())
    }
}

pub fn leases(world: &mut World) -> usize {
    let services = &world.account_mut(ACCOUNT).serverless_services;
    services.iter().filter(|service| service.unique_name.starts_with("lockstep-lease-")).count()
}

pub fn shown(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|step| format!("{} {}: {}", step.address, step.what, step.reason));
    let findings = plan.findings.iter().map(|f| format!("{:?} {}: {}", f.level, f.address, f.text));
    let record = plan.record.then(|| "record".to_owned());
    steps.chain(findings).chain(record).collect::<Vec<_>>().join("; ")
}

/// Adds objects of other people: Actions on other triggers, their bindings, a stream, a Verify service, a factor.
pub fn crowd(world: &mut World) {
    let now_ms = START_MS - 86_400_000;
    for (name, trigger, version) in [
        ("Their enrichment", "post-login", "v3"),
        ("Their audit", "post-login", "v3"),
        ("Their hook", "post-change-password", "v2"),
    ] {
        let id = world.add_deployed_action(DOMAIN, name, &TriggerRef::new(trigger, version), now_ms);
        world.bind(DOMAIN, trigger, &id, name, now_ms);
    }
    let tenant = world.tenant_mut(DOMAIN);
    tenant.log_streams.push(foreign_stream());
    tenant.factors.iter_mut().filter(|f| f.name == "email").for_each(|f| f.enabled = true);
    let mut service = verify_service("VA00000000000000000000000000000042");
    service.friendly_name = "Their brand".into();
    world.account_mut(ACCOUNT).verify_services.push(service);
}

pub fn verify_service(sid: &str) -> lockstep::twin::world::VerifyService {
    // The twin itself makes the service, so that every setting is there.
    let mut twin = Twin::new(crate::support::options(), 99);
    let form = [("FriendlyName", "Acme"), ("CustomCodeEnabled", "true"), ("CodeLength", "6")];
    twin.world.account_mut(ACCOUNT);
    let (status, made) =
        twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, "/v2/Services", &form, START_MS);
    assert_eq!(status, 201, "{made}");
    let mut service = twin.world.account_mut(ACCOUNT).verify_services.remove(0);
    service.sid = sid.into();
    service
}

pub fn foreign_stream() -> LogStream {
    let sink = json!({"httpEndpoint": "https://their.example/logs", "httpContentFormat": "JSONLINES",
        "httpContentType": "application/json", "httpAuthorization": "theirs"});
    LogStream {
        id: FOREIGN_STREAM.into(),
        name: Some("Their stream".into()),
        r#type: "http".into(),
        status: "active".into(),
        sink: sink.as_object().expect("object").clone(),
        filters: None,
        pii_config: None,
        is_priority: false,
    }
}

/// Makes a tenant whose SMS codes work already, through the vendor's own provider, and whose policy asks everybody.
pub fn works_by_twilio(tenant: &mut Tenant) {
    tenant.phone_providers.push(PhoneProvider {
        id: "pro_1111111111111111111117".into(),
        name: "twilio".into(),
        disabled: false,
        configuration: json!({"delivery_methods": ["text"], "sid": ACCOUNT, "default_from": "+15005550006"})
            .as_object()
            .expect("object")
            .clone(),
        credentials: json!({"auth_token": "t"}).as_object().expect("object").clone(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        updated_at: "2026-01-01T00:00:00.000Z".into(),
    });
    tenant.factors.iter_mut().filter(|f| f.name == "sms").for_each(|f| f.enabled = true);
    tenant.message_types = Some(vec!["sms".into()]);
    tenant.policies = vec!["all-applications".into()];
    // Somebody else provides the feedback, so if it is missing later, a run of ours is the cause.
    let mut stream = foreign_stream();
    stream.id = "lst_0000000000000043".into();
    stream.name = Some("Their feedback".into());
    stream.sink.insert("httpContentFormat".into(), json!("JSONARRAY"));
    tenant.log_streams.push(stream);
}

/// A seeded generator of small numbers, so that a test repeats.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// The core manifest with changes in several fields of several kinds.
pub fn changed_manifest() -> String {
    core_manifest()
        .replace("code_length: 6", "code_length: 8")
        .replace("twilio: 6.2.0", "twilio: 6.2.1")
        .replace("status: active", "filters: [other, user.notification]\n    status: active")
        .replace("otp: on ", "otp: off ")
        .replace("channels: [sms, voice] ", "channels: [sms] ")
}

/// Runs every case and reports all that failed, not only the first.
pub fn all<T>(cases: impl IntoIterator<Item = T>, mut check: impl FnMut(T)) {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in cases {
        ran += 1;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(case)));
        if let Err(panic) = result {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            failures.push(text.chars().take(700).collect::<String>());
        }
    }
    assert!(failures.is_empty(), "{} of {ran} failed:\n- {}", failures.len(), failures.join("\n- "));
}
