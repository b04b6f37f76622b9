//! `--ledger file:PATH`: the ledger as a file, which is replaced as a whole or not at all.

use std::path::PathBuf;

use super::files::{self, FileProblem};
use crate::engine::store::LedgerFile;
use crate::model::text;

/// Largest ledger file. A ledger fits into an Action of at most 100 kB; a file of ten times that size is not a ledger.
const LEDGER_LIMIT_BYTES: u64 = 1024 * 1024;

/// A ledger kept at a path.
#[derive(Clone, Debug)]
pub struct PathLedger {
    path: PathBuf,
}

impl PathLedger {
    /// The file need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> PathLedger {
        PathLedger { path: path.into() }
    }

    fn place(&self) -> String {
        format!("ledger file {}", self.path.display())
    }
}

impl LedgerFile for PathLedger {
    fn load(&self) -> Result<Option<String>, String> {
        files::remove_left_overs(&self.path);
        match files::read_text(&self.path, LEDGER_LIMIT_BYTES) {
            Ok(text) => Ok(Some(text)),
            Err(FileProblem::NotFound) => Ok(None),
            Err(problem) => Err(format!("{}: {:#}", self.place(), anyhow::Error::from(problem))),
        }
    }

    fn save(&self, content: &str) -> Result<(), String> {
        files::write_atomic(&self.path, text::json(content).as_bytes())
            .map_err(|error| format!("ledger file {error:#}"))
    }

    fn remove(&self) -> Result<(), String> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{} cannot be removed: {error}", self.place()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_support::TestFolder;

    #[test]
    fn a_ledger_is_kept_replaced_and_removed() {
        let folder = TestFolder::new();
        let ledger = PathLedger::new(folder.path().join("ledger.json"));
        assert_eq!(ledger.load(), Ok(None));
        assert_eq!(ledger.remove(), Ok(()));
        ledger.save("one").expect("written");
        ledger.save("two").expect("written");
        assert_eq!(ledger.load(), Ok(Some("two".to_owned())));
        ledger.remove().expect("removed");
        assert_eq!(ledger.load(), Ok(None));
    }

    #[test]
    fn a_ledger_that_cannot_be_used_is_named() {
        let folder = TestFolder::new();
        let taken = PathLedger::new(folder.path());
        for error in [taken.load().map(|_| ()), taken.save("one"), taken.remove()] {
            assert!(error.expect_err("a folder").contains("ledger file "), "names the file");
        }
        let nowhere = PathLedger::new(folder.path().join("missing/ledger.json"));
        assert_eq!(nowhere.load(), Ok(None));
        assert!(nowhere.save("one").is_err());
    }
}
