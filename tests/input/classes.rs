//! Tests that each class of mistakes is reported at its own line and column, with its cause and the next move, and that
//! one run reports all of them.
//!
//! In the texts, `⟦name⟧` marks the place of the mistake of that name; it is taken out before the text is read.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::process::lab::{Folder, lockstep};

/// Name of the class, its code, and words of the title, the reason or the help.
type Class = (&'static str, &'static str, &'static str);

/// One manifest with every class of mistakes that leaves it readable.
const MANIFEST: &str = include_str!("classes.yaml");

const CLASSES: &[Class] = &[
    ("name of a stack", "LS0107", "must be lower-case letters"),
    ("scheme before a host", "LS0107", "must be a host name without a scheme"),
    ("secret in clear", "LS0204", "use ${env.CLIENT_SECRET}"),
    ("unknown key", "LS0102", "the keys here are domain, client_id"),
    ("SID of another form", "LS0107", "must be AC and 32 hexadecimal digits"),
    ("blank in a reference", "LS0201", "write it without blanks"),
    ("text that is too long", "LS0104", "has 37 characters, must have 1 to 30"),
    ("number out of its range", "LS0104", "must be 4 to 10"),
    ("key written twice", "LS0108", "first written on line 14"),
    ("no truth value", "LS0103", "this is neither on nor off"),
    ("key without a value", "LS0103", "a key without a value means nothing"),
    ("number for a truth value", "LS0103", "this is a number, but true or false is needed"),
    ("phone number without quotes", "LS0103", "put it in quotes: \"+15005550006\""),
    ("list for a mapping", "LS0103", "this is a list, but a mapping is needed"),
    ("nothing that limits", "LS0302", "a rate limit without buckets"),
    ("interval", "LS0107", "write 60s, 10m, 1h or 1d"),
    ("line break in a name", "LS0107", "has a line break in it"),
    ("misspelled word", "LS0105", "did you mean legacy?"),
    ("text for a list", "LS0103", "write channels: [sms]"),
    ("merge key", "LS0102", "merge keys are not read"),
    ("code without a line for the limits", "LS0302", "no line for the rate limits"),
    ("word that is not known yet", "LS0105", "did you mean node22?"),
    ("decimal number for a text", "LS0103", "put it in quotes: \"6.2\""),
    ("power of ten for a text", "LS0103", "put it in quotes: \"1e3\""),
    ("hexadecimal number for a text", "LS0103", "put it in quotes: \"0x10\""),
    ("date for a version", "LS0303", "write an exact version"),
    ("leading zero for a version", "LS0303", "\"012\" can change"),
    ("number for a key", "LS0103", "put the key in quotes"),
    ("version that moves", "LS0303", "\"latest\" can change between two builds"),
    ("misspelled reference", "LS0201", "did you mean ${verify_service.sid}?"),
    ("name of no variable", "LS0201", "not a name of an environment variable"),
    ("file name for its content", "LS0204", "write ${file.key.pem}"),
    ("reference that is not closed", "LS0201", "the reference has no closing }"),
    ("circle of references", "LS0201", "references lead in a circle"),
    ("text around a generated secret", "LS0201", "a generated secret has to stand alone"),
    ("path out of the folder", "LS0201", "the path leads out of the manifest's folder"),
    ("entry of a list twice", "LS0105", "other is in the list already"),
    ("masked phone number", "LS0302", "the receiver could not tell Verify"),
    ("stream without the events", "LS0302", "a prioritized stream does not carry"),
    ("missing key", "LS0106", "endpoint is required here"),
    ("key of the API", "LS0102", "did you mean phone?"),
    ("word of the API", "LS0105", "did you mean always?"),
    ("rule for everybody", "LS0302", "the rule fits every login"),
    ("level without protection", "LS0302", "Fraud Guard does not protect"),
    ("date of another form", "LS0107", "write it as 2026-11-20"),
    ("text for a mapping", "LS0103", "this is text, but a mapping is needed"),
    ("key in the wrong place", "LS0102", "code_length belongs below verify_service:"),
];

const HEAD: &str = "lockstep: v1\nstack: acme\nauth0: { domain: acme-dev.eu.auth0.com, client_id: x, client_secret: \"${env.S}\" }\ntwilio: { account_sid: AC00000000000000000000000000000001, auth_token: \"${env.T}\" }\n";

/// Mistakes of the text itself, each in a file that begins with [`HEAD`]. The others in the same file show that reading
/// went on behind it.
const TEXTS: &[(&str, &[Class])] = &[
    (
        "verify_service: { friendly_name: ⟦one⟧${env.P}, ⟦unknown⟧colour: red, tts_name: \"${env.P}\" }\nphone:\n  channels: [ ⟦two⟧${env.C}, ⟦fax⟧fax ] # ${env.COMMENT}\n",
        &[
            ("one", "LS0101", "write \"${env.P}\""),
            ("unknown", "LS0102", "colour"),
            ("two", "LS0101", "write \"${env.C}\""),
            ("fax", "LS0105", "must be sms or voice"),
        ],
    ),
    (
        "mfa: {\n  factors: { phone: on,\n    otp: ⟦one⟧${var.otp} },\n  policy: ⟦word⟧alwys }\n",
        &[("one", "LS0101", "write \"${var.otp}\""), ("word", "LS0105", "did you mean always?")],
    ),
    (
        "mfa:\n⟦one⟧\tfactors:\n⟦two⟧\t\tphone: ⟦value⟧perhaps\n# \tno\n",
        &[
            ("one", "LS0101", "indent with spaces"),
            ("two", "LS0101", "indent with spaces"),
            ("value", "LS0103", "neither on nor off"),
        ],
    ),
    (
        "verify_service:\n  friendly_name: Acme\n⟦tab⟧\tcode_length: 60\n",
        &[("tab", "LS0101", "indent with spaces")],
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  code_length: ⟦range⟧60\n⟦second⟧---\nlockstep: v1\n",
        &[("range", "LS0104", "must be 4 to 10"), ("second", "LS0101", "a second document starts here")],
    ),
    ("verify_service: ⟦quote⟧\"Acme\n", &[("quote", "LS0101", "close it with \"")]),
    ("phone: ⟦bracket⟧[ sms\nmfa:\n", &[("bracket", "LS0101", "this [ is not closed")]),
    ("phone: ⟦tag⟧!secret x\n", &[("tag", "LS0101", "begins with ! in quotes")]),
    ("phone: ⟦alias⟧*nothing\n", &[("alias", "LS0101", "leads nowhere")]),
    ("phone: ⟦start⟧a\n", &[("start", "LS0103", "a mapping is needed")]),
    ("phone: ⟦at⟧@sms\n", &[("at", "LS0101", "a value cannot begin with @")]),
    ("phone: a⟦colon⟧: b\n", &[("colon", "LS0101", "second `: `")]),
    (" ⟦indent⟧phone: a\n", &[("indent", "LS0101", "in a column in which no line above it begins")]),
    ("stack2: a\n  ⟦deeper⟧phone: a\n", &[("deeper", "LS0101", "indented deeper than line 5")]),
    ("⟦none⟧phone a\nmfa: {}\n", &[("none", "LS0101", "write a colon and a blank")]),
    ("phone:\n  ⟦key⟧[a]: b\n", &[("key", "LS0101", "a list or mapping cannot be a key")]),
    ("⟦key⟧{ a: b }: c\n", &[("key", "LS0101", "a list or mapping cannot be a key")]),
    (
        "mfa: { factors: { otp: on } }\n⟦directive⟧%YAML 1.1\n",
        &[("directive", "LS0101", "a line that begins with % is a directive")],
    ),
    ("phone: a⟦bell⟧\u{7}\nmfa: ⟦nul⟧\0\n", &[("bell", "LS0101", "U+0007"), ("nul", "LS0101", "U+0000")]),
    // YAML 1.1 took these for truth values and for numbers, and so do people.
    (
        "mfa: { factors: { phone: off, otp: ⟦y⟧y, email: \"yes\", duo: No }, policy: ⟦on⟧on }\nphone: { channels: [⟦list⟧on] }\n",
        &[
            ("y", "LS0103", "neither on nor off"),
            ("on", "LS0105", "must be always, adaptive or never"),
            ("list", "LS0105", "must be sms or voice"),
        ],
    ),
    (
        "verify_service: { friendly_name: ⟦hex⟧0x10, tts_name: 1_000, code_length: ⟦zero⟧010, lookup_enabled: ⟦date⟧2026-11-20 }\n",
        &[
            ("hex", "LS0103", "put it in quotes: \"0x10\""),
            ("zero", "LS0103", "write 10"),
            ("date", "LS0103", "neither on nor off"),
        ],
    ),
    // What an alias brings has the place of the alias.
    (
        "verify_service: &v { friendly_name: Acme, code_length: ⟦first⟧60 }\nphone: ⟦phone⟧⟦again⟧*v\nmfa:\n  ⟦merge⟧<<: *v\n",
        &[
            ("first", "LS0104", "must be 4 to 10"),
            ("phone", "LS0102", "unknown key friendly_name"),
            ("again", "LS0102", "unknown key code_length"),
            ("merge", "LS0102", "merge keys are not read"),
        ],
    ),
];

/// The text without its marks, and the line and column of each, both from 1.
fn marked(text: &str) -> (String, BTreeMap<String, (u64, u64)>) {
    let (mut out, mut places, mut rest) = (String::new(), BTreeMap::new(), text);
    while let Some((before, after)) = rest.split_once('⟦') {
        let (name, after) = after.split_once('⟧').expect("a closed mark");
        out += before;
        let line = out.matches('\n').count() + 1;
        let column = out.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        places.insert(name.to_owned(), (line as u64, column as u64));
        rest = after;
    }
    (out + rest, places)
}

/// The diagnostics of a manifest and of the files that it names: line, column, code, and all their words.
fn told(folder: &Folder, name: &str) -> Vec<(u64, u64, String, String)> {
    let run = lockstep(&["validate", name, "--output", "json"]).folder(folder).run();
    let one = |one: &Json| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("title").is_empty() && !text("help").is_empty(), "{one}");
        let place = |key: &str| one[key].as_u64().unwrap_or_default();
        (
            place("line"),
            place("column"),
            text("code"),
            format!("{}: {}: {} ({})", text("file"), text("title"), text("reason"), text("help")),
        )
    };
    run.json()["diagnostics"].as_array().expect("a list").iter().map(one).collect()
}

/// Asserts that a file has these mistakes at the marked places, and no others, in the order of the text.
fn assert_told(folder: &Folder, name: &str, places: &BTreeMap<String, (u64, u64)>, classes: &[Class]) {
    let mut told = told(folder, name);
    told.retain(|(.., text)| text.starts_with(name));
    let mut left: Vec<_> = told.iter().collect();
    for (class, code, words) in classes {
        let (line, column) = places[*class];
        let at = left
            .iter()
            .position(|(l, c, own, text)| (*l, *c) == (line, column) && own == code && text.contains(words));
        let at = at.unwrap_or_else(|| {
            panic!("{name}: {class}: {code} {words:?} is not at {line}:{column}:\n{told:#?}")
        });
        left.remove(at);
    }
    assert!(left.is_empty(), "{name}: nobody expected {left:#?}");
    assert!(told.windows(2).all(|pair| (pair[0].0, pair[0].1) <= (pair[1].0, pair[1].1)), "{told:#?}");
}

#[test]
fn every_class_of_mistakes_is_told_at_its_place_in_one_run() {
    assert!(CLASSES.len() >= 30, "{}", CLASSES.len());
    let folder = Folder::new();
    let (text, places) = marked(MANIFEST);
    folder.write("m.yaml", &text);
    folder.write(
        "actions.js",
        "exports.onExecuteCustomPhoneProvider = async (event, api) => {\n  const a = ;\n};\n",
    );
    assert_told(&folder, "m.yaml", &places, CLASSES);
    // Code has its mistakes in its own file, behind those of the manifest.
    let told = told(&folder, "m.yaml");
    let (line, column, code, words) = &told[CLASSES.len()];
    assert_eq!((*line, *column, code.as_str()), (2, 13, "LS0302"), "{told:#?}");
    assert!(words.starts_with("actions.js: the code does not parse"), "{words}");
    assert_eq!(told.len(), CLASSES.len() + 1);
}

#[test]
fn reading_goes_on_behind_mistakes_of_the_text() {
    let folder = Folder::new();
    for (number, (text, classes)) in TEXTS.iter().enumerate() {
        let (text, places) = marked(&format!("{HEAD}{text}"));
        let name = format!("{number}.yaml");
        // Line ends of Windows and a byte order mark move nothing.
        for text in [text.clone(), format!("\u{feff}{}", text.replace('\n', "\r\n"))] {
            folder.write(&name, &text);
            assert_told(&folder, &name, &places, classes);
        }
    }
}

/// Bytes of another encoding are told with all the rest, each at its place.
#[test]
fn bytes_that_are_no_text_are_mistakes_like_others() {
    let folder = Folder::new();
    let text = [
        HEAD.as_bytes(),
        b"# caf\xe9\nverify_service:\n  friendly_name: Z\xfcrich \xa4\n  code_length: 60\n",
    ]
    .concat();
    std::fs::write(folder.path("latin.yaml"), text).expect("file");
    let told = told(&folder, "latin.yaml");
    let places: Vec<(u64, u64, &str)> =
        told.iter().map(|(line, column, code, _)| (*line, *column, code.as_str())).collect();
    assert_eq!(places[..3], [(5, 6, "LS0101"), (7, 19, "LS0101"), (7, 25, "LS0101")], "{told:#?}");
    assert!(
        told.iter().any(|(line, column, code, _)| (*line, *column, code.as_str()) == (8, 16, "LS0104")),
        "{told:#?}"
    );
    assert!(told[0].3.contains("this is not UTF-8") && told[0].3.contains("iconv"), "{told:#?}");
}

/// Bombs of nesting and of aliases are refused at a place, too.
#[test]
fn bombs_have_a_place() {
    let folder = Folder::new();
    let nine = (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
    let laughs = format!("{HEAD}a0: &a0 [lol]\n{}", nine.collect::<String>());
    for (name, text, place, words) in [
        ("laughs.yaml", laughs, (6, 10), "aliases expand to too much text"),
        (
            "deep.yaml",
            format!("{HEAD}a: {}{}", "[".repeat(70), "]".repeat(70)),
            (5, 67),
            "nested deeper than 64 levels",
        ),
        ("open.yaml", format!("{HEAD}a: {}", "[".repeat(2_000)), (5, 1004), "1001 brackets are open here"),
    ] {
        folder.write(name, &text);
        let told = told(&folder, name);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!((told[0].0, told[0].1), place, "{told:#?}");
        assert!(told[0].3.contains(words), "{told:#?}");
    }
}
