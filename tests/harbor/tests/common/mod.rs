//! A stand-in in this process and a client of it.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use harbor_stand_in::{Options, StandIn};
use serde_json::{Value, json};

#[path = "../replay/client.rs"]
mod client;

pub use client::Answer;

/// A running stand-in with a client.
pub struct Harbor {
    /// The stand-in.
    pub stand_in: StandIn,
    client: client::Client,
}

/// The administrator's login.
pub const ADMIN: &str = "admin:Harbor12345";

fn basic(login: &str) -> (String, String) {
    use base64::Engine;
    ("Authorization".into(), format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)))
}

/// An answer's body as JSON.
pub fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

impl Harbor {
    /// Starts one.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts one with options.
    pub async fn with(options: Options) -> Self {
        let stand_in = StandIn::start(options).await.expect("a free port");
        let client = client::Client::new(stand_in.url());
        Self { stand_in, client }
    }

    /// One call as somebody (`user:password`); an empty login is nobody.
    pub async fn try_call(&self, login: &str, method: &str, path: &str, body: Option<Value>) -> Result<Answer, String> {
        let mut headers = vec![("Content-Type".into(), "application/json".into())];
        if !login.is_empty() {
            headers.push(basic(login));
        }
        self.client.send(method, path, headers, body.map(|body| body.to_string())).await
    }

    /// One call with a registry token.
    pub async fn bearer(&self, token: &str, method: &str, path: &str) -> Answer {
        let headers = vec![("Authorization".into(), format!("Bearer {token}"))];
        self.client.send(method, path, headers, None).await.expect("an answer")
    }

    /// The same where an answer is expected.
    pub async fn call(&self, login: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_call(login, method, path, body).await.expect("an answer")
    }

    /// A call as administrator below `/api/v2.0`.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call(ADMIN, method, &format!("/api/v2.0{path}"), body).await
    }

    /// A call to the controls that must work.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call("", method, &format!("/_stand-in/{path}"), Some(body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        json_of(&answer)
    }

    /// Switches quirks.
    pub async fn quirks(&self, quirks: Value) {
        self.control("PUT", "quirks", quirks).await;
    }

    /// A system robot that may pull everywhere, as the answer to its creation.
    pub async fn robot(&self, name: &str) -> Value {
        let answer = self.api("POST", "/robots", Some(robot_body(name, 30))).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        json_of(&answer)
    }

    /// Whether a login is good.
    pub async fn logs_in(&self, login: &str) -> bool {
        self.call(login, "GET", "/service/token?service=harbor-registry", None).await.status == 200
    }
}

/// The body that creates such a robot, which is also the one that updates it when the name is the full one.
pub fn robot_body(name: &str, duration: i64) -> Value {
    json!({
        "name": name, "level": "system", "duration": duration,
        "permissions": [{"kind": "project", "namespace": "*", "access": [{"resource": "repository", "action": "pull"}]}],
    })
}

/// The login of a created robot.
pub fn login_of(robot: &Value) -> String {
    format!("{}:{}", robot["name"].as_str().expect("a name"), robot["secret"].as_str().expect("a secret"))
}
