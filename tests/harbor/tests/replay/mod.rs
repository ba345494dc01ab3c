//! Plays a scenario file: setup, steps, cleanup.

mod client;
mod matcher;
mod variables;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use client::{Answer, Client};
use matcher::Matcher;
use variables::Variables;

/// A scenario as recorded.
pub struct Scenario {
    document: Value,
}

/// What became of it.
#[derive(Default)]
pub struct Outcome {
    /// Steps that passed, those of the setup included.
    pub passed: usize,
    /// What failed, step by step.
    pub failures: Vec<String>,
}

type Jars = HashMap<String, HashMap<String, String>>;

const ADMIN: (&str, &str) = ("admin", "Harbor12345");
const USER_PASSWORD: &str = "Aa345678";

impl Scenario {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let document = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(Self { document })
    }

    /// A scenario made by hand.
    pub fn of(document: Value) -> Self {
        Self { document }
    }

    /// Whether it changes what other scenarios rely on: settings, or the age of all robots.
    pub fn needs_own_server(&self) -> bool {
        self.document["exclusive"] == true || self.part("steps").iter().any(|step| step.get("advance_days").is_some())
    }

    fn part(&self, name: &str) -> &[Value] {
        self.document[name].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Plays it against a server. A failing setup ends it; a failing step does not; cleanup always runs.
    pub async fn play(&self, url: &str) -> Outcome {
        let mut play = Play { client: Client::new(url), variables: Variables::new(url, ADMIN), jars: Jars::new() };
        let mut outcome = Outcome::default();
        'parts: for part in ["setup", "steps"] {
            for (at, step) in self.part(part).iter().enumerate() {
                match play.step(step).await {
                    Ok(()) => outcome.passed += 1,
                    Err(reason) => {
                        let name = step["name"].as_str().unwrap_or_default();
                        outcome.failures.push(format!("{part}[{at}] {name}: {reason}"));
                        if part == "setup" {
                            break 'parts;
                        }
                    }
                }
            }
        }
        for step in self.part("cleanup") {
            let mut step = step.clone();
            if let Some(step) = step.as_object_mut() {
                step.remove("response");
            }
            // What a failed scenario did not make cannot be removed.
            let _ignored = play.step(&step).await;
        }
        outcome
    }
}

struct Play {
    client: Client,
    variables: Variables,
    jars: Jars,
}

impl Play {
    async fn step(&mut self, step: &Value) -> Result<(), String> {
        if let Some(days) = step.get("advance_days") {
            let body = json!({"days": days}).to_string();
            let answer = self.client.send("POST", "/_stand-in/age", Vec::new(), Some(body)).await?;
            return if answer.status == 200 { Ok(()) } else { Err(answer.text()) };
        }
        if let Some(seconds) = step.get("sleep_s").and_then(Value::as_f64) {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            return Ok(());
        }
        if let Some(wanted) = step.get("set").and_then(Value::as_object) {
            for (name, value) in wanted {
                let value = self.variables.fill(value)?;
                self.variables.set(name, value);
            }
            return Ok(());
        }
        let answer = self.send(step).await?;
        self.judge(step, &answer).map_err(|reason| format!("{reason}\n    answer: {} {}", answer.status, answer.text()))
    }

    async fn send(&mut self, step: &Value) -> Result<Answer, String> {
        let request = self.variables.fill(&step["request"])?;
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut body = None;
        if let Some(value) = request.get("body") {
            body = Some(value.to_string());
        } else if let Some(raw) = request.get("raw_body").and_then(Value::as_str) {
            body = Some(raw.to_owned());
        }
        if body.is_some() {
            headers.push(("Content-Type".into(), "application/json".into()));
        }
        for (name, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
            headers.retain(|(held, _)| !held.eq_ignore_ascii_case(name));
            if let Some(value) = value.as_str() {
                headers.push((name.clone(), value.to_owned()));
            }
        }
        let who = step.get("as").and_then(Value::as_str).unwrap_or("admin");
        headers.extend(self.authorization(who)?.map(|value| ("Authorization".into(), value)));
        let jar = request.get("cookies").and_then(Value::as_str);
        if let Some(jar) = jar.and_then(|jar| self.jars.get(jar)).filter(|jar| !jar.is_empty()) {
            let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.push(("Cookie".into(), pairs.join("; ")));
        }
        let text = |key: &str| request[key].as_str().unwrap_or_default();
        let answer = self.client.send(text("method"), text("path"), headers, body).await?;
        if let Some(jar) = jar {
            let jar = self.jars.entry(jar.to_owned()).or_default();
            for line in answer.headers.get_all("Set-Cookie") {
                let pair = line.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    jar.insert(name.trim().into(), value.trim().into());
                }
            }
        }
        Ok(answer)
    }

    /// The Authorization header of whoever a step is `as`.
    fn authorization(&self, who: &str) -> Result<Option<String>, String> {
        let parts: Vec<&str> = who.split(':').collect();
        let pair = match parts.as_slice() {
            ["anonymous"] => return Ok(None),
            ["admin"] => format!("{}:{}", ADMIN.0, ADMIN.1),
            ["user", name] => format!("{name}-{}:{USER_PASSWORD}", self.variables.text("sfx")?),
            ["robot", robot] => self.robot(robot, "secret")?,
            ["robot", robot, "wrong"] => {
                format!("{}:Wrong0000Wrong0000", self.variables.text(&format!("{robot}.name"))?)
            }
            ["robot", robot, key] => self.robot(robot, key)?,
            ["basic", ..] => {
                let filled = self.variables.fill(&json!(who["basic:".len()..]))?;
                filled.as_str().unwrap_or_default().to_owned()
            }
            ["bearer", name] => return Ok(Some(format!("Bearer {}", self.variables.text(name)?))),
            _ => return Err(format!("nobody is called {who}")),
        };
        Ok(Some(format!("Basic {}", variables::base64(&pair))))
    }

    fn robot(&self, robot: &str, key: &str) -> Result<String, String> {
        let (name, secret) = (format!("{robot}.name"), format!("{robot}.{key}"));
        Ok(format!("{}:{}", self.variables.text(&name)?, self.variables.text(&secret)?))
    }

    fn judge(&mut self, step: &Value, answer: &Answer) -> Result<(), String> {
        let empty = json!({});
        let expected = step.get("response").unwrap_or(&empty);
        let matcher = Matcher { variables: &self.variables, now: now() };
        if let Some(status) = expected.get("status") {
            let fits =
                *status == answer.status || status.as_array().is_some_and(|any| any.contains(&json!(answer.status)));
            if !fits {
                return Err(format!("status: expected {status}, got {}", answer.status));
            }
        }
        for (name, wanted) in expected.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let got = answer.headers.get(name).and_then(|value| value.to_str().ok());
            match (wanted.get("$absent") == Some(&json!(true)), got) {
                (true, None) => {}
                (true, Some(got)) => return Err(format!("header {name} must be absent, is {got}")),
                (false, None) => return Err(format!("header {name} is missing")),
                (false, Some(got)) => matcher.check(wanted, &json!(got), &format!("header {name}"))?,
            }
        }
        if expected["body_empty"] == true && !answer.body.is_empty() {
            return Err("the body must be empty".into());
        }
        if let Some(wanted) = expected.get("body_text") {
            matcher.check(wanted, &json!(answer.text()), "body_text")?;
        }
        let captures = step.get("capture").and_then(Value::as_object);
        if expected.get("body").is_none() && captures.is_none() && step.get("capture_header").is_none() {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(wanted) = expected.get("body") {
            matcher.check(wanted, &body, "")?;
        }
        for (name, pointer) in captures.into_iter().flatten() {
            let value = pointer.as_str().and_then(|pointer| body.pointer(pointer));
            let value = value.ok_or_else(|| format!("capture: no {pointer} in the body"))?;
            self.variables.set(name, value.clone());
        }
        for (name, header) in step.get("capture_header").and_then(Value::as_object).into_iter().flatten() {
            let value = header.as_str().and_then(|header| answer.headers.get(header));
            let value = value.and_then(|value| value.to_str().ok()).ok_or_else(|| format!("no header {header}"))?;
            self.variables.set(name, json!(value));
        }
        Ok(())
    }
}

/// Unix seconds; the stand-in of the replay is never moved, so the machine's clock is its clock.
#[expect(clippy::disallowed_methods, reason = "the scenarios speak of the real now")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
