//! Which accounts need somebody, and why: what their conditions come to.

use harbor_robot_operator::api::{Account, conditions as kinds};
use harbor_robot_operator::domain::conditions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::output::Tone;

/// How much an account needs somebody, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Its object cannot be read, or a person has to do something before anything goes on.
    Somebody,
    /// No credential that works is published.
    NotReady,
    /// Its renewal is late.
    Overdue,
    /// Harbor, or the Secret, is not as the spec asks for.
    NotInSync,
    /// Nobody looked at it, or not at its present spec.
    Unseen,
    /// It is on its way out.
    Deleting,
    /// Somebody stopped it on purpose.
    Suspended,
    /// None.
    Nothing,
}

impl Need {
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Somebody | Self::NotReady | Self::Overdue => Tone::Bad,
            Self::NotInSync | Self::Unseen | Self::Deleting | Self::Suspended => Tone::Warning,
            Self::Nothing => Tone::Plain,
        }
    }
}

/// What one account needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attention {
    pub need: Need,
    /// One word of the table of reasons; `Unseen` where no operator said one.
    pub reason: String,
    /// The reason's message.
    pub message: String,
}

/// A condition of an account that is there, by its type.
pub(crate) fn condition<'a>(account: &'a Account, kind: &str) -> Option<&'a Condition> {
    conditions::find(&account.status.as_ref()?.conditions, kind)
}

/// True if the status is of the spec as it is.
pub(crate) fn is_observed(account: &Account) -> bool {
    account.status.as_ref().is_some_and(|status| status.observed_generation == account.metadata.generation)
}

/// What an account needs, as its status says it.
pub(crate) fn of(account: &Account) -> Attention {
    let with = |kind: &str, status: &str| condition(account, kind).filter(|found| found.status == status);
    let ready = condition(account, kinds::READY);
    let told = |need, from: &Condition| Attention { need, reason: from.reason.clone(), message: from.message.clone() };
    let not_ready = ready.filter(|found| found.status != "True");
    let not_synced = with(kinds::SYNCED, "False");
    if account.metadata.deletion_timestamp.is_some() {
        let why = not_synced.or(not_ready);
        let message = why.map(|found| found.message.clone()).unwrap_or_default();
        return Attention { need: Need::Deleting, reason: "Deleting".to_owned(), message };
    }
    if let Some(found) = with(kinds::STALLED, "True") {
        return told(Need::Somebody, found);
    }
    if account.is_suspended()
        && let Some(found) = not_synced
    {
        return told(Need::Suspended, found);
    }
    let Some(ready) = ready else {
        let message = "no operator has looked at it yet".to_owned();
        return Attention { need: Need::Unseen, reason: "Unseen".to_owned(), message };
    };
    // A disabled account has no credential that works, as asked for.
    if let Some(found) = not_ready.filter(|found| found.reason != "Disabled") {
        return told(Need::NotReady, found);
    }
    if let Some(found) = with(kinds::RENEWAL_OVERDUE, "True") {
        return told(Need::Overdue, found);
    }
    if let Some(found) = not_synced {
        return told(Need::NotInSync, found);
    }
    if !is_observed(account) {
        let message = "the operator has not looked at the spec as it is now".to_owned();
        return Attention { need: Need::Unseen, reason: "Unseen".to_owned(), message };
    }
    told(Need::Nothing, ready)
}

#[cfg(test)]
mod tests {
    use harbor_robot_operator::api::RobotAccount;
    use serde_json::{Value, json};

    use super::*;

    fn account(conditions: &[(&str, &str, &str)], spec: &Value, metadata: &Value) -> Account {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason)| {
                json!({"type": kind, "status": status, "reason": reason, "message": format!("because of {reason}"),
                       "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        let mut account = json!({"metadata": {"name": "ci", "generation": 1}, "spec": {"project": "p"},
                                 "status": {"observedGeneration": 1, "conditions": conditions}});
        for (part, more) in [("spec", spec), ("metadata", metadata)] {
            account[part].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        serde_json::from_value::<RobotAccount>(account).unwrap().into()
    }

    /// Conditions, parts of spec and metadata, and what they come to.
    type Case<'a> = (&'a [(&'a str, &'a str, &'a str)], &'a Value, &'a Value, Need, &'a str);

    #[test]
    fn an_account_needs_what_its_worst_condition_says() {
        let (none, ok, synced) = (json!({}), ("Ready", "True", "Published"), ("Synced", "True", "InSync"));
        let deleting = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let suspended = json!({"suspend": true});
        let cases: [Case<'_>; 10] = [
            (&[ok, synced], &none, &none, Need::Nothing, "Published"),
            (&[("Ready", "False", "Disabled"), synced], &none, &none, Need::Nothing, "Disabled"),
            (&[ok, ("Synced", "False", "Unreachable")], &none, &none, Need::NotInSync, "Unreachable"),
            (
                &[ok, synced, ("RenewalOverdue", "True", "RenewalOverdue")],
                &none,
                &none,
                Need::Overdue,
                "RenewalOverdue",
            ),
            (&[("Ready", "Unknown", "Progressing")], &none, &none, Need::NotReady, "Progressing"),
            (&[ok, ("Stalled", "True", "NameTaken")], &none, &none, Need::Somebody, "NameTaken"),
            (&[ok, ("Synced", "False", "Suspended")], &suspended, &none, Need::Suspended, "Suspended"),
            (&[ok, ("Stalled", "True", "NameTaken")], &none, &deleting, Need::Deleting, "Deleting"),
            (&[ok, synced], &none, &json!({"generation": 2}), Need::Unseen, "Unseen"),
            (&[], &none, &none, Need::Unseen, "Unseen"),
        ];
        for (conditions, spec, metadata, need, reason) in cases {
            let found = of(&account(conditions, spec, metadata));
            assert_eq!((found.need, found.reason.as_str()), (need, reason), "{conditions:?}");
        }
        assert!(Need::Somebody < Need::NotReady && Need::NotInSync < Need::Nothing);
    }
}
