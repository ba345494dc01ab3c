//! No secret in any log line or error.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::stub::{Act, Stub, answer, error, json as json_answer};
use super::{PASSWORD, client_of, config, created, new_robot};

/// `robot$operator:Canary-Passw0rd` and `robot$x:Canary-V3rified`.
const ENCODED: [&str; 2] = ["cm9ib3Qkb3BlcmF0b3I6Q2FuYXJ5LVBhc3N3MHJk", "cm9ib3QkeDpDYW5hcnktVjNyaWZpZWQ="];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_line_at_trace_and_no_error_holds_a_secret() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).init();

    let echo = "Canary-Passw0rd Canary-Pa7ched Canary-V3rified Basic cm9ib3Qkb3BlcmF0b3I6Q2FuYXJ5LVBhc3N3MHJk";
    let stub = Stub::script(vec![
        json_answer(201, &created(7, "robot$library+ci", "Canary-Crea7ed")),
        json_answer(201, &created(7, "robot$other+ci", "Canary-Crea7ed")),
        answer(201, &[], r#"{"id":7,"name":5,"secret":"Canary-Crea7ed"}"#),
        json_answer(200, &json!({"secret": "Canary-Draw9n"})),
        json_answer(200, &json!({})),
        error(400, "BAD_REQUEST", "the secret Canary-Pa7ched is too short"),
        answer(200, &[], r#"{"secret":["Canary-Pa7ched"]}"#),
        error(403, "FORBIDDEN", echo),
        answer(500, &[], echo),
        answer(302, &[("Location", "http://x/?Canary-Pa7ched")], echo),
        json_answer(200, &json!({"token": "Canary-T0ken"})),
        error(403, "FORBIDDEN", echo),
        Act::Close(Vec::new()),
    ])
    .await;
    let config = config(&format!("http://{}", stub.address));
    let mut said = vec![format!("{config:?}")];
    let client = harbor_robot_operator::registry::harbor::Client::new(config).unwrap();
    let patched = || Some(SecretString::from("Canary-Pa7ched"));
    for _ in 0..3 {
        said.push(format!("{:?}", client.create(&new_robot()).await));
    }
    said.push(format!("{:?}", client.refresh(7, None).await));
    for _ in 0..6 {
        let answer = client.refresh(7, patched()).await;
        if let Err(error) = &answer {
            said.push(format!("{error}"));
        }
        said.push(format!("{answer:?}"));
    }
    for _ in 0..3 {
        said.push(format!("{:?}", client.verify("robot$x", &"Canary-V3rified".into()).await));
    }
    said.push(format!("{client:?}"));
    assert_eq!(stub.seen().len(), 13, "{:?}", stub.lines());
    assert!(stub.seen()[0].header("authorization").unwrap().ends_with(ENCODED[0]), "the canary was sent");
    assert!(stub.seen()[10].header("authorization").unwrap().ends_with(ENCODED[1]), "the canary was sent");

    let headers = [
        ("Set-Cookie", "sid=Canary-Sess1on; Path=/"),
        ("Set-Cookie", "_gorilla_csrf=Canary-C00kie; Path=/"),
        ("X-Harbor-CSRF-Token", "Canary-Csr4"),
    ];
    let echo = "principal=ann&password=Canary-Passw0rd Canary-Sess1on Canary-C00kie Canary-Csr4";
    let stub = Stub::script(vec![
        json_answer(200, &json!({"username": "ann", "sysadmin_flag": false})),
        answer(403, &headers, echo),
        answer(200, &headers, echo),
        json_answer(200, &json!({})),
        error(400, "BAD_REQUEST", "of the session Canary-Sess1on"),
        error(400, "BAD_REQUEST", "with the cookie Canary-C00kie"),
        error(403, "FORBIDDEN", "not with the token Canary-Csr4"),
        error(403, "FORBIDDEN", "CSRF token invalid: Canary-Csr4"),
    ])
    .await;
    let person = client_of(&format!("http://{}", stub.address), "ann", PASSWORD);
    said.push(format!("{:?}", person.info().await));
    for _ in 0..4 {
        said.push(format!("{:?} {person:?}", person.delete(7).await));
    }
    let lines = stub.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("DELETE")).count(), 4, "{lines:?}");
    assert!(stub.seen()[4].header("cookie").unwrap().contains("Canary-Sess1on"), "the canary was sent");
    assert!(stub.seen()[4].header("x-harbor-csrf-token").unwrap().contains("Canary-Csr4"), "the canary was sent");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("hyper"), "the libraries do log at TRACE");
    for line in log.lines().chain(said.iter().map(String::as_str)) {
        for secret in [PASSWORD, "Canary", ENCODED[0], ENCODED[1]] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
