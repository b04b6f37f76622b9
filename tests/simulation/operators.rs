//! Other operators on the same tenant and account, as a table of edits. They act between any two requests.

use lockstep::model::api::Method;
use lockstep::model::ledger::{Last, Ownership};
use lockstep::twin::world::{ApiKey, KeyKind};
use lockstep::twin::{TriggerRef, Twin};
use serde_json::{Value as Json, json};

use super::dice::Dice;
use super::manifests::{ACCOUNT, DOMAIN, FEEDBACK_KEY, SENDER_KEYS};
use super::worlds;

/// One edit.
pub struct Edit {
    pub name: &'static str,
    /// Whether it may change a trigger's list.
    pub list: bool,
    pub act: fn(&mut Twin, &mut Dice, u64),
}

const fn edit(name: &'static str, act: fn(&mut Twin, &mut Dice, u64)) -> Edit {
    Edit { name, list: false, act }
}

const fn list(name: &'static str, act: fn(&mut Twin, &mut Dice, u64)) -> Edit {
    Edit { name, list: true, act }
}

fn api(twin: &mut Twin, method: Method, path: &str, body: &Json, now_ms: u64) -> Json {
    twin.operate_tenant(DOMAIN, method, &format!("/api/v2{path}"), body, now_ms).1
}

/// The id of one of the phone Actions, ours or somebody else's.
fn phone_action(twin: &mut Twin, dice: &mut Dice) -> Option<String> {
    let on = |trigger: &str, action: &lockstep::twin::world::Action| action.supports(trigger);
    let all: Vec<String> = twin
        .tenant_mut(DOMAIN)
        .actions
        .iter()
        .filter(|action| on("custom-phone-provider", action) || on("send-phone-message", action))
        .map(|action| action.id.clone())
        .collect();
    (!all.is_empty()).then(|| dice.pick(&all).clone())
}

fn ledger(twin: &mut Twin) -> Option<String> {
    let tenant = twin.tenant_mut(DOMAIN);
    tenant
        .actions
        .iter()
        .find(|action| action.name.starts_with("Lockstep ledger"))
        .map(|action| action.id.clone())
}

/// A forged record with a valid checksum, as anybody can write it. It claims that this stack made everything, also a
/// foreign Action whose removal is due, and another service.
fn forged(twin: &mut Twin, dice: &mut Dice, code: &str) -> Option<String> {
    let mut held = lockstep::ledger::read(code, super::story::STACK, DOMAIN, ACCOUNT).ok()?;
    held.serial += 1;
    held.resources.values_mut().for_each(|entry| entry.ownership = Ownership::Created);
    let foreign =
        twin.tenant_mut(DOMAIN).actions.iter().find(|action| !action.name.starts_with("Lockstep")).cloned();
    if let Some((action, mut entry)) = foreign.zip(held.resources.values().next().cloned()) {
        entry.kind = "legacy_action".into();
        entry.ids = [("id".to_owned(), action.id)].into();
        entry.fields = [("name".to_owned(), Last::Plain(json!(action.name)))].into();
        entry.notes = [("not_before".to_owned(), json!("2026-01-01T00:00:00Z"))].into();
        held.resources.insert("legacy_action".into(), entry);
    }
    if let (Some(sid), Some(entry)) = (a_service(twin, dice), held.resources.get_mut("verify_service")) {
        entry.ids.insert("sid".into(), sid);
    }
    lockstep::ledger::write(&held).ok()
}

fn our_stream(twin: &mut Twin) -> Option<String> {
    let named = |name: &str| name.starts_with("Lockstep") || name.starts_with("Acme");
    let tenant = twin.tenant_mut(DOMAIN);
    let found = tenant.log_streams.iter().find(|stream| stream.name.as_deref().is_some_and(named));
    found.map(|stream| stream.id.clone())
}

fn a_service(twin: &mut Twin, dice: &mut Dice) -> Option<String> {
    let services = &twin.world.account_mut(ACCOUNT).verify_services;
    let sids: Vec<String> = services.iter().map(|service| service.sid.clone()).collect();
    (!sids.is_empty()).then(|| dice.pick(&sids).clone())
}

/// Changes, at Twilio, the key of a credential that the stack hands on.
fn spoil(twin: &mut Twin, sid: &str, how: fn(&mut ApiKey)) {
    let made = || ApiKey::new(ACCOUNT, KeyKind::Standard);
    how(twin.world.keys.entry(sid.into()).or_insert_with(made));
}

fn set_factor(twin: &mut Twin, name: &str, enabled: bool, now_ms: u64) {
    api(twin, Method::Put, &format!("/guardian/factors/{name}"), &json!({ "enabled": enabled }), now_ms);
}

fn new_action(twin: &mut Twin, trigger: &str, version: &str, now_ms: u64) {
    let count = twin.tenant_mut(DOMAIN).actions.len();
    if count < 100 {
        let name = format!("New of theirs {count}");
        let id = twin.world.add_deployed_action(DOMAIN, &name, &TriggerRef::new(trigger, version), now_ms);
        twin.world.bind(DOMAIN, trigger, &id, &name, now_ms);
    }
}

pub const EDITS: &[Edit] = &[
    edit("theirs: a stream is made", |twin, _, now_ms| {
        let body = json!({"name": "New of theirs", "type": "http",
            "sink": {"httpEndpoint": "https://new.example/x", "httpContentFormat": "JSONLINES"}});
        api(twin, Method::Post, "/log-streams", &body, now_ms);
    }),
    list("theirs: an Action is made and bound to post-login", |twin, _, now_ms| {
        new_action(twin, "post-login", "v3", now_ms);
    }),
    edit("theirs: a Verify service is made", |twin, _, now_ms| {
        let form = [("FriendlyName", "Their new brand")];
        twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, "/v2/Services", &form, now_ms);
    }),
    edit("theirs: a Verify service of our name", |twin, _, _| worlds::service(twin, "Acme")),
    edit("a factor is switched", |twin, dice, now_ms| {
        let name = *dice.pick(&["otp", "email", "recovery-code"]);
        let on = dice.chance(60);
        set_factor(twin, name, on, now_ms);
    }),
    edit("the phone factor is switched off", |twin, _, now_ms| set_factor(twin, "sms", false, now_ms)),
    edit("the policy is changed", |twin, dice, now_ms| {
        let policy = if dice.chance(50) { json!([]) } else { json!(["all-applications"]) };
        api(twin, Method::Put, "/guardian/policies", &policy, now_ms);
    }),
    edit("message types are changed", |twin, dice, now_ms| {
        let types = *dice.pick(&[&["sms"][..], &["voice"], &["sms", "voice"]]);
        let body = json!({ "message_types": types });
        api(twin, Method::Put, "/guardian/factors/phone/message-types", &body, now_ms);
    }),
    edit("the login becomes classic", |twin, _, now_ms| {
        api(twin, Method::Patch, "/prompts", &json!({"universal_login_experience": "classic"}), now_ms);
    }),
    edit("the unified flag is switched on", |twin, _, now_ms| {
        api(
            twin,
            Method::Patch,
            "/tenants/settings",
            &json!({"phone_consolidated_experience": true}),
            now_ms,
        );
    }),
    edit("the provider is disabled", |twin, _, now_ms| {
        if let Some(id) = twin.tenant_mut(DOMAIN).phone_providers.first().map(|one| one.id.clone()) {
            let path = format!("/branding/phone/providers/{id}");
            api(twin, Method::Patch, &path, &json!({"disabled": true}), now_ms);
        }
    }),
    edit("the provider is deleted", |twin, _, now_ms| {
        if let Some(id) = twin.tenant_mut(DOMAIN).phone_providers.first().map(|one| one.id.clone()) {
            api(twin, Method::Delete, &format!("/branding/phone/providers/{id}"), &Json::Null, now_ms);
        }
    }),
    edit("the provider takes text only", |twin, _, now_ms| {
        if let Some(id) = twin.tenant_mut(DOMAIN).phone_providers.first().map(|one| one.id.clone()) {
            let path = format!("/branding/phone/providers/{id}");
            api(
                twin,
                Method::Patch,
                &path,
                &json!({"configuration": {"delivery_methods": ["text"]}}),
                now_ms,
            );
        }
    }),
    list("the phone Action is deleted", |twin, dice, now_ms| {
        if let Some(id) = phone_action(twin, dice) {
            api(twin, Method::Delete, &format!("/actions/actions/{id}?force=true"), &Json::Null, now_ms);
        }
    }),
    list("the phone Action is unbound", |twin, _, now_ms| {
        for trigger in ["custom-phone-provider", "send-phone-message"] {
            let path = format!("/actions/triggers/{trigger}/bindings");
            api(twin, Method::Patch, &path, &json!({"bindings": []}), now_ms);
        }
    }),
    edit("the draft of the phone Action is edited", |twin, dice, now_ms| {
        if let Some(id) = phone_action(twin, dice) {
            let code = "// edited\nexports.onExecuteCustomPhoneProvider = async () => {};\n\
                        exports.onExecuteSendPhoneMessage = async () => {};\n";
            api(twin, Method::Patch, &format!("/actions/actions/{id}"), &json!({ "code": code }), now_ms);
        }
    }),
    edit("the draft of the phone Action is deployed", |twin, dice, now_ms| {
        if let Some(id) = phone_action(twin, dice) {
            api(twin, Method::Post, &format!("/actions/actions/{id}/deploy"), &Json::Null, now_ms);
        }
    }),
    edit("a secret of the phone Action is added", |twin, dice, now_ms| {
        if let Some(id) = phone_action(twin, dice) {
            let mut secrets = json!([]);
            for secret in
                twin.tenant_mut(DOMAIN).action(&id).map(|one| one.secrets.clone()).unwrap_or_default()
            {
                let one = json!({"name": secret.name, "value": secret.value});
                secrets.as_array_mut().expect("a list").push(one);
            }
            secrets.as_array_mut().expect("a list").push(json!({"name": "THEIRS", "value": "their value"}));
            api(
                twin,
                Method::Patch,
                &format!("/actions/actions/{id}"),
                &json!({ "secrets": secrets }),
                now_ms,
            );
        }
    }),
    edit("our stream is paused", |twin, _, now_ms| {
        if let Some(id) = our_stream(twin) {
            api(twin, Method::Patch, &format!("/log-streams/{id}"), &json!({"status": "paused"}), now_ms);
        }
    }),
    edit("our stream is deleted", |twin, _, now_ms| {
        if let Some(id) = our_stream(twin) {
            api(twin, Method::Delete, &format!("/log-streams/{id}"), &Json::Null, now_ms);
        }
    }),
    edit("a Verify service is edited", |twin, dice, now_ms| {
        if let Some(sid) = a_service(twin, dice) {
            let form = [("CodeLength", "7")];
            let path = format!("/v2/Services/{sid}");
            twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, &path, &form, now_ms);
        }
    }),
    edit("custom codes are switched off", |twin, dice, now_ms| {
        if let Some(sid) = a_service(twin, dice) {
            let form = [("CustomCodeEnabled", "false")];
            let path = format!("/v2/Services/{sid}");
            twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, &path, &form, now_ms);
        }
    }),
    edit("a Verify service is deleted", |twin, dice, now_ms| {
        if let Some(sid) = a_service(twin, dice) {
            let path = format!("/v2/Services/{sid}");
            twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Delete, &path, &[], now_ms);
        }
    }),
    list("the ledger is deleted", |twin, _, now_ms| {
        if let Some(id) = ledger(twin) {
            api(twin, Method::Delete, &format!("/actions/actions/{id}"), &Json::Null, now_ms);
        }
    }),
    edit("the ledger is edited", |twin, _, now_ms| {
        if let Some(id) = ledger(twin) {
            let code = twin.tenant_mut(DOMAIN).action(&id).map(|one| one.code.clone()).unwrap_or_default();
            let body = json!({"code": code.replacen('e', "f", 9)});
            api(twin, Method::Patch, &format!("/actions/actions/{id}"), &body, now_ms);
        }
    }),
    edit("the ledger is cut in half", |twin, _, now_ms| {
        if let Some(id) = ledger(twin) {
            let code = twin.tenant_mut(DOMAIN).action(&id).map(|one| one.code.clone()).unwrap_or_default();
            let half: String = code.chars().take(code.len() / 2).collect();
            api(twin, Method::Patch, &format!("/actions/actions/{id}"), &json!({ "code": half }), now_ms);
        }
    }),
    edit("the ledger is that of another tenant", |twin, _, now_ms| {
        let theirs = twin.world.tenants.get(super::manifests::OTHER).and_then(|tenant| {
            tenant
                .actions
                .iter()
                .find(|action| action.name.starts_with("Lockstep ledger"))
                .map(|one| one.code.clone())
        });
        if let (Some(id), Some(code)) = (ledger(twin), theirs) {
            api(twin, Method::Patch, &format!("/actions/actions/{id}"), &json!({ "code": code }), now_ms);
        }
    }),
    edit("the ledger is forged", |twin, dice, now_ms| {
        let Some(id) = ledger(twin) else { return };
        let code = twin.tenant_mut(DOMAIN).action(&id).map(|one| one.code.clone()).unwrap_or_default();
        if let Some(code) = forged(twin, dice, &code) {
            api(twin, Method::Patch, &format!("/actions/actions/{id}"), &json!({ "code": code }), now_ms);
        }
    }),
    edit("the ledger is copied", |twin, _, now_ms| {
        let Some(id) = ledger(twin) else { return };
        let Some(action) = twin.tenant_mut(DOMAIN).action(&id).cloned() else { return };
        let body = json!({"name": action.name, "code": action.code,
            "supported_triggers": [{"id": "post-change-password", "version": "v2"}]});
        api(twin, Method::Post, "/actions/actions", &body, now_ms);
    }),
    edit("the ledger is deployed", |twin, _, now_ms| {
        if let Some(id) = ledger(twin) {
            api(twin, Method::Post, &format!("/actions/actions/{id}/deploy"), &Json::Null, now_ms);
        }
    }),
    edit("the sender's key is revoked", |twin, dice, _| {
        let sid: &str = dice.pick::<&str>(SENDER_KEYS);
        spoil(twin, sid, |key| key.deleted = true);
    }),
    edit("the sender's secret is rolled", |twin, dice, _| {
        let sid: &str = dice.pick::<&str>(SENDER_KEYS);
        spoil(twin, sid, |key| key.secret = Some("rolled-by-hand".into()));
    }),
    edit("a minted key is deleted", |twin, dice, _| {
        let live = twin
            .world
            .keys
            .iter()
            .filter(|(_, key)| !key.deleted && key.friendly_name.starts_with("Lockstep "));
        let sids: Vec<String> = live.map(|(sid, _)| sid.clone()).collect();
        if !sids.is_empty() {
            let sid = dice.pick(&sids).clone();
            spoil(twin, &sid, |key| key.deleted = true);
        }
    }),
    edit("a minted key may do more", |twin, _, _| {
        let live = twin.world.keys.values_mut().filter(|key| key.friendly_name.starts_with("Lockstep "));
        live.for_each(|key| key.allow.push("/twilio/verify/service/read".into()));
    }),
    edit("the key of the feedback is revoked", |twin, _, _| {
        spoil(twin, FEEDBACK_KEY, |key| key.deleted = true);
    }),
    edit("the lease is deleted", |twin, _, _| {
        let services = &mut twin.world.account_mut(ACCOUNT).serverless_services;
        services.retain(|service| !service.unique_name.starts_with("lockstep-lease-"));
    }),
];

/// When and how often the operator acts.
pub struct Operator {
    pub percent: u64,
    pub left: usize,
    dice: Option<Dice>,
}

impl Operator {
    pub fn new(dice: Dice) -> Operator {
        Operator { percent: 0, left: 0, dice: Some(dice) }
    }

    pub fn draw(&mut self, dice: &mut Dice) {
        self.percent = *dice.pick(&[0, 0, 0, 3, 10]);
        self.left = dice.below(4) + 1;
    }

    pub fn calm(&mut self) {
        (self.percent, self.left) = (0, 0);
    }

    /// The next edit, if it is time for one.
    pub fn next(&mut self) -> Option<&'static Edit> {
        let dice = self.dice.as_mut()?;
        if self.left == 0 || !dice.chance(self.percent) {
            return None;
        }
        self.left -= 1;
        Some(dice.pick(EDITS))
    }

    pub fn dice(&mut self) -> Dice {
        self.dice.take().unwrap_or_else(|| Dice::new(0))
    }

    pub fn give_back(&mut self, dice: Dice) {
        self.dice = Some(dice);
    }
}
