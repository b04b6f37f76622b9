//! Puts our entry into the list of a trigger, and keeps all other entries in their order.

/// Where our entry belongs among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    First,
    Last,
    /// Like last, but a new entry comes before that one.
    LastBefore(String),
    Before(String),
    After(String),
}

impl Position {
    /// Reads `first`, `last`, `before NAME` or `after NAME`.
    pub fn parse(text: &str) -> Option<Position> {
        match text.split_once(' ') {
            None if text == "first" => Some(Position::First),
            None if text == "last" => Some(Position::Last),
            Some(("before", name)) if !name.trim().is_empty() => Some(Position::Before(name.trim().into())),
            Some(("after", name)) if !name.trim().is_empty() => Some(Position::After(name.trim().into())),
            _ => None,
        }
    }
}

/// One entry of a trigger's list. The id of the entry itself is left out, because it means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub action_id: String,
    pub action_name: String,
    pub display_name: String,
}

/// The list with our entry in its place and all other entries in their order. If our entry is already in the list at a
/// place that satisfies the position, it stays there. If the neighbour that the position names is missing, our entry
/// stays where it is, or becomes the last one if it is new.
pub fn place(list: &[Bound], ours: &Bound, position: &Position) -> Vec<Bound> {
    let others: Vec<Bound> = list.iter().filter(|entry| entry.action_id != ours.action_id).cloned().collect();
    let find =
        |name: &str| others.iter().position(|entry| entry.action_name == name || entry.display_name == name);
    let now = list.iter().take_while(|entry| entry.action_id != ours.action_id).count();
    let is_bound = now < list.len();
    let at = match position {
        Position::First => 0,
        // "last" is the place for a new entry. An entry that is bound already stays where it is, because somebody may
        // have put another one behind it on purpose.
        Position::Last | Position::LastBefore(_) if is_bound => now,
        Position::Last => others.len(),
        Position::LastBefore(name) => find(name).unwrap_or(others.len()),
        Position::Before(name) => match find(name) {
            Some(other) if is_bound && now <= other => now,
            Some(other) => other,
            None if is_bound => now,
            None => others.len(),
        },
        Position::After(name) => match find(name) {
            Some(other) if is_bound && now > other => now,
            Some(other) => other + 1,
            None if is_bound => now,
            None => others.len(),
        },
    };
    let mut placed = others;
    placed.insert(at.min(placed.len()), ours.clone());
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(name: &str) -> Bound {
        Bound { action_id: format!("id-{name}"), action_name: name.into(), display_name: name.into() }
    }

    fn names(list: &[Bound]) -> String {
        list.iter().map(|entry| entry.action_name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_new_entry_may_be_the_last_but_for_one() {
        let position = Position::LastBefore("b".into());
        for (before, after) in [("a b c", "a us b c"), ("a c", "a c us"), ("b us", "b us"), ("us b", "us b")]
        {
            let list: Vec<Bound> = before.split_whitespace().map(bound).collect();
            assert_eq!(names(&place(&list, &bound("us"), &position)), after, "{before}");
        }
    }

    #[test]
    fn our_entry_is_placed_and_the_others_keep_their_order() {
        let cases = [
            ("a b c", "first", "us a b c"),
            ("a b c", "last", "a b c us"),
            ("a b c", "before b", "a us b c"),
            ("a b c", "after b", "a b us c"),
            ("a b c", "after z", "a b c us"),
            ("", "last", "us"),
            ("a us c", "last", "a us c"),
            ("a us c", "first", "us a c"),
            ("a us c", "before c", "a us c"),
            ("a us c", "after c", "a c us"),
            ("us a c", "after a", "a us c"),
            ("us a c", "before c", "us a c"),
        ];
        for (before, position, after) in cases {
            let list: Vec<Bound> = before.split_whitespace().map(bound).collect();
            let placed = place(&list, &bound("us"), &Position::parse(position).expect(position));
            assert_eq!(names(&placed), after, "{before:?} {position}");
            assert_eq!(
                names(&place(&placed, &bound("us"), &Position::parse(position).expect(position))),
                after,
                "again"
            );
        }
    }
}
