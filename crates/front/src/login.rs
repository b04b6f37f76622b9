//! A login, from the address of an application to the code that it gets: password, post-login Actions, phone.

use std::collections::VecDeque;

use lockstep_twin::Twin;
use lockstep_twin::world::{Tenant, User};
use serde_json::{Value as Json, json};

use super::send::{self, Channel, Way};
use super::told::Entry;
use super::{After, Ask, Fields, Front, LOGINS_MAX, Ran, Reply, Run, Step, Ticket, event, pages, query};

/// A code counts for five minutes (Auth0 docs, Configure SMS and voice notifications for MFA, 2026).
const CODE_LIFE_MS: u64 = 300_000;
/// So many wrong codes end the challenge (`gd_otp_rate_limit_exceed`: Auth0 docs, log event type codes).
const WRONG_MAX: u32 = 10;
/// Name of the cookie of a session.
pub(super) const COOKIE: &str = "auth0";

/// How a user proved something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// `pwd` or `mfa`.
    pub name: &'static str,
    pub at_ms: u64,
}

/// A browser in which somebody is signed in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub domain: String,
    pub user_id: String,
    pub proofs: Vec<Proof>,
}

/// What the user still has to do with the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Answer a code on the phone that is enrolled.
    Challenge,
    Enrol,
    /// Whichever the user can.
    Either,
}

/// The last code that was handed over.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub code: String,
    pub at_ms: u64,
    pub number: String,
    pub channel: Channel,
    pub is_enrolment: bool,
    pub wrong: u32,
    /// Why nothing was sent.
    pub failure: Option<String>,
}

/// A login under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    pub domain: String,
    /// The host that the browser asked, which may be a custom domain.
    pub host: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub is_message: bool,
    pub oauth_state: Option<String>,
    pub nonce: Option<String>,
    pub challenge: String,
    pub scope: String,
    pub user_agent: String,
    /// No page may be shown.
    pub is_silent: bool,
    /// Empty until the password was right.
    pub user_id: String,
    pub proofs: Vec<Proof>,
    pub needs: VecDeque<Need>,
    /// The next post-login Action.
    pub action: usize,
    /// An Action asked for a factor at the end.
    pub is_asked: bool,
    pub sent: Option<Sent>,
    /// Messages that Actions have still to send: two bound Actions send two.
    pub unsent: VecDeque<send::Sender>,
}

impl Login {
    fn has_factor(&self) -> bool {
        self.proofs.iter().any(|proof| proof.name == "mfa")
    }
}

/// The message types of the phone factor.
pub(super) fn message_types(tenant: &Tenant) -> Vec<&str> {
    let types = tenant.message_types.as_ref().map(|types| types.iter().map(String::as_str).collect());
    types.unwrap_or_else(|| vec!["sms"])
}

/// Whether users can be called in place of getting a text: only the new experience has that.
pub(super) fn can_be_called(tenant: &Tenant) -> bool {
    tenant.prompts.universal_login_experience == "new" && message_types(tenant).contains(&"voice")
}

fn user<'a>(tenant: &'a Tenant, id: &str) -> Option<&'a User> {
    tenant.users.iter().find(|user| user.user_id == id)
}

impl Front {
    /// Begins a login and goes on with it.
    pub(super) fn begin(&mut self, twin: &mut Twin, login: Login, now_ms: u64) -> Step {
        let state = twin.world.ids.word(32);
        self.logins.insert(state.clone(), login);
        self.begun.push_back(state.clone());
        while self.begun.len() > LOGINS_MAX {
            self.begun.pop_front().map(|old| self.logins.remove(&old));
        }
        self.go_on(twin, &state, now_ms)
    }

    /// A page of a login.
    pub(super) fn page(
        &mut self,
        twin: &mut Twin,
        domain: &str,
        ask: &Ask,
        fields: &Fields,
        now_ms: u64,
    ) -> Step {
        let state = fields.text("state").to_owned();
        if self.logins.get(&state).is_none_or(|login| login.domain != domain) {
            let help = "begin again at the application";
            return Step::Reply(Reply::html(400, pages::problem("This login is over, or never began", help)));
        }
        match (ask.route(), ask.method.as_str()) {
            ("/u/login", "POST") => self.password(twin, &state, fields, now_ms),
            ("/u/mfa-sms-enrollment", "POST") => self.enrol(twin, &state, fields, now_ms),
            ("/u/mfa-sms-challenge", "POST") => self.answer(twin, &state, fields, now_ms),
            ("/u/login" | "/u/mfa-sms-enrollment" | "/u/mfa-sms-challenge", "GET") => {
                Step::Reply(self.shown(twin, &state, None))
            }
            _ => Step::Reply(Reply::html(404, pages::problem("There is no such page", ask.route()))),
        }
    }

    fn password(&mut self, twin: &mut Twin, state: &str, fields: &Fields, now_ms: u64) -> Step {
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let users = twin.world.tenants.get(&login.domain).map(|tenant| tenant.users.as_slice());
        let (email, password) = (fields.text("username").trim(), fields.text("password"));
        let found = users.unwrap_or_default().iter().find(|user| user.email.eq_ignore_ascii_case(email));
        match found.filter(|user| user.password == password) {
            Some(user) => {
                login.user_id.clone_from(&user.user_id);
                login.proofs.push(Proof { name: "pwd", at_ms: now_ms });
                self.hop(now_ms, "password: right", None);
                self.go_on(twin, state, now_ms)
            }
            None => {
                let login = login.clone();
                let entry = Entry { kind: "fp", description: "Wrong email or password.", details: json!({}) };
                self.log(twin, &login, entry, now_ms);
                Step::Reply(self.shown(twin, state, Some("Wrong e-mail address or password")))
            }
        }
    }

    fn gone(&self) -> Step {
        Step::Reply(Reply::html(400, pages::problem("This login is over", "begin again at the application")))
    }

    /// The page that this login is at.
    fn shown(&self, twin: &Twin, state: &str, problem: Option<&str>) -> Reply {
        let Some(login) = self.logins.get(state) else {
            return Reply::html(400, pages::problem("This login is over", "begin again at the application"));
        };
        let Some(tenant) = twin.world.tenants.get(&login.domain) else {
            return Reply::html(404, pages::problem("There is no such tenant", &login.domain));
        };
        let client = tenant.clients.get(&login.client_id).and_then(|client| client.get("name"));
        let client = client.and_then(Json::as_str).unwrap_or("the application");
        let page = match &login.sent {
            _ if login.user_id.is_empty() => pages::sign_in(state, client, problem),
            None => pages::enrol(state, can_be_called(tenant), problem),
            Some(sent) => pages::code(state, sent, can_be_called(tenant), problem),
        };
        Reply::html(if problem.is_some() { 400 } else { 200 }, page)
    }

    /// Shows a page, or tells an application that wants none.
    fn shows(&mut self, state: &str, route: &str) -> Step {
        let Some(login) = self.logins.get(state) else { return self.gone() };
        if login.is_silent {
            let code = if login.user_id.is_empty() { "login_required" } else { "interaction_required" };
            let (login, _) = (login.clone(), self.logins.remove(state));
            return Step::Reply(login.refused(code, "a page is needed"));
        }
        // The address is relative, so that the pages work below any path.
        Step::Reply(Reply::found(format!("{route}?{}", query(&[("state", state)]))))
    }

    /// Does what comes next in a login.
    fn go_on(&mut self, twin: &mut Twin, state: &str, now_ms: u64) -> Step {
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let Some(tenant) = twin.world.tenants.get(&login.domain) else { return self.gone() };
        if login.user_id.is_empty() {
            return self.shows(state, "u/login");
        }
        if let Some(need) = login.needs.front().copied() {
            let number = user(tenant, &login.user_id).and_then(|user| user.phone.clone());
            return match (need, number) {
                (Need::Challenge | Need::Either, Some(number)) if login.sent.is_none() => {
                    if login.is_silent {
                        return self.shows(state, "mfa-sms-challenge");
                    }
                    self.send(twin, state, &number, Channel::Sms, false, now_ms)
                }
                (Need::Challenge | Need::Either, Some(_)) => self.shows(state, "mfa-sms-challenge"),
                (Need::Enrol | Need::Either, _) => self.shows(state, "mfa-sms-enrollment"),
                (Need::Challenge, None) => {
                    self.ends(twin, state, "no factor that is asked for is enrolled", now_ms)
                }
            };
        }
        let bound = tenant.bound("post-login").iter().skip(login.action);
        let mut live = bound.enumerate().filter_map(|(at, binding)| {
            let action = tenant.action(&binding.action_id)?;
            Some((at, action, action.live_version()?))
        });
        if let Some((at, action, version)) = live.next() {
            login.action += at + 1;
            let run = Run {
                ticket: Ticket { state: state.to_owned(), after: After::PostLogin },
                domain: login.domain.clone(),
                action: action.name.clone(),
                action_id: action.id.clone(),
                version: version.clone(),
                handler: "onExecutePostLogin",
                event: event::post_login(tenant, login, now_ms),
            };
            return Step::Run(Box::new(run));
        }
        let by_policy = tenant.policies.iter().any(|policy| policy == "all-applications");
        if (by_policy || login.is_asked) && !login.has_factor() {
            if !tenant.factor_enabled("sms") {
                let why = match tenant.factors.iter().any(|factor| factor.enabled) {
                    true => "a factor is asked for that this twin does not show: it shows the phone alone",
                    false => "a factor is asked for and none is enabled: nobody can sign in",
                };
                return self.ends(twin, state, why, now_ms);
            }
            login.needs.push_back(Need::Either);
            return self.go_on(twin, state, now_ms);
        }
        self.finish(twin, state, now_ms)
    }

    /// Ends a login that cannot go on.
    fn ends(&mut self, twin: &mut Twin, state: &str, why: &str, now_ms: u64) -> Step {
        let Some(login) = self.logins.remove(state) else { return self.gone() };
        let entry = Entry { kind: "f", description: why, details: json!({ "error": { "message": why } }) };
        self.log(twin, &login, entry, now_ms);
        Step::Reply(login.refused("access_denied", why))
    }

    fn enrol(&mut self, twin: &mut Twin, state: &str, fields: &Fields, now_ms: u64) -> Step {
        let number: String = fields.text("phone").chars().filter(|ch| !" -()./".contains(*ch)).collect();
        let digits = number.strip_prefix('+').unwrap_or_default();
        let fits = (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !fits {
            let text = "Write the number with + and the country code, such as +15005550006";
            return Step::Reply(self.shown(twin, state, Some(text)));
        }
        let login = match self.logins.get(state) {
            Some(login) if login.needs.front().is_some_and(|need| *need != Need::Challenge) => login.clone(),
            _ => return self.go_on(twin, state, now_ms),
        };
        let is_known = twin.world.tenants.get(&login.domain).and_then(|tenant| user(tenant, &login.user_id));
        // Who has a phone proves that one, and does not enrol another with a password alone.
        if is_known.is_some_and(|user| user.phone.is_some()) && !login.has_factor() {
            return self.go_on(twin, state, now_ms);
        }
        let entry = Entry {
            kind: "gd_start_enroll",
            description: "Second factor enrollment started",
            details: json!({}),
        };
        self.log(twin, &login, entry, now_ms);
        let channel = Channel::of(fields.text("channel"));
        self.send(twin, state, &number, channel, true, now_ms)
    }

    fn answer(&mut self, twin: &mut Twin, state: &str, fields: &Fields, now_ms: u64) -> Step {
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let Some(sent) = &mut login.sent else { return self.go_on(twin, state, now_ms) };
        if let Some(channel) = fields.get("send") {
            let (number, is_enrolment) = (sent.number.clone(), sent.is_enrolment);
            return self.send(twin, state, &number, Channel::of(channel), is_enrolment, now_ms);
        }
        let is_late = now_ms >= sent.at_ms.saturating_add(CODE_LIFE_MS);
        let is_right = fields.text("code").trim() == sent.code;
        if sent.wrong >= WRONG_MAX || is_late || !is_right {
            sent.wrong += u32::from(!is_late && !is_right);
            let (kind, text) = match sent.wrong {
                _ if is_late => ("gd_auth_failed", "The code has expired; let another one be sent"),
                WRONG_MAX.. => ("gd_otp_rate_limit_exceed", "Too many wrong codes; begin again later"),
                _ => ("gd_auth_failed", "The code is wrong"),
            };
            let details = details(sent);
            let login = login.clone();
            self.log(twin, &login, Entry { kind, description: text, details }, now_ms);
            return Step::Reply(self.shown(twin, state, Some(text)));
        }
        let sent = sent.clone();
        login.sent = None;
        login.needs.pop_front();
        login.proofs.push(Proof { name: "mfa", at_ms: now_ms });
        let login = login.clone();
        if let Some(tenant) = twin.world.tenants.get_mut(&login.domain)
            && let Some(user) = tenant.users.iter_mut().find(|user| user.user_id == login.user_id)
            && sent.is_enrolment
        {
            user.phone = Some(sent.number.clone());
        }
        let (kind, description) = match sent.is_enrolment {
            true => ("gd_enrollment_complete", "Guardian - Enrollment complete (sms)"),
            false => ("gd_auth_succeed", "Guardian - Second factor authentication succeeded (sms)"),
        };
        self.log(twin, &login, Entry { kind, description, details: details(&sent) }, now_ms);
        self.go_on(twin, state, now_ms)
    }

    /// Sends a new code.
    fn send(
        &mut self,
        twin: &mut Twin,
        state: &str,
        number: &str,
        channel: Channel,
        is_enrolment: bool,
        now_ms: u64,
    ) -> Step {
        let code = format!("{:06}", twin.world.ids.draw() % 1_000_000);
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let Some(tenant) = twin.world.tenants.get(&login.domain) else { return self.gone() };
        let wrong = login.sent.as_ref().map_or(0, |sent| sent.wrong);
        let sent = Sent {
            code,
            at_ms: now_ms,
            number: number.to_owned(),
            channel,
            is_enrolment,
            wrong,
            failure: None,
        };
        login.sent = Some(sent);
        let way = send::way(tenant, channel);
        if !is_enrolment {
            let login = login.clone();
            let entry = Entry {
                kind: "gd_start_auth",
                description: "Second factor authentication started",
                details: json!({}),
            };
            self.log(twin, &login, entry, now_ms);
        }
        match way {
            Way::Actions(senders) => {
                if let Some(login) = self.logins.get_mut(state) {
                    login.unsent = senders.into();
                }
                self.next_message(twin, state, now_ms)
            }
            Way::Vendor(name) => {
                self.hop(now_ms, &format!("Auth0 sends it itself, through {name}: no Action runs, and the phone of this page gets nothing"), None);
                self.sent(twin, state, None, now_ms)
            }
            Way::None(why) => self.sent(twin, state, Some(why), now_ms),
        }
    }

    /// Lets the next Action send.
    fn next_message(&mut self, twin: &mut Twin, state: &str, now_ms: u64) -> Step {
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let Some(sender) = login.unsent.pop_front() else { return self.sent(twin, state, None, now_ms) };
        let Some(tenant) = twin.world.tenants.get(&login.domain) else { return self.gone() };
        let Some((action, version)) =
            tenant.action(&sender.action_id).and_then(|action| Some((action, action.live_version()?)))
        else {
            return self.sent(twin, state, Some("its Action is gone".into()), now_ms);
        };
        let run = Run {
            ticket: Ticket { state: state.to_owned(), after: After::Send },
            domain: login.domain.clone(),
            action: action.name.clone(),
            action_id: action.id.clone(),
            version: version.clone(),
            handler: sender.handler,
            event: event::message(tenant, login, &sender, now_ms),
        };
        Step::Run(Box::new(run))
    }

    /// The message is handed over, or is not.
    fn sent(&mut self, twin: &mut Twin, state: &str, failure: Option<String>, now_ms: u64) -> Step {
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let Some(sent) = &mut login.sent else { return self.gone() };
        sent.failure.clone_from(&failure);
        let (kind, mut details) = (sent.channel.log(failure.is_some()), details(sent));
        let description = match &failure {
            Some(why) => {
                details["failure_details"] = json!({ "message": why });
                why.clone()
            }
            None => "Guardian - Message handed to the provider".to_owned(),
        };
        let login = login.clone();
        self.log(twin, &login, Entry { kind, description: &description, details }, now_ms);
        self.shows(state, "mfa-sms-challenge")
    }

    /// Goes on after code has run.
    pub fn ran(&mut self, twin: &mut Twin, run: &Run, ran: &Ran, now_ms: u64) -> Step {
        let state = run.ticket.state.as_str();
        let Some(login) = self.logins.get(state).cloned() else { return self.gone() };
        self.hop(
            now_ms,
            &format!("Action {:?} ran, {} ms", run.action, ran.ms),
            ran.error.as_ref().map(|(class, message)| format!("{class}: {message}")),
        );
        if let Some((class, message)) = &ran.error {
            let details = json!({
                "action_id": run.action_id,
                "action_name": run.action,
                "trigger_id": run.version.supported_triggers.first().map(|trigger| &trigger.id),
                "version_id": run.version.id,
                "error_class": class,
                "action_error": { "name": class, "message": message },
            });
            let entry = Entry { kind: "actions_execution_failed", description: message, details };
            self.log(twin, &login, entry, now_ms);
        }
        match run.ticket.after {
            After::Send => {
                let refusal = send::refusal(ran);
                match refusal {
                    Some(why) => self.sent(twin, state, Some(why), now_ms),
                    None => self.next_message(twin, state, now_ms),
                }
            }
            After::PostLogin => self.after_post_login(twin, state, ran, now_ms),
        }
    }

    fn after_post_login(&mut self, twin: &mut Twin, state: &str, ran: &Ran, now_ms: u64) -> Step {
        if let Some((_, message)) = &ran.error {
            let why = format!("an Action of the login failed: {message}");
            return self.ends(twin, state, &why, now_ms);
        }
        if let Some(reason) = ran.calls("access.deny").last() {
            let why = reason.last().and_then(Json::as_str).unwrap_or("access denied").to_owned();
            return self.ends(twin, state, &why, now_ms);
        }
        let Some(login) = self.logins.get_mut(state) else { return self.gone() };
        let Some(tenant) = twin.world.tenants.get(&login.domain) else { return self.gone() };
        login.is_asked |= ran
            .calls("multifactor.enable")
            .any(|arguments| arguments.first().is_some_and(|provider| *provider != "none"));
        let is_customised = tenant.settings.get("customize_mfa_in_postlogin_action") == Some(&json!(true));
        let has_phone = user(tenant, &login.user_id).is_some_and(|user| user.phone.is_some());
        let names = ["challengeWith", "challengeWithAny", "enrollWith", "enrollWithAny"];
        for command in &ran.commands {
            let Some(name) = command["call"].as_str().and_then(|call| call.strip_prefix("authentication."))
            else {
                continue;
            };
            if !names.contains(&name) {
                continue;
            }
            let arguments = command["arguments"].as_array().map_or(&[][..], Vec::as_slice);
            let types = factor_types(arguments);
            let is_phone = types.iter().any(|kind| kind == "phone") && tenant.factor_enabled("sms");
            let need = if name.starts_with("enroll") { Need::Enrol } else { Need::Challenge };
            let why = match need {
                _ if !is_customised => {
                    Some("an Action chooses factors, which the tenant's settings do not allow".to_owned())
                }
                _ if !is_phone => Some(format!(
                    "an Action asks for {}, and this twin shows the phone alone",
                    types.join(", ")
                )),
                Need::Challenge if !has_phone => {
                    Some("an Action asks for a factor that is not enrolled".to_owned())
                }
                _ => None,
            };
            if let Some(why) = why {
                return self.ends(twin, state, &why, now_ms);
            }
            login.needs.push_back(need);
        }
        self.go_on(twin, state, now_ms)
    }
}

/// The types of the factors that a call of `api.authentication` names.
fn factor_types(arguments: &[Json]) -> Vec<String> {
    let mut named = Vec::new();
    for argument in arguments {
        let list = argument.as_array().cloned().unwrap_or_else(|| vec![argument.clone()]);
        let more = argument["additionalFactors"].as_array().cloned().unwrap_or_default();
        named
            .extend(list.iter().chain(&more).filter_map(|factor| factor["type"].as_str().map(str::to_owned)));
    }
    named
}

/// The details of log entries about a factor.
fn details(sent: &Sent) -> Json {
    match sent.is_enrolment {
        true => json!({ "enrollment": { "phone_number": sent.number, "name": sent.number } }),
        false => json!({ "authenticator": { "type": "sms", "phone_number": sent.number } }),
    }
}
