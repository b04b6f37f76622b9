//! How the problems of a manifest are shown: with its lines, and without what the environment holds.

use crate::diag::Diagnostic;
use crate::manifest::{Source, Tables, render};
use crate::model::field::{Field, Type};

use super::setup::Shell;
use crate::plan::desired::tables;

/// A shorter value stands in many a line by chance.
const VALUE_MIN: usize = 6;

/// Shows problems on stderr. A manifest that a script filled in holds values of the environment, and its problems end in
/// a log; so no drawn line repeats one. Only words that a manifest is made of stay.
pub fn draw(diagnostics: &[Diagnostic], source: &Source, shell: &mut Shell) {
    let tables = tables();
    let environment: Vec<String> =
        std::env::vars_os().map(|(_, value)| value.to_string_lossy().into_owned()).collect();
    let source = source.without(blanked(&environment, &tables));
    shell.say.err(&render(diagnostics, &source, shell.say.err_color()));
}

/// What is not repeated of these values: each line of them by itself.
fn blanked<'a>(environment: &'a [String], tables: &Tables) -> impl Iterator<Item = &'a str> {
    let lines = environment.iter().flat_map(|value| value.lines()).map(str::trim);
    lines.filter(|line| line.len() >= VALUE_MIN && !is_of_manifests(line, tables))
}

/// Whether a word is a part of the language of manifests.
fn is_of_manifests(word: &str, tables: &Tables) -> bool {
    let of_section = |section: &str| section.split('.').any(|part| part == word);
    tables.sections.iter().any(|section| of_section(section.path) || has(section.fields, word))
}

/// Depth ends with the tables, which are static.
fn has(fields: &[Field], word: &str) -> bool {
    fields.iter().any(|field| {
        field.key == word
            || match field.ty {
                Type::Object(inner) | Type::Named { fields: inner, .. } => has(inner, word),
                Type::OneOf(words) | Type::OpenOneOf(words) | Type::Set(words) => words.contains(&word),
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_language_stay() {
        let values =
            ["lockstep", "verify_service", "unified", "logo_url", "short", "hunter", "a\n  second-line \n"];
        let values = values.map(str::to_owned);
        let found: Vec<&str> = blanked(&values, &tables()).collect();
        assert_eq!(found, ["hunter", "second-line"]);
    }
}
