//! Replays recorded exchanges of the real Management API against a fresh twin, and counts how often the twin answers
//! alike.
//!
//! ```text
//! file ─► load ─► seed (what was there before) ─► replay (ids mapped, clock from the recording) ─► compare ─► report
//! ```
//!
//! Every exchange of a folder counts, whatever its result. An exchange matches when the twin gives the recorded
//! status and a body of the same shape: the same keys, JSON types and list lengths. Equal values, apart from ids and
//! times, are counted separately. No code in here knows a recording by name.

pub mod compare;
pub mod load;
pub mod put;
pub mod replay;
pub mod report;
pub mod seed;
pub mod used;

use std::path::Path;

pub use self::report::Report;

/// The files of a folder that are taken, by their 1-based line in the sorted list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Both,
    Even,
    Odd,
}

/// Replays all recordings of a folder, or every second one. Files are taken in the byte order of their names.
///
/// # Errors
/// When the folder cannot be listed. A file that cannot be read is a failure in the report.
pub fn run(folder: &Path, half: Half) -> Result<Report, String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut report = Report::default();
    for (index, name) in names.iter().enumerate() {
        let line = index + 1;
        if (half == Half::Even && line % 2 == 1) || (half == Half::Odd && line % 2 == 0) {
            continue;
        }
        let text = std::fs::read(folder.join(name)).map_err(|error| error.to_string());
        match text.and_then(|bytes| load::parse(name, &String::from_utf8_lossy(&bytes))) {
            Ok(parts) => {
                let outcomes = parts.iter().flat_map(|part| replay::replay(part)).collect::<Vec<_>>();
                report.add(name, &parts.concat(), &outcomes);
            }
            Err(error) => report.unreadable(name, &error),
        }
    }
    Ok(report)
}
