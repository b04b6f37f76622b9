//! Measures a fleet against the twin in a process of its own, and prints a table.
//!
//!     cargo build --release && cargo run --release --example fleet_bench
//!     cargo run --release --example fleet_bench -- --tenants 100 --accounts 1 --rate free
//!
//! Fleets of 1, 10, 100 and 1000 tenants on 1 and on 100 accounts, rates none, free and enterprise; no change, one field
//! changed, first apply. `--tenants`, `--accounts`, `--rate`, `--case plan|field|first`, `--latency MS` and `--program
//! PATH` narrow it down. Everything stays on this machine: the program reaches the twin over loopback, and all files are
//! in one temporary folder. Linux only, because CPU and memory are read from /proc.
//!
//! The floor of a row is the largest of four times: the depth of a run times the latency; a tenant's Management API
//! requests at the allowed share of its rate; an account's requests at its concurrency; and the CPU of program and twin
//! for one tenant alone, times the tenants, over the cores.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Share of a tenant's rate that the program uses (`--rate-share`).
const SHARE: f64 = 0.8;
/// Requests of one Twilio account that the program has under way at once.
const CONCURRENCY: f64 = 8.0;
/// Sequential trips of a plan without changes (ARCHITECTURE.md).
const DEPTH: f64 = 3.0;
/// Most Verify services of one account in a fleet.
const SERVICES_MAX: usize = 90;
/// Most accounts of a fleet.
const ACCOUNTS_MAX: usize = 100;

struct Options {
    program: PathBuf,
    tenants: Vec<usize>,
    accounts: Vec<usize>,
    rates: Vec<String>,
    cases: Vec<String>,
    latency_ms: u64,
}

fn main() -> ExitCode {
    match options().and_then(|options| all(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str, default: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(default, String::as_str).to_owned()
    };
    let list = |name: &str, default: &str| {
        value(name, default).split(',').map(str::to_owned).collect::<Vec<String>>()
    };
    let numbers = |name: &str, default: &str| -> Result<Vec<usize>> {
        list(name, default)
            .iter()
            .map(|text| text.parse().with_context(|| format!("{name} {text}")))
            .collect()
    };
    // An example lies beside the program: target/release/examples/fleet_bench.
    let here = std::env::current_exe().context("this program has no path")?;
    let beside = here.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("lockstep");
    Ok(Options {
        program: PathBuf::from(value("--program", &beside.display().to_string())),
        tenants: numbers("--tenants", "1,10,100,1000")?,
        accounts: numbers("--accounts", "1,100")?,
        rates: list("--rate", "none,free,enterprise"),
        cases: list("--case", "plan,field,first"),
        latency_ms: value("--latency", "50").parse().context("--latency is a number of ms")?,
    })
}

fn all(options: &Options) -> Result<()> {
    let folder = Folder::new()?;
    println!(
        "{:<11} {:>7} {:>8} {:<6} {:>9} {:>8} {:>8} {:>6} {:>7} {:>9} {:>7} {:>4}",
        "rate",
        "tenants",
        "accounts",
        "case",
        "requests",
        "elapsed",
        "floor",
        "ratio",
        "CPU",
        "CPU/each",
        "RSS",
        "429s"
    );
    for rate in &options.rates {
        for accounts in &options.accounts {
            for tenants in options.tenants.iter().filter(|tenants| **tenants >= *accounts || *accounts == 1) {
                measure(options, &folder.0, rate, *tenants, *accounts)?;
            }
        }
    }
    Ok(())
}

/// Measures the cases of one fleet.
fn measure(options: &Options, folder: &Path, rate: &str, tenants: usize, accounts: usize) -> Result<()> {
    let per_second = match rate {
        "free" => 2.0,
        "professional" => 2.5,
        "enterprise" => 16.0,
        _ => f64::INFINITY,
    };
    let is_wanted = |case: &str| options.cases.iter().any(|wanted| wanted == case);
    // The world is prepared at full speed, and measured at the latency and the rate; the twin keeps it in between.
    let world = folder.join("world.json");
    let _ = std::fs::remove_file(&world);
    write_fleet(folder, tenants, accounts, 6)?;
    let fleet = folder.join("fleet.yaml").display().to_string();
    let (plan, rollout) = (["plan", &fleet], ["rollout", &fleet, "--yes"]);
    let mut rows: Vec<(&str, Ran)> = Vec::new();
    if is_wanted("first") {
        let twin = Twin::start(options, folder, rate, options.latency_ms, None)?;
        rows.push(("first", twin.run(options, &rollout, tenants, accounts)?));
    }
    let mut alone_s = 0.0;
    if is_wanted("plan") || is_wanted("field") {
        let twin = Twin::start(options, folder, "none", 0, Some(&world))?;
        twin.run(options, &rollout, tenants, accounts)?;
        twin.stop()?;
        let one = ["plan", &fleet, "--tenant", "t0000"];
        let twin = Twin::start(options, folder, "none", 0, Some(&world))?;
        alone_s = twin.run(options, &one, tenants, accounts)?.all_cpu_s();
        twin.stop()?;
        let twin = Twin::start(options, folder, rate, options.latency_ms, Some(&world))?;
        if is_wanted("plan") {
            rows.push(("plan", twin.run(options, &plan, tenants, accounts)?));
        }
        // Buckets fill up between two cases.
        std::thread::sleep(Duration::from_secs(if rate == "none" { 0 } else { 4 }));
        if is_wanted("field") {
            write_fleet(folder, tenants, accounts, 7)?;
            rows.push(("field", twin.run(options, &plan, tenants, accounts)?));
        }
        twin.stop()?;
    }
    for (case, ran) in rows {
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        let latency_s = options.latency_ms as f64 / 1000.0;
        let floors = [
            DEPTH * latency_s,
            ran.most_of_a_tenant as f64 / (per_second * SHARE),
            ran.most_of_an_account as f64 * latency_s / CONCURRENCY,
            alone_s * tenants as f64 / cores,
        ];
        let floor_s = floors.iter().copied().fold(0.0, f64::max);
        // What a first apply waits for (builds, records, the second plan) is in none of the four.
        let (floor, ratio) = match case {
            "first" => ("-".to_owned(), "-".to_owned()),
            _ => (format!("{floor_s:.2} s"), format!("{:.2}", ran.elapsed_s / floor_s)),
        };
        println!(
            "{rate:<11} {tenants:>7} {accounts:>8} {case:<6} {:>9} {:>6.2} s {floor:>8} {ratio:>6} {:>5.2} s {:>6.2} ms {:>4} MB {:>4}",
            ran.requests,
            ran.elapsed_s,
            ran.cpu_s,
            ran.cpu_s * 1000.0 / tenants as f64,
            ran.rss_kb / 1024,
            ran.refused,
        );
    }
    Ok(())
}

/// What one run of the program took.
struct Ran {
    requests: usize,
    /// Answers with status 429.
    refused: usize,
    elapsed_s: f64,
    cpu_s: f64,
    twin_cpu_s: f64,
    rss_kb: u64,
    /// Management API requests of the tenant that has most.
    most_of_a_tenant: usize,
    /// Twilio requests of the account that has most, taken to be spread evenly.
    most_of_an_account: usize,
}

impl Ran {
    fn all_cpu_s(&self) -> f64 {
        self.cpu_s + self.twin_cpu_s
    }
}

/// The served twin, ended when it is dropped.
struct Twin {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Twin {
    fn start(
        options: &Options,
        folder: &Path,
        rate: &str,
        latency_ms: u64,
        world: Option<&Path>,
    ) -> Result<Twin> {
        let log = folder.join("requests.jsonl");
        let _ = std::fs::remove_file(&log);
        let rate = if rate == "none" { "unlimited" } else { rate };
        // A duration of nothing has no unit.
        let latency = if latency_ms == 0 { "0".to_owned() } else { format!("{latency_ms}ms") };
        let mut command = Command::new(&options.program);
        command.args(["twin", "--latency", &latency, "--rate", rate]).arg("--log").arg(&log);
        if latency_ms == 0 {
            command.args(["--build", "1ms"]);
        }
        if let Some(world) = world {
            command.arg("--world").arg(world);
        }
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("the twin")?;
        let stderr = child.stderr.take().context("the twin has no stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        let first = lines.next().context("the twin said nothing")??;
        // The pipe is read on, so that the twin never waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        let url = first.strip_prefix("listening on ").context(first.clone())?.to_owned();
        Ok(Twin { child, url, log })
    }

    /// Runs the program once.
    fn run(&self, options: &Options, arguments: &[&str], tenants: usize, accounts: usize) -> Result<Ran> {
        let twin = i32::try_from(self.child.id())?;
        let lines_before = self.lines()?.len();
        let (twin_before, before) = (ticks(twin, [13, 14])?, ticks(0, [15, 16])?);
        let started = Instant::now();
        let mut child = Command::new(&options.program)
            .args(arguments)
            .args(["--via", &self.url, "--deadline", "1h"])
            .envs(environment(tenants))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("the program")?;
        let stderr = child.stderr.take().context("the program has no stderr")?;
        let told = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
        let mut rss_kb = 0;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            rss_kb = rss_kb.max(peak_kb(child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        };
        let elapsed_s = started.elapsed().as_secs_f64();
        let told = told.join().unwrap_or_default();
        ensure!(status.success(), "lockstep {} ended with {status}:\n{told}", arguments.join(" "));
        let cpu_s = (ticks(0, [15, 16])? - before) as f64 / 100.0;
        let twin_cpu_s = (ticks(twin, [13, 14])? - twin_before) as f64 / 100.0;
        let lines = self.lines()?.split_off(lines_before);
        let mut of_tenants: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut of_twilio, mut refused) = (0, 0);
        for line in &lines {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            refused += usize::from(line["status"] == 429);
            match text("host") {
                host if host.ends_with("twilio.com") => of_twilio += 1,
                host if text("path") != "/oauth/token" => *of_tenants.entry(host).or_default() += 1,
                _ => {}
            }
        }
        let most_of_a_tenant = of_tenants.values().copied().max().unwrap_or(0);
        let most_of_an_account = of_twilio / accounts.min(tenants);
        let requests = lines.len();
        Ok(Ran {
            requests,
            refused,
            elapsed_s,
            cpu_s,
            twin_cpu_s,
            rss_kb,
            most_of_a_tenant,
            most_of_an_account,
        })
    }

    fn lines(&self) -> Result<Vec<serde_json::Value>> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Ends the twin as a person would, so that it keeps its world.
    fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = rustix::process::Pid::from_raw(id).context("the twin has no id")?;
        rustix::process::kill_process(id, rustix::process::Signal::INT)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sum of two fields of /proc/PID/stat, counted from 0, in hundredths of a second; 0 is this process.
fn ticks(pid: i32, fields: [usize; 2]) -> Result<u64> {
    let pid = if pid == 0 { "self".to_owned() } else { pid.to_string() };
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets, which may have blanks.
    let (_, rest) = text.rsplit_once(')').context("stat")?;
    let rest: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| -> Result<u64> { Ok(rest.get(at - 2).context("stat")?.parse()?) };
    Ok(field(fields[0])? + field(fields[1])?)
}

fn peak_kb(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A secret for each tenant, and a key for each account, with secrets in the form in which the vendors draw them: what is
/// drawn needs no slow digest.
fn environment(tenants: usize) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("BENCH_CLIENT_ID".to_owned(), "bench-client".to_owned())]);
    for tenant in 0..tenants {
        let secret = format!("{:016x}", 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(tenant as u64 + 1));
        env.insert(format!("BENCH_CLIENT_SECRET_T{tenant:04}"), secret.repeat(4));
    }
    for account in 0..ACCOUNTS_MAX {
        for (name, value) in [
            ("KEY", format!("SK{account:032x}")),
            (
                "SECRET",
                format!("{:016x}", 0xD1B5_4A32_D192_ED03u64.wrapping_mul(account as u64 + 1)).repeat(2),
            ),
        ] {
            env.insert(format!("BENCH_API_{name}_{account}"), value);
        }
    }
    env
}

/// Writes fleet file, table and base; `length` is the field that changes.
fn write_fleet(folder: &Path, tenants: usize, accounts: usize, length: u32) -> Result<()> {
    // An account holds a limited number of Verify services, so the tenants of a full one share that of the first.
    let is_shared = tenants / accounts > SERVICES_MAX;
    let mut table = "name,domain,account_sid,account,role\n".to_owned();
    for at in 0..tenants {
        let account = at % accounts.min(ACCOUNTS_MAX);
        let role = if is_shared && at > 0 { "taker" } else { "owner" };
        writeln!(table, "t{at:04},acme-{at:04}.eu.auth0.com,AC{account:032x},{account},{role}")?;
    }
    std::fs::write(folder.join("taker.yaml"), TAKER)?;
    std::fs::write(folder.join("tenants.csv"), table)?;
    std::fs::write(folder.join("base.yaml"), BASE.replace("LENGTH", &length.to_string()))?;
    std::fs::write(folder.join("fleet.yaml"), FLEET)?;
    Ok(())
}

const FLEET: &str = "lockstep: v1
fleet: bench
base: base.yaml
tenants: { file: tenants.csv }
overlays:
  - { match: { role: taker }, merge: taker.yaml }
rollout:
  max_parallel: 32
  waves:
    - { name: all, rest: true }
  gates: [applied]
  # Tenants being written to at once never exceed what is left of the budget.
  budget: { wave: 1000, total: 1000 }
";

const TAKER: &str = "verify_service:
  use: ${tenants.t0000.verify_service.sid}
  friendly_name: null
  code_length: null
";

const BASE: &str = "lockstep: v1
stack: bench
auth0:
  domain: ${tenant.domain}
  client_id: ${env.BENCH_CLIENT_ID}
  client_secret: ${env.BENCH_CLIENT_SECRET_${tenant.key}}
twilio:
  account_sid: ${tenant.account_sid}
  api_key: ${env.BENCH_API_KEY_${tenant.account}}
  api_secret: ${env.BENCH_API_SECRET_${tenant.account}}
verify_service:
  friendly_name: Bench ${tenant.name}
  code_length: LENGTH
phone:
  delivery: unified
  channels: [sms, voice]
action:
  code: builtin:twilio-verify
  runtime: node22
  dependencies:
    twilio: 6.2.0
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_KEY: ${env.BENCH_API_KEY_${tenant.account}}
    TWILIO_API_SECRET: ${env.BENCH_API_SECRET_${tenant.account}}
    TWILIO_VERIFY_SID: ${verify_service.sid}
feedback:
  log_stream:
    endpoint: https://feedback.acme.example/${tenant.name}
    authorization: ${generated.feedback}
    status: active
mfa:
  factors:
    phone: on
    otp: on
";

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("lockstep-fleet-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
