//! Reads and writes the bytes of a request: paths, queries, forms, multipart bodies, JSON replies. Nothing here is
//! specific to a vendor.

use serde_json::Value;

/// A reply of the server. In an [`Outcome`], `Ok` holds a success and `Err` a refusal; both are sent the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The result of an operation.
pub type Outcome = Result<Reply, Reply>;

impl Reply {
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply {
            status,
            headers: vec![("content-type".into(), "application/json; charset=utf-8".into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// Status 204, no body.
    pub fn empty() -> Reply {
        Reply { status: 204, headers: Vec::new(), body: Vec::new() }
    }

    pub fn html(status: u16) -> Reply {
        let body = "<html><head><title>Gateway</title></head><body>Please try again</body></html>";
        Reply {
            status,
            headers: vec![("content-type".into(), "text/html".into())],
            body: body.as_bytes().to_vec(),
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl ToString) -> Reply {
        self.headers.push((name.into(), value.to_string()));
        self
    }
}

/// A request target in parts: decoded path segments, and decoded query pairs in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
}

impl Target {
    /// `None`: the path does not begin with a slash, or a percent escape is broken.
    pub fn parse(path: &str) -> Option<Target> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments = path
            .strip_prefix('/')?
            .split('/')
            .map(|part| percent_decode(part, false))
            .collect::<Option<_>>()?;
        Some(Target { segments, query: pairs(query)? })
    }

    /// The last value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Matches decoded segments against a pattern such as `/api/v2/actions/actions/{id}`. Returns the values of the braces,
/// in order; every brace takes exactly one non-empty segment. `None`: no match.
pub fn match_pattern(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut parts = pattern.trim_start_matches('/').split('/');
    for segment in segments {
        let part = parts.next()?;
        if part.starts_with('{') {
            // `{sid}.json`: a literal tail after the brace belongs to the pattern.
            let tail = part.split_once('}').map_or("", |(_, tail)| tail);
            let value = segment.strip_suffix(tail)?;
            if value.is_empty() {
                return None;
            }
            params.push(value.to_owned());
        } else if part != segment {
            return None;
        }
    }
    parts.next().is_none().then_some(params)
}

/// Decodes `%XX`, and `+` as a space if `plus` is set. `None`: an escape is broken, or the text is not UTF-8.
pub fn percent_decode(text: &str, plus: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                at += 3;
            }
            b'+' if plus => {
                out.push(b' ');
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// Percent-encodes a value for a query string or form.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The pairs of a query string or urlencoded form, in order. `None`: an escape is broken, or a text is not UTF-8.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent_decode(key, true)?, percent_decode(value, true)?))
        })
        .collect()
}

/// One part of a multipart body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub filename: Option<String>,
    pub content_type: Option<String>,
    pub content: Vec<u8>,
}

/// The parts of a `multipart/form-data` body.
///
/// # Errors
/// The body is malformed; the text says how, in words fit for a reply.
pub fn multipart(content_type: &str, body: &[u8]) -> Result<Vec<Part>, String> {
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Err("expected multipart/form-data".into());
    }
    let boundary = content_type
        .split(';')
        .filter_map(|part| part.trim().strip_prefix("boundary="))
        .map(|value| value.trim_matches('"'))
        .find(|value| !value.is_empty())
        .ok_or("the boundary is missing")?;
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = find(body, &delimiter).map(|at| &body[at + delimiter.len()..]).ok_or("no part found")?;
    let mut parts = Vec::new();
    let next = [b"\r\n", delimiter.as_slice()].concat();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        rest = rest.strip_prefix(b"\r\n".as_slice()).ok_or("a boundary line is not closed")?;
        let end = find(rest, &next).ok_or("the last part is not closed")?;
        parts.push(part(&rest[..end])?);
        rest = &rest[end + next.len()..];
    }
}

fn part(bytes: &[u8]) -> Result<Part, String> {
    let split = find(bytes, b"\r\n\r\n").ok_or("a part has no header block")?;
    let head = std::str::from_utf8(&bytes[..split]).map_err(|_| "a part header is not text")?;
    let mut part = Part {
        name: String::new(),
        filename: None,
        content_type: None,
        content: bytes[split + 4..].to_vec(),
    };
    for line in head.split("\r\n") {
        let (key, value) = line.split_once(':').ok_or("a part header has no colon")?;
        match key.trim().to_ascii_lowercase().as_str() {
            "content-type" => part.content_type = Some(value.trim().to_owned()),
            "content-disposition" => {
                for item in value.split(';') {
                    match item.trim().split_once('=') {
                        Some(("name", value)) => part.name = value.trim_matches('"').to_owned(),
                        Some(("filename", value)) => part.filename = Some(value.trim_matches('"').to_owned()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if part.name.is_empty() { Err("a part has no name".into()) } else { Ok(part) }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_decoded_once() {
        let target = Target::parse("/v2/Verifications/%2B15550100?A=1&B=x+y%26z").expect("well-formed");
        assert_eq!(target.segments, ["v2", "Verifications", "+15550100"]);
        assert_eq!(target.query("B"), Some("x y&z"));
        assert_eq!(Target::parse("/broken%2"), None);
        assert_eq!(Target::parse("no-slash"), None);
    }

    #[test]
    fn patterns_take_whole_segments() {
        let of = |path: &str| Target::parse(path).expect("well-formed").segments;
        assert_eq!(match_pattern("/a/{id}/b", &of("/a/7/b")), Some(vec!["7".into()]));
        assert_eq!(match_pattern("/a/{id}/b", &of("/a//b")), None);
        assert_eq!(match_pattern("/a/{id}", &of("/a/7/b")), None);
        assert_eq!(match_pattern("/a/{sid}.json", &of("/a/AC1.json")), Some(vec!["AC1".into()]));
        assert_eq!(match_pattern("/a/{sid}.json", &of("/a/AC1")), None);
    }

    #[test]
    fn multipart_bodies_are_taken_apart_to_the_byte() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"Path\"\r\n\r\n/x\r\n--b\r\n\
            Content-Disposition: form-data; name=\"Content\"; filename=\"x.js\"\r\n\
            Content-Type: application/javascript\r\n\r\nline\r\n\r\nend\r\n--b--\r\n";
        let parts = multipart("multipart/form-data; boundary=b", body).expect("well-formed");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[1].content, b"line\r\n\r\nend");
        assert_eq!(parts[1].filename.as_deref(), Some("x.js"));
        assert_eq!(parts[1].content_type.as_deref(), Some("application/javascript"));
        assert!(multipart("multipart/form-data; boundary=b", b"--b\r\nno end").is_err());
        assert!(multipart("text/plain", body).is_err());
    }
}
