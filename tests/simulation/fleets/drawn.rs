//! What is drawn once for a story: the tenants, the fleet file, and the base in its revisions.

use std::fmt::Write as _;
use std::path::Path;

use lockstep::cli::fleet::load::Loaded;
use lockstep::fleet::file::{self, Budget, OnHalt, Rollout};
use lockstep::fleet::record::sha256;
use lockstep::fleet::waves::{Group, assign};
use lockstep::fleet::{Fleet, Parts, table};
use lockstep::plan::desired::tables;
use lockstep::shell::files::Folder;
use lockstep::twin::traffic::{Fate, Traffic};
use lockstep::twin::{Options, Rate};

use super::super::dice::Dice;

/// One tenant.
pub struct Tenant {
    pub name: String,
    pub domain: String,
    pub account: String,
    /// The key of our requests, and the one that its Action sends with.
    pub keys: [String; 2],
}

/// A fleet file with its waves.
pub struct Drawn {
    pub fleet: Fleet,
    pub groups: Vec<Group>,
    /// The fleet file and the table.
    pub text: String,
    pub rows: String,
    /// Whether a gate needs what users do.
    pub has_executions: bool,
}

impl Drawn {
    pub fn rollout(&self) -> &Rollout {
        &self.fleet.rollout
    }

    /// Position of the group that takes a tenant.
    pub fn group_of(&self, tenant: usize) -> usize {
        self.groups.iter().position(|group| group.members.contains(&tenant)).expect("every tenant has a wave")
    }

    pub fn soak_ms(&self, group: usize) -> u64 {
        self.fleet.rollout.waves[self.groups[group].wave].soak_ms
    }

    /// Tenants of a wave, and of all, that may fail. A fleet file that says nothing allows none.
    pub fn budget(&self) -> (usize, usize) {
        match self.fleet.rollout.budget {
            Budget { wave: None, total: None } => (0, 0),
            Budget { wave, total } => (wave.unwrap_or(usize::MAX / 2), total.unwrap_or(usize::MAX / 2)),
        }
    }

    pub fn rolls_back(&self) -> bool {
        self.fleet.rollout.on_halt == OnHalt::Rollback
    }

    /// What a process reads of its files.
    pub fn load(&self, base: &str) -> Loaded {
        let read = |wrong: String| -> ! { panic!("{}\n{wrong}", self.text) };
        let fleet = file::read("fleet.yaml", &self.text).unwrap_or_else(|wrong| read(wrong.render(false)));
        let tenants =
            table::from_csv("tenants.csv", &self.rows).unwrap_or_else(|wrong| read(format!("{wrong:?}")));
        let groups = assign(&fleet, &tenants).unwrap_or_else(|wrong| read(format!("{wrong:?}")));
        let Ok(parts) = Parts::new(("base.yaml", base), &[], &tables()) else { panic!("{base}") };
        let selected = (0..tenants.list.len()).collect();
        let folder = Folder::of(Path::new("base.yaml")).expect("there is a folder");
        Loaded::of(fleet, tenants, groups, parts, selected, folder)
    }
}

pub fn tenants(dice: &mut Dice) -> Vec<Tenant> {
    let count = match dice.below(40) {
        0 => dice.between(20, 40),
        1..=6 => dice.between(7, 12),
        _ => dice.between(2, 6),
    };
    let shared = dice.chance(25);
    let one = |at: u64| Tenant {
        name: format!("acme-{at:02}"),
        domain: format!("acme-{at:02}.eu.auth0.com"),
        account: format!("AC{:032}", if shared { 1 } else { at + 1 }),
        keys: [format!("SK{:032}", at + 1), sender(at)],
    };
    (0..count).map(one).collect()
}

/// The key that is made up for the variable of its Action.
fn sender(at: u64) -> String {
    format!("SK{}", &sha256(format!("TWILIO_SENDER_KEY_ACME_{at:02}").as_bytes())[..32])
}

pub fn fleet(dice: &mut Dice, tenants: &[Tenant]) -> Drawn {
    let mut rows = "name,domain,account_sid,api_key,plan,brand\n".to_owned();
    for (at, one) in tenants.iter().enumerate() {
        let plan = ["free", "enterprise"][at % 2];
        let Tenant { name, domain, account, keys: [key, _] } = one;
        let _ = writeln!(rows, "{name},{domain},{account},{key},{plan},Acme {at:02}");
    }
    let soak = |dice: &mut Dice| *dice.pick(&["", "", ", soak: 60s", ", soak: 10m"]);
    let mut waves = Vec::new();
    if dice.chance(75) {
        waves.push(format!("{{ name: canary, match: {{ name: acme-00 }}{} }}", soak(dice)));
    }
    if dice.chance(40) && tenants.len() > 2 {
        let share = dice.pick(&["", ", share: 50%", ", share: 10%"]);
        waves.push(format!("{{ name: early, match: {{ plan: enterprise }}{share}{} }}", soak(dice)));
    }
    let batch = dice.pick(&["", "", ", batch: 2", ", batch: 3"]);
    waves.push(format!("{{ name: rest, rest: true{batch}{} }}", soak(dice)));
    let gates = *dice.pick(&["[applied]", "[applied, stream]", "[applied, stream]", "[applied, executions]"]);
    let budget = *dice.pick(&[
        "",
        "",
        "{ wave: 1 }",
        "{ wave: 1, total: 2 }",
        "{ wave: 2, total: 2 }",
        "{ total: 1 }",
        "{ wave: 0, total: 5 }",
    ]);
    let mut text = format!(
        "lockstep: v1\nfleet: acme\nbase: base.yaml\ntenants: {{ file: tenants.csv }}\nrollout:\n  \
         max_parallel: {}\n  waves:\n    - {}\n  gates: {gates}\n  on_halt: {}\n  timeout: {}\n",
        dice.pick(&[1, 2, 3, 32]),
        waves.join("\n    - "),
        dice.pick(&["stay", "stay", "rollback"]),
        dice.pick(&["30s", "60s"]),
    );
    if !budget.is_empty() {
        let _ = writeln!(text, "  budget: {budget}");
    }
    if dice.chance(15) {
        let _ = writeln!(text, "  limits: {{ changed: {} }}", tenants.len() - 1);
    }
    let table = table::from_csv("tenants.csv", &rows).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let fleet = file::read("fleet.yaml", &text).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let groups = assign(&fleet, &table).unwrap_or_else(|wrong| panic!("{text}{wrong:?}"));
    Drawn { fleet, groups, text, rows, has_executions: gates.contains("executions") }
}

pub fn options(dice: &mut Dice) -> Options {
    Options {
        latency_ms: *dice.pick(&[20, 50, 300]),
        build_ms: *dice.pick(&[100, 400, 3_000]),
        build_with_dependencies_ms: *dice.pick(&[2_000, 9_000]),
        deploy_settle_ms: *dice.pick(&[0, 200]),
        bindable_after_ms: *dice.pick(&[0, 1_000]),
        rate: *dice.pick(&[
            Rate::Unlimited,
            Rate::Unlimited,
            Rate::Free,
            Rate::Professional,
            Rate::Enterprise,
        ]),
        twilio_concurrency: *dice.pick(&[50, 50, 10]),
        ..Options::default()
    }
}

/// What users do: their messages are sent, fail, or nobody asks for one.
pub fn traffic(dice: &mut Dice) -> (Vec<Traffic>, &'static str) {
    let of = |fate| vec![Traffic { every_ms: 15_000, fate, ..Traffic::default() }];
    match dice.below(4) {
        0 => (of(Fate::Crashes), "a gate fails"),
        1 => (of(Fate::Nothing), "a gate waits"),
        _ => (of(Fate::Sent), "users log in"),
    }
}

/// The base in a revision. The length of codes tells the judges which revision a tenant has.
pub fn base(dice: &mut Dice, revision: usize) -> String {
    let channels = dice.pick(&["[sms]", "[sms, voice]"]);
    let otp = dice.pick(&["", "    otp: on\n"]);
    let policy = dice.pick(&["", "  policy: always\n"]);
    let twilio = dice.pick(&["6.2.0", "6.2.1"]);
    let length = code_length(revision);
    format!(
        "lockstep: v1
stack: acme-login
auth0:
  domain: ${{tenant.domain}}
  client_id: ${{env.AUTH0_CLIENT_ID_${{tenant.key}}}}
  client_secret: ${{env.AUTH0_CLIENT_SECRET_${{tenant.key}}}}
twilio:
  account_sid: ${{tenant.account_sid}}
  api_key: ${{tenant.api_key}}
  api_secret: ${{env.TWILIO_API_SECRET_${{tenant.key}}}}
verify_service:
  friendly_name: ${{tenant.brand}}
  code_length: {length}
phone:
  delivery: unified
  channels: {channels}
action:
  code: builtin:twilio-verify
  runtime: node22
  dependencies:
    twilio: {twilio}
  secrets:
    TWILIO_ACCOUNT_SID: ${{twilio.account_sid}}
    TWILIO_API_KEY: ${{env.TWILIO_SENDER_KEY_${{tenant.key}}}}
    TWILIO_API_SECRET: ${{env.TWILIO_SENDER_SECRET_${{tenant.key}}}}
    TWILIO_VERIFY_SID: ${{verify_service.sid}}
feedback:
  log_stream:
    endpoint: https://acme-feedback.example/${{tenant.name}}
    authorization: ${{generated.feedback}}
    status: active
mfa:
  factors:
    phone: on
{otp}{policy}"
    )
}

pub fn code_length(revision: usize) -> u64 {
    [6, 8, 7][revision % 3]
}
