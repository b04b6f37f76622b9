//! Code that reaches for what is not its own, and code that does not end well.

use std::path::PathBuf;
use std::time::Duration;

use lockstep::shell::code::Failure;
use serde_json::{Value as Json, json};

use super::{Lab, action, block_on, is_there, login, source, threw};
use crate::process::lab::Folder;

/// Takes the native classes behind a connection, and connects without Node's own functions.
const NATIVE: &str = "
    let Wrap;
    Object.defineProperty(Object.prototype, 'oncomplete', { configurable: true, set(value) {
      Wrap = this.constructor;
      Object.defineProperty(this, 'oncomplete', { value, writable: true });
    } });
    const socket = net.connect(443, 'a.example').on('error', () => {});
    await new Promise(setImmediate);
    delete Object.prototype.oncomplete;
    const Tcp = socket._handle.constructor;
    if (new Tcp(0).connect(new Wrap(), '127.0.0.1', 443) !== 0) throw new Error('the native handle refuses');";

/// What code tries, and the words of the one who refuses. `OUT` is a file of the test, `HOME` the home of its user.
const FORBIDDEN: &[(&str, &str)] = &[
    ("require('fs').readFileSync('/etc/passwd')", "restricted"),
    ("await require('fs/promises').readFile('/etc/passwd')", "restricted"),
    ("require('fs').readFileSync('/proc/self/environ')", "restricted"),
    ("require('fs').writeFileSync('OUT', 'x')", "restricted"),
    ("require('fs').writeFileSync(require('os').homedir() + '/lockstep-was-here', 'x')", "restricted"),
    ("require('fs').writeFileSync(__filename, 'x')", "restricted"),
    ("require('fs').symlinkSync('/etc/passwd', 'OUT')", "require"),
    ("require('child_process').execSync('touch OUT')", "restricted"),
    ("require('child_process').spawn('touch', ['OUT'])", "restricted"),
    ("require('cluster').fork()", "restricted"),
    ("process.execve('/usr/bin/touch', ['touch', 'OUT'])", "process.execve"),
    ("process.kill(process.ppid, 0)", "process.kill"),
    ("require('os').setPriority(process.ppid, 10)", "process.kill"),
    ("process.dlopen({ exports: {} }, '/lib/x.node')", "process.dlopen"),
    ("require('module')._extensions['.node']({ exports: {} }, '/lib/x.node')", "process.dlopen"),
    ("new (require('worker_threads').Worker)('1', { eval: true })", "restricted"),
    ("new (require('wasi').WASI)({ version: 'preview1', preopens: { '/': '/' } })", "restricted"),
    (
        "new (require('node:sqlite').DatabaseSync)('OUT').exec('create table a (b)')",
        "No such built-in module",
    ),
    ("process.report.writeReport('OUT')", "restricted"),
    ("require('v8').writeHeapSnapshot('OUT')", "restricted"),
    ("require('inspector').open(0)", "restricted"),
    ("process.binding('spawn_sync')", "process.binding"),
    ("process.loadEnvFile('/etc/os-release')", "restricted"),
    ("await open(net.connect(80, '127.0.0.1'))", "the twin alone"),
    ("await open(net.connect(TWIN, '127.0.0.1'))", "the twin alone"),
    ("await open(net.connect('/var/run/docker.sock'))", "the twin alone"),
    (
        "await open(new net.Socket().connect({ get port() { return this.n++ ? 80 : 443; }, n: 0, host: '127.0.0.1' }))",
        "",
    ),
    ("await open(require('tls').connect({ port: 8443, host: 'a.example' }))", "the twin alone"),
    ("await fetch('http://169.254.169.254/latest/meta-data/')", "fetch failed"),
    ("await fetch('https://www.acme.example.org/')", "fetch failed"),
    (NATIVE, "the native handle refuses"),
    ("require('dgram').createSocket('udp4')", "the twin alone"),
    ("net.createServer().listen(0)", "the twin alone"),
    ("new (require('dns').Resolver)().resolve4('a.example', () => {})", "the twin alone"),
    ("await require('dns').promises.resolveTxt('a.example')", "the twin alone"),
];

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn code_and_packages_get_nothing_of_this_machine() {
    let cache = Folder::new();
    let lab = Lab::new(|options| options.cache = cache.path("cache"));
    let out = lab.folder.path("out");
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join("lockstep-was-here");
    let ca = lab.folder.text_path("ca.pem");
    let port = lab.twin.port.to_string();
    let depends = [("ms", "2.1.3")];
    let asks = "const net = require('net'); const open = (socket) => new Promise((connected, failed) => \
                socket.on('connect', connected).on('error', failed));";
    let sees = "console.log(JSON.stringify(process.env), process.env.AUTH0_CLIENT_SECRET, process.env.HOME)";
    block_on(async {
        let ran = lab.run(&action("require('ms')", &depends), login(&[])).await;
        assert_eq!(ran.outcome, Ok(Json::Null));
        // A package that was written by somebody else.
        let packages = std::fs::read_dir(cache.path("cache/packages")).expect("installed");
        let folder = packages.last().expect("one set").expect("read").path().join("node_modules/evil");
        std::fs::create_dir(&folder).expect("a package");
        let mut file = format!("{asks}\nexports.tries = [\nasync () => {{ {sees} }},\n");
        let filled = |text: &str| text.replace("OUT", &out.display().to_string()).replace("TWIN", &port);
        FORBIDDEN
            .iter()
            .for_each(|(text, _)| file.push_str(&format!("async () => {{ {} }},\n", filled(text))));
        std::fs::write(folder.join("index.js"), file + "];").expect("written");

        for from_package in [false, true] {
            let run = async |number: usize, text: &str| {
                let body = match from_package {
                    true => format!("await require('evil').tries[{number}]()"),
                    false => format!("{asks} {}", filled(text)),
                };
                lab.run(&action(&body, &depends), login(&[])).await
            };
            let ran = run(0, sees).await;
            assert_eq!(ran.outcome, Ok(Json::Null));
            let env = json!({ "NODE_EXTRA_CA_CERTS": ca }).to_string() + " undefined undefined\n";
            assert_eq!(ran.console, env.chars().take(256).collect::<String>());
            for (number, (text, refused)) in FORBIDDEN.iter().enumerate() {
                let ran = run(number + 1, text).await;
                if refused.is_empty() {
                    // Led to the twin, whatever it was asked for.
                    assert_eq!(ran.outcome, Ok(Json::Null), "{text}");
                } else {
                    assert!(threw(&ran).1.contains(refused), "{text}: {ran:?}");
                }
            }
        }
        lab.runner.end().await;
    });
    assert!(!out.exists() && !home.exists(), "something was written");
    let foreign = lab.twin.log().into_iter().find(|one| one["host"] != "verify.twilio.com");
    assert_eq!(foreign, None, "the twin serves nothing of other hosts");
}

const MEMORY: &str = "the code used more memory than it may (128 MB for objects, 256 MB in all)";

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn code_that_misbehaves_is_ended_and_other_code_goes_on() {
    // Most of it is ended long before the time is over, even on a machine that is busy.
    let (impatient, patient) = (Lab::quick(2), Lab::quick(15));
    let late = Failure::TimedOut(Duration::from_secs(2));
    let ended = |text: &str| Failure::Ended(text.to_owned());
    let threw = |class: &str, message: &str| Failure::Threw { class: class.into(), message: message.into() };
    let printed = || ended("the code printed more than 1 MiB in one call");
    let said = || ended("the code answered, or said to `api`, more than 1 MiB in one call");
    let memory = || ended(MEMORY);
    let nonsense = || ended("the code wrote to the descriptor that is kept for replies");
    let big = "const big = 'x'.repeat(1 << 20);";
    let rows = [
        ("for (;;);", late.clone()),
        ("await new Promise(() => {})", late.clone()),
        ("setInterval(() => {}, 1); await new Promise(() => {})", late.clone()),
        ("process.on('SIGTERM', () => {}); for (;;);", late.clone()),
        ("process.exit(3)", ended("the code ended its process with exit code 3")),
        ("process.exit(0)", ended("the code ended its process with exit code 0")),
        ("process.abort()", ended(MEMORY)),
        ("process.reallyExit(4)", ended("the code ended its process with exit code 4")),
        ("process.on('exit', () => { for (;;); }); process.exit(1)", late.clone()),
        ("for (;;) console.log('flood '.repeat(999))", printed()),
        (&format!("{big} for (let i = 0; i < 1024; i++) process.stderr.write(big)"), printed()),
        (&format!("{big} for (;;) require('fs').writeSync(1, big)"), printed()),
        ("for (;;) { api.access.deny('again'); await new Promise(setImmediate); }", said()),
        (&format!("{big} api.user.setAppMetadata('a', big)"), said()),
        ("require('fs').writeSync(0, 'no reply\\n'); await new Promise(() => {})", nonsense()),
        (
            "require('fs').closeSync(0); await new Promise(() => {})",
            ended("the code closed the descriptor that is kept for replies"),
        ),
        ("const all = []; for (;;) all.push({ all: new Array(100).fill(all.length) })", memory()),
        (
            "const all = []; for (;;) { all.push(Buffer.alloc(1 << 20, 1)); await new Promise(setImmediate); }",
            memory(),
        ),
        ("throw new RangeError('too far')", threw("RangeError", "too far")),
        ("throw 'a text'", threw("string", "a text")),
        ("throw null", threw("null", "null")),
        ("throw undefined", threw("undefined", "undefined")),
        ("throw { toString() { throw 1; } }", threw("object", "")),
        ("throw { get message() { throw 1; } }", threw("object", "[object Object]")),
        ("throw new Error('x'.repeat(5000))", threw("Error", &"x".repeat(1024))),
        ("return Promise.reject(new Error('later'))", threw("Error", "later")),
        (
            "setTimeout(() => { throw new Error('by a timer'); }, 5); await new Promise(() => {})",
            threw("Error", "by a timer"),
        ),
        (
            "Promise.reject(new Error('nobody waits')); await new Promise(() => {})",
            threw("Error", "nobody waits"),
        ),
        ("process.nextTick(() => { throw 5; }); await new Promise(() => {})", threw("number", "5")),
        ("event.missing.field", threw("TypeError", "Cannot read properties of undefined (reading 'field')")),
        (
            "api.notification.drop('none here')",
            threw("TypeError", "Cannot read properties of undefined (reading 'drop')"),
        ),
        ("require('not-there')", threw("Error", "Cannot find module 'not-there'")),
    ];
    block_on(async {
        for (text, failure) in rows {
            let lab = if failure == late { &impatient } else { &patient };
            let ran = lab.body(&format!("require('fs').writeSync(1, `${{process.pid}};`); {text}")).await;
            match (&ran.outcome, &failure) {
                (
                    Err(Failure::Threw { class, message }),
                    Failure::Threw { class: wanted, message: begins },
                ) => {
                    assert_eq!(class, wanted, "{text}");
                    assert!(message.starts_with(begins.as_str()), "{text}: {message}");
                }
                // Either by Node.js itself, or by the look at its memory.
                (Err(Failure::Ended(why)), Failure::Ended(text)) if text == MEMORY => {
                    assert!(why.ends_with(MEMORY), "{text}: {why}");
                }
                (outcome, _) => assert_eq!(outcome, &Err(failure.clone()), "{text}: {}", ran.console),
            }
            let pid = ran.console.split(';').next().unwrap_or_default();
            assert!(pid.parse::<u32>().is_ok(), "{text}: {}", ran.console);
            assert!(ran.console.chars().count() <= 256, "{text}");
            if !matches!(failure, Failure::Threw { .. }) {
                assert!(!is_there(pid), "{text}: its process is still there");
            }
            // Another version, with a process of its own.
            let other = lab.body("console.log('fine')").await;
            assert_eq!((other.outcome, other.console.as_str()), (Ok(Json::Null), "fine\n"), "after {text}");
        }
        for (code, failure) in [
            ("exports.", threw("SyntaxError", "")),
            ("for (;;);", late.clone()),
            ("throw new Error('while loading')", threw("Error", "while loading")),
            (
                "exports.onExecutePostLogin = 5",
                threw("TypeError", "the code exports no function onExecutePostLogin"),
            ),
            ("module.exports = null", threw("TypeError", "the code exports no function onExecutePostLogin")),
        ] {
            let lab = if failure == late { &impatient } else { &patient };
            let ran = lab.run(&source("1", code, &[]), login(&[])).await;
            match (&ran.outcome, &failure) {
                (
                    Err(Failure::Threw { class, message }),
                    Failure::Threw { class: wanted, message: begins },
                ) => {
                    assert!(
                        class == wanted && message.starts_with(begins.as_str()),
                        "{code}: {class}: {message}"
                    );
                }
                (outcome, _) => assert_eq!(outcome, &Err(failure.clone()), "{code}"),
            }
        }
        // Its memory, the size of what it said or the time, whichever is used up first.
        let ran = patient.body("for (;;) api.access.deny('again and again')").await;
        assert!(matches!(ran.outcome, Err(Failure::Ended(_) | Failure::TimedOut(_))), "{ran:?}");
        patient.runner.end().await;
    });
}
