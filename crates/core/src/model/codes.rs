//! The list of codes: of diagnostics and of findings. They are public and stable, and each has one sentence. A number
//! is never used again; a new code comes at the end of its hundred.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// A code, `LS0104`. It tells what a person has to understand and do, whatever the resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(u16);

impl Code {
    pub fn number(self) -> u16 {
        self.0
    }

    /// Reads a code as a person types it: `LS0104`, `ls104`, `104`. The code need not be in the list.
    pub fn parse(text: &str) -> Option<Code> {
        let digits = match text.get(..2) {
            Some(letters) if letters.eq_ignore_ascii_case("ls") => &text[2..],
            _ => text,
        };
        let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().map(Code)).flatten()
    }

    /// What `lockstep explain` prints of it.
    pub fn page(self) -> Option<&'static str> {
        PAGES.iter().find(|(code, _)| *code == self).map(|(_, page)| *page)
    }

    /// Whether an earlier build wrote the finding, without a code.
    pub fn is_of_an_earlier_build(&self) -> bool {
        *self == EARLIER_BUILD
    }

    /// Its sentence in the list.
    pub fn sentence(self) -> Option<&'static str> {
        ALL.iter().find(|(code, _)| *code == self).map(|(_, sentence)| *sentence)
    }
}

/// Plans that earlier builds saved have findings without a code.
impl Default for Code {
    fn default() -> Code {
        EARLIER_BUILD
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LS{:04}", self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Code, D::Error> {
        let text = String::deserialize(from)?;
        Code::parse(&text).ok_or_else(|| D::Error::custom("a code is LS and four digits"))
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: Code = Code($number);)*
        /// Every code with its sentence, in order of number.
        pub const ALL: &[(Code, &str)] = &[$((Code($number), $text)),*];
        /// The page of every code, in the same order.
        pub const PAGES: &[(Code, &str)] =
            &[$((Code($number), include_str!(concat!("pages/LS0", $number, ".md")))),*];
    };
}

codes! {
    // The text of the manifest.
    NOT_YAML = 101, "the text is not YAML";
    UNKNOWN_KEY = 102, "a key that no section has";
    WRONG_TYPE = 103, "a value of the wrong type";
    OUT_OF_RANGE = 104, "a number, length or count outside its range";
    NOT_ALLOWED = 105, "a word that is not one of the allowed ones";
    MISSING_KEY = 106, "a required key is absent";
    BAD_TEXT = 107, "a text that breaks a rule of its field";
    DUPLICATE_KEY = 108, "a key written twice";
    BAD_VERSION = 109, "a manifest version that this program does not read";
    // References and files.
    BAD_REFERENCE = 201, "a reference that cannot be read or leads nowhere";
    MISSING_VALUE = 202, "a reference without a value";
    FILE_REFUSED = 203, "a file that is missing, unreadable or outside the manifest's folder";
    SECRET_IN_CLEAR = 204, "a secret written into the manifest in clear";
    LINE_BREAK_CUT = 205, "a line break at the end of a value, which was taken away";
    SHOWS = 206, "a secret that cannot be hidden inside a longer text";
    // What the manifest says as a whole.
    CONFLICT = 301, "settings that contradict each other";
    UNSAFE = 302, "settings that would break logins or their protection";
    MOVING_TARGET = 303, "a version that is not pinned";
    NOT_SUPPORTED = 304, "something the API, or this version of the program, cannot do";
    // Objects in the tenant and the account, and whose they are.
    EARLIER_BUILD = 400, "a finding that an earlier version saved in a plan, without a code";
    TAKEN_OVER = 401, "an existing object that this stack takes over";
    CANNOT_PUT_BACK = 402, "a present value that destroy cannot put back";
    ONLY_CLAIMED = 403, "an object that only an unproven record calls this stack's";
    SEVERAL_FIT = 404, "several objects of which one may be meant";
    NAME_TAKEN = 405, "a name that another object has already";
    NOT_THERE = 406, "the manifest names an object that does not exist";
    PINS_ANOTHER = 407, "the manifest pins another object than the one on record";
    ANOTHER_ACCOUNT = 408, "the Twilio credentials belong to another account than the manifest names";
    NO_ROOM = 409, "the tenant has no room for another object of this stack";
    ADDED_BY_OTHERS = 410, "somebody added a part that the manifest does not name";
    WOULD_BE_DROPPED = 411, "a step would drop a part that only the tenant has";
    STAYS = 412, "something stays, because something else still depends on it";
    NOT_PUT_BACK = 413, "something does not become what it was before this stack";
    CHANGED_SINCE = 414, "somebody replaced or changed an object since, so it is left alone";
    OF_ANOTHER_STACK = 415, "another stack has the object on record too";
    REMOVAL_WAITS = 416, "a removal is due and waits all the same";
    LEFT_MANIFEST = 417, "something that this stack managed is no longer in the manifest";
    LEAVES_RECORD = 418, "something that the tenant does not use any more leaves the record";
    NOT_SHOWN = 419, "a setting that the tenant does not show, so it is left alone";
    NOT_APPROVED = 420, "a message template without an approved translation";
    BUILD_FAILED = 421, "the last build of an Action failed";
    HAS_NO_EFFECT = 422, "something is set and has no effect";
    NOT_TAKEN_BACK = 423, "a rollback leaves something as the last run left it";
    USED_MISFITS = 424, "a service of others is not as the manifest expects it";
    NEAR_LIMIT = 425, "something is near its limit";
    RUNTIME_ENDED = 426, "code runs on a version of Node.js that has ended";
    NOT_APPLIED = 427, "the manifest has changes that are not applied";
    // The record.
    NO_SEAL = 501, "the record has no seal";
    OTHER_SEAL = 502, "the record is sealed by other credentials";
    BROKEN_SEAL = 503, "a seal of the record does not match it";
    RECORD_UNUSABLE = 504, "the record cannot be used";
    RECORD_NEWER = 505, "a newer version of the program wrote the record";
    NOT_THE_RECORD = 506, "an Action has the name of the ledger and is something else";
    RECORD_DEPLOYED = 507, "somebody deployed the ledger Action";
    SEVERAL_RECORDS = 508, "several Actions have the name of the ledger";
    RUN_UNFINISHED = 509, "the last run of this stack did not finish";
    ANSWER_LOST = 510, "the answer to a create was lost, and its object may still appear";
    RECORD_INCOMPLETE = 511, "the record does not list everything that this stack created";
    CLOCK = 512, "a date is compared with the clock of this machine";
    NO_LAST_RUN = 513, "the record does not say what the last run changed";
    TAKEN_BACK = 514, "what a rollback leaves to be done";
    // Logins: what the proof refuses, and what keeps codes from arriving.
    DELIVERY_STOPS = 601, "a step would stop messages that arrive so far";
    HANDED_TO_OTHERS = 602, "a step would hand messages to an Action of others";
    NO_FACTOR = 603, "logins would be asked for a factor, and none could be used";
    RULE_UNMET = 604, "a login rule could not be met";
    OTHERS_UNMET = 605, "an Action of others asks for a factor that would go";
    OUT_OF_ORDER = 606, "a step would come before the one that it needs";
    NOTHING_DELIVERS = 607, "the phone would be offered before anything can deliver";
    BINDING_REFUSED = 608, "the tenant does not take the binding, so nobody knows whether codes arrive";
    OTHERS_UNBOUND = 609, "users would depend on an Action of others that is not bound";
    SENT_TWICE = 610, "two Actions would send each message";
    FORMER_ALONE = 611, "logins would have the codes of a former version alone";
    LIMIT_MISSING = 612, "an Action would pass a rate limit that is not there";
    NO_FEEDBACK = 613, "no feedback would reach Verify while it sends";
    CANNOT_SPEAK = 614, "the login pages cannot offer spoken codes";
    STREAM_SUSPENDED = 615, "Auth0 suspended the log stream";
    STREAM_SAYS_TOO_LITTLE = 616, "the log stream does not carry what the feedback needs";
    LEGACY_LOCKED = 617, "the tenant does not have the legacy phone set-up";
    WHAT_IS_REPORTED = 618, "which logins the feedback path reports";
    ACROSS_UNIFIED = 619, "a rollback would go back across the unified phone experience";
    RUN_FAILS = 620, "the tenant log blames what a run deployed, or the set-up";
    LOG_SAYS_TOO_LITTLE = 621, "the tenant log shows too little to call a run healthy";
    NONE_CONVERTED = 630, "no verification was completed, so no feedback arrives";
    FEW_CONVERTED = 631, "fewer verifications were completed than should be";
    CONVERSION_UNKNOWN = 632, "nobody can tell yet whether the feedback arrives";
    NUMBERS_MASKED = 633, "logins get no feedback, because their numbers cannot be read";
    EVENTS_LEFT_OUT = 634, "logins get no feedback, because nothing takes their events";
    STREAM_STOPPED = 635, "the log stream of the feedback does not send";
    NO_ATTEMPT = 636, "a test message did not reach Verify";
    // What could not be read, and what the credentials may not do.
    NOT_READ = 701, "a part could not be read";
    UNREAD_BLOCKS = 702, "nothing is applied, because a part could not be read";
    GUARD_UNREAD = 703, "a setting on which logins depend could not be read";
    SCOPES_MISSING = 704, "the access token lacks scopes";
    KEY_UNTESTED = 705, "whether the Twilio key may write is not known";
    CREDENTIALS_DEAD = 706, "Twilio does not take credentials that the stack hands on";
    CREDENTIALS_UNTRIED = 707, "credentials that the stack hands on were not tried";
    CANNOT_SEND = 708, "no code can be sent through a Verify service that the stack names";
    NOT_CONNECTED = 709, "neither tenant nor account was read";
    NOT_CHECKED = 710, "something could not be checked";
    LOG_NOT_READ = 711, "the tenant log could not be read";
    WIDE_CREDENTIALS = 712, "credentials may do more than what they are handed on for";
    TRIAL_ACCOUNT = 713, "the Twilio account is a trial account";
    // What a person answers for: what no API tells, and what may differ for a while.
    NOT_ATTESTED = 801, "there is no attestation";
    EXPIRED = 802, "an attestation has expired";
    NOT_YET = 803, "an attestation is dated in the future";
    ENDS_SOON = 804, "an attestation ends soon";
    ATTESTED = 805, "something is attested, and no API can verify it";
    ACCEPT_OVER = 806, "an accepted difference counts again, because its day is over";
    ACCEPT_OTHER_VALUE = 807, "the tenant has another value than the one that was accepted";
    ACCEPT_COVERS_NOTHING = 808, "an entry of accept covers no difference";
    // Requests that fail, and runs that do not end (`diag::remote`).
    CLIENT_REFUSED = 901, "Auth0 does not accept the application's credentials";
    CLIENT_NOT_AUTHORISED = 902, "the application may not use the Management API";
    NO_TENANT = 903, "no tenant answers at the domain";
    TOKEN_REFUSED = 904, "the tenant refuses the token that it gave";
    SCOPE_REFUSED = 905, "Auth0 refused a request for which the token has no scope";
    PLAN_LIMIT = 906, "the tenant's Auth0 plan does not allow this";
    IN_THE_WAY = 907, "something that exists stands in the way";
    VALUE_REFUSED = 908, "the API refuses a value";
    GONE = 909, "an object is not there any more";
    KEY_REFUSED = 910, "Twilio does not accept the key or the token";
    KEY_MAY_NOT = 911, "the Twilio key may not do this";
    NO_SERVERLESS = 912, "the Twilio key may not use Serverless";
    ACCOUNT_SUSPENDED = 913, "the Twilio account is suspended or closed";
    NO_CUSTOM_CODES = 914, "Twilio does not let this service send the codes of Auth0";
    LIMITED = 920, "too many requests, limited until a time that is too far away";
    NOT_REACHED = 921, "a request did not reach the server";
    UNANSWERED = 922, "the answer to a request was lost";
    SERVER_ERROR = 923, "the vendor's server has an error of its own";
    MISREAD = 924, "a reply that cannot be understood";
    REFUSED = 925, "a refusal without a known meaning";
    NOT_BUILT = 926, "the vendor could not build the code";
    HELD_BACK = 927, "a step was held back, because what it needs is not there";
    LEASE_LOST = 928, "another run took the lease over";
    RECORD_MOVED = 929, "somebody else changed the record in the meantime";
    STOPPED = 930, "the run was stopped before its end";
    STILL_DIFFERS = 931, "everything was applied, and the tenant still differs";
    RECORD_NOT_WRITTEN = 932, "the steps ran, and the record could not be written";
    // The command itself.
    USAGE = 980, "the command line is wrong";
    MANIFEST_UNUSABLE = 981, "there is no manifest that can be used";
    STALE = 982, "the plan is not the one that was reviewed, or is out of date";
    LEASE_HELD = 983, "somebody else is applying to this tenant";
    INTERNAL = 984, "this machine or this program cannot do it";
    NOT_CONFIRMED = 985, "the plan was not confirmed";
    HALTED = 990, "a rollout halted";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascending() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_code_is_read_as_a_person_types_it() {
        for text in ["LS0104", "ls0104", "Ls104", "104", "0104"] {
            assert_eq!(Code::parse(text), Some(OUT_OF_RANGE), "{text}");
        }
        for text in ["", "LS", "LS-104", "+104", "LS0104x", "99999", "action.secrets", "ü04"] {
            assert_eq!(Code::parse(text), None, "{text}");
        }
    }
}
