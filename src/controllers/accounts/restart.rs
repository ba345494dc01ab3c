//! After a start: which accounts are settled and can be left alone without a single call.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Pass;
use super::remember::remember;
use super::wish::wish;
use crate::api::{self, Account, RegistryKey, RegistryTime, conditions as kinds, keys};
use crate::cluster::objects::{self, Version};
use crate::cluster::secret_template::{SecretSummary, SecretTemplate};
use crate::controllers::index::{robot_digest, robot_identity, slots_digest};
use crate::controllers::registries::resolve;
use crate::controllers::{Context, Key};
use crate::domain::conditions;
use crate::domain::desired::Desired;
use crate::domain::grants::{self, Origin};
use crate::domain::observed::{RobotRecord, RobotRef};
use crate::domain::report;
use crate::domain::robot::Robot;
use crate::domain::situation;
use crate::domain::slots::Slot;
use crate::registry::harbor::prefix_of;

/// After a start: true if status, Secret and wish agree that there is nothing to do. Then the account is noted with its
/// timers, and the first sweep compares Harbor with it. No call is made.
pub(super) fn settle(ctx: &Arc<Context>, key: &Key, account: &Account) -> bool {
    let Some(known) = settled(ctx, key, account) else { return false };
    // Without a watch on Secrets the first sweep reads it.
    if ctx.settings.watch_secrets && !ctx.index.secret_summary(key).is_some_and(|secret| known.is_in(&secret)) {
        return false;
    }
    remember(ctx, key, account, &known.registry, Version::NONE);
    if let Some(namespace) = &key.namespace {
        ctx.index.set_secret_entries(key, namespace, &known.desired.entries);
    }
    let wake = known.wake.map(|at| ctx.instant_of(at, known.now));
    ctx.index.update(key, |entry| {
        entry.left_unfinished = false;
        entry.slots = Some(known.slots);
        // What status says; the first sweep finds the robot as expected, mark included, or has the account looked at.
        let RobotRef { id, creation_time, .. } = known.record.robot;
        (entry.marked, entry.mark_seen) = ([robot_identity(id, creation_time), 0], false);
        entry.secret.accept();
        entry.wake = wake;
    });
    if let Some(wake) = wake {
        ctx.wake_at(key.clone(), wake);
    }
    true
}

struct Settled {
    registry: RegistryKey,
    desired: Desired,
    slots: u64,
    /// Which robot's credential is published, and which one is known to work.
    record: RobotRecord,
    /// See [`SecretTemplate::digest`].
    template: u64,
    wake: Option<RegistryTime>,
    now: RegistryTime,
}

impl Settled {
    /// True if the Secret is as it should be.
    fn is_in(&self, secret: &SecretSummary) -> bool {
        let RobotRef { id, creation_time, .. } = self.record.robot;
        self.record.confirms(secret.checksum)
            && secret.robot == Some((id, creation_time))
            && secret.template == Some(self.template)
    }
}

/// True if status, wish and this Secret agree that there is nothing to do.
pub fn is_settled(ctx: &Context, key: &Key, account: &Account, secret: &SecretSummary) -> bool {
    settled(ctx, key, account).is_some_and(|known| known.is_in(secret))
}

/// What an account is like whose status and wish agree.
fn settled(ctx: &Context, key: &Key, account: &Account) -> Option<Settled> {
    let status = account.status.as_ref()?;
    let meta = &account.metadata;
    let finalizer = objects::has_finalizer(meta, keys::FINALIZER_ROBOT);
    let said = |kind, reason: &str| {
        conditions::find(&status.conditions, kind).is_some_and(|found| found.status == "True" && found.reason == reason)
    };
    // There are few system accounts, and each has Secrets in many places: they are looked at.
    let quiet = finalizer
        && !key.is_system()
        && !objects::is_deleting(meta)
        && account.password_secret_ref().is_none()
        && status.observed_generation == meta.generation
        && status.previous.is_none()
        && said(kinds::READY, "Published")
        && said(kinds::SYNCED, "InSync")
        && !account.is_suspended();
    let record = status.robot.as_ref().filter(|_| quiet)?;
    let registry = ctx.registries.get(&resolve::resolve(&ctx.registries, account).ok()?)?;
    let spec = &registry.object.spec;
    let endpoint = registry.endpoint()?;
    let pinned_here = status.registry.as_ref().is_some_and(|pinned| pinned.url.as_deref() == Some(spec.url.as_str()));
    let desired = wish(ctx, account, &registry, &BTreeSet::new()).ok()?;
    let labels = ctx.index.labels(key.namespace());
    let origin = Origin { namespace: key.namespace(), labels: labels.as_ref() };
    let granted =
        registry.is_tenants() || grants::check(spec.grants.as_deref().unwrap_or_default(), origin, &desired).is_ok();
    let as_wished = status.expires_after.as_ref() == Some(&desired.expires_after)
        && status.permissions == desired.permission_records()
        && status.handled_refresh == desired.tokens.refresh
        && status.handled_revoke == desired.tokens.revoke
        && desired.enabled;
    if !(granted && as_wished && pinned_here) || spec.suspend.unwrap_or_default() || registry.is_deleting() {
        return None;
    }
    let robot = expected(&desired, record);
    let owner = account.owner_reference();
    let template = SecretTemplate {
        owner: &owner,
        wish: &desired.secret,
        endpoint: &endpoint,
        entries: &desired.entries,
        untouched: &[],
    };
    let now = registry.registry_now(ctx.now());
    let recorded = report::recorded(status);
    let renewal = situation::renewal_time(&desired, &recorded, &robot);
    let due = [renewal, record.expiration_time].into_iter().flatten().min();
    if due.is_some_and(|at| at <= now) || status.renewal_time != renewal {
        return None;
    }
    let slots = digest_of(&alone(robot));
    let template = template.digest(record.expiration_time);
    let record = recorded.current?;
    Some(Settled { registry: registry.key.clone(), slots, record, template, wake: due, now, desired })
}

/// The robots of an account with one robot that is as wished, if the last pass left it so and no sweep since found
/// anything else but another name.
pub(super) fn as_left(pass: &Pass<'_>) -> Option<[Option<Robot>; 2]> {
    let status = pass.account.status.as_ref().filter(|status| status.previous.is_none())?;
    let mut robot = expected(&pass.desired, status.robot.as_ref()?);
    let entry = pass.ctx.index.get(pass.key)?;
    if entry.renamed {
        let prefix = pass.registry.session.client.as_ref()?.name_prefix()?;
        let short = Slot::of(&robot.name).name(&entry.base_name);
        let former = prefix_of(&robot.name, &robot.home, &short)?.len();
        robot.name = format!("{prefix}{}", &robot.name[former..]);
    }
    let robots = alone(robot);
    (entry.slots == Some(digest_of(&robots))).then_some(robots)
}

fn alone(robot: Robot) -> [Option<Robot>; 2] {
    let mut robots = [None, None];
    let slot = Slot::of(&robot.name);
    robots[slot.index()] = Some(robot);
    robots
}

fn digest_of(robots: &[Option<Robot>; 2]) -> u64 {
    slots_digest(robots.each_ref().map(|robot| robot.as_ref().map(robot_digest)))
}

/// The robot that Harbor holds if nothing happened since this record was made.
pub(super) fn expected(desired: &Desired, record: &api::RobotRecord) -> Robot {
    Robot {
        id: record.id,
        name: record.name.clone(),
        description: desired.description(),
        home: desired.home.clone(),
        lifetime: desired.lifetime,
        expiration_time: record.expiration_time,
        editable: true,
        disabled: false,
        permissions: desired.permissions.clone(),
        foreign_effect: false,
        creation_time: record.creation_time,
        update_time: record.update_time.unwrap_or(record.creation_time),
    }
}
