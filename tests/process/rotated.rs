//! `rotate` and minted keys as users meet them: command lines, reports, exit codes, and no secret anywhere.

use lockstep::twin::{Options, Twin as World};
use serde_json::Value as Json;

use super::lab::{Folder, QUICKSTART, Run, Site, Twin};
use super::lease::while_somebody_applies;

/// The manifest whose keys the stack makes, as it ships.
const MINTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/minted.yaml");
const FLEET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/fleet/fleet.yaml");
const FIRST: &str = "0123456789abcdef0123456789abcdef";
const SECOND: &str = "fedcba9876543210fedcba9876543210";

fn site(twin: &Twin) -> Site {
    let mut env = Site::env_of(1);
    env.insert("TWILIO_AUTH_TOKEN".into(), FIRST.into());
    Site::with_env(twin, env)
}

/// The secrets of all keys of a saved world.
fn secrets(world: &str) -> Vec<String> {
    let world: Json = serde_json::from_str(world).expect("JSON");
    let keys = world["world"]["keys"].as_object().expect("keys");
    keys.values().filter_map(|key| Some(key["secret"].as_str()?.to_owned())).collect()
}

#[test]
fn no_secret_of_a_minted_key_leaves() {
    let twin = Twin::start();
    let site = site(&twin);
    let folder = Folder::new();
    let (audit, saved) = (folder.text_path("audit"), folder.text_path("plan"));
    let mut told = String::new();
    for (command, args) in [
        ("apply", &["--yes", "-vvv", "--audit", &audit][..]),
        ("plan", &["--exit-code", "-vvv"]),
        ("plan", &["--rotate", "--explain", "-vvv", "--out", &saved]),
        ("rotate", &["--yes", "-vvv", "--audit", &audit]),
        ("rotate", &["sender", "--yes", "--output", "json"]),
        ("drift", &["-vvv"]),
        ("status", &["--output", "json"]),
        ("show", &["--output", "json"]),
        ("doctor", &["--output", "json"]),
        ("rollback", &["--yes", "-vvv"]),
    ] {
        let Run { code, out, err } = site.lockstep(command, MINTED, args).run();
        let may_find = matches!(command, "doctor" | "status" | "rollback" | "drift");
        assert!(code == Some(0) || may_find, "{command} {args:?}: {code:?}\n{out}\n{err}");
        told.push_str(&out);
        told.push_str(&err);
    }
    told.push_str(&folder.read("audit"));
    told.push_str(&folder.read("plan"));
    let secrets = secrets(&twin.stop());
    assert_eq!(secrets.len(), 5, "two at first, two by a rotation, one by another");
    for secret in &secrets {
        assert!(!told.contains(&secret[..12]), "a part of a secret was told");
    }
    assert!(told.contains("twilio_key.sender-g2"), "the former key waits");
}

#[test]
fn a_rotation_is_planned_saved_and_carried_out() {
    let twin = Twin::start();
    let site = site(&twin);
    let folder = Folder::new();
    let saved = folder.text_path("plan");
    let _ = site.lockstep("apply", MINTED, &["--yes"]).run().expect(0);
    let mark = twin.mark();
    let plan =
        site.lockstep("plan", MINTED, &["--rotate=sender", "--exit-code", "--out", &saved]).run().expect(2);
    assert!(
        plan.out.contains("twilio_key.sender-g1") && plan.out.contains("not before 10 min after"),
        "{}",
        plan.out
    );
    assert!(plan.err.contains("rotate it with --plan"), "{}", plan.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    let _ = site.lockstep("apply", MINTED, &["--plan", &saved, "--yes"]).run().expect(73);
    let asked = site.lockstep("rotate", MINTED, &["sender"]).run().expect(1);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    let _ = site.lockstep("rotate", MINTED, &["sender", "--plan", &saved, "--yes"]).run().expect(0);
    let _ = site.lockstep("rotate", MINTED, &["sender", "--plan", &saved, "--yes"]).run().expect(73);
    let status = site.lockstep("status", MINTED, &[]).run();
    assert!(
        status.out.contains("Due") && status.out.contains("twilio_key.sender-g1: delete the key"),
        "{}",
        status.out
    );
    let of_former = |line: &&str| line.trim_start().starts_with("twilio_key.sender-g1 ");
    let former = status.out.lines().find(of_former).unwrap_or_default();
    assert!(former.contains("later: delete the key"), "{}", status.out);
    assert!(status.out.contains("rotate done (3 steps)"), "{}", status.out);
    let _ = site.lockstep("plan", MINTED, &["--exit-code"]).run().expect(0);
    let json =
        site.lockstep("rotate", MINTED, &["feedback", "--yes", "--output", "json"]).run().expect(0).json();
    assert_eq!(json["apply"]["outcome"]["ended"], "done", "{json}");
    let refused = site.lockstep("rotate", MINTED, &["nobody", "--output", "json"]).run().expect(64).json();
    assert_eq!(refused["error"]["code"], "LS0980", "{refused}");
    let _ = site.lockstep("destroy", MINTED, &["--yes"]).run().expect(0);
    let world: Json = serde_json::from_str(&twin.stop()).expect("JSON");
    let keys = world["world"]["keys"].as_object().expect("keys");
    assert!(keys.len() == 4 && keys.values().all(|key| key["deleted"] == true), "{keys:?}");
}

#[test]
fn command_lines_that_cannot_be_meant_are_refused_before_any_request() {
    let twin = Twin::start();
    let site = site(&twin);
    for (manifest, args, words) in [
        (MINTED, &["sendr"][..], "did you mean sender?"),
        (MINTED, &["nobody"], "this manifest makes feedback, sender, stream"),
        (QUICKSTART, &["sender"], "this manifest makes stream"),
        (MINTED, &["sender", "--promote-auth-token"], "cannot be used with"),
        (QUICKSTART, &["--promote-auth-token", "--yes"], "needs twilio.auth_token"),
        (FLEET, &["sender"], "is a fleet file"),
        ("sender", &[], "lockstep rotate lockstep.yaml sender"),
    ] {
        let run = site.lockstep("rotate", manifest, args).run().expect(64);
        assert!(run.err.contains(words), "{args:?}: {}", run.err);
    }
    let mut site = site;
    site.env.insert("HOOK".into(), "a-hook-of-our-own-1c9e".into());
    let nothing = Folder::new();
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let plain = nothing.write("m.yaml", &text.replace("${generated.feedback} ", "${env.HOOK} "));
    let run = site.lockstep("rotate", &plain, &["--yes"]).run().expect(64);
    assert!(run.err.contains("nothing to rotate"), "{}", run.err);
    assert_eq!(twin.mark(), 0, "no request was sent");
}

#[test]
fn a_rotation_during_an_apply_changes_nothing() {
    let twin = Twin::start();
    let site = site(&twin);
    let _ = site.lockstep("apply", MINTED, &["--yes"]).run().expect(0);
    // The twin takes any token, so the one of the manifest is not the account's present one.
    let runs = while_somebody_applies(&site, || {
        ["sender", "--promote-auth-token"]
            .map(|what| site.lockstep("rotate", MINTED, &[what, "--yes", "--lease-ttl", "2s"]).run())
    });
    for run in runs {
        let run = run.expect(75);
        assert!(run.err.contains("someone") && run.err.contains("nothing was changed"), "{}", run.err);
    }
    let world: Json = serde_json::from_str(&twin.stop()).expect("JSON");
    assert_eq!(world["world"]["keys"].as_object().expect("keys").len(), 2, "no further key");
}

/// A twin whose account has these tokens.
fn with_tokens(second: Option<&str>) -> Twin {
    let mut world = World::new(Options::default(), 7);
    let account = world.world.account_mut(&Site::env_of(1)["TWILIO_ACCOUNT_SID"]);
    account.auth_token = Some(FIRST.into());
    account.secondary_auth_token = second.map(str::to_owned);
    Twin::over(&world.to_json(), &["--build", "1ms", "--rate", "unlimited"])
}

#[test]
fn the_secondary_token_is_promoted_once_it_is_in_place() {
    let twin = with_tokens(Some(SECOND));
    let mut site = site(&twin);
    let mark = twin.mark();
    let early = site.lockstep("rotate", MINTED, &["--promote-auth-token", "--yes"]).run().expect(73);
    assert!(early.err.contains("is the present token"), "{}", early.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());

    site.env.insert("TWILIO_AUTH_TOKEN".into(), SECOND.into());
    let asked = site.lockstep("rotate", MINTED, &["--promote-auth-token"]).run().expect(1);
    assert!(asked.err.contains("X-Twilio-Signature") && asked.err.contains("--yes"), "{}", asked.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    let done = site.lockstep("rotate", MINTED, &["--promote-auth-token", "--yes", "-vvv"]).run().expect(0);
    assert!(done.out.contains("promoted"), "{}", done.out);
    for token in [FIRST, SECOND] {
        assert!(!done.out.contains(&token[..12]) && !done.err.contains(&token[..12]), "a token was told");
    }
    let (deleted, made) = ("DELETE serverless.twilio.com", "POST serverless.twilio.com");
    let writes = twin.writes_since(mark);
    assert_eq!(writes.len(), 3, "the lease, the promotion, the release: {writes:?}");
    assert!(writes[0].starts_with(made) && writes[2].starts_with(deleted), "{writes:?}");
    let _ = site.lockstep("plan", MINTED, &[]).run().expect(0);
    site.env.insert("TWILIO_AUTH_TOKEN".into(), FIRST.into());
    let gone = site.lockstep("plan", MINTED, &[]).run().expect(1);
    assert!(gone.err.contains("20003"), "{}", gone.err);
    let world = twin.stop();
    assert!(world.contains(SECOND) && !world.contains(FIRST));
}

#[test]
fn without_a_secondary_token_nothing_is_promoted() {
    let twin = with_tokens(None);
    let site = site(&twin);
    let run = site.lockstep("rotate", MINTED, &["--promote-auth-token", "--yes"]).run().expect(73);
    assert!(run.err.contains("make a secondary token"), "{}", run.err);
}
