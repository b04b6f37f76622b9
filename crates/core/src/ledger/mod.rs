//! The ledger's form on the tenant, and fingerprints of secrets.
//!
//! The ledger is an Auth0 Action that is never deployed and never bound. Its source exports a handler that does
//! nothing, and carries the payload as base64 of versioned JSON with a checksum. Everything read back is untrusted:
//! anybody who can edit Actions can edit it. A seal proves what only a run of ours may say.

pub mod prints;
pub mod seal;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::Value as Json;

use crate::model::codes::{self, Code};
pub use crate::model::ledger::action_name;
use crate::model::ledger::{LEDGER_SCHEMA, Ledger};
use crate::model::random::hex;
use crate::model::text::line_of;

/// Trigger of the ledger Action. With it, the Action does nothing even if somebody deploys and binds it.
pub const TRIGGER: &str = "post-change-password";
/// Version of that trigger ("Auth0 docs, Actions triggers", 2026-08).
pub const TRIGGER_VERSION: &str = "v2";
/// Largest source that is written; Auth0 takes 100 kB.
const SOURCE_MAX_BYTES: usize = 95_000;
/// Runs kept in the history.
pub const HISTORY_MAX: usize = 10;

/// Why a ledger is not trusted. It is reported and treated as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The payload is missing or does not match its checksum: somebody edited the source, or it was cut short.
    Damaged,
    /// A newer program wrote it; using it could lose data. Holds its schema version.
    Newer(u32),
    /// It belongs to another tenant, account or stack. Holds the part that differs and its value.
    Foreign(&'static str, String),
}

impl Fault {
    /// Code of the finding about it.
    pub fn code(&self) -> Code {
        match self {
            Fault::Newer(_) => codes::RECORD_NEWER,
            Fault::Damaged | Fault::Foreign(..) => codes::RECORD_UNUSABLE,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Damaged => f.write_str("somebody edited it, or it was cut short"),
            Fault::Newer(schema) => write!(f, "it has schema {schema}, which this version does not read"),
            Fault::Foreign(part, value) => write!(f, "its {part} is {value:?}: it was copied from elsewhere"),
        }
    }
}

/// The Action's source for a ledger.
///
/// # Errors
/// When the source would be larger than Auth0 takes.
pub fn write(ledger: &Ledger) -> Result<String, String> {
    let payload = serde_json::to_vec(ledger).map_err(|error| error.to_string())?;
    let source = format!(
        "// This is the record that Lockstep keeps of what it manages in this tenant.\n\
         // Leave it as it is: an edited record is ignored. It is never deployed or bound, and would do nothing.\n\
         exports.onExecutePostChangePassword = async () => {{}};\n\
         exports.ledger = 'v1.{}.{}';\n",
        hex(digest::digest(&digest::SHA256, &payload).as_ref()),
        STANDARD.encode(&payload)
    );
    if source.len() > SOURCE_MAX_BYTES {
        return Err(format!(
            "the ledger has {} bytes and an Action takes 100 kB; keep it elsewhere with --ledger file:PATH",
            source.len()
        ));
    }
    Ok(source)
}

/// Reads a ledger out of an Action's source and checks that it is for this stack, tenant and account.
pub fn read(source: &str, stack: &str, tenant: &str, account: &str) -> Result<Ledger, Fault> {
    parse(&payload(source)?, stack, tenant, account)
}

/// The payload of a source, if its checksum is right.
fn payload(source: &str) -> Result<Vec<u8>, Fault> {
    let payload = source.split('\'').find_map(|part| part.strip_prefix("v1.")).ok_or(Fault::Damaged)?;
    let (checksum, encoded) = payload.split_once('.').ok_or(Fault::Damaged)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| Fault::Damaged)?;
    if hex(digest::digest(&digest::SHA256, &bytes).as_ref()) != checksum {
        return Err(Fault::Damaged);
    }
    Ok(bytes)
}

/// The record of another stack in the same tenant, from an Action with the name of a ledger. The caller believes of it
/// only that objects are to stay, so it may name another account.
pub fn of_another(source: &str, name: &str, tenant: &str) -> Option<Ledger> {
    let stack = name.strip_prefix("Lockstep ledger (")?.strip_suffix(')')?;
    let bytes = payload(source).ok()?;
    let account = serde_json::from_slice::<Json>(&bytes).ok()?.get("account")?.as_str()?.to_owned();
    parse(&bytes, stack, tenant, &account).ok()
}

/// Reads a ledger in its JSON form.
pub fn parse(bytes: &[u8], stack: &str, tenant: &str, account: &str) -> Result<Ledger, Fault> {
    let json: Json = serde_json::from_slice(bytes).map_err(|_| Fault::Damaged)?;
    let schema = json
        .get("schema")
        .and_then(Json::as_u64)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or(Fault::Damaged)?;
    if schema > LEDGER_SCHEMA {
        return Err(Fault::Newer(schema));
    }
    let ledger: Ledger = serde_json::from_value(json).map_err(|_| Fault::Damaged)?;
    for (part, held, wanted) in [
        ("tenant", &ledger.tenant, tenant),
        ("account", &ledger.account, account),
        ("stack", &ledger.stack, stack),
    ] {
        if held != wanted {
            return Err(Fault::Foreign(part, line_of(held, 80)));
        }
    }
    // The serial grows by one with each write; a number near the end of the range was not written by us.
    if ledger.serial > u64::MAX / 2 {
        return Err(Fault::Damaged);
    }
    if ledger.salt.len() != 32 || !ledger.salt.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Fault::Damaged);
    }
    Ok(ledger)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    pub(crate) fn sample() -> Ledger {
        Ledger {
            schema: LEDGER_SCHEMA,
            tenant: "acme-dev.eu.auth0.com".into(),
            account: "AC00000000000000000000000000000001".into(),
            stack: "acme".into(),
            serial: 3,
            salt: "00112233445566778899aabbccddeeff".into(),
            resources: BTreeMap::new(),
            intent: None,
            history: Vec::new(),
            watch: None,
            last_run: None,
            seals: BTreeMap::new(),
        }
    }

    pub(crate) fn read_sample(source: &str) -> Result<Ledger, Fault> {
        read(source, "acme", "acme-dev.eu.auth0.com", "AC00000000000000000000000000000001")
    }

    #[test]
    fn a_round_trip_keeps_everything() {
        let source = write(&sample()).expect("small");
        assert_eq!(read_sample(&source), Ok(sample()));
        assert!(source.starts_with("//") && source.contains("exports.onExecutePostChangePassword"));
    }

    #[test]
    fn what_does_not_match_is_not_trusted() {
        let source = write(&sample()).expect("small");
        let edited = source.replace("v1.", "v1.0");
        assert_eq!(read_sample(&edited), Err(Fault::Damaged));
        assert_eq!(read_sample("exports.x = 1;"), Err(Fault::Damaged));
        let other = read(&source, "acme", "other.eu.auth0.com", "AC00000000000000000000000000000001");
        assert_eq!(other, Err(Fault::Foreign("tenant", "acme-dev.eu.auth0.com".into())));
        let newer = write(&Ledger { schema: 99, ..sample() }).expect("small");
        assert_eq!(read_sample(&newer), Err(Fault::Newer(99)));
    }
}
