//! Files: bounded reads, reads only below the manifest's folder, and writes that replace a file as a whole or not at
//! all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Largest manifest; a real one has a few kilobytes.
pub const MANIFEST_LIMIT_BYTES: u64 = 1024 * 1024;
/// Largest file behind `${file.PATH}` or `code:`; Action code and keys are far smaller.
pub const REFERENCE_LIMIT_BYTES: u64 = 1024 * 1024;

/// Pause between two tries to lock a folder.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// Why a file was not read or written. Holds neither contents nor the name of the file, which the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    #[error("there is no such file")]
    NotFound,
    #[error("something of that name is there already")]
    Exists,
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
    #[error("its name leads through a link in a folder where others can write")]
    LinkOfOthers,
    #[error("another process has had its folder locked for {} s", .0.as_secs())]
    Locked(Duration),
    #[error("it cannot be read")]
    Io(#[source] std::io::Error),
    #[error("it cannot be written: {0}")]
    NotWritable(#[source] std::io::Error),
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
    let file = open_regular(OpenOptions::new().read(true), path)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(problem)?;
    if bytes.len() as u64 > limit_bytes { Err(FileProblem::TooLarge(limit_bytes)) } else { Ok(bytes) }
}

/// Size of a regular file that has at most that many bytes.
///
/// # Errors
/// See [`FileProblem`].
pub fn size_of(path: &Path, limit_bytes: u64) -> Result<u64, FileProblem> {
    let file = open_regular(OpenOptions::new().read(true), path)?;
    let size = file.metadata().map_err(FileProblem::Io)?.len();
    if size > limit_bytes { Err(FileProblem::TooLarge(limit_bytes)) } else { Ok(size) }
}

/// Opens a file that is a regular file both before and after it is opened. Opening never waits for the other end of a
/// named pipe. Files of the kernel's folders are refused although they look regular: `/proc/self/environ` is the
/// environment of this process.
fn open_regular(options: &mut OpenOptions, path: &Path) -> Result<File, FileProblem> {
    let problem = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => FileProblem::NotFound,
        _ => FileProblem::Io(error),
    };
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => return Err(FileProblem::NotAFile),
        Ok(_) if is_kernels(path) => return Err(FileProblem::NotAFile),
        _ => {}
    }
    not_waiting(options);
    let file = options.open(path).map_err(problem)?;
    if file.metadata().map_err(problem)?.is_file() { Ok(file) } else { Err(FileProblem::NotAFile) }
}

fn is_kernels(path: &Path) -> bool {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    ["/proc", "/sys", "/dev"].iter().any(|folder| real.starts_with(folder))
        // `/dev/shm` is shared memory, where programs also keep ordinary files.
        && !real.starts_with("/dev/shm")
}

/// Reads a text file of at most that many bytes. The text is not trimmed.
///
/// # Errors
/// See [`FileProblem`].
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String, FileProblem> {
    as_text(read_bounded(path, limit_bytes)?)
}

fn as_text(bytes: Vec<u8>) -> Result<String, FileProblem> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let good = String::from_utf8_lossy(good);
        let last = good.rsplit('\n').next().unwrap_or_default();
        FileProblem::NotText { line: good.matches('\n').count() + 1, column: last.chars().count() + 1 }
    })
}

/// The text of a manifest, and the folder that its references are read from.
#[derive(Debug)]
pub struct ManifestFile {
    /// As given on the command line, for messages.
    pub path: PathBuf,
    pub text: String,
    /// Places in the text that stand for bytes which are no UTF-8.
    pub lost: Vec<Range<usize>>,
    pub folder: Folder,
}

/// Why a manifest cannot be read, and the next move.
#[derive(Debug)]
pub struct Unreadable {
    pub message: String,
    pub help: &'static str,
}

/// Reads a manifest.
///
/// # Errors
/// It cannot be read, is a link that leads out of its folder, is larger than [`MANIFEST_LIMIT_BYTES`], or is not UTF-8.
pub fn read_manifest(path: &Path) -> Result<ManifestFile, Unreadable> {
    let folder = Folder::of(path).map_err(|error| Unreadable {
        message: format!("folder of manifest {}: {error:#}", path.display()),
        help: "name the manifest, or run where it is",
    })?;
    let read = folder.read_named(path, MANIFEST_LIMIT_BYTES).and_then(as_manifest);
    let (text, lost) = read.map_err(|problem| {
        let help = match &problem {
            FileProblem::Outside => {
                "the name is a link that leads out of its folder: name the file itself, or put the file into that folder"
            }
            FileProblem::NotFound => "name the manifest, or run where it is",
            FileProblem::NotText { .. } => {
                "save it as UTF-8; `iconv -f UTF-16 -t UTF-8` reads what Windows often writes"
            }
            FileProblem::TooLarge(_) => "a manifest has a page or two: is this the right file?",
            FileProblem::Io(_) => "check its permissions",
            _ => "name a file",
        };
        let cause = anyhow::Error::from(problem);
        Unreadable { message: format!("manifest {}: {cause:#}", path.display()), help }
    })?;
    Ok(ManifestFile { path: path.to_owned(), text, lost, folder })
}

/// The text of a manifest, and the places where it was no UTF-8. A file that is neither UTF-8 nor a manifest is refused.
fn as_manifest(bytes: Vec<u8>) -> Result<(String, Vec<Range<usize>>), FileProblem> {
    let (mut text, mut lost) = (String::with_capacity(bytes.len()), Vec::new());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            lost.push(text.len() - char::REPLACEMENT_CHARACTER.len_utf8()..text.len());
        }
    }
    match lost.is_empty() || text.lines().any(|line| line.starts_with("lockstep:")) {
        true => Ok((text, lost)),
        false => as_text(bytes).map(|text| (text, lost)),
    }
}

/// A folder that reads cannot leave: a manifest from a pull request must not be able to read the keys of whoever runs
/// it.
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

    /// Reads a file by its path relative to the folder. Symlinks are followed while they stay inside.
    ///
    /// # Errors
    /// See [`FileProblem`]. A path that leads outside is refused whether or not a file is there.
    pub fn read(&self, relative: &str, limit_bytes: u64) -> Result<String, FileProblem> {
        read_text(&self.locate(relative)?, limit_bytes)
    }

    /// Reads the file whose path defined the folder. The file may be a link that stays inside. A link to another place
    /// is refused: a repository can hold links, and such a link would be read with the rights of whoever runs this
    /// program.
    fn read_named(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>, FileProblem> {
        let real = path.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => FileProblem::NotFound,
            _ => FileProblem::Io(error),
        })?;
        if real.starts_with(&self.root) {
            read_bounded(&real, limit_bytes)
        } else {
            Err(FileProblem::Outside)
        }
    }

    /// The real path of a file that the manifest names; `None`: it may not be read or does not exist.
    pub fn file(&self, relative: &str) -> Option<PathBuf> {
        self.locate(relative).ok()
    }

    fn locate(&self, relative: &str) -> Result<PathBuf, FileProblem> {
        let relative = Path::new(relative);
        if relative.is_absolute() {
            return Err(FileProblem::Absolute);
        }
        // Judged by the path alone, so that the answer reveals nothing about files outside.
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

/// The real path to write to for a file name, with links resolved. The place must hold a regular file or nothing. Every
/// file that this program writes is checked here first. In a folder where others can write, a link may be theirs and
/// could lead our write to another file of ours. So a link in such a folder is refused, and so is a file there with a
/// second name (a hard link).
///
/// # Errors
/// Something other than a regular file is there, the path goes through a link of others, or it cannot be examined.
pub fn writable(path: &Path) -> Result<PathBuf, FileProblem> {
    let mut so_far = PathBuf::new();
    for component in path.components() {
        let is_shared = is_shared(&so_far);
        so_far.push(component);
        if is_shared && so_far.is_symlink() {
            return Err(FileProblem::LinkOfOthers);
        }
    }
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A dangling link is refused: whoever made it would choose the file that is created.
            return if path.is_symlink() { Err(FileProblem::NotAFile) } else { Ok(path.to_owned()) };
        }
        Err(error) => return Err(FileProblem::Io(error)),
    };
    let there = std::fs::metadata(&real).map_err(FileProblem::Io)?;
    if !there.is_file() || is_kernels(&real) {
        return Err(FileProblem::NotAFile);
    }
    let in_shared = real.parent().is_some_and(is_shared);
    if in_shared && has_other_names(&there) { Err(FileProblem::LinkOfOthers) } else { Ok(real) }
}

/// Whether two paths name the same file, even one that does not exist yet.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        path.canonicalize().ok().or_else(|| Some(folder.canonicalize().ok()?.join(path.file_name()?)))
    };
    match (real(one), real(other)) {
        (Some(one), Some(other)) => one == other || are_linked(&one, &other),
        _ => false,
    }
}

/// Whether [`write_atomic`] would succeed now: a file is made beside it and taken away again.
///
/// # Errors
/// It would not, or a file stands there that this user may not write.
pub fn would_write(path: &Path) -> Result<(), FileProblem> {
    let target = writable(path)?;
    if target.exists() {
        OpenOptions::new().append(true).open(&target).map_err(FileProblem::NotWritable)?;
    }
    let temporary = temporary_beside(&target).map_err(FileProblem::NotWritable)?;
    let made = write_new(&temporary, b"", private);
    let _ = std::fs::remove_file(&temporary);
    made.map_err(FileProblem::NotWritable)
}

/// The name of a temporary file beside a file.
fn temporary_beside(target: &Path) -> std::io::Result<PathBuf> {
    let name = target.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let seed = super::secrets::seed().map_err(std::io::Error::other)?;
    let mut temporary_name = temporary_prefix(name);
    temporary_name.push(format!("{:08x}{:08x}.tmp", std::process::id(), seed >> 32));
    Ok(folder_of(target).join(temporary_name))
}

/// Replaces a file as a whole: a reader, or a run after a crash, sees the old contents or the new. Only the owner may
/// read the file (mode 0600). A symlink is followed to the file it names, so that the link stays; see [`writable`].
///
/// # Errors
/// Something other than a regular file is there, or one of the steps fails. The old contents are still there, and no
/// temporary file is left.
pub fn write_atomic(path: &Path, contents: &[u8]) -> Result<()> {
    let target = writable(path).with_context(|| format!("{} cannot be written", path.display()))?;
    let temporary =
        temporary_beside(&target).with_context(|| format!("{} cannot be written", path.display()))?;
    let written = write_new(&temporary, contents, private)
        .and_then(|()| std::fs::rename(&temporary, &target))
        .and_then(|()| File::open(folder_of(&target))?.sync_all());
    if written.is_err() {
        // After a successful rename the temporary file is gone already; otherwise it holds nothing useful.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// Makes a file that is not there yet, as a whole or not at all, with the mode of any new file: it is for others to read.
///
/// # Errors
/// Something of that name is there, even a link that leads nowhere; or the file cannot be written.
pub fn create_atomic(path: &Path, contents: &[u8]) -> Result<(), FileProblem> {
    if path.symlink_metadata().is_ok() {
        return Err(FileProblem::Exists);
    }
    let target = writable(path)?;
    let temporary = temporary_beside(&target).map_err(FileProblem::NotWritable)?;
    let as_usual = |_: &mut OpenOptions| {};
    // A second name, unlike a new name, is refused where another file has it by now. Some file systems have none.
    let named = || match std::fs::hard_link(&temporary, &target) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => write_new(&target, contents, as_usual),
        done => done,
    };
    let written = write_new(&temporary, contents, as_usual).and_then(|()| named());
    let _ = std::fs::remove_file(&temporary);
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => FileProblem::Exists,
        ErrorKind::NotFound => FileProblem::NotFound,
        _ => FileProblem::NotWritable(error),
    })
}

/// Keeps others who lock the folder of that file away from it, until the answer is dropped or this process ends. A folder,
/// since [`write_atomic`] replaces the file, and a lock file would stay. `None` where the system has no such locks.
///
/// # Errors
/// Somebody else has it for longer than that.
pub fn lock_folder(path: &Path, wait: Duration) -> Result<Option<File>, FileProblem> {
    let Ok(target) = writable(path) else { return Ok(None) };
    let Ok(folder) = File::open(folder_of(&target)) else { return Ok(None) };
    let began = Instant::now();
    loop {
        match try_lock(&folder) {
            Some(true) => return Ok(Some(folder)),
            None => return Ok(None),
            Some(false) if began.elapsed() > wait => return Err(FileProblem::Locked(wait)),
            Some(false) => std::thread::sleep(LOCK_LOOK),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn temporary_prefix(name: &std::ffi::OsStr) -> std::ffi::OsString {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

/// Removes the temporary files that killed processes left beside a file in [`write_atomic`], and nothing else. A file
/// is removed only if its name is exactly one that a process which no longer runs would have chosen, and if it is a
/// regular file of this user.
pub fn remove_left_overs(path: &Path) {
    let Ok(target) = writable(path) else { return };
    let Some(prefix) = target.file_name().map(temporary_prefix) else { return };
    let Some(prefix) = prefix.to_str() else { return };
    let Ok(entries) = std::fs::read_dir(folder_of(&target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let made_by = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix)?.strip_suffix(".tmp"))
            .filter(|digits| {
                digits.len() == 16
                    && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            })
            .and_then(|digits| u32::from_str_radix(&digits[..8], 16).ok());
        // `metadata` of a directory entry follows no link.
        let is_ours = || entry.metadata().is_ok_and(|there| there.is_file() && is_of_this_user(&there));
        if made_by.is_some_and(|pid| !is_running(pid)) && is_ours() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a process with that number runs. True if the system cannot tell.
fn is_running(pid: u32) -> bool {
    let processes = Path::new("/proc/self");
    !processes.exists() || Path::new("/proc").join(pid.to_string()).exists()
}

/// Opens a file to append lines; a new file gets mode 0600.
///
/// # Errors
/// It is not a regular file, is reached through a link of others (see [`writable`]), or cannot be opened.
pub fn open_append(path: &Path) -> Result<File> {
    let open = || {
        let target = writable(path)?;
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        private(&mut options);
        open_regular(&mut options, &target)
    };
    open().with_context(|| format!("{} cannot be opened for writing", path.display()))
}

fn write_new(path: &Path, contents: &[u8], mode: impl FnOnce(&mut OpenOptions)) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    mode(&mut options);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(unix)]
use unix::{are_linked, has_other_names, is_of_this_user, is_shared, not_waiting, private, try_lock};

/// What only Unix knows: modes, owners, locks, and that opening may wait.
#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata, OpenOptions};
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use rustix::fs::{FlockOperation, OFlags, flock};
    use rustix::io::Errno;

    pub fn private(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// Makes an open return at once: opening a named pipe would wait for its other end.
    pub fn not_waiting(options: &mut OpenOptions) {
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }

    /// Whether the lock is ours now; `None` where the file system has none.
    pub fn try_lock(folder: &File) -> Option<bool> {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Some(false),
            Err(_) => None,
        }
    }

    /// Whether everybody can create files in a folder, such as `/tmp`.
    pub fn is_shared(folder: &Path) -> bool {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        std::fs::metadata(folder).is_ok_and(|there| there.mode() & 0o002 != 0)
    }

    pub fn has_other_names(there: &Metadata) -> bool {
        there.nlink() > 1
    }

    /// Whether two paths are names of the same file.
    pub fn are_linked(one: &Path, other: &Path) -> bool {
        let id = |path: &Path| std::fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
        id(one).is_some_and(|one| Some(one) == id(other))
    }

    /// Whether a file belongs to the user of this process. False if the system does not tell the user.
    pub fn is_of_this_user(there: &Metadata) -> bool {
        std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == there.uid())
    }
}

#[cfg(not(unix))]
use others::{are_linked, has_other_names, is_of_this_user, is_shared, not_waiting, private, try_lock};

#[cfg(not(unix))]
mod others {
    use std::fs::{File, Metadata, OpenOptions};
    use std::path::Path;

    pub fn try_lock(_: &File) -> Option<bool> {
        None
    }
    pub fn private(_: &mut OpenOptions) {}
    pub fn not_waiting(_: &mut OpenOptions) {}
    pub fn is_shared(_: &Path) -> bool {
        false
    }
    pub fn has_other_names(_: &Metadata) -> bool {
        false
    }
    pub fn are_linked(_: &Path, _: &Path) -> bool {
        false
    }
    pub fn is_of_this_user(_: &Metadata) -> bool {
        false
    }
}

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
        // A file cannot replace a folder of the same name.
        std::fs::create_dir_all(folder.path().join("taken/full")).expect("folder");
        let error = write_atomic(&folder.path().join("taken"), b"four").expect_err("refused");
        assert!(error.to_string().contains("taken cannot be written"), "{error}");
        assert_eq!(names(), 3, "no temporary file is left");
    }

    #[test]
    fn a_write_follows_no_link_in_a_folder_of_everybody_and_waits_for_no_pipe() {
        let folder = TestFolder::new();
        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).expect("folder");
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o1777)).expect("mode");
        let own = folder.path().join("own");
        std::fs::create_dir(&own).expect("folder");
        std::fs::write(own.join("mine"), "mine").expect("file");
        symlink(own.join("mine"), shared.join("link")).expect("link");
        symlink(&own, shared.join("folder")).expect("link");
        std::fs::hard_link(own.join("mine"), shared.join("second-name")).expect("link");
        let pipe = shared.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run");
        assert!(made.success());
        let refused =
            ["link", "folder/mine", "folder/new", "second-name", "pipe"].map(|name| shared.join(name));
        for path in refused.iter().map(PathBuf::as_path).chain([Path::new("/dev/null"), &own]) {
            assert!(open_append(path).is_err(), "{}", path.display());
            assert!(write_atomic(path, b"theirs").is_err(), "{}", path.display());
        }
        assert!(read_bounded(&pipe, 10).is_err());
        assert_eq!(std::fs::read(own.join("mine")).expect("there"), b"mine");
        write_atomic(&shared.join("new"), b"one").expect("a new file is made");
        open_append(&shared.join("new")).expect("and added to");
        assert!(is_same(&own.join("mine"), &shared.join("second-name")), "two names of one file");
        assert!(is_same(&own.join("later"), &own.join("../own/later")), "a file that is not there yet");
    }

    #[test]
    fn what_a_killed_write_left_is_removed_and_nothing_else() {
        let folder = TestFolder::new();
        let world = folder.path().join("world.json");
        let alive = format!(".world.json.{:08x}00000001.tmp", std::process::id());
        let kept = [
            alive.as_str(),
            ".other.json.fffffff000000001.tmp",
            ".world.json.fffffff00000001.tmp",
            ".world.json.fffffff0000000zz.tmp",
            "world.json.fffffff000000001.tmp",
        ];
        for name in kept.iter().chain(&[".world.json.fffffff000000001.tmp"]) {
            std::fs::write(folder.path().join(name), "{").expect("file");
        }
        symlink("nowhere", folder.path().join(".world.json.fffffff000000002.tmp")).expect("link");
        remove_left_overs(&world);
        let names = std::fs::read_dir(folder.path()).expect("folder").count();
        assert_eq!(names, kept.len() + 1, "all others, and the link");
        assert!(!folder.path().join(".world.json.fffffff000000001.tmp").exists());
    }

    #[test]
    fn a_manifest_that_is_a_link_out_of_its_folder_is_not_read() {
        let outer = TestFolder::new();
        let inner = outer.path().join("stack");
        std::fs::create_dir(&inner).expect("folder");
        std::fs::write(outer.path().join("outside.yaml"), "outside").expect("file");
        std::fs::write(inner.join("inside.yaml"), "inside").expect("file");
        for (number, target) in
            ["/proc/self/environ", "../outside.yaml", "chain-0.yaml", "/dev/null"].into_iter().enumerate()
        {
            symlink(target, inner.join(format!("chain-{number}.yaml"))).expect("link");
            let error = read_manifest(&inner.join(format!("chain-{number}.yaml"))).expect_err(target);
            assert!(error.help.contains("name the file itself"), "{error:?}");
        }
        symlink("/proc/self", inner.join("folder")).expect("link");
        read_manifest(&inner.join("folder/environ")).expect_err("the environment is no file");
        symlink("inside.yaml", inner.join("link.yaml")).expect("link");
        assert_eq!(read_manifest(&inner.join("link.yaml")).expect("inside").text, "inside");
    }
}
