//! The user at the terminal, who sees each plan and decides about it.

use std::collections::BTreeSet;

use super::error::{Error, Result};
use super::reviewed::Reviewed;
use super::setup::Shell;
use crate::diag::codes;
use crate::engine::reconcile::{Decided, Decision};
use crate::model::plan::Plan;
use crate::model::text;
use crate::plan::render::{self, Paint};
use crate::shell::clock::Clock;
use crate::shell::secrets::Scrub;
use crate::shell::signals::Signals;
use crate::shell::terminal::{AskProblem, Say};

/// Asks a question that a command answers with `--yes` otherwise. `left`: what did not happen without an answer, in words.
///
/// # Errors
/// There is no terminal to ask at.
pub fn agrees(question: &str, left: &str, shell: &mut Shell) -> Result<bool> {
    let signals = shell.signals.clone();
    match shell.say.ask(question, &signals) {
        Ok(true) => Ok(true),
        Ok(false) | Err(AskProblem::NoAnswer) => {
            shell.say.err_line(format!("not confirmed; {left}"));
            Ok(false)
        }
        Err(AskProblem::NotATerminal) => {
            let nobody = Error::internal(format!("nobody is there to ask (no terminal); {left}"));
            Err(nobody.code(codes::NOT_CONFIRMED).help("add --yes"))
        }
    }
}

/// Shows plans and asks about them.
pub struct Asker {
    say: Say,
    scrub: Scrub,
    signals: Signals,
    clock: Clock,
    /// How long the user was asked about the current plan, in ms.
    asked_ms: u64,
    /// stdout holds another form than text, and nothing else.
    quiet: bool,
    /// `--yes`
    yes: bool,
    /// What was reviewed before this run; no other plan is carried out.
    reviewed: Reviewed,
}

impl Asker {
    /// Asks at the terminal of this shell, unless `yes` or what was reviewed decides.
    pub fn new(shell: &Shell, quiet: bool, yes: bool, reviewed: Reviewed) -> Asker {
        Asker {
            say: shell.say.clone(),
            scrub: shell.scrub.clone(),
            signals: shell.signals.clone(),
            clock: Clock::start(),
            asked_ms: 0,
            quiet,
            yes,
            reviewed,
        }
    }

    /// Decides what happens to a plan.
    pub fn decide(&mut self, plan: &Plan) -> Decided {
        self.asked_ms = 0;
        let decision = self.decision(plan);
        Decided { decision, asked_ms: self.asked_ms }
    }

    fn decision(&mut self, plan: &Plan) -> Decision {
        let shown = self.scrub.plan(plan);
        if let Some(what) = self.reviewed.differs(plan, &shown) {
            // Shows what an apply would do now. The message that nothing was done comes last.
            self.say.err(&render::plan(&shown, Paint(self.say.err_color())));
            return Decision::Stale(what);
        }
        if !self.quiet {
            self.say.out(&render::plan(&shown, Paint(self.say.out_color())));
        }
        let asks = !self.yes && !self.reviewed.is_any();
        if asks && !self.quiet {
            let named = self.named(plan);
            if !named.is_empty() {
                return Decision::Name(named);
            }
        }
        if plan.blockers().next().is_some() || !plan.has_work() {
            return Decision::Apply;
        }
        if self.quiet && !self.yes {
            // The user can confirm only a plan that was shown.
            self.say.err(&render::plan(&shown, Paint(self.say.err_color())));
        }
        if self.say.out_failed().is_some() {
            self.say.err_line("the plan could not be shown; nothing was changed");
            return Decision::Leave("the plan could not be shown".into());
        }
        // A plan that only repeats what the tenant refused before was confirmed the first time.
        match self.yes || plan.is_empty() {
            true => Decision::Apply,
            false => self.confirmed(plan),
        }
    }

    fn ask<T>(&mut self, question: impl FnOnce(&mut Say, &Signals) -> T) -> T {
        let asked_at_ms = self.clock.now_ms();
        let answer = question(&mut self.say, &self.signals);
        self.asked_ms += self.clock.now_ms() - asked_at_ms;
        answer
    }

    /// Asks for the id of each object that only an unproven record assigns to this stack. Returns the ids that the user
    /// typed.
    fn named(&mut self, plan: &Plan) -> BTreeSet<String> {
        let mut named = BTreeSet::new();
        for object in &plan.unproven {
            let question = text::line(&format!(
                "{}: {}. To do this, type {} (anything else leaves it as it is):",
                object.address, object.what, object.id
            ));
            match self.ask(|say, signals| say.ask_word(&question, signals)) {
                Ok(word) if word == object.id => drop(named.insert(word)),
                Ok(_) => {}
                Err(_) => return BTreeSet::new(),
            }
        }
        named
    }

    fn confirmed(&mut self, plan: &Plan) -> Decision {
        let question = question(plan);
        let why = match self.ask(|say, signals| say.ask(&question, signals)) {
            Ok(true) => return Decision::Apply,
            Ok(false) => "not confirmed",
            Err(AskProblem::NoAnswer) => "no answer",
            Err(AskProblem::NotATerminal) => {
                let why = "nobody is there to ask (no terminal)";
                let error = Error::internal(format!("{why}; nothing was changed")).code(codes::NOT_CONFIRMED);
                self.say.err_line(error.help("add --yes to go on without asking"));
                return Decision::Leave(why.into());
            }
        };
        self.say.err_line(format!("{why}; nothing was changed"));
        Decision::Leave(why.into())
    }
}

/// The question before anything is done.
fn question(plan: &Plan) -> String {
    let dangerous = plan.steps.iter().filter(|step| step.danger.is_some()).count();
    let counts = || render::counts(plan).join(", ");
    let what = match (plan.destroy, plan.rollback) {
        (true, _) => format!("Destroy the stack {} ({})", text::line(&plan.stack), counts()),
        (_, true) => format!("Take back the last run ({})", counts()),
        _ => "Apply these changes".to_owned(),
    };
    match dangerous {
        0 => format!("{what}?"),
        1 => format!("{what}, 1 dangerous step among them?"),
        n => format!("{what}, {n} dangerous steps among them?"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn a_destroy_is_asked_about_as_one() {
        let resource = |address: &str, verb: &str| json!({ "address": address, "kind": address, "verb": verb, "changes": [], "unknown": [], "ids": {} });
        let mut plan = json!({
            "format": 1, "stack": "acme", "tenant": "acme-dev.eu.auth0.com", "account": "AC1", "destroy": true,
            "resources": [resource("action", "delete"), resource("mfa_policy", "update")],
            "steps": [], "findings": [], "record": true, "basis": "",
        });
        let asked = |plan: &Json| question(&serde_json::from_value(plan.clone()).expect("a plan"));
        assert_eq!(asked(&plan), "Destroy the stack acme (1 to put back, 1 to delete)?");
        plan["destroy"] = json!(false);
        assert_eq!(asked(&plan), "Apply these changes?");
    }
}
