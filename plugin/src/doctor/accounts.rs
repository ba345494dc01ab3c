//! Accounts that are not in order, by what they need.

use std::collections::BTreeMap;

use harbor_robot_operator::api::Account;

use super::{Finding, Level};
use crate::attention::{self, Need};
use crate::output::counted;
use crate::target::shown;

/// So many are named of each reason.
const NAMED: usize = 3;

pub(super) fn check(accounts: &[Account]) -> Vec<Finding> {
    let mut by_reason: BTreeMap<(Need, String), Vec<(String, String)>> = BTreeMap::new();
    for account in accounts {
        let attention = attention::of(account);
        if attention.need != Need::Nothing {
            by_reason.entry((attention.need, attention.reason)).or_default().push((shown(account), attention.message));
        }
    }
    let mut findings: Vec<Finding> = by_reason
        .into_iter()
        .map(|((need, reason), of_reason)| {
            let names: Vec<&str> = of_reason.iter().take(NAMED).map(|(name, _)| name.as_str()).collect();
            let more = of_reason.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let level = match need {
                Need::Somebody | Need::NotReady | Need::Overdue => Level::Problem,
                _ => Level::Warning,
            };
            let what = format!("{}, {reason}", counted(of_reason.len(), "account"));
            Finding::new(level, what, format!("{}{more}: {}", names.join(", "), of_reason[0].1))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::new(Level::Ok, "accounts", format!("{} in order", counted(accounts.len(), "account"))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use harbor_robot_operator::api::RobotAccount;
    use serde_json::json;

    use super::*;

    #[test]
    fn accounts_are_told_by_reason_and_not_one_by_one() {
        let account = |name: &str, status: &str, reason: &str| -> Account {
            let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": format!("{name} needs this"),
                                   "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let account = json!({"metadata": {"name": name, "namespace": "a", "generation": 1}, "spec": {"project": "p"},
                                 "status": {"observedGeneration": 1, "conditions": [condition]}});
            serde_json::from_value::<RobotAccount>(account).unwrap().into()
        };
        let good = account("good", "True", "Published");
        assert_eq!(check(std::slice::from_ref(&good))[0].says, "1 account in order");
        let mut all = vec![good];
        all.extend(["1", "2", "3", "4", "5"].map(|name| account(name, "False", "NotPermitted")));
        let found = check(&all);
        assert_eq!(
            (found.len(), found[0].level, found[0].what.as_str()),
            (1, Level::Problem, "5 accounts, NotPermitted")
        );
        assert_eq!(found[0].says, "a/1, a/2, a/3 and 2 more: 1 needs this");
    }
}
