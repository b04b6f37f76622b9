//! Checks the files that a command writes: it must not read them, and no two options may name the same file.

use std::path::{Path, PathBuf};

use super::args::{ConnectArgs, LedgerPlace};
use super::error::{Error, Result};
use super::loading::Loaded;
use super::reports::Reports;
use super::setup::Shell;
use crate::manifest;
use crate::shell::files::{self, FileProblem, Folder};

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

/// Looks at every file that the command line names, before anything is read. From then on the forms of `--output` may be
/// written, whatever becomes of the run.
pub fn admit(
    shell: &mut Shell,
    manifest: &Path,
    connect: Option<&ConnectArgs>,
    written: &[Written<'_>],
    read: &[(&str, &Path)],
) -> Result<()> {
    let mut all_read = vec![("the manifest", manifest)];
    let ca_file = connect.and_then(|connect| connect.ca_file.as_deref());
    all_read.extend(ca_file.map(|path| ("the file of --ca-file", path)));
    all_read.extend(read);
    apart(&all(&shell.reports, connect, written), &all_read)?;
    // What is replaced as a whole at the end; --audit only grows, and a plan writes no ledger.
    let replaced = |(option, _): &Written<'_>| !["--audit", "--ledger"].contains(option);
    for (option, path) in all(&shell.reports, connect, written).into_iter().filter(replaced) {
        files::would_write(path).map_err(|problem| {
            Error::usage(format!("{option} {}: {problem}", path.display()))
                .help("name a file in a folder where you can write")
        })?;
    }
    shell.reports.admitted = true;
    Ok(())
}

/// As [`admit`], with the files that the manifest names.
pub fn admit_named(
    shell: &mut Shell,
    loaded: &Loaded,
    connect: Option<&ConnectArgs>,
    written: &[Written<'_>],
) -> Result<()> {
    let named: Vec<PathBuf> =
        manifest::files(&loaded.parsed).iter().filter_map(|path| loaded.file.folder.file(path)).collect();
    let read: Vec<(&str, &Path)> =
        named.iter().map(|path| ("a file that the manifest names", path.as_path())).collect();
    let result = apart(&all(&shell.reports, connect, written), &read);
    shell.reports.admitted = result.is_ok();
    result
}

/// As [`admit_named`], for a manifest that cannot be parsed: a form is not written to a file whose name the text has.
pub fn admit_unparsed(shell: &mut Shell, text: &str) {
    let is_named = |path: &Path| path.file_name().is_some_and(|name| text.contains(&*name.to_string_lossy()));
    let named = shell.reports.files().into_iter().find(|(_, path)| is_named(path));
    if let Some((option, path)) = named.map(|(option, path)| (option, path.display().to_string())) {
        shell.reports.admitted = false;
        shell.say.err_line(Error::usage(format!(
            "{option} {path} is not written: the manifest may name this file, and it cannot be parsed"
        )));
    }
}

/// The folder of a new file that `init` or `adopt` is going to write, if it can be.
pub fn new_file(command: &str, out: &Path) -> Result<Folder> {
    free(command, out)?;
    let refused =
        |problem, help: &str| Error::usage(format!("--out {}: {problem}", out.display())).help(help);
    let folder = Folder::of(out)
        .map_err(|problem| refused(problem, "make its folder first, or name another file with --out"))?;
    files::would_write(out)
        .map_err(|problem| refused(problem, "name a file in a folder where you can write"))?;
    Ok(folder)
}

/// Refuses a path at which anything is, even a link that leads nowhere.
pub fn free(command: &str, path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::usage(format!("{} cannot be written: {error}", path.display()))
            .help("name another file with --out")),
        Ok(_) => Err(taken(command, path)),
    }
}

/// Writes a new file, for everybody to read. A file that appeared meanwhile is not replaced either.
pub fn create(command: &str, path: &Path, text: &str) -> Result<()> {
    files::create_atomic(path, text.as_bytes()).map_err(|problem| match problem {
        FileProblem::Exists => taken(command, path),
        problem => Error::internal(format!("{}: {problem}; nothing was written", path.display()))
            .help("name another file with --out"),
    })
}

fn taken(command: &str, path: &Path) -> Error {
    let path = path.display();
    let wrong = format!("{path} is there already, and {command} replaces no file; nothing was written");
    Error::usage(wrong).help("name another file with --out, or move that one away")
}

/// All files that the command writes.
fn all<'a>(
    reports: &'a Reports,
    connect: Option<&'a ConnectArgs>,
    written: &[Written<'a>],
) -> Vec<Written<'a>> {
    let mut all = written.to_vec();
    if let Some(LedgerPlace::File(path)) = connect.map(|connect| &connect.ledger) {
        all.push(("--ledger", path));
    }
    let world = connect.and_then(|connect| connect.twin.as_deref()).filter(|file| !file.is_empty());
    all.extend(world.map(|path| ("--twin", Path::new(path))));
    all.extend(reports.files());
    all
}
