//! Who sends a code: the provider of the tenant, or the former set-up of Guardian.

use lockstep_twin::world::Tenant;
use serde_json::Value as Json;

use super::Ran;

/// How a code reaches the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Sms,
    Voice,
}

impl Channel {
    pub(super) fn of(word: &str) -> Channel {
        if word == "voice" { Channel::Voice } else { Channel::Sms }
    }

    /// The word of the message types, and of the former event.
    pub(super) fn word(self) -> &'static str {
        match self {
            Channel::Sms => "sms",
            Channel::Voice => "voice",
        }
    }

    /// The word of providers and of their event.
    pub(super) fn method(self) -> &'static str {
        match self {
            Channel::Sms => "text",
            Channel::Voice => "voice",
        }
    }

    /// The type of the log entry.
    pub(super) fn log(self, failed: bool) -> &'static str {
        match (self, failed) {
            (Channel::Sms, false) => "gd_send_sms",
            (Channel::Sms, true) => "gd_send_sms_failure",
            (Channel::Voice, false) => "gd_send_voice",
            (Channel::Voice, true) => "gd_send_voice_failure",
        }
    }
}

/// An Action that sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub action_id: String,
    pub handler: &'static str,
}

/// The way of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// These Actions run, each for itself.
    Actions(Vec<Sender>),
    /// A vendor sends, and no code of the tenant runs.
    Vendor(String),
    /// Nothing is sent, for this reason.
    None(String),
}

/// How a message leaves the tenant.
pub(super) fn way(tenant: &Tenant, channel: Channel) -> Way {
    if !super::login::message_types(tenant).contains(&channel.word()) {
        return Way::None(format!("{} is no message type of the phone factor", channel.word()));
    }
    let senders = |trigger: &str, handler: &'static str| -> Vec<Sender> {
        let bound = tenant.bound(trigger).iter();
        let live = bound.filter(|binding| {
            tenant.action(&binding.action_id).is_some_and(|action| action.live_version().is_some())
        });
        live.map(|binding| Sender { action_id: binding.action_id.clone(), handler }).collect()
    };
    let by_actions = |trigger: &str, handler| match senders(trigger, handler) {
        none if none.is_empty() => Way::None(format!("no deployed Action is bound to {trigger}")),
        some => Way::Actions(some),
    };
    if !tenant.unified() {
        return match tenant.legacy_phone.selected_provider.as_str() {
            "phone-message-hook" => by_actions("send-phone-message", "onExecuteSendPhoneMessage"),
            vendor => Way::Vendor(vendor.to_owned()),
        };
    }
    let Some(provider) = tenant.phone_providers.first().filter(|provider| !provider.disabled) else {
        return Way::None("the tenant has no phone provider that is switched on".into());
    };
    if !provider.delivery_methods().contains(&channel.method()) {
        return Way::None(format!("the phone provider does not deliver by {}", channel.method()));
    }
    match provider.name.as_str() {
        "custom" => by_actions("custom-phone-provider", "onExecuteCustomPhoneProvider"),
        vendor => Way::Vendor(vendor.to_owned()),
    }
}

/// Why an Action that ran has sent nothing; `None`: it says nothing of the kind.
pub(super) fn refusal(ran: &Ran) -> Option<String> {
    if let Some((class, message)) = &ran.error {
        return Some(format!("the Action failed: {class}: {message}"));
    }
    let last = ran.commands.iter().rev().find_map(|one| {
        let word = one["call"].as_str()?.strip_prefix("notification.")?;
        ["drop", "retry"].contains(&word).then_some((word.to_owned(), one))
    });
    let (word, command) = last?;
    let reason = command["arguments"].get(0).and_then(Json::as_str).unwrap_or_default();
    Some(match word.as_str() {
        "retry" => format!("the Action asks to try again later: {reason}"),
        _ => format!("the Action dropped the message: {reason}"),
    })
}
