//! Checks URLs of a manifest: whether a URL is valid, whether it contains a password, and whether the public internet
//! can reach its host.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Checks that a text is an https URL with a host, with a possible port or none, and without a user. `why` is the
/// reason for a URL that does not begin with `https://`.
///
/// # Errors
/// The reason and the help. They repeat no part of the URL except one odd character, because the URL may come from a
/// secret.
pub fn https(value: &str, why: &str) -> Result<(), (String, String)> {
    let refuse = |reason: String, help: &str| Err((reason, help.to_owned()));
    let odd = |ch: &char| {
        ch.is_whitespace()
            || ch.is_control()
            || matches!(ch, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '}' | '|')
    };
    if let Some((at, ch)) = value.chars().enumerate().find(|(_, ch)| odd(ch)) {
        let named = match ch {
            ' ' => "a blank".to_owned(),
            ch if ch.is_control() || ch.is_whitespace() => format!("the character U+{:04X}", u32::from(ch)),
            ch => format!("the character {ch}"),
        };
        let help = format!("remove it, or write it as %{:02X}", u32::from(ch));
        return Err((format!("has {named} as character {}", at + 1), help));
    }
    let Some(rest) = value.strip_prefix("https://") else {
        return refuse(why.to_owned(), "write a URL that begins with https://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse(
            "has a user or a password before the @, which everybody who sees the URL can read".into(),
            "take it out of the URL; a stream sends a token as `authorization`",
        );
    }
    let (host, port) = split(authority);
    if host.is_empty() {
        return refuse("names no host".into(), "write https://HOST/PATH");
    }
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|number| number > 0)) {
        return refuse("has a port that does not exist".into(), "write a port from 1 to 65535, or none");
    }
    Ok(())
}

/// Checks that a text is the origin of a page, as a browser writes it: scheme, host and port, with http for this machine
/// alone.
///
/// # Errors
/// The reason. It repeats no part of the text.
pub fn origin(value: &str) -> Result<(), String> {
    let (rest, is_secure) = match (value.strip_prefix("https://"), value.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => return Err("begins with neither https:// nor http://".into()),
    };
    if rest.contains(['/', '?', '#']) {
        return Err("has more behind host and port, and a page's origin ends there".into());
    }
    if rest.contains('@') {
        return Err("has a user before the @".into());
    }
    let (host, port) = split(rest);
    let is_name = |host: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        !host.is_empty() && host.bytes().all(fits)
    };
    if host.is_empty() {
        return Err("names no host".into());
    }
    let has_brackets = rest.starts_with('[');
    let is_host = if has_brackets { host.parse::<Ipv6Addr>().is_ok() } else { is_name(host) };
    if !is_host {
        return Err(
            "has a host that browsers write in another way: small letters, digits, dots and - only".into()
        );
    }
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.starts_with('0')
            && port.parse::<u16>().is_ok()
    };
    match port {
        None if has_brackets && !rest.ends_with(']') => Err("has more behind the host than a port".into()),
        Some(port) if !is_port(port) => Err("has a port that does not exist".into()),
        Some("443") if is_secure => Err("has port 443, which browsers leave out behind https".into()),
        Some("80") if !is_secure => Err("has port 80, which browsers leave out behind http".into()),
        _ if !is_secure && !["localhost", "127.0.0.1", "::1"].contains(&host) => {
            Err("uses http, which is for localhost, 127.0.0.1 and [::1] only".into())
        }
        _ => Ok(()),
    }
}

/// The host and the port of an authority (`host:port`). The brackets of an IPv6 address are removed.
fn split(authority: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
}

/// Whether the host of a URL can be reached only from the same machine or from a private network.
pub fn is_private(value: &str) -> bool {
    let rest = value.strip_prefix("https://").unwrap_or(value);
    let (host, _) = split(rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => {
            let first = address.segments()[0];
            address.is_loopback()
                || address.is_unspecified()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || address.to_ipv4_mapped().is_some_and(is_private_v4)
        }
        Err(_) => {
            let ends = [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet"];
            !host.contains('.') || ends.iter().any(|end| host.ends_with(end))
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 0
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        // Addresses that internet providers share among their customers (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_url() {
        let rows = [
            ("https://a.example/x?y=%20z", ""),
            ("https://a.example:8443/", ""),
            ("https://[2001:db8::1]:443/", ""),
            ("http://a.example/", "https only"),
            ("https://a.example/two words", "has a blank as character 22"),
            ("https://a.example/\u{7}", "has the character U+0007 as character 19"),
            ("https://a.example/{x}", "has the character { as character 19"),
            ("https://", "names no host"),
            ("https:///x", "names no host"),
            ("https://a.example:99999/", "has a port that does not exist"),
            ("https://a.example:0/", "has a port that does not exist"),
            ("https://a.example:/", "has a port that does not exist"),
            ("https://a.example:port/", "has a port that does not exist"),
        ];
        for (url, expected) in rows {
            let reason = https(url, "https only").err().map(|(reason, _)| reason).unwrap_or_default();
            assert_eq!(reason, expected, "{url}");
        }
        for url in ["https://user:hunter2@a.example/", "https://hunter2@a.example"] {
            let words = format!("{:?}", https(url, "https only"));
            assert!(words.contains("before the @") && !words.contains("hunter2"), "{words}");
        }
    }

    #[test]
    fn what_a_browser_calls_an_origin() {
        for good in [
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "https://app.acme.example",
            "https://app.acme.example:8443",
            "https://[2001:db8::1]",
        ] {
            assert_eq!(origin(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("localhost:3000", "neither https"),
            ("ftp://a.example", "neither https"),
            ("http://a.example", "uses http"),
            ("http://localhost.a.example:3000", "uses http"),
            ("http://10.0.0.1:3000", "uses http"),
            ("http://localhost:3000/", "more behind host"),
            ("https://a.example/done", "more behind host"),
            ("https://a.example?x", "more behind host"),
            ("https://a.example#x", "more behind host"),
            ("https://jo@a.example", "a user"),
            ("https://", "no host"),
            ("https://:8443", "no host"),
            ("https://A.example", "another way"),
            ("https://*.a.example", "another way"),
            ("https://two words", "another way"),
            ("https://2001:db8::1", "port that does not"),
            ("https://[a.example]", "another way"),
            ("https://[::1]x", "more behind the host"),
            ("https://a.example:", "port that does not"),
            ("https://a.example:0", "port that does not"),
            ("https://a.example:08443", "port that does not"),
            ("https://a.example:65536", "port that does not"),
            ("https://a.example:+1", "port that does not"),
            ("https://a.example:443", "443"),
            ("http://localhost:80", "80"),
        ] {
            let told = origin(bad).expect_err(bad);
            assert!(told.contains(reason), "{bad}: {told}");
        }
    }

    #[test]
    fn who_can_be_reached() {
        for host in [
            "localhost",
            "localhost:8443",
            "a.localhost",
            "printer.local",
            "logs.internal",
            "logs",
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "[::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
        ] {
            assert!(is_private(&format!("https://{host}/x")), "{host}");
        }
        for host in
            ["a.example", "172.32.0.1", "8.8.8.8", "localhost.example", "[2001:db8::1]", "100.128.0.1"]
        {
            assert!(!is_private(&format!("https://{host}/x")), "{host}");
        }
    }
}
