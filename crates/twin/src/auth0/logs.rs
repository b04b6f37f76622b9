//! The tenant log: by search (`q`, `sort`, pages, at most the first 1000 hits), or by checkpoint (`from`, `take`), which
//! ignores all other parameters (Auth0 docs, Retrieve log events using the Management API, 2026-08).

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::wire::{Outcome, Reply};
use super::clients::totals;
use super::{Call, Route, invalid_query};

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::Get,
    pattern: "/logs",
    operation: "list_logs",
    scopes: &["read:logs"],
    query: &["q", "page", "per_page", "sort", "from", "take", "include_totals", "fields", "include_fields"],
    run: list,
}];

/// A search shows no hit behind this one.
const HITS_MAX: usize = 1_000;

fn list(call: &mut Call) -> Outcome {
    if call.target.query("from").is_some() || call.target.query("take").is_some() {
        return by_checkpoint(call);
    }
    let query = call.target.query("q").unwrap_or_default();
    let query = Query::parse(query).ok_or_else(|| invalid_query("q", "is not a query"))?;
    let mut hits: Vec<&Value> = call.tenant.logs.iter().filter(|entry| query.fits(entry)).collect();
    // Entries of the same time keep the order in which they were logged.
    hits.sort_by(|one, other| date(one).cmp(date(other)));
    match call.target.query("sort") {
        None | Some("date:-1") => hits.reverse(),
        Some("date:1") => {}
        Some(_) => return Err(invalid_query("sort", "is not date:1 or date:-1")),
    }
    let (page, per_page) = call.page(50)?;
    if (page + 1).saturating_mul(per_page) > HITS_MAX {
        return Err(invalid_query("page", "leads behind the first 1000 hits"));
    }
    totals(call, "logs", hits.into_iter().cloned().collect())
}

fn date(entry: &Value) -> &str {
    entry["date"].as_str().unwrap_or_default()
}

/// Entries after `from`, in the order of their ids.
fn by_checkpoint(call: &Call) -> Outcome {
    let take = match call.target.query("take").map(str::parse) {
        None => 50_usize,
        Some(Ok(take @ 1..=100)) => take,
        Some(_) => return Err(invalid_query("take", "is out of range")),
    };
    let id = |entry: &Value| entry["log_id"].as_str().unwrap_or_default().to_owned();
    let mut entries: Vec<&Value> = call.tenant.logs.iter().collect();
    entries.sort_by_key(|entry| id(entry));
    let from = call.target.query("from");
    if from.is_some_and(|from| !entries.iter().any(|entry| id(entry) == from)) {
        return Err(invalid_query("from", "is not a log id"));
    }
    let after = entries.into_iter().filter(|entry| from.is_none_or(|from| id(entry).as_str() > from));
    Ok(Reply::json(200, &json!(after.take(take).collect::<Vec<_>>())))
}

/// A query, as far as it is understood: `field:word`, `field:"words"`, `field:[from TO to]`, `NOT`, `AND`, `OR` (also
/// by standing side by side) and parentheses.
enum Query {
    All,
    Is(String, String),
    Between(String, String, String),
    Not(Box<Query>),
    And(Vec<Query>),
    Or(Vec<Query>),
}

impl Query {
    fn parse(text: &str) -> Option<Query> {
        if text.trim().is_empty() {
            return Some(Query::All);
        }
        let mut rest = tokens(text)?;
        rest.reverse();
        let query = any(&mut rest)?;
        rest.is_empty().then_some(query)
    }

    fn fits(&self, entry: &Value) -> bool {
        let value = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        match self {
            Query::All => true,
            Query::Is(field, word) => value(field) == *word,
            Query::Between(field, from, to) => {
                let value = value(field);
                !value.is_empty() && (from == "*" || *from <= value) && (to == "*" || value <= *to)
            }
            Query::Not(query) => !query.fits(entry),
            Query::And(all) => all.iter().all(|query| query.fits(entry)),
            Query::Or(any) => any.iter().any(|query| query.fits(entry)),
        }
    }
}

/// Words, quoted words without their quotes, and the marks `( ) [ ]`.
fn tokens(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | '[' | ']' => 1,
            '"' => rest[1..].find('"')? + 2,
            // A word ends at a blank, at a mark, and behind the colon of its field.
            _ => {
                let end = rest.find([' ', '(', ')', '[', ']', '"']).unwrap_or(rest.len());
                match rest[..end].find(':') {
                    Some(colon) if !first.is_ascii_digit() => colon + 1,
                    _ => end,
                }
            }
        };
        let (token, after) = rest.split_at(length);
        out.push(if first == '"' { token[1..length - 1].to_owned() } else { token.to_owned() });
        rest = after.trim_start();
    }
    Some(out)
}

/// `rest` holds the tokens in reverse order.
fn any(rest: &mut Vec<String>) -> Option<Query> {
    let mut parts = vec![all(rest)?];
    while rest.last().is_some_and(|next| next != ")") {
        if rest.last().is_some_and(|next| next == "OR") {
            rest.pop();
        }
        parts.push(all(rest)?);
    }
    Some(Query::Or(parts))
}

fn all(rest: &mut Vec<String>) -> Option<Query> {
    let mut parts = vec![one(rest)?];
    while rest.last().is_some_and(|next| next == "AND") {
        rest.pop();
        parts.push(one(rest)?);
    }
    Some(Query::And(parts))
}

fn one(rest: &mut Vec<String>) -> Option<Query> {
    let token = rest.pop()?;
    if token == "NOT" {
        return Some(Query::Not(Box::new(one(rest)?)));
    }
    if token == "(" {
        let inner = any(rest)?;
        return (rest.pop()? == ")").then_some(inner);
    }
    let field = token.strip_suffix(':')?.to_owned();
    match rest.pop()?.as_str() {
        "[" => {
            let (from, to_word, to, end) = (rest.pop()?, rest.pop()?, rest.pop()?, rest.pop()?);
            (to_word == "TO" && end == "]").then_some(Query::Between(field, from, to))
        }
        // `type:(a OR b)`
        "(" => {
            let mut words = vec![Query::Is(field.clone(), rest.pop()?)];
            loop {
                match rest.pop()?.as_str() {
                    ")" => return Some(Query::Or(words)),
                    "OR" => words.push(Query::Is(field.clone(), rest.pop()?)),
                    _ => return None,
                }
            }
        }
        word => Some(Query::Is(field, word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::bench::{Bench, DOMAIN};
    use crate::{Options, Rate};

    fn entry(id: &str, kind: &str, second: u32) -> Value {
        json!({ "log_id": id, "type": kind, "date": format!("2026-11-20T10:00:{second:02}.000Z") })
    }

    fn bench() -> Bench {
        let mut bench = Bench::new();
        bench.twin.world.tenant_mut(DOMAIN).logs =
            vec![entry("1", "s", 10), entry("3", "gd_send_sms_failure", 30), entry("2", "s", 20)];
        bench
    }

    /// The ids of the entries that a read shows.
    fn ids(bench: &mut Bench, query: &str) -> Vec<String> {
        let (status, body) = bench.get(&format!("/logs?{query}"));
        assert_eq!(status, 200, "{query}: {body}");
        let list = body.as_array().cloned().unwrap_or_default();
        list.iter().map(|entry| entry["log_id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_search_shows_the_newest_first_or_the_oldest() {
        let mut bench = bench();
        for (query, expected) in [
            ("", vec!["3", "2", "1"]),
            ("sort=date:-1", vec!["3", "2", "1"]),
            ("sort=date:1", vec!["1", "2", "3"]),
            ("sort=date:1&per_page=2&page=1", vec!["3"]),
            ("q=type:gd_send_sms_failure", vec!["3"]),
            ("q=type:%22s%22&sort=date:1", vec!["1", "2"]),
            ("q=type:s%20OR%20type:gd_send_sms_failure", vec!["3", "2", "1"]),
            ("q=type:(s%20OR%20x)", vec!["2", "1"]),
            ("q=NOT%20type:s", vec!["3"]),
            ("q=type:s%20type:x", vec!["2", "1"]),
            (
                "q=(type:s%20OR%20type:x)%20AND%20date:[%222026-11-20T10:00:15Z%22%20TO%20%222026-11-20T11:00:00Z%22]",
                vec!["2"],
            ),
            ("q=date:[2026-11-20T10:00:20.000Z%20TO%20*]", vec!["3", "2"]),
            ("q=colour:red", vec![]),
        ] {
            assert_eq!(ids(&mut bench, query), expected, "{query}");
        }
        for wrong in [
            "q=(type:s",
            "q=type",
            "q=date:[1%20TO",
            "sort=type:1",
            "per_page=101",
            "page=10&per_page=100",
            "take=0",
            "from=9",
        ] {
            assert_eq!(bench.get(&format!("/logs?{wrong}")).0, 400, "{wrong}");
        }
        let (_, totals) = bench.get("/logs?include_totals=true&per_page=1");
        assert_eq!((&totals["total"], totals["logs"].as_array().map(Vec::len)), (&json!(3), Some(1)));
    }

    #[test]
    fn a_checkpoint_goes_by_id_and_ignores_the_rest() {
        let mut bench = bench();
        assert_eq!(ids(&mut bench, "from=1&take=10"), ["2", "3"]);
        assert_eq!(ids(&mut bench, "from=1&take=1&q=type:x&sort=date:-1"), ["2"]);
        assert_eq!(ids(&mut bench, "take=2"), ["1", "2"]);
        assert!(ids(&mut bench, "from=3").is_empty());
    }

    #[test]
    fn the_scope_is_read_logs() {
        let scopes = Some(vec!["read:actions".to_owned()]);
        let mut bench = Bench::with(Options { rate: Rate::Unlimited, scopes, ..Options::default() });
        assert_eq!(bench.get("/logs").0, 403);
    }
}
