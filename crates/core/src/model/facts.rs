//! Facts about the parts of the path that brings a code to a user at login. Kinds report facts, and steps change them.
//! There is at most one fact for each part of the path. In the JSON of a plan, the facts are one object: the keys are
//! the names of the parts.

use std::mem::discriminant;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value as Json, json};

/// The state of one part of the path, as it was observed or as a step leaves it. `None`: the kind tried to read the
/// part and could not, or a step leaves it in an unknown state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// When the tenant asks for a second factor.
    Policy(Option<Policy>),
    /// Whether a factor is on. In JSON `factor.<name>`.
    #[serde(skip)]
    Factor(Factor, Option<bool>),
    MessageTypes(Option<Vec<Channel>>),
    /// The sender behind the tenant's phone provider.
    Provider(Provider),
    #[serde(rename = "provider.methods")]
    Methods(Vec<Delivery>),
    /// Whether the unified phone experience is on.
    Unified(Option<bool>),
    /// The sender of the legacy set-up.
    Selected(Option<Sender>),
    Action(ActionState),
    LegacyAction(ActionState),
    /// The post-login Action that contains the rules.
    #[serde(rename = "rules.action")]
    RulesAction(ActionState),
    /// The post-login Action that tells Verify which codes were used.
    #[serde(rename = "feedback.action")]
    FeedbackAction(ActionState),
    Bound(Binding),
    LegacyBound(Binding),
    #[serde(rename = "rules.bound")]
    RulesBound(Binding),
    #[serde(rename = "feedback.bound")]
    FeedbackBound(Binding),
    /// The rate limits that the deployed code passes to Verify.
    #[serde(rename = "action.limits")]
    ActionLimits(Option<Vec<String>>),
    #[serde(rename = "legacy_action.limits")]
    LegacyLimits(Option<Vec<String>>),
    /// The rate limits that a post-login Action passes to Verify. The rules of this program pass none, so no kind
    /// reports this fact. A step that puts a former version of the Action back sets it to `None` (unknown).
    #[serde(rename = "mfa_post_login.limits")]
    RulesLimits(Option<Vec<String>>),
    /// Whether the Action that sends belongs to others. No read can show whether the secrets of such an Action work.
    #[serde(rename = "action.of_others")]
    ActionOfOthers(bool),
    #[serde(rename = "legacy_action.of_others")]
    LegacyOfOthers(bool),
    /// Whether the deployed version of the Action that sends has the SID of a Verify service.
    #[serde(rename = "action.verifies")]
    ActionVerifies(bool),
    #[serde(rename = "legacy_action.verifies")]
    LegacyVerifies(bool),
    /// Whether the Verify service stands whose SID the deployed version of the Action that sends was given. Not reported:
    /// as far as is known.
    #[serde(rename = "action.served")]
    ActionServed(bool),
    #[serde(rename = "legacy_action.served")]
    LegacyServed(bool),
    /// Whether a rate limit exists. In JSON `limit.<name>`.
    #[serde(skip)]
    Limit(String, bool),
    /// Whether the Verify service exists and accepts the tenant's codes.
    Service(Option<bool>),
    /// The log stream that reports used codes to the receiver.
    Feedback(Stream),
    #[serde(rename = "feedback.endpoint")]
    Endpoint(String),
    Function(FunctionState),
    #[serde(rename = "function.url")]
    FunctionUrl(String),
    Login(Option<Login>),
    /// The factors that other people's post-login Actions ask for, keyed by the name of the Action. An empty list: the
    /// Action may ask for any factor.
    Others(Option<Demands>),
    /// Whether post-login Actions may ask for factors.
    Customize(Option<bool>),
    /// The factors that satisfy a rule, keyed by the name of the rule, according to the running code.
    Rules(Option<Demands>),
    /// Whether the sender is a former version that a destroy put back. Nobody can prove that such a version still
    /// works.
    Former(bool),
    /// Whether the sender is the version that ran before this stack, because it was put back or never replaced.
    #[serde(rename = "former.runs")]
    FormerRuns(bool),
}

/// State of an Action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    Absent,
    Draft,
    Deployed,
}

/// State of the Function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionState {
    Absent,
    Undeployed,
    Deployed,
}

/// Whether an Action is in the list of bindings of its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub enum Binding {
    Bound,
    Unbound,
    /// The tenant refused the binding; Auth0 may call the Action all the same.
    Refused,
    /// The Action belongs to others and is not in the list of bindings; Auth0 may call it all the same.
    Unlisted,
    /// Several Actions of others run on the trigger, and each of them would send every message.
    Several,
}

impl From<Binding> for Json {
    fn from(binding: Binding) -> Json {
        match binding {
            Binding::Refused => json!("refused"),
            Binding::Unlisted => json!("unlisted"),
            Binding::Several => json!("several"),
            binding => json!(binding == Binding::Bound),
        }
    }
}

impl TryFrom<Json> for Binding {
    type Error = &'static str;

    fn try_from(json: Json) -> Result<Binding, &'static str> {
        use Binding::{Bound, Refused, Several, Unbound, Unlisted};
        let all = [Bound, Unbound, Refused, Unlisted, Several];
        all.into_iter().find(|binding| json == Json::from(*binding)).ok_or("no state of a binding")
    }
}

/// Defines enums for the words that an API uses. A word that the enum does not have is kept unchanged in `Other`.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name { $($variant,)* Other(String) }

        impl $name {
            pub fn word(&self) -> &str {
                match self { $($name::$variant => $word,)* $name::Other(word) => word }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> $name {
                match word { $($word => $name::$variant,)* word => $name::Other(word.to_owned()) }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> $name {
                word.as_str().into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.word().to_owned()
            }
        }
    )*};
}

words! {
    /// When Auth0 asks for a second factor.
    Policy { Always = "always", Adaptive = "adaptive", Never = "never" }
    /// A second factor, by the tenant's name for it.
    Factor {
        Duo = "duo", Email = "email", Otp = "otp", Phone = "sms", Push = "push-notification",
        RecoveryCode = "recovery-code", WebauthnPlatform = "webauthn-platform", WebauthnRoaming = "webauthn-roaming"
    }
    /// Channel by which a code reaches a phone; Guardian calls it a message type.
    Channel { Sms = "sms", Voice = "voice" }
    /// How the phone provider delivers.
    Delivery { Text = "text", Voice = "voice" }
    /// Who sends for the phone provider: an Action (`Custom`) or a vendor.
    Provider { Absent = "absent", Custom = "custom", Disabled = "disabled" }
    /// Who sends in the legacy set-up: an Action (`Hook`), Auth0's own sender for trials, or a vendor.
    Sender { Auth0 = "auth0", Hook = "phone-message-hook" }
    /// State of a log stream.
    Stream { Absent = "absent", Active = "active", Paused = "paused", Suspended = "suspended" }
    /// Which login pages the tenant has.
    Login { Classic = "classic", New = "new" }
}

/// Ordered by name, as the tenant sorts them.
impl Ord for Factor {
    fn cmp(&self, other: &Factor) -> std::cmp::Ordering {
        self.word().cmp(other.word())
    }
}

impl PartialOrd for Factor {
    fn partial_cmp(&self, other: &Factor) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Lists of factors, each with the name of the rule or Action that asks for them. Rules stand in the order of the code,
/// Actions in the order of their trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands(pub Vec<(String, Vec<Factor>)>);

impl Demands {
    /// Adds a list. A list with the same name is replaced and keeps its place.
    pub fn insert(&mut self, name: String, factors: Vec<Factor>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = factors,
            None => self.0.push((name, factors)),
        }
    }
}

impl Serialize for Demands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, factors)| (name, factors)))
    }
}

impl<'de> Deserialize<'de> for Demands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Demands, D::Error> {
        let read = |(name, factors)| Ok((name, serde_json::from_value(factors).map_err(D::Error::custom)?));
        Map::deserialize(deserializer)?.into_iter().map(read).collect::<Result<_, _>>().map(Demands)
    }
}

impl Fact {
    /// Whether both facts are about the same part.
    fn is_of(&self, other: &Fact) -> bool {
        match (self, other) {
            (Fact::Factor(one, _), Fact::Factor(other, _)) => one == other,
            (Fact::Limit(one, _), Fact::Limit(other, _)) => one == other,
            _ => discriminant(self) == discriminant(other),
        }
    }

    /// The part's name and its value, in JSON.
    fn entry(&self) -> Result<(String, Json), serde_json::Error> {
        match self {
            Fact::Factor(factor, on) => Ok((format!("factor.{}", factor.word()), json!(on))),
            Fact::Limit(name, is_there) => Ok((format!("limit.{name}"), json!(is_there))),
            fact => match serde_json::to_value(fact)? {
                Json::Object(one) => one.into_iter().next().ok_or_else(|| Error::custom("a fact of nothing")),
                _ => Err(Error::custom("a fact without a value")),
            },
        }
    }

    fn read(name: String, value: Json) -> Result<Fact, serde_json::Error> {
        match name.split_once('.') {
            Some(("factor", factor)) => Ok(Fact::Factor(factor.into(), serde_json::from_value(value)?)),
            Some(("limit", limit)) => Ok(Fact::Limit(limit.into(), serde_json::from_value(value)?)),
            _ => serde_json::from_value(Json::Object(Map::from_iter([(name, value)]))),
        }
    }
}

/// Facts, at most one for each part of the path. They are either all facts that are known, or those that a step
/// changes.
#[derive(Clone, Debug, Default)]
pub struct Facts(Vec<Fact>);

impl Facts {
    pub fn new() -> Facts {
        Facts::default()
    }

    /// Adds a fact and removes an earlier fact about the same part.
    pub fn insert(&mut self, fact: Fact) {
        self.take(|known| known.is_of(&fact));
        self.0.push(fact);
    }

    /// Adds a fact unless there is one about the same part.
    pub fn add(&mut self, fact: Fact) {
        if !self.any(|known| known.is_of(&fact)) {
            self.0.push(fact);
        }
    }

    /// Removes and returns the first fact that matches.
    pub fn take(&mut self, is_it: impl Fn(&Fact) -> bool) -> Option<Fact> {
        let at = self.0.iter().position(is_it)?;
        Some(self.0.remove(at))
    }

    pub fn has(&self, fact: &Fact) -> bool {
        self.0.contains(fact)
    }

    pub fn any(&self, is_it: impl FnMut(&Fact) -> bool) -> bool {
        self.0.iter().any(is_it)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Fact> {
        self.0.iter()
    }
}

/// Order does not count.
impl PartialEq for Facts {
    fn eq(&self, other: &Facts) -> bool {
        self.0.len() == other.0.len() && self.iter().all(|fact| other.has(fact))
    }
}

impl Extend<Fact> for Facts {
    fn extend<I: IntoIterator<Item = Fact>>(&mut self, facts: I) {
        facts.into_iter().for_each(|fact| self.insert(fact));
    }
}

impl FromIterator<Fact> for Facts {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Facts {
        let mut all = Facts::new();
        all.extend(facts);
        all
    }
}

impl<const N: usize> From<[Fact; N]> for Facts {
    fn from(facts: [Fact; N]) -> Facts {
        facts.into_iter().collect()
    }
}

impl IntoIterator for Facts {
    type Item = Fact;
    type IntoIter = std::vec::IntoIter<Fact>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries: Result<Vec<_>, _> = self.iter().map(Fact::entry).collect();
        let mut entries = entries.map_err(serde::ser::Error::custom)?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        serializer.collect_map(entries)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Facts, D::Error> {
        let entries = Map::deserialize(deserializer)?.into_iter();
        entries
            .map(|(name, value)| Fact::read(name, value))
            .collect::<Result<_, _>>()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fact in the JSON form of saved plans. If a name or a value here has to change, existing plans are stale.
    const ALL: &str = r#"{
        "action": "deployed", "action.limits": ["a", "b"], "action.of_others": true, "action.served": false, "action.verifies": false,
        "bound": "refused", "customize": true,
        "factor.carrier-pigeon": false, "factor.otp": true, "factor.sms": null, "feedback": "suspended",
        "feedback.endpoint": "https://x.example/", "former": true, "former.runs": true, "function": "undeployed",
        "function.url": "(the Function)", "legacy_action": "absent", "legacy_action.limits": null,
        "legacy_action.of_others": false, "legacy_action.served": true, "legacy_action.verifies": true, "legacy_bound": false, "limit.a.b": true, "login": "classic", "message_types": ["voice", "sms", "fax"],
        "mfa_post_login.limits": null, "others": { "b": [], "a": ["otp", "sms"] }, "policy": "(a, b)",
        "provider": "twilio", "provider.methods": ["text"], "rules": { "z": ["otp"], "a": [] },
        "rules.action": "draft", "rules.bound": true, "selected": "phone-message-hook", "service": null, "unified": false
    }"#;

    #[test]
    fn the_json_of_every_fact_is_read_and_written_as_it_was() {
        let json: Json = serde_json::from_str(ALL).expect("JSON");
        let facts: Facts = serde_json::from_str(ALL).expect("facts");
        assert_eq!(serde_json::to_string(&facts).expect("JSON"), json.to_string());
        assert_eq!(facts.0.len(), 36, "one for each");
        let back: Facts = facts.iter().rev().cloned().collect();
        assert_eq!(back, facts, "whatever the order");
        assert!(facts.has(&Fact::Limit("a.b".into(), true)));
        assert!(facts.has(&Fact::Factor(Factor::Phone, None)));
        assert!(facts.has(&Fact::Bound(Binding::Refused)));
    }

    #[test]
    fn what_is_no_fact_is_refused() {
        for wrong in [
            r#"{ "actoin": "deployed" }"#,
            r#"{ "action": "deployd" }"#,
            r#"{ "bound": "maybe" }"#,
            r#"{ "factor": ["sms", true] }"#,
            r#"{ "factor.sms": "on" }"#,
            r#"{ "rules": { "a": "sms" } }"#,
            r#"["policy"]"#,
        ] {
            assert!(serde_json::from_str::<Facts>(wrong).is_err(), "{wrong}");
        }
    }
}
