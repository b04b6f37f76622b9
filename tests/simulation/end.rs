//! The end of a story: the faults stop, a person does what the findings say, and then everything has to be in order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::kinds;
use lockstep::ledger::seal::{Keys, Proof};
use lockstep::model::manifest::Manifest;
use lockstep::model::plan::Plan;
use lockstep::plan::desired::declared;
use lockstep::twin::world::{Action, ApiKey, Binding};
use lockstep::twin::{BindingRule, Tenant, World};
use serde_json::{Value as Json, json};

use super::exempt::{Case, Law};
use super::ground::Ground;
use super::laws::objects;
use super::manifests::{ACCOUNT, DOMAIN, FACTORS, FEEDBACK_KEY, SENDER_KEYS};
use super::model::look;
use super::procs::{Command, Proc, Start, Trouble};
use super::settings::{SETTINGS, Setting};
use super::story::{ELDER, STACK, Story};
use super::told;

/// Kinds that disappear with their Verify service.
const IN_A_SERVICE: &[&str] = &["Verify service", "rate limit", "bucket"];

/// Most applies that a story may need to converge, with a person's help between them.
const RUNS_MAX: usize = 8;

/// Something that a person does.
type Remedy = fn(&mut Story);

/// What a person does about a blocking finding: words of the finding, and the action. The help of each finding says the
/// same.
pub const REMEDIES: &[(&str, Remedy)] = &[
    ("none of them is trusted", |story| {
        // Delete all but the newest one.
        let name = format!("Lockstep ledger ({STACK})");
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        let newest = tenant
            .actions
            .iter()
            .filter(|action| action.name == name)
            .max_by(|a, b| a.updated_at.cmp(&b.updated_at))
            .map(|action| action.id.clone());
        tenant.actions.retain(|action| action.name != name || Some(&action.id) == newest.as_ref());
    }),
    // Minutes later, the object is found or made.
    ("may have created is not found yet", |story| story.ground.now_ms += 301_000),
    ("already has a service named", pin),
    ("nothing proves", |story| {
        // Nobody knows any more what the record said, so it is deleted, and existing objects are adopted.
        let name = format!("Lockstep ledger ({STACK})");
        story.ground.twin.tenant_mut(DOMAIN).actions.retain(|action| action.name != name);
    }),
    ("the stack's record is missing, but the tenant may have an Action", |story| {
        let names = story.ground.claims[&format!("{DOMAIN}/{STACK}")].action_names.clone();
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        let default = format!("Lockstep phone ({STACK})");
        tenant.actions.retain(|action| !names.contains(&action.name) && action.name != default);
        let left: Vec<String> = tenant.actions.iter().map(|action| action.id.clone()).collect();
        tenant.bindings.values_mut().for_each(|list| list.retain(|bound| left.contains(&bound.action_id)));
    }),
    ("its credentials cannot be read to put it back", |story| {
        story.ground.twin.tenant_mut(DOMAIN).phone_providers.clear();
    }),
    ("appeared since the last run began", pin),
    ("phone provider, which this stack does not delete", |story| {
        story.ground.twin.tenant_mut(DOMAIN).phone_providers.clear();
    }),
    ("which phone in the manifest declares", manage_all),
    ("another Action has that name", |story| {
        let wanted = claims_of(&story.draft);
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        let gone = |action: &lockstep::twin::world::Action| {
            wanted.contains(&action.name) && !action.name.starts_with("Lockstep ledger")
        };
        let gone: Vec<String> =
            tenant.actions.iter().filter(|one| gone(one)).map(|one| one.id.clone()).collect();
        tenant.actions.retain(|action| !gone.contains(&action.id));
        tenant.bindings.values_mut().for_each(|list| list.retain(|bound| !gone.contains(&bound.action_id)));
    }),
    ("the pinned service", |story| story.draft.sid = None),
    ("that the manifest uses does not exist", |story| story.draft.used = None),
    ("has custom codes off, so that Verify refuses", |story| story.draft.used = None),
    ("two would send two messages", |story| others_go(story)),
    ("each message would be sent several times", |story| others_go(story)),
    ("another Action is bound to", |story| others_go(story)),
    ("exists on another trigger", |story| {
        // Help of the finding: "Rename it, or set action.name to something else."
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        let is_theirs = |action: &&mut lockstep::twin::world::Action| {
            action.name.starts_with("Lockstep phone") && action.supports("post-login")
        };
        match tenant.actions.iter_mut().find(is_theirs) {
            Some(action) => action.name = "Their own".into(),
            None => story.draft.set("action.name", "\"Acme sender, ours\""),
        }
    }),
    ("Actions are named", |story| {
        // Delete or rename all but the right one.
        let wanted = claims_of(&story.draft);
        let made = story.ground.made.clone();
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        let named = |name: &str| tenant.actions.iter().filter(|action| action.name == name).count();
        let twice: Vec<String> = wanted.into_iter().filter(|name| named(name) > 1).collect();
        for action in tenant.actions.iter_mut().filter(|action| twice.contains(&action.name)) {
            if action.supports("post-login") || !made.contains_key(&action.id) {
                action.name = "Their own".into();
            }
        }
        let mut seen: Vec<(String, String)> = Vec::new();
        let mut gone: Vec<String> = Vec::new();
        for action in &tenant.actions {
            let key = (action.name.clone(), action.supported_triggers[0].id.clone());
            if seen.contains(&key) {
                gone.push(action.id.clone());
            } else {
                seen.push(key);
            }
        }
        tenant.actions.retain(|action| !gone.contains(&action.id));
        tenant.bindings.values_mut().for_each(|list| list.retain(|bound| !gone.contains(&bound.action_id)));
    }),
    ("of at most 100 Actions", |story| {
        story.ground.twin.tenant_mut(DOMAIN).actions.retain(|action| !action.name.starts_with("Theirs "));
    }),
    ("no longer in the manifest", |story| story.allow_delete = true),
    ("demands a second factor and none can be used", no_rules),
    ("the logins that a rule fits fail", no_rules),
    ("the tenant has the classic login", new_login),
    ("feedback_function: it could not be read", |story| story.ground.twin.options.serverless_allowed = true),
    ("is switched on before anything can deliver", manage_all),
    ("the Action that sends is not of this stack", manage_all),
    ("is switched to an Action that is not deployed", manage_all),
    ("codes are handed to an Action", manage_all),
    ("no feedback reaches Verify", |story| {
        // Help of the finding: "Let feedback.log_stream be active".
        story.draft.without.remove("feedback");
        story.draft.set("feedback.log_stream.status", "\"active\"");
    }),
    ("is unsafe", |story| {
        story.draft.without.remove("mfa");
        story.draft.set("mfa.policy", "\"never\"");
        story.draft.set("mfa.factors.otp", "true");
    }),
    ("Lockstep does not switch it back to the legacy set-up", to_unified),
    ("the tenant refuses the legacy phone calls", to_unified),
    ("sends to another endpoint", |story| {
        // Help of the finding: "It may be somebody else's: rename it."
        let default = format!("Lockstep feedback ({STACK})");
        let json = story.draft.json();
        let name = json["feedback"]["log_stream"]["name"].as_str().unwrap_or(&default);
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        tenant.log_streams.iter_mut().filter(|stream| stream.name.as_deref() == Some(name)).for_each(
            |stream| {
                stream.name = Some(format!("Renamed {}", stream.id));
            },
        );
    }),
    ("in use by the phone factor", |story| story.draft.set("phone.channels", "[\"sms\", \"voice\"]")),
    ("log streams", |story| {
        let tenant = story.ground.twin.tenant_mut(DOMAIN);
        let mut seen: Vec<Option<String>> = Vec::new();
        tenant.log_streams.retain(|stream| {
            let first = !seen.contains(&stream.name);
            seen.push(stream.name.clone());
            first
        });
    }),
    ("has secrets that the manifest does not name", |story| {
        story.draft.set("action.unmanaged_secrets", "\"remove\"")
    }),
    ("the service still holds rate limits or messaging configurations", |story| {
        // Help of the finding: "Delete those". Only those of the service to be removed, which is ours.
        let made = story.ground.made.clone();
        for service in &mut story.ground.twin.world.account_mut(ACCOUNT).verify_services {
            if made.contains_key(&service.sid) {
                service.rate_limits.clear();
                service.messaging_configurations.clear();
            }
        }
    }),
    ("the tenant refuses to bind the Action", |story| {
        // Help of the finding: "Bind it in the dashboard to see why Auth0 refuses". Doing so shows the cause, the
        // person removes it, and by then a fresh deployment can be bound.
        story.ground.now_ms += 60_000;
        story.ground.twin.options.custom_phone_binding = BindingRule::Accepted;
        if !story.draft.has("action") {
            // Help without an Action in the manifest: "Bind it in the dashboard".
            bind_in_the_dashboard(story);
        }
    }),
    ("does not take the credentials", |story| {
        // Help of the finding: "Make a new key or correct their values". Both are done; for the sender's key, the first
        // that applies.
        let keys = &mut story.ground.twin.world.keys;
        for sid in SENDER_KEYS.iter().copied().chain([FEEDBACK_KEY]) {
            if let Some(key) = keys.get_mut(sid) {
                (key.deleted, key.secret) = (false, None);
            }
        }
        story.env.insert("TWILIO_SENDER_KEY".into(), SENDER_KEYS[1].into());
        story.env.insert("TWILIO_SENDER_SECRET".into(), "41f02dTwilioSenderSecret7654321y".into());
    }),
    ("the record does not list everything that it created", |_| {}),
    ("it is not known what belongs to this stack", |_| {}),
];

/// Help of the finding: "or manage the sending here with phone and action". The Action needs a service to send through, so the
/// manifest gets that too.
fn manage_all(story: &mut Story) {
    ["phone", "action", "verify_service"].iter().for_each(|part| {
        story.draft.without.remove(part);
    });
    // The Action gets none but the secrets of the built-in code.
    story.draft.set("action.secrets.EXTRA", "");
}

/// Binds the only Action on the trigger of phone messages.
fn bind_in_the_dashboard(story: &mut Story) {
    const TRIGGER: &str = "custom-phone-provider";
    let tenant = story.ground.twin.tenant_mut(DOMAIN);
    let is_on = |action: &&Action| action.supports(TRIGGER) && action.deployment.is_some();
    let Some(action) = tenant.actions.iter().find(is_on) else { return };
    let binding = Binding {
        id: "0b1d0000-0000-4000-8000-000000000001".into(),
        action_id: action.id.clone(),
        display_name: action.name.clone(),
        created_at: action.updated_at.clone(),
        updated_at: action.updated_at.clone(),
    };
    let list = tenant.bindings.entry(TRIGGER.into()).or_default();
    if !list.iter().any(|bound| bound.action_id == binding.action_id) {
        list.push(binding);
    }
}

/// A person does what a finding says, and then mends the manifest if the program refuses it.
fn is_done(story: &mut Story, remedy: Remedy) {
    remedy(story);
    story.ground.changes.push((0, true));
    let Err(wrong) = story.draft.parse(&story.env) else { return };
    story.ground.say(&format!("the manifest is refused: {wrong}"));
    if wrong.contains("nothing tells the Function who may send events to it") {
        story.draft.set("feedback.log_stream.authorization", "\"${generated.feedback}\"");
    }
    // Help of the error: "Switch it on in mfa.factors".
    let rest = wrong.split_once("the rule takes ").and_then(|(_, rest)| rest.split_once(", which"));
    if let Some((factor, _)) = rest {
        story.draft.set(&format!("mfa.factors.{factor}"), "true");
    }
    if story.draft.parse(&story.env).is_err() {
        story.draft.set("phone.channels", "[\"sms\"]");
        story.draft.set("action.code", "\"builtin:twilio-verify\"");
        story.draft.set("universal_login.experience", "");
    }
}

fn new_login(story: &mut Story) {
    story.draft.without.remove("universal_login");
    story.draft.set("universal_login.experience", "\"new\"");
}

fn no_rules(story: &mut Story) {
    if story.draft.json()["mfa"]["post_login"].is_null() {
        // If the record was lost, the Action of the other stack stays, so the factor that it asks for has to be usable.
        new_login(story);
    }
    story.draft.set("mfa.post_login", "");
    story.allow_delete = true;
}

fn pin(story: &mut Story) {
    let name: String =
        story.draft.json()["verify_service"]["friendly_name"].as_str().unwrap_or_default().into();
    let owner = format!("{DOMAIN}/{STACK}");
    let made = &story.ground.made;
    let services = &story.ground.twin.world.accounts[ACCOUNT].verify_services;
    let named: Vec<&str> =
        services.iter().filter(|one| one.friendly_name == name).map(|one| one.sid.as_str()).collect();
    let all: Vec<&str> = services.iter().map(|one| one.sid.as_str()).collect();
    let ours = |sid: &&&str| made.get(**sid).is_some_and(|made| made.owner == owner);
    let theirs = |sid: &&&str| made.get(**sid).is_none_or(|made| made.owner == owner);
    // A service that an earlier manifest named is ours, too.
    let ours = named.iter().find(ours).or_else(|| all.iter().find(ours));
    let chosen = ours.or_else(|| named.iter().find(theirs)).map(|sid| (*sid).to_owned());
    story.draft.sid = chosen.or_else(|| Some("new".into()));
}

fn to_unified(story: &mut Story) {
    story.draft.legacy = false;
    story.draft.set("phone.legacy_templates", "");
}

/// Names that the Actions of this manifest may have.
fn claims_of(draft: &super::manifests::Draft) -> Vec<String> {
    let mut claims = super::manifests::Claims::default();
    claims.add(draft);
    claims.action_names
}

fn others_go(story: &mut Story) {
    let made = story.ground.made.clone();
    let named = story.ground.claims[&format!("{DOMAIN}/{STACK}")].action_names.clone();
    let tenant = story.ground.twin.tenant_mut(DOMAIN);
    let trigger = if story.draft.is_legacy() { "send-phone-message" } else { "custom-phone-provider" };
    let ours: Vec<&str> = tenant
        .actions
        .iter()
        .filter(|action| named.contains(&action.name))
        .map(|action| action.id.as_str())
        .collect();
    let keep = ours.iter().find(|id| made.contains_key(**id)).or(ours.first()).map(|id| (*id).to_owned());
    // Help of the finding: "Set the name in the manifest to that name to take it over, or delete it."
    let wanted = claims_of(&story.draft);
    let fits = |id: &String| tenant.action(id).is_some_and(|action| wanted.contains(&action.name));
    let keep = keep.filter(fits);
    let gone: Vec<String> = tenant
        .actions
        .iter()
        .filter(|action| action.supports(trigger) && Some(&action.id) != keep.as_ref())
        .map(|action| action.id.clone())
        .collect();
    tenant.actions.retain(|action| !gone.contains(&action.id));
    tenant.bindings.values_mut().for_each(|list| list.retain(|bound| !gone.contains(&bound.action_id)));
}

/// Checks the end of a story. From here on, no faults occur.
pub fn check(story: &mut Story) {
    story.ground.say("calm: no faults, everything is granted");
    story.settings_of_calm();
    story.ground.now_ms += 60_000;
    // Some stories destroy the stack at once, whatever is unfinished.
    if story.dice.chance(10) {
        return destroy(story);
    }
    let case = Case::default();
    let Some(mut last) = converge(story) else { return };
    // The second plan is empty, and an apply of it writes nothing.
    let mark = story.ground.requests();
    story.ground.now_ms += 2_000;
    let second = run(story, Command::Apply);
    let plan = second.plan.clone();
    if !plan.as_ref().is_some_and(Plan::is_empty) {
        let shown = plan.as_ref().map(shown).unwrap_or_default();
        story.ground.blame(Law::Second, &case, format!("the second plan is not empty: {shown}"));
    }
    // A binding that the tenant refuses is tried again by every apply, under the lease.
    let tries = story.ground.twin.options.custom_phone_binding != BindingRule::Accepted;
    let lease = ["create_serverless_service", "delete_serverless_service"];
    let wrote: Vec<&str> = story.ground.twin.log()[mark..]
        .iter()
        .filter(|entry| entry.wrote && !(tries && lease.contains(&entry.operation)))
        .map(|entry| entry.operation)
        .collect();
    if !wrote.is_empty() {
        story.ground.blame(Law::Second, &case, format!("the second apply wrote: {}", wrote.join(", ")));
    }
    // The only lease left may be that of a run that died with it; the next run that has work to do waits until it
    // expires.
    if leases(&story.ground.twin.world) > 0 && !last.wrote {
        let name = if story.draft.choice["verify_service.tts_name"] == "\"alice\"" {
            "\"man\""
        } else {
            "\"alice\""
        };
        match story.draft.has("verify_service") && story.draft.used.is_none() {
            true => story.draft.set("verify_service.tts_name", name),
            false => {
                let url = format!("\"https://acme.example/{}.png\"", story.ground.now_ms);
                story.draft.without.remove("branding");
                story.draft.set("branding.logo_url", &url);
            }
        }
        match converge(story) {
            Some(next) => last = next,
            None => return,
        }
    }
    if leases(&story.ground.twin.world) > 0 && last.wrote {
        story.ground.blame(Law::Lease, &case, "a lease is left".into());
    }
    for lie in lies(story) {
        let candidate = lie.starts_with("verify_service: it was not created")
            && story.ground.edits.contains_key("theirs: a Verify service of our name");
        let others = story.ground.changes.iter().any(|(actor, _)| *actor == 0);
        // The second plan is empty, so the tenant is as the manifest says.
        let set_by_others = others && lie.contains("and the ledger says");
        let forged = lie.ends_with(NOT_VOUCHED) && story.ground.edits.contains_key("the ledger is forged");
        let case = Case { candidate, set_by_others, forged, crossed: story.ground.crossed, ..case };
        story.ground.blame(Law::Ledger, &case, lie);
    }
    if let Some(what) = not_applied(story) {
        story.ground.blame(Law::Second, &case, what);
    }
    if story.elder.is_some() && matches!(story.store, Store::Tenant) && story.dice.fork("who goes").chance(50)
    {
        elder_goes(story);
    }
    if story.dice.chance(40) {
        destroy(story);
    }
}

/// Destroys the other stack of the tenant; this one must not change.
fn elder_goes(story: &mut Story) {
    let Some(elder) = story.elder.clone() else { return };
    story.ground.say("the other stack of the tenant goes");
    let env = story.env.clone();
    story.ground.now_ms += 60_000;
    let ended = story.alone(&elder, &env, Store::Tenant, Command::Destroy);
    story.ground.now_ms += 60_000;
    if ended != Some(Ended::Done) {
        story.ground.say("it stays, in part");
        return;
    }
    story.elder_gone = true;
    let plan = run(story, Command::Plan).plan;
    if !plan.as_ref().is_some_and(Plan::is_empty) {
        let shown = plan.as_ref().map(shown).unwrap_or_default();
        story.ground.blame(Law::Second, &Case::default(), format!("the other stack took away: {shown}"));
    }
}

/// How a story converged.
struct Rest {
    /// Whether the last run took the lease.
    wrote: bool,
}

fn converge(story: &mut Story) -> Option<Rest> {
    let mut seen = Vec::new();
    for _ in 0..RUNS_MAX {
        story.ground.now_ms += 2_000;
        let mark = story.ground.requests();
        let proc = run(story, Command::Apply);
        let wrote = took_lease(story, mark);
        match proc.ended() {
            Some(Ended::Done) => return Some(Rest { wrote }),
            Some(ended) => seen.push(format!("{ended:?}")),
            None => seen.push("killed".into()),
        }
        let blockers: Vec<String> = proc
            .plan
            .iter()
            .flat_map(Plan::blockers)
            .map(|finding| format!("{}: {}", finding.address, finding.text))
            .collect();
        let mut blockers = blockers;
        if let Some(Ended::Failed(text)) = proc.ended()
            && REMEDIES.iter().any(|(words, _)| text.contains(words))
        {
            blockers.push(text);
        }
        let (before, before_ms) = (state(story), story.ground.now_ms);
        for blocker in &blockers {
            match REMEDIES.iter().find(|(words, _)| blocker.contains(words)) {
                Some((words, remedy)) => {
                    story.ground.say(&format!("a person reads {words:?} and does what it says"));
                    is_done(story, *remedy);
                }
                None => {
                    let what = format!("nobody knows what to do about: {blocker}");
                    story.ground.blame(Law::Second, &Case::default(), what);
                    return None;
                }
            }
        }
        // Waiting counts as doing something, too.
        let same = before == state(story) && before_ms == story.ground.now_ms;
        if !blockers.is_empty() && same {
            let what = format!("what a person can do was done, and still: {}", blockers.join("; "));
            story.ground.blame(Law::Second, &Case::default(), what);
            return None;
        }
    }
    let what = format!("no rest after {RUNS_MAX} applies: {}", seen.join(" | "));
    story.ground.blame(Law::Second, &Case::default(), what);
    None
}

/// Everything that a person can change.
fn state(story: &Story) -> (World, super::manifests::Draft, bool, bool, bool) {
    let twin = &story.ground.twin;
    let options = &twin.options;
    let binds = options.custom_phone_binding == BindingRule::Accepted;
    (twin.world.clone(), story.draft.clone(), story.allow_delete, options.serverless_allowed, binds)
}

pub fn run(story: &mut Story, command: Command) -> Proc {
    let draft = story.draft.clone();
    run_by(story, &draft, command)
}

/// As [`run`], by another manifest than that of the story.
pub fn run_by(story: &mut Story, draft: &super::manifests::Draft, command: Command) -> Proc {
    let env = story.env.clone();
    let owner = format!("{DOMAIN}/{STACK}");
    story.ground.claims.entry(owner).or_default().add(draft);
    let start = Start {
        draft,
        env: &env,
        store: story.store.clone(),
        command,
        allow_delete: story.allow_delete,
        trouble: Trouble::default(),
    };
    let proc = Proc::new(&mut story.ground, &start);
    let proc = story.go(vec![proc]).remove(0);
    if command == Command::Apply && proc.ended() == Some(Ended::Done) {
        let left = told_to_stay(story, &proc);
        story.left_in_use.extend(left);
    }
    proc
}

/// Something that a successful apply left undone, as far as the world alone can show it.
fn not_applied(story: &Story) -> Option<String> {
    let json = story.draft.json();
    let tenant = &story.ground.twin.world.tenants[DOMAIN];
    let trigger = if story.draft.is_legacy() { "send-phone-message" } else { "custom-phone-provider" };
    // Another stack may have left an Action with another name.
    let names = claims_of(&story.draft);
    let mut on =
        tenant.actions.iter().filter(|action| action.supports(trigger) && names.contains(&action.name));
    let live = on.next().and_then(|action| action.live_version());
    if live.is_none() && story.draft.has("action") {
        return Some("no phone Action runs".into());
    }
    if let Some(live) = live.filter(|_| story.draft.has("action") && story.draft.minted) {
        let value = |name: &str| live.secret(name).map(|secret| secret.value.as_str());
        let key = value("TWILIO_API_KEY").and_then(|sid| story.ground.twin.world.keys.get(sid));
        let name = format!("Lockstep {STACK} sender ");
        let is_ours = |key: &&ApiKey| !key.deleted && key.friendly_name.starts_with(&name);
        let secret = key.filter(is_ours).and_then(|key| key.secret.as_deref());
        if secret.is_none() || secret != value("TWILIO_API_SECRET") {
            return Some("the running Action does not have the key that the stack makes".into());
        }
    }
    let given = live.filter(|_| story.draft.has("action") && !story.draft.minted);
    for (live, (name, variable)) in given.into_iter().flat_map(|live| {
        let told = [("TWILIO_API_KEY", "TWILIO_SENDER_KEY"), ("TWILIO_API_SECRET", "TWILIO_SENDER_SECRET")];
        told.map(|told| (live, told))
    }) {
        let value = live.secret(name).map(|secret| secret.value.as_str());
        if value != Some(story.env[variable].as_str()) && story.knows_secrets() {
            return Some(format!("the running Action has another {name} than the manifest"));
        }
    }
    for (key, wire) in FACTORS {
        if json["mfa"]["factors"][*key].as_bool().is_some_and(|on| on != tenant.factor_enabled(wire)) {
            return Some(format!("the factor {key} is not as the manifest says"));
        }
    }
    let policy = match tenant.policies.first().map(String::as_str) {
        None => "never",
        Some("all-applications") => "always",
        Some(_) => "adaptive",
    };
    let wanted = json["mfa"]["policy"].as_str();
    wanted.filter(|wanted| *wanted != policy).map(|wanted| format!("the policy is {policy}, not {wanted}"))
}

/// Switches that differ from their state before the first apply.
fn not_restored(story: &Story) -> Vec<String> {
    let claims = &story.ground.claims[&format!("{DOMAIN}/{STACK}")];
    // What existed before this stack belonged to the other stack, and has gone with it.
    let gone = story.ground.claims.get(&format!("{DOMAIN}/{ELDER}")).filter(|_| story.elder_gone);
    let (was, is) = (&story.first.tenants[DOMAIN], &story.ground.twin.world.tenants[DOMAIN]);
    // A former value that users could not satisfy is not put back.
    let with = |edit: &dyn Fn(&mut Tenant)| {
        let mut world = story.ground.twin.world.clone();
        edit(world.tenant_mut(DOMAIN));
        look(&world, DOMAIN, &story.ground.twin.options)
    };
    let codes = with(&|tenant| {
        tenant.factors.iter_mut().filter(|one| one.name == "sms").for_each(|one| one.enabled = true);
    });
    let no_code = |wire: &str| wire == "sms" && was.factor_enabled(wire) && !codes.sms && !codes.voice;
    let locks = !with(&|tenant| tenant.policies.clone_from(&was.policies)).login;
    let mut out: Vec<String> = claims
        .factors
        .iter()
        .filter(|wire| was.factor_enabled(wire) != is.factor_enabled(wire) && !no_code(wire))
        .filter(|wire| gone.is_none_or(|gone| !gone.factors.contains(wire)))
        .map(|wire| format!("factor {wire}"))
        .collect();
    let differs = |one: &&Setting| {
        let is_judged = one.may_stay.is_none() && (one.claimed)(claims) && !gone.is_some_and(one.claimed);
        is_judged && (one.value)(was) != (one.value)(is) && !(one.kind == "mfa_policy" && locks)
    };
    out.extend(SETTINGS.iter().filter(differs).map(|one| one.name.to_owned()));
    out
}

/// Destroys the stack: nothing that we made may be left, and the destroy can be repeated.
fn destroy(story: &mut Story) {
    story.ground.say("destroy, in peace");
    let case = Case::default();
    let owner = format!("{DOMAIN}/{STACK}");
    for _ in 0..4 {
        story.ground.now_ms += 2_000;
        let mark = story.ground.requests();
        let proc = run(story, Command::Destroy);
        let leased = took_lease(story, mark);
        let mut blockers: Vec<String> =
            proc.plan.iter().flat_map(Plan::blockers).map(|finding| finding.text.clone()).collect();
        if let Some(Ended::Failed(text)) = proc.ended().filter(|_| blockers.is_empty()) {
            blockers.push(text);
        }
        match proc.ended() {
            Some(Ended::Done) => {
                let recorded = matches!(story.store, Store::Tenant);
                let there_now = story.ground.twin.world.clone();
                let there = objects(&there_now);
                let ids: Vec<&String> = story
                    .ground
                    .made
                    .iter()
                    .filter(|(id, made)| made.owner == owner && there.contains_key(*id))
                    // A run without work does not look for the lease of a dead run.
                    .filter(|(_, made)| leased || !made.name.starts_with("lockstep-lease-"))
                    // An Action that existed before, and so stays, sends through the object and uses its limits.
                    .filter(|(id, _)| !within(&story.ground, id).any(|id| is_sent_through(&there_now, id)))
                    .filter(|(id, _)| !within(&story.ground, id).any(|id| story.left_in_use.contains(id)))
                    .map(|(id, _)| id)
                    .collect();
                let may_be_told = |id: &&String| {
                    let is_told =
                        |id| told::is_service_told(story, &proc, id) || told::is_key_told(story, &proc, id);
                    within(&story.ground, id).any(is_told)
                };
                let told_in_secret = ids.iter().all(may_be_told);
                let named = ids.iter().map(|id| &story.ground.made[*id]);
                let left: Vec<String> = named.map(|made| format!("{} {:?}", made.kind, made.name)).collect();
                let forgotten = story.ground.edits.keys().any(|edit| edit.contains("ledger"));
                if recorded && !forgotten && !left.is_empty() && story.draft.sid.is_none() {
                    let case = Case {
                        crossed: story.ground.crossed,
                        lease_deleted: story.ground.lease_deleted,
                        // If two services appeared, nobody can tell which one is ours, so neither they nor their
                        // contents are removed.
                        candidate: story.ground.edits.contains_key("theirs: a Verify service of our name")
                            && left.iter().any(|what| what.starts_with("Verify service"))
                            && left.iter().all(|what| IN_A_SERVICE.iter().any(|kind| what.starts_with(kind))),
                        told_in_secret,
                        ..case
                    };
                    story.ground.blame(Law::Ledger, &case, format!("left by destroy: {}", left.join(", ")));
                }
                // If nobody else changed anything, the switches are as they were before the first apply.
                let alone = story.ground.changes.iter().all(|(actor, _)| *actor != 0);
                if recorded && alone && !story.ground.outlived {
                    for what in not_restored(story) {
                        let told_in_secret = told::is_value_told(story, &proc, &what);
                        let case = Case { crossed: story.ground.crossed, told_in_secret, ..case };
                        story.ground.blame(Law::Ledger, &case, format!("not put back by destroy: {what}"));
                    }
                }
                return;
            }
            ended => {
                let unsafe_step = blockers.iter().any(|text| text.contains("is unsafe"));
                if unsafe_step {
                    // Removing the last factor under a policy is refused, which is right.
                    story.ground.say("destroy is refused, as it has to be");
                    return;
                }
                story.ground.say(&format!("destroy ended {ended:?}: {}", blockers.join("; ")));
                for blocker in &blockers {
                    if let Some((_, remedy)) = REMEDIES.iter().find(|(words, _)| blocker.contains(words)) {
                        is_done(story, *remedy);
                    }
                }
                // Help of the finding: "Apply once more, then destroy."
                if blockers.iter().any(|text| {
                    text.contains("does not list everything") || text.contains("what belongs to this stack")
                }) {
                    converge(story);
                }
            }
        }
    }
    story.ground.blame(Law::Second, &case, "destroy does not come to its end".into());
}

/// An object and its container: names of objects in a Verify service begin with the id of their container.
fn within<'a>(ground: &'a Ground, id: &'a str) -> impl Iterator<Item = &'a str> {
    let holder = |id: &&'a str| ground.made.get(*id)?.name.split(' ').next().filter(|first| *first != *id);
    std::iter::successors(Some(id), holder).take(3)
}

/// Verify services and keys of ours that a run reported as left in place, because code that stays sends through them,
/// or may.
pub fn told_to_stay(story: &Story, destroy: &Proc) -> Vec<String> {
    let Some(plan) = &destroy.plan else { return Vec::new() };
    let is_said = |address: &str| {
        plan.findings.iter().any(|one| one.address == *address && one.text.starts_with("it stays"))
    };
    let keys = plan.resources.iter().filter(|one| one.kind == "twilio_key" && is_said(one.address.as_str()));
    let mut out: Vec<String> = keys.filter_map(|one| one.ids.get("sid").cloned()).collect();
    if is_said("verify_service") {
        let world = &story.ground.twin.world;
        let stays = |id: &&String| is_sent_through(world, id) || told::is_service_told(story, destroy, id);
        out.extend(story.ground.made.keys().filter(stays).cloned());
    }
    out
}

/// Whether code that is deployed in the tenant was given the SID of this Verify service.
fn is_sent_through(world: &World, sid: &str) -> bool {
    let tenant = &world.tenants[DOMAIN];
    let live = tenant.actions.iter().filter_map(|action| action.live_version());
    live.flat_map(|version| &version.secrets).any(|secret| secret.value == sid)
}

/// Whether a run took the lease since that request.
fn took_lease(story: &Story, mark: usize) -> bool {
    story.ground.twin.log()[mark..].iter().any(|entry| entry.operation == "create_serverless_service")
}

fn leases(world: &World) -> usize {
    let services = &world.accounts[ACCOUNT].serverless_services;
    services.iter().filter(|service| service.unique_name.starts_with("lockstep-lease-")).count()
}

fn shown(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|step| format!("{} {}: {}", step.address, step.what, step.reason));
    let findings = plan.findings.iter().map(|finding| format!("{}: {}", finding.address, finding.text));
    steps.chain(findings).chain(plan.record.then(|| "record".to_owned())).collect::<Vec<_>>().join("; ")
}

/// The decoded payloads of all ledgers: whoever can read Actions can read them.
pub fn ledgers(world: &World) -> Vec<String> {
    let actions = world.tenants.values().flat_map(|tenant| &tenant.actions);
    let named = actions.filter(|action| action.name.starts_with("Lockstep ledger"));
    named.filter_map(|action| decode(&action.code)).collect()
}

fn decode(code: &str) -> Option<String> {
    let base64 = |ch: char| ch.is_ascii_alphanumeric() || "+/=".contains(ch);
    let longest = code.split(|ch: char| !base64(ch)).max_by_key(|part| part.len())?;
    String::from_utf8(STANDARD.decode(longest).ok()?).ok()
}

/// End of a message about an entry of the record that no run vouches for.
const NOT_VOUCHED: &str = ", and no run says so";

/// Whether a run of this stack wrote this record.
fn is_sealed(story: &Story, code: &str) -> bool {
    let manifest = story.draft.parse(&story.env).ok();
    let record = lockstep::ledger::read(code, STACK, DOMAIN, ACCOUNT).ok();
    manifest
        .zip(record)
        .is_some_and(|(manifest, record)| Keys::of(&manifest, 1).proof(&record) == Proof::Sealed)
}

/// Statements of the ledger that are not true in the world.
fn lies(story: &Story) -> Vec<String> {
    let mut lies = Vec::new();
    if !matches!(story.store, Store::Tenant) {
        return lies;
    }
    let world = &story.ground.twin.world;
    let tenant = &world.tenants[DOMAIN];
    let name = format!("Lockstep ledger ({STACK})");
    let found: Vec<_> = tenant.actions.iter().filter(|action| action.name == name).collect();
    // A manifest that declares nothing, or only uses what others manage, may have no record, because there is nothing to
    // record.
    let manages = |manifest: &Manifest| {
        declared(manifest)
            .iter()
            .any(|want| !kinds::by_name(want.kind).is_some_and(|kind| kind.only_uses(manifest)))
    };
    let manifest = story.draft.parse(&story.env).ok();
    if found.is_empty() && manifest.is_some_and(|manifest| !manages(&manifest)) {
        return lies;
    }
    let [ledger] = found.as_slice() else {
        return vec![format!("{} ledgers", found.len())];
    };
    let payload = decode(&ledger.code).and_then(|text| serde_json::from_str::<Json>(&text).ok());
    let Some(payload) = payload else { return vec!["the ledger cannot be decoded".into()] };
    if payload["tenant"] != DOMAIN || payload["account"] != ACCOUNT || payload["stack"] != STACK {
        lies.push("the ledger is not of this stack".into());
    }
    if !payload["intent"].is_null() {
        lies.push("the ledger still holds an intent".into());
    }
    let there = objects(world);
    let owner = format!("{DOMAIN}/{STACK}");
    let draft = story.draft.json();
    let mut told = Vec::new();
    for (address, entry) in payload["resources"].as_object().into_iter().flatten() {
        for (key, id) in entry["ids"].as_object().into_iter().flatten() {
            let Some(id) = id.as_str().filter(|id| !id.is_empty() && *key != "account_sid") else { continue };
            let looks_like_id = ["id", "sid", "action_id"].contains(&key.as_str());
            if looks_like_id && !there.contains_key(id) {
                lies.push(format!("{address}: {key} {id} does not exist"));
            }
            if key == "id" || key == "sid" {
                told.push(id.to_owned());
                let made = story.ground.made.get(id).filter(|made| made.owner == owner);
                let ours = made.is_some();
                // Where a run had taken an object over and its like was made in its place, a rollback leaves that one.
                let is_handed_back = made.is_some_and(|made| made.by < story.ground.last_rollback);
                if entry["ownership"] == "created" && !ours {
                    let vouched = entry["unproven"] != true && is_sealed(story, &ledger.code);
                    let by = if vouched { "" } else { NOT_VOUCHED };
                    lies.push(format!("{address}: it was not created by this stack{by}"));
                }
                let undisturbed = !story.ground.edits.keys().any(|edit| edit.contains("ledger"))
                    && !story.ground.crossed
                    && story.draft.sid.is_none()
                    && story.hub.is_none()
                    && matches!(story.store, Store::Tenant);
                if entry["ownership"] == "adopted" && ours && !is_handed_back && undisturbed {
                    lies.push(format!(
                        "{address}: this stack made it, and the record says it was there before"
                    ));
                }
            }
        }
        for (field, last) in entry["fields"].as_object().into_iter().flatten() {
            // A field that only an older manifest managed is somebody else's by now.
            let managed = address != "verify_service" || !draft[address.as_str()][field.as_str()].is_null();
            let told = managed && !last["plain"].is_null();
            if let Some(is) = actual(world, address, field, entry).filter(|_| told) {
                let was = &last["plain"];
                if *was != is {
                    lies.push(format!("{address}.{field} is {is}, and the ledger says {was}"));
                }
            }
        }
    }
    lies
}

/// The real value of a field, as far as it can be found without the program's help.
fn actual(world: &World, address: &str, field: &str, entry: &Json) -> Option<Json> {
    let tenant = &world.tenants[DOMAIN];
    let id = |key: &str| entry["ids"][key].as_str().unwrap_or_default().to_owned();
    if let Some(name) = address.strip_prefix("mfa_factor.") {
        let wire = FACTORS.iter().find(|(key, _)| *key == name).map(|(_, wire)| *wire)?;
        return Some(json!(tenant.factor_enabled(wire)));
    }
    match (address, field) {
        ("verify_service", "friendly_name") => {
            world.accounts[ACCOUNT].verify_service(&id("sid")).map(|one| json!(one.friendly_name))
        }
        ("verify_service", "code_length") => {
            world.accounts[ACCOUNT].verify_service(&id("sid")).map(|one| one.settings["code_length"].clone())
        }
        ("mfa_policy", "policy") => Some(json!(match tenant.policies.first().map(String::as_str) {
            None => "never",
            Some("all-applications") => "always",
            Some(_) => "adaptive",
        })),
        ("universal_login", "experience") => Some(json!(tenant.prompts.universal_login_experience)),
        ("log_stream", "endpoint") => {
            let stream = tenant.log_streams.iter().find(|stream| stream.id == id("id"))?;
            stream.sink.get("httpEndpoint").cloned()
        }
        ("log_stream", "status") => {
            tenant.log_streams.iter().find(|stream| stream.id == id("id")).map(|stream| json!(stream.status))
        }
        ("unified_phone", "enabled") if tenant.settings.contains_key("phone_consolidated_experience") => {
            Some(json!(tenant.unified()))
        }
        ("phone_selected_provider", "provider") => Some(json!(tenant.legacy_phone.selected_provider)),
        _ => None,
    }
}
