//! Which secrets cannot be hidden inside a longer text. People keep settings such as a region in secrets, so it is said
//! and not refused.

use crate::diag::{Problem, codes};
use crate::model::manifest::Manifest;
use crate::model::scrub::shows_in_text;
use crate::model::value::Value;

/// A warning at every secret of which an output could show more than `[secret]`.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    for (section, attrs) in &manifest.sections {
        for (key, value) in attrs {
            let Value::Secret(secret) = value else { continue };
            let Some(reason) = shows_in_text(secret) else { continue };
            let problem = Problem::error(
                codes::SHOWS,
                format!("{section}.{key}"),
                "this secret cannot be hidden inside a longer text",
                reason,
                "it is hidden where it is the whole of a value; use a longer one, unless it is a setting that others may read",
            );
            out.push(problem.warning());
        }
    }
}
