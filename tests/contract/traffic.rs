//! Real traffic: what runs of the engine ask the simulator, and what it answers, compared while it flows.

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
use lockstep::plan::build;
use lockstep::shell::in_process::{Ended as Ran, Handled, InProcess, Simulator, Stop, run_virtual};
use lockstep::twin::world::{PhoneProvider, PhoneTemplate};
use lockstep::twin::{BindingRule, Flag, Options, Twin, What};
use serde_json::{Value as Json, json};

use super::calls::{Contract, Tally};
use crate::faults::bench::{Bench, changed_manifest};
use crate::fields::bed::{Bed, FULL, Snapshot, applied_full, edit, lose_ledger, manifest, valid};
use crate::fields::rows::{Other, rows};
use crate::support::{DOMAIN, Stack, core_manifest, options};

/// A contract, the hosts it speaks for, and what was compared.
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

fn tap(stack: &mut Stack, inner: Rc<RefCell<dyn Simulator>>, recorder: &Shared) {
    let now_ms = stack.in_process.now_ms();
    let tap = Tap { inner, recorder: recorder.clone() };
    stack.in_process = InProcess::new(Rc::new(RefCell::new(tap)), now_ms);
}

fn tapped_bed(mut bed: Bed, recorder: &Shared) -> Bed {
    let twin = bed.stack.twin.clone();
    tap(&mut bed.stack, twin, recorder);
    bed
}

fn tapped_bench(mut bench: Bench, recorder: &Shared) -> Bench {
    let watch = bench.watch.clone();
    tap(&mut bench.stack, watch, recorder);
    bench
}

/// All runs, side by side. `contract` is read once for each part.
pub fn everything(contract: &(dyn Fn() -> Contract + Sync), takes: fn(&str) -> bool) -> Tally {
    let parts: [fn(&Shared); 5] = [manifests, fields, kills, refusals, rare_turns];
    let mut whole = Tally::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = parts
            .into_iter()
            .map(|part| {
                scope.spawn(move || {
                    let recorder = Rc::new(RefCell::new(Recorder {
                        contract: contract(),
                        takes,
                        tally: Tally::default(),
                    }));
                    part(&recorder);
                    std::mem::take(&mut recorder.borrow_mut().tally)
                })
            })
            .collect();
        for part in running {
            whole.add(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    whole
}

/// Edits of which some fit every manifest.
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

/// Every manifest that ships: applied, edited, tampered with and put right, destroyed.
fn manifests(recorder: &Shared) {
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
        let mut bed = tapped_bed(Bed::new(valid(&text, &[])), recorder);
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
        let declared: BTreeSet<String> =
            build::declared(&bed.manifest).into_iter().map(|resource| resource.address).collect();
        let written: Json = serde_yaml::from_str(&text).expect("YAML");
        let now_ms = bed.now_ms();
        let mut rows = rows();
        // Rows find a stream by its endpoint, so that is moved last.
        rows.sort_by_key(|row| row.place.ends_with(".endpoint"));
        for row in rows.into_iter().filter(|row| declared.contains(row.address)) {
            if row.place.is_empty() || written.pointer(&format!("/{}", row.place.replace('.', "/"))).is_some()
            {
                bed.with_twin(|twin| (row.tamper)(twin, now_ms));
            }
        }
        bed.observe();
        bed.apply();
        bed.applied();
        bed.destroyed();
    }
}

/// Everything that can be managed, and each field of it moved on either side.
fn fields(recorder: &Shared) {
    let first = tapped_bed(Bed::new(valid(FULL, &[])), recorder);
    let snapshot = applied(first);
    // On create only, so no row has it.
    let from = edit("feedback.log_stream.start_from", json!("2026-11-19T00:00:00Z"));
    tapped_bed(Bed::new(valid(FULL, &[from])), recorder).applied();
    for row in rows() {
        let mut bed = tapped_bed(Bed::on(&snapshot, valid(FULL, &[])), recorder);
        let now_ms = bed.now_ms();
        bed.with_twin(|twin| (row.tamper)(twin, now_ms));
        bed.applied();
        if let Other::Value(edits, _) = &row.other {
            bed.manifest = valid(FULL, edits);
            bed.apply();
        }
    }
    tapped_bed(Bed::on(&snapshot, valid(FULL, &[])), recorder).destroyed();
}

fn applied(mut bed: Bed) -> Snapshot {
    bed.applied();
    bed.snapshot()
}

/// Runs that end early, each finished by the next: applying, changing, destroying, beside what others have.
fn kills(recorder: &Shared) {
    let fresh = Bench::crowded();
    let mut changed = Bench::crowded();
    changed.stack.applied();
    let done = changed.fork();
    changed.stack.text = changed_manifest();
    for (prepared, destroy) in [(fresh, false), (changed, false), (done, true)] {
        let mut whole = tapped_bench(prepared.fork(), recorder);
        let mark = whole.stack.mark();
        assert_eq!(whole.ended(destroy), Ended::Done);
        let length = whole.requests(mark);
        for at in 0..=length {
            let mut bench = tapped_bench(prepared.fork(), recorder);
            let _ = bench.run(Stop::kill(at, at % 2 == 0), destroy);
            bench.later();
            let _ = bench.ended(destroy);
        }
        let mut bench = tapped_bench(prepared.fork(), recorder);
        let _ = bench.run(Stop::interrupt(length / 2), destroy);
        let _ = bench.ended(destroy);
    }
}

/// Answers that are no successes: limits, missing rights, failures of the server.
fn refusals(recorder: &Shared) {
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
        let mut bench = tapped_bench(fresh.fork(), recorder);
        bench.fault(nth, what.clone());
        let _ = bench.ended(false);
        bench.calm();
        bench.later();
        let _ = bench.ended(false);
    }
}

/// What a run asks only now and then: another tenant, another credential, another world.
fn rare_turns(recorder: &Shared) {
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
        let mut bench = tapped_bench(bench, recorder);
        for destroy in [false, false, true] {
            let _ = bench.run(Stop::default(), destroy);
        }
    }
    // A provider of the vendor's own that is taken over, and put back.
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
    let mut bed = tapped_bed(Bed::new(valid(FULL, &[])), recorder);
    bed.with_twin(twilio);
    bed.apply();
    bed.apply();
    // The record is lost, everything is taken over.
    let snapshot = applied_full();
    let mut bed = tapped_bed(Bed::on(&snapshot, valid(FULL, &[])), recorder);
    bed.with_twin(lose_ledger);
    bed.apply();
    // More services than one page holds.
    let mut bed = tapped_bed(Bed::on(&snapshot, valid(FULL, &[])), recorder);
    bed.with_twin(|twin| {
        let account = twin.world.account_mut(crate::support::ACCOUNT);
        let service = account.verify_services[0].clone();
        for number in 0..150 {
            let sid = format!("VA{number:032x}");
            account.verify_services.push(lockstep::twin::world::VerifyService { sid, ..service.clone() });
        }
        lose_ledger(twin);
    });
    bed.observe();
    with_a_key(recorder);
    leases(recorder);
    legacy(recorder);
    templates_taken_over(recorder);
}

/// The stack of a tenant with the legacy set-up, its message texts too: applied, changed by others, destroyed.
fn legacy(recorder: &Shared) {
    let texts = json!({ "enrollment_message": "Acme {{code}}", "verification_message": "Acme: {{code}}" });
    let edits = [edit("phone.delivery", json!("legacy")), edit("phone.legacy_templates", texts)];
    let mut bed = tapped_bed(Bed::new(valid(&core_manifest(), &edits)), recorder);
    bed.with_twin(|twin| {
        twin.tenant_mut(DOMAIN).settings.insert("phone_consolidated_experience".into(), json!(false));
    });
    bed.applied();
    bed.with_twin(|twin| {
        let phone = &mut twin.tenant_mut(DOMAIN).legacy_phone;
        phone.selected_provider = "auth0".into();
        phone.verification_message = "Theirs {{code}}".into();
    });
    bed.applied();
    bed.destroyed();
}

/// A template that was the tenant's own and had no sender: only a reset takes ours away again.
fn templates_taken_over(recorder: &Shared) {
    let mut bed = tapped_bed(Bed::new(valid(FULL, &[])), recorder);
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

/// The token by private key, with claims as documented and no real signature: the simulator checks none.
fn with_a_key(recorder: &Shared) {
    let mut stack = Stack::core();
    let twin = stack.twin.clone();
    tap(&mut stack, twin, recorder);
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

/// A lease that is kept alive, looked at and released by hand, as `unlock` does.
fn leases(recorder: &Shared) {
    let mut stack = Stack::core();
    let twin = stack.twin.clone();
    tap(&mut stack, twin, recorder);
    // So short that the builds outlast it: it has to be kept alive.
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
