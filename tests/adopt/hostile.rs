//! Names and texts of others in a tenant: whatever they are, the written manifest reads back, and they steer nothing.

use lockstep::model::text::steers;
use lockstep::twin::World;
use serde_json::json;

use lockstep::engine::apply::Ended;
use lockstep::manifest::Missing;
use lockstep::model::plan::{Level, Verb};

use super::lab::{Values, adopted, applied, observed, options_of, read, stack_on, without_record};
use crate::support::{ACCOUNT, DOMAIN, Stack, function_manifest, problems_of, tables};

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

/// A service of the Console may have a name that Twilio takes from no API client. It is pinned, and keeps its name.
#[test]
fn a_service_whose_name_cannot_be_said_is_adopted_by_its_sid() {
    let mut stack = Stack::new(options_of(false), function_manifest());
    stack.applied();
    for name in ["A & B", "Acme Inc.", "Acme 12345", "A name of more than thirty letters"] {
        let mut world = without_record(&stack);
        let service = &mut world.accounts.get_mut(ACCOUNT).expect("account").verify_services[0];
        service.friendly_name = name.into();
        let sid = service.sid.clone();
        let mut stack = stack_on(world.clone(), false);
        let adopted = adopted(&mut stack, "story");
        assert!(adopted.manifest.contains(&format!("\n  sid: {sid}")), "{name}: {}", adopted.manifest);
        assert!(!adopted.manifest.contains("\n  friendly_name:"), "{name}: {}", adopted.manifest);
        assert!(
            adopted.left.iter().any(|line| line.starts_with("verify_service.friendly_name: ")),
            "{name}: {:?}",
            adopted.left
        );
        assert_eq!(adopted.changes, Vec::<String>::new(), "{name}");
        let values = Values::of(&adopted, &world);
        let manifest = read(&adopted.manifest, &values);
        let plan = observed(&mut stack, manifest.clone()).plan;
        let verb =
            |address: &str| plan.resources.iter().find(|one| one.address == address).map(|one| one.verb);
        assert_eq!(verb("verify_service"), Some(Verb::Adopt), "{name}");
        assert!(plan.steps.is_empty() && plan.blockers().next().is_none(), "{name}: {:?}", plan.findings);
        // It is managed from now on, but for its name.
        let longer = adopted.manifest.replace("  code_length: 6", "  code_length: 8");
        assert_ne!(longer, adopted.manifest);
        assert_eq!(applied(&mut stack, read(&longer, &values)).ended, Ended::Done, "{name}");
        {
            let twin = stack.twin.borrow();
            let service = &twin.world.accounts[ACCOUNT].verify_services[0];
            assert_eq!((service.friendly_name.as_str(), &service.sid), (name, &sid));
            assert_eq!(service.settings["code_length"], 8);
        }
        // Once it is gone, no other one can be made without a name.
        stack.twin.borrow_mut().world.accounts.get_mut(ACCOUNT).expect("account").verify_services.clear();
        let plan = observed(&mut stack, read(&longer, &values)).plan;
        let blockers: Vec<&str> = plan.blockers().map(|finding| finding.text.as_str()).collect();
        let gone = format!("the pinned service {sid} is gone, and a new one needs a name");
        assert!(blockers.contains(&gone.as_str()), "{name}: {blockers:?}");
    }
}

#[test]
fn only_a_pinned_service_needs_no_name() {
    let named = |lines: &str| -> String {
        let text = function_manifest();
        let each = text.lines().map(|line| match line.starts_with("  friendly_name: Acme ") {
            true => lines.to_owned(),
            false if line.starts_with("  code_length: ") => String::new(),
            false => format!("{line}\n"),
        });
        let out: String = each.collect();
        assert!(out.contains(lines), "the manifest has a name");
        out
    };
    let with = |lines: &str| problems_of(&named(lines), &crate::support::env());
    let pin = format!("  sid: VA{}\n", "0".repeat(32));
    assert_eq!(with(&pin), "");
    for (lines, reason) in [
        ("  code_length: 6\n", "friendly_name is required here, because there is no sid"),
        ("  sid: new\n", "a service that is to be made needs a name"),
    ] {
        let problems = with(lines);
        assert!(problems.contains(reason) && problems.contains("add friendly_name:"), "{lines}: {problems}");
    }
    // A pin without a value here is no reason to make a service.
    let parsed = lockstep::manifest::read("m.yaml", &named("  sid: ${env.SID}\n"), &tables()).expect("read");
    let values = Values { env: crate::support::env(), files: Default::default() };
    let known = lockstep::manifest::examine(&parsed, &values, Missing::Unknown, &lockstep::kinds::check);
    let plan = observed(&mut Stack::core(), known.manifest).plan;
    assert!(plan.steps.iter().all(|step| step.address != "verify_service"), "{:?}", plan.steps);
    let unread = plan.findings.iter().filter(|finding| finding.level == Level::NotRead);
    assert_eq!(
        unread.filter(|finding| finding.address == "verify_service").count(),
        1,
        "{:?}",
        plan.findings
    );
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
