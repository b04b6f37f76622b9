//! Checks the files that a command writes: it must not read them, and no two options may name the same file.

use std::path::{Path, PathBuf};

use super::args::{ConnectArgs, LedgerPlace};
use super::error::{Error, Result};
use super::loading::Loaded;
use crate::manifest;
use crate::shell::files;

/// A file that a command writes: the option that names it, and its path.
pub type Written<'a> = (&'static str, &'a Path);

/// Refuses a written file that the command also reads, that two options name, or that is not a regular file.
pub fn apart(written: &[Written<'_>], read: &[(&str, &Path)]) -> Result<()> {
    for (at, (option, path)) in written.iter().enumerate() {
        let refuse = |what: &str| {
            let path = path.display();
            Err(Error::usage(format!("{option} {path} is {what}")).help("name another file"))
        };
        if let Some((what, _)) = read.iter().find(|(_, input)| files::is_same(path, input)) {
            return refuse(&format!("{what}, which this command reads"));
        }
        if let Some((other, _)) = written[..at].iter().find(|(_, other)| files::is_same(path, other)) {
            return refuse(&format!("what {other} names too"));
        }
        if let Err(problem) = files::writable(path) {
            let path = path.display();
            let wrong = Error::usage(format!("{option} {path}: {problem}"));
            return Err(wrong.help("name a new file, or a regular one"));
        }
    }
    Ok(())
}

/// As [`apart`], with all files that the manifest and the connection name.
pub fn outputs_apart(loaded: &Loaded, connect: &ConnectArgs, written: &[Written<'_>]) -> Result<()> {
    let mut all = written.to_vec();
    if let LedgerPlace::File(path) = &connect.ledger {
        all.push(("--ledger", path));
    }
    let world = connect.twin.as_deref().filter(|file| !file.is_empty());
    all.extend(world.map(|path| ("--twin", Path::new(path))));
    let named: Vec<PathBuf> =
        manifest::files(&loaded.parsed).iter().filter_map(|path| loaded.file.folder.file(path)).collect();
    let mut read = vec![("the manifest", loaded.file.path.as_path())];
    read.extend(named.iter().map(|path| ("a file that the manifest names", path.as_path())));
    read.extend(connect.ca_file.as_deref().map(|path| ("the file of --ca-file", path)));
    apart(&all, &read)
}
