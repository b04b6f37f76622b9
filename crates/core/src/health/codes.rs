//! What a vendor code of a failed message blames ("Twilio docs, Verify error codes", 2026-08).

/// What a failed message blames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Credentials, service or account: nobody gets messages until somebody mends it.
    Setup,
    /// One number or one user. Whoever asks for a code can bring it about.
    Number,
}

use Blame::{Number, Setup};

/// Every code whose meaning is known: the only table. A code that is not here decides like one of a number: a vendor
/// adds codes, and nobody may be able to turn a deployment back by finding one.
const TABLE: &[(u32, Blame, &str)] = &[
    (20003, Setup, "Twilio does not take the credentials of the Action"),
    (20403, Setup, "the Twilio account is suspended or closed"),
    (20404, Setup, "the credentials see no Verify service with that SID"),
    (60204, Setup, "the Verify service does not take the codes of Auth0"),
    (60223, Setup, "the channel is switched off in the Verify service"),
    (70051, Setup, "the key of the Action may not send"),
    (60200, Number, "no such number, or a parameter that Twilio refuses"),
    (60202, Number, "five wrong codes for one number"),
    (60203, Number, "five messages to one number without feedback"),
    (60205, Number, "a landline, which takes no text message"),
    (60212, Number, "too many messages to one number at once"),
    (60238, Number, "a destination that Twilio does not serve"),
    (60410, Number, "Fraud Guard blocks the beginning of the number"),
    (60605, Number, "Geo permissions block the country"),
];

/// What a code blames; `None`: nobody knows.
pub fn blame(code: u32) -> Option<Blame> {
    TABLE.iter().find(|(known, ..)| *known == code).map(|(_, blame, _)| *blame)
}

/// What a code means; empty for one that nobody knows.
pub fn meaning(code: u32) -> &'static str {
    TABLE.iter().find(|(known, ..)| *known == code).map_or("", |(.., meaning)| meaning)
}
