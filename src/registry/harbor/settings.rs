//! Harbor's settings that concern robots, `/configurations`: read and changed by system administrators only.

use serde::Deserialize;

use super::bounded::Scalar;
use super::call::Call;
use super::client::Client;
use super::wire::Request;
use crate::registry::{Error, Settings};

const CONFIGURATIONS: &str = "/api/v2.0/configurations";

/// The answer to GET, as far as it matters here.
#[derive(Deserialize)]
struct ConfigurationsRow {
    robot_name_prefix: Option<SettingRow>,
    robot_token_duration: Option<SettingRow>,
}

/// The longest prefix that is read.
const LONGEST_PREFIX: usize = 255;

/// One setting. Of any type: a version that keeps one in another way shall not hide the rest.
#[derive(Deserialize)]
struct SettingRow {
    #[serde(default)]
    value: Scalar<LONGEST_PREFIX>,
    editable: Option<bool>,
}

impl From<ConfigurationsRow> for Settings {
    fn from(row: ConfigurationsRow) -> Self {
        let (prefix, duration) = (row.robot_name_prefix, row.robot_token_duration);
        let rows = [(Self::ROBOT_NAME_PREFIX, &prefix), (Self::ROBOT_TOKEN_DURATION, &duration)];
        let is_fixed = |row: &Option<SettingRow>| row.as_ref().is_some_and(|row| row.editable == Some(false));
        let fixed = rows.into_iter().filter(|(_, row)| is_fixed(row)).map(|(name, _)| name).collect();
        Self {
            robot_name_prefix: prefix.and_then(|row| row.value.text()),
            robot_token_duration: duration.and_then(|row| row.value.number()),
            fixed,
        }
    }
}

impl Client {
    /// Harbor's settings.
    ///
    /// # Errors
    /// [`Error::Forbidden`] unless the login is a system administrator's; a robot's never is.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let request = Request::new(Call::CONFIGURATIONS, CONFIGURATIONS);
        let settings = Settings::from(self.transport.send(&request).await?.json::<ConfigurationsRow>()?);
        self.learn_prefix(settings.robot_name_prefix.as_deref());
        Ok(settings)
    }

    /// Changes those settings that are given, and leaves the others alone.
    ///
    /// # Errors
    /// [`Error::Forbidden`] unless the login is a system administrator's, or if they are fixed; [`Error::Invalid`] for a
    /// value that Harbor does not take. A refused value keeps the other from being changed.
    pub async fn change_settings(&self, change: &Settings) -> Result<(), Error> {
        let prefix = change.robot_name_prefix.as_deref();
        if prefix.is_none() && change.robot_token_duration.is_none() {
            return Ok(());
        }
        let request = Request::new(Call::CONFIGURATIONS_UPDATE, CONFIGURATIONS).json(change);
        self.transport.send(&request).await?.empty()?;
        match prefix {
            // Harbor trims it from 2.16 on, and did not before.
            Some(prefix) if prefix.trim() != prefix => self.settings().await.map(drop),
            prefix => {
                self.learn_prefix(prefix);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(answer: Value) -> Settings {
        serde_json::from_value::<ConfigurationsRow>(answer).unwrap().into()
    }

    #[test]
    fn a_setting_that_is_absent_null_or_of_another_type_is_not_readable_and_hides_no_other() {
        let settings = read(json!({
            "robot_name_prefix": {"value": "bot-", "editable": true}, "robot_token_duration": {"value": "30"},
        }));
        assert_eq!(settings, Settings { robot_name_prefix: Some("bot-".into()), ..Settings::default() });
        let settings = read(json!({"robot_token_duration": {"value": 30}, "robot_name_prefix": null}));
        assert_eq!(settings, Settings { robot_token_duration: Some(30), ..Settings::default() });
        assert_eq!(read(json!({"robot_name_prefix": {"value": null}})), Settings::default());
    }

    #[test]
    fn what_the_environment_fixes_is_told_by_its_name() {
        let settings = read(json!({
            "robot_name_prefix": {"value": "bot-", "editable": false},
            "robot_token_duration": {"value": 7, "editable": false},
            "auth_mode": {"value": "db_auth", "editable": false},
        }));
        assert_eq!(settings.fixed, [Settings::ROBOT_NAME_PREFIX, Settings::ROBOT_TOKEN_DURATION]);
        assert_eq!((settings.robot_name_prefix.as_deref(), settings.robot_token_duration), (Some("bot-"), Some(7)));
    }
}
