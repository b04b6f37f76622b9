//! The caller's wishes for an apply beyond its plan, and what the tenant kept all the same.

use serde_json::Value as Json;

use crate::kinds::Seen;
pub use crate::model::outcome::{Ended, Outcome};
use crate::model::plan::Step;

/// What the caller wants beyond the plan itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// The plan is old (saved, or confirmed late): read everything again before the first write.
    pub reread: bool,
    /// Read everything again after the last write.
    pub verify: bool,
}

/// For a step that removes values or puts former ones back: a line for each value that its reply shows to be another.
pub(super) fn kept(step: &Step, seen: &Seen) -> Vec<String> {
    let values = step.op.values.iter().flatten();
    let there = |field: &str| match seen.attrs.get(field) {
        None => Some(Json::Null),
        Some(value) => value.known().cloned(),
    };
    let otherwise = values.filter_map(|(field, wanted)| {
        let there = there(field).filter(|there| there != wanted)?;
        let wanted = if wanted.is_null() { "gone".to_owned() } else { wanted.to_string() };
        Some(format!("{}: {field} is still {there} and not {wanted}: the tenant kept it", step.address,))
    });
    otherwise.collect()
}
