//! Tests that names and messages from outside do not control the terminal.

use serde_json::json;

use super::lab::{Proxy, Run, Site, Twin, json_reply};

/// A text that sets the title, clears the screen, sets a colour, returns the carriage, rings the bell and turns the
/// direction of writing, also with one-byte forms of escape sequences.
const NASTY: &str =
    "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m\r\u{8}\u{202e}\u{2066}\u{9b}31m\u{85}\u{0}y";

#[track_caller]
fn expect_calm(run: &Run, colour: bool) {
    for (name, text) in [("stdout", &run.out), ("stderr", &run.err)] {
        let ours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];
        let mut text = text.clone();
        if colour {
            // Remove the sequences that the program itself writes.
            ours.iter().for_each(|sequence| text = text.replace(sequence, ""));
        }
        let steers = |ch: char| {
            (ch.is_control() && ch != '\n' && ch != '\t')
                || matches!(ch, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if let Some(found) = text.lines().find(|line| line.chars().any(steers)) {
            panic!("{name}: {found:?}");
        }
    }
}

/// Every reply of the Management API and of Verify contains the nasty text as a name.
#[test]
fn names_in_replies() {
    let twin = Twin::start();
    let (site, _proxy) = nastily_named(&twin);
    for command in ["plan", "drift", "show"] {
        expect_calm(&site.run(command, &["-vvv"]), false);
    }
    let drift = site.run("drift", &[]);
    assert!(drift.out.contains("the tenant has x"), "the name is shown in a harmless form: {}", drift.out);
    // JSON escapes the name; a program that reads the JSON gets the name unchanged.
    let json = site.run("plan", &["--output", "json"]);
    assert!(!json.out.contains('\u{1b}') && !json.out.contains('\r'), "{}", json.out);
}

/// With colour as well: a name must not colour itself green, or become invisible.
#[test]
fn names_in_colourful_output() {
    let twin = Twin::start();
    let (site, _proxy) = nastily_named(&twin);
    for command in ["plan", "drift", "show"] {
        expect_calm(&site.run(command, &["-vvv", "--color", "always"]), true);
    }
}

/// JSON may contain the one-byte form of an escape sequence unescaped, and a terminal may obey it.
#[test]
fn names_in_json_output() {
    let twin = Twin::start();
    let (site, _proxy) = nastily_named(&twin);
    for command in ["plan", "drift", "show"] {
        expect_calm(&site.run(command, &["--output", "json"]), false);
    }
}

fn nastily_named(twin: &Twin) -> (Site, Proxy) {
    let site = Site::new(twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let nasty = serde_json::to_string(NASTY).expect("JSON");
    let nasty = nasty.trim_matches('"').to_owned();
    let proxy = Proxy::start(twin, move |asked, forward| {
        let reply = String::from_utf8_lossy(&forward()).into_owned();
        let Some((_, body)) = reply.split_once("\r\n\r\n").filter(|_| asked.method == "GET") else {
            return reply.into_bytes();
        };
        let body = body
            .replace("\"Acme\"", &format!("\"{nasty}\""))
            .replace("https://acme-feedback.example", &format!("https://{nasty}"))
            .replace("\"Lockstep phone (acme-login)\"", &format!("\"Lockstep phone (acme-login){nasty}\""));
        json_reply(200, "", &serde_json::from_str(&body).unwrap_or_default())
    });
    (site.through(&proxy), proxy)
}

#[test]
fn messages_of_errors() {
    let twin = Twin::start();
    for (number, status) in (1..).zip([400u16, 401, 409, 500]) {
        let proxy = Proxy::start(&twin, move |asked, forward| {
            if asked.is("POST", "verify", "/v2/Services") {
                let body = json!({ "code": NASTY, "message": NASTY, "status": status });
                return json_reply(status, "twilio-request-id: RQ\u{9b}31m\r\n", &body);
            }
            forward()
        });
        let site = Site::new(&twin, number).through(&proxy);
        for colour in ["never", "always"] {
            let args = ["--yes", "--color", colour, "-vvv", "--lease-ttl", "1s"];
            let run = site.run("apply", &args);
            assert_eq!(run.code, Some(1), "{}", run.err);
            expect_calm(&run, colour == "always");
        }
    }
}

/// The shown owner of a lease is a friendly name, which anybody may have written.
#[test]
fn the_owner_of_a_lease() {
    let twin = Twin::start();
    let site = Site::new(&twin, 30);
    let name = lockstep::engine::lease::unique_name(&site.domain);
    let word = "%5Bbeat+250+ms,+ttl+1+s%5D";
    let form =
        format!("UniqueName={name}&FriendlyName=%1b%5D0%3Bowned%07%C2%9B31m+{word}&IncludeCredentials=false");
    let (status, reply) = site.twilio("serverless.twilio.com", "POST", "/v1/Services", &form);
    assert_eq!(status, 201, "{reply}");
    for (command, args) in [("show", &[][..]), ("unlock", &[]), ("apply", &["--yes", "--lease-ttl", "1s"])] {
        let run = site.run(command, args);
        assert!(run.out.contains("owned") || run.err.contains("owned"), "{command}: {} {}", run.out, run.err);
        expect_calm(&run, false);
    }
}
