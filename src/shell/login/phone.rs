//! The phone of the page: what Verify of the twin "sent" to any number.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Loop;

/// Most messages that are kept.
const MESSAGES_MAX: usize = 50;

/// Messages so far, and how many sends of each verification they stand for.
#[derive(Debug, Default)]
pub struct Phone {
    messages: Vec<Json>,
    seen: BTreeMap<String, usize>,
}

impl Loop {
    /// Looks for new sends of Verify.
    pub(super) fn look_at_phone(&self) {
        let mut told = Vec::new();
        {
            let twin = self.twin.borrow();
            let mut phone = self.phone.borrow_mut();
            let services = twin.world.accounts.values().flat_map(|account| &account.verify_services);
            for (service, one) in
                services.flat_map(|service| service.verifications.iter().map(move |one| (service, one)))
            {
                let seen = phone.seen.insert(one.sid.clone(), one.sends.len()).unwrap_or(0);
                if seen >= one.sends.len() {
                    continue;
                }
                let code = one.code.as_deref().unwrap_or("(Verify's own code)");
                let is_call = one.channel == "call";
                let said =
                    if is_call { code.chars().map(|ch| format!("{ch} ")).collect() } else { code.to_owned() };
                phone.messages.push(json!({
                    "at_ms": one.sends.last(),
                    "to": one.to,
                    "channel": one.channel,
                    "text": format!("Your {} verification code is: {}", service.friendly_name, said.trim_end()),
                }));
                let word = if is_call { "a call" } else { "a message" };
                told.push(format!("Verify sends {word}, {} of 5 to this number", one.sends.len()));
            }
            let keep = phone.messages.len().saturating_sub(MESSAGES_MAX);
            phone.messages.drain(..keep);
        }
        told.iter().for_each(|what| self.hop(what, None));
    }

    /// The messages, oldest first.
    pub(super) fn messages(&self) -> Vec<Json> {
        self.look_at_phone();
        self.phone.borrow().messages.clone()
    }

    /// The verifications of all services, newest first, without codes.
    pub(super) fn verifications(&self) -> Vec<Json> {
        let twin = self.twin.borrow();
        let services = twin.world.accounts.values().flat_map(|account| &account.verify_services);
        let all = services.flat_map(|service| &service.verifications);
        let mut list: Vec<Json> = all
            .map(|one| json!({ "to": one.to, "status": one.status, "sends": one.sends.len(), "at_ms": one.updated_at_ms }))
            .collect();
        list.sort_by_key(|one| std::cmp::Reverse(one["at_ms"].as_u64()));
        list
    }
}
