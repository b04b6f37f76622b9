//! Records of a rollout in object stores: a bucket of our own that counts and misbehaves, and, by `LOCKSTEP_STORES`, servers
//! of others.

#[cfg(not(feature = "object_store"))]
#[test]
fn a_program_without_stores_says_how_to_build_one_with_them() {
    for place in ["s3://records/lockstep", "az://records"] {
        let run =
            super::lab::lockstep(&["rollout", "fleet.yaml", "--record", place, "--record-key", "env:X"]);
        let run = run.run().expect(64);
        assert!(run.err.contains("cargo build --release --features object_store"), "{}", run.err);
    }
}

#[cfg(feature = "object_store")]
mod with {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use serde_json::Value as Json;

    use super::super::fleet::{Fleet, THREE, TWIN_ARGS, TWO_WAVES, hundred};
    use super::super::lab::{Asked, Proxy, Reply, Run, Site, Twin, lockstep, signal};

    const SECRET: &str = "Aws-Secret-Access-Key-0123456789abcdef";
    /// Every so many requests of a rollout, those to the store among them, are tried as the last one before a kill or a pause.
    const EVERY: usize = 50;

    /// What the bucket does with a request.
    #[derive(Clone, Copy, PartialEq)]
    enum Does {
        Right,
        /// It ends the connection and does nothing.
        Nothing,
        /// It does it, and ends the connection without a reply.
        Silent,
        /// It writes although something of that name is there.
        Overwrites,
        Refuses,
        /// It keeps the connection, without a reply, for this long.
        Waits(Duration),
    }

    /// A bucket of S3 in memory. It knows the three requests that records need, and refuses every other.
    struct Bucket {
        proxy: Proxy,
        objects: Arc<Mutex<BTreeMap<String, String>>>,
    }

    impl Bucket {
        fn new(does: impl Fn(&Asked) -> Does + Send + Sync + 'static) -> Bucket {
            let objects = Arc::new(Mutex::new(BTreeMap::new()));
            let kept = objects.clone();
            let proxy = Proxy::to(0, move |asked, _| {
                let how = does(asked);
                match how {
                    Does::Nothing => return Vec::new(),
                    Does::Refuses => {
                        return xml(
                            403,
                            "<Error><Code>AccessDenied</Code><Message>hunter2</Message></Error>",
                        );
                    }
                    Does::Waits(time) => std::thread::sleep(time),
                    _ => {}
                }
                let mut objects = kept.lock().expect("no panic under the lock");
                let reply = answer(&mut objects, asked, how == Does::Overwrites);
                if how == Does::Silent { Vec::new() } else { reply }
            });
            Bucket { proxy, objects }
        }

        fn env(&self) -> BTreeMap<String, String> {
            let endpoint = format!("http://127.0.0.1:{}", self.proxy.port);
            let pairs = [
                ("AWS_ENDPOINT_URL", endpoint.as_str()),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
            ];
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }

        fn names(&self) -> Vec<String> {
            self.objects.lock().expect("no panic under the lock").keys().cloned().collect()
        }
    }

    fn xml(status: u16, body: &str) -> Reply {
        let head = "content-type: application/xml\r\netag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nconnection: close";
        format!("HTTP/1.1 {status} Said\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    }

    fn answer(objects: &mut BTreeMap<String, String>, asked: &Asked, overwrites: bool) -> Reply {
        assert!(asked.authorization.contains("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "not signed");
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let key = path.strip_prefix("/records/").unwrap_or_default().to_owned();
        match asked.method.as_str() {
            "GET" if query.contains("list-type=2") => {
                let of = |name: &str| {
                    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
                    pair.unwrap_or_default().replace("%2F", "/")
                };
                let (prefix, most) = (of("prefix"), of("max-keys").parse().unwrap_or(1000));
                let found = objects.keys().filter(|key| key.starts_with(&prefix)).take(most);
                let rows: String = found
                    .map(|key| format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>"))
                    .collect();
                xml(
                    200,
                    &format!("<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"),
                )
            }
            "GET" => match objects.get(&key) {
                Some(text) => xml(200, text),
                None => xml(404, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            "PUT" => {
                assert!(
                    asked.head.contains("if-none-match: *"),
                    "a write without the condition: {}",
                    asked.head
                );
                if objects.contains_key(&key) && !overwrites {
                    return xml(412, "<Error><Code>PreconditionFailed</Code></Error>");
                }
                objects.insert(key, asked.body.clone());
                xml(200, "")
            }
            other => panic!("{other} {}", asked.path),
        }
    }

    /// A place for records, and the variables for it.
    #[derive(Clone)]
    struct Store {
        name: String,
        place: String,
        env: BTreeMap<String, String>,
    }

    impl Store {
        fn of(bucket: &Bucket) -> Store {
            Store { name: "ours".to_owned(), place: "s3://records/lockstep".to_owned(), env: bucket.env() }
        }

        /// The variable that says where the store is, and its port.
        fn endpoint(&self) -> Option<(String, u16)> {
            let (name, url) = self.env.iter().find(|(name, _)| name.contains("ENDPOINT"))?;
            Some((name.clone(), url.split(':').nth(2)?.split('/').next()?.parse().ok()?))
        }

        /// The same store behind a proxy.
        fn through(&self, proxy: &Proxy) -> Store {
            let mut env = self.env.clone();
            if let Some((name, port)) = self.endpoint() {
                let url = env[&name].replace(&format!(":{port}"), &format!(":{}", proxy.port));
                env.insert(name, url);
            }
            Store { env, ..self.clone() }
        }

        /// Below a folder of its own in the store.
        fn below(&self, folder: &str) -> Store {
            Store { place: format!("{}/{folder}", self.place), ..self.clone() }
        }

        fn fleet(&self, via: &str) -> Fleet {
            let mut fleet = Fleet::new(via, &THREE, TWO_WAVES);
            fleet.env.extend(self.env.clone());
            fleet
        }

        fn args(&self) -> Vec<&str> {
            vec!["--yes", "--lease-ttl", "2s", "--record", &self.place, "--record-key", "env:RECORD_KEY"]
        }

        fn status(&self, fleet: &Fleet) -> Run {
            let file = fleet.folder.text_path("fleet.yaml");
            lockstep(&["rollout", "status", &file, "--record", &self.place, "--record-key", "env:RECORD_KEY"])
                .envs(&fleet.env)
                .run()
        }
    }

    #[test]
    fn a_rollout_keeps_its_records_in_a_bucket_and_counts_its_requests() {
        let twin = Twin::with(&TWIN_ARGS);
        let bucket = Bucket::new(|_| Does::Right);
        let store = Store::of(&bucket);
        let fleet = store.fleet(&twin.url());
        let args = store.args();
        let run = fleet.run("rollout", &args).expect(0);
        assert!(run.out.contains("Done: 3 applied"), "{}", run.out);
        let names = bucket.names();
        assert!(names[names.len() - 1].ends_with("lockstep/acme/99999998-00000001.json"), "{names:?}");
        // The same key, the chain and the code hold in a store as in a folder.
        let before = bucket.proxy.seen().len();
        let run = store.status(&fleet).expect(0);
        assert!(run.out.contains("Done: 3 applied"), "{}", run.out);
        let asked = bucket.proxy.seen().len() - before;
        assert!(asked <= 3, "{asked} requests for a status");
        let newest = names[0].clone();
        let text = bucket.objects.lock().expect("lock")[&newest].clone();
        bucket.objects.lock().expect("lock").insert(newest.clone(), text.replace("tester", "taster"));
        let run = store.status(&fleet).expect(1);
        assert!(run.err.contains(&format!("s3://records/{newest}")), "{}", run.err);
        bucket.objects.lock().expect("lock").insert(newest, text);
        // No variable of a store counts where none is named.
        let place = format!("file:{}", fleet.folder.text_path("kept"));
        let before = bucket.proxy.seen().len();
        fleet.rollout(&["--record", &place, "--record-key", "env:RECORD_KEY"]).expect(0);
        assert_eq!(bucket.proxy.seen().len(), before);
    }

    #[test]
    fn a_hundred_tenants_take_no_more_requests_than_promised() {
        let bucket = Bucket::new(|_| Does::Right);
        let store = Store::of(&bucket);
        let folder = hundred("  waves: [{ name: all, rest: true }]\n  budget: { wave: 9, total: 9 }\n");
        let mut env = store.env.clone();
        env.insert("RECORD_KEY".to_owned(), "0123456789abcdef".to_owned());
        let run = lockstep(&["rollout", "fleet.yaml", "--twin=world.json"])
            .args(&store.args())
            .envs(&env)
            .folder(&folder)
            .run()
            .expect(0);
        assert!(run.out.contains("Done: 100 applied"), "{}", run.out);
        let asked = bucket.proxy.seen().len();
        assert!((25..=20 + 50).contains(&asked), "{asked} requests");
    }

    #[test]
    fn a_store_that_is_away_or_not_what_it_says_stops_the_rollout() {
        type Row = (fn(&Asked) -> Does, i32, &'static [&'static str]);
        fn is_put(asked: &Asked) -> bool {
            asked.method == "PUT"
        }
        let rows: [Row; 6] = [
            (
                |_| Does::Refuses,
                1,
                &["s3://records: 127.0.0.1", "403 AccessDenied", "run the same command again"],
            ),
            (|_| Does::Nothing, 1, &["s3://records: 127.0.0.1", "connection lost"]),
            (|_| Does::Waits(Duration::from_secs(30)), 1, &["s3://records:", "no whole reply within 8 s"]),
            (
                |_| Does::Overwrites,
                1,
                &[
                    "let the record s3://records/lockstep/acme/99999998-00000001.json be written a second time",
                ],
            ),
            (|asked| if is_put(asked) { Does::Nothing } else { Does::Right }, 1, &["connection lost"]),
            // It is written each time, and the reply is lost: reading tells.
            (|asked| if is_put(asked) { Does::Silent } else { Does::Right }, 0, &[]),
        ];
        std::thread::scope(|scope| {
            for (does, code, words) in rows {
                scope.spawn(move || {
                    let twin = Twin::with(&TWIN_ARGS);
                    let bucket = Bucket::new(does);
                    let store = Store::of(&bucket);
                    let fleet = store.fleet(&twin.url());
                    let mark = twin.mark();
                    let began = Instant::now();
                    let run = fleet.run("rollout", &store.args()).expect(code);
                    assert!(began.elapsed() < Duration::from_secs(45), "{words:?}");
                    for word in words {
                        assert!(run.err.contains(word), "{word}: {}", run.err);
                    }
                    for secret in [SECRET, "hunter2", "AKIDEXAMPLE", "AWS4-HMAC"] {
                        assert!(!run.err.contains(secret) && !run.out.contains(secret), "{}", run.err);
                    }
                    if code != 0 {
                        assert_eq!(twin.writes_since(mark), [] as [String; 0], "{words:?}");
                    }
                });
            }
        });
    }

    /// The store goes away in the middle: who is written to is written to the end, and nobody else begins.
    #[test]
    fn what_is_in_flight_ends_when_the_store_goes_away() {
        let twin = Twin::with(&TWIN_ARGS);
        let puts = Arc::new(AtomicUsize::new(0));
        let is_back = Arc::new(AtomicUsize::new(0));
        let (count, back) = (puts.clone(), is_back.clone());
        let bucket = Bucket::new(move |asked| {
            let is_late = asked.method == "PUT" && count.fetch_add(1, Ordering::SeqCst) >= 3;
            let is_away = is_late || count.load(Ordering::SeqCst) > 3;
            if is_away && back.load(Ordering::SeqCst) == 0 { Does::Nothing } else { Does::Right }
        });
        let store = Store::of(&bucket);
        let waves = TWO_WAVES.replace("[applied, stream]", "[applied]\n  budget: { wave: 1, total: 1 }");
        let mut fleet = Fleet::new(&twin.url(), &THREE, &waves);
        fleet.env.extend(store.env.clone());
        let run = fleet.run("rollout", &store.args()).expect(1);
        assert!(run.err.contains("the store of the records cannot be used: s3://records"), "{}", run.err);
        let begun = (1..=3).map(|n| Site::new(&twin, n)).filter(|site| !site.actions().is_empty());
        let mut ended = 0;
        for site in begun {
            assert!(!site.is_leased(), "a run was cut short");
            assert_eq!((site.actions().len(), site.verify_services().len()), (2, 1));
            ended += 1;
        }
        assert!((1..3).contains(&ended), "{ended} tenants");
        is_back.store(1, Ordering::SeqCst);
        fleet.run("rollout", &store.args()).expect(0);
        fleet.run("drift", &[]).expect(0);
    }

    #[test]
    fn killed_paused_and_rival_runs_end_the_same_with_records_in_a_bucket() {
        let bucket = Bucket::new(|_| Does::Right);
        println!("{}", trial(&Store::of(&bucket), 120));
    }

    /// The servers of others, as `tests/stores/run` starts them.
    #[test]
    #[ignore = "needs the servers that tests/stores/run starts"]
    fn other_peoples_stores() {
        let path = std::env::var("LOCKSTEP_STORES").expect("LOCKSTEP_STORES names a file with the stores");
        let text = std::fs::read_to_string(path).expect("the stores");
        let stores: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text).expect("JSON");
        assert!(!stores.is_empty());
        let every = if std::env::var("LOCKSTEP_KILLS").is_ok_and(|kills| kills == "all") { 1 } else { EVERY };
        // Most of the time is waiting.
        std::thread::scope(|scope| {
            let trials: Vec<_> = stores
                .into_iter()
                .map(|(name, mut env)| {
                    let place = env.remove("place").expect("a place");
                    scope.spawn(move || trial(&Store { name, place, env }, every))
                })
                .collect();
            for one in trials {
                println!("{}", one.join().expect("what a store has to stand"));
            }
        });
    }

    /// All that a store has to stand, with rollouts that are ended or paused at every so many requests. Returns what was done.
    fn trial(store: &Store, every: usize) -> String {
        let stamp = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
        let store = store.below(&format!("run-{stamp}"));
        // Undisturbed, behind proxies that count.
        let twin = Twin::with(&TWIN_ARGS);
        let tenants = Proxy::start(&twin, |_, forward| forward());
        let counter = store.endpoint().map(|(_, port)| Proxy::to(port, |_, forward| forward()));
        let counted = counter.as_ref().map_or(store.clone(), |proxy| store.through(proxy));
        let whole = counted.below("whole");
        let fleet = whole.fleet(&format!("http://127.0.0.1:{}", tenants.port));
        fleet.run("rollout", &whole.args()).expect(0);
        let asked = counter.as_ref().map_or(0, |proxy| proxy.seen().len());
        whole.status(&fleet).expect(0);
        let status = counter.as_ref().map_or(0, |proxy| proxy.seen().len()) - asked;
        assert!(asked <= 21 && status <= 3, "{}: {asked} and {status} requests", store.name);
        let length = tenants.seen().len() + asked;
        let rivals = rivals(&store.below("rivals"));
        let mut points = 0;
        for at in (1..=length).step_by(every) {
            disturbed(&store.below(&format!("kill-{at}")), at, "KILL");
            disturbed(&store.below(&format!("stop-{at}")), at, "STOP");
            points += 1;
        }
        format!(
            "{}: {asked} requests to the store in a rollout over 3 tenants, {status} for its status; {points} of {length} \
             requests with a kill and with a pause; of 4 at once, {rivals}",
            store.name
        )
    }

    /// Four at once: whoever loses says to whom.
    fn rivals(store: &Store) -> String {
        let twin = Twin::with(&TWIN_ARGS);
        let fleet = store.fleet(&twin.url());
        let started: Vec<_> = (0..4).map(|_| fleet.program("rollout", &store.args()).start()).collect();
        let runs: Vec<Run> = started.into_iter().map(super::super::lab::Running::wait).collect();
        let mut done = 0;
        for run in &runs {
            match run.code {
                Some(0) => done += 1,
                Some(75) => {
                    let words = ["another run", "tester@tests pid ", ", at 20", "rollout status"];
                    for word in words {
                        assert!(run.err.contains(word), "{}: {word}: {}", store.name, run.err);
                    }
                }
                other => panic!("{}: {other:?}\n{}\n{}", store.name, run.out, run.err),
            }
        }
        assert!(done >= 1, "{}: nobody went on", store.name);
        same_end(&fleet, &twin, &store.name);
        format!("{done} went on and {} gave way", 4 - done)
    }

    /// A rollout whose process gets a signal at a request to a tenant or to the store, and then others that finish it.
    fn disturbed(store: &Store, at: usize, how: &'static str) {
        let what = format!("{}, {how} at request {at}", store.name);
        let twin = Twin::with(&TWIN_ARGS);
        let (count, pid) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(0)));
        let hook = {
            let (count, pid) = (count.clone(), pid.clone());
            move |_: &Asked, forward: &dyn Fn() -> Reply| {
                if count.fetch_add(1, Ordering::SeqCst) + 1 != at {
                    return forward();
                }
                let began = Instant::now();
                while pid.load(Ordering::SeqCst) == 0 && began.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                // Before its effect, and after it.
                let is_early = at.is_multiple_of(2);
                let early = if is_early { Vec::new() } else { forward() };
                signal(how, pid.load(Ordering::SeqCst));
                match (is_early, how) {
                    (true, "STOP") => forward(),
                    _ => early,
                }
            }
        };
        let tenants = Proxy::start(&twin, hook.clone());
        let between = store.endpoint().map(|(_, port)| Proxy::to(port, hook));
        let behind = between.as_ref().map_or(store.clone(), |proxy| store.through(proxy));
        let fleet = behind.fleet(&format!("http://127.0.0.1:{}", tenants.port));
        let args = behind.args();
        let first = fleet.program("rollout", &args).start();
        pid.store(first.id(), Ordering::SeqCst);
        let first_id = first.id();
        if how == "KILL" {
            let first = first.wait();
            assert_eq!(first.code, None, "{what}: {}\n{}", first.out, first.err);
        } else {
            let began = Instant::now();
            while count.load(Ordering::SeqCst) < at && began.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Another one finishes it while the first is paused; then the first wakes, and finds that out.
            let second = fleet.run("rollout", &args);
            signal("CONT", first_id);
            let first = first.wait();
            for run in [&second, &first] {
                let is_known = matches!(run.code, Some(0 | 8 | 75 | 1));
                assert!(is_known, "{what}: {:?}\n{}\n{}", run.code, run.out, run.err);
            }
        }
        let again = fleet.run("rollout", &args);
        assert_eq!(again.code, Some(0), "{what}: {}\n{}", again.out, again.err);
        same_end(&fleet, &twin, &what);
    }

    /// As after a rollout that nobody disturbed: nothing differs, and nothing is there twice.
    fn same_end(fleet: &Fleet, twin: &Twin, what: &str) {
        fleet.run("drift", &[]).expect(0);
        for tenant in 1..=3 {
            let site = Site::new(twin, tenant);
            let names: Vec<Json> = site.actions().into_iter().map(|action| action["name"].clone()).collect();
            assert_eq!((names.len(), site.verify_services().len()), (2, 1), "{what}: {names:?}");
        }
    }

    #[test]
    fn a_place_that_cannot_be_is_told() {
        let rows = [
            ("gs://records/x", "Google's store is not supported"),
            ("s3://", "it is not s3://NAME/PREFIX"),
            ("s3://a/../b", "it is not s3://NAME/PREFIX"),
            ("az://a b/c", "it is not az://NAME/PREFIX"),
            ("ftp://x", "it is not file:FOLDER, s3://BUCKET/PREFIX or az://CONTAINER/PREFIX"),
        ];
        for (place, words) in rows {
            let run = lockstep(&["rollout", "fleet.yaml", "--record", place, "--record-key", "env:X"]).run();
            let run = run.expect(64);
            assert!(run.err.contains(words), "{place}: {}", run.err);
        }
        // A store by http is meant by whoever says so, and an account has to be named.
        let twin = Twin::with(&TWIN_ARGS);
        let bucket = Bucket::new(|_| Does::Right);
        let mut store = Store::of(&bucket);
        store.env.remove("AWS_ALLOW_HTTP");
        let run = store.fleet(&twin.url()).run("rollout", &store.args()).expect(1);
        assert!(
            run.err.contains("is not https; where that is meant, set AWS_ALLOW_HTTP=true"),
            "{}",
            run.err
        );
        store.place = "az://records/lockstep".to_owned();
        let run = store.fleet(&twin.url()).run("rollout", &store.args()).expect(1);
        assert!(run.err.contains("Account must be specified"), "{}", run.err);
    }
}
