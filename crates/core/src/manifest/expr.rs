//! References inside a text: `${env.NAME}`, `${file.PATH}`, `${verify_service.sid}`; `$${` is a literal `${`.
//!
//! This module checks only the form; `links` checks whether a name exists.

use std::ops::Range;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Ref(Ref),
}

/// One reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    pub target: Target,
    /// Byte range in the decoded text, `${` and `}` included.
    pub range: Range<usize>,
}

/// The thing that a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Env(String),
    /// A path below the manifest's folder.
    File(String),
    Cmd(String),
    Var(String),
    Generated(String),
    /// A part of a key that the apply makes: `sender.sid`.
    Minted(String),
    /// A dotted name: a field of the manifest, or an output of a resource.
    Name(String),
}

impl Target {
    /// The text between the braces.
    pub fn text(&self) -> String {
        match self {
            Target::Env(name) => format!("env.{name}"),
            Target::File(path) => format!("file.{path}"),
            Target::Cmd(name) => format!("cmd.{name}"),
            Target::Var(name) => format!("var.{name}"),
            Target::Generated(name) => format!("generated.{name}"),
            Target::Minted(part) => format!("minted.{part}"),
            Target::Name(name) => name.clone(),
        }
    }
}

/// A reference that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Byte range in the decoded text.
    pub range: Range<usize>,
    pub reason: String,
    pub help: String,
}

/// Splits a text into literal pieces and references. Neighbouring literals are one piece; an empty text has no pieces.
/// The error has every malformed reference.
pub fn parse(text: &str) -> Result<Vec<Piece>, Vec<Malformed>> {
    let mut pieces = Vec::new();
    let mut faults = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[at..start].ends_with('$') {
            literal.push_str(&text[at..start - 1]);
            literal.push_str("${");
            at = start + 2;
            continue;
        }
        literal.push_str(&text[at..start]);
        let Some(length) = text[start..].find('}') else {
            faults.push(Malformed {
                range: start..text.len(),
                reason: "the reference has no closing }".into(),
                help: "close it with }, or write $${ for a literal ${".into(),
            });
            return Err(faults);
        };
        at = start + length + 1;
        match target(&text[start + 2..at - 1]) {
            Ok(target) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Ref(Ref { target, range: start..at }));
            }
            Err((reason, help)) => faults.push(Malformed { range: start..at, reason, help }),
        }
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    if faults.is_empty() { Ok(pieces) } else { Err(faults) }
}

fn target(inner: &str) -> Result<Target, (String, String)> {
    let tight = inner.trim();
    if tight.is_empty() {
        return Err(("the reference is empty".into(), "name a value, such as ${env.NAME}".into()));
    }
    if tight.len() != inner.len() {
        return Err(("white space inside the braces".into(), "write it without blanks: ${env.NAME}".into()));
    }
    let (kind, rest) = inner.split_once('.').unwrap_or((inner, ""));
    let word = |extra: &str| {
        !rest.is_empty() && rest.chars().all(|ch| ch.is_ascii_alphanumeric() || extra.contains(ch))
    };
    let bad = |what: &str, help: &str| Err((what.to_owned(), help.to_owned()));
    match kind {
        "env" if word("_") && !rest.starts_with(|ch: char| ch.is_ascii_digit()) => {
            Ok(Target::Env(rest.into()))
        }
        "env" => bad("not a name of an environment variable", "use letters, digits and _: ${env.NAME}"),
        "file" => match relative_path(rest) {
            Ok(()) => Ok(Target::File(rest.into())),
            Err((what, help)) => Err((what, help)),
        },
        "cmd" if word("_-") => Ok(Target::Cmd(rest.into())),
        "cmd" => bad(
            "not a name of a command",
            "name a command that is given with --allow-cmd NAME=..., as ${cmd.NAME}",
        ),
        "var" if word("_-.") => Ok(Target::Var(rest.into())),
        "var" => bad("not a name of a variable", "use letters, digits, _ and -: ${var.NAME}"),
        "generated" if word("_-") => Ok(Target::Generated(rest.into())),
        "generated" => bad("not a name", "use letters, digits, _ and -: ${generated.NAME}"),
        "minted" if word("_-.") => Ok(Target::Minted(rest.into())),
        "minted" => bad(
            "not a part of a key",
            "write ${minted.sender.sid}, ${minted.sender.secret}, ${minted.feedback.sid} or ${minted.feedback.secret}",
        ),
        _ if is_dotted(inner) => Ok(Target::Name(inner.into())),
        _ => bad(
            "not a reference",
            "write ${env.NAME}, ${file.PATH}, ${var.NAME}, ${cmd.NAME}, ${generated.NAME}, ${minted.NAME.PART} or ${section.key}",
        ),
    }
}

fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty() && part.chars().all(|ch| ch.is_ascii_alphanumeric() || "_-@/".contains(ch))
    })
}

/// Whether a path can lie below the manifest's folder, judged by its text alone. The error is (what is wrong, what to
/// do). Whoever opens the file has to check links.
pub fn relative_path(path: &str) -> Result<(), (String, String)> {
    let help = "name a file below the manifest's folder, with / between the parts".to_owned();
    let is_drive = path.as_bytes().get(1) == Some(&b':');
    let wrong = if path.trim().is_empty() {
        "no path is given"
    } else if path.starts_with(['/', '~']) || is_drive || path.contains("://") {
        "the path does not start in the manifest's folder"
    } else if path.split('/').any(|part| part == "..") {
        "the path leads out of the manifest's folder"
    } else if path.contains(['\\', '\0', '\n', '\r']) {
        "the path has a character that is not allowed"
    } else {
        return Ok(());
    };
    Err((wrong.to_owned(), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        match parse(text) {
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("'{text}'"),
                    Piece::Ref(found) => format!("<{}>", found.target.text()),
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(faults) => faults
                .iter()
                .map(|fault| format!("{}..{} {}", fault.range.start, fault.range.end, fault.reason))
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    #[test]
    fn texts_split_into_pieces() {
        let rows = [
            ("", ""),
            ("plain $ and $x and {y}", "'plain $ and $x and {y}'"),
            ("${env.A}", "<env.A>"),
            ("https://x.example/${env.P}/y", "'https://x.example/' <env.P> '/y'"),
            ("$${env.A}", "'${env.A}'"),
            ("a$$${env.A}", "'a$${env.A}'"),
            ("${file.certs/auth0.pem}", "<file.certs/auth0.pem>"),
            ("${twilio.account_sid}${var.region.name}", "<twilio.account_sid> <var.region.name>"),
            ("${generated.feedback}", "<generated.feedback>"),
            ("${stack}", "<stack>"),
        ];
        for (text, expected) in rows {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed_references_point_at_their_bytes() {
        let rows = [
            ("ab ${env.A", "3..10 the reference has no closing }"),
            ("${}", "0..3 the reference is empty"),
            ("x${ env.A }", "1..11 white space inside the braces"),
            (
                "${env.A-B} ${env.1}",
                "0..10 not a name of an environment variable; 11..19 not a name of an environment variable",
            ),
            ("${env:A}", "0..8 not a reference"),
            ("${file.../x}", "0..12 the path leads out of the manifest's folder"),
            ("${file./etc/passwd}", "0..19 the path does not start in the manifest's folder"),
            ("${file.}", "0..8 no path is given"),
            ("${a..b}", "0..7 not a reference"),
        ];
        for (text, expected) in rows {
            assert_eq!(shape(text), expected, "{text}");
        }
    }
}
