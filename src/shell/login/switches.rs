//! Switches of the page that break things, to see what then happens.

use serde_json::{Value as Json, json};

use super::Loop;

/// What is broken now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub action_throws: bool,
    pub key_revoked: bool,
    pub stream_paused: bool,
    pub no_feedback: bool,
    pub number_blocked: bool,
}

/// Name and words of each switch.
pub const ALL: [(&str, &str); 5] = [
    ("action_throws", "The Action throws"),
    ("key_revoked", "The key of the Action is revoked"),
    ("stream_paused", "The log stream is paused"),
    ("no_feedback", "Nothing reaches the Function"),
    ("number_blocked", "Fraud Guard blocks all numbers"),
];

impl Switches {
    fn named(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "action_throws" => &mut self.action_throws,
            "key_revoked" => &mut self.key_revoked,
            "stream_paused" => &mut self.stream_paused,
            "no_feedback" => &mut self.no_feedback,
            "number_blocked" => &mut self.number_blocked,
            _ => return None,
        })
    }

    pub fn json(mut self) -> Json {
        let each =
            ALL.iter().map(|(name, _)| ((*name).to_owned(), json!(self.named(name).is_some_and(|on| *on))));
        Json::Object(each.collect())
    }
}

impl Loop {
    /// Turns a switch. False: there is no such switch.
    pub(super) fn turn(&self, name: &str, is_on: bool) -> bool {
        let mut switches = *self.switches.borrow();
        let Some(switch) = switches.named(name) else { return false };
        *switch = is_on;
        *self.switches.borrow_mut() = switches;
        let word = if is_on { "on" } else { "off" };
        let words = ALL.iter().find(|(known, _)| *known == name).map_or(name, |(_, words)| words);
        self.hop(&format!("switch {word}: {words}"), None);
        let mut twin = self.twin.borrow_mut();
        let world = &mut twin.world;
        match name {
            "stream_paused" => {
                let status = if is_on { "paused" } else { "active" };
                let streams = world.tenants.get_mut(&self.domain).map(|tenant| &mut tenant.log_streams);
                streams.into_iter().flatten().for_each(|stream| status.clone_into(&mut stream.status));
            }
            "key_revoked" => world.revoke_senders(&self.domain, is_on),
            "number_blocked" => {
                let block = lockstep_twin::world::Block::all_numbers();
                for account in world.accounts.values_mut() {
                    account.blocks.retain(|known| *known != block);
                    account.blocks.extend(is_on.then(|| block.clone()));
                }
            }
            _ => {}
        }
        true
    }
}
