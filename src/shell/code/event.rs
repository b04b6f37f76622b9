//! The event of a Function, out of the request that it serves.

use serde_json::{Map, Value as Json, json};

/// Headers that Twilio keeps to itself (its runtime handler, 2026-06), by the beginning of their name or as a whole.
const KEPT_BACK_FROM: [&str; 7] = ["i-twilio-", "i-t-", "ot-", "x-amz", "x-forwarded-", "x-accel-", "proxy-"];
const KEPT_BACK: [&str; 8] =
    ["via", "referer", "connection", "transfer-encoding", "x-real-ip", "expect", "trailer", "upgrade"];

/// `{ request: { headers, cookies }, …query, …body }`: in this order, so query and body can take the place of `request`.
///
/// A body that is neither JSON nor a form is not seen. JSON that is no object is spread like one: an array by its
/// indices.
///
/// # Errors
/// The body is said to be JSON and is not: Twilio answers 400 before the Function runs.
pub fn function_event(headers: &[(String, String)], query: &str, body: &[u8]) -> Result<Json, String> {
    let mut shown = Map::new();
    let mut cookies = Map::new();
    let mut kind = String::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name == "content-type" {
            kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        }
        if name == "cookie" {
            for (name, value) in value.split(';').filter_map(|pair| pair.split_once('=')) {
                cookies.insert(name.trim().to_owned(), Json::from(value.trim()));
            }
        }
        let is_kept_back = KEPT_BACK_FROM.iter().any(|start| name.starts_with(start));
        if !is_kept_back && !KEPT_BACK.contains(&name.as_str()) {
            add(&mut shown, name, Json::from(value.as_str()));
        }
    }
    let mut event = Map::new();
    event.insert("request".to_owned(), json!({ "headers": shown, "cookies": cookies }));
    event.extend(form(query));
    match kind.as_str() {
        "application/json" if !body.is_empty() => match serde_json::from_slice(body) {
            Ok(Json::Object(fields)) => event.extend(fields),
            Ok(Json::Array(items)) => {
                event.extend(items.into_iter().enumerate().map(|(at, item)| (at.to_string(), item)));
            }
            // As the body parser of Twilio's gateway, which takes objects and arrays only.
            Ok(_) | Err(_) => return Err("the body is not JSON, though its content type says so".into()),
        },
        "application/x-www-form-urlencoded" => event.extend(form(&String::from_utf8_lossy(body))),
        _ => {}
    }
    Ok(Json::Object(event))
}

/// Names and values of a query or a form; a name that comes again has a list.
fn form(text: &str) -> Map<String, Json> {
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        add(&mut fields, decoded(name), Json::from(decoded(value)));
    }
    fields
}

fn add(fields: &mut Map<String, Json>, name: String, value: Json) {
    match fields.get_mut(&name) {
        None => {
            fields.insert(name, value);
        }
        Some(Json::Array(values)) => values.push(value),
        Some(first) => *first = json!([first.take(), value]),
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, query: &str, body: &str) -> Result<Json, String> {
        let headers = [
            ("Content-Type", kind),
            ("Authorization", "Bearer x"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("Via", "x"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        function_event(&headers, query, body.as_bytes())
    }

    #[test]
    fn body_and_query_are_spread_over_the_request() {
        let shown = event("application/json", "a=1&a=2&b=%2B1+x", r#"{"b":{"c":1}}"#).expect("JSON");
        let request = json!({ "headers": { "content-type": "application/json", "authorization": "Bearer x" }, "cookies": {} });
        assert_eq!(shown, json!({ "request": request, "a": ["1", "2"], "b": { "c": 1 } }));
        let shown = event("application/json; charset=utf-8", "request=1", "[{\"data\":1},2]").expect("JSON");
        assert_eq!(shown, json!({ "request": "1", "0": { "data": 1 }, "1": 2 }));
        let shown = event("application/x-www-form-urlencoded", "", "To=%2B15005550006&x").expect("a form");
        assert_eq!((&shown["To"], &shown["x"]), (&json!("+15005550006"), &json!("")));
    }

    #[test]
    fn json_lines_are_refused_and_other_kinds_are_not_seen() {
        assert!(event("application/json", "", "{}\n{}").is_err());
        assert!(event("application/json", "", "").is_ok());
        let shown = event("text/plain", "", "{\"a\":1}").expect("not read");
        assert_eq!(shown.as_object().map(Map::len), Some(1));
    }
}
