//! Finds what stays although the stack is destroyed, and why.

use std::collections::BTreeMap;

use crate::kinds::Seen;
use crate::model::address::Address;
use crate::model::ledger::{Ledger, Ownership};
use crate::model::plan::{Finding, ResourcePlan, Step, Verb};

/// Sets the verb of each leaving resource after the steps are settled. A resource without a step is left as it is,
/// whatever was planned first.
pub(super) fn mark(
    resources: &mut [ResourcePlan],
    steps: &[Step],
    findings: &[Finding],
    (seen, ledger): (&BTreeMap<Address, Seen>, Option<&Ledger>),
) {
    for resource in resources.iter_mut().filter(|resource| resource.leaves) {
        if let Some(step) = steps.iter().find(|step| step.address == resource.address) {
            resource.verb = step.verb;
            continue;
        }
        resource.verb = Verb::NoOp;
        resource.changes.clear();
        if !seen.get(&resource.address).is_some_and(|seen| seen.exists) {
            continue;
        }
        let told = findings.iter().find(|finding| finding.address == resource.address);
        let entry = ledger.and_then(|ledger| ledger.resources.get(&resource.address));
        // A switch with its former value is not an object left behind, so the resource needs an id.
        let adopted =
            entry.is_some_and(|entry| entry.ownership == Ownership::Adopted && !entry.ids.is_empty());
        let before = adopted.then(|| "it existed before this stack".to_owned());
        resource.stays = told.map(|finding| finding.text.clone()).or(before);
    }
}
