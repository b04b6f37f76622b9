//! Tests of laws: no text makes the module panic, no drawing shows a secret, limits hold.

use proptest::prelude::*;

use super::*;
use crate::diag::errors;
use crate::model::field::form;

/// Parses, resolves and draws; returns everything that was drawn.
fn run(text: &str) -> String {
    match parse("m.yaml", text, &tables()) {
        Err(rejected) => rejected.render(false) + &rejected.render(true),
        Ok((parsed, warnings)) => {
            let mut out = render(&warnings, &parsed.source, false);
            references(&parsed);
            if let Err(rejected) = resolve(&parsed, &given_sources(), Missing::Error) {
                out += &rejected.render(false);
            }
            out
        }
    }
}

/// A path or a link may lead to somebody's file of secrets: messages about it contain none of its words.
#[test]
fn no_word_of_a_text_that_is_no_manifest_is_shown() {
    for text in [
        "API_TOKEN=hunter2-in-clear\n",
        "hunter2-in-clear: hunter2-in-clear\nstack: hunter2-in-clear\n",
        "- hunter2-in-clear\n",
        "stack: [hunter2-in-clear\n\thunter2-in-clear: \"\n",
        "HOME=/root\0API_TOKEN=hunter2-in-clear\0",
        "a: *hunter2-in-clear\n",
        "---\na: hunter2-in-clear\n---\nb: hunter2-in-clear\n",
    ] {
        let out = run(text);
        assert!(out.contains("not a manifest") && !out.contains("hunter2"), "{text:?}: {out}");
    }
}

/// Pieces of text that are difficult for a parser.
fn token() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "stack",
        "lockstep: v1",
        "auth0",
        "secrets",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "${",
        "${env.P}",
        "$${",
        "&x ",
        "*x",
        "!t ",
        "|",
        ">",
        "#",
        "---",
        "...",
        "<<: ",
        "? ",
        "\t",
        "\r\n",
        "ä",
        "\u{feff}",
        "\u{2028}",
        "%",
        "@",
        "\\",
        "\0",
        "6",
        "~",
        "on",
        "action:\n  code: ",
    ];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        any::<char>().prop_map(String::from)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(tokens in prop::collection::vec(token(), 0..60)) {
        run(&tokens.concat());
    }

    #[test]
    fn no_change_of_the_sample_panics(at in 0..SAMPLE.len(), cut in 0usize..30, tokens in prop::collection::vec(token(), 0..4)) {
        let end = (at + cut).min(SAMPLE.len());
        run(&format!("{}{}{}", &SAMPLE[..at], tokens.concat(), &SAMPLE[end..]));
    }

    #[test]
    fn no_reference_panics(text in "[$\\{}a-z.\u{e4} ]{0,30}") {
        if let Err(faults) = expr::parse(&text) {
            prop_assert!(faults.iter().all(|fault| text.get(fault.range.clone()).is_some()));
        }
    }

    /// A secret in clear is refused. Neither that secret nor a value from outside is ever drawn.
    #[test]
    fn no_drawing_shows_a_secret(line in 0usize..32, tokens in prop::collection::vec(token(), 0..3)) {
        let text: String = SAMPLE
            .replace("${env.AUTH0_CLIENT_SECRET}", "hunter2-in-clear")
            .replace("${env.TWILIO_SENDER_KEY}", "\"hunter2-in-clear\"")
            .split_inclusive('\n')
            .enumerate()
            .flat_map(|(at, text)| if at == line { vec![tokens.concat(), text.to_owned()] } else { vec![text.to_owned()] })
            .collect();
        let out = run(&text);
        prop_assert!(!out.contains("hunter2-in-clear"), "{}", out);
        prop_assert!(!out.contains("s3cr3t"), "{}", out);
    }
}

/// What stands on the line of a mistake may be in the wrong place or not decoded at all, and is hidden by its key.
#[test]
fn a_drawn_mistake_shows_no_secret_beside_it() {
    for line in [
        "--- client_secret: hunter2-in-clear",
        "---  { API_TOKEN: hunter2-in-clear }",
        "\tauth_token: hunter2-in-clear",
    ] {
        let out = run(&with(&format!("{line}\n")));
        assert!(out.contains("LS0101") && !out.contains("hunter2"), "{line:?}: {out}");
    }
}

#[test]
fn limits_hold() {
    let deep = format!("a: {}", "[".repeat(2000));
    let wide = format!("{{ lockstep: v1, {} }}", "zzz: 1, ".repeat(100_000));
    let many = "lockstep: v1\n".to_owned() + &(0..60_000).map(|at| format!("k{at}: 1\n")).collect::<String>();
    let circle: String = (0..200).map(|at| format!("    K{at}: ${{action.secrets.K{}}}\n", at + 1)).collect();
    let dash = format!("lockstep: v1\na:\n{}", "- ".repeat(400_000));
    let rows = [
        ("x".repeat(2_000_000), "the manifest is too long"),
        (deep, "the manifest is nested too deeply"),
        (wide, "more problems"),
        (many, "more problems"),
        (
            with(&format!(
                "action:\n  code: builtin:twilio-verify\n  secrets:\n{circle}    K200: ${{env.P}}\n"
            )),
            "chain of references is too long",
        ),
        (dash, "nested deeper than 64 levels"),
    ];
    for (text, expected) in rows {
        let out = run(&text);
        assert!(out.contains(expected), "{expected}: {}", &out[..out.len().min(2000)]);
    }
}

/// What is not listed is counted, and no number is made up.
#[test]
fn a_list_that_is_cut_says_what_is_left() {
    let lines = |line: fn(usize) -> String| (0..1500).map(line).collect::<String>();
    let unknown = with(&lines(|at| format!("k{at}: 1\n")));
    let tabs = with(&format!("action:\n{}", lines(|at| format!("\tk{at}: 1\n"))));
    let controls = with(&format!("# {}\n", "\u{1}".repeat(1500)));
    let unquoted = with(&format!("log_streams: {{ {} }}\n", lines(|at| format!("k{at}: ${{env.P}}, "))));
    let nowhere = with(&format!(
        "action:\n  code: builtin:twilio-verify\n  secrets:\n{}",
        lines(|at| format!("    K{at}: ${{nowhere.x}}\n"))
    ));
    for (text, left) in [
        (unknown, "500 more problems"),
        (tabs, "more problems"),
        (controls, "500 more problems"),
        (unquoted, "more problems"),
        (nowhere, "507 references were not looked at"),
    ] {
        let Err(rejected) = parse("m.yaml", &text, &tables()) else { panic!("refused: {left}") };
        let last = &rejected.diagnostics.last().expect("one").problem;
        assert!(last.is_rest && last.title.contains(left), "{left}: {last:?}");
        assert_eq!(rejected.diagnostics.len(), 1001, "{left}");
        assert_eq!(errors(&rejected.diagnostics).as_deref(), Some("more than 1000 errors"));
        assert_eq!(errors(&rejected.diagnostics[..3]).as_deref(), Some("3 errors"));
        assert_eq!(errors(&rejected.diagnostics[..1]).as_deref(), Some("1 error"));
        assert_eq!(errors(&[]), None);
    }
}

#[test]
fn a_check_that_repeats_its_value_gives_no_secret_away() {
    static LOUD: Section = Section {
        path: "loud",
        doc: "",
        required: false,
        fields: &[Field {
            key: "key",
            ty: Type::Text {
                min: 1,
                max: 99,
                check: form("", |text| Err((format!("`{text}` is bad"), format!("not {text}")))),
            },
            secret: true,
            ..FIELD
        }],
    };
    let mut tables = tables();
    tables.sections.push(&LOUD);
    for name in ["TWILIO_API_SECRET", "P"] {
        let text = with(&format!("loud:\n  key: ${{env.{name}}}\n"));
        let Ok((parsed, _)) = parse("m.yaml", &text, &tables) else { panic!("refused") };
        let Err(rejected) = resolve(&parsed, &given_sources(), Missing::Error) else { panic!("accepted") };
        let words = format!("{:?}", rejected.diagnostics);
        assert!(
            !words.contains("s3cr3t") && !words.contains("path`") && !words.contains("not path"),
            "{words}"
        );
    }
}
