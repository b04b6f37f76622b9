//! Proves law 1 over every prefix of a plan: what worked before a step works after it. The proof is a table of rules
//! about the known delivery path of the login; docs/laws.md has a heading for each rule.

use crate::model::codes::{self, Code};
use crate::model::facts::{ActionState, Binding, Channel, Fact, Factor, Provider, Sender};
use crate::model::login_path::{LoginPath, OurAction};
use crate::model::plan::{Stage, Step};

/// A breach of a rule by a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Number of the step.
    pub step: usize,
    /// Name of the broken rule.
    pub rule: &'static str,
    /// Code of the rule.
    pub code: Code,
    pub advice: Advice,
    /// The loss, in words.
    pub what: String,
    /// Users are locked out, or a rule of order is broken, so that no confirmation makes the step right.
    pub absolute: bool,
}

/// Something that a step must not do.
pub struct Rule {
    /// Code of the finding about a step that breaks the rule.
    pub code: Code,
    /// Heading of the rule in docs/laws.md.
    pub name: &'static str,
    /// What the rule protects; the first line below the heading.
    pub protects: &'static str,
    /// What to do about a step that breaks the rule.
    pub advice: Advice,
    /// The losses of a step, given the path before and after it.
    broken: fn(&LoginPath, &Step, &LoginPath) -> Vec<Broken>,
}

/// What to do about a step that the proof refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Another factor has to stay usable, or nobody may be asked for one.
    Factors,
    /// The sender has to be ready first. The manifest may leave the sender to others.
    Sender,
    /// Only one Action may stay on the trigger.
    OneSender,
    /// Verify has to hear which codes were used.
    Feedback,
}

/// A loss in words, and whether it is absolute (see [`Loss`]).
type Broken = (String, bool);

/// The rules, in the order in which a step's losses are named.
pub const RULES: &[Rule] = &[
    Rule {
        code: codes::DELIVERY_STOPS,
        name: "What reaches users goes on",
        protects: "codes by SMS and by voice, and all phone messages of the tenant",
        advice: Advice::Factors,
        broken: stopped,
    },
    Rule {
        code: codes::HANDED_TO_OTHERS,
        name: "A hand-over to an Action of others is confirmed",
        protects: "messages that another sender delivers so far",
        advice: Advice::Factors,
        broken: handed_to_others,
    },
    Rule {
        code: codes::NO_FACTOR,
        name: "A factor that is demanded can be used",
        protects: "logins that the policy asks for a second factor",
        advice: Advice::Factors,
        broken: |before, step, after| {
            let begins = !before.locked_out() || asks_again(before, step);
            refused(after.locked_out() && begins, "a second factor is demanded and none can be used")
        },
    },
    Rule {
        code: codes::RULE_UNMET,
        name: "A rule can be met",
        protects: "logins that a rule of the post-login Action asks, and each way to meet the rule",
        advice: Advice::Factors,
        broken: unmet_rules,
    },
    Rule {
        code: codes::OTHERS_UNMET,
        name: "Other people's Actions can be met",
        protects: "logins that post-login Actions of others ask",
        advice: Advice::Factors,
        broken: unmet_by_others,
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "Rules are deployed before they are bound",
        protects: "logins that the rules are meant for",
        advice: Advice::Factors,
        broken: |before, _, after| {
            let bound = |path: &LoginPath| path.post_login.bound.is(&Binding::Bound);
            let what = "the Action with the rules is bound before it is deployed";
            refused(bound(after) && !bound(before) && !after.rules_run(), what)
        },
    },
    Rule {
        code: codes::RULE_UNMET,
        name: "The tenant can ask for what rules demand",
        protects: "logins that a rule fits",
        advice: Advice::Factors,
        broken: |before, _, after| {
            let fail = |path: &LoginPath| path.rules_run() && path.challenges_fail();
            let what = "the logins that a rule fits fail, because the tenant cannot ask for its factors";
            refused(fail(after) && !fail(before), what)
        },
    },
    Rule {
        code: codes::NOTHING_DELIVERS,
        name: "The phone factor comes after what delivers",
        protects: "users who are offered the phone",
        advice: Advice::Sender,
        broken: |_, step, after| {
            let comes = step.effects.has(&Fact::Factor(Factor::Phone, Some(true)));
            let what = "the phone factor is switched on before anything can deliver";
            refused(comes && after.delivers_any() == Some(false), what)
        },
    },
    Rule {
        code: codes::BINDING_REFUSED,
        name: "Nobody has the phone alone while its binding is refused",
        protects: "users for whom nobody knows whether codes arrive",
        advice: Advice::Factors,
        broken: |before, step, after| {
            let begins = !before.leans() || asks_again(before, step);
            refused(after.leans() && begins, &format!("{REFUSED}, and the phone would be the only factor"))
        },
    },
    Rule {
        code: codes::OTHERS_UNBOUND,
        name: "Users do not depend on an unbound Action of others",
        protects: "users for whom nobody knows whether codes arrive",
        advice: Advice::Sender,
        broken: |before, step, after| {
            let what = "the Action that sends is not of this stack and is not bound, so whether codes arrive is not known";
            refused(after.is_unlisted() && is_met(before, step, after), what)
        },
    },
    Rule {
        code: codes::SENT_TWICE,
        name: "Each message is sent once",
        protects: "users, who would get each code twice",
        advice: Advice::OneSender,
        broken: |before, _, after| {
            let what =
                "several Actions of others run on the trigger, so each message would be sent several times";
            refused(after.sends_twice() && !before.sends_twice(), what)
        },
    },
    Rule {
        code: codes::FORMER_ALONE,
        name: "Nobody has the codes of a former version alone",
        protects: "users for whom nobody can prove that codes arrive",
        advice: Advice::Factors,
        broken: |before, _, after| {
            let begins = after.leans_on_former() && !before.leans_on_former();
            refused(begins, "logins would have codes of a former version alone, which may fail")
        },
    },
    Rule {
        code: codes::BINDING_REFUSED,
        name: "The unified experience needs a binding that is taken",
        protects: "codes of a tenant that leaves the legacy set-up",
        advice: Advice::Factors,
        broken: |_, step, after| {
            let what = format!("{REFUSED}, and the unified experience sends by it alone");
            refused(step.effects.has(&Fact::Unified(Some(true))) && after.is_refused(), &what)
        },
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "An Action is deployed before it is bound",
        protects: "codes that the trigger hands to the Action",
        advice: Advice::Factors,
        broken: |before, step, _| {
            let (phone, legacy) = (Fact::Bound(Binding::Bound), Fact::LegacyBound(Binding::Bound));
            let does = |fact: &Fact, action: &OurAction| step.effects.has(fact) && !action.may_run();
            let early = does(&phone, &before.phone) || does(&legacy, &before.legacy);
            refused(early, "the Action is bound before it is deployed")
        },
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "An Action is deployed before the provider sends by it",
        protects: "phone messages of the tenant",
        advice: Advice::Sender,
        broken: |before, step, _| {
            let early = step.effects.has(&Fact::Provider(Provider::Custom)) && !before.phone.may_run();
            refused(early, "the provider is switched to an Action that is not deployed")
        },
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "An Action is deployed before codes are handed to it",
        protects: "codes of the legacy set-up",
        advice: Advice::Sender,
        broken: |before, step, _| {
            let early = step.effects.has(&HANDS_OVER) && !before.legacy.may_run();
            refused(early, "codes are handed to an Action that is not deployed")
        },
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "An Action is there before it is deployed",
        protects: "the order of a plan: the API refuses such a deployment",
        advice: Advice::Factors,
        broken: |before, step, _| {
            let early = becomes(step, before, ActionState::Deployed)
                .any(|action| action.state.is(&ActionState::Absent));
            refused(early, "the Action is deployed before it is there")
        },
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "An Action is unbound before it is deleted",
        protects: "the order of a plan: the API refuses such a deletion",
        advice: Advice::Factors,
        broken: |before, step, _| {
            let early =
                becomes(step, before, ActionState::Absent).any(|action| action.bound.is(&Binding::Bound));
            refused(early, "the Action is deleted while it is bound, which the API refuses")
        },
    },
    Rule {
        code: codes::OUT_OF_ORDER,
        name: "An Action is bound before codes are handed to it",
        protects: "codes of the legacy set-up",
        advice: Advice::Sender,
        broken: |before, step, _| {
            let early = step.effects.has(&HANDS_OVER) && before.legacy.bound.is(&Binding::Unbound);
            refused(early, "codes are handed to an Action that is not bound")
        },
    },
    Rule {
        code: codes::NOTHING_DELIVERS,
        name: "The unified experience comes after what delivers",
        protects: "users who have the phone factor",
        advice: Advice::Sender,
        broken: |_, step, after| {
            let comes = step.effects.has(&Fact::Unified(Some(true)));
            let early = comes && after.phone_is_on() != Some(false) && after.delivers_any() == Some(false);
            refused(early, "the unified experience is switched on before anything can deliver")
        },
    },
    Rule {
        code: codes::LIMIT_MISSING,
        name: "Rate limits stand while code passes them",
        protects: "every message of the Action: Verify refuses one that names a limit which is not there",
        advice: Advice::Factors,
        broken: missing_limits,
    },
    Rule {
        code: codes::NO_FEEDBACK,
        name: "Feedback reaches Verify while it sends",
        protects: "users who ask for several codes: without feedback the sixth in ten minutes is refused",
        advice: Advice::Feedback,
        broken: unfed,
    },
];

/// Walks the plan and names every loss. Empty for a safe plan.
pub fn losses(start: &LoginPath, steps: &[Step]) -> Vec<Loss> {
    let mut before = start.clone();
    let mut losses = Vec::new();
    for step in steps {
        let after = before.after(&step.effects);
        for rule in RULES {
            let broken = (rule.broken)(&before, step, &after).into_iter();
            let loss = |(what, absolute)| Loss {
                step: step.number,
                rule: rule.name,
                code: rule.code,
                advice: rule.advice,
                what,
                absolute,
            };
            losses.extend(broken.map(loss));
        }
        before = after;
    }
    losses
}

/// Whether the step may bring users to the phone who did not use it before, or by another way than before.
pub(super) fn exposes(step: &Step) -> bool {
    step.effects.any(|fact| match fact {
        Fact::Unified(_)
        | Fact::MessageTypes(_)
        | Fact::Policy(_)
        | Fact::Bound(_)
        | Fact::LegacyBound(_) => true,
        Fact::Factor(factor, on) => *factor == Factor::Phone && *on == Some(true),
        Fact::Provider(provider) => *provider == Provider::Custom,
        Fact::Selected(_) => *fact == HANDS_OVER,
        Fact::Action(state) | Fact::LegacyAction(state) => *state == ActionState::Deployed,
        _ => false,
    })
}

const REFUSED: &str = "the tenant refuses to bind the Action, so whether codes arrive is not known";

/// The fact that the legacy set-up sends through an Action.
const HANDS_OVER: Fact = Fact::Selected(Some(Sender::Hook));

type Flow = (&'static str, fn(&LoginPath) -> Option<bool>);

/// The ways in which a user depends on the stack. `None`: unknown.
const FLOWS: &[Flow] = &[
    ("codes by SMS", |path| path.code(&Channel::Sms)),
    ("codes by voice", |path| path.code(&Channel::Voice)),
    ("phone messages of the tenant", LoginPath::delivers_any),
];

/// The sending Actions that a step brings into a state, as they were before the step.
fn becomes<'a>(
    step: &'a Step,
    before: &'a LoginPath,
    state: ActionState,
) -> impl Iterator<Item = &'a OurAction> {
    let sending = [(Fact::Action(state), &before.phone), (Fact::LegacyAction(state), &before.legacy)];
    sending.into_iter().filter(|(fact, _)| step.effects.has(fact)).map(|(_, action)| action)
}

/// An absolute loss if the rule is broken, else none.
fn refused(is_broken: bool, what: &str) -> Vec<Broken> {
    if is_broken { vec![(what.to_owned(), true)] } else { Vec::new() }
}

/// Whether from this step on the policy surely asks. While Actions may ask for factors, Auth0's documents disagree
/// about whether the policy asks.
fn asks_again(before: &LoginPath, step: &Step) -> bool {
    let switches_off = before.customize.is(&true) && step.effects.has(&Fact::Customize(Some(false)));
    switches_off || matches!(step.stage, Stage::RaisePolicy | Stage::RaiseBack)
}

/// Whether the step lets users depend on the phone: it switches on the phone factor, the custom provider or the unified
/// experience, or the policy or a rule leaves users no other factor from this step on.
fn is_met(before: &LoginPath, step: &Step, after: &LoginPath) -> bool {
    let sends = [
        Fact::Factor(Factor::Phone, Some(true)),
        Fact::Provider(Provider::Custom),
        Fact::Unified(Some(true)),
    ];
    let alone = after.leaves_the_phone() && (!before.leaves_the_phone() || asks_again(before, step));
    let rules = |path: &LoginPath| path.demands().iter().any(|(_, usable)| *usable == [&Factor::Phone]);
    sends.iter().any(|fact| step.effects.has(fact)) || alone || rules(after) && !rules(before)
}

/// Whether a flow worked before the step. If the step switches away from a legacy sender that could not be read, the
/// sender is taken to work.
fn worked(before: &LoginPath, step: &Step, works: fn(&LoginPath) -> Option<bool>) -> bool {
    let leaves_unread = step.effects.has(&Fact::Unified(Some(true))) && before.selected.get().is_none();
    works(before).unwrap_or(leaves_unread)
}

/// The flows that worked before the step and that an Action of others carries from this step on. Each is a loss,
/// because nobody can read whether that Action works.
fn handed_to_others(before: &LoginPath, step: &Step, after: &LoginPath) -> Vec<Broken> {
    let was = before.is_by_others() && before.unified.is(&false) == after.unified.is(&false);
    let goes_on = |(_, works): &&Flow| worked(before, step, *works) && works(after) != Some(false);
    let what = |(name, _): &Flow| {
        format!(
            "from this step on an Action of others sends; if it does not work, {name} stop, and nobody can read whether it works"
        )
    };
    let flows = FLOWS.iter().filter(|_| after.is_by_others() && !was);
    flows.filter(goes_on).map(|flow| (what(flow), false)).collect()
}

fn stopped(before: &LoginPath, step: &Step, after: &LoginPath) -> Vec<Broken> {
    let unbinds = step.effects.has(&Fact::LegacyBound(Binding::Unbound));
    let handed = unbinds.then(|| (before.handed(), after.handed()));
    let (before, after) = handed.as_ref().map_or((before, after), |(before, after)| (before, after));
    let stops = |(_, works): &&Flow| worked(before, step, *works) && works(after) == Some(false);
    FLOWS.iter().filter(stops).map(|(name, _)| (format!("{name} stop working"), false)).collect()
}

fn unmet_rules(before: &LoginPath, step: &Step, after: &LoginPath) -> Vec<Broken> {
    let former = before.demands();
    let sets_rules = step.effects.any(|fact| matches!(fact, Fact::Rules(_)));
    let anew =
        sets_rules || step.effects.any(|fact| matches!(fact, Fact::RulesAction(_) | Fact::RulesBound(_)));
    let broken = |(rule, usable): (&str, Vec<&Factor>)| {
        let old = former.iter().find(|(name, _)| *name == rule).map(|(_, usable)| usable);
        if usable.is_empty() {
            let begins = anew || old.is_none_or(|old| !old.is_empty());
            return begins
                .then(|| (format!("the rule {rule} demands a second factor and none can be used"), true));
        }
        let old = old.filter(|_| !sets_rules)?;
        let gone: Vec<&str> =
            old.iter().filter(|factor| !usable.contains(factor)).map(|factor| factor.word()).collect();
        let what = || format!("the rule {rule} cannot be met by {} any more", gone.join(", "));
        (!gone.is_empty()).then(|| (what(), false))
    };
    after.demands().into_iter().filter_map(broken).collect()
}

/// Other people's post-login Actions that ask for a factor which a step makes unusable, with the consequence for their
/// logins.
fn unmet_by_others(before: &LoginPath, _step: &Step, after: &LoginPath) -> Vec<Broken> {
    let met = |(action, named): &(String, Vec<Factor>)| {
        let asked: Vec<&Factor> =
            if named.is_empty() { after.factors.keys().collect() } else { named.iter().collect() };
        let gone = asked.iter().filter(|factor| before.can_use(factor) && !after.can_use(factor));
        let gone = gone.map(|factor| if **factor == Factor::Phone { "phone" } else { factor.word() });
        let gone = gone.collect::<Vec<_>>().join(" and ");
        let is_left = asked.iter().any(|factor| **factor != Factor::RecoveryCode && after.can_use(factor));
        let fail = " and for no factor that is left, so the logins that it asks fail";
        let end = if is_left { "" } else { fail };
        let what = format!("the Action {action}, which is not of this stack, asks for {gone}{end}");
        (!gone.is_empty()).then_some((what, false))
    };
    before.others.get().into_iter().flat_map(|others| &others.0).filter_map(met).collect()
}

fn missing_limits(before: &LoginPath, step: &Step, after: &LoginPath) -> Vec<Broken> {
    let phone = step.effects.any(|fact| matches!(fact, Fact::ActionLimits(_)));
    let legacy = step.effects.any(|fact| matches!(fact, Fact::LegacyLimits(_)));
    let broken = |(was, is, deploys): (&OurAction, &OurAction, bool)| {
        let name = after.missing_limit(is)?;
        if deploys {
            let what = format!("the Action is deployed passing the rate limit {name}, which is not there");
            return Some((what, true));
        }
        let what = format!("the deployed Action still passes the rate limit {name}, so its messages fail");
        before.missing_limit(was).is_none().then_some((what, false))
    };
    let both = [(&before.phone, &after.phone, phone), (&before.legacy, &after.legacy, legacy)];
    both.into_iter().filter_map(broken).collect()
}

fn unfed(before: &LoginPath, _step: &Step, after: &LoginPath) -> Vec<Broken> {
    let phone_on = after.phone_is_on();
    // A vendor's own provider needs no feedback, and neither does an Action that sends without Verify. Verify needs it
    // from the moment it sends.
    let handed_over = phone_on != Some(false)
        && after.verifies()
        && !before.verifies()
        && before.delivers_any() != Some(false);
    let needs = phone_on == Some(true) && before.fed() || handed_over;
    let what = "no feedback reaches Verify: five sends in ten minutes lock a number out";
    if needs && !after.fed() { vec![(what.to_owned(), false)] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
