//! A plan in words: what becomes of robots, Secrets and ServiceAccounts, and what ends.

use std::collections::BTreeSet;

use harbor_robot_operator::api::{Account, AccountSpec};
use harbor_robot_operator::controllers::accounts::Foreseen;
use harbor_robot_operator::domain::permissions::{Access, AccessSet};
use harbor_robot_operator::domain::plan::{Blocker, Purpose, Step, Target, Why};
use harbor_robot_operator::domain::robot::{Home, Lifetime, Permissions, Robot, Scope};
use harbor_robot_operator::domain::secret_entries::SecretEntry;
use harbor_robot_operator::domain::slots::Slot;
use jiff::SignedDuration;
use serde::Serialize;

use crate::times::{moment, span};

/// So many permissions of a robot are told one by one.
const PERMISSIONS_TOLD: usize = 12;

/// A status names no more Secrets than that.
const PLACES_RECORDED: usize = 100;

/// What becomes of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// `robot robot$team-a+ci`, `Secret team-a/ci`.
    pub(super) object: String,
    pub(super) says: String,
    /// Somebody who uses it now will be refused, at once or later.
    pub(super) ends: bool,
}

/// What the next pass does, and what follows from that.
/// `knows_namespaces`: which ones there are is known, and so where copies go.
pub(super) fn changes(account: &Account, foreseen: &Foreseen, knows_namespaces: bool) -> Vec<Change> {
    let mut told = Told { foreseen, knows_namespaces, changes: Vec::new() };
    for step in &foreseen.plan.steps {
        told.step(*step);
    }
    told.what_follows(account);
    told.changes
}

struct Told<'a> {
    foreseen: &'a Foreseen,
    knows_namespaces: bool,
    changes: Vec<Change>,
}

impl Told<'_> {
    fn add(&mut self, object: String, says: impl Into<String>, ends: bool) {
        self.changes.push(Change { object, says: says.into(), ends });
    }

    fn step(&mut self, step: Step) {
        match step {
            // Of the operator's own housekeeping nobody notices anything.
            Step::AddFinalizer | Step::Fence | Step::Update(Target::New, _) | Step::Refresh(Target::New) => {}
            Step::Create(slot) => {
                let desired = &self.foreseen.desired;
                let disabled = if desired.enabled { "" } else { ", disabled" };
                let text = format!("made{disabled}; {}; may {}", self.lifetime(), may(&desired.permissions));
                self.add(self.robot(slot), text, false);
            }
            Step::Update(Target::Seen(slot), purpose) => self.update(slot, purpose),
            Step::Refresh(Target::Seen(slot)) => {
                let text = "gets another secret; whoever logs in with the one that it has is refused from then on";
                self.add(self.robot(slot), text, true);
            }
            Step::Delete(slot, why) => {
                let now = self.foreseen.now;
                let logs_in = |robot: &Robot| !robot.disabled && robot.expiration_time.is_none_or(|at| at > now);
                let works = self.foreseen.robots[slot.index()].as_ref().is_some_and(logs_in);
                // An orphan's secret is published nowhere.
                let ends = works && !matches!(why, Why::Orphan | Why::OverlapEnded);
                self.add(self.robot(slot), format!("deleted, since {}", reason(why)), ends);
            }
            Step::Publish(_) if self.foreseen.secret_is_absent => self.add(self.secret(), "made", false),
            Step::Publish(_) => self.add(self.secret(), "holds the new credential", false),
            Step::Reform => self.add(self.secret(), "written anew around the credential that it holds", false),
            Step::DeleteSecret => self.add(self.secret(), "deleted", true),
            Step::ReleaseSecret => self.add(self.secret(), "left as it is, and nobody's", false),
            Step::RemoveFinalizer => self.add("account".to_owned(), "goes", false),
        }
    }

    fn update(&mut self, slot: Slot, purpose: Purpose) {
        let Foreseen { desired, robots, .. } = self.foreseen;
        let Some(robot) = &robots[slot.index()] else { return };
        let (mut parts, mut ends) = match purpose {
            Purpose::Disable => (vec!["disabled: whoever logs in with it is refused from then on".to_owned()], true),
            Purpose::Retain => (vec!["left as it is, marked as retained".to_owned()], false),
            Purpose::Renew => (vec![self.lifetime()], false),
            Purpose::Adopt => (vec!["taken over".to_owned()], false),
            Purpose::Align => (Vec::new(), false),
        };
        if matches!(purpose, Purpose::Align | Purpose::Renew | Purpose::Adopt) {
            let (lines, loses) = differences(robot, &desired.permissions, &desired.meaningful(&robot.permissions));
            parts.extend(lines);
            ends |= loses;
            if robot.disabled == desired.enabled {
                parts.push(
                    if desired.enabled { "enabled" } else { "disabled: whoever logs in with it is refused" }.to_owned(),
                );
                ends |= !desired.enabled;
            }
            if robot.lifetime != desired.lifetime && purpose != Purpose::Renew {
                parts.push(self.lifetime());
            }
            if parts.is_empty() {
                parts.push("brought into the form that is asked for: description, mark or expiry".to_owned());
            }
        }
        self.add(self.robot(slot), parts.join("; "), ends);
    }

    /// What comes of the steps later, and around the Secret.
    fn what_follows(&mut self, account: &Account) {
        let Foreseen { desired, plan, now, .. } = self.foreseen;
        let is_deleted = account.metadata.deletion_timestamp.is_some();
        if plan.blocker == Some(Blocker::NotPermitted) {
            if !plan.steps.is_empty() {
                let delay = SignedDuration::try_from(self.foreseen.revocation_delay).unwrap_or(SignedDuration::MAX);
                self.add(
                    "when".to_owned(),
                    format!("{} after the grant went (grantRevocationDelay)", span(delay)),
                    false,
                );
                if plan.steps.contains(&Step::DeleteSecret) {
                    self.all_places_end(account);
                }
            }
            return;
        }
        if is_deleted {
            if !desired.retain {
                if self.foreseen.secret_is_ours {
                    self.add(self.secret(), "deleted with the account", true);
                }
                self.all_places_end(account);
            }
            return;
        }
        if let Some(previous) = plan.previous.filter(|_| plan.publishes()) {
            let text = if plan.retire_now {
                "deleted as soon as the new credential is published".to_owned()
            } else {
                format!(
                    "works on until {} (rotation.overlap), and is deleted then",
                    moment(*now + desired.rotation.overlap, *now)
                )
            };
            self.add(self.robot(previous), text, plan.retire_now);
        }
        if plan.waits_for_overlap {
            self.add("account".to_owned(), "its renewal waits for the end of the overlap that is under way", false);
        }
        if plan.blocker.is_none() {
            self.entries(account);
            self.places(account);
        }
    }

    /// With the first Secret its copies go, and the entries that name it.
    fn all_places_end(&mut self, account: &Account) {
        let (namespace, name) = (&self.foreseen.secret_namespace, &self.foreseen.desired.secret.name);
        let first = (namespace.to_string(), name.to_string());
        for place in recorded_places(account).into_iter().filter(|place| *place != first) {
            self.add(format!("Secret {}/{}", place.0, place.1), "deleted", true);
        }
        for entry in &self.foreseen.entries {
            self.unlisted(entry);
        }
    }

    fn unlisted(&mut self, entry: &SecretEntry) {
        let object = format!("ServiceAccount {}", entry.service_account);
        self.add(object, format!("does not name the Secret in {} any more", entry.list), true);
    }

    /// Of copies each has entries of its own beside it, which only their Secrets tell of.
    fn entries(&mut self, account: &Account) {
        let Foreseen { desired, entries, .. } = self.foreseen;
        if matches!(account.spec, AccountSpec::System(_)) {
            return;
        }
        for entry in desired.entries.iter().filter(|entry| !entries.contains(entry)) {
            let object = format!("ServiceAccount {}", entry.service_account);
            self.add(object, format!("names the Secret in {}", entry.list), false);
        }
        for entry in entries.iter().filter(|entry| !desired.entries.contains(entry)) {
            self.unlisted(entry);
        }
    }

    /// Secrets under other names and in other namespaces than before.
    fn places(&mut self, account: &Account) {
        let Foreseen { desired, copies, secret_namespace, .. } = self.foreseen;
        let name = desired.secret.name.to_string();
        let before = recorded_places(account);
        let further = before.len() < PLACES_RECORDED;
        for (namespace, is_there) in copies {
            if further && !before.contains(&(namespace.to_string(), name.clone())) {
                let says = if *is_there { "made" } else { "made once the namespace is there" };
                self.add(format!("Secret {namespace}/{name}"), says, false);
            }
        }
        let stays = |(namespace, of): &(String, String)| {
            let wanted = copies.iter().map(|(namespace, _)| namespace).chain([secret_namespace]);
            *of == name && (wanted.into_iter().any(|wanted| *wanted == **namespace) || !self.knows_namespaces)
        };
        let gone: Vec<_> = before.iter().filter(|place| !stays(place)).cloned().collect();
        for (namespace, name) in gone {
            self.add(format!("Secret {namespace}/{name}"), "deleted", true);
        }
    }

    fn secret(&self) -> String {
        format!("Secret {}/{}", self.foreseen.secret_namespace, self.foreseen.desired.secret.name)
    }

    /// By its full name, where that is known.
    fn robot(&self, slot: Slot) -> String {
        let Foreseen { desired, robots, name_prefix, .. } = self.foreseen;
        let short = slot.name(&desired.base_name);
        match (&robots[slot.index()], name_prefix, &desired.home) {
            (Some(robot), ..) => format!("robot {}", robot.name),
            (None, Some(prefix), Home::Project(project)) => format!("robot {prefix}{project}+{short}"),
            (None, Some(prefix), Home::System) => format!("robot {prefix}{short}"),
            (None, None, Home::Project(project)) => format!("robot {short} of project {project}"),
            (None, None, Home::System) => format!("robot {short} of the system"),
        }
    }

    fn lifetime(&self) -> String {
        match self.foreseen.desired.lifetime {
            Lifetime::Never => "never expires".to_owned(),
            Lifetime::Days(days) => format!("expires {days} days from then"),
        }
    }
}

/// Where the status says that Secrets are, and by which names.
fn recorded_places(account: &Account) -> BTreeSet<(String, String)> {
    let named = account.status.as_ref().map(|status| status.secret_refs.as_slice()).unwrap_or_default();
    named.iter().map(|secret| (secret.namespace.clone(), secret.name.clone())).collect()
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::OverlapEnded => "its overlap has ended",
        Why::Retired => "its name is needed for the new credential",
        Why::Disabled => "the account is disabled",
        Why::AccountDeleted => "the account is deleted",
        Why::NotPermitted => "no grant allows it any more",
        Why::Orphan => "it is what a rotation left that was cut off",
        Why::Dead => "nobody knows its secret, or it cannot log in any more",
    }
}

fn place(scope: &Scope) -> String {
    match scope {
        Scope::System => " of the system".to_owned(),
        Scope::AllProjects => " in all projects".to_owned(),
        Scope::Project(name) => format!(" in {name}"),
    }
}

fn listed(pairs: &[&Access]) -> String {
    let some: Vec<String> = pairs.iter().take(PERMISSIONS_TOLD).map(ToString::to_string).collect();
    let more = pairs.len().saturating_sub(PERMISSIONS_TOLD);
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}

/// What somebody may do, place by place.
fn may(permissions: &Permissions) -> String {
    let places = permissions.iter().take(PERMISSIONS_TOLD);
    let told: Vec<String> =
        places.map(|(scope, pairs)| format!("{}{}", listed(&pairs.iter().collect::<Vec<_>>()), place(scope))).collect();
    let more = permissions.len().saturating_sub(PERMISSIONS_TOLD);
    if more == 0 { told.join("; ") } else { format!("{}; and in {more} further places", told.join("; ")) }
}

/// What a robot gains and loses; true if it loses something.
fn differences(robot: &Robot, wanted: &Permissions, held: &Permissions) -> (Vec<String>, bool) {
    let none = AccessSet::new();
    let scopes: BTreeSet<&Scope> = wanted.keys().chain(held.keys()).collect();
    let (mut lines, mut loses) = (Vec::new(), robot.foreign_effect);
    for scope in scopes {
        // A robot of a project has nothing outside of it.
        let place = if robot.home == Home::System { place(scope) } else { String::new() };
        let of = |all: &'_ Permissions| all.get(scope).unwrap_or(&none).clone();
        let (wanted, held) = (of(wanted), of(held));
        for (sign, pairs) in [("gains", wanted.difference(&held)), ("loses", held.difference(&wanted))] {
            let pairs: Vec<&Access> = pairs.collect();
            if !pairs.is_empty() {
                lines.push(format!("{sign} {}{place}", listed(&pairs)));
                loses |= sign == "loses";
            }
        }
    }
    (lines, loses)
}
