//! The Secret of a system account in each of its namespaces. The first one, in the operator's own namespace, is where the
//! credential is kept; the others are copies of it. What happens in one namespace holds up no other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::super::Pass;
use super::pull_secrets::{Place, Served};
use super::{Run, STEP_TIME, Trouble};
use crate::api::conditions as kinds;
use crate::cluster;
use crate::cluster::secret_form::{Credential, Form};
use crate::cluster::secrets::{self, Copied, Live};
use crate::controllers::index::digest;
use crate::domain::conditions;
use crate::domain::spread::{Problem, Row};
use crate::registry::Class;

/// Namespaces at the same time.
const AT_ONCE: usize = 8;

/// A namespace whose Secret could not be written for a passing reason is looked at again after this long.
const RETRY: Duration = Duration::from_secs(10);

/// What came of one namespace.
enum Went {
    /// The Secret and its ServiceAccounts are as they should be; `None` = they were known to be.
    Well(Option<Box<Served>>),
    /// They are not; when to look again, if that is known.
    Wrong(Problem, Option<Instant>),
}

/// What came of all namespaces.
#[derive(Default)]
pub(in super::super) struct Spread {
    /// Each namespace that was looked at; `None` = only those that are not asked for any more were.
    pub(in super::super) rows: Option<Vec<Row>>,
    /// What is to be told of ServiceAccounts.
    served: Vec<Served>,
    /// When to look again, if nothing tells.
    wake: Option<Instant>,
}

impl Run<'_, '_> {
    /// Brings the published credential to the namespaces, if there is nothing against it, and takes it out of those that are
    /// not asked for any more.
    pub(super) async fn spread(&mut self, bring: bool) {
        let named = self.live.credential.as_ref().map(|credential| credential.robot.clone());
        let robot = self.robots.iter().flatten().find(|robot| named.as_ref().is_some_and(|named| named.is(robot)));
        let credential = robot.and_then(|robot| self.live.credential_of(robot));
        let owned = (self.gathered.hosts.clone(), self.gathered.owner.clone());
        let done = self.pass.spread(&self.live, credential.as_ref(), &owned.0, &owned.1, bring).await;
        for served in &done.served {
            self.take(served);
        }
        self.wake = [self.wake, done.wake].into_iter().flatten().min();
        self.rows = done.rows;
    }

    /// The account is on its way out, or may hold nothing any more. Secrets that are `released` outlive it as they are; the
    /// others are deleted, and no ServiceAccount names them any more.
    pub(super) async fn withdraw(&mut self, released: bool) -> Result<(), Trouble> {
        if !self.pass.key.is_system() {
            return Ok(());
        }
        let (hosts, owner) = (self.gathered.hosts.clone(), self.gathered.owner.clone());
        let wish = &self.pass.desired.secret;
        let form = Form { owner: &owner, wish, hosts: &hosts, service_accounts: &[] };
        for name in self.pass.places() {
            if *name == *self.pass.secret_namespace {
                continue;
            }
            if released {
                let live = secrets::read(&self.pass.ctx.client, &name, &form).await?;
                secrets::release(&self.pass.ctx.client, &name, &live, &form).await?;
            } else {
                match self.pass.take_away(&name, &form).await {
                    // A namespace that refuses this is not held up: what is left there goes with its owner.
                    Ok(()) | Err(cluster::Error::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if !released {
            self.rows = Some(Vec::new());
        }
        Ok(())
    }
}

impl Pass<'_> {
    /// What needs no Harbor: a credential that was published and, as far as one knows, `works` is brought to namespaces that
    /// come, and taken out of those that are not asked for any more. Nothing is brought if the first Secret is not as it was
    /// left.
    pub(in super::super) async fn spread_what_is_published(&self, works: bool) -> Result<Spread, cluster::Error> {
        let (owner, hosts) = (self.account.owner_reference(), self.registry.hosts().unwrap_or_default());
        let status = self.account.status.as_ref();
        let good = status.is_some_and(|status| conditions::is_true(&status.conditions, kinds::READY));
        let robot = status.and_then(|status| status.robot.as_ref()).filter(|_| works && good && self.desired.enabled);
        let alive = robot.filter(|robot| robot.expires_at.is_none_or(|at| at > self.registry_now()));
        let live = secrets::read(&self.ctx.client, &self.secret_namespace, &self.form(&owner, &hosts)).await?;
        let published = live.credential.as_ref().filter(|credential| {
            alive
                .is_some_and(|robot| robot.id == credential.robot.id && robot.created_at == credential.robot.created_at)
        });
        Ok(self.spread(&live, published, &hosts, &owner, published.is_some()).await)
    }

    /// Makes the Secrets of the namespaces what they should be: copies of `primary`, which holds this credential.
    async fn spread(
        &self,
        primary: &Live,
        credential: Option<&Credential>,
        hosts: &[String],
        owner: &OwnerReference,
        bring: bool,
    ) -> Spread {
        let mut done = Spread::default();
        let Some(wanted) = &self.spread else { return done };
        let home = &*self.secret_namespace;
        let names: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let form = Form { owner, wish: &self.desired.secret, hosts, service_accounts: &self.desired.service_accounts };
        let stale: Vec<String> =
            self.places().into_iter().filter(|name| name != home && !names.contains(name.as_str())).collect();
        let mut rows = Vec::new();
        let again = Instant::now() + self.registry.poll_interval(&self.ctx.settings);
        for name in stale {
            if let Err(error) = self.take_away(&name, &form).await {
                rows.push(Row { name, problem: Some(problem_of(&error, true)) });
                done.wake = [done.wake, Some(again)].into_iter().flatten().min();
            }
        }
        if !bring {
            return done;
        }
        let (put, form) = (credential.filter(|_| !primary.is_absent()), &form);
        // Everything in a namespace that is being deleted is on its way out.
        let copies = wanted
            .iter()
            .filter(|(name, found)| name != home && !found.as_ref().is_some_and(|namespace| namespace.terminating));
        let visit = |name, exists: bool| -> BoxFuture<'_, (&str, Went)> {
            match put {
                _ if !exists => Box::pin(std::future::ready((name, Went::Wrong(Problem::no_namespace(), None)))),
                None => Box::pin(std::future::ready((name, Went::Wrong(Problem::no_credential(), None)))),
                Some(held) => Box::pin(async move { (name, self.bring(name, primary, form, held).await) }),
            }
        };
        let visits: Vec<_> = copies.map(|(name, found)| visit(name.as_str(), found.is_some())).collect();
        let went: Vec<(&str, Went)> = stream::iter(visits).buffered(AT_ONCE).collect().await;
        for (name, went) in went {
            let problem = match went {
                Went::Well(result) => {
                    done.served.extend(result.map(|served| *served));
                    None
                }
                Went::Wrong(problem, again) => {
                    done.wake = [done.wake, again].into_iter().flatten().min();
                    Some(problem)
                }
            };
            rows.push(Row { name: name.to_owned(), problem });
        }
        if names.contains(home) {
            rows.push(Row { name: home.to_owned(), problem: put.is_none().then(Problem::no_credential) });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        done.rows = Some(rows);
        done
    }

    /// Every namespace that has a copy, or may have one.
    fn places(&self) -> BTreeSet<String> {
        let recorded = self.account.status.iter().flat_map(|status| &status.secret_refs);
        let recorded = recorded.map(|secret| secret.namespace.clone());
        self.ctx.index.copied_to(self.key).into_iter().chain(recorded).collect()
    }

    /// Makes the Secret of a namespace a copy of the first one.
    async fn bring(&self, namespace: &str, primary: &Live, form: &Form<'_>, held: &Credential) -> Went {
        let ctx = self.ctx;
        let content = digest((primary.version(), form.digest(held.expires_at), &held.robot.name));
        if ctx.settings.watch_secrets && ctx.index.is_copy_settled(self.key, namespace, content) {
            return Went::Well(None);
        }
        let before = ctx.index.copy(self.key, namespace);
        if let Some(until) = before.contest.as_ref().and_then(|contest| contest.until(Instant::now())) {
            return self.contested(until);
        }
        match self.try_to_bring(namespace, form, held, before.left).await {
            Ok(went) => {
                let quiet =
                    matches!(&went, Went::Well(Some(served)) if served.notes.is_empty() && served.contested.is_none());
                ctx.index.update_copy(self.key, namespace, |copy| copy.content = if quiet { content } else { 0 });
                went
            }
            Err(error) => {
                ctx.index.update_copy(self.key, namespace, |copy| copy.content = 0);
                // What a policy refuses it may allow later, and nothing tells when.
                let refused = error.class() == Class::UserFix;
                let pause = if refused { self.registry.poll_interval(&ctx.settings) } else { RETRY };
                let mut recorded = self.account.status.iter().flat_map(|status| &status.secret_refs);
                let held = before.left != 0 || before.seen != 0 || recorded.any(|it| it.namespace == namespace);
                Went::Wrong(problem_of(&error, held), Some(Instant::now() + pause))
            }
        }
    }

    async fn try_to_bring(
        &self,
        namespace: &str,
        form: &Form<'_>,
        held: &Credential,
        left: u64,
    ) -> Result<Went, cluster::Error> {
        let ctx = self.ctx;
        self.lead().await?;
        let copied = secrets::copy(&ctx.client, namespace, held, form).await?;
        let (live, served) = match copied {
            Copied::Foreign => {
                ctx.index.drop_copy(self.key, namespace);
                let problem = Problem {
                    reason: "SecretNotOwned".to_owned(),
                    message: format!(
                        "a Secret {} is there that was not made for this account; delete it, or choose another \
                         spec.secret.name",
                        form.wish.name
                    ),
                    behind: false,
                    waits: false,
                };
                // A stranger's Secret carries no label of ours, so no watch tells when it goes.
                return Ok(Went::Wrong(problem, Some(Instant::now() + self.registry.poll_interval(&ctx.settings))));
            }
            Copied::Unchanged(live) => {
                let served = live.service_accounts();
                (live, served)
            }
            Copied::Changed { from, served, to } => {
                ctx.metrics.kube_write("secret");
                // Neither ours of the last pass nor a new one: somebody wrote in between.
                let disturbed = left != 0 && from != left;
                ctx.index.update_copy(self.key, namespace, |copy| {
                    if disturbed {
                        copy.contest.get_or_insert_default().note(Instant::now());
                    }
                });
                (to, served)
            }
        };
        let version = live.version();
        ctx.index.update_copy(self.key, namespace, |copy| copy.left = version);
        let place = Place { namespace, live, form: form.clone(), served };
        let served = self.serve(place, form.service_accounts).await?;
        let version = served.live.version();
        ctx.index.update_copy(self.key, namespace, |copy| copy.left = version);
        Ok(Went::Well(Some(Box::new(served))))
    }

    /// Takes the Secret and its entries out of a namespace that is not asked for any more.
    async fn take_away(&self, namespace: &str, form: &Form<'_>) -> Result<(), cluster::Error> {
        let ctx = self.ctx;
        self.lead().await?;
        let live = secrets::read(&ctx.client, namespace, form).await?;
        if live.is_absent() || live.is_ours() {
            // Entries may be left of a Secret that somebody deleted.
            let place = Place { namespace, live, form: form.clone(), served: Vec::new() };
            let live = self.serve(place, &[]).await?.live;
            if !live.is_absent() {
                ctx.metrics.kube_write("secret");
                secrets::delete(&ctx.client, namespace, &live).await?;
            }
        }
        ctx.index.set_service_accounts(self.key, namespace, &[]);
        ctx.index.drop_copy(self.key, namespace);
        Ok(())
    }

    /// What is done in one namespace takes no longer than this replica surely leads.
    async fn lead(&self) -> Result<(), cluster::Error> {
        let claim = &self.ctx.claim;
        if claim.holds_for(STEP_TIME) || claim.hold_for(STEP_TIME).await {
            Ok(())
        } else {
            Err(cluster::Error::Failed("another replica leads".to_owned()))
        }
    }

    fn contested(&self, until: Instant) -> Went {
        let problem = Problem {
            reason: "SecretContested".to_owned(),
            message: format!(
                "Secret {} was changed or deleted three times within 10 minutes; it is left alone for 10 minutes: find out \
                 who does that and stop it",
                self.desired.secret.name
            ),
            behind: true,
            waits: false,
        };
        Went::Wrong(problem, Some(until))
    }
}

fn problem_of(error: &cluster::Error, behind: bool) -> Problem {
    Problem { reason: error.reason().to_owned(), message: error.to_string(), behind, waits: false }
}
