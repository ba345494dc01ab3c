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
    /// Who was logged in, or claimed to be.
    pub login: String,
    /// HTTP status; 0 when no answer was sent.
    pub status: u16,
    /// When, in milliseconds of the stand-in's clock.
    pub at: i64,
}

/// What the stand-in was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct Calls {
    /// The last calls, oldest first; very old ones are forgotten.
    pub calls: Vec<Call>,
    /// How many there were.
    pub total: u64,
    /// How many there were of each method and path, like `POST /api/v2.0/robots`.
    pub by: BTreeMap<String, u64>,
}

impl Calls {
    /// How many there were of a method and path, like `POST /api/v2.0/robots`.
    pub fn count(&self, operation: &str) -> u64 {
        self.by.get(operation).copied().unwrap_or_default()
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

    /// Makes private projects past the API, quicker than [`HarborClient::create_project`] does.
    pub async fn seed_projects(&self, names: &[String]) -> Result<()> {
        self.control(Method::POST, "seed", Some(json!({"projects": names}))).await.map(drop)
    }
}
