//! Robots with a mark of this cluster whose account is gone: counted, never touched.
//!
//! A mark names an account, so one question to the API server settles each robot that none of the accounts at hand owns.
//! The UID of an account that is gone never comes to life in another one, so the answer is kept.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::index::{Resident, digest};
use super::super::{Context, Key};
use crate::cluster::{self, objects};
use crate::domain::mark;
use crate::domain::robot::{Home, Robot};
use crate::domain::slots::Slot;
use crate::registry::Owner;
use crate::registry::harbor::short_name;

/// The digests of the owners that orphans name, one for each robot, by home. Homes without any are left out.
pub type Orphans = HashMap<Arc<Home>, Vec<u64>>;

/// How many robots that is.
pub fn count(orphans: &Orphans) -> usize {
    orphans.values().map(Vec::len).sum()
}

/// The account in a robot's mark, if it is one of this cluster's and none of those at hand. What an account left on
/// purpose is nobody's business.
pub fn owner_to_ask(ctx: &Context, residents: &[Resident], robot: &Robot) -> Option<Box<Owner>> {
    let mark = mark::parse(&robot.description).filter(|mark| !mark.retained)?;
    let here = mark.cluster == ctx.settings.cluster_name && is_watched(&ctx.settings.namespaces, mark.namespace);
    let uid = digest(Some(mark.uid.to_owned()));
    if !here || residents.binary_search_by_key(&uid, |resident| resident.uid).is_ok() {
        return None;
    }
    Some(Box::new(Owner { uid: mark.uid.into(), namespace: mark.namespace.into(), name: mark.name.into() }))
}

/// An operator of some namespaces cannot tell whether accounts elsewhere live.
fn is_watched(namespaces: &[String], namespace: &str) -> bool {
    namespaces.is_empty() || namespaces.iter().any(|watched| watched == namespace)
}

/// Those of a home's robots (full name and owner in the mark) that are orphans. `known` were orphans at the last sweep.
pub async fn among(
    ctx: &Context,
    home: &Arc<Home>,
    robots: Vec<(Box<str>, Box<Owner>)>,
    known: &[u64],
) -> Result<Vec<u64>, cluster::Error> {
    let mut orphans = Vec::new();
    for (robot, owner) in robots {
        let id = digest(&owner);
        if !is_taken_back(ctx, home, &robot, &owner) && (known.contains(&id) || is_gone(ctx, &owner).await?) {
            orphans.push(id);
        }
    }
    Ok(orphans)
}

/// The slot of an account of that very name, made again: it takes its predecessor's robot over.
fn is_taken_back(ctx: &Context, home: &Arc<Home>, robot: &str, owner: &Owner) -> bool {
    let key: Key = ctx.index.key(&owner.namespace, &owner.name);
    let Some(entry) = ctx.index.get(&key).filter(|entry| entry.home == *home) else { return false };
    let short = short_name(robot, home, None);
    short.is_some_and(|short| Slot::BOTH.iter().any(|slot| slot.name(&entry.base_name) == short))
}

async fn is_gone(ctx: &Context, owner: &Owner) -> Result<bool, cluster::Error> {
    if owner.namespace.is_empty() {
        // There are no cluster-scoped accounts.
        return Ok(true);
    }
    let found = objects::read(&objects::robot_accounts(&ctx.client, &owner.namespace), &owner.name).await?;
    Ok(found.is_none_or(|account| account.metadata.uid.as_deref() != Some(&*owner.uid)))
}
