//! What stands in the way: the words for each blocker, and for a name that somebody else holds.

use super::super::desired::Desired;
use super::super::mark;
use super::super::pace;
use super::super::plan::{Blocker, Holder, Strategy};
use super::super::robot::Robot;
use super::super::slots::Slot;
use super::Facts;

/// True if a robot of the account's names, ours or in our way, is one that Harbor does not edit.
pub(super) fn by_legacy(facts: &Facts<'_>) -> bool {
    let left = facts.outcome.robot.as_ref().is_some_and(|robot| !robot.editable);
    let in_the_way = || facts.observed.robots.iter().flatten().any(|robot| !robot.editable);
    left || (facts.plan.blocker == Some(Blocker::NameTaken) && in_the_way())
}

/// Reason and message.
pub(super) fn told(facts: &Facts<'_>, blocker: Blocker) -> (&'static str, String) {
    let desired = facts.desired;
    let (refused_for, text) = facts.blocked_by.clone().unwrap_or(("NotPermitted", String::new()));
    match blocker {
        Blocker::NotPermitted => (refused_for, text),
        Blocker::NameTaken => taken(facts),
        Blocker::SecretNotOwned => ("SecretNotOwned", text),
        Blocker::LoginCannotUpdate => ("LoginCannotUpdate", cannot_update(desired)),
        Blocker::RepairsPaused if pace::kind(&facts.observed.situation(desired)) == Some(pace::Kind::Renewal) => {
            let text = format!(
                "robot {} is due for renewal again although it was renewed only a short while ago: its expiry in Harbor is \
                 not what was asked for, or Harbor's clock jumps; the next renewal waits a minute, then twice as long each \
                 time, up to an hour",
                desired.base_name
            );
            ("RepairsPaused", text)
        }
        Blocker::RepairsPaused => {
            let text = format!(
                "robot {} needs repair again although its credential was replaced only a short while ago; the next repair \
                 waits a minute, then twice as long each time, up to an hour: find out who changes or deletes the robot or \
                 Secret {}{}",
                desired.base_name,
                desired.secret.name,
                if text.is_empty() {
                    String::new()
                } else {
                    format!(", to which {text} wrote last besides the operator")
                }
            );
            ("RepairsPaused", text)
        }
        Blocker::SecretContested => {
            let text = format!(
                "Secret {} was changed or deleted three times within 10 minutes, last by {text}; it is left alone until 10 \
                 minutes have passed or the account is edited: find out who does that and stop it",
                desired.secret.name
            );
            ("SecretContested", text)
        }
    }
}

/// Of a Secret that is in the way of the account's.
pub fn foreign_secret(secret: &str, namespace: &str, is_of_a_registry: bool) -> String {
    let advice =
        if is_of_a_registry { "a registry uses it, so it has to stay" } else { "delete it if nobody needs it" };
    format!(
        "a Secret {secret} is in namespace {namespace} that was not made for this account: {advice}, or make the account \
         anew with another spec.secret.name"
    )
}

fn cannot_update(desired: &Desired) -> String {
    if desired.own_password.is_none() {
        let robot = &desired.base_name;
        return format!(
            "the registry's login may not update robots, which rotation.strategy: InPlace needs: write \
             spec.rotation.strategy: Overlap (the login name then alternates between {robot} and {robot}.b), or give the \
             registry a login that may (a person's)"
        );
    }
    let in_place = match desired.strategy {
        Strategy::InPlace => " and use rotation.strategy: Overlap",
        Strategy::Overlap => "",
    };
    format!(
        "the registry's login may not update robots, which spec.passwordSecretRef needs; give the registry a login that may \
         (a person's), or drop passwordSecretRef{in_place}"
    )
}

/// Who holds the name, and what would help.
fn taken(facts: &Facts<'_>) -> (&'static str, String) {
    let Facts { desired, observed, .. } = facts;
    let situation = observed.situation(desired);
    let in_the_way = Slot::BOTH.into_iter().find_map(|slot| {
        let holder = situation.slots[slot.index()]?.holder;
        Some((slot, holder, observed.robot(slot)?)).filter(|_| holder != Holder::Ours)
    });
    let name = &desired.base_name;
    let exists = format!("a robot named {name} (or {name}.b) that this account does not own exists in Harbor");
    let Some((slot, holder, robot)) = in_the_way else {
        return ("NameTaken", format!("{exists}; delete it there or choose another spec.name"));
    };
    if !robot.editable {
        let text = format!(
            "robot {} is from before Harbor 2.2: it can neither log in nor be edited, so it cannot be taken over either; \
             delete it in Harbor or choose another spec.name",
            robot.name
        );
        return ("LegacyRobot", text);
    }
    let unmarked = holder == Holder::Unmarked;
    if unmarked && desired.adopt && slot == Slot::A && observed.may_adopt && !observed.may_update {
        let text = format!(
            "{exists}, and adoptionPolicy: IfUnowned needs a login that may update robots to take it over; use a \
             person's login for the registry, delete that robot, or choose another spec.name"
        );
        return ("LoginCannotUpdate", text);
    }
    let advice = if unmarked && observed.is_on_record(robot) {
        format!(
            "status names it, but that proves nothing: if somebody took the account's mark out of its description while the \
             operator did not run, write it back in Harbor: {}",
            mark::write("", &desired.identity, false)
        )
    } else if let Some(cluster) = other_cluster(robot, &desired.identity.path) {
        format!(
            "it carries the mark of this very account in another cluster, {cluster}: if this cluster was restored from a \
             backup of that one, start the operator with --cluster-name={cluster}; else choose another spec.name"
        )
    } else if unmarked && desired.adopt && !observed.may_adopt {
        "no grant of the registry allows adoption: ask its administrator for that, delete the robot in Harbor, or choose \
         another spec.name"
            .to_owned()
    } else if unmarked && slot == Slot::A && !desired.adopt {
        "delete it there, choose another spec.name, or take it over with adoptionPolicy: IfUnowned where a grant allows \
         that"
            .to_owned()
    } else if unmarked {
        "delete it there or choose another spec.name".to_owned()
    } else {
        "it carries the mark of another account: choose another spec.name, or have that account deleted".to_owned()
    };
    ("NameTaken", format!("{exists}; {advice}"))
}

/// The other cluster in a mark that names an account of our namespace and name.
fn other_cluster<'r>(robot: &'r Robot, path: &str) -> Option<&'r str> {
    let mark = mark::parse(&robot.description)?;
    let same = path.strip_suffix(&format!("/{}/{}", mark.namespace, mark.name));
    same.filter(|ours| *ours != mark.cluster).map(|_| mark.cluster)
}
