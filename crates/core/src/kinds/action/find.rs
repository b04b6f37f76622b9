//! Finds the Action of a row among the Actions of the tenant.

use serde_json::Value as Json;

use super::Action;
use super::wire::{Own, name_of};
use crate::kinds::identity::{self, Candidate, Clues, Meant};
use crate::kinds::remote::actions::has_trigger;
use crate::kinds::said::actions::is_named;
use crate::kinds::{Hint, Seen, Whose, text};
use crate::model::codes;
use crate::model::ledger::{Entry, Last};
use crate::model::plan::Level;

/// The Action of a row. If it is not found, the result says which other Actions stand in its way.
pub(super) fn find(row: &Action, hint: &Hint<'_>, all: &[Json]) -> Seen {
    let applied = hint.entry.and_then(|entry| match entry.fields.get("name") {
        Some(Last::Plain(name)) => name.as_str(),
        _ => None,
    });
    let name = hint.want.map(|want| name_of(&want.desired)).or(applied).unwrap_or_default();
    let taken = |action: &Json| {
        text(action, "name") == name && row.moves_from.is_some_and(|from| has_trigger(action, from))
    };
    let candidate = |action| Candidate {
        id: text(action, "id"),
        name: if is_named(text(action, "name"), name) { name } else { text(action, "name") },
        matches: has_trigger(action, row.trigger.id),
    };
    let candidates: Vec<_> = all.iter().map(candidate).collect();
    let meant = identity::meant(&Clues { name, ..hint.clues("id", "name") }, &candidates);
    // What this stack has on record in another place, with a proof, is not meant.
    let is_elsewhere = |action: &&Json| {
        let is_it =
            |entry: &Entry| !entry.unproven && entry.ids.get("id").is_some_and(|id| id == text(action, "id"));
        let mut others = hint.record.into_iter().flatten().filter(|(at, _)| *at != hint.address);
        !has_trigger(action, row.trigger.id) && others.any(|(_, entry)| is_it(entry))
    };
    // The Actions of the wanted name, on any trigger; if several may be meant, those.
    let named: Vec<&Json> = match &meant {
        Meant::Ambiguous(those) => those.iter().map(|at| &all[*at]).collect(),
        _ => {
            let named = all.iter().filter(|action| is_named(text(action, "name"), name) && !taken(action));
            named.filter(|action| meant == Meant::Absent || !is_elsewhere(action)).collect()
        }
    };
    let mut seen = Seen::default();
    match (meant, named.as_slice()) {
        (Meant::One(at, whose), [_]) | (Meant::One(at, whose @ (Whose::Ours | Whose::Resumed)), _) => {
            seen = Seen { whose: hint.believing(whose), ..row.read(&all[at], name) };
            let [id, called] = ["id", "name"].map(|key| text(&all[at], key));
            let other = |other: &&Json| text(other, "id") != id && text(other, "name") == name;
            if hint.want.is_some()
                && !is_named(called, name)
                && let Some(other) = all.iter().find(other)
            {
                seen.finding(
                    codes::NAME_TAKEN,
                    hint.address,
                    Level::Blocker,
                    format!(
                        "{called:?} cannot be renamed to {name:?}: another Action has that name (id {})",
                        text(other, "id")
                    ),
                    "rename or delete the other one, or set the name in the manifest to something else",
                );
            }
        }
        (_, []) => {
            seen.beside = candidates.iter().map(|one| one.id.to_owned()).collect();
            seen.keep(|own: &mut Own| own.name_taken = all.iter().any(taken));
            let said = hint.unproven_id("id");
            let claimed = |(_, one): &(&Json, &Candidate<'_>)| one.matches && Some(one.id) == said;
            if let Some((other, _)) = all.iter().zip(&candidates).find(claimed) {
                seen.finding(
                    codes::ONLY_CLAIMED, hint.address,
                    Level::Blocker,
                    format!(
                        "the record says that the Action {:?} (id {}) belongs to this stack, but nothing proves the record",
                        text(other, "name"),
                        text(other, "id")
                    ),
                    "if it is yours, write its name into the manifest; if not, delete the Action that holds the record",
                );
            }
        }
        (_, [action]) if hint.want.is_none() => {
            let [name, id] = ["name", "id"].map(|key| text(action, key).to_owned());
            seen.keep(|own: &mut Own| own.elsewhere = Some((name, id)));
        }
        (_, [action]) => seen.finding(
            codes::NAME_TAKEN,
            hint.address,
            Level::Blocker,
            format!("an Action named {name:?} exists on another trigger (id {})", text(action, "id")),
            "rename it, or set action.name to something else",
        ),
        (_, several) => {
            let ids: Vec<&str> = several.iter().map(|action| text(action, "id")).collect();
            seen.finding(
                codes::SEVERAL_FIT,
                hint.address,
                Level::Blocker,
                format!("{} Actions are named {name:?}: {}", ids.len(), ids.join(", ")),
                "delete or rename all but the right one",
            );
        }
    }
    seen
}
