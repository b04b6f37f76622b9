//! Shared by the shell's tests: a scripted simulator, a connection, a temporary folder, a raw server.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::in_process::{Handled, Simulator};
use crate::engine::{Connection, Grant, TwilioAuth};
use crate::model::api::{Answer, ApiReply, ApiRequest, Method};
use crate::model::scrub::Scrubber;
use crate::model::secret::{Origin, Secret};

/// A simulator made of one function. It remembers the requests.
pub struct Scripted<F> {
    script: F,
    pub seen: Vec<ApiRequest>,
}

impl<F: FnMut(&ApiRequest, u64) -> Answer> Scripted<F> {
    pub fn new(script: F) -> Scripted<F> {
        Scripted { script, seen: Vec::new() }
    }
}

impl<F: FnMut(&ApiRequest, u64) -> Answer> Simulator for Scripted<F> {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        self.seen.push(request.clone());
        Handled { answer: (self.script)(request, now_ms), delay_ms: 20, operation: Some("scripted".into()) }
    }

    fn save(&self) -> Option<Json> {
        Some(serde_json::json!({ "seen": self.seen.len() }))
    }
}

pub fn json_reply(status: u16, body: &Json) -> Answer {
    Answer::Reply(ApiReply {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_string().into_bytes(),
    })
}

pub fn connection() -> Connection {
    Connection {
        domain: "acme.auth0.example".into(),
        audience: "https://acme.auth0.example/api/v2/".into(),
        client_id: "client".into(),
        grant: Grant::ClientSecret(Secret::new("client-secret-value", Origin::Machine)),
        account_sid: "AC00000000000000000000000000000001".into(),
        twilio: TwilioAuth::Token(Secret::new("twilio-token-value", Origin::Machine)),
        scrubber: Rc::new(Scrubber::default()),
        share_percent: 80,
    }
}

pub fn get(host: &str, path: &str) -> ApiRequest {
    ApiRequest {
        host: host.into(),
        method: Method::Get,
        path: path.into(),
        headers: vec![("authorization".into(), "Bearer token-value".into())],
        body: Vec::new(),
    }
}

/// A folder among the system's temporary files, removed at the end of the test.
pub struct TestFolder(PathBuf);

impl TestFolder {
    pub fn new() -> TestFolder {
        let name = format!("lockstep-test-{:016x}", super::secrets::seed().expect("random source"));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("temporary folder");
        TestFolder(path.canonicalize().expect("temporary folder"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a test's future on a runtime of its own, for at most twenty seconds.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let limited = async { tokio::time::timeout(std::time::Duration::from_secs(20), future).await };
    runtime.block_on(local.run_until(limited)).expect("the test takes too long")
}

/// Heads and bodies of the requests that a [`raw_server`] saw.
pub type Seen = Rc<RefCell<Vec<String>>>;

/// A server that reads one request per connection, answers it with fixed bytes, and closes. Returns its port and what
/// it saw. Call it inside [`block_on`].
pub async fn raw_server(reply: Vec<u8>) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback port");
    let port = listener.local_addr().expect("bound").port();
    let seen = Seen::default();
    let log = seen.clone();
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_head(&mut stream).await;
            log.borrow_mut().push(head);
            let _ = stream.write_all(&reply).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, seen)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 4096];
    // A TLS greeting begins with 0x16 and never contains this end; its first bytes are enough.
    while bytes.first() != Some(&0x16) && !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
