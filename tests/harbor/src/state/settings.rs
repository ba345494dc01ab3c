//! The server-wide settings of `/configurations`.

use serde_json::{Map, Value, json};

use crate::error::{ApiError, ApiResult};
use crate::gojson::{Place, field};
use crate::version::Version;

/// Settings as recorded from v2.16, with what was written over them.
#[derive(Debug, Clone)]
pub struct Settings {
    values: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        let defaults = json!({
            "auth_mode": "db_auth",
            "banner_message": "",
            "notification_enable": true,
            "primary_auth_mode": false,
            "project_creation_restriction": "everyone",
            "quota_per_project_enable": true,
            "read_only": false,
            "robot_name_prefix": "robot$",
            "robot_token_duration": 30,
            "self_registration": false,
            "session_timeout": 60,
            "storage_per_project": -1,
            "token_expiration": 30,
        });
        Self { values: defaults.as_object().cloned().unwrap_or_default() }
    }
}

impl Settings {
    fn int(&self, key: &str) -> i64 {
        self.values.get(key).and_then(Value::as_i64).unwrap_or_default()
    }

    fn text(&self, key: &str) -> &str {
        self.values.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn flag(&self, key: &str) -> bool {
        self.values.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// What every robot's name begins with, at this moment.
    pub fn prefix(&self) -> &str {
        self.text("robot_name_prefix")
    }

    /// How long a registry token lives, in minutes.
    pub fn token_minutes(&self) -> i64 {
        self.int("token_expiration")
    }

    /// How long a session lives without being used, in minutes.
    pub fn session_minutes(&self) -> i64 {
        self.int("session_timeout")
    }

    /// Whether writes are refused.
    pub fn read_only(&self) -> bool {
        self.flag("read_only")
    }

    /// Switches read-only mode.
    pub fn set_read_only(&mut self, on: bool) {
        self.values.insert("read_only".into(), on.into());
    }

    /// Whether only system administrators may create projects.
    pub fn only_admin_creates_projects(&self) -> bool {
        self.text("project_creation_restriction") == "adminonly"
    }

    /// A setting as it is.
    pub fn value(&self, key: &str) -> &Value {
        self.values.get(key).unwrap_or(&Value::Null)
    }

    /// `GET /configurations`.
    pub fn view(&self) -> Value {
        let entry =
            |(key, value): (&String, &Value)| (key.clone(), json!({"value": value, "editable": key != "auth_mode"}));
        Value::Object(self.values.iter().map(entry).collect())
    }

    /// `PUT /configurations`: reads the body as Go would; unknown keys and nulls change nothing.
    pub fn read_changes(&self, body: &Value) -> Result<Map<String, Value>, String> {
        let place = Place::body("Configurations");
        let mut changes = Map::new();
        let Some(map) = place.object(body)? else { return Ok(changes) };
        for (key, old) in &self.values {
            let new = match old {
                Value::Bool(_) => place.flag(map, key)?.map(Value::from),
                Value::Number(_) => place.int(map, key)?.map(Value::from),
                _ => place.text(map, key)?.map(Value::from),
            };
            changes.extend(new.filter(|_| field(map, key).is_some()).map(|new| (key.clone(), new)));
        }
        Ok(changes)
    }

    /// Checks and takes over changes.
    pub fn change(&mut self, version: Version, mut changes: Map<String, Value>) -> ApiResult<()> {
        if let Some(prefix) = changes.get_mut("robot_name_prefix").filter(|_| version.is_since_16()) {
            let trimmed = prefix.as_str().unwrap_or_default().trim().to_owned();
            if trimmed.is_empty() {
                return Err(ApiError::bad_request(
                    "bad request: robot_name_prefix cannot be empty or contain only spaces",
                ));
            }
            *prefix = trimmed.into();
        }
        if changes.get("robot_token_duration").and_then(Value::as_i64).is_some_and(|days| days <= 0) {
            return Err(ApiError::bad_request("the robot_token_duration value must be positive"));
        }
        if changes.get("auth_mode").is_some_and(|mode| mode != self.value("auth_mode")) {
            return Err(ApiError::bad_request(
                "the auth_mode cannot be changed as new users have been inserted into database",
            ));
        }
        self.values.extend(changes);
        Ok(())
    }
}
