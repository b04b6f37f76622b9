//! Tests of the program against a server that keeps it waiting, in real time.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::lab::{QUICKSTART, Run, Running, Site, Twin, lockstep, signal};

/// What the server does with every connection after it has read something.
#[derive(Clone, Copy)]
enum Way {
    /// `102 Processing`, again and again.
    Informational,
    Silence,
    /// 429 with a pause of this many seconds.
    Limited(u64),
}

/// A server on a port of its own, for as long as the test process lives.
fn server(way: Way) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).is_err() {
                    return;
                }
                match way {
                    Way::Informational => {
                        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    }
                    Way::Silence => std::thread::sleep(Duration::from_secs(60)),
                    Way::Limited(seconds) => {
                        let head = format!("HTTP/1.1 429 Too Many Requests\r\nRetry-After: {seconds}");
                        let _ =
                            write!(stream, "{head}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
                    }
                }
            });
        }
    });
    url
}

fn plan(url: &str, args: &[&str]) -> Running {
    let program = lockstep(&["plan", QUICKSTART, "--via", url]).args(args);
    program.envs(&Site::env_of(1)).start()
}

fn timed(run: impl FnOnce() -> Run) -> (Run, Duration) {
    let started = Instant::now();
    (run(), started.elapsed())
}

#[test]
fn informational_replies_without_an_end_do_not_hold_a_run() {
    let url = server(Way::Informational);
    let (run, took) = timed(|| plan(&url, &["--request-timeout", "1s", "--deadline", "3s"]).wait().expect(1));
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(run.err.contains("deadline of 3 s") && run.err.contains("access token"), "{}", run.err);
}

/// Every command that reads reports what it waited for.
#[test]
fn show_and_unlock_name_the_deadline_as_a_plan_does() {
    let url = server(Way::Silence);
    for command in ["plan", "drift", "show", "unlock"] {
        let program = lockstep(&[command, QUICKSTART, "--via", &url, "--deadline", "2s"]);
        let run = program.envs(&Site::env_of(1)).start().wait().expect(1);
        assert!(
            run.err.contains("the deadline of 2 s was reached while waiting for"),
            "{command}: {}",
            run.err
        );
        assert!(!run.err.contains("before the request was sent"), "{command}: {}", run.err);
    }
}

/// The system's certificates are read before any timeout runs, so nothing else would end a read that blocks.
#[test]
fn certificates_by_a_pipe_or_a_device_are_refused_at_once() {
    let folder = super::lab::Folder::new();
    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run").success());
    for path in [pipe.to_string_lossy().as_ref(), "/dev/zero"] {
        let program = lockstep(&["plan", QUICKSTART, "--deadline", "20s"]).envs(&Site::env_of(1));
        // The proxy setting keeps all requests on this machine.
        let program = program.env("HTTPS_PROXY", "http://127.0.0.1:1").env("SSL_CERT_FILE", path);
        let (run, took) = timed(|| program.start().wait().expect(1));
        assert!(took < Duration::from_secs(10), "{path}: {took:?}");
        let said = format!("SSL_CERT_FILE {path}: it is not a regular file");
        assert!(run.err.contains(&said), "{path}: {}", run.err);
    }
}

#[test]
fn a_signal_ends_a_wait_within_two_seconds() {
    for (way, said) in
        [(Way::Informational, None), (Way::Silence, None), (Way::Limited(300), Some("waiting 30"))]
    {
        let url = server(way);
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            let running = plan(&url, &[]);
            std::thread::sleep(Duration::from_millis(700));
            signal(name, running.id());
            let (run, took) = timed(|| running.wait().expect(code));
            assert!(took < Duration::from_secs(2), "{name}: {took:?}");
            assert!(said.is_none_or(|said| run.err.contains(said)), "{}", run.err);
        }
    }
}

#[test]
fn a_pause_of_hours_is_not_waited_for() {
    let url = server(Way::Limited(7200));
    let (run, took) = timed(|| plan(&url, &[]).wait().expect(1));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(run.err.contains("limited until 20"), "{}", run.err);
}

/// The twin does not wait forever for a body that arrives byte by byte, nor for the connection.
#[test]
fn the_twin_waits_for_no_body_for_ever() {
    let twin = Twin::start();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", twin.port)).expect("listens");
    let head = "POST /oauth/token HTTP/1.1\r\nHost: acme-1.eu.auth0.com\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("taken");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket has timeouts");
    let started = Instant::now();
    let mut buffer = [0; 256];
    loop {
        assert!(started.elapsed() < Duration::from_secs(45), "it waits for ever");
        let _ = stream.write_all(b"a");
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                assert!(text.starts_with("HTTP/1.1 408"), "{text}");
                break;
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            // A byte still on its way may make the system discard the answer.
            Err(_) => break,
        }
    }
    assert!(started.elapsed() > Duration::from_secs(25), "it did not wait: {:?}", started.elapsed());
}
