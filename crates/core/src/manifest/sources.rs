//! What the shell hands in: the environment, files, commands and variables, as a trait.

use std::collections::BTreeMap;

use super::source::{Wrong, shown, wrong};
use crate::diag::codes;

/// Everything outside the manifest's text. Each name is asked once per run.
pub trait Sources {
    /// A variable of the environment; an empty one counts as absent.
    fn env(&self, name: &str) -> Option<String>;
    /// A text file below the manifest's folder. The path is relative and has no `..`; links that lead out of the
    /// folder are for the implementation to refuse.
    fn file(&self, _relative_path: &str) -> Result<String, FileError> {
        Err(FileError::Missing)
    }
    /// What an allowed command printed, or why it failed; `None` for a name that was not allowed.
    fn cmd(&self, _name: &str) -> Option<Result<String, String>> {
        None
    }
    /// A value of the tenant in a rollout, or from the command line.
    fn var(&self, _name: &str) -> Option<String> {
        None
    }
    /// Whether a value was made up by this program, where nobody gave one.
    fn is_made_up(&self, _value: &str) -> bool {
        false
    }
    /// Source text of a built-in.
    fn builtin(&self, name: &str) -> Option<&'static str> {
        crate::builtin::source(name)
    }
    /// The names of all built-ins.
    fn builtins(&self) -> &'static [&'static str] {
        &crate::builtin::NAMES
    }
}

/// An environment, and nothing besides: no file, no command.
impl Sources for BTreeMap<String, String> {
    fn env(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// Why a file gave no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    Missing,
    /// It lies outside the manifest's folder.
    Outside,
    /// Unreadable, too large, or no text; in words.
    Unreadable(String),
}

/// What a reference without a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The manifest is refused.
    Error,
    /// The value is [`Value::Unknown`]: a plan was told to go on without it.
    Unknown,
    /// The same, but a file that the manifest names has to be there: it stands beside the manifest, and whoever checks
    /// the one checks the other.
    UnknownButFiles,
}

/// A file that cannot be used at all, whatever is missing elsewhere.
pub(super) fn refused_file(path: &str, error: &FileError) -> Wrong {
    let path = shown(path);
    let (reason, help) = match error {
        FileError::Missing => {
            ("there is no such file".to_owned(), "check the path; it starts beside the manifest")
        }
        FileError::Outside => {
            ("it lies outside the manifest's folder".to_owned(), "move the file below the manifest's folder")
        }
        FileError::Unreadable(words) => (shown(words), "check the file"),
    };
    wrong(codes::FILE_REFUSED, format!("the file {path} cannot be used"), reason, help)
}
