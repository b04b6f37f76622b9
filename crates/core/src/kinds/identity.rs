//! Decides which of the observed objects is meant, and who owns it.
//!
//! The id on record decides first, then an object that an unfinished run of this stack created, and last the name
//! alone. An object that existed before and only has the right name belongs to somebody else until a person says
//! otherwise.

use super::{Hint, Whose};
use crate::model::value::Value;

/// What is known of an object before the search for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clues<'a> {
    /// The id on record. `None`: there is none, or the record is unproven and the manifest wants the object.
    pub recorded: Option<&'a str>,
    /// If an unfinished run may have created the object: the ids that existed before that run.
    pub creating: Option<&'a [String]>,
    /// The name that the unfinished run was to give the object, if the manifest has another name now.
    pub former_name: Option<&'a str>,
    /// The wanted name; empty if the object cannot be found by a name.
    pub name: &'a str,
}

/// One of the observed objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub id: &'a str,
    pub name: &'a str,
    /// The object has the right form, for example the right trigger. An object of another form is never meant, whatever
    /// its id and name are: a record is untrusted, and a name says little.
    pub matches: bool,
}

/// The object that is meant, as an index into the list of candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    One(usize, Whose),
    /// Several candidates fit equally well.
    Ambiguous(Vec<usize>),
    Absent,
}

impl Clues<'_> {
    /// Whether the object with this id was created after the unfinished run began; false if there was no such run.
    pub fn is_new(&self, id: &str) -> bool {
        self.creating.is_some_and(|before| !before.iter().any(|there| there == id))
    }
}

impl<'a> Hint<'a> {
    /// What is known of the object. The parameter `id` is the key of its id in the record, and `name` is the field of
    /// the desired state that holds its name.
    pub(super) fn clues(&self, id: &str, name: &str) -> Clues<'a> {
        let recorded = self.entry.filter(|entry| !entry.unproven || self.want.is_none());
        let recorded = recorded.and_then(|entry| entry.ids.get(id)).filter(|id| !id.is_empty());
        let name_of = self.want.and_then(|want| want.desired.get(name)).and_then(Value::as_str);
        Clues {
            recorded: recorded.map(String::as_str),
            creating: self.creating().map(Vec::as_slice),
            former_name: self.former_name(name),
            name: name_of.unwrap_or_default(),
        }
    }

    /// Changes the answer for kinds that believe an unproven record if the manifest has the object's name too. If the
    /// manifest does not want the object, nothing is taken over, so another object than the one on record does not need
    /// consent either.
    pub(super) fn believing(&self, found: Whose) -> Whose {
        match found {
            Whose::Unowned if self.entry.is_some() => Whose::Ours,
            Whose::Another if self.want.is_none() => Whose::Ours,
            found => found,
        }
    }
}

/// Who owns an object that is the only candidate, because its name or its place is unique.
pub(super) fn whose(clues: &Clues<'_>, id: &str) -> Whose {
    let clues = Clues { name: "it", ..*clues };
    match meant(&clues, &[Candidate { id, name: "it", matches: true }]) {
        Meant::One(_, whose) => whose,
        Meant::Ambiguous(_) | Meant::Absent => Whose::Unowned,
    }
}

/// Decides which of the candidates is meant.
pub(super) fn meant(clues: &Clues<'_>, there: &[Candidate<'_>]) -> Meant {
    let fits = || there.iter().enumerate().filter(|(_, one)| one.matches);
    let recorded = match clues.recorded {
        Some(id) => fits().find(|(_, one)| one.id == id),
        None => None,
    };
    if let Some((at, _)) = recorded {
        return Meant::One(at, Whose::Ours);
    }
    let called = |name: &str, new: bool| -> Vec<usize> {
        let called =
            fits().filter(|(_, one)| !name.is_empty() && one.name == name && clues.is_new(one.id) == new);
        called.map(|(at, _)| at).collect()
    };
    let former = clues.former_name.map(|name| called(name, true)).filter(|those| !those.is_empty());
    let made = former.unwrap_or_else(|| called(clues.name, true));
    match (made.as_slice(), called(clues.name, false).as_slice(), clues.recorded) {
        ([one], ..) => Meant::One(*one, Whose::Resumed),
        ([], [], _) => Meant::Absent,
        ([], [one], Some(_)) => Meant::One(*one, Whose::Another),
        ([], [one], None) => Meant::One(*one, Whose::Unowned),
        ([], several, _) | (several, ..) => Meant::Ambiguous(several.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::Meant::{Absent, Ambiguous, One};
    use super::Whose::{Another, Ours, Resumed, Unowned};
    use super::*;

    /// A search for an object with the wanted name `x`.
    struct Row<'a> {
        recorded: Option<&'a str>,
        creating: Option<&'a [&'a str]>,
        former_name: Option<&'a str>,
        /// The candidates as `id name`, with `-` in front if the form is wrong.
        there: &'a [&'a str],
        expected: Meant,
    }

    const fn row<'a>(
        recorded: Option<&'a str>,
        creating: Option<&'a [&'a str]>,
        former_name: Option<&'a str>,
        there: &'a [&'a str],
        expected: Meant,
    ) -> Row<'a> {
        Row { recorded, creating, former_name, there, expected }
    }

    #[test]
    fn each_answer_and_what_comes_before_what() {
        let before = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let rows = [
            row(None, None, None, &[], Absent),
            row(None, None, None, &["1 y"], Absent),
            row(None, None, None, &["1 y", "2 x"], One(1, Unowned)),
            row(None, None, None, &["1 x", "2 x"], Ambiguous(vec![0, 1])),
            row(None, None, None, &["-1 x"], Absent),
            row(None, None, None, &["-1 x", "2 x"], One(1, Unowned)),
            // The id on record decides first, whatever the name of that object is now.
            row(Some("2"), None, None, &["1 x", "2 y"], One(1, Ours)),
            row(Some("2"), Some(&[]), None, &["1 x", "2 x"], One(1, Ours)),
            row(Some("2"), Some(&[]), Some("old"), &["1 old", "2 y"], One(1, Ours)),
            row(Some("2"), None, None, &["1 y"], Absent),
            // The record is believed only if its object has the right form.
            row(Some("2"), None, None, &["1 x", "-2 x"], One(0, Another)),
            // An object that only has the wanted name is not the one on record, unless an unfinished run created it.
            row(Some("2"), None, None, &["1 x"], One(0, Another)),
            row(Some("2"), Some(&["1"]), None, &["1 x"], One(0, Another)),
            row(Some("2"), Some(&[]), None, &["1 x"], One(0, Resumed)),
            row(Some("3"), None, None, &["1 x", "2 x"], Ambiguous(vec![0, 1])),
            // An object that appeared after an unfinished run began belongs to that run, and precedes the objects that
            // existed before.
            row(None, Some(&[]), None, &["1 x"], One(0, Resumed)),
            row(None, Some(&["1"]), None, &["1 x"], One(0, Unowned)),
            row(None, Some(&["1"]), None, &["1 x", "2 x"], One(1, Resumed)),
            row(None, Some(&["1"]), None, &["1 x", "2 x", "3 x"], Ambiguous(vec![1, 2])),
            row(None, Some(&["1", "2"]), None, &["1 x", "2 x"], Ambiguous(vec![0, 1])),
            row(None, Some(&[]), None, &["1 y", "-2 x"], Absent),
            // Among the new objects, the name that the run was to give precedes the present name.
            row(None, Some(&[]), Some("old"), &["1 x", "2 old"], One(1, Resumed)),
            row(None, Some(&["2"]), Some("old"), &["1 x", "2 old"], One(0, Resumed)),
            row(None, Some(&["1", "2"]), Some("old"), &["1 x", "2 old"], One(0, Unowned)),
            row(None, Some(&["1"]), Some("old"), &["1 old"], Absent),
            row(None, Some(&[]), Some("old"), &["1 x", "2 old", "3 old"], Ambiguous(vec![1, 2])),
            row(None, Some(&[]), Some("old"), &["1 x", "-2 old"], One(0, Resumed)),
        ];
        for Row { recorded, creating, former_name, there, expected } in rows {
            let creating = creating.map(before);
            let clues = Clues { recorded, creating: creating.as_deref(), former_name, name: "x" };
            let candidate = |one: &&'static str| {
                let (id, name) = one.trim_start_matches('-').split_once(' ').expect("an id and a name");
                Candidate { id, name, matches: !one.starts_with('-') }
            };
            let candidates: Vec<_> = there.iter().map(candidate).collect();
            assert_eq!(meant(&clues, &candidates), expected, "{clues:?} {there:?}");
        }
        let nameless = Clues { recorded: None, creating: Some(&[]), former_name: None, name: "" };
        let candidate = Candidate { id: "1", name: "", matches: true };
        assert_eq!(meant(&nameless, &[candidate]), Absent, "nothing is found by no name");
    }

    #[test]
    fn what_has_no_other_beside_it_is_the_records_the_runs_or_somebody_elses() {
        let clues = Clues { recorded: None, creating: None, former_name: None, name: "" };
        let new = Clues { creating: Some(&[]), ..clues };
        for (clues, expected) in [
            (Clues { recorded: Some("1"), ..new }, Ours),
            (Clues { recorded: Some("2"), ..new }, Resumed),
            (Clues { recorded: Some("2"), ..clues }, Another),
            (new, Resumed),
            (clues, Unowned),
        ] {
            assert_eq!(whose(&clues, "1"), expected, "{clues:?}");
        }
    }
}
