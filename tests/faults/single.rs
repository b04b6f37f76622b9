//! Tests of every fault at every request, and of seeded pairs of faults.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::twin::What;
use lockstep::twin::faults::{Garble, Rule, When};

use super::bench::{Bench, Dice, all, nameless};
use super::kills::difference;
use super::{function, limits, post_login};

/// Everything that can go wrong with one request, by name.
pub fn faults() -> Vec<(&'static str, What)> {
    let mut list = vec![
        ("rate limited, with a hint", What::RateLimited { retry_after_s: Some(3) }),
        ("rate limited, without a hint", What::RateLimited { retry_after_s: None }),
        ("lost before it took effect", What::Lost { after_effect: false }),
        ("lost after it took effect", What::Lost { after_effect: true }),
        ("not sent", What::NotSent),
        ("malformed, no effect", What::Malformed { after_effect: false }),
        ("malformed, after it took effect", What::Malformed { after_effect: true }),
        ("401", What::Unauthorized),
        ("403", What::Forbidden),
        ("45 s late", What::Delay { ms: 45_000 }),
    ];
    for (name, after_effect, how) in [
        ("of another shape, no effect", false, Garble::Shape),
        ("of another shape, after it took effect", true, Garble::Shape),
        ("empty, no effect", false, Garble::Empty),
        ("empty, after it took effect", true, Garble::Empty),
    ] {
        list.push((name, What::Garbled { after_effect, how }));
    }
    for (name, status, after_effect) in [
        ("500 before", 500, false),
        ("500 after", 500, true),
        ("502 before", 502, false),
        ("502 after", 502, true),
        ("503 before", 503, false),
        ("503 after", 503, true),
    ] {
        list.push((name, What::ServerError { status, after_effect }));
    }
    list
}

fn length() -> usize {
    let mut bench = Bench::crowded();
    assert_eq!(bench.ended(false), Ended::Done);
    bench.requests(0)
}

/// Runs a disturbed apply, then a calm one.
pub fn survives(fresh: &Bench, story: &str, planted: &[(usize, What)]) {
    let mut bench = fresh.fork();
    for (k, what) in planted {
        bench.fault(*k, what.clone());
    }
    let disturbed = bench.ended(false);
    bench.calm();
    bench.later();
    let story = format!("{story} ({disturbed:?})");
    match &disturbed {
        Ended::Done => bench.at_rest(&format!("{story}: it was done, they said")),
        Ended::Failed(text) => {
            assert!(text.len() > 20, "{story}: no clear text");
            let hidden = ["Auth0-Client-Secret", "Twilio-Api-Secret", "Twilio-Sender", "Feedback-Secret"];
            assert!(hidden.iter().all(|secret| !text.contains(secret)), "{story}: a secret in the text");
        }
        other => panic!("{story}: ended as {other:?}"),
    }
    bench.converge(&story);
    // If a run could not record which secrets it sent, they may be sent once more.
    let most = 1 + usize::from(story.contains("ledger could not be written"));
    assert!(bench.versions() <= most, "{story}: {} versions deployed", bench.versions());
    let losses = bench.losses();
    assert!(losses.is_empty(), "{story}: {losses:?}");
}

#[test]
fn every_fault_at_every_request_of_a_first_apply() {
    let length = length();
    let fresh = Bench::crowded();
    let cases = faults().into_iter().flat_map(|(name, what)| {
        (1..=length).map(move |k| (format!("{name} at {k} of {length}"), k, what.clone()))
    });
    all(cases, |(story, k, what)| survives(&fresh, &story, &[(k, what)]));
}

/// A gateway that answers a deletion in the server's place has deleted nothing.
#[test]
fn a_destroy_goes_by_what_is_gone_and_not_by_a_friendly_reply() {
    type Fresh = fn() -> Bench;
    let stacks: [(&str, Fresh); 4] = [
        ("core", Bench::crowded),
        ("rules", post_login::bench),
        ("limits", limits::fresh),
        ("function", function::fresh),
    ];
    let left = |bench: &Bench| {
        let mut world = bench.snapshot();
        let bindings = world.tenants.values_mut().flat_map(|tenant| tenant.bindings.values_mut());
        bindings.for_each(|list| nameless(list));
        world
    };
    for (name, fresh) in stacks {
        let mut ready = fresh();
        ready.stack.applied();
        let (length, former) = {
            let mut bench = ready.fork();
            let mark = bench.stack.mark();
            assert_eq!(bench.ended(true), Ended::Done);
            (bench.requests(mark), left(&bench))
        };
        all(1..=length, |k| {
            let story = format!("{name}: empty at {k} of {length}");
            let mut bench = ready.fork();
            bench.fault(k, What::Garbled { after_effect: false, how: Garble::Empty });
            let ended = bench.ended(true);
            bench.calm();
            bench.later();
            assert_eq!(bench.ended(true), Ended::Done, "{story} ({ended:?})");
            let now = left(&bench);
            assert!(now == former, "{story} ({ended:?}): {}", difference(&former, &now));
        });
    }
}

/// The refusal answers the repeat. The first request may have taken effect.
#[test]
fn a_refusal_after_a_lost_reply_is_looked_into() {
    for after_effect in [true, false] {
        let mut bench = Bench::core();
        let rule = |what| {
            let (host, path) = (Some("auth0".to_owned()), Some("/api/v2/guardian/factors/sms$".to_owned()));
            Rule {
                when: When::Matching { method: Some(Method::Put), host, path, nth: 1 },
                what,
                times: 1,
                matched: 0,
            }
        };
        let rules = [rule(What::ServerError { status: 504, after_effect }), rule(What::Forbidden)];
        bench.stack.twin.borrow_mut().faults.rules.extend(rules);
        match bench.ended(false) {
            Ended::Done => assert!(after_effect, "the factor was switched on by the first request"),
            Ended::Failed(text) => {
                assert!(!after_effect && text.contains("an earlier attempt may have taken effect"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        let seen: Vec<u32> = bench.stack.twin.borrow().faults.rules.iter().map(|rule| rule.matched).collect();
        assert!(seen.iter().all(|count| *count > 0), "both were met: {seen:?}");
        bench.calm();
        bench.later();
        bench.converge("a refusal after a lost reply");
    }
}

#[test]
fn pairs_of_faults_at_random_requests() {
    let length = length();
    let fresh = Bench::crowded();
    let list = faults();
    all(1..=250_u64, |seed| {
        let mut dice = Dice(seed);
        let mut pick = || {
            let (name, what) = &list[dice.below(list.len())];
            (1 + dice.below(length), *name, what.clone())
        };
        let (first, second) = (pick(), pick());
        let story = format!("seed {seed}: {} at {}, {} at {}", first.1, first.0, second.1, second.0);
        survives(&fresh, &story, &[(first.0, first.2), (second.0, second.2)]);
    });
}

/// The read that looks for the record after the lost reply may show the state before the create.
#[test]
fn a_record_whose_creation_was_not_answered_is_not_made_twice() {
    let mut bench = Bench::core();
    let mut rules = Vec::new();
    for (method, nth, what) in [
        (Method::Post, 1, What::Garbled { after_effect: true, how: Garble::Empty }),
        // Reads of the list: by the plan, under the lease, and then the look for the record.
        (Method::Get, 3, What::Stale),
    ] {
        let (host, path) = (Some("auth0".to_owned()), Some("/api/v2/actions/actions".to_owned()));
        let when = When::Matching { method: Some(method), host, path, nth };
        rules.push(Rule { when, what, times: 1, matched: 0 });
    }
    bench.stack.twin.borrow_mut().faults.rules.extend(rules);
    bench.converge("not answered, and read a moment too late");
    let matched: Vec<u32> = bench.stack.twin.borrow().faults.rules.iter().map(|rule| rule.matched).collect();
    assert_eq!(matched.first(), Some(&1), "{matched:?}");
    bench.once("not answered, and read a moment too late");
}
