//! What a watch saw after an apply, and what became of the run.

use serde_json::{Value as Json, json};

use crate::model::codes::{self, Code};
use crate::model::health::{Health, Verdict};
use crate::model::plan::{Finding, Level};

/// The next move where nothing shows that messages arrive.
const LOOK_LATER: &str = "the run stays; look again with `lockstep status` once users have asked for codes";

/// Why a rollback that ended well changed nothing.
pub const NOTHING_TO_TAKE_BACK: &str = "what ran before is the same, so there was nothing to take back";

/// What a watch saw and did.
#[derive(Clone, Debug)]
pub struct Watched {
    pub health: Health,
    /// What came of taking the run back; `None`: it stays.
    pub back: Option<Back>,
}

/// What came of taking a run back.
#[derive(Clone, Debug)]
pub struct Back {
    /// `done`, `failed` and so on, as of any run.
    pub ended: &'static str,
    /// Why it did not end as planned.
    pub why: Option<String>,
    /// The steps that were done, in words.
    pub done: Vec<String>,
    /// What stays as the run left it, and why, in words.
    pub left: Vec<String>,
}

impl Back {
    /// Whether nothing stays of the run.
    fn is_whole(&self) -> bool {
        self.ended == "done" && self.why.is_none() && self.left.is_empty()
    }
}

impl Watched {
    /// What there is to look at.
    pub fn findings(&self) -> Vec<Finding> {
        let mut out: Vec<Finding> = finding(&self.health).into_iter().collect();
        if let Some(finding) = out.first_mut() {
            finding.help = self.help();
        }
        out
    }

    /// The outcome in one sentence.
    pub fn line(&self) -> String {
        let Health { verdict, reasons, counts, since, until, .. } = &self.health;
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        let seen = if *verdict == Verdict::NotRead { String::new() } else { format!(" ({})", counts.line()) };
        let back = match &self.back {
            Some(back) if back.is_whole() => "; the run was taken back",
            Some(back) if back.ended == "done" && back.left.is_empty() => {
                &format!("; {NOTHING_TO_TAKE_BACK}")
            }
            Some(back) if back.ended == "done" => "; not all of the run could be taken back",
            Some(_) => "; the run could not be taken back",
            None if *verdict == Verdict::Failing => {
                "; the version before ended with the same failures, so the run was not taken back"
            }
            None => "",
        };
        format!("watch from {since} to {until}: {}{why}{seen}{back}", verdict.words())
    }

    /// The next move; empty if there is none.
    pub fn help(&self) -> String {
        match (&self.back, self.health.verdict) {
            (Some(back), _) if back.ended == "done" && !back.left.is_empty() => {
                format!("{}; apply the former revision of the manifest", back.left.join("; "))
            }
            (Some(back), _) if back.ended == "done" && back.why.is_some() => {
                "mend what failed: it fails with what ran before, too".to_owned()
            }
            (Some(Back { ended: "done", .. }), _) => {
                "mend what failed, then apply again: this manifest would bring the same back".to_owned()
            }
            (Some(back), _) => format!(
                "{}; take it back with `lockstep rollback`, or apply the former revision of the manifest",
                back.why.clone().unwrap_or_else(|| back.ended.to_owned())
            ),
            (None, Verdict::Failing) => {
                "mend what the codes name (`lockstep explain LS0620`), then apply again".to_owned()
            }
            (None, Verdict::TooFew) => LOOK_LATER.to_owned(),
            (None, Verdict::NotRead) => {
                "the run stays, and nothing watched it to the end: look at the log in the dashboard"
                    .to_owned()
            }
            (None, Verdict::Healthy) => String::new(),
        }
    }

    pub(super) fn json(&self) -> Json {
        let back = self
            .back
            .as_ref()
            .map(|Back { ended, why, done, left }| json!({ "ended": ended, "why": why, "done": done, "left": left }));
        json!({ "health": self.health, "back": back })
    }
}

/// The code of a verdict; `None`: there is nothing to look at.
pub fn code(verdict: Verdict) -> Option<Code> {
    match verdict {
        Verdict::Healthy => None,
        Verdict::Failing => Some(codes::RUN_FAILS),
        Verdict::TooFew => Some(codes::LOG_SAYS_TOO_LITTLE),
        Verdict::NotRead => Some(codes::LOG_NOT_READ),
    }
}

/// What the log shows, as a finding.
pub fn finding(health: &Health) -> Option<Finding> {
    let level = match health.verdict {
        Verdict::Failing => Level::Warning,
        Verdict::TooFew | Verdict::Healthy => Level::Note,
        Verdict::NotRead => Level::NotRead,
    };
    let text = format!("{}: {}", health.verdict.words(), health.reasons.join("; "));
    let help = match health.verdict {
        Verdict::Failing => "see what failed in the tenant log; `lockstep rollback` takes the last run back",
        Verdict::TooFew => "look again once users have asked for codes",
        Verdict::Healthy | Verdict::NotRead => "",
    };
    let code = code(health.verdict)?;
    Some(Finding { code, address: "tenant_log".into(), text, help: help.into(), level })
}
