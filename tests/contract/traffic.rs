//! Compares real traffic while it flows: the requests of engine runs, and the answers of the simulator.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep::engine::apply::Ended;
use lockstep::engine::observe::observe;
use lockstep::engine::{Engine, Grant, lease};
use lockstep::model::api::ApiRequest;
use lockstep::model::secret::{Origin, Secret};
use lockstep::plan::desired;
use lockstep::shell::in_process::{Ended as Ran, Handled, Simulator, Stop, run_virtual};
use lockstep::twin::world::{
    Environment, Function, FunctionBuild, FunctionVersion, PhoneProvider, PhoneTemplate, Variable,
    VerifyBucket, VerifyRateLimit, VerifyService, VerifyTemplate,
};
use lockstep::twin::{BindingRule, Flag, Options, Twin, What};
use serde_json::{Value as Json, json};

use super::calls::{Contract, Tally};
use crate::faults::bench::{Bench, changed_manifest};
use crate::faults::{function, limits, login_feedback, migration, post_login, rollback, watch};
use crate::fields::bed::{Bed, FULL, applied_full, edit, lose_ledger, manifest, valid};
use crate::fields::legacy::{LEGACY, legacy_rows};
use crate::fields::rows::{Other, rows};
use crate::fields::{
    accept, around, below, destroy, drift, function as feedback, parts, post_login as rules, sample, used,
};
use crate::simulation::{ground, story};
use crate::support::{ACCOUNT, DOMAIN, Stack, core_manifest, listen, options};

/// A contract, the hosts that it covers, and what was compared.
pub struct Recorder {
    pub contract: Contract,
    pub takes: fn(&str) -> bool,
    pub tally: Tally,
}

pub type Shared = Rc<RefCell<Recorder>>;

/// A simulator whose every exchange is compared.
struct Tap {
    inner: Rc<RefCell<dyn Simulator>>,
    recorder: Shared,
}

impl Simulator for Tap {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        let handled = self.inner.borrow_mut().handle(request, now_ms);
        let recorder = &mut *self.recorder.borrow_mut();
        if (recorder.takes)(&request.host) {
            recorder.contract.exchange(request, &handled.answer, &mut recorder.tally);
        }
        handled
    }
}

/// Runs all parts side by side. `contract` is read once for each part.
pub fn everything(contract: &(dyn Fn() -> Contract + Sync), takes: fn(&str) -> bool) -> Tally {
    let parts: [fn(); 8] =
        [manifests, fields, kills, refusals, rare_turns, beside_fields, beside_faults, stories];
    let mut whole = Tally::default();
    std::thread::scope(|scope| {
        let running: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || recorded(contract(), takes, part))).collect();
        for part in running {
            whole.add(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    whole
}

/// Everything that the stacks of this thread exchange while a part runs.
fn recorded(contract: Contract, takes: fn(&str) -> bool, part: fn()) -> Tally {
    let recorder: Shared = Rc::new(RefCell::new(Recorder { contract, takes, tally: Tally::default() }));
    let tapped = recorder.clone();
    listen(Some(Rc::new(move |inner| Rc::new(RefCell::new(Tap { inner, recorder: tapped.clone() })))));
    let heard = recorder.clone();
    ground::listeners::listen(Some(Rc::new(move |request, answer| {
        let recorder = &mut *heard.borrow_mut();
        if (recorder.takes)(&request.host) {
            recorder.contract.exchange(request, answer, &mut recorder.tally);
        }
    })));
    part();
    listen(None);
    ground::listeners::listen(None);
    std::mem::take(&mut recorder.borrow_mut().tally)
}

/// Edits for all manifests; not every edit fits every manifest.
fn edits() -> Vec<(String, Json)> {
    vec![
        edit("verify_service.code_length", json!(8)),
        edit("action.name", json!("Renamed")),
        edit("feedback.log_stream.status", json!("paused")),
        edit("mfa.factors.phone", json!(false)),
        edit("mfa.policy", json!("never")),
        edit("phone.channels", json!(["sms"])),
    ]
}

/// Runs stories of the simulation.
fn stories() {
    for seed in 0..STORIES {
        story::tell(seed, false);
    }
}

/// Number of stories whose exchanges are compared.
const STORIES: u64 = 100;

/// Every shipped manifest: applied, edited, tampered with and repaired, destroyed.
fn manifests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the manifests")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "no manifest was found");
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a manifest");
        let mut bed = Bed::new(valid(&text, &[]));
        bed.stack.allow_delete = true;
        bed.applied();
        let mut changed = 0;
        for one in edits() {
            if let Ok(edited) = manifest(&text, &[one]) {
                bed.manifest = edited;
                bed.apply();
                changed += 1;
            }
        }
        assert!(changed > 0, "{}: nothing could be changed", path.display());
        bed.manifest = valid(&text, &[]);
        bed.applied();
        let declared: BTreeSet<String> = desired::declared(&bed.manifest)
            .into_iter()
            .map(|resource| resource.address.to_string())
            .collect();
        let written: Json = serde_yaml::from_str(&text).expect("YAML");
        let mut rows = rows();
        rows.retain(|row| {
            let place = format!("/{}", row.place.replace('.', "/"));
            declared.contains(row.address) && (row.place.is_empty() || written.pointer(&place).is_some())
        });
        // Rows find a stream by its endpoint, so the endpoint is changed last.
        rows.sort_by_key(|row| (row.address, row.place.ends_with(".endpoint")));
        assert!(!rows.is_empty(), "{}: nothing can be tampered with", path.display());
        for of_one in rows.chunk_by(|one, next| one.address == next.address) {
            let now_ms = bed.now_ms();
            of_one.iter().for_each(|row| bed.with_twin(|twin| (row.tamper)(twin, now_ms)));
            bed.observe();
            bed.applied();
        }
        bed.destroyed();
    }
}

/// Everything that can be managed, with either way of delivery, and each field changed on either side.
fn fields() {
    for (text, rows) in [(FULL, rows()), (LEGACY, legacy_rows())] {
        let mut first = Bed::new(valid(text, &[]));
        first.applied();
        let snapshot = first.snapshot();
        for row in rows {
            let mut bed = Bed::on(&snapshot, valid(text, &[]));
            bed.stack.allow_delete = true;
            let now_ms = bed.now_ms();
            bed.with_twin(|twin| (row.tamper)(twin, now_ms));
            bed.applied();
            if let Other::Value(edits, _) = &row.other {
                bed.manifest = valid(text, edits);
                bed.apply();
            }
        }
        Bed::on(&snapshot, valid(text, &[])).destroyed();
    }
    // This key counts on create only, so no row has it.
    let from = edit("feedback.log_stream.start_from", json!("2026-11-19T00:00:00Z"));
    Bed::new(valid(FULL, &[from])).applied();
}

/// Runs that end early and are finished by the next: first applies, changes, destroys, beside objects of others. The
/// larger stacks are killed at some points only.
fn kills() {
    let fresh = Bench::crowded();
    let mut changed = Bench::crowded();
    changed.stack.applied();
    let done = changed.fork();
    changed.stack.text = changed_manifest();
    let cases = [
        (fresh, false, 1),
        (changed, false, 1),
        (done, true, 1),
        (function::fresh(), false, SOME),
        (function::changed(), false, SOME),
        (function::applied(), true, SOME),
        (limits::fresh(), false, SOME),
        (limits::applied(limits::otherwise), false, SOME),
        (limits::applied(limits::otherwise), true, SOME),
        (post_login::bench(), false, SOME),
        (post_login::applied(), true, SOME),
        (migration::older(Flag::Off), false, SOME),
        (migration::asked(Flag::Off), false, SOME),
        (migration::asked(Flag::Absent), true, SOME),
    ];
    for (prepared, destroy, step) in cases {
        let mut whole = prepared.fork();
        let mark = whole.stack.mark();
        assert_eq!(whole.ended(destroy), Ended::Done);
        let length = whole.requests(mark);
        for at in (0..=length).step_by(step) {
            let mut bench = prepared.fork();
            let _ = bench.run(Stop::kill(at, at % 2 == 0), destroy);
            bench.later();
            let _ = bench.ended(destroy);
        }
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::interrupt(length / 2), destroy);
        let _ = bench.ended(destroy);
    }
}

/// One kill point in this many.
const SOME: usize = 5;

/// Runs the courses of the field tests, for traffic that no single field or fault makes.
fn beside_fields() {
    run(&FIELDS);
}

fn beside_faults() {
    run(&FAULTS);
}

/// A file of tests: its name, its text, and those of its tests that send requests.
type Courses = (&'static str, &'static str, &'static [(&'static str, fn())]);

const FIELDS: [Courses; 10] = [
    ("fields/accept", include_str!("../fields/accept.rs"), accept::COURSES),
    ("fields/around", include_str!("../fields/around.rs"), around::COURSES),
    ("fields/below", include_str!("../fields/below.rs"), below::COURSES),
    ("fields/used", include_str!("../fields/used.rs"), used::COURSES),
    ("fields/destroy", include_str!("../fields/destroy.rs"), destroy::COURSES),
    ("fields/drift", include_str!("../fields/drift.rs"), drift::COURSES),
    ("fields/function", include_str!("../fields/function.rs"), feedback::COURSES),
    ("fields/parts", include_str!("../fields/parts.rs"), parts::COURSES),
    ("fields/sample", include_str!("../fields/sample.rs"), sample::COURSES),
    ("fields/post_login", include_str!("../fields/post_login.rs"), rules::COURSES),
];

const FAULTS: [Courses; 7] = [
    ("faults/function", include_str!("../faults/function.rs"), function::COURSES),
    ("faults/limits", include_str!("../faults/limits.rs"), limits::COURSES),
    ("faults/login_feedback", include_str!("../faults/login_feedback.rs"), login_feedback::COURSES),
    ("faults/migration", include_str!("../faults/migration.rs"), migration::COURSES),
    ("faults/post_login", include_str!("../faults/post_login.rs"), post_login::COURSES),
    ("faults/rollback", include_str!("../faults/rollback.rs"), rollback::COURSES),
    ("faults/watch", include_str!("../faults/watch.rs"), watch::COURSES),
];

const SILENT: &str = "sends nothing, or nothing of its own";
const SAME: &str = "moves each field, as `fields` does";
const HEAVY: &str = "one course stopped or disturbed at every request; `kills` has some of it";

/// Tests of those files that are not repeated here.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("fields/accept", "every_difference_can_be_accepted_or_is_refused_by_the_table", SAME),
    ("fields/accept", "every_mistake_in_an_entry_is_told_at_its_place", SILENT),
    ("fields/accept", "no_secret_is_a_reason_and_the_list_is_a_list", SILENT),
    ("fields/accept", "the_table_is_of_keys_and_in_the_docs", SILENT),
    ("fields/around", "a_run_that_is_killed_anywhere_is_finished_by_the_next", HEAVY),
    ("fields/around", "a_destroy_that_is_killed_anywhere_is_finished_by_the_next", HEAVY),
    ("fields/around", "checks_beyond_one_field", SILENT),
    ("fields/around", "values_that_are_refused_where_they_stand", SILENT),
    ("fields/around", "attestations_are_told_and_run_out", SILENT),
    ("fields/around", "what_is_told_of_attestations_can_be_silenced_but_not_that_one_is_over", SILENT),
    ("fields/around", "the_example_of_the_readme_is_a_manifest", SILENT),
    ("fields/below", "what_a_manifest_may_not_say", SILENT),
    ("fields/drift", "every_declared_field_has_a_row", SILENT),
    ("fields/drift", "changed_behind_our_back_is_told_and_put_right", SAME),
    ("fields/drift", "changed_in_the_manifest_is_not_applied", SAME),
    ("fields/drift", "changed_on_both_sides_is_both", SAME),
    ("fields/drift", "without_a_ledger_the_cause_is_unknown", SAME),
    ("fields/function", "what_cannot_work_is_refused_before_anything_is_read", SILENT),
    ("fields/parts", "what_a_part_lacks_is_told_in_its_place", SILENT),
    ("fields/post_login", "a_rule_that_can_be_met_is_taken_without_a_word", SILENT),
    ("fields/sample", "a_run_that_is_killed_anywhere_is_finished_by_the_next", HEAVY),
    ("fields/sample", "a_destroy_that_is_killed_anywhere_is_finished_by_the_next", HEAVY),
    ("fields/sample", "no_read_asks_for_a_secret", "the courses beside it make the same reads"),
    ("fields/sample", "what_the_manifest_refuses", SILENT),
    ("fields/used", "use_stands_alone_and_names_a_service_by_its_sid", SILENT),
    ("fields/post_login", "what_could_lock_somebody_out_is_an_error", SILENT),
    ("fields/post_login", "what_may_surprise_is_a_warning", SILENT),
    ("fields/post_login", "own_code_takes_the_rules_at_the_marker_or_not_at_all", SILENT),
    ("fields/post_login", "the_example_of_the_readme_is_taken_as_it_stands", SILENT),
    ("fields/post_login", "code_that_cannot_run_is_refused_with_its_place", SILENT),
    ("faults/function", "a_killed_first_apply_is_finished_by_the_next_without_a_second_of_anything", HEAVY),
    ("faults/function", "a_killed_change_of_secret_and_runtime_never_shuts_the_stream_out", HEAVY),
    ("faults/function", "a_killed_destroy_leaves_the_former_world", HEAVY),
    ("faults/function", "faults_at_every_request_are_survived", HEAVY),
    ("faults/limits", "every_kill_is_finished_by_the_next", HEAVY),
    ("faults/rollback", "a_rollback_that_was_killed_anywhere_is_finished_by_the_next", HEAVY),
    ("faults/rollback", "an_apply_after_a_rollback_that_was_killed_goes_forward", HEAVY),
    ("faults/rollback", "a_run_that_was_killed_anywhere_is_taken_back", HEAVY),
    ("faults/limits", "every_kill_of_a_destroy_is_finished_by_the_next", HEAVY),
    ("faults/migration", "a_killed_legacy_apply_is_finished_by_the_next", HEAVY),
    ("faults/migration", "a_migration_killed_anywhere_is_finished_by_the_next_run", HEAVY),
    ("faults/migration", "a_tenant_half_migrated_by_hand_is_taken_over", HEAVY),
    ("faults/migration", "the_proof_refuses_every_unsafe_swap", SILENT),
    ("faults/migration", "the_order_of_a_migration", SILENT),
    ("faults/watch", "a_watch_or_a_rollback_that_is_killed_is_finished_by_the_next_run", HEAVY),
    ("faults/login_feedback", "a_killed_first_apply_and_a_killed_destroy_are_finished_by_the_next", HEAVY),
    ("faults/post_login", "a_killed_first_apply_is_finished_by_the_next", HEAVY),
    ("faults/post_login", "a_killed_destroy_is_finished_by_the_next", HEAVY),
    ("faults/post_login", "a_fault_at_every_request_around_the_rules", HEAVY),
];

fn run(files: &[Courses]) {
    for (file, text, courses) in files {
        let there: BTreeSet<&str> = text
            .split("#[test]\n")
            .skip(1)
            .filter_map(|rest| rest.trim_start().strip_prefix("fn ")?.split('(').next())
            .collect();
        let left_out = LEFT_OUT.iter().filter(|(of, ..)| of == file).map(|(_, name, _)| *name);
        let known: BTreeSet<&str> = courses.iter().map(|(name, _)| *name).chain(left_out).collect();
        assert_eq!(
            there, known,
            "{file}: a test that is neither among its COURSES nor left out with a reason"
        );
        courses.iter().for_each(|(_, course)| course());
    }
}

/// Answers that are no successes: limits, missing rights, failures of the server.
fn refusals() {
    let faults = [
        What::RateLimited { retry_after_s: Some(3) },
        What::ServerError { status: 503, after_effect: true },
        What::Unauthorized,
        What::Forbidden,
        What::Lost { after_effect: true },
    ];
    let fresh = Bench::crowded();
    let length = {
        let mut bench = fresh.fork();
        let _ = bench.ended(false);
        bench.requests(0)
    };
    for (nth, what) in (1..=length).zip(faults.iter().cycle()) {
        let mut bench = fresh.fork();
        bench.fault(nth, what.clone());
        let _ = bench.ended(false);
        bench.calm();
        bench.later();
        let _ = bench.ended(false);
    }
}

/// Requests that a run makes only in some situations: another tenant, another credential, another world.
fn rare_turns() {
    let turns = [
        Options { unified_flag: Flag::Off, ..options() },
        Options { unified_flag: Flag::Absent, ..options() },
        Options { custom_phone_binding: BindingRule::Refused4xx, ..options() },
        Options { serverless_allowed: false, ..options() },
        Options { action_names_unique: true, ..options() },
        Options { custom_code_entitled: false, ..options() },
        Options { scopes: Some(vec!["read:actions".into()]), ..options() },
        Options { log_stream_limit: Some(0), ..options() },
        Options::default(),
    ];
    for turn in turns {
        let mut bench = Bench::new(turn, core_manifest());
        bench.stack.allow_delete = true;
        for destroy in [false, false, true] {
            let _ = bench.run(Stop::default(), destroy);
        }
    }
    // A provider of the vendor's own that is taken over and put back.
    let twilio = |twin: &mut Twin| {
        let id = format!("pro_{}", "a".repeat(22));
        twin.tenant_mut(DOMAIN).phone_providers.push(PhoneProvider {
            id,
            name: "twilio".into(),
            disabled: false,
            configuration: json!({"sid": "AC1", "default_from": "+15550100", "delivery_methods": ["text"]})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            credentials: json!({"auth_token": "t"}).as_object().cloned().unwrap_or_default(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            updated_at: "2026-01-01T00:00:00.000Z".into(),
        });
    };
    let mut bed = Bed::new(valid(FULL, &[]));
    bed.with_twin(twilio);
    bed.apply();
    bed.apply();
    // The record is lost, and everything is taken over.
    let snapshot = applied_full();
    let mut bed = Bed::on(&snapshot, valid(FULL, &[]));
    bed.with_twin(lose_ledger);
    bed.apply();
    // More of everything than one page holds, read with the record and without it.
    for lost in [false, true] {
        let mut bed = Bed::on(&snapshot, valid(FULL, &[]));
        bed.with_twin(|twin| {
            crowded(twin);
            if lost {
                lose_ledger(twin);
            }
        });
        bed.observe();
        bed.stack.allow_delete = true;
        bed.apply();
    }
    with_a_key();
    leases();
    templates_taken_over();
}

/// A template that the tenant had before, without a sender: only a reset can remove our sender again.
fn templates_taken_over() {
    let mut bed = Bed::new(valid(FULL, &[]));
    bed.with_twin(|twin| {
        let content = json!({ "syntax": "liquid", "body": { "text": "Theirs", "voice": "Theirs" } });
        twin.tenant_mut(DOMAIN).phone_templates.push(PhoneTemplate {
            id: format!("tem_{}", "a".repeat(22)),
            r#type: "otp_verify".into(),
            disabled: false,
            content: content.as_object().cloned().unwrap_or_default(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            updated_at: "2026-01-01T00:00:00.000Z".into(),
        });
    });
    bed.applied();
    bed.destroyed();
}

/// Adds enough of everything that the lists have several pages.
fn crowded(twin: &mut Twin) {
    let numbers = || 0..120_u32;
    let sid = |prefix: &str, number: u32| format!("{prefix}{number:032x}");
    let account = twin.world.account_mut(ACCOUNT);
    let template = account.verify_templates[0].clone();
    account.verify_templates.extend(numbers().map(|number| {
        let friendly_name = format!("Further {number}");
        VerifyTemplate { sid: sid("HJ", 0xf00 + number), friendly_name, ..template.clone() }
    }));
    let service = &mut account.verify_services[0];
    let (mut limit, config) = (
        service.rate_limits[0].clone(),
        service.messaging_configurations.values().next().expect("the full manifest has one").clone(),
    );
    for number in numbers() {
        let letter = |at: u32| char::from(b'A' + u8::try_from(at % 26).expect("a letter"));
        let country = format!("{}{}", letter(number / 26), letter(number));
        service.messaging_configurations.entry(country).or_insert(config.clone());
        let bucket = limit.buckets[0].clone();
        let interval = 100_000 + u64::from(number);
        service.rate_limits[0].buckets.push(VerifyBucket { sid: sid("BL", number), interval, ..bucket });
        limit.buckets.truncate(1);
        let unique_name = format!("further_{number}");
        service.rate_limits.push(VerifyRateLimit { sid: sid("RK", number), unique_name, ..limit.clone() });
    }
    let service = service.clone();
    account
        .verify_services
        .extend(numbers().map(|number| VerifyService { sid: sid("VA", number), ..service.clone() }));
    let receiver = &mut account.serverless_services[0];
    // Nothing is deployed, so the engine looks through versions and builds.
    receiver.environments[0].build_sid = None;
    let (build, function, environment) =
        (receiver.builds[0].clone(), receiver.functions[0].clone(), receiver.environments[0].clone());
    for number in numbers() {
        receiver.builds.push(FunctionBuild { sid: sid("ZB", number), ..build.clone() });
        let version = function.versions[0].clone();
        receiver.functions[0].versions.insert(0, FunctionVersion { sid: sid("ZN", number), ..version });
        let key = format!("FURTHER_{number}");
        let variable = environment.variables[0].clone();
        receiver.environments[0].variables.push(Variable { sid: sid("ZV", number), key, ..variable });
        let friendly_name = format!("further-{number}");
        receiver.functions.push(Function { sid: sid("ZH", number), friendly_name, ..function.clone() });
        let unique_name = format!("further-{number}");
        let domain_name = format!("further-{number}.twil.io");
        let sid = sid("ZE", number);
        receiver.environments.push(Environment { sid, unique_name, domain_name, ..environment.clone() });
    }
}

/// Asks for the token with a private key. The claims are as documented and the signature is not real, because the
/// simulator checks none.
fn with_a_key() {
    let mut stack = Stack::core();
    let session = stack.session(false);
    let mut connection = stack.connection();
    let (client, domain) = (connection.client_id.clone(), connection.domain.clone());
    connection.grant = Grant::Assertion(Rc::new(move |now_s, nonce| {
        let claims = json!({ "iss": client, "sub": client, "aud": format!("https://{domain}/"), "jti": nonce,
            "exp": now_s + 60 });
        let part = |json: Json| URL_SAFE_NO_PAD.encode(json.to_string());
        let token = format!("{}.{}.c2lnbmF0dXJl", part(json!({ "alg": "RS256" })), part(claims));
        Ok(Secret::new(&*token, Origin::Machine))
    }));
    let mut engine = Engine::new(stack.in_process.now_ms(), 1);
    let tenant = engine.connect(connection);
    let task = engine.spawn(tenant, |port| async move {
        observe(&session, &port.reader()).await.unwrap_or_else(|failed| panic!("{failed}"));
    });
    assert_eq!(run_virtual(&mut engine, &mut stack.in_process, &[task]), Ran::Done);
}

/// Keeps a lease alive, looks at it and releases it, as `unlock` does.
fn leases() {
    let mut stack = Stack::core();
    // The TTL is shorter than a build, so the lease has to be kept alive.
    stack.lease_ttl_ms = 6_000;
    stack.apply();
    let _ = stack.apply_until(Stop::default(), true);
    let _ = stack.apply_until(Stop::kill(13, false), false);
    stack.process(Stop::default(), |port| async move {
        let held = lease::standing(DOMAIN, &port.reader()).await.unwrap_or_else(|failed| panic!("{failed}"));
        let held = held.expect("the killed run left its lease");
        lease::delete(&held.sid, &port).await.unwrap_or_else(|failed| panic!("{failed}"));
    });
}
