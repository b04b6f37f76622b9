//! Reads exchanges in three forms: our own example files, go-vcr cassettes (YAML), nock files (JSON).

use lockstep::model::api::Method;
use serde::Deserialize;
use serde_json::Value;

/// One recorded exchange. A missing body is null; a body that is not JSON is a string.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// `None` for a method that the API does not know.
    pub method: Option<Method>,
    pub method_text: String,
    /// With the query.
    pub path: String,
    pub sent: Value,
    pub status: u16,
    pub reply: Value,
}

impl Exchange {
    /// The path below `/api/v2`, without the query; any other path as it is.
    pub fn below(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.strip_prefix("/api/v2").unwrap_or(path)
    }

    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the request may change something: every method except GET.
    pub fn writes(&self) -> bool {
        self.method != Some(Method::Get)
    }
}

/// The exchanges of a file, in its order, in one part for each tenant. The content tells the form.
pub fn parse(name: &str, text: &str) -> Result<Vec<Vec<Exchange>>, String> {
    if name.ends_with(".yaml") || name.ends_with(".yml") {
        return go_vcr(text).map(|whole| vec![whole]);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match &value {
        Value::Array(list) => list.iter().map(nock).collect::<Result<_, _>>().map(|whole| vec![whole]),
        Value::Object(file) => match file.get("exchanges").and_then(Value::as_array) {
            Some(list) => excerpts(list),
            None => Err("neither `exchanges` nor a list".into()),
        },
        _ => Err("neither an object nor a list".into()),
    }
}

/// Our own form consists of excerpts: `evidence` names the recording (`… Name #3`). Excerpts of one recording form one
/// part as long as none in between is left out.
fn excerpts(list: &[Value]) -> Result<Vec<Vec<Exchange>>, String> {
    let mut parts: Vec<Vec<Exchange>> = Vec::new();
    let mut last: Option<(&str, u64)> = None;
    for item in list {
        let evidence = item["evidence"].as_str().and_then(|text| text.rsplit_once('#'));
        let place = evidence.and_then(|(source, number)| Some((source, number.trim().parse().ok()?)));
        let goes_on = match (last, place) {
            (Some((source, number)), Some((other, next))) => source == other && next == number + 1,
            _ => place.is_none() && last.is_none(),
        };
        let exchange = own(item)?;
        match parts.last_mut() {
            Some(part) if goes_on => part.push(exchange),
            _ => parts.push(vec![exchange]),
        }
        last = place;
    }
    Ok(parts)
}

fn exchange(
    method: Option<&str>,
    path: Option<&str>,
    sent: Value,
    status: Option<u64>,
    reply: Value,
) -> Result<Exchange, String> {
    let method_text = method.ok_or("an exchange without a method")?.to_uppercase();
    let path = path.ok_or("an exchange without a path")?;
    let status =
        status.and_then(|status| u16::try_from(status).ok()).ok_or("an exchange without a status")?;
    Ok(Exchange {
        method: Method::parse(&method_text),
        method_text,
        path: path.to_owned(),
        sent,
        status,
        reply,
    })
}

fn own(item: &Value) -> Result<Exchange, String> {
    let (request, response) = (&item["request"], &item["response"]);
    exchange(
        request["method"].as_str(),
        request["path"].as_str(),
        request["body"].clone(),
        response["status"].as_u64(),
        response["body"].clone(),
    )
}

fn nock(item: &Value) -> Result<Exchange, String> {
    let body = |name: &str| match &item[name] {
        Value::String(text) => decode(text),
        other => other.clone(),
    };
    exchange(
        item["method"].as_str(),
        item["path"].as_str(),
        body("body"),
        item["status"].as_u64(),
        body("response"),
    )
}

/// A cassette of go-vcr, version 1 (which may lack `method`) or 2. Bodies are text.
#[derive(Deserialize)]
struct Cassette {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Asked,
    response: Answered,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    body: String,
    url: String,
    method: String,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    body: String,
    code: u64,
}

fn go_vcr(text: &str) -> Result<Vec<Exchange>, String> {
    let cassette: Cassette = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    cassette
        .interactions
        .iter()
        .map(|Interaction { request, response }| {
            let path = request.url.split_once("://").map_or(request.url.as_str(), |(_, rest)| rest);
            let path = path.find('/').map_or("/", |at| &path[at..]);
            let (sent, reply) = (decode(&request.body), decode(&response.body));
            exchange(Some(&request.method), Some(path), sent, Some(response.code), reply)
        })
        .collect()
}

fn decode(text: &str) -> Value {
    let text = text.trim();
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
