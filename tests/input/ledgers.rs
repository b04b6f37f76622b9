//! Tests of ledgers that somebody else wrote: the checksum is right and the content is damaged. Plan, apply and destroy
//! do no harm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep::ledger;
use lockstep::shell::in_process::Stop;
use proptest::prelude::*;
use ring::digest;
use serde_json::Value as Json;

use super::damage::{some_of, wounded, wounds};
use crate::faults::bench::{Bench, LEDGER, all};
use crate::support::{ACCOUNT, DOMAIN, core_manifest};

fn live() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.losses();
    bench
}

fn code(bench: &Bench) -> String {
    let mut world = bench.world();
    let actions = &world.tenant_mut(DOMAIN).actions;
    actions.iter().find(|action| action.name == LEDGER).expect("there").code.clone()
}

fn put(bench: &Bench, code: String) {
    let mut world = bench.world();
    let actions = &mut world.tenant_mut(DOMAIN).actions;
    actions.iter_mut().find(|action| action.name == LEDGER).expect("there").code = code;
}

fn payload(code: &str) -> Json {
    let part = code.split('\'').find_map(|part| part.strip_prefix("v1.")).expect("a payload");
    let (_, encoded) = part.split_once('.').expect("a checksum before it");
    serde_json::from_slice(&STANDARD.decode(encoded).expect("base64")).expect("JSON")
}

/// A source with the right checksum for that payload; anybody can compute one.
fn source(payload: &[u8]) -> String {
    let sum: String =
        digest::digest(&digest::SHA256, payload).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "exports.onExecutePostChangePassword = async () => {{}};\nexports.ledger = 'v1.{sum}.{}';\n",
        STANDARD.encode(payload)
    )
}

#[test]
fn a_forged_ledger_harms_nobody() {
    let prepared = live();
    let json = payload(&code(&prepared));
    let picked = some_of(wounds(&json), 9);
    println!("{} forged ledgers", picked.len());
    let cases = picked.into_iter().flat_map(|wound| [(wound.clone(), false), (wound, true)]);
    all(cases, |(wound, destroy)| {
        let story = format!("{wound}, destroy: {destroy}");
        let mut bench = prepared.fork();
        put(&bench, source(wounded(&json, &wound).to_string().as_bytes()));
        bench.stack.text = core_manifest().replace("code_length: 6", "code_length: 7");
        bench.stack.allow_delete = true;
        let stop = Stop { requests_max: 5_000, ..Stop::default() };
        let _ = bench.run(stop, destroy).expect("not killed");
        let losses = bench.losses();
        assert!(
            !losses.iter().any(|loss| loss.contains("foreign") || loss.contains("locked")),
            "{story}: {losses:?}"
        );
        bench.once_at_most(&story);
    });
}

fn read(source: &str) -> Result<lockstep::model::ledger::Ledger, ledger::Fault> {
    ledger::read(source, "acme-login", DOMAIN, ACCOUNT)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// One byte of a source that we wrote is changed. The source then reads the same, or not at all.
    #[test]
    fn a_changed_byte_is_noticed(at in 0usize..100_000, byte in any::<u8>()) {
        let whole = ledger::write(&sample()).expect("small");
        let mut bytes = whole.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match read(&text) {
            Ok(ledger) => prop_assert_eq!(ledger, sample()),
            Err(fault) => prop_assert_eq!(fault, ledger::Fault::Damaged),
        }
    }

    #[test]
    fn no_text_is_a_panic(text in any::<String>(), cut in 0usize..2_000) {
        let whole = ledger::write(&sample()).expect("small");
        let _ = read(&text);
        let _ = read(&format!("'v1.{text}'"));
        let _ = read(&format!("'v1.{text}.{text}'"));
        let _ = read(&whole[..cut.min(whole.len())]);
        let _ = read(&source(text.as_bytes()));
        let _ = ledger::parse(text.as_bytes(), "acme-login", DOMAIN, ACCOUNT);
    }

    /// A ledger with another tenant, account or stack is foreign, whatever the difference is.
    #[test]
    fn another_header_is_foreign(which in 0usize..3, name in "[a-zA-Z0-9.-]{0,40}") {
        let mut held = sample();
        let field = [&mut held.tenant, &mut held.account, &mut held.stack].into_iter().nth(which).expect("three");
        prop_assume!(*field != name);
        *field = name;
        let read = read(&ledger::write(&held).expect("small"));
        let is_foreign = matches!(read, Err(ledger::Fault::Foreign(..)));
        prop_assert!(is_foreign, "{:?}", read);
    }
}

fn sample() -> lockstep::model::ledger::Ledger {
    lockstep::model::ledger::Ledger {
        schema: lockstep::model::ledger::LEDGER_SCHEMA,
        tenant: DOMAIN.into(),
        account: ACCOUNT.into(),
        stack: "acme-login".into(),
        serial: 3,
        salt: "00112233445566778899aabbccddeeff".into(),
        resources: Default::default(),
        intent: None,
        history: Vec::new(),
        watch: None,
        last_run: None,
        seals: Default::default(),
    }
}
