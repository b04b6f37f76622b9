//! A ledger, as the source of an Action and as a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep::ledger;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let read = ledger::read(&text, "acme", "acme.example", "AC00000000000000000000000000000001");
    let parsed = ledger::parse(data, "acme", "acme.example", "AC00000000000000000000000000000001");
    for ledger in read.into_iter().chain(parsed) {
        // What was read can be written, and is read again as it was.
        if let Ok(source) = ledger::write(&ledger) {
            let again = ledger::read(&source, "acme", "acme.example", "AC00000000000000000000000000000001");
            assert_eq!(again.as_ref(), Ok(&ledger));
        }
    }
});
