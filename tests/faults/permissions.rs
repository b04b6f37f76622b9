//! Tests of credentials that may not write: they are enough for a plan, and an apply stops before users are affected.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::model::plan::{Level, Purpose};
use lockstep::twin::faults::{Rule, When};
use lockstep::twin::{LogEntry, Options, What};

use super::bench::{Bench, all, shown};
use super::limits;
use crate::support::{ACCOUNT, DOMAIN, function_manifest, options};

const KEY: &str = "TWILIO_API_KEY";

/// Refuses every write at Twilio from the `nth` on.
fn refuse(bench: &Bench, what: &What, nth: u32) {
    let rule = |method| {
        let when = When::Matching { method: Some(method), host: Some("twilio.com".into()), path: None, nth };
        Rule { when, what: what.clone(), times: 10_000, matched: 0 }
    };
    bench.stack.twin.borrow_mut().faults.rules.push(rule(Method::Post));
}

/// The whole stack: Function, rate limits, a messaging configuration, a policy.
pub fn everything() -> String {
    let limits = limits::limited();
    let block = |text: &str| {
        text[text.find("  rate_limits:").expect("limits")..][..]
            .split("\n  code_length")
            .next()
            .map(str::to_owned)
    };
    function_manifest()
        .replace("  code_length: 6", &format!("{}\n  code_length: 6", block(&limits).expect("them")))
}

fn failed(bench: &mut Bench) -> String {
    match bench.ended(false) {
        Ended::Failed(text) => text,
        ended => panic!("{ended:?}"),
    }
}

/// Whether users meet any part of the stack.
fn exposed(bench: &Bench) -> bool {
    let mut world = bench.world();
    let tenant = world.tenant_mut(DOMAIN);
    let deployed = tenant.actions.iter().any(|action| action.deployment.is_some());
    deployed
        || tenant.factor_enabled("sms")
        || !tenant.policies.is_empty()
        || !tenant.phone_providers.is_empty()
}

#[test]
fn a_twilio_key_that_only_reads_is_enough_for_a_plan_and_stops_an_apply_at_its_lease() {
    for what in [What::Forbidden, What::Unauthorized] {
        let mut bench = Bench::new(options(), everything());
        refuse(&bench, &what, 1);
        bench.stack.purpose = Purpose::Show;
        let plan = bench.plan();
        let key = bench.stack.env[KEY].clone();
        let note = plan.findings.iter().find(|finding| finding.text.contains("a plan does not test whether"));
        let note = note.unwrap_or_else(|| panic!("{}", shown(&plan)));
        assert!(note.level == Level::Note && note.text.contains(&key), "{note:?}");
        assert!(plan.blockers().next().is_none() && !plan.is_empty(), "{}", shown(&plan));

        bench.stack.purpose = Purpose::Apply;
        let (mark, text) = (bench.stack.mark(), failed(&mut bench));
        assert!(text.contains(&format!("the key {key} (twilio.api_key)")), "{text}");
        assert!(
            text.contains("write access to Serverless") && text.contains("nothing was changed"),
            "{text}"
        );
        assert!(bench.writes_since(mark).is_empty(), "{:?}", bench.writes_since(mark));
        bench.calm();
        bench.converge("with a key that writes");
        refuse(&bench, &what, 1);
        bench.stack.purpose = Purpose::Show;
        assert!(
            bench.plan().findings.iter().all(|finding| !finding.text.contains("may write")),
            "nothing to write"
        );
    }
}

#[test]
fn a_refused_write_at_twilio_ends_the_run_before_anything_is_exposed() {
    let at_twilio = |entry: &&LogEntry| entry.host.ends_with("twilio.com") && entry.method == Method::Post;
    let length = {
        let mut bench = Bench::new(options(), everything());
        bench.stack.applied();
        bench.stack.log_since(0).iter().filter(at_twilio).count()
    };
    assert!(length > 12, "{length} writes at Twilio");
    all((1..=length).flat_map(|nth| [(nth, What::Forbidden), (nth, What::Unauthorized)]), |(nth, what)| {
        let story = format!("{what:?} from write {nth} of {length} on");
        let mut bench = Bench::new(options(), everything());
        refuse(&bench, &what, u32::try_from(nth).expect("few"));
        let ended = bench.ended(false);
        let refused: Vec<&'static str> = bench
            .stack
            .log_since(0)
            .iter()
            .filter(at_twilio)
            .filter(|entry| !entry.wrote)
            .map(|entry| entry.operation)
            .collect();
        let Ended::Failed(text) = ended else {
            // The lease lives on for a while without its beat.
            assert!(
                refused.iter().all(|operation| *operation == "update_serverless_service"),
                "{story}: {refused:?}"
            );
            return;
        };
        let key = format!("the key {} (twilio.api_key)", bench.stack.env[KEY]);
        assert!(text.contains(&key) && text.contains("needs "), "{story}: {text}");
        assert!(
            text.contains("Serverless")
                || text.contains("/twilio/verify/")
                || text.contains("a permission for"),
            "{story}: {text}"
        );
        assert!(!exposed(&bench), "{story}: {text}");
        bench.calm();
        bench.later();
        bench.converge(&story);
        assert!(exposed(&bench), "{story}");
    });
}

/// A key without any access to Serverless may still have access to Verify, so it works without a lease.
#[test]
fn a_key_without_any_serverless_still_applies() {
    let mut bench = Bench::new(Options { serverless_allowed: false, ..options() }, limits::limited());
    bench.converge("no Serverless at all");
    assert!(bench.world().account_mut(ACCOUNT).serverless_services.is_empty());
}

#[test]
fn a_token_with_fewer_scopes_than_it_told_is_refused_with_the_scope_named() {
    let mut bench = Bench::new(options(), limits::limited());
    bench.watch.borrow_mut().meddle = Some(Box::new(|twin, _, _| {
        for token in &mut twin.world.tenant_mut(DOMAIN).tokens {
            token.scopes.retain(|scope| scope != "update:guardian_factors");
        }
    }));
    let text = failed(&mut bench);
    assert!(text.contains("needs update:guardian_factors for it"), "{text}");
}
