//! Tests of laws 1 and 4, judged after every request: what worked still works, and what is not ours stays.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::shell::in_process::Stop;
use lockstep::twin::Twin;
use serde_json::json;

use super::bench::{Bench, FOREIGN_STREAM, all, foreign, shown, works_by_twilio};
use super::limits::{limited, otherwise};
use crate::support::{ACCOUNT, DOMAIN, core_manifest};

/// The core manifest with the phone as the only factor: no other factor helps users if it fails.
fn phone_only() -> String {
    core_manifest().replace("otp: on ", "otp: off ")
}

fn with_channels(channels: &str) -> String {
    let text = phone_only().replace("channels: [sms, voice] ", &format!("channels: {channels} "));
    text.replace("# universal_login:", "universal_login:").replace("#   experience: new", "  experience: new")
}

struct Case {
    name: &'static str,
    /// Makes the tenant as it was before the stack.
    before: fn() -> Bench,
    text: fn() -> String,
    destroy: bool,
    /// Losses that the plan names and that were confirmed.
    named: &'static [&'static str],
}

fn empty() -> Bench {
    Bench::crowded()
}

fn by_twilio() -> Bench {
    let bench = Bench::crowded();
    works_by_twilio(bench.world().tenant_mut(DOMAIN));
    bench
}

fn live(text: String) -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.text = text;
    bench.stack.applied();
    bench
}

const CASES: &[Case] = &[
    Case {
        name: "first apply, policy always",
        before: empty,
        text: core_manifest,
        destroy: false,
        named: &[],
    },
    Case { name: "first apply, phone only", before: empty, text: phone_only, destroy: false, named: &[] },
    Case {
        name: "a tenant that works by the vendor's provider",
        before: by_twilio,
        text: core_manifest,
        destroy: false,
        named: &[],
    },
    Case {
        name: "a tenant that works by the vendor's provider, phone only",
        before: by_twilio,
        text: phone_only,
        destroy: false,
        named: &[],
    },
    Case {
        name: "sms to voice",
        before: || live(with_channels("[sms]")),
        text: || with_channels("[voice]"),
        destroy: false,
        named: &["codes by sms"],
    },
    Case {
        name: "voice to sms",
        before: || live(with_channels("[voice]")),
        text: || with_channels("[sms]"),
        destroy: false,
        named: &["codes by voice"],
    },
    Case {
        name: "one channel less",
        before: || live(with_channels("[sms, voice]")),
        text: || with_channels("[voice]"),
        destroy: false,
        named: &["codes by sms"],
    },
    Case {
        name: "one channel more",
        before: || live(with_channels("[voice]")),
        text: || with_channels("[sms, voice]"),
        destroy: false,
        named: &[],
    },
    Case {
        name: "destroy, policy always",
        before: || live(core_manifest()),
        text: core_manifest,
        destroy: true,
        named: &["factor off", "messages of the tenant"],
    },
    Case {
        name: "destroy, phone only",
        before: || live(phone_only()),
        text: phone_only,
        destroy: true,
        named: &["factor off", "messages of the tenant"],
    },
    Case {
        name: "policy always to never",
        before: || live(phone_only()),
        text: || phone_only().replace("policy: always", "policy: never"),
        destroy: false,
        named: &[],
    },
    Case {
        name: "phone off while otp is on",
        before: || live(core_manifest()),
        text: || core_manifest().replace("phone: on", "phone: off"),
        destroy: false,
        named: &["factor off"],
    },
    Case {
        name: "another Verify service and other secrets",
        before: || live(phone_only()),
        text: || phone_only().replace("friendly_name: Acme", "friendly_name: Acme\n  lookup_enabled: true"),
        destroy: false,
        named: &[],
    },
    Case { name: "first apply, rate limits", before: empty, text: limited, destroy: false, named: &[] },
    Case {
        name: "rate limits are added",
        before: || live(phone_only()),
        text: limited,
        destroy: false,
        named: &[],
    },
    Case {
        name: "a rate limit gets another name",
        before: || live(limited()),
        text: otherwise,
        destroy: false,
        named: &[],
    },
    Case {
        name: "rate limits are removed",
        before: || live(limited()),
        text: phone_only,
        destroy: false,
        named: &[],
    },
    Case {
        name: "destroy, rate limits",
        before: || live(limited()),
        text: limited,
        destroy: true,
        named: &["factor off", "messages of the tenant"],
    },
    Case {
        name: "the stream goes elsewhere",
        before: || live(phone_only()),
        text: || phone_only().replace("acme-feedback.example", "other-feedback.example"),
        destroy: false,
        named: &[],
    },
];

/// The losses of a run that the plan did not name.
fn unnamed(bench: &Bench, named: &[&str]) -> Vec<String> {
    let mut losses = bench.losses();
    losses.retain(|loss| !named.iter().any(|name| loss.ends_with(&format!(": {name}"))));
    losses
}

fn prepared(case: &Case) -> Bench {
    let mut bench = (case.before)();
    let losses = bench.losses();
    assert!(losses.is_empty(), "{}: while it was set up: {losses:?}", case.name);
    bench.stack.text = (case.text)();
    bench.stack.allow_delete = true;
    bench
}

#[test]
fn nothing_that_worked_stops_working() {
    all(CASES, |case| {
        let mut bench = prepared(case);
        let theirs = foreign(&bench.world());
        let ended = bench.ended(case.destroy);
        assert_eq!(ended, Ended::Done, "{}", case.name);
        let losses = unnamed(&bench, case.named);
        assert!(losses.is_empty(), "{}: {losses:?}", case.name);
        assert!(foreign(&bench.world()) == theirs, "{}: something foreign changed", case.name);
        if !case.destroy {
            bench.at_rest(case.name);
        }
    });
}

#[test]
fn every_named_loss_is_a_dangerous_step() {
    all(CASES.iter().filter(|case| !case.named.is_empty()), |case| {
        let mut bench = prepared(case);
        let plan = bench.stack.try_observe(case.destroy).expect("readable").plan;
        let dangers = plan.steps.iter().filter(|step| step.danger.is_some()).count();
        assert!(dangers > 0, "{}: {}", case.name, shown(&plan));
    });
}

#[test]
fn nothing_that_worked_stops_working_when_the_run_is_killed() {
    all(CASES, |case| {
        let ready = prepared(case);
        let mut bench = ready.fork();
        let mark = bench.stack.mark();
        let _ = bench.ended(case.destroy);
        let length = bench.requests(mark);
        for k in 1..length {
            let mut bench = ready.fork();
            let _ = bench.run(Stop::kill(k, true), case.destroy);
            bench.later();
            let ended = bench.ended(case.destroy);
            assert_eq!(ended, Ended::Done, "{}, killed after {k}", case.name);
            let losses = unnamed(&bench, case.named);
            assert!(losses.is_empty(), "{}, killed after {k}: {losses:?}", case.name);
        }
    });
}

#[test]
fn a_stack_on_a_tenant_that_worked_before_is_destroyed_without_a_lockout() {
    for text in [core_manifest(), phone_only()] {
        let mut bench = by_twilio();
        bench.stack.text = text;
        bench.stack.applied();
        bench.losses();
        match bench.ended(true) {
            Ended::Done => {}
            Ended::Failed(text) => assert!(text.len() > 20, "{text}"),
            other => panic!("{other:?}"),
        }
        let losses = unnamed(&bench, &["messages of the tenant", "factor off"]);
        assert!(losses.is_empty(), "{losses:?}");
    }
}

type Act = fn(&mut Twin, u64);

/// Acts of another operator that do not concern us.
const THEIR_ACTS: &[(&str, Act)] = &[
    ("binds an Action", |twin, now_ms| {
        let world = &mut twin.world;
        let id = world.tenant_mut(DOMAIN).actions[0].id.clone();
        world.bind(DOMAIN, "post-login", &id, "Bound meanwhile", now_ms);
    }),
    ("edits a stream", |twin, now_ms| {
        let body = json!({"name": "Renamed meanwhile"});
        let path = format!("/api/v2/log-streams/{FOREIGN_STREAM}");
        let (status, reply) = twin.operate_tenant(DOMAIN, Method::Patch, &path, &body, now_ms);
        assert_eq!(status, 200, "{reply}");
    }),
    ("switches a factor on", |twin, now_ms| {
        let path = "/api/v2/guardian/factors/webauthn-roaming";
        let (status, _) = twin.operate_tenant(DOMAIN, Method::Put, path, &json!({"enabled": true}), now_ms);
        assert_eq!(status, 200);
    }),
    ("makes an Action", |twin, now_ms| {
        let body = json!({"name": "Made meanwhile", "code": "x",
            "supported_triggers": [{"id": "post-login", "version": "v3"}]});
        let path = "/api/v2/actions/actions";
        let (status, reply) = twin.operate_tenant(DOMAIN, Method::Post, path, &body, now_ms);
        assert_eq!(status, 201, "{reply}");
    }),
];

#[test]
fn what_others_do_in_between_survives() {
    for (what, act) in THEIR_ACTS {
        for destroy in [false, true] {
            let ready = if destroy { live(core_manifest()) } else { Bench::crowded() };
            let crowded = Bench::crowded();
            let mut bench = ready.fork();
            let mark = bench.stack.mark();
            assert_eq!(bench.ended(destroy), Ended::Done);
            let length = bench.requests(mark);
            all(1..=length, |k| {
                let story = format!("somebody {what} before request {k} of {length}, destroy: {destroy}");
                let mut bench = ready.fork();
                let mut expected = crowded.fork();
                act(&mut expected.stack.twin.borrow_mut(), crate::support::START_MS);
                let act = *act;
                bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, count, now_ms| {
                    if count == k {
                        act(twin, now_ms);
                    }
                }));
                assert_eq!(bench.ended(destroy), Ended::Done, "{story}");
                bench.calm();
                let count = |bench: &mut Bench| {
                    let mut world = bench.world();
                    let tenant = world.tenant_mut(DOMAIN);
                    let streams: Vec<_> = tenant.log_streams.iter().filter_map(|s| s.name.clone()).collect();
                    let on = tenant.factors.iter().filter(|f| f.enabled && f.name.starts_with("web")).count();
                    let made = tenant.actions.iter().filter(|a| a.name == "Made meanwhile").count();
                    let theirs = |name: &String| name.starts_with("Their") || name.starts_with("Renamed");
                    let streams: Vec<String> = streams.into_iter().filter(theirs).collect();
                    (tenant.bound("post-login").len(), streams, on, made)
                };
                assert_eq!(count(&mut bench), count(&mut expected), "{story}");
                let losses = bench.losses();
                assert!(!losses.iter().any(|loss| loss.contains("foreign")), "{story}: {losses:?}");
            });
        }
    }
}

/// Acts of another operator that take away what the run depends on.
const THEIR_ATTACKS: &[(&str, Act)] = &[
    ("deletes the provider", |twin, now_ms| {
        let id = twin.tenant_mut(DOMAIN).phone_providers.first().map(|provider| provider.id.clone());
        if let Some(id) = id {
            let path = format!("/api/v2/branding/phone/providers/{id}");
            twin.operate_tenant(DOMAIN, Method::Delete, &path, &json!(null), now_ms);
        }
    }),
    ("disables the provider", |twin, _| {
        twin.tenant_mut(DOMAIN).phone_providers.iter_mut().for_each(|provider| provider.disabled = true);
    }),
    ("switches the phone factor off", |twin, now_ms| {
        let path = "/api/v2/guardian/factors/sms";
        twin.operate_tenant(DOMAIN, Method::Put, path, &json!({"enabled": false}), now_ms);
    }),
];

#[test]
fn nobody_is_locked_out_when_others_pull_a_pillar_away() {
    let mut bench = Bench::crowded();
    bench.stack.text = phone_only();
    assert_eq!(bench.ended(false), Ended::Done);
    let length = bench.requests(0);
    let crowded = Bench::crowded();
    for (what, act) in THEIR_ATTACKS {
        all(1..=length, |k| {
            let story = format!("somebody {what} before request {k} of {length}");
            let mut bench = crowded.fork();
            bench.stack.text = phone_only();
            let act = *act;
            bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, count, now_ms| {
                if count == k {
                    act(twin, now_ms);
                }
            }));
            let ended = bench.ended(false);
            bench.calm();
            let mut losses = bench.losses();
            // Somebody else can always act between our last read and our write, because the API has no If-Match.
            losses.retain(|loss| !loss.starts_with(&format!("#{k} ")));
            losses.retain(|loss| loss.contains("locked out") || loss.contains("switched on although"));
            assert!(losses.is_empty(), "{story} ({ended:?}): {losses:?}");
        });
    }
}

#[test]
fn a_policy_that_nobody_can_meet_is_refused_by_the_plan() {
    // The tenant has locked its users out already, and this manifest manages no factor, so asking for more logins is no
    // remedy.
    let text = core_manifest();
    let (head, rest) = text.split_once("  factors:\n").expect("factors");
    let policy = &rest[rest.find("  policy: always").expect("a policy")..];
    for before in ["confidence-score", ""] {
        let mut bench = Bench::crowded();
        bench.stack.text = format!("{head}{policy}");
        {
            let mut world = bench.world();
            let tenant = world.tenant_mut(DOMAIN);
            tenant.policies =
                Some(before).filter(|word| !word.is_empty()).map(str::to_owned).into_iter().collect();
            tenant.factors.iter_mut().for_each(|factor| factor.enabled = false);
        }
        let mark = bench.stack.mark();
        let ended = bench.ended(false);
        let told = |text: &str| text.contains("mfa_policy: step") && text.contains("none can be used");
        assert!(matches!(&ended, Ended::Failed(text) if told(text)), "{before:?}: {ended:?}");
        assert!(bench.writes_since(mark).is_empty());
    }
}

/// Somebody acts once the lease is taken, and so after every read of the plan.
fn after_the_plan(bench: &Bench, act: fn(&mut Twin)) {
    let mut done = false;
    bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, _, _| {
        if !done && !twin.world.account_mut(ACCOUNT).serverless_services.is_empty() {
            act(twin);
            done = true;
        }
    }));
}

#[test]
fn the_last_factor_is_not_switched_off_under_a_policy_that_was_raised_after_the_plan() {
    let mut bench = live(core_manifest().replace("  policy: always ", "  # policy: always "));
    for factor in &mut bench.world().tenant_mut(DOMAIN).factors {
        factor.enabled &= ["sms", "otp"].contains(&factor.name.as_str());
    }
    after_the_plan(&bench, |twin| twin.tenant_mut(DOMAIN).policies = vec!["all-applications".into()]);
    let ended = bench.ended(true);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("the last one that is on")), "{ended:?}");
    bench.calm();
    assert_eq!(bench.losses().iter().filter(|loss| loss.contains("locked out")).count(), 0);
    assert!(bench.world().tenant_mut(DOMAIN).factors.iter().any(|factor| factor.enabled));
}

#[test]
fn what_is_exposed_has_to_stand_as_a_whole() {
    type Pull = fn(&mut Twin);
    let pulls: [(&str, Pull); 3] = [
        ("the deployed Action", |twin| {
            for action in &mut twin.tenant_mut(DOMAIN).actions {
                action.versions.iter_mut().for_each(|version| version.secrets.clear());
            }
        }),
        ("the feedback stream", |twin| {
            twin.tenant_mut(DOMAIN)
                .log_streams
                .iter_mut()
                .for_each(|stream| stream.status = "suspended".into());
        }),
        ("the phone provider", |twin| {
            for provider in &mut twin.tenant_mut(DOMAIN).phone_providers {
                provider.configuration.insert("delivery_methods".into(), json!(["text"]));
            }
        }),
    ];
    for (what, pull) in pulls {
        let mut bench = live(core_manifest());
        {
            let mut world = bench.world();
            let tenant = world.tenant_mut(DOMAIN);
            tenant.policies.clear();
            tenant.factors.iter_mut().filter(|f| f.name == "sms").for_each(|f| f.enabled = false);
        }
        after_the_plan(&bench, pull);
        let ended = bench.ended(false);
        assert!(matches!(&ended, Ended::Failed(text) if text.contains(what)), "{what}: {ended:?}");
        assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "{what}");
    }
}
