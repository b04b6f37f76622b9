//! What is known of the login's delivery path at one moment, and what users can do with it.

use std::collections::BTreeMap;

use super::facts::{
    ActionState, Binding, Channel, Delivery, Demands, Fact, Factor, Facts, FunctionState, Login, Policy,
    Provider, Sender, Stream,
};

/// The value of one part of the path, or why it is not known. Nothing is concluded from an unknown value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Known<T> {
    Is(T),
    /// No kind reports it.
    #[default]
    NotReported,
    /// A kind looked for the part, but the tenant does not show it, or its code has an unexpected form.
    NotRead,
}

impl<T> Known<T> {
    pub fn get(&self) -> Option<&T> {
        if let Known::Is(value) = self { Some(value) } else { None }
    }
}

impl<T: PartialEq> Known<T> {
    /// Whether the part is known to have this value.
    pub fn is(&self, value: &T) -> bool {
        self.get() == Some(value)
    }

    /// Whether the part has this value or is unknown.
    pub fn may_be(&self, value: &T) -> bool {
        self.get().is_none_or(|known| known == value)
    }
}

impl<T> From<Option<T>> for Known<T> {
    fn from(read: Option<T>) -> Known<T> {
        read.map_or(Known::NotRead, Known::Is)
    }
}

/// An Action of the path: one that sends, of this stack or of others, or this stack's Action with the rules or for the
/// feedback.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OurAction {
    pub state: Known<ActionState>,
    pub bound: Known<Binding>,
    /// The rate limits that the deployed code passes.
    pub limits: Known<Vec<String>>,
    /// Whether the Action belongs to others.
    pub of_others: Known<bool>,
    /// Whether the deployed version has the SID of a Verify service.
    pub verifies: Known<bool>,
    /// Whether the Verify service stands whose SID the deployed version was given.
    pub served: Known<bool>,
}

impl OurAction {
    /// Whether the Action is deployed, or its state is unknown.
    pub fn may_run(&self) -> bool {
        self.state.may_be(&ActionState::Deployed)
    }

    /// A version that is deployed now was given the service that stands.
    fn becomes(&mut self, state: ActionState) {
        self.state = Known::Is(state);
        self.served = Known::NotReported;
    }
}

/// The delivery path. Each part is documented at its [`Fact`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoginPath {
    pub policy: Known<Policy>,
    pub factors: BTreeMap<Factor, Known<bool>>,
    pub message_types: Known<Vec<Channel>>,
    pub provider: Known<Provider>,
    pub methods: Known<Vec<Delivery>>,
    pub unified: Known<bool>,
    pub selected: Known<Sender>,
    /// The Action that sends through the phone provider.
    pub phone: OurAction,
    /// The Action that sends in the legacy set-up.
    pub legacy: OurAction,
    /// The Action that asks for factors after the login.
    pub post_login: OurAction,
    /// The Action that gives feedback after the login.
    pub reporter: OurAction,
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
        let mut path = LoginPath::default().after(facts);
        for action in [&mut path.phone, &mut path.legacy] {
            // What is bound exists. So another Action was found absent: the one that the record names.
            if action.state.is(&ActionState::Absent) && action.bound.is(&Binding::Bound) {
                action.state = Known::NotRead;
            }
        }
        path
    }
}

impl LoginPath {
    /// The path after these facts become true.
    pub fn after(&self, facts: &Facts) -> LoginPath {
        let mut path = self.clone();
        path.learn(facts);
        path
    }

    pub fn learn(&mut self, facts: &Facts) {
        facts.iter().cloned().for_each(|fact| self.learn_one(fact));
    }

    /// The match has no wildcard, so that every new fact has to be handled here.
    fn learn_one(&mut self, fact: Fact) {
        match fact {
            Fact::Policy(policy) => self.policy = policy.into(),
            Fact::Factor(factor, on) => drop(self.factors.insert(factor, on.into())),
            Fact::MessageTypes(types) => self.message_types = types.into(),
            Fact::Provider(provider) => self.provider = Known::Is(provider),
            Fact::Methods(methods) => self.methods = Known::Is(methods),
            Fact::Unified(on) => self.unified = on.into(),
            Fact::Selected(sender) => self.selected = sender.into(),
            Fact::Action(state) => self.phone.becomes(state),
            Fact::LegacyAction(state) => self.legacy.becomes(state),
            Fact::RulesAction(state) => self.post_login.state = Known::Is(state),
            Fact::FeedbackAction(state) => self.reporter.state = Known::Is(state),
            Fact::FeedbackBound(binding) => self.reporter.bound = Known::Is(binding),
            Fact::Bound(binding) => self.phone.bound = Known::Is(binding),
            Fact::LegacyBound(binding) => self.legacy.bound = Known::Is(binding),
            Fact::RulesBound(binding) => self.post_login.bound = Known::Is(binding),
            Fact::ActionLimits(names) => self.phone.limits = names.into(),
            Fact::LegacyLimits(names) => self.legacy.limits = names.into(),
            Fact::ActionOfOthers(is) => self.phone.of_others = Known::Is(is),
            Fact::LegacyOfOthers(is) => self.legacy.of_others = Known::Is(is),
            Fact::ActionVerifies(does) => self.phone.verifies = Known::Is(does),
            Fact::LegacyVerifies(does) => self.legacy.verifies = Known::Is(does),
            Fact::ActionServed(is) => self.phone.served = Known::Is(is),
            Fact::LegacyServed(is) => self.legacy.served = Known::Is(is),
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

    /// Whether the phone factor is on; `None`: unknown.
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

    /// Whether the policy asks for a factor and every factor is known to be unusable. Recovery codes do not count, and
    /// at least one other factor has to be known.
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

    /// Whether no factor except the phone is known to be on. A recovery code does not count, because it needs another
    /// factor first.
    pub fn has_phone_alone(&self) -> bool {
        let is_other = |factor: &Factor| !matches!(factor, Factor::Phone | Factor::RecoveryCode);
        !self.factors.iter().any(|(factor, on)| is_other(factor) && on.is(&true))
    }

    /// Whether logins are asked for a factor and the phone is the only one.
    pub fn leaves_the_phone(&self) -> bool {
        self.asks() && self.phone_is_on() == Some(true) && self.has_phone_alone()
    }

    /// Whether logins are asked for a factor, the phone is the only one, and an Action sends its codes, as far as is
    /// known.
    pub fn leaves_an_action(&self) -> bool {
        self.is_ours() != Some(false) && self.leaves_the_phone()
    }

    /// Whether logins depend on the codes of a former version of the Action alone.
    pub fn leans_on_former(&self) -> bool {
        self.former.is(&true) && self.leaves_an_action()
    }

    /// Whether codes go through an Action that the tenant refuses to bind. Auth0 may call such an Action all the same.
    pub fn is_refused(&self) -> bool {
        self.phone.bound.is(&Binding::Refused) && !self.unified.is(&false)
    }

    /// Whether codes go, as far as is known, through an Action of others that is not in the list of its trigger. Auth0
    /// may call such an Action all the same.
    pub fn is_unlisted(&self) -> bool {
        self.phone.bound.is(&Binding::Unlisted) && !self.unified.is(&false) && self.is_ours() != Some(false)
    }

    /// Whether the phone is the only factor, and its codes go through an Action that Auth0 may never call.
    pub fn leans(&self) -> bool {
        self.is_refused() && self.phone_is_on() == Some(true) && self.has_phone_alone()
    }

    /// Whether the Action with the rules is bound, and deployed as far as is known.
    pub fn rules_run(&self) -> bool {
        self.post_login.bound.is(&Binding::Bound) && self.post_login.may_run()
    }

    /// Whether a challenge by an Action is known to fail. The login fails with it.
    pub fn challenges_fail(&self) -> bool {
        self.customize.is(&false) || self.login.is(&Login::Classic)
    }

    /// The rules of a running Action, each with those of its factors that are not known to be unusable.
    pub fn demands<'a>(&'a self) -> Vec<(&'a str, Vec<&'a Factor>)> {
        let rules = self.rules.get().filter(|_| self.rules_run());
        let usable = |factors: &'a [Factor]| factors.iter().filter(|factor| self.can_use(factor)).collect();
        let rules = rules.into_iter().flat_map(|rules| &rules.0);
        rules.map(|(name, factors)| (name.as_str(), usable(factors))).collect()
    }

    /// Whether Verify learns of the success of a code: a post-login Action reports it, or the log stream is active, and
    /// the Function serves, if the stream sends to the Function. Without a Function of ours, somebody else runs the
    /// receiver.
    pub fn fed(&self) -> bool {
        let reports =
            self.reporter.bound.is(&Binding::Bound) && self.reporter.state.is(&ActionState::Deployed);
        let pair = self.endpoint.get().zip(self.function_url.get());
        let elsewhere = pair.is_some_and(|(endpoint, url)| endpoint != url);
        let receives = elsewhere || self.function.may_be(&FunctionState::Deployed);
        reports || self.feedback.is(&Stream::Active) && receives
    }

    /// Whether the tenant's phone provider is known to deliver phone messages.
    pub fn delivers_unified(&self) -> bool {
        self.unified.is(&true) && self.delivers_any() == Some(true)
    }

    /// Whether the tenant sends phone messages by at least one channel. `None`, here and below: unknown.
    pub fn delivers_any(&self) -> Option<bool> {
        match (self.delivers(&Channel::Sms), self.delivers(&Channel::Voice)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }

    /// Whether the tenant sends messages by this channel.
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

    /// The same for the legacy set-up. `None` if the selected provider is unknown.
    fn delivers_legacy(&self, channel: &Channel) -> Option<bool> {
        match self.selected.get()? {
            Sender::Hook => Some(self.sends(&self.legacy)),
            // Auth0's own sender is for trials and has no voice channel.
            Sender::Auth0 => Some(*channel != Channel::Voice),
            // This program does not read the settings of other vendors, and takes them for working.
            Sender::Other(_) => Some(true),
        }
    }

    /// Whether an Action sends, as far as is known. An Action of others needs no service of ours: where it may have
    /// been given one, that service stays.
    fn sends(&self, action: &OurAction) -> bool {
        let served = action.of_others.is(&true) || !(self.service.is(&false) || action.served.is(&false));
        let stands = served && !action.bound.is(&Binding::Unbound);
        stands && action.may_run() && self.missing_limit(action).is_none()
    }

    /// A rate limit that a deployed Action passes although it is known to be missing. Verify then refuses every
    /// message.
    pub fn missing_limit<'a>(&self, action: &'a OurAction) -> Option<&'a str> {
        // An Action that does not run passes no limits.
        let passed = action.limits.get().filter(|_| action.may_run())?;
        passed.iter().map(String::as_str).find(|name| self.limits.get(*name) == Some(&false))
    }

    /// The path for the case that our legacy Action is bound. If the selected sender could not be read, it is taken to
    /// be an Action, because the Action is bound.
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

    /// The Action that codes go through. `None`: they go through none, or it is not known who sends.
    fn sender(&self) -> Option<&OurAction> {
        let sender = if self.unified.is(&false) { &self.legacy } else { &self.phone };
        self.is_ours().is_some_and(|is_ours| is_ours).then_some(sender)
    }

    /// Whether codes are known to go through an Action of others.
    pub fn is_by_others(&self) -> bool {
        self.sender().is_some_and(|sender| sender.of_others.is(&true))
    }

    /// Whether several Actions of others send every message, so that users get it several times.
    pub fn sends_twice(&self) -> bool {
        self.sender().is_some_and(|sender| sender.bound.is(&Binding::Several))
    }

    /// Whether codes go through an Action that sends through Verify. An Action counts unless its deployed version is
    /// known to have no SID of a Verify service.
    pub fn verifies(&self) -> bool {
        self.sender().is_some_and(|sender| !sender.verifies.is(&false))
    }

    /// Whether a user can get a code by this channel.
    pub fn code(&self, channel: &Channel) -> Option<bool> {
        let on = self.phone_is_on()?;
        let typed = self.has_type(channel).unwrap_or(true);
        let login = *channel != Channel::Voice || !self.login.is(&Login::Classic);
        Some(on && typed && login && self.delivers(channel)?)
    }

    /// Whether it is known that no user can get a code by any channel.
    pub fn codes_fail(&self) -> bool {
        [Channel::Sms, Channel::Voice].iter().all(|channel| self.code(channel) == Some(false))
    }

    fn has_type(&self, channel: &Channel) -> Option<bool> {
        self.message_types.get().map(|types| types.contains(channel))
    }

    /// Whether the change of message types to `after` strands users: it removes a channel that may have worked, they
    /// have to give a factor, the phone is the only one, and no remaining channel is known to work.
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
