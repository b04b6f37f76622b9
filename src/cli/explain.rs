//! `lockstep explain`: prints the page of a code, or documents a key of the manifest.

use super::error::{Error, Result};
use super::exit::Exit;
use super::setup::Shell;
use crate::diag::codes::{self, Code};
use crate::diag::nearest;
use crate::manifest::explain;
use crate::plan::desired::tables;

/// Explain a code or a key of the manifest
///
/// Every error, warning and finding has a code: LS0104 may also be written ls104 or 104. Its page says what it means, shows
/// an example and the same mended, and names the next move. A key or a section of the manifest is documented with its
/// type, default and an example. Without an argument, all codes are listed.
///
/// Example: lockstep explain LS0104
#[derive(clap::Args)]
pub struct Args {
    /// Codes, keys (verify_service.code_length) and sections (verify_service)
    #[arg(value_name = "CODE|KEY")]
    words: Vec<String>,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if args.words.is_empty() {
        for (code, sentence) in codes::ALL {
            shell.say.out_line(format!("{code}  {sentence}"));
        }
        return Ok(Exit::Done);
    }
    // All are looked up before the first is printed, so that a wrong word is not lost at the end of long pages.
    let pages: Vec<String> = args.words.iter().map(|word| page(word)).collect::<Result<_>>()?;
    shell.say.out(&pages.join("\n"));
    Ok(Exit::Done)
}

fn page(word: &str) -> Result<String> {
    let code = Code::parse(word);
    if let Some(page) = code.and_then(Code::page) {
        return Ok(plain(page));
    }
    if let Some(text) = explain::explain(&tables(), word) {
        return Ok(text);
    }
    let what = if code.is_some() { "no code" } else { "no code and no key of the manifest" };
    let near = near(word, code).map(|near| format!("; the nearest is {near}")).unwrap_or_default();
    Err(Error::usage(format!("{word:?} is {what}{near}"))
        .help("`lockstep explain` lists the codes, docs/manifest.md the keys"))
}

/// A page for a person: what stands behind the language of a block is for the test that runs the examples.
fn plain(page: &str) -> String {
    let line = |line: &str| match line.strip_prefix("```") {
        Some(info) => format!("```{}\n", info.split(' ').next().unwrap_or_default()),
        None => format!("{line}\n"),
    };
    page.lines().map(line).collect()
}

/// The code or key that may have been meant: the word with the fewest changes, or the code whose number is nearest.
fn near(word: &str, code: Option<Code>) -> Option<String> {
    let listed = || codes::ALL.iter().map(|(code, _)| code.to_string());
    let known: Vec<String> = explain::keys(&tables()).into_iter().chain(listed()).collect();
    let found = nearest(word, known.iter().map(String::as_str)).filter(|_| code.is_none());
    let digits: String = word.chars().filter(char::is_ascii_digit).collect();
    let number = || digits.parse::<u16>().ok().filter(|_| !word.contains('.'));
    let by_number = |number: u16| codes::ALL.iter().min_by_key(|(code, _)| code.number().abs_diff(number));
    found.map(str::to_owned).or_else(|| number().and_then(by_number).map(|(code, _)| code.to_string()))
}
