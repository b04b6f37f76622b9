//! Checks whether JavaScript can run at all. Code is parsed before it is sent anywhere, because Auth0 and Twilio also
//! build and deploy code that throws at once.

mod surface;

pub use surface::Surface;

use oxc_allocator::Allocator;
use oxc_parser::{ParseOptions, Parser};
use oxc_span::SourceType;

/// Least stack of a parser thread, in bytes. The system provides memory only as the stack is used.
const STACK_MIN: usize = 4 << 20;
/// Stack for each byte of the source. One level of nesting takes less: the tests nest as deep as the longest source
/// allows.
const STACK_PER_BYTE: usize = 8 << 10;
/// Longest source that is parsed. Auth0 accepts code of at most 100 kB. For Twilio the only other bound would be that
/// of the file in the manifest (1 MiB).
const SOURCE_MAX_BYTES: usize = 256 << 10;
/// Most memory for a syntax tree. Ordinary code takes about 30 bytes for each byte of its own.
const TREE_MAX_BYTES: usize = 32 << 20;
/// Memory that the parser may take for one byte each time it reads the byte.
const READING_BYTES: usize = 64;
/// Least code between two checks of the memory.
const STRIDE_BYTES: usize = 2 << 10;

/// What is wrong with a source, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Line and column count from 1; the column counts characters.
    pub line: usize,
    pub column: usize,
    /// The parser's message, or the bound that the source exceeds.
    pub what: String,
    /// What to do about an exceeded bound; `None`: the syntax is wrong.
    pub remedy: Option<&'static str>,
}

/// A source that can be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub surface: Surface,
}

/// Parses a source as Node reads a file: as CommonJS, or else as a module.
///
/// # Errors
/// The source is neither; the error then describes it as CommonJS. Or the source is longer than 256 KiB, or its tree
/// takes more than 32 MiB.
pub fn parse(source: &str) -> Result<Parsed, Wrong> {
    if source.len() > SOURCE_MAX_BYTES {
        return Err(beyond(source, 0, "it is longer than 256 KiB", "leave out what is not needed"));
    }
    let both = || {
        affordable(source, SourceType::cjs())?;
        as_type(source, SourceType::cjs()).or_else(|wrong| {
            affordable(source, SourceType::mjs())?;
            as_type(source, SourceType::mjs()).map_err(|_| wrong)
        })
    };
    let failed = || beyond(source, 0, "the parser did not come to an end", "write it with less nesting");
    on_stack_for(source, both).unwrap_or_else(|| Err(failed()))
}

/// Runs `run` in a thread whose stack is large enough for the source. `None`: the thread could not start, or it
/// panicked, which does not end the caller.
fn on_stack_for<T: Send>(source: &str, run: impl FnOnce() -> T + Send) -> Option<T> {
    // Each level of nesting takes a part of the parser's stack, and a single character may open a level.
    let stack_size = STACK_MIN + STACK_PER_BYTE * source.len();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(stack_size).spawn_scoped(scope, run);
        thread.ok().and_then(|thread| thread.join().ok())
    })
}

fn as_type(source: &str, kind: SourceType) -> Result<Parsed, Wrong> {
    let allocator = Allocator::default();
    let parsed = parser(&allocator, source, kind).parse();
    if let Some(error) = parsed.errors.first() {
        let at = error.labels.iter().flatten().next().map_or(0, |label| label.offset());
        return Err(wrong_at(source, at, &error.message));
    }
    Ok(Parsed { surface: Surface::of(&parsed.program) })
}

fn parser<'a>(allocator: &'a Allocator, source: &'a str, kind: SourceType) -> Parser<'a> {
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    Parser::new(allocator, source, kind).with_options(options)
}

/// Refuses a source for which the parser would need too much memory, and so too much time.
///
/// The parser reads a parenthesis twice if it may open the parameters of an arrow function, and keeps the memory of the
/// first reading. So where such parentheses are nested, memory grows with the square of the depth. The parser cannot be
/// stopped half way. So it first parses longer and longer parts of the source. A part takes at least as much as the
/// same text within the whole: whatever is open at the end of the part is read again, like a parenthesis that turns out
/// to open no arrow function.
fn affordable(source: &str, kind: SourceType) -> Result<(), Wrong> {
    let dear = |end: &usize| tree_bytes(source, *end, kind) > TREE_MAX_BYTES;
    match looks(source).into_iter().find(dear) {
        None => Ok(()),
        Some(end) => {
            let what =
                "parentheses are nested too deep: the parser needs more than 32 MiB for the code up to here";
            Err(beyond(source, end, what, "give the inner parts names of their own"))
        }
    }
}

/// The offsets at which to check the memory. The next one comes as soon as the parser may have taken the allowed memory
/// once more, assuming that it reads each byte again for every opening parenthesis before it. In a row of parentheses,
/// only the innermost can open parameters.
fn looks(source: &str) -> Vec<usize> {
    let (mut looks, mut last, mut open, mut taken) = (Vec::new(), 0, 0, 0);
    let bytes = source.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        open += usize::from(*byte == b'(' && bytes.get(at + 1) != Some(&b'('));
        taken += open * READING_BYTES;
        if taken > TREE_MAX_BYTES && at - last >= STRIDE_BYTES && source.is_char_boundary(at) {
            looks.push(at);
            (last, taken) = (at, 0);
        }
    }
    looks
}

/// Memory that the tree of a part of the source takes, whether or not the part parses.
fn tree_bytes(source: &str, end: usize, kind: SourceType) -> usize {
    let allocator = Allocator::default();
    drop(parser(&allocator, source.get(..end).unwrap_or(source), kind).parse());
    allocator.used_bytes()
}

fn wrong_at(source: &str, at: usize, what: &str) -> Wrong {
    let before = source.get(..at).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Wrong { line, column, what: what.to_owned(), remedy: None }
}

/// The error for a bound that the source exceeds.
fn beyond(source: &str, at: usize, what: &str, remedy: &'static str) -> Wrong {
    Wrong { remedy: Some(remedy), ..wrong_at(source, at, what) }
}

#[cfg(test)]
mod tests {
    use oxc_span::SourceType;

    use super::{SOURCE_MAX_BYTES, TREE_MAX_BYTES, Wrong, looks, on_stack_for, parse, tree_bytes};

    fn wrong(source: &str) -> (usize, usize) {
        let Wrong { line, column, what, .. } = parse(source).expect_err(source);
        assert!(!what.is_empty(), "{source}");
        (line, column)
    }

    #[test]
    fn what_node_runs_is_taken() {
        let modern = r#"
            exports.onExecute = async (event, api) => {
                const { a, ...rest } = event?.x ?? {};
                label: for await (const x of y()) { if (x) continue label; }
                class A {
                    static n = null
                    // no semicolon before this
                    static get m() { return `${1}`; }
                    static #p = 1; static { this.#p = 2; } #q() { return #p in this; }
                }
                const r = /(?<y>\d{4})[/]/dgu; a ||= 1_000n; a &&= b; a ??= c;
                try { throw 1 } catch { }
                var async = 1; let of = 2;
                return import("twilio").then(m => m.default);
            };
            if (!x) return;
        "#;
        for source in [
            modern,
            "",
            "#!/usr/bin/env node\nexports.x = 1;",
            "export const x = await y();",
            "with (x) y();",
        ] {
            assert_eq!(parse(source).err(), None, "{source}");
        }
    }

    #[test]
    fn what_does_not_parse_is_said_with_its_place() {
        assert_eq!(wrong("exports.x = () => {\n  if (\n"), (3, 1));
        assert_eq!(wrong("// \u{e9}\nlet \u{e9} = ;"), (2, 9));
        assert_eq!(wrong("<html><body>502</body></html>").0, 1);
        assert_eq!(wrong("exports.x = async () => { await }").0, 1);
        assert_eq!(wrong("const x: number = 1;").0, 1);
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        for part in [
            "(", "[", "{", "!", "a=>", "if(1)", "new ", "f(", "`${", "-+", "x?", "class{[", "/*", "a.b(",
            "<a>",
        ] {
            let source = part.repeat(100_000 / part.len());
            assert!(parse(&source).is_err(), "{part}");
        }
        assert!(parse(&format!("x = 1{}", "+1".repeat(50_000))).is_ok());
        assert!(parse(&format!("x = a{}", ".b".repeat(50_000))).is_ok());
    }

    /// Nestings that the parser reads twice: opening text, innermost text, closing text.
    const NESTED: [(&str, &str, &str); 12] = [
        ("(a=", "1", ")"),
        ("([a=", "1", "])"),
        ("({a=", "1", "})"),
        ("async(a=", "1", ")"),
        ("x?(a,b=(", "1", "):1):1"),
        ("({[(a=", "1", ")]:1})"),
        ("function f(a=(b=", "1", ")){}"),
        ("(a=class{b=(c=", "1", ")})"),
        ("`${(a=", "1", ")}`"),
        ("using[(a=", "1", ")]"),
        ("(/**/a/**/=", "1", ")"),
        ("(a = \n", "\"))))\"", ")"),
    ];

    fn nested((open, middle, close): (&str, &str, &str), bytes: usize) -> String {
        let depth = bytes / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn nested_parentheses_are_refused_before_they_take_the_machine() {
        for part in NESTED {
            let source = nested(part, 32_000);
            let (open, ..) = part;
            let Wrong { what, .. } = parse(&source).expect_err(open);
            assert!(what.starts_with("parentheses are nested too deep"), "{open}: {what}");
        }
    }

    #[test]
    fn what_is_refused_was_never_read_at_a_multiple_of_the_bound() {
        let kind = SourceType::cjs();
        for part in NESTED {
            let source = nested(part, 32_000);
            let dear = || {
                let mut costs = looks(&source).into_iter().map(|end| tree_bytes(&source, end, kind));
                costs.find(|cost| *cost > TREE_MAX_BYTES)
            };
            let dear = on_stack_for(&source, dear).flatten().unwrap_or_default();
            assert!((TREE_MAX_BYTES..4 * TREE_MAX_BYTES).contains(&dear), "{}: {dear}", part.0);
        }
        // The source is harmless at first; all costly parts come at its end.
        let late = format!("x = a{};{}", "+1".repeat(15_000), nested(NESTED[0], 32_000));
        let Wrong { column, .. } = parse(&late).expect_err("late");
        assert!((30_000..45_000).contains(&column), "{column}");
    }

    #[test]
    fn what_people_write_is_far_from_the_bound() {
        let people = "exports.f = async (event, api) => { for (const { a = 1, b: [c] = [(2)] } of event.list) { \
                      await Promise.all(list.map(async (x) => (await g((h(x), (y) => ({ ...y, z: [(a), (b)] })))))); } };\n";
        let bundle = "!function(e,t){e=(t,n),(r=e)?(o=(i),a):(u=[(c),{s:(l)}]),(()=>{(f=(d),p)((h=(m),v))})()}(g,(y,b));";
        for line in [people, bundle] {
            let source = line.repeat(100_000 / line.len());
            assert_eq!(parse(&source).err(), None, "{line}");
            let [half, cost] =
                [source.len() / 2, source.len()].map(|end| tree_bytes(&source, end, SourceType::cjs()));
            assert!(cost < TREE_MAX_BYTES / 4, "{cost}: {line}");
            // Twice the code takes little more than twice the memory.
            assert!(cost * 10 < half * 26, "{half} and {cost}: {line}");
        }
    }

    #[test]
    fn code_of_any_length_has_an_end() {
        let source = "x;\n".repeat(SOURCE_MAX_BYTES / 3 + 1);
        assert_eq!(wrong(&source), (1, 1));
    }
}
