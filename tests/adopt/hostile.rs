//! Names and texts of others in a tenant: whatever they are, the written manifest reads back, and they steer nothing.

use lockstep::model::text::steers;
use lockstep::twin::World;
use serde_json::json;

use super::lab::{Values, adopted, options_of, read, stack_on, without_record};
use crate::support::{ACCOUNT, DOMAIN, Stack, function_manifest};

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "line\nbreak: x",
        "../../etc/passwd",
        "a/b",
        "\u{1b}[31mred",
        "a: b",
        "a # b",
        "${env.HOME}",
        "$${x} ${",
        "\"quoted\" 'x'",
        "- leading",
        "| block",
        "> fold",
        "*alias",
        "&anchor",
        "!tag",
        "{flow}",
        "[flow]",
        "%directive",
        "---",
        "...",
        "\u{202e}txet",
        "\u{e0001}",
        "null",
        "on",
        "1.0",
        "::error::x",
        "##[error]x",
        "\t",
        "  ",
        "builtin:twilio-verify",
        "none",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(1_000_000));
    texts
}

/// Puts the text of others somewhere into a world.
type Put = fn(&mut World, &str);

/// Each place of a world where others choose a text.
const PLACES: &[(&str, Put)] = &[
    ("action", |world, text| world.tenants.get_mut(DOMAIN).expect("tenant").actions[0].name = text.into()),
    ("display name", |world, text| {
        let bindings = &mut world.tenants.get_mut(DOMAIN).expect("tenant").bindings;
        bindings.values_mut().flatten().for_each(|one| one.display_name = text.into());
    }),
    ("secret", |world, text| {
        let action = &mut world.tenants.get_mut(DOMAIN).expect("tenant").actions[0];
        let mut secret = action.secrets[0].clone();
        secret.name = text.into();
        action.secrets.push(secret);
    }),
    ("stream", |world, text| {
        world.tenants.get_mut(DOMAIN).expect("tenant").log_streams[0].name = Some(text.into());
    }),
    ("another stream", |world, text| {
        let streams = &mut world.tenants.get_mut(DOMAIN).expect("tenant").log_streams;
        let mut other = streams[0].clone();
        other.id = "lst_0000000000000009".into();
        other.name = Some(text.into());
        other.sink.insert("httpEndpoint".into(), json!("https://siem.example/x"));
        streams.push(other);
    }),
    ("filter", |world, text| {
        let stream = &mut world.tenants.get_mut(DOMAIN).expect("tenant").log_streams[0];
        stream.filters.get_or_insert_default().push(json!({ "type": "category", "name": text }));
    }),
    ("service", |world, text| {
        world.accounts.get_mut(ACCOUNT).expect("account").verify_services[0].friendly_name = text.into();
    }),
    ("template", |world, text| {
        let template: lockstep::twin::world::PhoneTemplate = serde_json::from_value(json!({
            "id": "tem_1", "type": "otp_verify", "disabled": false, "created_at": "x", "updated_at": "x",
            "content": { "from": text, "body": { "text": text, "voice": text } } }))
        .expect("a template");
        world.tenants.get_mut(DOMAIN).expect("tenant").phone_templates.push(template);
    }),
    ("logo", |world, text| {
        let branding = &mut world.tenants.get_mut(DOMAIN).expect("tenant").branding;
        branding.insert("logo_url".into(), json!(text));
    }),
    ("code", |world, text| {
        let action = &mut world.tenants.get_mut(DOMAIN).expect("tenant").actions[0];
        action.code = format!(
            "exports.onExecuteCustomPhoneProvider = async () => {{}};\n// {}\n",
            text.replace('\n', " ")
        );
    }),
];

#[test]
fn names_of_others_steer_nothing() {
    let mut stack = Stack::new(options_of(false), function_manifest());
    stack.applied();
    let world = without_record(&stack);
    for (place, set) in PLACES {
        for text in texts() {
            let mut hostile = world.clone();
            set(&mut hostile, &text);
            let shown: String = text.chars().take(40).collect();
            let mut stack = stack_on(hostile.clone(), false);
            let adopted = adopted(&mut stack, "story");
            let name = format!("{place} {shown:?}");
            // No character that steers, no line that is not ours, nothing endless.
            assert!(
                !adopted.manifest.chars().any(|ch| ch != '\n' && steers(ch)),
                "{name}\n{}",
                adopted.manifest
            );
            let longest = adopted.manifest.lines().map(str::len).max().unwrap_or_default();
            assert!(longest < 70_000, "{name}: {longest}");
            for line in adopted.left.iter().chain(&adopted.changes) {
                assert!(line.chars().count() < 2_000, "{name}");
            }
            assert!(
                adopted.files.keys().all(|file| file == "lockstep.action.js"),
                "{name}: {:?}",
                adopted.files.keys()
            );
            // It reads back without an error, and what was said is what the tenant has.
            let mut values = Values { env: crate::support::env(), files: adopted.files.clone() };
            for (at, variable) in adopted.variables.iter().enumerate() {
                let value = match variable.key.to_ascii_lowercase().ends_with("api_key") {
                    true => format!("SK{:032x}", at + 3),
                    false => format!("{:x}-Secret-61d0-{at}", (at + 3) * 104_729),
                };
                values.env.insert(variable.name.clone(), value);
            }
            let manifest = read(&adopted.manifest, &values);
            for (section, key, there) in [
                (
                    "verify_service",
                    "friendly_name",
                    hostile.accounts[ACCOUNT].verify_services[0].friendly_name.clone(),
                ),
                ("action", "name", hostile.tenants[DOMAIN].actions[0].name.clone()),
                (
                    "feedback.log_stream",
                    "name",
                    hostile.tenants[DOMAIN].log_streams[0].name.clone().unwrap_or_default(),
                ),
            ] {
                if let Some(said) = manifest.text(section, key) {
                    assert_eq!(said, there, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_key_in_code_is_named_by_its_line() {
    let mut stack = Stack::new(options_of(false), function_manifest());
    stack.applied();
    let mut world = without_record(&stack);
    let action = &mut world.tenants.get_mut(DOMAIN).expect("tenant").actions[0];
    action.code = "exports.onExecuteCustomPhoneProvider = async () => {\n  const KEY = 'SK0123456789abcdef0123456789abcdef';\n};\n".into();
    let adopted = adopted(&mut stack_on(world, false), "story");
    assert_eq!(adopted.suspects, [("lockstep.action.js".to_owned(), 2)]);
}
