//! The door that every text of others goes through on its way into a form: first secrets are hidden in it, then it
//! becomes one harmless line of bounded length. What the form itself has to escape comes last, and is the form's own.

use crate::model::text::{line, line_of};

/// Hides secrets. A function, since the core does not know which there are.
#[derive(Clone, Copy)]
pub struct Door<'a>(pub &'a dyn Fn(&str) -> String);

impl Door<'_> {
    /// One harmless line without a secret.
    pub fn line(&self, text: &str) -> String {
        line(&(self.0)(text))
    }

    /// The same of at most that many characters.
    pub fn line_of(&self, text: &str, max_chars: usize) -> String {
        line_of(&(self.0)(text), max_chars)
    }

    /// Several harmless lines without a secret.
    pub fn block(&self, text: &str) -> String {
        (self.0)(text).lines().map(line).collect::<Vec<_>>().join("\n")
    }
}
