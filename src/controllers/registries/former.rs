//! Harbors that `spec.url` named before. Accounts get new robots at the present one, and those at the former one live on
//! until they expire, with permissions and a secret that somebody may still have: the registry says so, and deletes them
//! when its owner asks for that by annotation.
//!
//! The session of the former login is kept as long as the process lives, since the Secret may hold another one by now.
//! After a restart the present login is tried, at a URL that the owner has to repeat in the annotation: whoever may do that
//! may as well write `spec.url`. Nothing is deleted that the present Harbor has, too (it may be the same one under another
//! name), nor the robot of an account that has no working credential at the present one yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::ServedRegistry;
use super::connect::client_at;
use crate::api::{FormerUrl, RegistryKey, conditions as kinds, keys};
use crate::cluster::accounts;
use crate::controllers::Context;
use crate::controllers::index::AccountSlots;
use crate::domain::conditions;
use crate::domain::digest;
use crate::domain::mark;
use crate::domain::robot::{Home, Robot};
use crate::registry::harbor::short_name;
use crate::registry::{Digest, Error, Owner, harbor};

/// So many are kept, the latest.
const KEPT: usize = 5;
/// So many robots are named.
const NAMED: usize = 20;

/// A Harbor that `spec.url` named before.
#[derive(Clone)]
pub(super) struct Former {
    /// What is told of it.
    told: FormerUrl,
    /// The session of the login that was used there; `None` after a restart.
    client: Option<Arc<harbor::Client>>,
    /// It was asked what is left there, or could not be.
    asked_once: bool,
}

impl ServedRegistry {
    /// What the status of the object says was left, after a start.
    pub(super) fn recall_former(&mut self) {
        let recorded = self.object.status.iter().flat_map(|status| status.former_urls.clone());
        self.former = recorded.map(|told| Former { told, client: None, asked_once: true }).take(KEPT).collect();
    }

    /// `spec.url` names another Harbor than this one now.
    pub(super) fn leave(&mut self, url: &str, client: Option<Arc<harbor::Client>>) {
        let present = self.object.spec.url.as_str();
        self.former.retain(|former| former.told.url != present && (former.told.url != url || client.is_none()));
        if url != present && !self.former.iter().any(|former| former.told.url == url) {
            self.former.insert(0, Former { told: unknown(url), client, asked_once: false });
            self.former.truncate(KEPT);
        }
    }

    /// For the status, which is the only record of them after a restart: also those that were not asked yet.
    pub(super) fn former_urls(&self) -> Vec<FormerUrl> {
        self.former.iter().map(|former| former.told.clone()).collect()
    }

    /// What is left where, and what to do; `None` if nothing is.
    pub(super) fn left_behind(&self) -> Option<String> {
        let former = self.former.iter().find(|former| former.asked_once)?;
        let FormerUrl { url, robots, names } = &former.told;
        let what = match robots {
            Some(1) => format!("a robot of this registry's accounts is left in the Harbor at {url}"),
            Some(count) => format!("{count} robots of this registry's accounts are left in the Harbor at {url}"),
            None => format!(
                "robots of this registry's accounts may be left in the Harbor at {url}, which could not be asked"
            ),
        };
        let which = match names.len() {
            0 => String::new(),
            _ => format!(" ({}{})", names[..names.len().min(3)].join(", "), if names.len() > 3 { ", …" } else { "" }),
        };
        Some(format!(
            "{what}{which} and work there until they expire: have them deleted by the annotation {}: {url} while the login \
             works there, or delete them by hand; the annotation {}: {url} ends this notice",
            keys::ANNOTATION_CLEANUP_FORMER_URL,
            keys::ANNOTATION_FORGET_FORMER_URL
        ))
    }
}

/// Looks once what was left in Harbors that `spec.url` named before, and deletes it where that is asked for.
pub async fn check_former(ctx: &Arc<Context>, name: &RegistryKey) {
    let Some(state) = ctx.registries.get(name) else { return };
    // A sweep that began before the URL changed has the former one's client at hand.
    let session = &state.session;
    let Some(present) = session.client.clone().filter(|_| session.url == state.object.spec.url) else { return };
    let suspended = state.object.spec.suspend.unwrap_or_default() || state.is_deleting();
    for former in &state.former {
        let url = former.told.url.as_str();
        let asked = |key| state.annotation(key) == Some(url);
        let clean = asked(keys::ANNOTATION_CLEANUP_FORMER_URL) && !suspended;
        let told = if asked(keys::ANNOTATION_FORGET_FORMER_URL) {
            None
        } else if clean || !former.asked_once {
            let client = match &former.client {
                None if clean => client_at(ctx, &state, url).await,
                known => known.clone(),
            };
            match left_at(ctx, &state, url, client, &present, clean).await {
                Ok(left) => left,
                Err(error) => {
                    tracing::info!(registry = %name, url, %error, "the former Harbor was not asked");
                    Some(unknown(url))
                }
            }
        } else {
            continue;
        };
        ctx.registries.change(name, |state| match told {
            None => state.former.retain(|former| former.told.url != url),
            Some(told) => {
                for former in state.former.iter_mut().filter(|former| former.told.url == url) {
                    former.told.clone_from(&told);
                    former.asked_once = true;
                }
            }
        });
    }
}

/// Nobody knows what is left there.
fn unknown(url: &str) -> FormerUrl {
    FormerUrl { url: url.to_owned(), robots: None, names: Vec::new() }
}

/// What is left at a former Harbor, without the robots that are deleted if it is to be `clean`; `None` = nothing is.
async fn left_at(
    ctx: &Context,
    state: &ServedRegistry,
    url: &str,
    client: Option<Arc<harbor::Client>>,
    present: &harbor::Client,
    clean: bool,
) -> Result<Option<FormerUrl>, Error> {
    let client = client.ok_or(Error::Unreachable("no login for it is known any more"))?;
    let mut names = Vec::new();
    for robot in survey(ctx, &state.key, &client, present).await? {
        if !(clean && delete(ctx, state, &client, &robot).await) {
            names.push(robot.name.into());
        }
    }
    let count = names.len();
    names.truncate(NAMED);
    Ok((count > 0).then(|| FormerUrl { url: url.to_owned(), robots: i32::try_from(count).ok(), names }))
}

/// A robot that an account left.
struct Left {
    home: Arc<Home>,
    name: Box<str>,
    /// See [`same`].
    same: u64,
    owner: Owner,
}

/// Tells a robot from another one of its name, and of its id after a restore.
fn same(robot: &Robot) -> u64 {
    digest((robot.id, robot.creation_time, &robot.name))
}

/// The robots of this registry's accounts that the former Harbor has and the present one has not.
async fn survey(
    ctx: &Context,
    name: &RegistryKey,
    former: &harbor::Client,
    present: &harbor::Client,
) -> Result<Vec<Left>, Error> {
    let mut left = Vec::new();
    for (home, mut residents) in ctx.index.by_home(name) {
        residents.sort_unstable_by_key(|resident| resident.uid);
        let there = in_home(ctx, former, &home, &residents).await?;
        if there.is_empty() {
            continue;
        }
        let here: HashSet<u64> =
            in_home(ctx, present, &home, &residents).await?.into_iter().map(|robot| robot.whole).collect();
        let gone = there.into_iter().filter(|robot| !here.contains(&robot.whole));
        left.extend(gone.filter_map(|Digest { name, whole, owner, .. }| {
            Some(Left { home: Arc::clone(&home), name, same: whole, owner: *owner? })
        }));
    }
    Ok(left)
}

/// The robots of a home that carry the mark of one of these accounts.
async fn in_home(
    ctx: &Context,
    client: &harbor::Client,
    home: &Home,
    residents: &[AccountSlots],
) -> Result<Vec<Digest>, Error> {
    let owner = |robot: &Robot| {
        let mark = mark::parse(&robot.description).filter(|mark| !mark.retained)?;
        let uid = digest(Some(mark.uid.to_owned()));
        let ours = mark.cluster == ctx.settings.cluster_name
            && residents.binary_search_by_key(&uid, |resident| resident.uid).is_ok();
        ours.then(|| Owner::in_mark(&mark)).flatten()
    };
    let reduce = |robot: &Robot| {
        let owner = Some(Box::new(owner(robot)?));
        Some(Digest { name: robot.name.as_str().into(), whole: same(robot), renamed_from: None, owner, beyond: None })
    };
    match client.digests(home, &reduce).await {
        // With the project its robots went.
        Err(Error::ProjectNotFound(_)) => Ok(Vec::new()),
        robots => robots,
    }
}

/// Looks once more and deletes the robot. False if that is not to be done now.
async fn delete(ctx: &Context, state: &ServedRegistry, former: &harbor::Client, left: &Left) -> bool {
    let Owner { uid, namespace, name } = &left.owner;
    let served = match accounts::read(&ctx.client, namespace.as_ref(), name).await {
        Ok(Some(account)) => account.status.as_ref().is_some_and(|status| {
            let pinned = status.registry.as_ref().and_then(|pinned| pinned.url.as_deref());
            account.metadata.uid.as_deref() == Some(&**uid)
                && pinned == Some(state.object.spec.url.as_str())
                && conditions::is_true(&status.conditions, kinds::READY)
        }),
        Ok(None) | Err(_) => false,
    };
    let prefix = former.name_prefix().filter(|_| *left.home == Home::System);
    let Some(short) = short_name(&left.name, &left.home, prefix.as_deref()).filter(|_| served) else { return false };
    let Ok(found) = former.find(&left.home, &[short]).await else { return false };
    let Some(robot) = found.into_iter().find(|robot| same(robot) == left.same) else { return true };
    match former.delete(robot.id).await {
        Ok(()) => {
            tracing::info!(robot = %robot.name, id = robot.id, "a robot that was left in the former Harbor was deleted");
            true
        }
        Err(error) => {
            tracing::warn!(robot = %robot.name, %error, "a robot that was left in the former Harbor was not deleted");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::served::tests::registry;
    use super::*;

    #[test]
    fn a_harbor_that_was_left_is_on_record_before_anything_is_told_of_it() {
        let mut state = registry(false, &json!({}));
        let mut object = (*state.object).clone();
        let pin = "images.example.com https://former.example.com".to_owned();
        object.metadata.annotations = Some([(keys::ANNOTATION_PINNED_HOST.to_owned(), pin)].into());
        state.object = Arc::new(object);
        state.keep_host();
        let urls: Vec<String> = state.former_urls().into_iter().map(|former| former.url).collect();
        assert_eq!(urls, ["https://former.example.com"]);
        assert_eq!(state.left_behind(), None, "the next sweep asks");
    }
}
