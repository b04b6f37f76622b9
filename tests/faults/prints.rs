//! Tests of the fingerprints of secrets in the record: what they cost a run, and what becomes of those that another
//! build wrote.

use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep::engine::observe::{Observation, Session, observe};
use lockstep::model::ledger::{Last, Ledger};
use lockstep::model::plan::{Level, Purpose};
use lockstep::shell::in_process::Stop;

use super::bench::{Bench, shown};
use super::ledgers::{rewrite, says};
use crate::support::{core_manifest, manifest_of};

const DRAWN: &str = "b81e66TwilioSenderSecret0123456z";
const DRAWN_ANEW: &str = "c92f77TwilioSenderSecret6543210y";

/// A live stack whose Action has an API secret in Twilio's form, and two secrets that people chose.
fn live() -> Bench {
    let mut bench = Bench::crowded();
    let own = "    HOOK_PASSWORD: ${env.HOOK_PASSWORD}\n    HOOK_USER: ${env.HOOK_USER}\n";
    let line = "    TWILIO_VERIFY_SID: ${verify_service.sid}\n";
    bench.stack.text = core_manifest().replace(line, &format!("{line}{own}"));
    set(&mut bench, "TWILIO_SENDER_SECRET", DRAWN);
    set(&mut bench, "HOOK_PASSWORD", "correct-horse-battery");
    set(&mut bench, "HOOK_USER", "someone-at-acme");
    bench.stack.applied();
    bench
}

fn set(bench: &mut Bench, name: &str, value: &str) {
    bench.stack.env.insert(name.into(), value.into());
}

/// The fields that differ in the plan, and the number of slow digests that the plan computed.
fn plan(bench: &mut Bench) -> (Vec<String>, usize) {
    let Observation { plan, prints, .. } = bench.stack.observe();
    let changes = plan.resources.iter().flat_map(|resource| &resource.changes);
    (changes.map(|change| change.field.clone()).collect(), prints.slow_digests())
}

fn record(bench: &mut Bench) -> Ledger {
    bench.stack.observe().found.ledger.expect("a record")
}

/// For each secret of the Action: whether its fingerprint is slow, and whether it has a keyed one.
fn kinds(record: &Ledger) -> BTreeMap<String, (bool, bool)> {
    let fields = record.resources["action"].fields.iter();
    let print = |(field, last): (&String, &Last)| match last {
        Last::Print { print, keyed, .. } => {
            let name = field.strip_prefix("secrets.").expect("a secret");
            Some((name.to_owned(), (print.starts_with("slow:"), keyed.is_some())))
        }
        Last::Plain(_) => None,
    };
    fields.filter_map(print).collect()
}

/// Makes the record look as the build before wrote it: a secret from a variable has a slow fingerprint, and no secret
/// has a keyed one.
fn of_the_build_before(bench: &mut Bench) {
    let before = lockstep::ledger::prints::Prints::new(&record(bench).salt, 2);
    let drawn = lockstep::model::secret::Secret::new(DRAWN, lockstep::model::secret::Origin::Person);
    rewrite(bench, |held| {
        held.schema = 2;
        let entries = held.resources.values_mut().flat_map(|entry| &mut entry.fields);
        for (field, last) in entries {
            let Last::Print { stamp, keyed, .. } = last else { continue };
            *keyed = None;
            if field == "secrets.TWILIO_API_SECRET" {
                *last = before.print(&drawn, stamp.clone());
            }
        }
    });
}

#[test]
fn a_plan_without_changes_takes_no_slow_digest_whoever_makes_it() {
    let mut bench = live();
    assert_eq!(plan(&mut bench), (vec![], 0));
    let others = [
        ("AUTH0_CLIENT_ID", "client-that-reads"),
        ("AUTH0_CLIENT_SECRET", "Another-Client-Secret-12ab"),
        ("TWILIO_API_KEY", "SK00000000000000000000000000000099"),
        ("TWILIO_API_SECRET", "Another-Key-98cd"),
    ];
    let mut env = bench.stack.env.clone();
    env.extend(others.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let session = Session {
        manifest: Rc::new(manifest_of(&bench.stack.text, &env)),
        purpose: Purpose::Show,
        ..bench.stack.session(false)
    };
    let observed = bench.stack.process(Stop::default(), |port| async move {
        observe(&session, &port.reader()).await.expect("read")
    });
    let observed = observed.expect("not killed");
    assert!(says(&observed.plan, Level::Note, "cannot be checked with these credentials"));
    assert!(observed.plan.is_empty(), "{}", shown(&observed.plan));
    assert_eq!(observed.prints.slow_digests(), 0);
}

#[test]
fn a_changed_secret_takes_one_slow_digest_and_a_changed_key_one_for_each() {
    let mut bench = live();
    let mut one = bench.fork();
    set(&mut one, "HOOK_USER", "someone-else");
    assert_eq!(plan(&mut one), (vec!["secrets.HOOK_USER".into()], 1));
    one.stack.applied();
    assert_eq!(plan(&mut one), (vec![], 0));

    set(&mut bench, "TWILIO_SENDER_SECRET", DRAWN_ANEW);
    assert_eq!(plan(&mut bench), (vec!["secrets.TWILIO_API_SECRET".into()], 2));
    bench.stack.applied();
    assert_eq!(plan(&mut bench), (vec![], 0), "the apply wrote the record anyway");
}

#[test]
fn a_record_of_the_build_before_is_compared_and_renewed_when_it_is_written_anyway() {
    let mut bench = live();
    of_the_build_before(&mut bench);
    let before = record(&mut bench);
    assert_eq!(before.schema, 2);
    assert_eq!(kinds(&before)["TWILIO_API_SECRET"], (true, false));
    assert_eq!(plan(&mut bench), (vec![], 3));

    let mark = bench.stack.mark();
    bench.stack.applied();
    assert_eq!(bench.writes_since(mark), Vec::<String>::new(), "nothing is written for a quicker record");
    assert_eq!(record(&mut bench), before);

    bench.stack.text = bench.stack.text.replace("code_length: 6", "code_length: 7");
    bench.stack.applied();
    let after = record(&mut bench);
    assert_eq!(after.schema, 4, "an older build leaves it alone");
    let kinds = kinds(&after);
    assert_eq!(kinds["TWILIO_API_SECRET"], (false, false));
    assert_eq!([kinds["HOOK_PASSWORD"], kinds["HOOK_USER"]], [(true, true); 2]);
    assert_eq!(plan(&mut bench), (vec![], 0));
}

/// Without a secret that a person chose, and without what a last run replaced, an older build can still read the record.
#[test]
fn a_record_without_keyed_fingerprints_has_the_schema_before() {
    let settled = |record: &Ledger| Ledger { last_run: None, ..record.clone() }.schema_needed();
    let mut bench = live();
    assert_eq!(settled(&record(&mut bench)), 3);
    bench.stack.text = core_manifest();
    bench.stack.text =
        bench.stack.text.replace("runtime: node22", "runtime: node22\n  unmanaged_secrets: remove");
    bench.stack.applied();
    let record = record(&mut bench);
    assert_eq!((record.schema, settled(&record)), (4, 2));
    assert!(kinds(&record).values().all(|kind| *kind == (false, false)), "{record:?}");
}

/// Whoever edits Actions may write any fingerprint. A fingerprint that is not made with the key hides no change.
#[test]
fn a_forged_keyed_fingerprint_hides_no_changed_secret() {
    let mut bench = live();
    rewrite(&bench, |held| {
        let fields = &mut held.resources.get_mut("action").expect("ours").fields;
        let of_user = match &fields["secrets.HOOK_USER"] {
            Last::Print { keyed, .. } => keyed.clone(),
            Last::Plain(_) => None,
        };
        let Some(Last::Print { keyed, .. }) = fields.get_mut("secrets.HOOK_PASSWORD") else {
            panic!("a print")
        };
        *keyed = of_user;
    });
    assert_eq!(plan(&mut bench), (vec![], 1), "the slow one says that it is the same");
    set(&mut bench, "HOOK_PASSWORD", "tr0ub4dor-and-3");
    let observed = bench.stack.observe();
    assert!(shown(&observed.plan).contains("secrets.HOOK_PASSWORD"), "{}", shown(&observed.plan));
}
