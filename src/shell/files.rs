//! Files: bounded reads, reads below the manifest's folder only, and writes that are whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

/// Largest manifest: a stack is a few kilobytes.
pub const MANIFEST_LIMIT_BYTES: u64 = 1024 * 1024;
/// Largest file behind `${file.PATH}` or `code:`; Action code and keys are far below.
pub const REFERENCE_LIMIT_BYTES: u64 = 1024 * 1024;

/// Why a file was not read. Never holds contents, nor the file's name, which whoever asked knows better.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    #[error("there is no such file")]
    NotFound,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it is not UTF-8 text (line {line}, column {column})")]
    NotText { line: usize, column: usize },
    #[error("the path is absolute; only files below the manifest's folder can be read")]
    Absolute,
    #[error("it lies outside the manifest's folder")]
    Outside,
    #[error("it cannot be read")]
    Io(#[source] std::io::Error),
}

/// Reads a file of at most that many bytes.
///
/// # Errors
/// See [`FileProblem`].
pub fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, FileProblem> {
    let problem = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => FileProblem::NotFound,
        _ => FileProblem::Io(error),
    };
    // Looked at before opening: opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(problem)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let file = File::open(path).map_err(problem)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(problem)?;
    if bytes.len() as u64 > limit_bytes { Err(FileProblem::TooLarge(limit_bytes)) } else { Ok(bytes) }
}

/// Reads a text file of at most that many bytes; contents are not trimmed.
///
/// # Errors
/// See [`FileProblem`].
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String, FileProblem> {
    String::from_utf8(read_bounded(path, limit_bytes)?).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let good = String::from_utf8_lossy(good);
        let last = good.rsplit('\n').next().unwrap_or_default();
        FileProblem::NotText { line: good.matches('\n').count() + 1, column: last.chars().count() + 1 }
    })
}

/// A manifest's text and the folder its references are read from.
#[derive(Debug)]
pub struct ManifestFile {
    /// As given on the command line, for messages.
    pub path: PathBuf,
    pub text: String,
    pub folder: Folder,
}

/// Reads a manifest.
///
/// # Errors
/// It cannot be read, is larger than [`MANIFEST_LIMIT_BYTES`], or is not UTF-8.
pub fn read_manifest(path: &Path) -> Result<ManifestFile> {
    let text = read_text(path, MANIFEST_LIMIT_BYTES).map_err(|problem| {
        let help = match &problem {
            FileProblem::NotFound => "name the manifest, or run where it is",
            FileProblem::NotText { .. } => {
                "save it as UTF-8; `iconv -f UTF-16 -t UTF-8` reads what Windows often writes"
            }
            FileProblem::TooLarge(_) => "a manifest has a page or two: is this the right file?",
            FileProblem::Io(_) => "check its permissions",
            _ => "name a file",
        };
        anyhow::anyhow!("manifest {}: {:#}\n  help: {help}", path.display(), anyhow::Error::from(problem))
    })?;
    let folder = Folder::of(path).with_context(|| format!("folder of manifest {}", path.display()))?;
    Ok(ManifestFile { path: path.to_owned(), text, folder })
}

/// A folder that reads do not leave: a manifest from a pull request must not be able to pick up the keys of whoever
/// runs it.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Without symlinks.
    root: PathBuf,
}

impl Folder {
    /// The folder that a file is in.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn of(file: &Path) -> Result<Folder, FileProblem> {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        match folder.canonicalize() {
            Ok(root) => Ok(Folder { root }),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(FileProblem::NotFound),
            Err(error) => Err(FileProblem::Io(error)),
        }
    }

    /// Reads a file by its path relative to the folder. Symlinks are followed as long as they stay inside.
    ///
    /// # Errors
    /// See [`FileProblem`]. A path that leads outside is refused whether or not there is a file.
    pub fn read(&self, relative: &str, limit_bytes: u64) -> Result<String, FileProblem> {
        read_text(&self.locate(relative)?, limit_bytes)
    }

    fn locate(&self, relative: &str) -> Result<PathBuf, FileProblem> {
        let relative = Path::new(relative);
        if relative.is_absolute() {
            return Err(FileProblem::Absolute);
        }
        // Told from the path alone, so that the answer says nothing about files outside.
        let mut depth = 0i32;
        for component in relative.components() {
            depth += match component {
                Component::ParentDir => -1,
                Component::CurDir => 0,
                Component::Normal(_) => 1,
                Component::RootDir | Component::Prefix(_) => return Err(FileProblem::Absolute),
            };
            if depth < 0 {
                return Err(FileProblem::Outside);
            }
        }
        let path = match self.root.join(relative).canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(FileProblem::NotFound),
            Err(error) => return Err(FileProblem::Io(error)),
        };
        if path.starts_with(&self.root) { Ok(path) } else { Err(FileProblem::Outside) }
    }
}

/// Whether a file of that name can be written without taking the place of something that is none: a device, a folder, a
/// named pipe, a link to one of them or to nothing.
///
/// # Errors
/// What stands there is no regular file, or cannot be looked at.
pub fn replaceable(path: &Path) -> Result<(), FileProblem> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_file() => Ok(()),
        Ok(_) => Err(FileProblem::NotAFile),
        Err(error) if error.kind() == ErrorKind::NotFound => match std::fs::symlink_metadata(path) {
            Ok(_) => Err(FileProblem::NotAFile),
            Err(_) => Ok(()),
        },
        Err(error) => Err(FileProblem::Io(error)),
    }
}

/// Whether two names stand for one file, which has to be there.
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Writes a file as a whole: a reader, and a run after a crash, sees the old contents or the new. Only the owner may
/// read it (mode 0600). A symlink is followed to the file it names, so that the link stays.
///
/// # Errors
/// Something that is no regular file stands there, or a step of the way fails; the old contents are still there and no
/// temporary file is left.
pub fn write_atomic(path: &Path, contents: &[u8]) -> Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
        return Err(FileProblem::NotAFile).with_context(|| format!("{} cannot be written", path.display()));
    }
    let name = target.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{:016x}.tmp", super::secrets::seed()?));
    let temporary = folder.join(temporary_name);
    let written = write_new(&temporary, contents)
        .and_then(|()| std::fs::rename(&temporary, &target))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // Gone already when the rename worked; otherwise nothing useful is in it.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// Opens a file to add lines to (mode 0600 when it is new).
///
/// # Errors
/// It cannot be opened.
pub fn open_append(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private(&mut options);
    options.open(path).with_context(|| format!("{} cannot be opened for writing", path.display()))
}

fn write_new(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_support::TestFolder;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outer = TestFolder::new();
        let inner = outer.path().join("stack");
        std::fs::create_dir_all(inner.join("deep")).expect("folder");
        std::fs::write(outer.path().join("outside.pem"), "outside").expect("file");
        std::fs::write(inner.join("inside.pem"), "inside").expect("file");
        std::fs::write(inner.join("lockstep.yaml"), "lockstep: v1").expect("file");
        symlink(outer.path().join("outside.pem"), inner.join("link-out")).expect("link");
        symlink(outer.path(), inner.join("folder-out")).expect("link");
        symlink("../inside.pem", inner.join("deep/link-in")).expect("link");
        let manifest = read_manifest(&inner.join("lockstep.yaml")).expect("readable");
        assert_eq!(manifest.text, "lockstep: v1");
        let read = |path: &str| manifest.folder.read(path, 100);
        for good in ["inside.pem", "./inside.pem", "deep/../inside.pem", "deep/link-in"] {
            assert_eq!(read(good).expect(good), "inside");
        }
        let absolute = inner.join("inside.pem");
        assert!(matches!(read(&absolute.to_string_lossy()), Err(FileProblem::Absolute)));
        for outside in ["../outside.pem", "../missing", "deep/../../outside.pem", "..", "../stack/inside.pem"]
        {
            assert!(matches!(read(outside), Err(FileProblem::Outside)), "{outside}");
        }
        for link in ["link-out", "folder-out/outside.pem", "folder-out/stack/../outside.pem"] {
            assert!(matches!(read(link), Err(FileProblem::Outside)), "{link}");
        }
        assert!(matches!(read("missing"), Err(FileProblem::NotFound)));
        assert!(matches!(read("deep"), Err(FileProblem::NotAFile)));
        assert!(matches!(read(""), Err(FileProblem::NotAFile)));
        assert!(matches!(manifest.folder.read("inside.pem", 3), Err(FileProblem::TooLarge(3))));
        std::fs::write(inner.join("binary"), [0xff, 0xfe]).expect("file");
        assert!(matches!(read("binary"), Err(FileProblem::NotText { line: 1, .. })));
    }

    #[test]
    fn a_folder_beside_with_the_same_beginning_is_outside() {
        let outer = TestFolder::new();
        for name in ["stack", "stack-other"] {
            std::fs::create_dir(outer.path().join(name)).expect("folder");
        }
        std::fs::write(outer.path().join("stack-other/key"), "outside").expect("file");
        symlink("../stack-other", outer.path().join("stack/link")).expect("link");
        let folder = Folder::of(&outer.path().join("stack/lockstep.yaml")).expect("folder");
        assert!(matches!(folder.read("link/key", 100), Err(FileProblem::Outside)));
    }

    #[test]
    fn a_write_replaces_the_whole_and_is_private() {
        let folder = TestFolder::new();
        let path = folder.path().join("ledger.json");
        write_atomic(&path, b"one").expect("written");
        write_atomic(&path, b"two").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"two");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        symlink("ledger.json", folder.path().join("link")).expect("link");
        write_atomic(&folder.path().join("link"), b"three").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"three");
        assert!(folder.path().join("link").is_symlink());
        let names = || std::fs::read_dir(folder.path()).expect("folder").count();
        assert_eq!(names(), 2, "no temporary file is left");
        // A folder of that name cannot be replaced by a file.
        std::fs::create_dir_all(folder.path().join("taken/full")).expect("folder");
        let error = write_atomic(&folder.path().join("taken"), b"four").expect_err("refused");
        assert!(error.to_string().contains("taken cannot be written"), "{error}");
        assert_eq!(names(), 3, "no temporary file is left");
    }
}
