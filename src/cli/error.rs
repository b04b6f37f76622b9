//! How a command ends that has no result: of what kind the mistake is, what is wrong, and the next move.

use std::fmt;

use super::exit::Exit;

/// Why a command has no result.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// The next move; empty where there is none.
    pub help: String,
}

/// Whose mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line.
    Usage,
    /// The manifest, or a file that it names.
    Manifest,
    /// The saved plan, which is none for this run.
    Plan,
    /// What the tenant or the account answered, or that they did not.
    Remote,
    /// This machine, or this program.
    Internal,
}

/// What a command comes to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A mistake on the command line.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// A mistake in the manifest.
    pub fn manifest(message: impl Into<String>) -> Error {
        Error::new(Kind::Manifest, message)
    }

    /// A saved plan that is none for this run.
    pub fn plan(message: impl Into<String>) -> Error {
        Error::new(Kind::Plan, message)
    }

    /// A request that came to no good end.
    pub fn remote(message: impl Into<String>) -> Error {
        Error::new(Kind::Remote, message)
    }

    /// Trouble on this machine.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), help: String::new() }
    }

    /// With the next move.
    pub fn help(self, help: impl Into<String>) -> Error {
        Error { help: help.into(), ..self }
    }

    /// The process's exit code, unless a signal has the last word.
    pub fn exit(&self) -> Exit {
        match self.kind {
            Kind::Usage => Exit::Usage,
            Kind::Plan => Exit::Stale,
            Kind::Manifest | Kind::Remote | Kind::Internal => Exit::Failed,
        }
    }
}

/// As the terminal shows it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.help.as_str() {
            "" => Ok(()),
            help => write!(f, "\n  help: {help}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::internal(error.to_string())
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Error {
        Error::internal(format!("{error:#}"))
    }
}
