//! The controls that only the stand-in has.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::HarborClient;

/// One call that the stand-in was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// The path with its variable parts left out.
    pub path: String,
    /// The path as asked for.
    pub target: String,
    /// The query string as sent.
    #[serde(default)]
    pub query: String,
    /// Who was logged in, or claimed to be.
    pub login: String,
    /// How the caller showed who it is: `basic`, `session`, `form`, `bearer` or empty.
    pub auth: String,
    /// HTTP status; 0 when no answer was sent.
    pub status: u16,
    /// When, in milliseconds of the stand-in's clock.
    pub at: i64,
}

impl Call {
    /// Method and path, like `POST /api/v2.0/robots`.
    pub fn operation(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the stand-in was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// The last calls, oldest first; very old ones are forgotten.
    pub calls: Vec<Call>,
    /// How many there were.
    pub total: u64,
    /// Microseconds that they took together.
    pub took: u64,
    /// How many there were of each method and path, like `POST /api/v2.0/robots`.
    pub by: BTreeMap<String, u64>,
    /// The most that were under way at one time.
    pub most_in_flight: u64,
}

impl Calls {
    /// How many there were of a method and path, like `POST /api/v2.0/robots`.
    pub fn count(&self, operation: &str) -> u64 {
        self.by.get(operation).copied().unwrap_or_default()
    }

    /// How many lists of a project's robots there were, of the calls that are kept.
    pub fn project_lists(&self) -> u64 {
        let is_one =
            |call: &&Call| call.method == "GET" && call.path == "/api/v2.0/robots" && call.query.contains("Level");
        self.calls.iter().filter(is_one).count() as u64
    }
}

impl HarborClient {
    async fn control(&self, method: Method, name: &str, body: Option<Value>) -> Result<Value> {
        let path = format!("/_stand-in/{name}");
        self.call(None, method, &path, body).await?.ok().with_context(|| path)
    }

    /// All calls of Harbor's own paths since the start or [`HarborClient::reset_calls`].
    pub async fn calls(&self) -> Result<Calls> {
        let calls = self.control(Method::GET, "calls", None).await?;
        serde_json::from_value(calls).context("the stand-in's calls")
    }

    /// The same without the single calls, of which there may be very many.
    pub async fn call_counts(&self) -> Result<Calls> {
        let calls = self.control(Method::GET, "calls?last=0", None).await?;
        serde_json::from_value(calls).context("the stand-in's calls")
    }

    /// Forgets the calls so far.
    pub async fn reset_calls(&self) -> Result<()> {
        self.control(Method::DELETE, "calls", None).await.map(drop)
    }

    /// Switches quirks on or off, like `{"latencyMs": 5}`.
    pub async fn quirks(&self, quirks: Value) -> Result<()> {
        self.control(Method::PUT, "quirks", Some(quirks)).await.map(drop)
    }

    /// Makes all robots this many days older; the clock stays.
    pub async fn age(&self, days: u32) -> Result<()> {
        self.control(Method::POST, "age", Some(json!({"days": days}))).await.map(drop)
    }

    /// Moves the server's clock and its `Date` header forward.
    pub async fn advance(&self, seconds: u64) -> Result<()> {
        self.control(Method::POST, "advance", Some(json!({"seconds": seconds}))).await.map(drop)
    }

    /// The server's time, in milliseconds since 1970.
    pub async fn now(&self) -> Result<i64> {
        let answer = self.control(Method::POST, "advance", Some(json!({"seconds": 0}))).await?;
        answer["now"].as_i64().context("the stand-in's time")
    }

    /// Sets the server's clock and its `Date` header back.
    pub async fn set_back(&self, seconds: i64) -> Result<()> {
        self.control(Method::POST, "advance", Some(json!({"seconds": -seconds}))).await.map(drop)
    }

    /// The ids of people's sessions, which are secrets.
    pub async fn sessions(&self) -> Result<Vec<String>> {
        let sessions = self.control(Method::GET, "sessions", None).await?;
        serde_json::from_value(sessions["loggedIn"].clone()).context("the stand-in's sessions")
    }

    /// Forgets all sessions of people.
    pub async fn forget_sessions(&self) -> Result<()> {
        self.control(Method::POST, "sessions/forget", None).await.map(drop)
    }

    /// Makes all CSRF tokens void; sessions live on.
    pub async fn change_csrf_key(&self) -> Result<()> {
        self.control(Method::POST, "sessions/csrf-key", None).await.map(drop)
    }

    /// Takes a backup of the server's database.
    pub async fn snapshot(&self) -> Result<()> {
        self.control(Method::POST, "snapshot", None).await.map(drop)
    }

    /// Restores the last backup: ids used since are used again.
    pub async fn restore(&self) -> Result<()> {
        self.control(Method::POST, "restore", None).await.map(drop)
    }

    /// Makes a robot unchecked, as the stand-in's README says, and gives its id.
    pub async fn seed_robot(&self, robot: Value) -> Result<i64> {
        self.control(Method::POST, "robots", Some(robot)).await?["id"].as_i64().context("a robot has an id")
    }

    /// Replaces a robot's permissions unchecked; `[]` makes the robot that Harbor cannot delete.
    pub async fn set_permissions(&self, id: i64, groups: Value) -> Result<()> {
        self.control(Method::POST, &format!("robots/{id}/permissions"), Some(groups)).await.map(drop)
    }

    /// Makes private projects past the API, quicker than [`HarborClient::create_project`] does.
    pub async fn seed_projects(&self, names: &[String]) -> Result<()> {
        self.control(Method::POST, "seed", Some(json!({"projects": names}))).await.map(drop)
    }
}
