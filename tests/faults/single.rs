//! Every fault at every request, and seeded pairs of them.

use lockstep::engine::apply::Ended;
use lockstep::twin::What;

use super::bench::{Bench, Dice, all};

/// What can go wrong with one request, and whether its outcome is then really unknown.
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

/// The disturbed apply, then a calm one.
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
    // Which secrets a run sent that could not record them is not known, so they may be sent once more.
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
