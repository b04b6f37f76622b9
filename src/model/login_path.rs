//! What is known of the login's delivery path at one moment, and what follows from it for users.

use std::collections::BTreeMap;

use super::facts::{
    ActionState, Binding, Channel, Delivery, Demands, Fact, Factor, Facts, FunctionState, Login, Policy,
    Provider, Sender, Stream,
};

/// One part of the path: what it is, or why that is not known. Nothing is claimed from what is not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Known<T> {
    Is(T),
    /// No kind reports it.
    #[default]
    NotReported,
    /// A kind looked for it, and the tenant does not say, or the code is of another form.
    NotRead,
}

impl<T> Known<T> {
    pub fn get(&self) -> Option<&T> {
        if let Known::Is(value) = self { Some(value) } else { None }
    }
}

impl<T: PartialEq> Known<T> {
    /// Whether it is known to be that.
    pub fn is(&self, value: &T) -> bool {
        self.get() == Some(value)
    }

    /// Whether it is that, for all that is known.
    pub fn may_be(&self, value: &T) -> bool {
        self.get().is_none_or(|known| known == value)
    }
}

impl<T> From<Option<T>> for Known<T> {
    fn from(read: Option<T>) -> Known<T> {
        read.map_or(Known::NotRead, Known::Is)
    }
}

/// An Action of this stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OurAction {
    pub state: Known<ActionState>,
    pub bound: Known<Binding>,
    /// The rate limits that the deployed code passes.
    pub limits: Known<Vec<String>>,
}

impl OurAction {
    /// Whether its code runs, for all that is known.
    pub fn may_run(&self) -> bool {
        self.state.may_be(&ActionState::Deployed)
    }
}

/// The path; what each part means is told at its [`Fact`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoginPath {
    pub policy: Known<Policy>,
    pub factors: BTreeMap<Factor, Known<bool>>,
    pub message_types: Known<Vec<Channel>>,
    pub provider: Known<Provider>,
    pub methods: Known<Vec<Delivery>>,
    pub unified: Known<bool>,
    pub selected: Known<Sender>,
    /// Sends through the phone provider.
    pub phone: OurAction,
    /// Sends in the legacy set-up.
    pub legacy: OurAction,
    /// Asks for factors after the login.
    pub post_login: OurAction,
    pub limits: BTreeMap<String, bool>,
    pub service: Known<bool>,
    pub feedback: Known<Stream>,
    pub endpoint: Known<String>,
    pub function: Known<FunctionState>,
    pub function_url: Known<String>,
    pub login: Known<Login>,
    pub others: Known<Demands>,
    pub customize: Known<bool>,
    pub rules: Known<Demands>,
    pub former: Known<bool>,
    pub former_runs: Known<bool>,
}

impl From<&Facts> for LoginPath {
    fn from(facts: &Facts) -> LoginPath {
        LoginPath::default().after(facts)
    }
}

impl LoginPath {
    /// The path once these facts hold too.
    pub fn after(&self, facts: &Facts) -> LoginPath {
        let mut path = self.clone();
        path.learn(facts);
        path
    }

    pub fn learn(&mut self, facts: &Facts) {
        facts.iter().cloned().for_each(|fact| self.learn_one(fact));
    }

    /// Without a wildcard, so that a new fact is asked what it means.
    fn learn_one(&mut self, fact: Fact) {
        match fact {
            Fact::Policy(policy) => self.policy = policy.into(),
            Fact::Factor(factor, on) => drop(self.factors.insert(factor, on.into())),
            Fact::MessageTypes(types) => self.message_types = types.into(),
            Fact::Provider(provider) => self.provider = Known::Is(provider),
            Fact::Methods(methods) => self.methods = Known::Is(methods),
            Fact::Unified(on) => self.unified = on.into(),
            Fact::Selected(sender) => self.selected = sender.into(),
            Fact::Action(state) => self.phone.state = Known::Is(state),
            Fact::LegacyAction(state) => self.legacy.state = Known::Is(state),
            Fact::RulesAction(state) => self.post_login.state = Known::Is(state),
            Fact::Bound(binding) => self.phone.bound = Known::Is(binding),
            Fact::LegacyBound(binding) => self.legacy.bound = Known::Is(binding),
            Fact::RulesBound(binding) => self.post_login.bound = Known::Is(binding),
            Fact::ActionLimits(names) => self.phone.limits = names.into(),
            Fact::LegacyLimits(names) => self.legacy.limits = names.into(),
            Fact::RulesLimits(names) => self.post_login.limits = names.into(),
            Fact::Limit(name, is_there) => drop(self.limits.insert(name, is_there)),
            Fact::Service(stands) => self.service = stands.into(),
            Fact::Feedback(stream) => self.feedback = Known::Is(stream),
            Fact::Endpoint(url) => self.endpoint = Known::Is(url),
            Fact::Function(state) => self.function = Known::Is(state),
            Fact::FunctionUrl(url) => self.function_url = Known::Is(url),
            Fact::Login(login) => self.login = login.into(),
            Fact::Others(asked) => self.others = asked.into(),
            Fact::Customize(on) => self.customize = on.into(),
            Fact::Rules(rules) => self.rules = rules.into(),
            Fact::Former(is_back) => self.former = Known::Is(is_back),
            Fact::FormerRuns(runs) => self.former_runs = Known::Is(runs),
        }
    }

    /// Whether the phone factor is on; `None`: not known.
    pub fn phone_is_on(&self) -> Option<bool> {
        self.is_on(&Factor::Phone)
    }

    fn is_on(&self, factor: &Factor) -> Option<bool> {
        self.factors.get(factor)?.get().copied()
    }

    /// Whether the policy is known to ask for a second factor.
    fn asks(&self) -> bool {
        self.policy.get().is_some_and(|policy| *policy != Policy::Never)
    }

    /// Whether the policy asks for a factor and it is known that none can be used.
    pub fn locked_out(&self) -> bool {
        let known = || self.factors.iter().filter_map(|(factor, on)| Some((factor, *on.get()?)));
        let mut factors = known().filter(|(factor, _)| **factor != Factor::RecoveryCode).peekable();
        let phone_fails = self.codes_fail();
        self.asks()
            && factors.peek().is_some()
            && factors.all(|(factor, on)| !on || (*factor == Factor::Phone && phone_fails))
    }

    /// Whether a factor is not known to be unusable.
    pub fn can_use(&self, factor: &Factor) -> bool {
        self.is_on(factor) != Some(false) && !(*factor == Factor::Phone && self.codes_fail())
    }

    /// Whether no factor but the phone is on, as far as is known. A recovery code needs another factor first.
    pub fn has_phone_alone(&self) -> bool {
        let is_other = |factor: &Factor| !matches!(factor, Factor::Phone | Factor::RecoveryCode);
        !self.factors.iter().any(|(factor, on)| is_other(factor) && on.is(&true))
    }

    /// Whether logins are asked for a factor and have the phone alone.
    pub fn leaves_the_phone(&self) -> bool {
        self.asks() && self.phone_is_on() == Some(true) && self.has_phone_alone()
    }

    /// Whether they have the phone alone, and an Action sends its codes.
    pub fn leaves_an_action(&self) -> bool {
        self.is_ours() != Some(false) && self.leaves_the_phone()
    }

    /// Whether logins have the codes of a former version alone.
    pub fn leans_on_former(&self) -> bool {
        self.former.is(&true) && self.leaves_an_action()
    }

    /// Whether codes go through an Action that the tenant refuses to bind: it may be called all the same.
    pub fn is_refused(&self) -> bool {
        self.phone.bound.is(&Binding::Refused) && !self.unified.is(&false)
    }

    /// Whether codes go through an Action of others that is in no list: it may be called all the same.
    pub fn is_unlisted(&self) -> bool {
        self.phone.bound.is(&Binding::Unlisted) && !self.unified.is(&false) && self.is_ours() != Some(false)
    }

    /// Whether users have the phone alone, and codes go through an Action that may never be called.
    pub fn leans(&self) -> bool {
        self.is_refused() && self.phone_is_on() == Some(true) && self.has_phone_alone()
    }

    /// Whether the Action with the rules is deployed and bound.
    pub fn rules_run(&self) -> bool {
        self.post_login.bound.is(&Binding::Bound) && self.post_login.may_run()
    }

    /// Whether a challenge of an Action is known to fail, and the login with it.
    pub fn challenges_fail(&self) -> bool {
        self.customize.is(&false) || self.login.is(&Login::Classic)
    }

    /// The rules that count, each with its factors that are not known to be unusable.
    pub fn demands<'a>(&'a self) -> Vec<(&'a str, Vec<&'a Factor>)> {
        let rules = self.rules.get().filter(|_| self.rules_run());
        let usable = |factors: &'a [Factor]| factors.iter().filter(|factor| self.can_use(factor)).collect();
        let rules = rules.into_iter().flat_map(|rules| &rules.0);
        rules.map(|(name, factors)| (name.as_str(), usable(factors))).collect()
    }

    /// Whether the success of a code gets to Verify: the stream is active, and the Function serves, if it is the Function
    /// that the stream sends to. Without a Function of ours the receiver is somebody else's.
    pub fn fed(&self) -> bool {
        let pair = self.endpoint.get().zip(self.function_url.get());
        let elsewhere = pair.is_some_and(|(endpoint, url)| endpoint != url);
        self.feedback.is(&Stream::Active) && (elsewhere || self.function.may_be(&FunctionState::Deployed))
    }

    /// Whether phone messages are known to leave by the tenant's phone provider.
    pub fn delivers_unified(&self) -> bool {
        self.unified.is(&true) && self.delivers_any() == Some(true)
    }

    /// Whether any phone message leaves the tenant. `None`, here and below: not known.
    pub fn delivers_any(&self) -> Option<bool> {
        match (self.delivers(&Channel::Sms), self.delivers(&Channel::Voice)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }

    /// Whether a message by this channel leaves the tenant.
    fn delivers(&self, channel: &Channel) -> Option<bool> {
        if self.unified.is(&false) {
            return self.delivers_legacy(channel);
        }
        let method = if *channel == Channel::Voice { Delivery::Voice } else { Delivery::Text };
        let has_method = || self.methods.get().map(|methods| methods.contains(&method));
        match self.provider.get()? {
            Provider::Custom => Some(self.sends(&self.phone) && has_method()?),
            Provider::Absent | Provider::Disabled => Some(false),
            Provider::Other(_) => has_method(),
        }
    }

    /// The same by the legacy set-up. Without the selected provider nothing is claimed.
    fn delivers_legacy(&self, channel: &Channel) -> Option<bool> {
        match self.selected.get()? {
            Sender::Hook => Some(self.sends(&self.legacy)),
            // Auth0's own sender is for trials and knows no voice.
            Sender::Auth0 => Some(*channel != Channel::Voice),
            // A vendor's own settings are somebody else's.
            Sender::Other(_) => Some(true),
        }
    }

    /// Whether nothing is known that keeps an Action of ours from sending.
    fn sends(&self, action: &OurAction) -> bool {
        let stands = !self.service.is(&false) && !action.bound.is(&Binding::Unbound);
        stands && action.may_run() && self.missing_limit(action).is_none()
    }

    /// A rate limit that a deployed Action passes and that is known to be missing: then Verify refuses every message.
    pub fn missing_limit<'a>(&self, action: &'a OurAction) -> Option<&'a str> {
        // What does not run passes nothing.
        let passed = action.limits.get().filter(|_| action.may_run())?;
        passed.iter().map(String::as_str).find(|name| self.limits.get(*name) == Some(&false))
    }

    /// Who is handed the codes may not have been read; then it is taken to be the Action, since it is bound.
    pub fn handed(&self) -> LoginPath {
        let mut path = self.clone();
        if path.selected.get().is_none() && path.unified.is(&false) {
            path.selected = Known::Is(Sender::Hook);
        }
        path
    }

    /// Whether codes go through an Action.
    pub fn is_ours(&self) -> Option<bool> {
        if self.unified.is(&false) {
            return self.selected.get().map(|sender| *sender == Sender::Hook);
        }
        self.provider.get().map(|provider| *provider == Provider::Custom)
    }

    /// Whether a user can get a code by this channel.
    pub fn code(&self, channel: &Channel) -> Option<bool> {
        let on = self.phone_is_on()?;
        let typed = self.has_type(channel).unwrap_or(true);
        let login = *channel != Channel::Voice || !self.login.is(&Login::Classic);
        Some(on && typed && login && self.delivers(channel)?)
    }

    /// Whether it is known that no user gets a code.
    pub fn codes_fail(&self) -> bool {
        [Channel::Sms, Channel::Voice].iter().all(|channel| self.code(channel) == Some(false))
    }

    fn has_type(&self, channel: &Channel) -> Option<bool> {
        self.message_types.get().map(|types| types.contains(channel))
    }

    /// Whether message types take a channel away from users who have to give a factor, have the phone alone, and may get
    /// no code by the channels that are left.
    pub fn strands(&self, after: &LoginPath) -> bool {
        let channels = [Channel::Sms, Channel::Voice];
        let is_taken = |channel: &Channel| {
            self.has_type(channel) == Some(true)
                && self.code(channel) != Some(false)
                && after.has_type(channel) == Some(false)
        };
        let is_left = channels.iter().any(|channel| after.code(channel) == Some(true));
        after.asks() && after.has_phone_alone() && !is_left && channels.iter().any(is_taken)
    }
}
