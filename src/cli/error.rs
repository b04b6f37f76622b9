//! How a command ends without a result: the kind of the mistake, what is wrong, and the next move.

use std::fmt;

use super::exit::Exit;
use crate::diag::codes::{self, Code};
use crate::diag::remote;
use crate::model::call::Failed;
use crate::model::outcome::Cause;

/// Why a command has no result.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// Its code, the next move, and the place in the manifest, by its key.
    pub cause: Cause,
}

/// Where the mistake lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line.
    Usage,
    /// The manifest, or a file that it names.
    Manifest,
    /// The saved plan, which does not belong to this run.
    Plan,
    /// The tenant or the account: a bad answer, or none.
    Remote,
    /// Somebody else is at work.
    Held,
    /// This machine, or this program.
    Internal,
}

/// The result of a command.
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

    /// A saved plan that does not belong to this run.
    pub fn plan(message: impl Into<String>) -> Error {
        Error::new(Kind::Plan, message)
    }

    /// A failed request.
    pub fn remote(message: impl Into<String>) -> Error {
        Error::new(Kind::Remote, message)
    }

    /// Somebody else is at work on the same.
    pub fn lease_held(message: impl Into<String>) -> Error {
        Error::new(Kind::Held, message)
    }

    /// Trouble on this machine.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message)
    }

    /// A failed request, with what its failure means.
    pub fn failed(failed: &Failed) -> Error {
        Error { kind: Kind::Remote, message: failed.to_string(), cause: remote::cause(failed) }
    }

    fn new(kind: Kind, message: impl Into<String>) -> Error {
        let code = match kind {
            Kind::Usage => codes::USAGE,
            Kind::Manifest => codes::MANIFEST_UNUSABLE,
            Kind::Plan => codes::STALE,
            Kind::Remote => codes::NOT_REACHED,
            Kind::Held => codes::LEASE_HELD,
            Kind::Internal => codes::INTERNAL,
        };
        Error { kind, message: message.into(), cause: Cause::of(code, "") }
    }

    /// Adds the next move.
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.cause.help = help.into();
        self
    }

    /// The same error under another code.
    pub fn code(mut self, code: Code) -> Error {
        self.cause.code = code;
        self
    }

    /// The exit code of the process, unless a signal decides it.
    pub fn exit(&self) -> Exit {
        match self.kind {
            Kind::Usage => Exit::Usage,
            Kind::Plan => Exit::Stale,
            Kind::Held => Exit::LeaseHeld,
            Kind::Manifest | Kind::Remote | Kind::Internal => Exit::Failed,
        }
    }
}

/// As the terminal shows it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.cause.code, self.message)?;
        match self.cause.help.as_str() {
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
