//! What the credentials of a run may not do, as far as that is known before a write.
//!
//! Plan and apply may have credentials of their own. So what only an apply needs stands against an apply, and is a note
//! of a plan.

use std::collections::BTreeSet;

use super::build::Basis;
use crate::kinds;
use crate::model::plan::{Finding, Level, Purpose, Step};

const HOW: &str = "(Applications, APIs, Auth0 Management API, Machine to Machine)";

/// What is missing for the steps, or not known; `record`: the record is written also without steps.
pub fn findings(basis: &Basis<'_>, steps: &[Step], record: bool) -> Vec<Finding> {
    if steps.is_empty() && !record {
        return Vec::new();
    }
    match basis.purpose {
        // Nothing is compared by what an apply needs.
        Purpose::Drift => Vec::new(),
        Purpose::Show => scopes(basis, steps).into_iter().chain(untried(basis)).collect(),
        Purpose::Apply => scopes(basis, steps).into_iter().collect(),
    }
}

/// Compares the granted scopes with those that the steps and the record need. A token that does not say what it may do
/// is found out by the first write.
fn scopes(basis: &Basis<'_>, steps: &[Step]) -> Option<Finding> {
    let granted = basis.scopes.filter(|scopes| !scopes.is_empty())?;
    let for_steps = steps.iter().filter_map(|step| Some(kinds::by_name(&step.kind)?.scopes(step))).flatten();
    let all = for_steps.chain(basis.ledger_scopes).copied();
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
            format!("nothing to do for a plan; the application that applies has to have them {HOW}"),
            Level::Note,
        ),
    };
    Some(Finding { address: String::new(), text, help, level })
}

/// Twilio does not tell what a key may do, and a plan writes nothing to find out. The account's token may do everything.
fn untried(basis: &Basis<'_>) -> Option<Finding> {
    let key = basis.manifest.text("twilio", "api_key")?;
    Some(Finding {
        address: String::new(),
        text: format!(
            "whether the Twilio key {key} may write is not tried by a plan; an apply stops at its first write, the lease, if not"
        ),
        help: String::new(),
        level: Level::Note,
    })
}
