//! Robots with a mark of this cluster whose account is gone: counted, and deleted only where `orphanPolicy` says so.
//!
//! A mark names an account, so one question to the API server settles each robot that none of the accounts at hand owns.
//! The UID of an account that is gone never comes to life in another one, so the answer is kept.

use std::sync::Arc;
use std::time::Instant;

use super::super::index::AccountSlots;
use super::super::registries::ServedRegistry;
use super::super::{Context, Key};
use crate::api::RegistryKey;
use crate::cluster::{self, accounts};
use crate::domain::digest;
use crate::domain::mark::{self, Mark};
use crate::domain::robot::Home;
use crate::domain::slots::Slot;
use crate::registry::harbor::short_name;
use crate::registry::{Class, Error, Owner, harbor};

/// The account in a robot's mark, if it is one of this cluster's and none of those at hand. What an account left on
/// purpose is nobody's business.
pub(super) fn owner_to_ask(
    ctx: &Context,
    registry: &RegistryKey,
    residents: &[AccountSlots],
    mark: &Mark<'_>,
) -> Option<Box<Owner>> {
    // A tenant writes what it likes into its own Harbor: of accounts elsewhere that must tell nothing.
    let may_be_of = registry.namespace().is_none_or(|namespace| *namespace == mark.namespace);
    let uid = digest(Some(mark.uid.to_owned()));
    if mark.retained || !may_be_of || residents.binary_search_by_key(&uid, |resident| resident.uid).is_ok() {
        return None;
    }
    owner_here(ctx, mark)
}

/// The account that a mark names, if the mark is of this cluster and the account's namespace is watched.
pub(super) fn owner_here(ctx: &Context, mark: &Mark<'_>) -> Option<Box<Owner>> {
    let namespaces = &ctx.settings.namespaces;
    // An operator of some namespaces cannot tell whether accounts elsewhere live.
    let watched = namespaces.is_empty() || namespaces.iter().any(|watched| *watched == *mark.namespace);
    let here = mark.cluster == ctx.settings.cluster_name && watched;
    Owner::in_mark(mark).filter(|_| here).map(Box::new)
}

/// A robot without an account.
pub(super) struct Orphan {
    /// The digest of the owner in its mark.
    pub(super) id: u64,
    /// Its full name.
    pub(super) robot: Box<str>,
    /// The account in its mark.
    pub(super) owner: Box<Owner>,
}

/// Those of a home's robots (full name and owner in the mark) that are orphans. `known` were orphans at the last sweep.
pub(super) async fn among(
    ctx: &Context,
    home: &Arc<Home>,
    prefix: Option<&str>,
    robots: Vec<(Box<str>, Box<Owner>)>,
    known: &[u64],
) -> Result<Vec<Orphan>, cluster::Error> {
    let mut orphans = Vec::new();
    for (robot, owner) in robots {
        let id = digest(&owner);
        if !is_taken_back(ctx, home, prefix, &robot, &owner) && (known.contains(&id) || is_gone(ctx, &owner).await?) {
            orphans.push(Orphan { id, robot, owner });
        }
    }
    Ok(orphans)
}

/// Deletes those orphans of a home that were orphans at each look for long enough; answers with those that are left.
pub(super) async fn delete(
    ctx: &Context,
    registry: &ServedRegistry,
    client: &harbor::Client,
    home: &Arc<Home>,
    orphans: Vec<Orphan>,
) -> Result<Vec<Orphan>, Error> {
    let found = orphans.iter().map(|orphan| key(home, orphan)).collect();
    let due = registry.swept.orphans_due.lasting(home, &found, ctx.settings.orphan_after, Instant::now());
    let mut left = Vec::new();
    for orphan in orphans {
        if !due.contains(&key(home, &orphan)) || !execute(ctx, client, home, &orphan).await? {
            left.push(orphan);
        }
    }
    Ok(left)
}

/// What tells one orphan from another between two looks.
pub(super) fn key(home: &Home, orphan: &Orphan) -> u64 {
    digest((home, &orphan.robot, orphan.id))
}

/// Looks once more, by name, mark and account, and deletes the robot. False if it is not (or no longer) an orphan, or not
/// ours to delete now.
async fn execute(ctx: &Context, client: &harbor::Client, home: &Arc<Home>, orphan: &Orphan) -> Result<bool, Error> {
    let prefix = client.name_prefix().filter(|_| **home == Home::System);
    let Some(short) = short_name(&orphan.robot, home, prefix.as_deref()) else { return Ok(false) };
    let found = client.find(home, &[short]).await?.into_iter().find(|robot| *robot.name == *orphan.robot);
    let Some(robot) = found else { return Ok(true) };
    let same = mark::parse(&robot.description).is_some_and(|mark| {
        !mark.retained && *mark.uid == *orphan.owner.uid && mark.cluster == ctx.settings.cluster_name
    });
    let taken_back = is_taken_back(ctx, home, prefix.as_deref(), &orphan.robot, &orphan.owner);
    // Whatever cannot be asked now is asked at the next look.
    if !same || taken_back || !is_gone(ctx, &orphan.owner).await.unwrap_or_default() {
        return Ok(false);
    }
    match client.delete(robot.id).await {
        Ok(()) => {
            tracing::info!(robot = %robot.name, id = robot.id, "a robot whose account is gone was deleted");
            Ok(true)
        }
        Err(error) if error.class() == Class::UserFix => {
            tracing::warn!(robot = %robot.name, %error, "a robot whose account is gone could not be deleted");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The slot of an account of that very name, made again: it takes its predecessor's robot over.
fn is_taken_back(ctx: &Context, home: &Arc<Home>, prefix: Option<&str>, robot: &str, owner: &Owner) -> bool {
    let key = Key { namespace: owner.namespace.clone(), name: owner.name.clone() };
    let Some(entry) = ctx.index.get(&key).filter(|entry| entry.home == *home) else { return false };
    let short = short_name(robot, home, prefix);
    short.is_some_and(|short| Slot::BOTH.iter().any(|slot| slot.name(&entry.base_name) == short))
}

/// An account that cannot be read is not gone, nor is one that may not be looked at.
async fn is_gone(ctx: &Context, owner: &Owner) -> Result<bool, cluster::Error> {
    match accounts::read(&ctx.client, owner.namespace.as_ref(), &owner.name).await {
        Ok(found) => Ok(found.is_none_or(|account| account.metadata.uid.as_deref() != Some(&*owner.uid))),
        Err(cluster::Error::Unreadable(object)) => Ok(object.metadata.uid.is_some_and(|uid| *uid != *owner.uid)),
        Err(cluster::Error::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
