//! Tests of short texts with a grammar: faults of the twin, and gateways.

use lockstep::shell::via::Via;
use lockstep::twin::fault_grammar;
use proptest::prelude::*;

fn soup(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => prop::sample::select(words).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(word, 0..16).prop_map(|words| words.concat())
}

const FAULT_WORDS: &[&str] = &[
    "GET",
    "POST",
    "*",
    " ",
    ": ",
    ":",
    ", ",
    "/api/v2/actions",
    "/v2/Services$",
    "acme.eu.auth0.com",
    "#7",
    "#",
    "429",
    "429-in-3s",
    "503-after",
    "lost",
    "timeout-after-of-5m",
    "timeout-of-99999999999999999999s",
    "html",
    "cut",
    "shape",
    "huge",
    "refused",
    "delay-50ms",
    "stale",
    "build-takes-2m",
    "build-fails",
    "do ",
    "{\"a\": 1}",
    "{",
    "2x",
    "99999999999999999999x",
    "always",
    "from 2",
    "from ",
    "-",
    "401",
    "600",
    "\n",
];

const URL_WORDS: &[&str] = &[
    "http",
    "https",
    "ftp",
    "://",
    ":",
    "/",
    "//",
    "@",
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "0.0.0.0",
    "evil.example",
    "127.0.0.1.evil.example",
    ":80",
    ":99999",
    "?x",
    "#x",
    "\\",
    "%2e",
    "%00",
    "\t",
    " ",
    ".",
    "\u{3002}",
    "\u{2025}",
    "user:secret@",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No rule panics, the place of a mistake is inside the text, and a parsed rule prints as a rule with the same
    /// meaning.
    #[test]
    fn fault_rules_are_understood_or_refused(text in soup(FAULT_WORDS)) {
        match fault_grammar::parse(&text) {
            Ok(rule) => {
                let written = fault_grammar::written(&rule);
                let again = fault_grammar::parse(&written);
                prop_assert_eq!(again.as_ref(), Ok(&rule), "{} is written {}", text, written);
            }
            Err(error) => {
                prop_assert!(text.get(error.at..).is_some(), "{:?} at {}", text, error.at);
                prop_assert!(!error.drawn(&text).is_empty());
            }
        }
    }

    #[test]
    fn any_text_is_no_panic(text in any::<String>()) {
        if let Err(error) = fault_grammar::parse(&text) {
            let _ = error.drawn(&text);
        }
        let _ = Via::parse(&text, false);
        let _ = Via::parse(&text, true);
    }

    /// Without force only this machine is accepted as a gateway, however its name is written. With force, another
    /// machine needs TLS.
    #[test]
    fn a_gateway_is_this_machine(text in soup(URL_WORDS)) {
        let here = |via: &Via| {
            let shown = via.to_string();
            let host = shown.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
            let host = if host.starts_with('[') {
                host.split_inclusive(']').next().unwrap_or_default()
            } else {
                host.split(':').next().unwrap_or_default()
            };
            host.starts_with("127.") && host.parse::<std::net::Ipv4Addr>().is_ok() || host == "localhost" || host == "[::1]"
        };
        if let Ok(via) = Via::parse(&text, false) {
            prop_assert!(here(&via), "{:?} is {}", text, via);
            let shown = via.to_string();
            let authority = shown.split("//").nth(1).unwrap_or_default().split('/').next();
            prop_assert!(authority.is_some_and(|authority| !authority.contains('@')), "{:?}", text);
        }
        if let Ok(via) = Via::parse(&text, true) {
            prop_assert!(here(&via) || via.is_https(), "{:?} is {}", text, via);
        }
    }
}
