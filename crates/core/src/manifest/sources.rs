//! The trait through which the shell provides the environment, files, commands and variables.

use std::collections::BTreeMap;

use super::source::{Wrong, shown, wrong};
use crate::diag::codes;

/// Everything outside the manifest's text. Each name is asked once per run.
pub trait Sources {
    /// A variable of the environment; an empty one counts as absent.
    fn env(&self, name: &str) -> Option<String>;
    /// A text file below the manifest's folder. The path is relative and has no `..`. The implementation has to refuse
    /// links that lead out of the folder.
    fn file(&self, _relative_path: &str) -> Result<String, FileError> {
        Err(FileError::Missing)
    }
    /// The output of an allowed command, or why the command failed; `None` for a name that was not allowed.
    fn cmd(&self, _name: &str) -> Option<Result<String, String>> {
        None
    }
    /// A variable: from the tenant's entry in a rollout, or from the command line.
    fn var(&self, _name: &str) -> Option<String> {
        None
    }
    /// Whether this program made the value up because nobody gave one.
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

/// Provides an environment only: no files and no commands.
impl Sources for BTreeMap<String, String> {
    fn env(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// Why a file gave no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    Missing,
    /// The file lies outside the manifest's folder.
    Outside,
    /// The file is unreadable, too large, or no text. Holds the reason in words.
    Unreadable(String),
}

/// Treatment of a reference without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The manifest is refused.
    Error,
    /// The value becomes [`Value::Unknown`]: the user asked the plan to go on without it.
    Unknown,
    /// Like `Unknown`, but a file that the manifest names has to exist: it stands beside the manifest, so whoever can
    /// check the manifest can check the file.
    UnknownButFiles,
}

/// The problem of a file that cannot be used, however missing values are treated.
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
