//! Statuses and texts as they are stored: whoever may write them, under whatever schema.

use std::time::Duration;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{AccountStatus, DurationString, ExpiresAfter, RegistryStatus, RegistryTime};
use crate::test_properties::{config, damaged_value, moments, text};

fn account() -> Value {
    json!({
        "observedGeneration": 3, "registry": {"kind": "ClusterHarborRegistry", "name": "main", "url": "https://h"},
        "robot": {
            "id": 7, "name": "robot$p+ci", "creationTime": "2026-01-01T00:00:00.123Z", "updateTime": "2026-01-01T00:00:00.2Z",
            "credentialChecksum": "0123456789abcdef", "expirationTime": "2026-02-01T00:00:00Z",
        },
        "previous": {"id": 6, "name": "robot$p+ci.b", "creationTime": "2026-01-01T00:00:00Z", "revocationTime": "2026-01-02T00:00:00Z"},
        "renewalTime": "2026-01-20T00:00:00Z", "lastRotationTime": "2026-01-01T00:00:00Z", "handledRefresh": "1",
        "handledRevoke": "2", "secretRefs": [{"namespace": "n", "name": "ci"}], "permissions": [{"kind": "Project", "project": "p-*", "resource": "repository", "actions": ["pull"]}],
        "expiresAfter": "30d", "projects": {"all": true, "count": 3, "names": ["a"]}, "namespaceCount": 2,
        "namespaces": [{"name": "a", "ready": false, "reason": "SecretNotOwned", "message": "m"}], "legacy": true,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Published", "message": "m", "observedGeneration": 3,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    })
}

fn registry() -> Value {
    json!({
        "observedGeneration": 3, "harborVersion": "v2.16.0", "registryHost": "h", "clusterName": "c", "robotNamePrefix": "robot$",
        "login": {"kind": "Robot", "name": "robot$op", "mayUpdate": true, "permissions": [{"kind": "System", "resource": "robot", "actions": ["list"]}], "expirationTime": "2026-02-01T00:00:00Z"},
        "permissions": {"source": "Harbor", "project": [{"resource": "tag", "actions": ["list"]}], "system": []}, "accountCount": 3, "orphanCount": 1,
        "unmanagedRobots": {"count": 2, "nextExpirationTime": "2026-02-01T00:00:00Z", "nextToExpire": "robot$p+old"},
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "LoggedIn", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    })
}

/// What can be read is written back as it was read.
fn is_kept<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(stored: Value) -> Result<(), TestCaseError> {
    let Ok(read) = serde_json::from_value::<T>(stored) else { return Ok(()) };
    let written = serde_json::to_value(&read).expect("what was read can be written");
    let again: T = serde_json::from_value(written).expect("what was written can be read");
    prop_assert_eq!(again, read);
    Ok(())
}

#[test]
fn a_whole_status_is_read_whole() {
    assert_eq!(
        serde_json::to_value(serde_json::from_value::<AccountStatus>(account()).unwrap()).unwrap()["robot"]["id"],
        7
    );
    let keys = |value: &Value| value.as_object().unwrap().len();
    let whole: AccountStatus = serde_json::from_value(account()).unwrap();
    assert_eq!(keys(&serde_json::to_value(whole).unwrap()), keys(&account()));
    let whole: RegistryStatus = serde_json::from_value(registry()).unwrap();
    assert_eq!(keys(&serde_json::to_value(whole).unwrap()), keys(&registry()));
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_stored_status_is_read_or_refused(account in damaged_value(account()), registry in damaged_value(registry())) {
        is_kept::<AccountStatus>(account)?;
        is_kept::<RegistryStatus>(registry)?;
    }

    #[test]
    fn a_moment_in_a_status_is_kept_to_the_millisecond(created in moments(), updated in moments()) {
        let (created, updated) = (RegistryTime::from(created), RegistryTime::from(updated));
        let robot = json!({"id": 1, "name": "n", "creationTime": created, "updateTime": updated});
        let read: super::RobotRecord = serde_json::from_value(robot.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(&read).unwrap(), robot);
    }

    #[test]
    fn a_duration_is_read_or_refused(text in prop_oneof![text(), "[0-9]{0,7}[dhms ]{0,2}", "[+-]?[0-9]{1,5}[a-zé]"]) {
        let unit = |unit| match unit { 'd' => Some(86_400), 'h' => Some(3_600), 'm' => Some(60), 's' => Some(1), _ => None };
        let wanted = text.char_indices().next_back().and_then(|(end, last)| {
            let digits = &text[..end];
            let plain = (1..=5).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            Some(digits.parse::<u64>().ok().filter(|_| plain)? * unit(last)?)
        });
        prop_assert_eq!(DurationString(text.clone()).parse().ok(), wanted.map(Duration::from_secs));
        let days = ExpiresAfter(text.clone()).days();
        let in_days = wanted.filter(|_| text.ends_with('d')).map(|seconds| u32::try_from(seconds / 86_400).unwrap());
        prop_assert_eq!(days.ok(), if text == "Never" { Some(None) } else { in_days.map(Some) });
    }

    #[test]
    fn a_refused_duration_says_what_to_write(text in text()) {
        if let Err(error) = DurationString(text).parse() {
            prop_assert!(error.to_string().contains("30d"));
        }
    }
}
