//! Shows the problems of a manifest with the lines of its text, but without values of the environment.

use crate::diag::Diagnostic;
use crate::manifest::{Source, Tables, render};
use crate::model::field::{Field, Type};

use super::setup::Shell;
use crate::plan::desired::tables;

/// Shortest value to hide, in bytes; a shorter one occurs in many lines by chance.
const VALUE_MIN: usize = 6;

/// Shows problems on stderr. A script may have filled a manifest with values of the environment, and the problems may
/// end in a log. So no shown line repeats such a value, except for words of the manifest language.
pub fn draw(diagnostics: &[Diagnostic], source: &Source, shell: &mut Shell) {
    let tables = tables();
    let environment: Vec<String> =
        std::env::vars_os().map(|(_, value)| value.to_string_lossy().into_owned()).collect();
    let source = source.without(blanked(&environment, &tables));
    shell.say.err(&render(diagnostics, &source, shell.say.err_color()));
}

/// The texts to hide: each line of these values that is long enough and is not a word of the manifest language.
fn blanked<'a>(environment: &'a [String], tables: &Tables) -> impl Iterator<Item = &'a str> {
    let lines = environment.iter().flat_map(|value| value.lines()).map(str::trim);
    lines.filter(|line| line.len() >= VALUE_MIN && !is_of_manifests(line, tables))
}

/// Whether a word belongs to the language of manifests.
fn is_of_manifests(word: &str, tables: &Tables) -> bool {
    let of_section = |section: &str| section.split('.').any(|part| part == word);
    tables.sections.iter().any(|section| of_section(section.path) || has(section.fields, word))
}

/// Whether one of the fields, or a field inside them, has that word as key or choice. The tables are static, so the
/// recursion ends.
fn has(fields: &[Field], word: &str) -> bool {
    fields.iter().any(|field| {
        field.key == word
            || match field.ty {
                Type::Object(inner)
                | Type::Named { fields: inner, .. }
                | Type::List { fields: inner, .. } => has(inner, word),
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
