//! Warns of secrets that cannot be hidden inside a longer text. They are not refused, because people keep settings such
//! as a region in secrets.

use crate::diag::{Problem, codes};
use crate::model::manifest::Manifest;
use crate::model::scrub::shows_in_text;
use crate::model::value::Value;

/// A warning for every secret that an output could show in part.
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
                "Lockstep hides it only where it is a whole value; use a longer secret, unless this is a setting that others may read",
            );
            out.push(problem.warning());
        }
    }
}
