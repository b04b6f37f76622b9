//! Reads replies for all kinds: their members, their ids, and whether a reply is what was asked for.

use serde_json::Value as Json;

use super::seen::Seen;
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::event::Event;
use crate::model::text::line_of;
use crate::port::Reader;

/// Whether a text has the form of a Twilio SID with this prefix (the two letters of its kind). Only such a text is put
/// into a path, because neither a record nor a reply may decide where a request goes.
pub(crate) fn is_sid(sid: &str, prefix: &str) -> bool {
    sid.len() == 34 && sid.starts_with(prefix) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A text member of a JSON object; empty if the member is absent or has another type.
pub fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The entries of a reply that is an array of objects.
///
/// # Errors
/// The reply has another shape. It does not count as an empty list: an object could then be created twice, or a policy
/// that locks users out could be missed.
pub(crate) fn array<'a>(reply: &'a Json, what: &str) -> Result<&'a [Json], Failed> {
    let items = reply.as_array().filter(|items| items.iter().all(Json::is_object));
    items.map(Vec::as_slice).ok_or_else(|| Failed::Misread(format!("{what}: not a list")))
}

/// Whether a text of a reply can be the id of an object: it is one path segment and cannot lead to another path.
pub(crate) fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"/?#%\\".contains(&byte);
    !text.is_empty() && text.bytes().all(fits) && !matches!(text, "." | "..")
}

/// The number of characters of a wrong id that an error shows.
const ID_MAX_CHARS: usize = 80;

/// JSON pointers to the id of an object in a reply.
const IDS: [&str; 2] = ["/id", "/sid"];

/// The entries of a list. Each has a text at all JSON pointers in `by`, by which it can be found.
///
/// # Errors
/// An entry lacks such a text. If it were skipped, our object could be created a second time, or somebody else's entry
/// could be lost from a list that is written whole.
pub(crate) fn entries_with<'a>(
    list: Option<&'a Json>,
    by: &[&str],
    what: &str,
) -> Result<&'a [Json], Failed> {
    let items = array(list.unwrap_or(&Json::Null), what)?;
    let has = |item: &Json, pointer: &str| {
        item.pointer(pointer).and_then(Json::as_str).is_some_and(|text| !text.is_empty())
    };
    if let Some(pointer) = by.iter().find(|pointer| !items.iter().all(|item| has(item, pointer))) {
        return Err(Failed::Misread(format!("{what}: an entry of the list has no {}", &pointer[1..])));
    }
    items.iter().try_for_each(|item| has_good_ids(item, what))?;
    Ok(items)
}

/// Checks the ids of an object.
///
/// # Errors
/// A text is not an id. It would lead a later request to another object than the one that was shown.
pub(crate) fn has_good_ids(object: &Json, what: &str) -> Result<(), Failed> {
    let ids = IDS.iter().filter_map(|pointer| object.pointer(pointer)?.as_str());
    match ids.into_iter().find(|id| !is_id(id)) {
        None => Ok(()),
        Some(id) => {
            Err(Failed::Misread(format!("{what}: {:?} is not a valid id", line_of(id, ID_MAX_CHARS))))
        }
    }
}

/// A reply that is an object.
///
/// # Errors
/// The reply is not an object, or it is an error in the place of the object (with `statusCode` and `message`), or an id
/// in it is wrong.
pub(crate) fn object<'a>(reply: &'a Json, what: &str) -> Result<&'a Json, Failed> {
    let whole = reply.is_object() && !(reply.get("statusCode").is_some() && reply.get("message").is_some());
    if !whole {
        return Err(Failed::Misread(format!("{what}: not the object that was asked for")));
    }
    has_good_ids(reply, what)?;
    Ok(reply)
}

/// The object that was created.
///
/// # Errors
/// The reply does not name the object, so the outcome of the write is unknown.
pub(crate) fn require_id(seen: Seen, id: &str) -> Result<Seen, Failed> {
    if !seen.ids.get(id).is_some_and(|id| is_id(id)) {
        return Err(Failed::Unknown("the reply to a write does not name the object".into()));
    }
    Ok(seen)
}

/// The reply to a write that puts a former value back. `None` if the tenant has changed since, so that it refuses the
/// former value (400, 409); a notice then says so.
pub(crate) fn unless_refused(
    reply: Result<Json, Failed>,
    address: &Address,
    reader: &Reader,
) -> Result<Option<Json>, Failed> {
    match reply {
        Err(failed) if matches!(failed.status(), Some(400 | 409)) => {
            reader.tell(Event::notice(format!("{address}: the former value was not put back: {failed}")));
            Ok(None)
        }
        reply => reply.map(Some),
    }
}

/// The texts of a list as a set: sorted, and each once. Without a list, the set is empty.
pub(crate) fn set_of(json: Option<&Json>) -> Json {
    let mut items: Vec<&str> = json
        .and_then(Json::as_array)
        .map(|a| a.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    items.sort_unstable();
    items.dedup();
    Json::from(items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// If a reply could give our object an id such as `A?x=1`, a DELETE of our object would delete object A.
    #[test]
    fn an_id_that_leads_to_another_object_is_none() {
        let seen = |id: &str| Seen { ids: [("id".to_owned(), id.to_owned())].into(), ..Seen::default() };
        for good in ["lst_0000000000000001", "5c0f9a5b-0000-4000-8000-000000000000", "auth0|x", "pro_mY3L5"] {
            let object_of = json!({ "id": good });
            assert!(object(&object_of, "x").is_ok() && require_id(seen(good), "id").is_ok(), "{good}");
            assert!(entries_with(Some(&json!([object_of])), &["/id"], "x").is_ok(), "{good}");
        }
        for bad in ["a?b=c", "a#b", "a/b", "a/../b", "..", ".", "a%2fb", "a b", "a\\b", "a\r\nb", "\u{e9}"] {
            for member in ["id", "sid"] {
                let object_of = json!({ member: bad, "name": "x" });
                assert!(matches!(object(&object_of, "x"), Err(Failed::Misread(_))), "{bad:?}");
                let listed = json!([object_of]);
                assert!(
                    matches!(entries_with(Some(&listed), &["/name"], "x"), Err(Failed::Misread(_))),
                    "{bad:?}"
                );
            }
            assert!(matches!(require_id(seen(bad), "id"), Err(Failed::Unknown(_))), "{bad:?}");
        }
    }
}
