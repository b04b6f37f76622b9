//! `--ledger file:PATH`: a file holds the record. A write replaces the whole file or leaves it as it is.

use std::path::Path;
use std::time::Duration;

use super::files::{self, FileProblem};
use crate::model::place::{Content, Place, PlaceCall, PlaceReply};

/// Largest ledger file. A ledger fits into an Action of at most 100 kB; a file of ten times that size is not a ledger.
const LEDGER_LIMIT_BYTES: u64 = 1024 * 1024;
/// How long a write waits for the lock of the folder. Another process holds that lock for some milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Answers the calls to places of records.
pub trait Places {
    /// Carries out one call.
    fn answer(&mut self, place: &Place, call: PlaceCall) -> PlaceReply;
}

/// The files of this machine.
///
/// Lockstep compares and replaces a file under a lock of the file's folder, so no run overwrites the record of another run.
/// The lock does not stop a program that takes none, such as an editor or git. If such a program writes between the comparison
/// and the replacement, its text is lost. On a file system without locks (some network file systems) the same can
/// happen between two runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Places for Files {
    fn answer(&mut self, place: &Place, call: PlaceCall) -> PlaceReply {
        answer(Path::new(&place.0), call)
            .unwrap_or_else(|why| PlaceReply::Failed(format!("ledger file {why}")))
    }
}

fn answer(path: &Path, call: PlaceCall) -> Result<PlaceReply, String> {
    let shown = path.display();
    let reads = call == PlaceCall::Load;
    let _locked = match reads {
        true => {
            files::remove_left_overs(path);
            None
        }
        false => files::lock_folder(path, LOCK_WAIT).map_err(|problem| format!("{shown}: {problem}"))?,
    };
    let now = match files::read_text(path, LEDGER_LIMIT_BYTES) {
        Ok(text) => Some(text),
        Err(FileProblem::NotFound) => None,
        // Lockstep writes no such file, so this is not the expected record.
        Err(FileProblem::NotText { .. } | FileProblem::TooLarge(_)) if !reads => {
            return Ok(PlaceReply::Moved);
        }
        Err(problem) => return Err(format!("{shown}: {:#}", anyhow::Error::from(problem))),
    };
    let was_there = now.is_some();
    let reply = call.on(Content::from(now));
    match &reply {
        PlaceReply::Stands(Content { text: Some(text), .. }) if !reads => {
            files::write_atomic(path, text.as_bytes()).map_err(|error| format!("{error:#}"))?;
        }
        PlaceReply::Stands(_) if !reads && was_there => {
            std::fs::remove_file(path).map_err(|error| format!("{shown} cannot be removed: {error}"))?;
        }
        _ => {}
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::place::Tag;
    use crate::shell::test_support::TestFolder;

    fn save(path: &Path, text: &str, expect: Tag) -> PlaceReply {
        ask(path, PlaceCall::Save { text: text.into(), expect })
    }

    fn ask(path: &Path, call: PlaceCall) -> PlaceReply {
        Files.answer(&Place(path.display().to_string()), call)
    }

    fn content(text: &str) -> Content {
        Content::from(Some(text.to_owned()))
    }

    #[test]
    fn a_ledger_is_kept_replaced_and_removed() {
        let folder = TestFolder::new();
        let path = folder.path().join("ledger.json");
        let none = PlaceReply::Stands(Content::default());
        assert_eq!(ask(&path, PlaceCall::Load), none);
        assert_eq!(ask(&path, PlaceCall::Remove { expect: Tag::Absent }), none);
        assert_eq!(save(&path, "one", Tag::Absent), PlaceReply::Stands(content("one")));
        assert_eq!(save(&path, "two", content("one").tag), PlaceReply::Stands(content("two")));
        assert_eq!(ask(&path, PlaceCall::Load), PlaceReply::Stands(content("two")));
        assert_eq!(ask(&path, PlaceCall::Remove { expect: content("two").tag }), none);
        assert!(!path.exists());
    }

    #[test]
    fn what_another_process_wrote_is_left_as_it_is() {
        let folder = TestFolder::new();
        let path = folder.path().join("ledger.json");
        for other in [b"other".to_vec(), vec![0xff; 9], vec![b'x'; 2 * 1024 * 1024]] {
            std::fs::write(&path, &other).expect("file");
            for expect in [Tag::Absent, content("one").tag] {
                assert_eq!(save(&path, "two", expect.clone()), PlaceReply::Moved);
                assert_eq!(ask(&path, PlaceCall::Remove { expect }), PlaceReply::Moved);
            }
            assert_eq!(std::fs::read(&path).expect("there"), other);
        }
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(save(&path, "two", content("one").tag), PlaceReply::Moved);
        assert!(!path.exists());
    }

    /// Each adds one to what it finds, and tries anew where another one was faster.
    #[test]
    fn of_writes_at_once_none_is_lost() {
        let folder = TestFolder::new();
        let path = folder.path().join("ledger.json");
        let count = || loop {
            let PlaceReply::Stands(now) = ask(&path, PlaceCall::Load) else { panic!("unread") };
            let next = now.text.map_or(1, |text| text.parse::<u32>().expect("a number") + 1);
            match save(&path, &next.to_string(), now.tag) {
                PlaceReply::Stands(_) => break,
                PlaceReply::Moved => {}
                PlaceReply::Failed(why) => panic!("{why}"),
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| count()));
            }
        });
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "100");
    }

    #[test]
    fn a_ledger_that_cannot_be_used_is_named() {
        let folder = TestFolder::new();
        let taken = folder.path();
        for reply in [
            ask(taken, PlaceCall::Load),
            save(taken, "one", Tag::Absent),
            ask(taken, PlaceCall::Remove { expect: Tag::Absent }),
        ] {
            let PlaceReply::Failed(why) = reply else { panic!("a folder: {reply:?}") };
            assert!(why.contains("ledger file /"), "names the file: {why}");
        }
        let nowhere = folder.path().join("missing/ledger.json");
        assert_eq!(ask(&nowhere, PlaceCall::Load), PlaceReply::Stands(Content::default()));
        assert!(matches!(save(&nowhere, "one", Tag::Absent), PlaceReply::Failed(_)));
    }
}
