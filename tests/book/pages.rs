//! The pages as text: their blocks, their links, and the summary.

use std::collections::BTreeSet;
use std::path::Path;

/// A page of the book; its name is its path below `docs`.
pub struct Page {
    pub name: String,
    pub text: String,
}

/// A block between fences.
#[derive(Debug)]
pub struct Block<'a> {
    /// Where the fence stands, counted from 1.
    pub line: usize,
    pub info: &'a str,
    pub body: Vec<&'a str>,
    /// The line above the fence.
    pub above: &'a str,
}

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
const SUMMARY: &str = "SUMMARY.md";

/// Every Markdown file of the book, the summary too.
pub fn all() -> Vec<Page> {
    let mut names: Vec<String> = std::fs::read_dir(BOOK)
        .expect("docs")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"))
        .collect();
    names.sort();
    names.into_iter().map(|name| Page { text: read(&name), name }).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(BOOK).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The blocks of a page, and the lines outside them with their numbers.
pub fn split(text: &str) -> (Vec<Block<'_>>, Vec<(usize, &str)>) {
    let (mut blocks, mut prose): (Vec<Block<'_>>, Vec<(usize, &str)>) = Default::default();
    let (mut open, mut above) = (None, "");
    for (line, text) in (1..).zip(text.lines()) {
        let content = text.trim_start();
        let (indent, ticks) =
            (text.len() - content.len(), content.len() - content.trim_start_matches('`').len());
        match open {
            None if ticks >= 3 => {
                open = Some((indent, ticks));
                blocks.push(Block { line, info: content[ticks..].trim(), body: Vec::new(), above });
            }
            None => prose.push((line, text)),
            Some((_, length)) if ticks >= length && content.len() == ticks => open = None,
            Some((indent, _)) => {
                let body = &mut blocks.last_mut().expect("an open block").body;
                body.push(text.get(indent..).unwrap_or(content));
            }
        }
        above = text;
    }
    assert!(open.is_none(), "a block has no end");
    (blocks, prose)
}

/// The targets of the links outside blocks and code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in split(text).1 {
        let plain: String = text.split('`').step_by(2).collect();
        let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.map(|(target, _)| (line, target.to_owned())));
    }
    found
}

/// What can stand behind `#` in a link to this page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = split(text).1.into_iter().filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| slug(line.trim_start_matches('#').trim())).collect()
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|ch| ch.is_alphanumeric() || matches!(ch, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// What is wrong with a link of a page; `None` if it leads somewhere. A link to the web is not followed.
fn dead(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let name = if file.is_empty() { &page.name } else { file };
    if name.contains("..") {
        return Some("leads out of the book; write the name of the file as code, without a link".into());
    }
    let path = Path::new(BOOK).join(name);
    if !path.is_file() {
        return Some("there is no such file".into());
    }
    let found = anchor.is_empty() || anchors(&read(name)).contains(anchor);
    (!found).then(|| format!("{name} has no heading for #{anchor}"))
}

#[test]
fn no_link_is_dead() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in all() {
        for (line, target) in links(&page.text) {
            count += 1;
            let problem = dead(&page, &target);
            wrong.extend(problem.map(|what| format!("docs/{}:{line}: {target}: {what}", page.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 50, "{count} links are in the book");
}

/// The files at the root link into the book and to each other.
#[test]
fn no_link_of_the_root_is_dead() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(root.join(name)).expect(name);
        for (line, target) in links(&text).into_iter().filter(|(_, target)| !target.starts_with("https://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = std::fs::read_to_string(root.join(if file.is_empty() { name } else { file }));
            let found = to.as_ref().is_ok_and(|to| anchor.is_empty() || anchors(to).contains(anchor));
            let is_picture = file.ends_with(".png") && root.join(file).is_file();
            if !found && !is_picture && !root.join(file).is_dir() {
                wrong.push(format!("{name}:{line}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_summary_once() {
    let mut listed: Vec<String> = links(&read(SUMMARY)).into_iter().map(|(_, target)| target).collect();
    listed.sort();
    let mut pages: Vec<String> = all().into_iter().map(|page| page.name).collect();
    pages.retain(|name| name != SUMMARY);
    assert_eq!(listed, pages, "left: what docs/SUMMARY.md lists; right: the pages in docs");
}

#[test]
fn a_dead_link_is_found() {
    let page = Page { name: "laws.md".into(), text: String::new() };
    assert_eq!(dead(&page, "record.md"), Some("there is no such file".into()));
    assert_eq!(dead(&page, "laws.md#no-such-law"), Some("laws.md has no heading for #no-such-law".into()));
    assert_eq!(dead(&page, "#no-such-law"), Some("laws.md has no heading for #no-such-law".into()));
    assert!(dead(&page, "../README.md").is_some_and(|why| why.starts_with("leads out")));
    assert_eq!(dead(&page, "twin.md#unknowns"), None);
    let text = "# A `b` c\n[x](y.md) `[no](link)`\n```text\n[no](link)\n```\n- [z](#a-b-c) and [w](w.md#1)";
    let found: Vec<(usize, String)> =
        [(2, "y.md"), (6, "#a-b-c"), (6, "w.md#1")].map(|(at, link)| (at, link.to_owned())).into();
    assert_eq!(links(text), found);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c".to_owned()]));
}
