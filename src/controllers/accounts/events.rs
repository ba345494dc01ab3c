//! One line for the user about what a pass did, or what newly stands in the way: an event, and a line in the log.

use super::Pass;
use crate::api::{AccountStatus, conditions as kinds};
use crate::cluster::events;
use crate::domain::report;
use crate::domain::{conditions, plan};

impl Pass<'_> {
    /// One event at most: what was done, or what newly stands in the way.
    pub(super) fn tell(&self, after: &AccountStatus, outcome: &report::Outcome, plan: &plan::Plan) {
        if outcome.published {
            let before = self.account.status.clone().unwrap_or_default();
            let robot = after.robot.as_ref().map(|robot| robot.name.clone()).unwrap_or_default();
            let (reason, what) = match (&before.robot, plan.current) {
                (None, Some(plan::Target::Seen(_))) => ("Adopted", "taken over and given a new secret, which is in"),
                (None, _) => ("Created", "made, its credential is in"),
                (Some(_), Some(plan::Target::New)) => {
                    ("Replaced", "made instead of the former one, its credential is in")
                }
                (Some(_), _) => ("Refreshed", "given a new secret, which is in"),
            };
            let text =
                format!("Robot {robot} was {what} Secret {}{}", self.desired.secret.name, former(&before, after));
            self.event(false, reason, text);
        } else if let Some(synced) = conditions::find(&after.conditions, kinds::SYNCED)
            && synced.status == "False"
        {
            self.tell_not_in_sync(&synced.reason, &synced.message);
        }
    }

    /// Tells what stands in the way, unless the account's status says it already.
    pub(super) fn tell_not_in_sync(&self, reason: &str, message: &str) {
        let status = self.account.status.as_ref();
        let before = status.and_then(|status| conditions::find(&status.conditions, kinds::SYNCED));
        if before.is_none_or(|synced| synced.reason != reason || synced.status != "False") {
            tracing::warn!(account = %self.key, reason, message, "not in sync");
            self.event(true, reason, message.to_owned());
        }
    }

    /// Publishes an event beside the pass: nobody waits for it.
    pub(super) fn event(&self, warning: bool, reason: &str, text: String) {
        tokio::spawn(self.ctx.event(events::account_reference(&self.account), warning, reason, text));
    }

    /// The account goes, and a robot may be left in Harbor: says which. In a namespace that goes no event can be written any
    /// more.
    pub(super) fn tell_abandoned(&self) {
        let status = self.account.status.as_ref();
        let current = status.and_then(|status| status.robot.as_ref()).map(|robot| robot.name.as_str());
        let previous = status.and_then(|status| status.previous.as_ref()).map(|robot| robot.name.as_str());
        let named: Vec<&str> = current.into_iter().chain(previous).collect();
        let robots = if named.is_empty() { self.desired.base_name.clone() } else { named.join(" and ") };
        let url = &self.registry.object.spec.url;
        let (why, about) = match &self.key.namespace {
            Some(namespace) => (
                format!("could not be asked for a long time while namespace {namespace} is being deleted"),
                events::namespace_reference(namespace),
            ),
            None => (
                "has refused the login that this account published for a long time".to_owned(),
                events::account_reference(&self.account),
            ),
        };
        let text = format!(
            "Harbor at {url} {why}, so {} {} was given up: {robots}, if it still exists, has to be deleted in Harbor by hand",
            self.account.kind(),
            self.key.name
        );
        tracing::warn!(account = %self.key, "{text}");
        tokio::spawn(self.ctx.event(about, true, "RobotAbandoned", text));
    }
}

/// What comes of the robot that was replaced.
fn former(before: &AccountStatus, after: &AccountStatus) -> String {
    let id_before = before.previous.as_ref().map(|previous| previous.id);
    match &after.previous {
        Some(new) if id_before != Some(new.id) => format!("; {} is deleted at {}", new.name, new.revocation_time),
        _ => String::new(),
    }
}
