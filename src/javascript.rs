//! Whether code can run at all: it is parsed before it is sent anywhere, since Auth0 and Twilio build and deploy what
//! throws with the first line.

mod surface;

pub use surface::Surface;

use oxc_allocator::Allocator;
use oxc_parser::{ParseOptions, Parser};
use oxc_span::SourceType;

/// Stack of a parser, in bytes; memory is taken as it is touched.
const STACK_MIN: usize = 4 << 20;
/// More than one level of nesting takes: the tests nest as deep as the largest source allows.
const STACK_PER_BYTE: usize = 8 << 10;

/// What is wrong with the syntax of a source, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Both from 1; the column counts characters.
    pub line: usize,
    pub column: usize,
    /// The parser's words.
    pub what: String,
}

/// A source that can be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub surface: Surface,
}

/// Parses a source as Node reads a file: CommonJS, or else a module.
///
/// # Errors
/// It is neither; what is wrong is said of CommonJS.
pub fn parse(source: &str) -> Result<Parsed, Wrong> {
    let both = || {
        as_type(source, SourceType::cjs())
            .or_else(|wrong| as_type(source, SourceType::mjs()).map_err(|_| wrong))
    };
    // The parser goes down a level of its stack with each level of nesting, and a character may open one.
    let stack_size = STACK_MIN + STACK_PER_BYTE * source.len();
    let parsed = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(stack_size).spawn_scoped(scope, both);
        thread.ok().and_then(|thread| thread.join().ok())
    });
    let failed = || Wrong { line: 1, column: 1, what: "the parser did not come to an end".into() };
    parsed.unwrap_or_else(|| Err(failed()))
}

fn as_type(source: &str, kind: SourceType) -> Result<Parsed, Wrong> {
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let parsed = Parser::new(&allocator, source, kind).with_options(options).parse();
    if let Some(error) = parsed.errors.first() {
        let at = error.labels.iter().flatten().next().map_or(0, |label| label.offset());
        let before = source.get(..at).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        return Err(Wrong { line, column, what: error.message.to_string() });
    }
    Ok(Parsed { surface: Surface::of(&parsed.program) })
}

#[cfg(test)]
mod tests {
    use super::{Wrong, parse};

    fn wrong(source: &str) -> (usize, usize) {
        let Wrong { line, column, what } = parse(source).expect_err(source);
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
}
