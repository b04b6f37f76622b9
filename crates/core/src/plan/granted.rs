//! Finds what the credentials of a run may not do, as far as that is known before a write.
//!
//! Plan and apply may use different credentials. A right that only an apply needs therefore blocks an apply, and is
//! only a note in a plan.

use std::collections::BTreeSet;

use super::build::Basis;
use crate::kinds;
use crate::model::address::Address;
use crate::model::codes;
use crate::model::plan::{Finding, Level, Purpose, Step};

const HOW: &str = "(Applications, APIs, Auth0 Management API, Machine to Machine)";

/// Rights that are missing for the steps, or unknown. `record`: the record is written even if there are no steps.
pub fn findings(basis: &Basis<'_>, steps: &[Step], record: bool) -> Vec<Finding> {
    if steps.is_empty() && !record {
        return Vec::new();
    }
    match basis.purpose {
        // Drift shows differences, which have nothing to do with the rights of an apply.
        Purpose::Drift => Vec::new(),
        Purpose::Show => scopes(basis, steps).into_iter().chain(untried(basis)).collect(),
        Purpose::Apply => scopes(basis, steps).into_iter().collect(),
    }
}

/// Compares the granted scopes with those that the steps and the record need. If the token does not list its scopes,
/// only the first write shows what is missing.
fn scopes(basis: &Basis<'_>, steps: &[Step]) -> Option<Finding> {
    let granted = basis.scopes.filter(|scopes| !scopes.is_empty())?;
    let for_steps = steps.iter().filter_map(|step| Some(kinds::by_name(&step.kind)?.scopes(step))).flatten();
    let all = for_steps.chain(basis.ledger_scopes).chain(basis.further_scopes).copied();
    let missing: BTreeSet<&str> = all.filter(|scope| !granted.iter().any(|have| have == scope)).collect();
    if missing.is_empty() {
        return None;
    }
    let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
    let (text, help, level) = match basis.purpose {
        Purpose::Apply => (
            format!("the access token lacks scopes that the steps need: {missing}"),
            format!("grant them to the application {HOW}"),
            Level::Blocker,
        ),
        Purpose::Show | Purpose::Drift => (
            format!("an apply needs scopes that this access token does not have: {missing}"),
            format!("a plan does not need them; grant them to the application that applies {HOW}"),
            Level::Note,
        ),
    };
    Some(Finding { code: codes::SCOPES_MISSING, address: Address::default(), text, help, level })
}

/// A note that a plan does not know what the Twilio key may do: Twilio does not tell, and a plan writes nothing to find
/// out. The account's auth token may do everything.
fn untried(basis: &Basis<'_>) -> Option<Finding> {
    let key = basis.manifest.text("twilio", "api_key")?;
    Some(Finding {
        code: codes::KEY_UNTESTED,
        address: Address::default(),
        text: format!(
            "a plan does not test whether the Twilio key {key} may write; if it may not, an apply stops at its first write, the lease"
        ),
        help: String::new(),
        level: Level::Note,
    })
}
