//! Collects the words of the sources: messages, help (from comments), names (from identifiers), and the words of JSON
//! documents (from their schemas). Hiding a secret must never cut one of these words out of our own output, see
//! `src/model/scrub.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut words = BTreeSet::new();
    let crates: Vec<_> = fs::read_dir("..")?.collect::<io::Result<_>>()?;
    for root in crates.iter().map(fs::DirEntry::path).chain([PathBuf::from("../..")]) {
        let folder = root.join("src");
        println!("cargo::rerun-if-changed={}", folder.display());
        read_words(&folder, &mut words)?;
    }
    let folder = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    // Sorted, for a binary search.
    let words: Vec<String> = words.into_iter().collect();
    fs::write(Path::new(&folder).join("words.rs"), format!("&{words:?}"))
}

fn read_words(path: &Path, words: &mut BTreeSet<String>) -> io::Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| read_words(&entry?.path(), words));
    }
    if path.extension().is_some_and(|extension| extension == "rs" || extension == "json") {
        let text = fs::read_to_string(path)?.to_ascii_lowercase();
        for name in text.split(|ch: char| !ch.is_ascii_alphabetic() && ch != '_') {
            words.extend(name.split('_').chain([name]).filter(|word| word.len() > 2).map(str::to_owned));
        }
    }
    Ok(())
}
