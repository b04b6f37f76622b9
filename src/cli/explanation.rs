//! `plan --explain`: the review of a plan, step by step.

use std::ffi::OsString;

use super::error::{Error, Result};
use crate::engine::observe::Observation;
use crate::manifest::Source;
use crate::model::manifest::Manifest;
use crate::model::plan::Plan;
use crate::plan::explain::{Explanation, explain};
use crate::plan::rehearsal::Scene;
use crate::port::Replies;

/// Explains the steps of a plan, or the step with this number.
pub fn of(
    number: usize,
    observation: &Observation,
    replies: Replies,
    manifest: &Manifest,
    source: &Source,
) -> Result<Vec<Explanation>> {
    let plan = &observation.plan;
    is_there(number, plan)?;
    let scene =
        Scene { plan, manifest, seen: &observation.seen, ledger: observation.found.ledger.as_ref(), replies };
    let mut all = explain(&scene, source);
    all.retain(|one| number == ALL || one.step == number);
    Ok(all)
}

/// Refuses the number of a step that the plan does not have.
pub fn is_there(number: usize, plan: &Plan) -> Result<()> {
    let there = match plan.steps.len() {
        steps if number <= steps => return Ok(()),
        0 => "this plan has no steps, so there is nothing to explain".to_owned(),
        1 => "this plan has step 1 alone".to_owned(),
        steps => format!("this plan has the steps 1 to {steps}"),
    };
    Err(Error::usage(format!("--explain {number}: {there}"))
        .help("leave the number out, which explains every step that there is"))
}

/// The words of a command line, with `--explain N` as `--explain=N`: without the sign, the word behind the option could
/// as well be the manifest.
pub fn joined(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    for word in words {
        let is_number = !word.is_empty() && word.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        match out.last_mut().filter(|last| is_number && *last == "--explain") {
            Some(option) => {
                option.push("=");
                option.push(word);
            }
            None => out.push(word),
        }
    }
    out
}

/// `--explain` without a number.
pub const ALL: usize = 0;

/// Reads the number of a step. There is no step 0.
pub fn step(text: &str) -> Result<usize, String> {
    match text.parse() {
        _ if text == "all" => Ok(ALL),
        Ok(ALL) | Err(_) => Err("a step has a number from 1, as the plan shows it".into()),
        Ok(number) => Ok(number),
    }
}
