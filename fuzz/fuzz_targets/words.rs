//! Fault rules and gateways.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep::shell::via::Via;
use lockstep::twin::fault_grammar;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match fault_grammar::parse(&text) {
        Ok(rule) => assert_eq!(fault_grammar::parse(&fault_grammar::written(&rule)).as_ref(), Ok(&rule)),
        Err(error) => drop(error.drawn(&text)),
    }
    if let Ok(via) = Via::parse(&text, true) {
        let shown = via.to_string();
        assert!(!shown.split('/').nth(2).unwrap_or_default().contains('@'), "{shown}");
    }
});
