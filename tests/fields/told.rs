//! Tests of the words of drift: they say what has happened, and never what would be done.

use std::collections::BTreeSet;

use lockstep::engine::apply::Ended;
use lockstep::model::plan::{Cause, Plan, Verb, Was};
use lockstep::plan::drift::{self, State};
use lockstep::plan::render::{self, Paint};
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::Secret;
use serde_json::json;

use super::bed::{
    Bed, FULL, Snapshot, action, applied_full, edit, edit_action, lose_ledger, service, stream, tenant, valid,
};

/// The text about one resource: its first line and the lines indented below it.
fn about(plan: &Plan, address: &str) -> Vec<String> {
    let text = render::drift(plan, Paint(false));
    let head = |line: &&str| line.split_whitespace().nth(1) == Some(address);
    let lines = text.lines().skip_while(|line| !head(line)).enumerate();
    let block = lines.take_while(|(at, line)| *at == 0 || line.starts_with("      "));
    block.map(|(_, line)| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Checks that the text has no word or symbol of a plan.
fn speaks_of_what_happened(plan: &Plan) {
    let text = render::drift(plan, Paint(false));
    for word in ["→", " update", " create", " delete", " adopt", " no-op", "because"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
}

#[test]
fn drift_says_what_was_applied_what_the_tenant_has_and_what_the_manifest_wants() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| drop(service(twin).settings.insert("code_length".into(), json!(8))));
    let plan = bed.observe().plan;
    let head = "~ verify_service differs".to_owned();
    let told = "code_length: was applied 6, the tenant has 8, the manifest wants 6 [tenant changed]";
    assert_eq!(about(&plan, "verify_service"), [head.clone(), told.into()]);
    speaks_of_what_happened(&plan);

    bed.manifest = valid(FULL, &[edit("verify_service.code_length", json!(7))]);
    let plan = bed.observe().plan;
    let told = "code_length: was applied 6, the tenant has 8, the manifest wants 7 [both changed]";
    assert_eq!(about(&plan, "verify_service"), [head.clone(), told.into()]);

    bed.with_twin(|twin| drop(service(twin).settings.insert("code_length".into(), json!(6))));
    let plan = bed.observe().plan;
    let told = "code_length: was applied 6, the tenant has 6, the manifest wants 7 [manifest not applied]";
    assert_eq!(about(&plan, "verify_service"), [head.clone(), told.into()]);

    // Without a record nobody knows what was applied, so the text does not say it.
    let sid = bed.with_twin(|twin| service(twin).sid.clone());
    bed.with_twin(lose_ledger);
    let edits = [edit("verify_service.code_length", json!(7)), edit("verify_service.sid", json!(sid))];
    bed.manifest = valid(FULL, &edits);
    let plan = bed.observe().plan;
    let told = "code_length: the tenant has 6, the manifest wants 7 [cause unknown: no ledger]";
    assert_eq!(about(&plan, "verify_service"), [head, told.into()]);
}

#[test]
fn a_replaced_code_is_told_as_the_diff_of_the_change() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let now_ms = bed.now_ms();
    let code = bed.with_twin(|twin| action(twin).code.clone());
    let (first, rest) = code.split_once('\n').expect("several lines");
    bed.with_twin(|twin| edit_action(twin, now_ms, |action, _| action.code = format!("// theirs\n{rest}")));
    let plan = bed.observe().plan;
    let told = about(&plan, "action");
    assert_eq!(
        told[1], "code: what was applied (-) and what the tenant has (+) [tenant changed]",
        "{told:?}"
    );
    let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&format!("- {first}")) && told.contains(&"+ // theirs".to_owned()), "{told:?}");
    speaks_of_what_happened(&plan);

    // The manifest has code that is not applied, and then both sides change it.
    let own = "exports.onExecuteCustomPhoneProvider = async () => {\n  // mine\n};\n";
    let mut manifest = valid(FULL, &[]);
    let section = manifest.sections.get_mut("action").expect("a section");
    section.insert("code".into(), lockstep::model::value::Value::text(own));
    let mut bed = Bed::on(&applied_full(), manifest.clone());
    let told = about(&bed.observe().plan, "action");
    assert_eq!(
        told[1],
        "code: what the manifest wants (-) and what the tenant has, as it was applied (+) [manifest not applied]",
        "{told:?}"
    );
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| edit_action(twin, now_ms, |action, _| action.code = format!("// theirs\n{rest}")));
    let told = about(&bed.observe().plan, "action");
    assert_eq!(
        told[1],
        "code: what the manifest wants (-) and what the tenant has (+); a third value was applied [both changed]",
        "{told:?}"
    );
    assert!(told.contains(&"- // mine".to_owned()) && told.contains(&"+ // theirs".to_owned()), "{told:?}");
}

#[test]
fn what_is_gone_left_or_was_never_applied_is_told_as_that() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| {
        let id = stream(twin).id.clone();
        tenant(twin).log_streams.retain(|stream| stream.id != id);
        tenant(twin)
            .factors
            .iter_mut()
            .filter(|factor| factor.name == "otp")
            .for_each(|otp| otp.enabled = false);
        edit_action(twin, now_ms, |action, stamp| {
            action.secrets.retain(|secret| secret.name != "TWILIO_API_KEY");
            action.secrets.push(Secret {
                name: "THEIRS".into(),
                value: "x".into(),
                updated_at: stamp.into(),
            });
        });
    });
    let edits = [
        edit("action.unmanaged_secrets", json!("remove")),
        edit("action.dependencies.lodash", json!("4.17.21")),
        edit("branding", json!(null)),
    ];
    bed.manifest = valid(FULL, &edits);
    let plan = bed.observe().plan;
    speaks_of_what_happened(&plan);
    let stream = about(&plan, "log_stream");
    assert_eq!(stream[0], "- log_stream is gone from the tenant");
    assert!(
        stream.contains(
            &"authorization: was applied, and the tenant does not have it any more (secret) [tenant changed]"
                .into()
        ),
        "{stream:?}"
    );
    assert!(
        stream.contains(&"status: was applied active, the manifest wants active [tenant changed]".into()),
        "{stream:?}"
    );
    let action = about(&plan, "action");
    for told in [
        "dependencies.lodash: was not applied, the tenant has none, the manifest wants 4.17.21 [manifest not applied]",
        "secrets.THEIRS: the tenant has it, and the manifest does not name it (secret) [tenant changed]",
        "secrets.TWILIO_API_KEY: was applied, and the tenant does not have it any more (secret) [tenant changed]",
    ] {
        assert!(action.contains(&told.to_owned()), "{told} in {action:#?}");
    }
    let branding = about(&plan, "branding");
    assert_eq!(branding[0], "+ branding was applied, and the manifest does not name it any more");
    let colour = "colors.primary: was applied #112233, the tenant has #112233, before this stack there was none [manifest not applied]";
    assert!(branding.contains(&colour.to_owned()), "{branding:#?}");

    // The same as data, for programs.
    let told = drift::differences(&plan);
    let states = |state| -> Vec<&str> {
        told.iter().filter(|told| told.state == state).map(|told| told.address.as_str()).collect()
    };
    assert_eq!(states(State::Gone), ["log_stream"]);
    assert_eq!(states(State::Left), ["branding"]);
    let factor = told.iter().find(|told| told.address == "mfa_factor.otp").expect("told");
    let [field] = factor.fields.as_slice() else { panic!("{factor:?}") };
    assert_eq!(field.applied, Was::Value(json!(true)));
    let as_json = json!({ "field": "enabled", "secret": false, "cause": "tenant_changed",
        "applied": { "value": true }, "tenant": false, "manifest": true });
    assert_eq!(serde_json::to_value(field).expect("plain"), as_json);
}

fn causes(plan: &Plan) -> BTreeSet<Cause> {
    plan.resources.iter().flat_map(|resource| &resource.changes).map(|change| change.cause).collect()
}

/// The plans of drift after a run that was stopped like this: with the manifest of that run, and with the one before
/// it. `None`: the run was not stopped.
fn after(
    base: &Snapshot,
    stop: Stop,
    edits: &[(String, serde_json::Value)],
    destroy: bool,
) -> Option<[Plan; 2]> {
    let mut bed = Bed::on(base, valid(FULL, edits));
    let outcome = bed.run_until(stop, destroy);
    if outcome.is_some_and(|outcome| outcome.ended != Ended::Stopped) {
        return None;
    }
    let told = bed.observe().plan;
    bed.manifest = valid(FULL, &[]);
    Some([told, bed.observe().plan])
}

/// Number of requests before the first write.
fn reads(base: &Snapshot, edits: &[(String, serde_json::Value)], destroy: bool) -> usize {
    let mut bed = Bed::on(base, valid(FULL, edits));
    let mark = bed.stack.mark();
    let _ = if destroy { bed.observe_destroy() } else { bed.observe() };
    bed.stack.mark() - mark + 3
}

/// Stops runs of an apply and of a destroy at their requests. Nothing that they left may be reported as a change by
/// others, and drift has to mention an unfinished run.
fn no_change_by_others(stop: impl Fn(usize) -> Stop) {
    let edits = [
        edit("verify_service.code_length", json!(7)),
        edit("action.dependencies.twilio", json!("6.3.0")),
        edit("action.secrets.TWILIO_API_KEY", json!("${env.OTHER_KEY}")),
        edit("branding.colors.primary", json!("#654321")),
    ];
    let base = applied_full();
    let mut unfinished = 0;
    for (edits, destroy, stride) in [(&edits[..], false, 2), (&[][..], true, 6)] {
        // A run that is stopped while it reads has done nothing.
        for at in (reads(&base, edits, destroy)..400).step_by(stride) {
            let Some(plans) = after(&base, stop(at), edits, destroy) else { break };
            for plan in &plans {
                let causes = causes(plan);
                let others = [Cause::TenantChanged, Cause::Both].iter().any(|cause| causes.contains(cause));
                assert!(!others, "request {at}, destroy {destroy}:\n{}", render::drift(plan, Paint(false)));
                unfinished += usize::from(causes.contains(&Cause::Unfinished));
            }
        }
    }
    assert!(unfinished > 5, "{unfinished} times an unfinished run was told of");
}

#[test]
fn what_a_killed_run_left_is_no_change_by_others() {
    no_change_by_others(|at| Stop::kill(at, true));
}

#[test]
fn what_a_stopped_run_left_is_no_change_by_others() {
    no_change_by_others(Stop::interrupt);
}

#[test]
fn what_others_change_after_a_stopped_run_is_theirs() {
    let edits = [edit("verify_service.code_length", json!(7))];
    let base = applied_full();
    // The first moment at which the record holds the intent of the run.
    let told = (10..100).find_map(|at| {
        let mut bed = Bed::on(&base, valid(FULL, &edits));
        assert_eq!(bed.run_until(Stop::kill(at, true), false), None, "it came to its end");
        bed.with_twin(|twin| drop(service(twin).settings.insert("code_length".into(), json!(9))));
        let plan = bed.observe().plan;
        let is_told = plan.findings.iter().any(|found| found.text.contains("did not report its end"));
        is_told.then(|| about(&plan, "verify_service"))
    });
    let told = told.expect("an unfinished run");
    assert_eq!(told[1], "code_length: was applied 6, the tenant has 9, the manifest wants 7 [both changed]");
}

#[test]
fn a_destroy_counts_and_names_what_stays_and_says_why() {
    let mut bed = Bed::new(valid(FULL, &[edit("mfa.policy", json!("never"))]));
    bed.with_twin(|twin| {
        tenant(twin).factors.iter_mut().for_each(|factor| factor.enabled = false);
        tenant(twin).policies = vec!["all-applications".into()];
    });
    bed.applied();
    let plan = bed.observe_destroy().plan;
    for resource in plan.resources.iter().filter(|resource| resource.verb != Verb::NoOp) {
        let has_step = plan.steps.iter().any(|step| step.address == resource.address);
        assert!(has_step, "{} is counted, and nothing is done about it", resource.address);
        let is_shown = resource.verb != Verb::Update || !resource.changes.is_empty();
        assert!(is_shown, "{} is put back without old and new", resource.address);
    }
    let policy = plan.resources.iter().find(|resource| resource.address == "mfa_policy").expect("a resource");
    let why = policy.stays.as_deref().unwrap_or_default();
    assert!(policy.verb == Verb::NoOp && why.contains("none could be used"), "{policy:?}");
    let text = render::plan(&plan, Paint(false));
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("to put back") && last.contains("1 stays"), "{text}");
    assert!(!last.contains("to update"), "{text}");
    assert!(text.contains("  = mfa_policy"), "{text}");
    let left = render::left_behind(&plan);
    assert!(matches!(left.as_slice(), [one] if one.starts_with("mfa_policy")), "{left:?}");
}
