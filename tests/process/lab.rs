//! Shared parts of the process tests: the program, a served twin, a tenant behind a port, and a proxy that can
//! misbehave.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lockstep::ledger;
use rustix::pty::{self, OpenptFlags};
use serde_json::{Value as Json, json};

use crate::schemas;

/// Longest time of a run; a longer one hangs.
const RUN_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a reply; on the loopback interface it takes milliseconds.
const REPLY_MAX: Duration = Duration::from_secs(20);

/// The quickstart as it ships.
pub const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/quickstart.yaml");

/// A folder that is deleted at the end of the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("lockstep-process-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("temporary folder");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("file of the test");
        self.text_path(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn text_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code; `None`: the run was killed by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Asserts an exit code; shows both streams on a failure.
    #[track_caller]
    pub fn expect(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// stdout as one JSON document, which fits its published schema.
    #[track_caller]
    pub fn json(&self) -> Json {
        let document = serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.out, self.err));
        schemas::assert_fits(&document);
        document
    }
}

/// One start of the program.
pub struct Program {
    command: Command,
}

/// The program with these arguments, with an empty environment and an empty stdin.
pub fn lockstep(args: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.env_clear().args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program { command }
}

impl Program {
    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.command.env(name, value);
        self
    }

    pub fn envs(mut self, env: &BTreeMap<String, String>) -> Program {
        self.command.envs(env);
        self
    }

    pub fn args(mut self, args: &[&str]) -> Program {
        self.command.args(args);
        self
    }

    pub fn folder(mut self, folder: &Folder) -> Program {
        self.command.current_dir(&folder.0);
        self
    }

    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("the program starts");
        let out = child.stdout.take().map(drain);
        let err = child.stderr.take().map(drain);
        Running { child, out, err }
    }

    #[must_use]
    pub fn run(self) -> Run {
        self.start().wait()
    }

    /// Runs at a terminal with a simulated user. Each pair is a text that the program prints and the answer that is
    /// then typed.
    #[must_use]
    pub fn answered(mut self, answers: &[(&str, &str)]) -> Run {
        let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        pty::grantpt(&terminal).and_then(|()| pty::unlockpt(&terminal)).expect("ours");
        let name = pty::ptsname(&terminal, Vec::new()).expect("a name").into_string().expect("text");
        let side = || File::options().read(true).write(true).open(&name).expect("the other side");
        self.command.stdin(side()).stderr(side());
        let mut child = self.command.spawn().expect("the program starts");
        // Reading ends when nobody holds the other side any more, and the command holds it beside the program.
        drop(self);
        let out = child.stdout.take().map(drain);
        let answers =
            answers.iter().map(|(until, typed)| ((*until).to_owned(), format!("{typed}\n"))).collect();
        let err = Some(std::thread::spawn(move || answer(File::from(terminal), answers)));
        Running { child, out, err }.wait()
    }

    /// Runs while nobody reads stdout.
    #[must_use]
    pub fn run_with_closed_stdout(mut self) -> Run {
        let mut child = self.command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let err = child.stderr.take().map(drain);
        Running { child, out: None, err }.wait()
    }
}

/// Reads the output at a terminal until everybody else has left it, and types each answer after its text was printed.
fn answer(mut terminal: File, answers: Vec<(String, String)>) -> String {
    let (mut said, mut piece, mut heard) = (String::new(), [0; 4096], 0);
    let mut answers = answers.into_iter().peekable();
    while let Ok(count @ 1..) = terminal.read(&mut piece) {
        said += &String::from_utf8_lossy(&piece[..count]);
        let asked = answers
            .peek()
            .and_then(|(until, _)| said[heard..].find(until.as_str()).map(|at| at + until.len()));
        if let Some((end, (_, typed))) = asked.and_then(|end| Some((end, answers.next()?))) {
            heard += end;
            terminal.write_all(typed.as_bytes()).expect("typed");
            if answers.peek().is_none() {
                // The end of the input: further questions get no answer.
                terminal.write_all(b"\x04").expect("typed");
            }
        }
    }
    assert!(answers.peek().is_none(), "nobody asked for {:?}:\n{said}", answers.next());
    said
}

fn drain(mut from: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A process under way.
pub struct Running {
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<String>>,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    #[must_use]
    pub fn wait(mut self) -> Run {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if started.elapsed() > RUN_MAX {
                let _ = self.child.kill();
                panic!("a run takes longer than {RUN_MAX:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |stream: Option<JoinHandle<String>>| {
            stream.map(|stream| stream.join().expect("reader")).unwrap_or_default()
        };
        Run { code: status.code(), out: text(self.out.take()), err: text(self.err.take()) }
    }
}

/// Sends a signal by name (`INT`, `TERM`, `KILL`) and returns after it was sent.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill can be run").success(), "no process {pid} to signal");
}

/// `lockstep twin` in a process of its own.
pub struct Twin {
    child: Child,
    pub port: u16,
    folder: Folder,
}

impl Twin {
    /// A twin with quick builds and no rate limit, which most tests use.
    pub fn start() -> Twin {
        Twin::with(&["--build", "1ms", "--rate", "unlimited"])
    }

    /// A twin on a copy of a world file.
    pub fn with_world(path: &str) -> Twin {
        let folder = Folder::new();
        std::fs::copy(path, folder.path("world")).expect("a world");
        Twin::begin(folder, &[], None)
    }

    /// A twin on a given world, with further options.
    pub fn over(world: &Json, args: &[&str]) -> Twin {
        let folder = Folder::new();
        folder.write("world", &world.to_string());
        Twin::begin(folder, args, None)
    }

    /// The same, with the programs of this process's `PATH`, so that it finds Node.js.
    pub fn over_with_node(world: &Json, args: &[&str]) -> Twin {
        let folder = Folder::new();
        folder.write("world", &world.to_string());
        Twin::begin(folder, args, std::env::var_os("PATH"))
    }

    pub fn with(args: &[&str]) -> Twin {
        Twin::begin(Folder::new(), args, None)
    }

    fn begin(folder: Folder, args: &[&str], path: Option<std::ffi::OsString>) -> Twin {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.env_clear().args(["twin", "--port", "0", "--log"]).arg(folder.path("log")).arg("--world");
        command.arg(folder.path("world")).args(args).envs(path.map(|path| ("PATH", path)));
        let err = std::fs::File::create(folder.path("err")).expect("file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err).spawn().expect("twin");
        let mut twin = Twin { child, port: 0, folder };
        let started = Instant::now();
        while twin.port == 0 {
            assert!(started.elapsed() < RUN_MAX, "the twin opens no port: {}", twin.folder.read("err"));
            std::thread::sleep(Duration::from_millis(5));
            let text = twin.folder.read("err");
            let port =
                text.strip_prefix("listening on http://127.0.0.1:").and_then(|rest| rest.split_once('\n'));
            twin.port = port.map_or(0, |(port, _)| port.parse().expect("a port"));
        }
        twin
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn log_text(&self) -> String {
        self.folder.read("log")
    }

    /// The requests so far.
    pub fn log(&self) -> Vec<Json> {
        // The last line may not be written completely yet.
        let text = self.log_text();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    pub fn mark(&self) -> usize {
        self.log().len()
    }

    /// `METHOD host path` of every request since a mark that was neither a read nor a token request.
    pub fn writes_since(&self, mark: usize) -> Vec<String> {
        let text = |entry: &Json, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        self.log()[mark..]
            .iter()
            .filter(|entry| entry["method"] != "GET" && entry["path"] != "/oauth/token")
            .map(|entry| format!("{} {} {}", text(entry, "method"), text(entry, "host"), text(entry, "path")))
            .collect()
    }

    /// The file in which the twin keeps its world.
    pub fn world_path(&self) -> PathBuf {
        self.folder.path("world")
    }

    /// Ends the twin as a user does, and returns the world that it saved.
    pub fn stop(mut self) -> String {
        signal("TERM", self.child.id());
        let status = self.child.wait().expect("the twin ends");
        assert_eq!(status.code(), Some(0), "{}", self.folder.read("err"));
        self.folder.read("world")
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tenant, its Twilio account, and the port that serves both.
#[derive(Clone)]
pub struct Site {
    pub domain: String,
    pub env: BTreeMap<String, String>,
    via: String,
    /// The port to which the test itself sends requests.
    port: u16,
}

impl Site {
    /// Tenant number `n` of a twin; the digits of its ids do not resemble those of another number.
    pub fn new(twin: &Twin, n: u64) -> Site {
        let env = Site::env_of(n);
        Site { domain: env["AUTH0_DOMAIN"].clone(), env, via: twin.url(), port: twin.port }
    }

    /// A site with an environment of the test's own.
    pub fn with_env(twin: &Twin, mut env: BTreeMap<String, String>) -> Site {
        env.extend([("USER".into(), "tester".into()), ("HOSTNAME".into(), "tests".into())]);
        Site { domain: env["AUTH0_DOMAIN"].clone(), env, via: twin.url(), port: twin.port }
    }

    /// The environment of tenant number `n`: all values that the manifests use.
    pub fn env_of(n: u64) -> BTreeMap<String, String> {
        let digits = |salt: u64| {
            let mix = |x: u64| (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (x << 7);
            format!("{:016x}{:016x}", mix(n * 977 + salt), mix(mix(n * 31 + salt + 1)))
        };
        let (domain, own) = (format!("tenant-{n}.eu.auth0.com"), digits(1));
        let env = [
            ("AUTH0_DOMAIN", domain.clone()),
            ("AUTH0_CLIENT_ID", format!("client-id-{n}")),
            ("AUTH0_CLIENT_SECRET", format!("Auth0-Client-Secret-{}", digits(2))),
            ("TWILIO_ACCOUNT_SID", format!("AC{own}")),
            ("TWILIO_API_KEY", format!("SK{own}")),
            ("TWILIO_API_SECRET", format!("Twilio-Api-Secret-{}", digits(3))),
            ("TWILIO_SENDER_KEY", format!("SK{}", digits(4))),
            ("TWILIO_SENDER_SECRET", format!("Twilio-Sender-Secret-{}", digits(5))),
            ("USER", "tester".to_owned()),
            ("HOSTNAME", "tests".to_owned()),
        ];
        env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Makes the program use this proxy; the test itself still sends requests to the twin.
    pub fn through(mut self, proxy: &Proxy) -> Site {
        self.via = format!("http://127.0.0.1:{}", proxy.port);
        self
    }

    /// `lockstep COMMAND MANIFEST --via … ARGS` with this site's environment.
    pub fn lockstep(&self, command: &str, manifest: &str, args: &[&str]) -> Program {
        lockstep(&[command, manifest, "--via", &self.via]).args(args).envs(&self.env)
    }

    /// Runs a command with the quickstart's manifest.
    #[must_use]
    pub fn run(&self, command: &str, args: &[&str]) -> Run {
        self.lockstep(command, QUICKSTART, args).run()
    }

    /// Another operator's call to the Management API.
    pub fn auth0(&self, method: &str, path: &str, body: &Json) -> (u16, Json) {
        let ask = json!({
            "grant_type": "client_credentials",
            "client_id": self.env["AUTH0_CLIENT_ID"],
            "client_secret": self.env["AUTH0_CLIENT_SECRET"],
            "audience": format!("https://{}/api/v2/", self.domain),
        });
        let json_type = ("content-type", "application/json");
        let (status, token) =
            exchange(self.port, &self.domain, "POST", "/oauth/token", &[json_type], &ask.to_string());
        assert_eq!(status, 200, "{token}");
        let bearer = format!("Bearer {}", token["access_token"].as_str().expect("a token"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer.as_str()), json_type];
        exchange(self.port, &self.domain, method, path, &headers, &body)
    }

    /// Another operator's call to Twilio; `form` is encoded already.
    pub fn twilio(&self, host: &str, method: &str, path: &str, form: &str) -> (u16, Json) {
        use base64::Engine as _;
        let pair = format!("{}:{}", self.env["TWILIO_API_KEY"], self.env["TWILIO_API_SECRET"]);
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let headers =
            [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        exchange(self.port, host, method, path, &headers, form)
    }

    /// A list from the Management API, wherever it stands in the reply.
    pub fn list(&self, path: &str) -> Vec<Json> {
        let (status, reply) = self.auth0("GET", path, &Json::Null);
        assert_eq!(status, 200, "{path}: {reply}");
        let inner = |reply: &Json| reply.as_object()?.values().find_map(|value| value.as_array().cloned());
        reply.as_array().cloned().or_else(|| inner(&reply)).unwrap_or_else(|| panic!("{path}: {reply}"))
    }

    pub fn actions(&self) -> Vec<Json> {
        self.list("/api/v2/actions/actions?page=0&per_page=100")
    }

    /// Removes the seals from the record, as anybody can who may write Actions.
    pub fn forget_seals(&self) {
        let actions = self.actions();
        let record =
            actions.iter().find(|action| action["name"] == "Lockstep ledger (acme-login)").expect("a record");
        let (code, account) = (record["code"].as_str().expect("code"), &self.env["TWILIO_ACCOUNT_SID"]);
        let mut held = ledger::read(code, "acme-login", &self.domain, account).expect("a record of ours");
        held.seals.clear();
        let path = format!("/api/v2/actions/actions/{}", record["id"].as_str().expect("an id"));
        let body = json!({ "code": ledger::write(&held).expect("small") });
        assert_eq!(self.auth0("PATCH", &path, &body).0, 200);
    }

    pub fn verify_services(&self) -> Vec<Json> {
        let (status, reply) = self.twilio("verify.twilio.com", "GET", "/v2/Services?PageSize=100", "");
        assert_eq!(status, 200, "{reply}");
        reply["services"].as_array().expect("a list").clone()
    }

    fn lease_path(&self) -> String {
        format!("/v1/Services/{}", lockstep::engine::lease::unique_name(&self.domain))
    }

    /// Whether somebody holds the lease.
    pub fn is_leased(&self) -> bool {
        let (status, reply) = self.twilio("serverless.twilio.com", "GET", &self.lease_path(), "");
        assert!(matches!(status, 200 | 404), "{status} {reply}");
        status == 200
    }

    /// Asserts that the tenant has one whole core stack, with each object once.
    #[track_caller]
    pub fn expect_one_stack(&self) {
        let names = |items: &[Json]| -> Vec<String> {
            items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
        };
        let mut actions = names(&self.actions());
        actions.sort();
        assert_eq!(actions, ["Lockstep ledger (acme-login)", "Lockstep phone (acme-login)"]);
        assert_eq!(self.verify_services().len(), 1, "{:?}", self.verify_services());
        let streams = self.list("/api/v2/log-streams");
        assert_eq!(names(&streams), ["Lockstep feedback (acme-login)"]);
        assert_eq!(self.list("/api/v2/branding/phone/providers").len(), 1);
        let bindings =
            self.list("/api/v2/actions/triggers/custom-phone-provider/bindings?page=0&per_page=50");
        assert_eq!(bindings.len(), 1, "{bindings:?}");
        assert!(!self.is_leased(), "the lease is still there");
    }
}

/// One plain HTTP exchange: status and JSON body (null when there is none).
pub fn exchange(
    port: u16,
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Json) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    let raw = raw_exchange(port, &head, body.as_bytes());
    let text = String::from_utf8_lossy(&raw).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply to {method} {path}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Sends a head (without its end) and a body; returns the raw reply.
fn raw_exchange(port: u16, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server on this port");
    stream.set_read_timeout(Some(REPLY_MAX)).expect("a time limit");
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("{head}{length}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    reply
}

/// A request that went through a [`Proxy`].
#[derive(Clone, Debug)]
pub struct Asked {
    /// Number of the request, from 1.
    pub number: usize,
    pub method: String,
    pub host: String,
    pub path: String,
    pub authorization: String,
    pub body: String,
    pub head: String,
}

impl Asked {
    /// Whether the request has this method, this part of the host and this end of the path; the query is ignored.
    pub fn is(&self, method: &str, host: &str, path_end: &str) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        self.method == method && self.host.contains(host) && path.ends_with(path_end)
    }
}

/// A raw reply; an empty one means that the connection is closed without a reply.
pub type Reply = Vec<u8>;

/// A JSON reply in raw form.
pub fn json_reply(status: u16, headers: &str, body: &Json) -> Reply {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A proxy between the program and the twin, with one request per connection; a hook decides about each request.
pub struct Proxy {
    pub port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts the proxy. `hook` gets the request and a function that passes it on, and returns the reply.
    pub fn start(
        twin: &Twin,
        hook: impl Fn(&Asked, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::to(twin.port, hook)
    }

    /// The same before any server on a loopback port.
    pub fn to(
        port: u16,
        hook: impl Fn(&Asked, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> Proxy {
        let behind = port;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, ended, hook) = (seen.clone(), over.clone(), Arc::new(hook));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(mut stream), log, hook) = (stream, log.clone(), hook.clone()) else { continue };
                std::thread::spawn(move || {
                    let Some(mut asked) = read(&mut stream) else { return };
                    {
                        let mut log = log.lock().expect("no panic under the lock");
                        asked.number = log.len() + 1;
                        log.push(asked.clone());
                    }
                    let forward = || raw_exchange(behind, &asked.head, asked.body.as_bytes());
                    let reply = hook(&asked, &forward);
                    let _ = stream.write_all(&reply);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Proxy { port, seen, over }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().expect("no panic under the lock").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(REPLY_MAX)).ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0u8; 16 * 1024]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (mut host, mut authorization, mut length) = (String::new(), String::new(), 0usize);
    let mut kept = format!("{method} {path} HTTP/1.1\r\n");
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value.to_owned(),
            "authorization" => authorization = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
        if !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("connection") {
            kept.push_str(&format!("{line}\r\n"));
        }
    }
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => body.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    let body = String::from_utf8(body).ok()?;
    Some(Asked { number: 0, method, host, path, authorization, body, head: kept })
}

/// A text file of the case folders below `tests/cli`.
pub fn case_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(path)
}
