//! Trusted certificates: those of `--ca-file`, and those that the environment names in place of the system's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::Certificate;

use super::files::{self, FileProblem};

/// Largest certificate file. The CA bundle of a whole system is well below one megabyte.
const CA_FILE_LIMIT_BYTES: u64 = 4 * 1024 * 1024;
/// Most bytes of a folder's files together. A system's folder holds each certificate three times, by links, and a
/// bundle of all.
const CA_FOLDER_LIMIT_BYTES: u64 = 4 * CA_FILE_LIMIT_BYTES;
/// Most entries of a folder. A system's folder has some hundred.
const CA_FOLDER_FILES_MAX: usize = 10_000;

/// The certificates of `--ca-file`.
///
/// # Errors
/// The file is not a regular file within the bound, or holds no usable certificate.
pub(super) fn load(path: &Path) -> Result<Vec<Certificate>> {
    let shown = path.display();
    let pem = files::read_bounded(path, CA_FILE_LIMIT_BYTES).with_context(|| format!("--ca-file {shown}"))?;
    let roots = Certificate::from_pem_bundle(&pem)
        .map_err(|_| anyhow!("--ca-file {shown}: a certificate in it is damaged"))?;
    if roots.is_empty() {
        bail!("--ca-file {shown}: no certificate in it; expected PEM with BEGIN CERTIFICATE");
    }
    Ok(roots)
}

/// Checks the files and folders of `SSL_CERT_FILE` and `SSL_CERT_DIR` before the library reads them: the library would
/// wait for a named pipe and keep everything that a device returns. A missing file is left to the library, since the
/// other variable may be enough.
///
/// # Errors
/// A named file is not a regular file, or is too large.
pub(super) fn check_named(look_up: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    if let Some(file) = look_up("SSL_CERT_FILE") {
        let shown = PathBuf::from(&file);
        match files::size_of(Path::new(&file), CA_FILE_LIMIT_BYTES) {
            Ok(_) | Err(FileProblem::NotFound) => {}
            Err(problem) => {
                return Err(problem).with_context(|| format!("SSL_CERT_FILE {}", shown.display()));
            }
        }
    }
    for folder in look_up("SSL_CERT_DIR").iter().flat_map(std::env::split_paths) {
        check_folder(&folder).with_context(|| format!("SSL_CERT_DIR {}", folder.display()))?;
    }
    Ok(())
}

fn check_folder(folder: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let mut left = CA_FOLDER_LIMIT_BYTES;
    for (index, entry) in entries.flatten().enumerate() {
        if index >= CA_FOLDER_FILES_MAX {
            bail!("it has more than {CA_FOLDER_FILES_MAX} entries");
        }
        // The library reads only the regular files of a folder.
        let Ok(size) = files::size_of(&entry.path(), u64::MAX) else { continue };
        if size > CA_FILE_LIMIT_BYTES {
            let name = entry.file_name();
            return Err(FileProblem::TooLarge(CA_FILE_LIMIT_BYTES))
                .with_context(|| Path::new(&name).display().to_string());
        }
        left = left
            .checked_sub(size)
            .ok_or_else(|| anyhow!("its files have more than {CA_FOLDER_LIMIT_BYTES} bytes together"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_support::TestFolder;

    fn checked(name: &str, value: &Path) -> Result<(), String> {
        let named = |asked: &str| (asked == name).then(|| value.as_os_str().to_owned());
        check_named(named).map_err(|error| format!("{error:#}"))
    }

    fn sparse(path: &Path, bytes: u64) {
        std::fs::File::create(path).and_then(|file| file.set_len(bytes)).expect("file");
    }

    #[test]
    fn what_is_no_regular_file_or_too_large_is_refused_by_the_name_of_the_variable() {
        let folder = TestFolder::new();
        let (pipe, large) = (folder.path().join("pipe"), folder.path().join("large"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run");
        assert!(made.success());
        sparse(&large, CA_FILE_LIMIT_BYTES + 1);
        for (path, why) in [
            (pipe.as_path(), "not a regular file"),
            (Path::new("/dev/zero"), "not a regular file"),
            (folder.path(), "not a regular file"),
            (large.as_path(), "larger than"),
        ] {
            let error = checked("SSL_CERT_FILE", path).expect_err("refused");
            assert!(error.contains("SSL_CERT_FILE") && error.contains(why), "{error}");
        }
        let error = checked("SSL_CERT_DIR", folder.path()).expect_err("refused");
        assert!(error.contains("SSL_CERT_DIR") && error.contains("large: it is larger than"), "{error}");
    }

    #[test]
    fn what_the_library_passes_over_is_passed_over() {
        let folder = TestFolder::new();
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status();
        assert!(made.expect("mkfifo can be run").success());
        let good = folder.path().join("ca.pem");
        sparse(&good, CA_FILE_LIMIT_BYTES);
        for (name, path) in [
            ("SSL_CERT_FILE", good.as_path()),
            ("SSL_CERT_FILE", Path::new("/not/there")),
            ("SSL_CERT_FILE", Path::new("")),
            ("SSL_CERT_DIR", folder.path()),
            ("SSL_CERT_DIR", Path::new("/not/there:")),
            ("OTHER", Path::new("/dev/zero")),
        ] {
            assert_eq!(checked(name, path), Ok(()), "{name} {}", path.display());
        }
        for index in 0..4 {
            sparse(&folder.path().join(format!("{index}.pem")), CA_FILE_LIMIT_BYTES);
        }
        let error = checked("SSL_CERT_DIR", folder.path()).expect_err("five of them");
        assert!(error.contains("together"), "{error}");
    }
}
