//! A place for records outside the tenant (a file), as plain data: what is asked of it, and what it answers.
//!
//! A write names what it goes over. Where something else stands there by then, nothing is written.

use ring::digest;

use super::random::hex;

/// The name of a place: the path of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub String);

/// What tells one content from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tag {
    /// Nothing stands there.
    #[default]
    Absent,
    /// A digest of what stands there.
    Of(String),
}

/// What stands at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// `None` where nothing does.
    pub text: Option<String>,
    pub tag: Tag,
}

impl From<Option<String>> for Content {
    fn from(text: Option<String>) -> Content {
        let tag = text.as_ref().map_or(Tag::Absent, |text| {
            Tag::Of(hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
        });
        Content { text, tag }
    }
}

/// What is asked of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceCall {
    Load,
    /// Replaces what stands there, whole or not at all, if that is what the tag says.
    Save {
        text: String,
        expect: Tag,
    },
    /// Takes away what stands there, if that is what the tag says. Nothing there is fine.
    Remove {
        expect: Tag,
    },
}

/// What a place answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceReply {
    /// It is done, and this stands there now.
    Stands(Content),
    /// Nothing is done: something else stands there than the call expects.
    Moved,
    /// Nothing is done, or nobody knows. Why, in words that name the place.
    Failed(String),
}

impl PlaceCall {
    /// Carries the call out on what stands there: the one rule of every place.
    pub fn on(self, now: Content) -> PlaceReply {
        let (expect, text) = match self {
            PlaceCall::Load => return PlaceReply::Stands(now),
            PlaceCall::Save { text, expect } => (expect, Some(text)),
            PlaceCall::Remove { .. } if now.tag == Tag::Absent => return PlaceReply::Stands(now),
            PlaceCall::Remove { expect } => (expect, None),
        };
        if now.tag == expect { PlaceReply::Stands(text.into()) } else { PlaceReply::Moved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over_what_was_not_expected() {
        let (none, one, two) = (Content::from(None), content("one"), content("two"));
        let save = |expect: &Tag| PlaceCall::Save { text: "two".into(), expect: expect.clone() };
        let remove = |expect: &Tag| PlaceCall::Remove { expect: expect.clone() };
        for (call, now, reply) in [
            (PlaceCall::Load, &one, PlaceReply::Stands(one.clone())),
            (PlaceCall::Load, &none, PlaceReply::Stands(none.clone())),
            (save(&none.tag), &none, PlaceReply::Stands(two.clone())),
            (save(&one.tag), &one, PlaceReply::Stands(two.clone())),
            (save(&none.tag), &one, PlaceReply::Moved),
            (save(&one.tag), &none, PlaceReply::Moved),
            (save(&one.tag), &two, PlaceReply::Moved),
            (remove(&one.tag), &one, PlaceReply::Stands(none.clone())),
            (remove(&one.tag), &none, PlaceReply::Stands(none.clone())),
            (remove(&one.tag), &two, PlaceReply::Moved),
        ] {
            assert_eq!(call.clone().on(now.clone()), reply, "{call:?} on {now:?}");
        }
    }

    fn content(text: &str) -> Content {
        Content::from(Some(text.to_owned()))
    }
}
