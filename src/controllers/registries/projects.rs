//! The projects of a registry, for accounts that name them by pattern: listed once per poll, and anew when a person edits
//! such an account.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoginRobot;
use crate::api::RegistryKey;
use crate::controllers::Context;
use crate::registry::{Error, LoginKind, harbor};

/// A list that is this young serves all edits of a moment.
pub const FRESH: Duration = Duration::from_secs(5);

/// The names of all projects that the login sees, from a list that is at most this old.
pub async fn projects(ctx: &Context, name: &RegistryKey, age: Duration) -> Result<Arc<BTreeSet<String>>, Error> {
    let known = || {
        let state = ctx.registries.get(name)?;
        state.session.projects_seen.filter(|seen| seen.elapsed() <= age).and(state.session.projects.clone())
    };
    if let Some(projects) = known() {
        return Ok(projects);
    }
    let not_set_up = || Error::Unreachable("the registry is not set up");
    let state = ctx.registries.get(name).ok_or_else(not_set_up)?;
    let client = state.session.client.as_ref().ok_or_else(not_set_up)?;
    let _alone = state.session.capabilities.listing.lock().await;
    match known() {
        Some(projects) => Ok(projects),
        None => list(ctx, name, client).await,
    }
}

/// Lists the projects and has every account looked at whose permissions that may change.
async fn list(ctx: &Context, name: &RegistryKey, client: &harbor::Client) -> Result<Arc<BTreeSet<String>>, Error> {
    let asked = ctx.registries.get(name).map(|state| state.session.connection);
    let projects = Arc::new(client.projects().await?);
    if let Some(kept) = lost_sight(ctx, name, client, &projects).await? {
        return Ok(kept);
    }
    let mut before = None;
    ctx.registries.change(name, |state| {
        // A late answer says nothing of another login, or of another Harbor.
        if asked == Some(state.session.connection) && state.session.url == state.object.spec.url {
            before = state.session.projects.replace(Arc::clone(&projects));
            state.session.projects_seen = Some(Instant::now());
        }
    });
    if before.is_some_and(|before| before != projects) {
        tracing::debug!(registry = %name, count = projects.len(), "projects came or went");
        ctx.recheck_those(name, |_, entry| entry.by_pattern);
    }
    Ok(projects)
}

/// A robot login that lost its right to see all projects is shown a short list, which must not be taken for projects that
/// went: the former list, if it is so.
async fn lost_sight(
    ctx: &Context,
    name: &RegistryKey,
    client: &harbor::Client,
    projects: &BTreeSet<String>,
) -> Result<Option<Arc<BTreeSet<String>>>, Error> {
    let Some(state) = ctx.registries.get(name) else { return Ok(None) };
    let Some(before) = state.session.projects.clone().filter(|before| !before.is_subset(projects)) else {
        return Ok(None);
    };
    if state.session.info.as_ref().is_none_or(|info| info.login != LoginKind::Robot) {
        return Ok(None);
    }
    let Some(own) = client.login_robot(&state.session.login_name).await?.map(LoginRobot::from) else { return Ok(None) };
    if own.lists_projects {
        return Ok(None);
    }
    tracing::warn!(registry = %name, "the login does not see all projects any more");
    ctx.registries.change(name, |state| state.session.login_robot = Some(own));
    Ok(Some(before))
}

/// At each poll: projects that came or went, and those that accounts name and that were missing. Answers how many calls
/// that took.
pub async fn refresh(ctx: &Context, name: &RegistryKey, client: &harbor::Client) -> Result<u32, Error> {
    let Some(state) = ctx.registries.get(name) else { return Ok(0) };
    let mut calls = 0;
    if !ctx.index.keys(|_, entry| entry.registry == *name && entry.by_pattern).is_empty() {
        let _alone = state.session.capabilities.listing.lock().await;
        let projects = list(ctx, name, client).await?;
        calls += u32::try_from(projects.len() / 100).unwrap_or(u32::MAX).saturating_add(1);
    }
    for project in state.session.capabilities.missing_projects() {
        calls += 1;
        if client.project_exists(&project).await? {
            state.session.capabilities.set_project_found(&project);
            ctx.recheck_those(name, |key, _| key.is_system());
        }
    }
    Ok(calls)
}
