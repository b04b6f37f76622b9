//! Tests of manifest texts: the shipped ones, cut, spliced and doubled at every level, and tables of what editors and
//! attackers do.

use std::time::{Duration, Instant};

use lockstep::manifest::{self, Missing};
use proptest::prelude::*;

use crate::fields::bed;
use crate::process::lab::{Folder, lockstep};
use crate::support::tables;

const SHIPPED: [&str; 6] = [
    include_str!("../../manifests/quickstart.yaml"),
    include_str!("../../manifests/minimal.yaml"),
    include_str!("../../manifests/howto-2023.yaml"),
    include_str!("../../manifests/complete.yaml"),
    include_str!("../../manifests/hub.yaml"),
    include_str!("../../manifests/policy.yaml"),
];

/// Longer than any text takes, even on a busy machine; only an endless run exceeds it.
const LONG: Duration = Duration::from_secs(30);

/// Parses and resolves a text, and renders the problems.
fn run(text: &str) -> String {
    let started = Instant::now();
    let drawn = match manifest::parse("m.yaml", text, &tables()) {
        Err(rejected) => rejected.render(false) + &rejected.render(true),
        Ok((parsed, warnings)) => {
            let mut drawn = manifest::render(&warnings, &parsed.source, false);
            manifest::references(&parsed);
            for missing in [Missing::Error, Missing::Unknown] {
                match manifest::resolve(&parsed, &bed::folder(), missing) {
                    Err(rejected) => drawn += &rejected.render(false),
                    Ok(manifest) => {
                        let mut problems = Vec::new();
                        lockstep::kinds::KINDS.iter().for_each(|kind| kind.check(&manifest, &mut problems));
                    }
                }
            }
            drawn
        }
    };
    assert!(started.elapsed() < LONG, "{} bytes took {:?}", text.len(), started.elapsed());
    assert!(drawn.len() < 2_000_000, "{} bytes are drawn", drawn.len());
    drawn
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x00",
        b"\r",
        b"\r\n",
        b"\t",
        b"\n---\n",
        b"\n...\n",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!binary ",
        b"!x ",
        b"${",
        b"${env.AUTH0_DOMAIN}",
        b"${file.../../x}",
        b"${cmd.x}",
        b"${generated.x}",
        b"${action.secrets.TWILIO_VERIFY_SID}",
        b"|",
        b">-",
        b"? ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"'",
        b"\"",
        b"#",
        b"%YAML 9.9\n",
        b"\xe2\x80\xa8",
        b"\xe2\x80\xae",
        b"\xc2\x85",
        b"1e999",
        b"-0",
        b".inf",
        b"0x7fffffffffffffff",
        b"~",
        b"null",
    ];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        run(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn shipped_with_a_piece_of_something(which in 0..SHIPPED.len(), at in 0usize..20_000, cut in 0usize..40, pieces in prop::collection::vec(piece(), 0..4)) {
        let text = SHIPPED[which].as_bytes();
        let at = at % text.len();
        let end = (at + cut).min(text.len());
        let bytes = [&text[..at], &pieces.concat(), &text[end..]].concat();
        run(&String::from_utf8_lossy(&bytes));
    }

    /// A block of lines is moved, doubled or indented.
    #[test]
    fn shipped_with_lines_elsewhere(which in 0..SHIPPED.len(), from in 0usize..200, count in 1usize..12, to in 0usize..200, indent in 0usize..9) {
        let lines: Vec<&str> = SHIPPED[which].lines().collect();
        let from = from % lines.len();
        let block = &lines[from..(from + count).min(lines.len())];
        let to = to % lines.len();
        let moved = block.iter().map(|line| format!("{}{line}", " ".repeat(indent)));
        let kept = |range: std::ops::Range<usize>| lines[range].iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let text = [kept(0..to), moved.collect(), kept(to..lines.len())].concat().join("\n");
        run(&text);
    }
}

/// Line ends and byte order marks of other systems' editors are no mistake.
#[test]
fn line_ends_and_byte_order_marks_mean_nothing() {
    for text in SHIPPED {
        let plain = run(text);
        assert_eq!(run(&text.replace('\n', "\r\n")), plain);
        assert_eq!(run(&format!("\u{feff}{text}")), plain);
        assert_eq!(run(text.trim_end()), plain);
    }
}

/// Texts that are small on disk, and huge when expanded.
#[test]
fn bombs_are_refused_soon() {
    let nine = (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
    let laughs = format!("a0: &a0 [{}]\n{}", ["lol"; 9].join(", "), nine.collect::<String>());
    let quadratic = format!("a: &a {}\nb: [{}]\n", "x".repeat(400_000), vec!["*a"; 50_000].join(", "));
    let merged: String = (0..2_000).map(|n| format!("k{n}: &k{n}\n  <<: *k{}\n", n.max(1) - 1)).collect();
    let rows = [
        laughs,
        quadratic,
        merged,
        "[".repeat(900_000),
        "{a: ".repeat(200_000),
        "- ".repeat(400_000),
        "? ".repeat(400_000),
        "!!a ".repeat(200_000),
        "&a ".repeat(200_000),
        format!("stack: {}", "x".repeat(1_000_000)),
        format!("stack: \"{}", "\\".repeat(1_000_000)),
        format!("stack: {}", "${env.P}".repeat(120_000)),
        format!("stack: {}", "${".repeat(500_000)),
        "${env.P}: 1\n".repeat(80_000),
        format!("stack: |\n{}", " \n".repeat(500_000)),
        format!("'{}", "''".repeat(500_000)),
        "#".repeat(1_000_000),
        "\t".repeat(1_000_000),
        "\u{202e}".repeat(300_000),
        "%TAG ! x\n".repeat(100_000),
    ];
    for text in rows {
        let drawn = run(&text);
        let head: String = text.chars().take(40).collect();
        assert!(drawn.contains("error"), "{head:?}: {drawn}");
    }
}

/// The program itself, on files that are not manifests.
#[test]
fn files_that_are_no_manifest_are_refused_by_the_program() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder.yaml")).expect("folder");
    let utf16: Vec<u8> = SHIPPED[0].encode_utf16().flat_map(u16::to_le_bytes).collect();
    let rows: [(&str, Vec<u8>); 6] = [
        ("utf16.yaml", [&[0xff, 0xfe][..], &utf16].concat()),
        ("latin1.yaml", b"lockstep: v1\nstack: \xe4\n".to_vec()),
        ("zeros.yaml", vec![0; 4096]),
        ("empty.yaml", Vec::new()),
        ("long.yaml", vec![b'#'; 2 * 1024 * 1024]),
        ("elf.yaml", std::fs::read(env!("CARGO_BIN_EXE_lockstep")).expect("the program")[..65_536].to_vec()),
    ];
    for (name, bytes) in &rows {
        std::fs::write(folder.path(name), bytes).expect("file");
    }
    let made = std::process::Command::new("mkfifo").arg(folder.path("pipe.yaml")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let names = rows.iter().map(|(name, _)| *name).chain(["folder.yaml", "pipe.yaml"]);
    let paths = names.map(|name| folder.text_path(name)).chain(["/dev/zero".to_owned()]);
    for path in paths {
        let run = lockstep(&["validate", &path]).run().expect(1);
        assert!(run.err.contains("error") && !run.err.contains("panicked"), "{path}: {}", run.err);
        assert!(run.err.len() < 64 * 1024 && run.out.is_empty(), "{path}: {} bytes", run.err.len());
    }
}
