//! Tests of the digest of a plan: what changes it, and what does not.

use lockstep::engine::observe::{Session, moved, observe};
use lockstep::manifest::{self, Missing};
use lockstep::model::plan::{Digest, Plan, Purpose};
use lockstep::shell::in_process::Stop;
use serde_json::json;

use crate::support::{Stack, manifest_of, tables};

/// The scopes of a client that may only read.
const READS: [&str; 7] = [
    "read:actions",
    "read:guardian_factors",
    "read:mfa_policies",
    "read:phone_providers",
    "read:log_streams",
    "read:tenant_settings",
    "read:prompts",
];

/// The core stack, applied.
fn live() -> Stack {
    let mut stack = Stack::core();
    stack.applied();
    stack
}

fn digest(stack: &mut Stack) -> String {
    of(&stack.observe().plan)
}

fn of(plan: &Plan) -> String {
    match &plan.digest {
        Digest::Of(digest) => {
            assert_eq!(*digest, format!("sha256:{}", plan.basis));
            digest.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// The digest of the same stack observed by another session.
fn digest_of(stack: &mut Stack, change: impl FnOnce(&mut Session)) -> String {
    let mut session = stack.session(false);
    change(&mut session);
    let plan = stack.process(Stop::default(), |port| async move {
        observe(&session, &port.reader()).await.expect("read").plan
    });
    of(&plan.expect("not killed"))
}

#[test]
fn a_wanted_an_observed_and_a_recorded_value_each_change_the_digest() {
    let mut stack = live();
    let base = digest(&mut stack);
    assert_eq!(digest(&mut stack), base, "the same, read again");
    type Edit = fn(&mut Stack);
    let edits: &[(&str, Edit)] = &[
        ("a wanted value", |stack| stack.text = stack.text.replace("code_length: 6", "code_length: 7")),
        ("another wanted value", |stack| stack.text = stack.text.replace("code_length: 6", "code_length: 8")),
        ("a resource more", |stack| {
            stack.text = stack.text.replace("  policy: always ", "  # policy: always ")
        }),
        ("an observed value", |stack| {
            let mut twin = stack.twin.borrow_mut();
            let service = &mut twin.world.account_mut(crate::support::ACCOUNT).verify_services[0];
            service.settings.insert("code_length".into(), json!(9));
        }),
        ("an observed value that the manifest does not name", |stack| {
            let mut twin = stack.twin.borrow_mut();
            let service = &mut twin.world.account_mut(crate::support::ACCOUNT).verify_services[0];
            service.settings.insert("do_not_share_warning_enabled".into(), json!(true));
        }),
        ("another object", |stack| {
            let mut twin = stack.twin.borrow_mut();
            let service = &mut twin.world.account_mut(crate::support::ACCOUNT).verify_services[0];
            service.sid = format!("VA{}", "1".repeat(32));
        }),
        ("where the record is kept", |stack| stack.store = lockstep::engine::store::Store::None),
    ];
    let mut all = vec![base.clone()];
    for (what, edit) in edits {
        let mut stack = live();
        edit(&mut stack);
        let now = digest(&mut stack);
        assert!(!all.contains(&now), "{what}: {now}");
        all.push(now);
    }
    assert_ne!(digest_of(&mut stack, |session| session.destroy = true), base, "a destroy");
    // Each apply writes the record, so the plan of before is over.
    stack.text = stack.text.replace("code_length: 6", "code_length: 7");
    stack.applied();
    stack.text = stack.text.replace("code_length: 7", "code_length: 6");
    stack.applied();
    assert_ne!(digest(&mut stack), base, "applied since");
}

#[test]
fn a_secret_counts_as_changed_and_never_by_its_value() {
    let mut stack = live();
    let base = digest(&mut stack);
    let mut with = |value: &str| {
        stack.env.insert("TWILIO_SENDER_SECRET".into(), value.into());
        let plan = stack.observe().plan;
        let secrets = plan.resources.iter().flat_map(|one| &one.changes).filter(|change| change.secret);
        let names: Vec<&str> = secrets.map(|change| change.field.as_str()).collect();
        (names.join(" "), of(&plan))
    };
    let one = with("One-New-Secret-0a1b2c");
    assert_eq!(one.0, "secrets.TWILIO_API_SECRET");
    assert_ne!(one.1, base);
    assert_eq!(with("Another-New-Secret-3d4e5f"), one, "the value of a secret does not count");
    assert_eq!(with("Twilio-Sender-Secret-b81e66"), (String::new(), base));

    // On an empty tenant, too.
    let first = |value: &str| {
        let mut stack = Stack::core();
        stack.env.insert("FEEDBACK_SECRET".into(), value.into());
        digest(&mut stack)
    };
    assert_eq!(first("One-New-Secret-0a1b2c"), first("Another-New-Secret-3d4e5f"));
}

/// A name that comes from a secret source reads back in clear.
#[test]
fn a_secret_that_the_tenant_shows_does_not_count_by_its_value() {
    let with = |value: &str| {
        let mut stack = Stack::core();
        stack.text = stack.text.replace("friendly_name: Acme", "friendly_name: ${cmd.name}");
        let env = stack.env.clone();
        struct By(std::collections::BTreeMap<String, String>, String);
        impl manifest::Sources for By {
            fn env(&self, name: &str) -> Option<String> {
                self.0.get(name).cloned()
            }
            fn cmd(&self, _: &str) -> Option<Result<String, String>> {
                Some(Ok(self.1.clone()))
            }
        }
        let read = lockstep::plan::desired::manifest("x.yaml", &stack.text, &By(env, value.to_owned()));
        let made = read.unwrap_or_else(|refused| panic!("{}", refused.render(false)));
        stack.text = crate::support::core_manifest()
            .replace("friendly_name: Acme", &format!("friendly_name: {value}"));
        stack.applied();
        digest_of(&mut stack, |session| session.manifest = made.into())
    };
    assert_eq!(with("Quokka"), with("Wombat"));
}

#[test]
fn another_client_at_another_time_makes_the_same_digest() {
    let mut stack = live();
    stack.text = stack.text.replace("code_length: 6", "code_length: 7");
    let base = digest(&mut stack);
    let by = |stack: &mut Stack, name: &str, value: &str| {
        let mut env = stack.env.clone();
        env.insert(name.into(), value.into()).expect("set");
        let other = manifest_of(&stack.text, &env);
        digest_of(stack, |session| {
            session.purpose = Purpose::Show;
            session.manifest = other.into();
        })
    };
    for (name, value) in [
        ("AUTH0_CLIENT_ID", "client-id-of-a-reader"),
        ("AUTH0_CLIENT_SECRET", "Another-Client-Secret-99"),
        ("TWILIO_API_KEY", "SK00000000000000000000000000000099"),
        ("TWILIO_API_SECRET", "Another-Twilio-Secret-99"),
    ] {
        assert_eq!(by(&mut stack, name, value), base, "{name}");
    }
    assert_eq!(digest_of(&mut stack, |session| session.revision = "squashed".into()), base);
    assert_eq!(digest_of(&mut stack, |session| session.who = "somebody@else".into()), base);
    assert_eq!(digest_of(&mut stack, |session| session.rounds = 7), base);
    assert_eq!(digest_of(&mut stack, |session| session.purpose = Purpose::Drift), base);
    stack.twin.borrow_mut().options.scopes = Some(READS.iter().map(|scope| (*scope).to_owned()).collect());
    assert_eq!(digest(&mut stack), base, "scopes");
    stack.twin.borrow_mut().options.scopes = None;
    // A comment, and an attestation that gives another finding.
    let text = stack.text.clone();
    stack.text = format!("# reviewed\n{text}");
    assert_eq!(digest(&mut stack), base, "a comment");
    stack.text = format!(
        "{text}\nattest:\n  fraud_guard: {{ level: standard, by: jo@acme.example, on: 2026-11-01, until: 2026-11-02 }}\n"
    );
    assert_eq!(digest(&mut stack), base, "findings");
    stack.text = text;
    stack.in_process.advance_ms(40 * 24 * 3_600_000);
    assert_eq!(digest(&mut stack), base, "time");
}

#[test]
fn values_that_are_unknown_are_counted_in_place_of_a_digest() {
    let mut stack = live();
    let text = stack.text.clone();
    let mut env = stack.env.clone();
    env.remove("TWILIO_SENDER_SECRET");
    env.remove("FEEDBACK_SECRET");
    struct Few(std::collections::BTreeMap<String, String>);
    impl manifest::Sources for Few {
        fn env(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
    }
    let parsed =
        manifest::read("x.yaml", &text, &tables()).unwrap_or_else(|no| panic!("{}", no.render(false)));
    let examined = manifest::examine(&parsed, &Few(env), Missing::Unknown, &lockstep::kinds::check);
    let mut session = stack.session(false);
    session.manifest = examined.manifest.into();
    let plan = stack.process(Stop::default(), |port| async move {
        observe(&session, &port.reader()).await.expect("read").plan
    });
    let plan = plan.expect("not killed");
    assert_eq!((&plan.digest, plan.unknown_values), (&Digest::Open, 2));
    assert!(plan_text(&plan).contains("\nno digest: 2 values unknown\n"), "{}", plan_text(&plan));
    let json = json!(plan);
    assert!(json["digest"].is_null() && json.get("digest").is_some() && json["unknown_values"] == 2);

    // Nor while a part cannot be read: another client may be able to.
    let few = READS[..4].iter().map(|scope| (*scope).to_owned());
    stack.twin.borrow_mut().options.scopes = Some(few.collect());
    let plan = stack.observe().plan;
    assert_eq!(plan.digest, Digest::Open);
    assert!(plan.unknown_values > 3, "{}", plan.unknown_values);
}

fn plan_text(plan: &Plan) -> String {
    lockstep::plan::render::plan(plan, lockstep::plan::render::Paint(false))
}

#[test]
fn a_run_that_was_killed_leaves_another_plan() {
    let mut stack = Stack::core();
    let base = digest(&mut stack);
    assert!(stack.apply_until(Stop::kill(24, false), false).is_none(), "killed");
    assert_ne!(digest(&mut stack), base);
}

/// A day after a plan was saved, each difference offers to be accepted until another day. What moved is told without it.
#[test]
fn what_moved_since_another_day_is_named_alone() {
    const DAY_MS: u64 = 86_400_000;
    let mut stack = live();
    stack.purpose = Purpose::Drift;
    {
        let mut twin = stack.twin.borrow_mut();
        let service = &mut twin.world.account_mut(crate::support::ACCOUNT).verify_services[0];
        service.settings.insert("code_length".into(), json!(9));
    }
    let then = stack.observe().plan;
    let offer = |plan: &Plan| {
        let mut changes = plan.resources.iter().flat_map(|resource| &resource.changes);
        changes.next().expect("one differs").accept.clone().expect("an offer")
    };
    stack.in_process.advance_ms(40 * DAY_MS);
    let later = stack.observe().plan;
    assert_ne!(offer(&then), offer(&later), "the offer names a day");
    assert_eq!(moved(&then, &later), "the observed state or the ledger");
    {
        let mut twin = stack.twin.borrow_mut();
        let tenant = twin.world.tenants.get_mut(crate::support::DOMAIN).expect("the tenant");
        tenant.log_streams[0].name = Some("their stream".into());
    }
    let renamed = stack.observe().plan;
    assert_eq!(moved(&then, &renamed), "log_stream, log_stream (update the stream)");
}
