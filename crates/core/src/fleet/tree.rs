//! A manifest, or a part of one, as a tree whose nodes remember where they were written; and RFC 7386 on such trees.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::manifest::Source;
use crate::manifest::yaml::Node;

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The part, counted from the base.
    pub part: usize,
    /// Bytes of the part's text.
    pub range: Range<usize>,
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub struct Tree {
    pub at: Origin,
    pub value: Value,
}

/// What a tree is.
#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Node),
    List(Vec<Tree>),
    /// In the order of the text; a key may repeat, which the reader of the manifest refuses.
    Map(Vec<(String, Origin, Tree)>),
}

/// One of the texts that the manifests of a fleet are made of.
#[derive(Debug)]
pub struct Part {
    pub source: Arc<Source>,
    pub tree: Tree,
}

impl Tree {
    /// The tree of a decoded text.
    pub fn of(root: Option<&Node>, source: &Source, part: usize) -> Tree {
        grow(root.unwrap_or(&Node::Null), source, part, &mut Vec::new())
    }

    /// The members of a mapping; empty for any other value.
    fn members(self) -> Vec<(String, Origin, Tree)> {
        match self.value {
            Value::Map(members) => members,
            Value::Scalar(_) | Value::List(_) => Vec::new(),
        }
    }
}

/// The depth of decoded texts is bounded, so the recursion ends.
fn grow(node: &Node, source: &Source, part: usize, names: &mut Vec<String>) -> Tree {
    let origin = |names: &[String], on_key: bool| Origin { part, range: source.range(names, on_key) };
    let at = origin(names, false);
    let value = match node {
        Node::List(items) => {
            let mut trees = Vec::new();
            for (position, item) in items.iter().enumerate() {
                names.push(position.to_string());
                trees.push(grow(item, source, part, names));
                names.pop();
            }
            Value::List(trees)
        }
        Node::Map(entries) => {
            let mut members = Vec::new();
            for (key, node) in entries {
                names.push(key.text.clone());
                members.push((key.text.clone(), origin(names, true), grow(node, source, part, names)));
                names.pop();
            }
            Value::Map(members)
        }
        scalar => Value::Scalar(scalar.clone()),
    };
    Tree { at, value }
}

/// The target after a JSON Merge Patch (RFC 7386): a mapping is merged, null removes, anything else replaces. Adds the
/// dotted path of what was removed, and where, to `removed`.
pub fn merge(
    target: Tree,
    patch: &Tree,
    names: &mut Vec<String>,
    removed: &mut BTreeMap<String, Origin>,
) -> Tree {
    let Value::Map(changes) = &patch.value else { return patch.clone() };
    let at = match target.value {
        Value::Map(_) => target.at.clone(),
        _ => patch.at.clone(),
    };
    let mut members = target.members();
    for (key, at, change) in changes {
        names.push(key.clone());
        let place = members.iter().position(|(name, ..)| name == key);
        match (&change.value, place) {
            (Value::Scalar(Node::Null), place) => {
                removed.insert(names.join("."), at.clone());
                if let Some(place) = place {
                    members.remove(place);
                }
            }
            (_, Some(place)) => {
                removed.remove(&names.join("."));
                let (_, key_at, former) = members[place].clone();
                let key_at = if matches!(change.value, Value::Map(_)) { key_at } else { at.clone() };
                members[place] = (key.clone(), key_at, merge(former, change, names, removed));
            }
            (_, None) => {
                removed.remove(&names.join("."));
                let nothing = Tree { at: change.at.clone(), value: Value::Map(Vec::new()) };
                members.push((key.clone(), at.clone(), merge(nothing, change, names, removed)));
            }
        }
        names.pop();
    }
    Tree { at, value: Value::Map(members) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml::decode;

    fn tree(text: &str, part: usize) -> Tree {
        Tree::of(Some(&decode(text).expect("YAML")), &Source::new("x.yaml", text), part)
    }

    fn plain(tree: &Tree) -> String {
        match &tree.value {
            Value::Scalar(Node::Text(text)) => text.clone(),
            Value::Scalar(Node::Int(number)) => number.to_string(),
            Value::Scalar(other) => format!("{other:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
            Value::Map(members) => {
                let members = members.iter().map(|(key, _, value)| format!("{key}:{}", plain(value)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The examples of RFC 7386, appendix A, as far as a target is a mapping.
    #[test]
    fn merges_as_the_rfc_says() {
        for (target, patch, result) in [
            ("{a: b}", "{a: c}", "{a:c}"),
            ("{a: b}", "{b: c}", "{a:b,b:c}"),
            ("{a: b}", "{a: null}", "{}"),
            ("{a: b, b: c}", "{a: null}", "{b:c}"),
            ("{a: [b]}", "{a: c}", "{a:c}"),
            ("{a: c}", "{a: [b]}", "{a:[b]}"),
            ("{a: {b: c}}", "{a: {b: d, c: null}}", "{a:{b:d}}"),
            ("{a: [{b: c}]}", "{a: [1]}", "{a:[1]}"),
            ("{e: null}", "{a: 1}", "{e:Null,a:1}"),
            ("[1, 2]", "{a: b, c: null}", "{a:b}"),
            ("{}", "{a: {bb: {ccc: null}}}", "{a:{bb:{}}}"),
            ("{a: x}", "{a: {b: c}}", "{a:{b:c}}"),
        ] {
            let mut removed = BTreeMap::new();
            let merged = merge(tree(target, 0), &tree(patch, 1), &mut Vec::new(), &mut removed);
            assert_eq!(plain(&merged), result, "{target} {patch}");
        }
    }

    #[test]
    fn what_was_removed_is_remembered_until_it_is_back() {
        let mut removed = BTreeMap::new();
        let once =
            merge(tree("a: {b: 1, c: 2}\n", 0), &tree("a: {b: null}\n", 1), &mut Vec::new(), &mut removed);
        assert_eq!(removed.keys().collect::<Vec<_>>(), ["a.b"]);
        assert_eq!(removed["a.b"].part, 1);
        let _ = merge(once, &tree("a: {b: 3}\n", 2), &mut Vec::new(), &mut removed);
        assert!(removed.is_empty());
    }
}
