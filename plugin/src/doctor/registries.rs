//! What registries say of themselves: their login, their clock, and robots that nobody stands behind.

use harbor_robot_operator::api::{RegistryObject, RegistryTime, conditions};
use harbor_robot_operator::clock;
use jiff::SignedDuration;

use super::{Finding, Level};
use crate::output::counted;
use crate::times::until;

/// An expiry that is nearer than this is told.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) fn check(registry: &RegistryObject) -> Vec<Finding> {
    found(registry, clock::now().into())
}

fn found(registry: &RegistryObject, now: RegistryTime) -> Vec<Finding> {
    let name = registry.key().map_or_else(|_| registry.name().to_owned(), |key| key.to_string());
    let what = format!("registry {name}");
    let Some(status) = &registry.status else {
        let says = "no operator has looked at it: does one run, and do its --registry-selector and --namespaces fit?";
        return vec![Finding::new(Level::Problem, what, says)];
    };
    let mut findings = Vec::new();
    for condition in &status.conditions {
        let level = match (condition.type_.as_str(), condition.status.as_str()) {
            (conditions::READY, "True") => continue,
            (conditions::READY, _) | (conditions::STALLED, "True") => Level::Problem,
            (_, "True") => Level::Warning,
            _ => continue,
        };
        findings.push(Finding::new(level, &*what, format!("{}: {}", condition.reason, condition.message)));
    }
    if let Some(count) = status.orphan_count.filter(|count| *count > 0) {
        let says = format!(
            "{} of this cluster without an account: kubectl robots fleet --registry {name} shows them, orphanPolicy: Delete ends them",
            counted(usize::try_from(count).unwrap_or_default(), "robot")
        );
        findings.push(Finding::new(Level::Warning, &*what, says));
    }
    if let Some(unmanaged) = status.unmanaged_robots.as_ref().filter(|unmanaged| unmanaged.count > 0) {
        let near = unmanaged.next_expiration_time.filter(|at| at.duration_since(now) < SOON);
        let robot = unmanaged.next_to_expire.as_deref().unwrap_or_default();
        let expiry = near.map(|at| format!("; {robot} expires in {}", until(at, now, "no time"))).unwrap_or_default();
        let level = if near.is_some() { Level::Warning } else { Level::Ok };
        let says = format!(
            "nobody renews {}{expiry}: kubectl robots import --registry {name} makes accounts",
            counted(usize::try_from(unmanaged.count).unwrap_or_default(), "robot")
        );
        findings.push(Finding::new(level, &*what, says));
    }
    if findings.iter().all(|finding| finding.level == Level::Ok) {
        let login = status.login.as_ref().map(|login| login.name.as_str()).unwrap_or_default();
        let version = status.harbor_version.as_deref().unwrap_or("of a version that it does not tell");
        findings.push(Finding::new(Level::Ok, what, format!("Harbor {version} answers, as {login}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use harbor_robot_operator::api::ClusterHarborRegistry;
    use serde_json::{Value, json};

    use super::*;

    fn levels(status: &Value) -> Vec<(Level, String)> {
        let registry =
            json!({"metadata": {"name": "main"}, "spec": {"url": "https://h", "auth": {}}, "status": status});
        let registry: ClusterHarborRegistry = serde_json::from_value(registry).unwrap();
        let found = found(&registry.into(), "2026-01-01T00:00:00Z".parse().unwrap());
        found.into_iter().map(|finding| (finding.level, finding.says)).collect()
    }

    #[test]
    fn a_registry_is_as_ill_as_it_says() {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": format!("{kind}Reason"), "message": "do this", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let told = |status: Value| levels(&status);
        let well = told(json!({"harborVersion": "v2.14.1", "conditions": [condition("Ready", "True")]}));
        assert_eq!(well, [(Level::Ok, "Harbor v2.14.1 answers, as ".to_owned())]);
        let ill = told(
            json!({"orphanCount": 2, "conditions": [condition("Ready", "False"), condition("LoginExpiring", "True")],
            "unmanagedRobots": {"count": 3, "nextExpirationTime": "2026-01-03T00:00:00Z", "nextToExpire": "robot$a"}}),
        );
        assert_eq!(
            ill.iter().map(|(level, _)| *level).collect::<Vec<_>>(),
            [Level::Problem, Level::Warning, Level::Warning, Level::Warning]
        );
        assert_eq!(ill[0].1, "ReadyReason: do this");
        assert!(ill[3].1.contains("; robot$a expires in 2d: kubectl robots import --registry main"), "{}", ill[3].1);
        assert_eq!(told(Value::Null)[0].0, Level::Problem);
    }
}
