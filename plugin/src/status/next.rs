//! What happens next to an account, and when.

use std::collections::BTreeMap;

use harbor_robot_operator::api::{Account, RegistryTime, keys};

use crate::attention::{self, Need};
use crate::target::typed;
use crate::times::moment;

/// In the order in which it happens, as far as that is known.
pub(super) fn steps(account: &Account, now: RegistryTime) -> Vec<String> {
    let name = typed(account);
    let place = account.metadata.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    if let Some(since) = &account.metadata.deletion_timestamp {
        return vec![format!(
            "it was deleted {}; the operator ends its robot and goes on until that is done",
            moment(since.0.into(), now)
        )];
    }
    let need = attention::of(account).need;
    if account.is_suspended() {
        return vec![format!("nothing, since spec.suspend is set: kubectl robots resume {name}{place}")];
    }
    let mut steps = Vec::new();
    if need == Need::Somebody {
        steps.push("nothing by itself: do what the first line below the account says".to_owned());
    }
    if !attention::is_observed(account) {
        steps.push("the operator looks at the spec as it is now".to_owned());
    }
    let status = account.status.as_ref();
    let handled = |key: &str| match key {
        keys::ANNOTATION_REFRESH => status.and_then(|status| status.handled_refresh.as_deref()),
        _ => status.and_then(|status| status.handled_revoke.as_deref()),
    };
    let annotations: &BTreeMap<String, String> = &account.metadata.annotations.clone().unwrap_or_default();
    for (key, what) in [
        (keys::ANNOTATION_REVOKE, "every older credential ends"),
        (keys::ANNOTATION_REFRESH, "the credential is replaced"),
    ] {
        if let Some(token) = annotations.get(key).filter(|token| handled(key) != Some(token.as_str())) {
            steps.push(format!("{what}, as asked for by the annotation {key}: {token}"));
        }
    }
    if let Some(previous) = status.and_then(|status| status.previous.as_ref()) {
        steps.push(format!("{} is deleted {}", previous.name, moment(previous.revocation_time, now)));
    }
    if let Some(renewal) = status.and_then(|status| status.renewal_time) {
        steps.push(format!("the credential is replaced {}", moment(renewal, now)));
    } else if let Some(robot) = status.and_then(|status| status.robot.as_ref()) {
        let expires = robot.expiration_time.map_or_else(
            || "nothing: the credential never expires, and no rotation.interval is set".to_owned(),
            |time| format!("the credential expires {}", moment(time, now)),
        );
        steps.push(expires);
    }
    steps
}

#[cfg(test)]
mod tests {
    use harbor_robot_operator::api::RobotAccount;
    use serde_json::{Value, json};

    use super::*;

    fn steps_of(account: Value) -> Vec<String> {
        let account: Account = serde_json::from_value::<RobotAccount>(account).unwrap().into();
        steps(&account, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_comes_next_is_told_in_order() {
        let mut account = json!({
            "metadata": {"name": "ci", "namespace": "team-a", "generation": 2,
                         "annotations": {"harbor-robots.io/refresh": "t2", "harbor-robots.io/revoke": "t1"}},
            "spec": {"project": "p"},
            "status": {
                "observedGeneration": 2, "handledRefresh": "t1", "handledRevoke": "t1", "renewalTime": "2026-01-11T00:00:00Z",
                "robot": {"id": 2, "name": "robot$p+ci.b", "creationTime": "2025-12-31T23:00:00Z"},
                "previous": {"id": 1, "name": "robot$p+ci", "creationTime": "2025-12-01T00:00:00Z",
                             "revocationTime": "2026-01-01T20:00:00Z"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "Published", "message": "",
                                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        });
        assert_eq!(
            steps_of(account.clone()),
            [
                "the credential is replaced, as asked for by the annotation harbor-robots.io/refresh: t2",
                "robot$p+ci is deleted 2026-01-01T20:00:00Z (in 20h)",
                "the credential is replaced 2026-01-11T00:00:00Z (in 10d)",
            ]
        );
        account["status"]["renewalTime"] = Value::Null;
        account["status"]["previous"] = Value::Null;
        account["metadata"]["generation"] = json!(3);
        assert_eq!(
            steps_of(account.clone())[..],
            [
                "the operator looks at the spec as it is now".to_owned(),
                "the credential is replaced, as asked for by the annotation harbor-robots.io/refresh: t2".to_owned(),
                "nothing: the credential never expires, and no rotation.interval is set".to_owned(),
            ]
        );
        account["spec"]["suspend"] = json!(true);
        assert_eq!(steps_of(account), ["nothing, since spec.suspend is set: kubectl robots resume ci -n team-a"]);
    }
}
