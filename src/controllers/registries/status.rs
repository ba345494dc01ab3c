//! What the registry object says: a function of the registry's state, written when it changed.

use super::ServedRegistry;
use super::served::SKEW;
use crate::api::{
    CatalogueRecord, CatalogueSource, LoginKind, LoginRecord, RegistryKey, RegistryObject, RegistryStatus,
    RegistryTime, conditions as kinds, keys,
};
use crate::cluster::events::registry_reference;
use crate::cluster::{self, registries as objects};
use crate::controllers::Context;
use crate::domain::catalogue::{Catalogue, Version};
use crate::domain::conditions::{self, State, Verdict};
use crate::domain::permissions;
use crate::domain::robot::Home;

/// Conditions that are told as an event, too, when they come.
const TOLD_AS_EVENTS: [&str; 3] = [kinds::LOGIN_EXPIRING, kinds::REGISTRY_HOST_CHANGED, kinds::ROBOTS_LEFT_BEHIND];

/// A sweep found something out: says so.
pub async fn tell_swept(ctx: &Context, name: &RegistryKey) {
    let Some(state) = ctx.registries.get(name) else { return };
    // In doubt the probe that is on its way says everything.
    if state.trouble.is_none()
        && state.probed
        && let Err(error) = write_status(ctx, &state).await
    {
        tracing::debug!(registry = %name, %error, "the count waits for the next sweep");
    }
}

/// Who the login is, and what it may do.
fn login_record(state: &ServedRegistry, kind: LoginKind, before: &RegistryStatus) -> LoginRecord {
    let expiration_time = state.session.login_expiry();
    // A start forgets what was learned, and the next try tells it again.
    let same = before.login.as_ref().filter(|login| login.name == state.session.login_name);
    let may_update = state.session.capabilities.may_update_projects();
    let may_update = may_update.or_else(|| same.and_then(|login| login.may_update));
    let may_update_system = state.session.capabilities.may_update(&Home::System);
    let may_update_system = may_update_system.or_else(|| same.and_then(|login| login.may_update_system));
    let permissions = state.session.login_robot.as_ref().map(|own| own.holds.clone()).unwrap_or_default();
    let name = state.session.login_name.clone();
    LoginRecord { kind, name, may_update, may_update_system, permissions, expiration_time }
}

/// Writes what is to be said of the registry, if it differs from what is there.
pub(super) async fn write_status(ctx: &Context, state: &ServedRegistry) -> Result<(), cluster::Error> {
    let before = state.object.status.clone().unwrap_or_default();
    let generation = state.object.metadata.generation;
    let mut status = RegistryStatus {
        observed_generation: generation,
        cluster_name: Some(ctx.settings.cluster_name.clone()),
        ..before.clone()
    };
    // After a start accounts become known one by one, each by its first pass: fewer than before may be those alone.
    let (count, waiting) = (i32::try_from(ctx.index.count(&state.key)).ok(), ctx.queues.counts());
    if ctx.index.is_listed() && waiting.queued == 0 && (waiting.in_progress == 0 || count >= before.account_count) {
        status.account_count = count;
    }
    if let Some(counts) = &state.swept.counts {
        status.orphan_count = i32::try_from(counts.orphans()).ok();
        status.unmanaged_robots = Some(counts.unmanaged().record(state.registry_now(ctx.now())));
    }
    if let Some(info) = &state.session.info {
        status.login = Some(login_record(state, info.login, &before));
        status.permissions = known_permissions(state, info.version.as_deref());
        status.harbor_version.clone_from(&info.version);
        // Known from the settings, or from the first robot.
        if let Some(prefix) = state.session.client.as_ref().and_then(|client| client.name_prefix()) {
            status.robot_name_prefix = Some(prefix);
        }
        status.registry_host = state.image_host().map(|host| host.to_string());
    }
    status.former_urls = state.former_urls();
    let verdicts = verdicts(ctx, state);
    status.conditions = conditions::apply(&before.conditions, &verdicts, generation, ctx.wall_time().into());
    let status = status.bounded();
    if status == before {
        return Ok(());
    }
    ctx.metrics.kube_write("registry-status");
    let metadata = objects::write_status(&ctx.client, &state.object, status.clone()).await?;
    let object = RegistryObject { metadata, status: Some(status), ..(*state.object).clone() };
    for kind in TOLD_AS_EVENTS {
        let told = |status: &RegistryStatus| {
            conditions::find(&status.conditions, kind).map(|found| (found.reason.clone(), found.message.clone()))
        };
        let now = object.status.as_ref().and_then(told);
        if let (None, Some((reason, text))) = (told(&before), now) {
            warn(ctx, &state.key, &object, &reason, text);
        }
    }
    ctx.registries.record_write(state, object);
    Ok(())
}

/// The permissions that this Harbor knows, by its own word or by the built-in list.
fn known_permissions(state: &ServedRegistry, version: Option<&str>) -> Option<CatalogueRecord> {
    let version = version.and_then(Version::parse).filter(|version| *version >= Version::FIRST_CHECKED);
    let (source, known) = match (&state.session.catalogue, version) {
        (Some(listed), _) => (CatalogueSource::Harbor, (**listed).clone()),
        (None, Some(version)) => (CatalogueSource::BuiltIn, Catalogue::built_in(version)),
        (None, None) => return None,
    };
    let rows = |pairs| permissions::records(pairs, None, None);
    Some(CatalogueRecord { source, project: rows(&known.project), system: rows(&known.system) })
}

/// Publishes an event beside the pass: nobody waits for it.
pub fn warn(ctx: &Context, name: &RegistryKey, object: &RegistryObject, reason: &str, text: String) {
    tracing::warn!(registry = %name, reason, message = text, "told");
    tokio::spawn(ctx.event(registry_reference(object), true, reason, text));
}

fn verdicts(ctx: &Context, state: &ServedRegistry) -> Vec<Verdict> {
    let suspended = state.object.spec.suspend.unwrap_or_default();
    let ready = |reason: &'static str, message: &str| Verdict::new(kinds::READY, State::True, reason, message);
    let mut verdicts = vec![match &state.trouble {
        None if suspended => ready("Suspended", "the login works; spec.suspend stops every account of this registry"),
        None if state.session.kept => ready(
            "LoggedIn",
            "Harbor accepts the login, which is kept in memory until the last account is gone: its Secret, or the CA bundle, \
             does not exist any more",
        ),
        None => ready("LoggedIn", "Harbor accepts the login"),
        Some(trouble) => Verdict::new(kinds::READY, State::False, trouble.reason, trouble.message.clone()),
    }];
    let problem = state.swept.settings_problem.as_ref().or(state.swept.problem.as_ref());
    verdicts.push(match (&state.trouble, problem) {
        (Some(trouble), _) if trouble.permanent => {
            Verdict::new(kinds::STALLED, State::True, trouble.reason, trouble.message.clone())
        }
        (_, Some(problem)) => Verdict::new(kinds::STALLED, State::True, problem.reason, problem.message.clone()),
        _ => Verdict::absent(kinds::STALLED),
    });
    // That something at a tenant's address tells the time is more than `Unreachable` says.
    let silent = state.is_tenants() && state.trouble.is_some();
    verdicts.push(match state.session.client.as_ref().filter(|_| !silent) {
        Some(client) if client.clock_is_absurd() => {
            let message = "Harbor's answers carry a Date that is more than five years from this cluster's clock and is not \
                           believed; deadlines follow the last one that was, or this cluster's clock: set the clock of \
                           Harbor, or of what answers in its place";
            Verdict::new(kinds::CLOCK_SKEW, State::True, "ClockNotBelieved", message)
        }
        Some(client) if client.clock_offset().unsigned_abs() > SKEW => {
            let message = "Harbor's clock and this cluster's differ by more than 5 minutes; deadlines follow Harbor's";
            Verdict::new(kinds::CLOCK_SKEW, State::True, "ClockSkew", message)
        }
        _ => Verdict::absent(kinds::CLOCK_SKEW),
    });
    let expiring = login_expiring(state, state.registry_now(ctx.now()));
    verdicts.push(notice(kinds::LOGIN_EXPIRING, "LoginExpiring", expiring));
    verdicts.push(notice(kinds::REGISTRY_HOST_CHANGED, "RegistryHostChanged", host_changed(state)));
    verdicts.push(notice(kinds::ROBOTS_LEFT_BEHIND, "RobotsLeftBehind", state.left_behind()));
    verdicts
}

/// A condition that is there as long as there is something to tell.
fn notice(kind: &'static str, reason: &'static str, text: Option<String>) -> Verdict {
    text.map_or_else(|| Verdict::absent(kind), |text| Verdict::new(kind, State::True, reason, text))
}

fn host_changed(state: &ServedRegistry) -> Option<String> {
    let (kept, said) = state.unconfirmed_host()?;
    Some(format!(
        "Harbor names {said} now as the host of images; Secrets keep {kept}, since one answer shall not rewrite them all: if \
         that is right, confirm it by the annotation {}: {said}; else set spec.registryHost to the host to use",
        keys::ANNOTATION_CONFIRM_HOST
    ))
}

/// The day is part of the state; how far off it is would be another text at each look.
fn login_expiring(state: &ServedRegistry, now: RegistryTime) -> Option<String> {
    let at = state.session.login_robot.as_ref()?.expiring(now)?;
    Some(format!(
        "the operator's own login {} stops working at {at}: let it live longer in Harbor, or put another login into \
         Secret {}",
        state.session.login_name,
        state.login_secret()
    ))
}
