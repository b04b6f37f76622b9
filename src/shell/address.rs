//! Addresses that a person gives: on the command line, or in the environment.
//!
//! The URL library maps hosts with letters beyond ASCII, and its tables for that are not built in. Without them it
//! refuses most of such hosts, and ends a debug build over some. So a host is checked before the library sees it.

use reqwest::Url;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is no URL.
    NotAUrl,
    /// Its host has letters beyond ASCII, plain or percent-encoded.
    Letters,
}

/// Parses a URL whose host is written in ASCII.
///
/// # Errors
/// The text is no URL, or its host has other letters.
pub(crate) fn parse(text: &str) -> Result<Url, Unreadable> {
    let (before, host, after) = parts(text);
    if !host.is_ascii() || host.contains('%') {
        return Err(Unreadable::Letters);
    }
    Url::parse(&format!("{before}{}{after}", host.to_ascii_lowercase())).map_err(|_| Unreadable::NotAUrl)
}

/// What stands before the host, the host with its port, and what follows. The library takes any number of slashes of
/// either kind after the scheme, so this does, too.
fn parts(text: &str) -> (&str, &str, &str) {
    let slash = ['/', '\\'];
    let scheme = text.find(':').map_or(0, |colon| colon + 1);
    let start = scheme + text[scheme..].len() - text[scheme..].trim_start_matches(slash).len();
    let end = text[start..].find(['/', '\\', '?', '#']).map_or(text.len(), |length| start + length);
    let host = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
    (&text[..host], &text[host..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ascii() {
        for (text, host) in [
            ("http://LocalHost:8080/Base", "localhost"),
            ("https://User:pässwörd%20@Proxy.Example:1", "proxy.example"),
            ("http:/\\A.xn--Bcher-KVA.Example", "a.xn--bcher-kva.example"),
            ("http://[::1]:1/%41", "[::1]"),
        ] {
            assert_eq!(parse(text).expect(text).host_str(), Some(host), "{text}");
        }
        for text in
            ["http://A。http", "http://A%E3%80%82http", "http:A。b", "https:\\\\u@Ä", "http://１２７.0.0.1"]
        {
            assert_eq!(parse(text), Err(Unreadable::Letters), "{text}");
        }
        for text in ["", "http://", "//a", "A", "http://a b"] {
            assert_eq!(parse(text), Err(Unreadable::NotAUrl), "{text:?}");
        }
    }
}
