//! Which plans are worth a watch: those after which users meet something new.

use crate::model::facts::{ActionState, Fact};
use crate::model::plan::{Plan, Step};

/// Whether a step of the plan deploys code, changes who sends, or shows users a factor.
pub fn is_watched(plan: &Plan) -> bool {
    !plan.destroy && plan.steps.iter().any(|step| !step.again && brings_news(step))
}

fn brings_news(step: &Step) -> bool {
    use Fact::{
        Action, Bound, Customize, Factor, FeedbackAction, FeedbackBound, LegacyAction, LegacyBound,
        MessageTypes, Policy, Provider, Rules, RulesAction, RulesBound, Selected, Unified,
    };
    step.effects.any(|fact| match fact {
        Action(state) | LegacyAction(state) | RulesAction(state) | FeedbackAction(state) => {
            *state == ActionState::Deployed
        }
        Factor(_, on) => *on == Some(true),
        Bound(_) | LegacyBound(_) | RulesBound(_) | FeedbackBound(_) | Provider(_) | Selected(_)
        | Unified(_) => true,
        MessageTypes(_) | Policy(_) | Customize(_) | Rules(_) => true,
        _ => false,
    })
}
