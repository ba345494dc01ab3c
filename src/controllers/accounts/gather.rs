//! What a pass reads before it plans: grants (no call), the Secret (live), the robots in our slots (one call), and one
//! login where nothing else can tell whether the credential still works.

mod password;
mod permit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use secrecy::SecretString;

use super::{Pass, restart};
use crate::api::{RegistryTime, keys};
use crate::cluster::objects::Version;
use crate::cluster::secrets::SecretSnapshot;
use crate::cluster::{self, objects};
use crate::controllers::index::robot_identity;
use crate::controllers::registries::Trouble;
use crate::domain::mark::{self, Owner};
use crate::domain::observed::SecretSeen;
use crate::domain::pace;
use crate::domain::plan::{CustomPassword, Permit, Situation};
use crate::domain::report::{self, Failure};
use crate::domain::robot::Robot;
use crate::domain::secret_entries::SecretEntry;
use crate::domain::situation::Observed;
use crate::domain::slots::Slot;
use crate::domain::spread;
use crate::registry::{self, harbor};

/// Why gathering ended early.
pub(super) enum Stop {
    /// The operator is to end, and nothing was changed yet.
    Ending,
    Kube(cluster::Error),
    Registry(registry::Error),
    /// The registry cannot be used now.
    Trouble(Trouble),
    /// The registry is being probed at this moment.
    Wait,
    /// Sweeps cannot list the account's home.
    Home(Failure),
    /// Others need what the account publishes.
    Needed(Failure),
    /// The registry has not taken up yet what the account publishes.
    NotTakenUp(Failure),
    /// What is wished for cannot be had as it is; nothing is changed, and the next poll looks again.
    Wish {
        failure: Failure,
        /// What is published does not work.
        lost: bool,
    },
}

impl From<cluster::Error> for Stop {
    fn from(error: cluster::Error) -> Self {
        Self::Kube(error)
    }
}

pub(super) struct Gathered {
    /// All that the plan depends on.
    pub(super) observed: Observed,
    pub(super) client: Option<Arc<harbor::Client>>,
    /// The robots are what the last pass left and the last sweep found: enough for adding one, not for changing any.
    pub(super) from_memory: bool,
    pub(super) live: SecretSnapshot,
    /// Reason and text of what is not permitted.
    pub(super) refusal: Option<(&'static str, String)>,
    /// The password that a new secret has to be, if one is wished; `None` = Harbor draws it.
    pub(super) own_password: Option<SecretString>,
    /// Why the wished password cannot be used; what is published stays.
    pub(super) password_problem: Option<Failure>,
    /// Others keep changing our Secret: it is left alone until then.
    pub(super) secret_contested: Option<Instant>,
    /// See `SecretTemplate::untouched`.
    pub(super) untouched: Vec<SecretEntry>,
    /// The credential was renewed lately: the next renewal by timer waits until then (registry time).
    pub(super) renewal_paced_until: Option<RegistryTime>,
    /// When to look again for a reason that is not in status.
    pub(super) wake: Option<RegistryTime>,
}

impl Gathered {
    /// Until when the replacement that is due waits, since there were others lately.
    pub(super) fn held_until(&self, situation: &Situation) -> Option<RegistryTime> {
        match pace::kind(situation)? {
            pace::Kind::Repair => self.observed.paced_until,
            pace::Kind::Renewal => self.renewal_paced_until,
        }
    }
}

impl Pass<'_> {
    /// Reads what a plan depends on. `trusting` = the robots of an account at rest are taken as they were left; a plan that
    /// would change one of them has to gather again.
    pub(super) async fn gather(&self, trusting: bool) -> Result<Gathered, Stop> {
        // Only reads, which may wait for their turn at Harbor for long.
        self.ctx.unless_ending(Box::pin(self.read(trusting))).await.unwrap_or(Err(Stop::Ending))
    }

    async fn read(&self, trusting: bool) -> Result<Gathered, Stop> {
        let deleting = self.is_deleting();
        let mut gathered = self.nothing_read();
        if !deleting {
            self.check_grants(&mut gathered);
            let no_call_needed = gathered.observed.permit == Permit::Lapsing || !gathered.observed.finalizer;
            if gathered.observed.permit != Permit::Granted && no_call_needed {
                gathered.observed.unreachable = true;
                return Ok(gathered);
            }
        }
        self.check_unsettled(&mut gathered);
        self.check_registry(&mut gathered).await?;
        let secret = self.first_secret(&[]);
        let shown = self.ctx.index.get(self.key).map(|entry| entry.secret.seen()).unwrap_or_default();
        gathered.live = secret.read().await?;
        if !deleting && (gathered.live.is_absent() || gathered.live.is_ours()) {
            gathered.untouched =
                self.untouched(&self.secret_namespace, &gathered.live, secret.template.entries).await?;
        }
        if !deleting && gathered.observed.permit == Permit::Granted {
            self.read_password(&mut gathered).await?;
        }
        if !gathered.observed.unreachable {
            match restart::as_left(self).filter(|_| trusting && !deleting) {
                Some(robots) => (gathered.observed.robots, gathered.from_memory) = (robots, true),
                None => self.find_robots(&mut gathered).await?,
            }
            self.read_the_clock(&mut gathered);
        }
        gathered.observed.secret = gathered.live.seen(&secret.template, gathered.observed.robots.iter().flatten());
        if !deleting {
            self.check_contests(&mut gathered, shown);
        }
        if !gathered.observed.unreachable {
            self.ask_login(&mut gathered).await?;
        }
        Ok(gathered)
    }

    /// Before anything was read.
    fn nothing_read(&self) -> Gathered {
        let status = self.account.status.clone().unwrap_or_default();
        let observed = Observed {
            now: self.registry_now(),
            later_clock: self.registry.later_clock(self.ctx.now()),
            robots: [None, None],
            secret: SecretSeen::Absent,
            recorded: report::recorded(&status),
            known: [false; 2],
            login_works: None,
            own: CustomPassword::NotWished,
            permit: Permit::Granted,
            may_adopt: false,
            may_update: self.registry.may_update(&self.desired.home),
            deleting: self.is_deleting(),
            finalizer: objects::has_finalizer(&self.account.metadata, keys::FINALIZER_ROBOT),
            unsettled: false,
            unreachable: false,
            abandoned: false,
            own_login: self.registry.session.login_name.clone(),
            paced_until: None,
            // Other accounts have one Secret: what a status says of namespaces keeps none of their robots alive.
            behind: self.key.is_system() && spread::is_behind(&status),
        };
        Gathered {
            observed,
            client: self.registry.session.client.clone(),
            from_memory: false,
            live: SecretSnapshot::default(),
            refusal: None,
            own_password: None,
            password_problem: None,
            secret_contested: None,
            untouched: Vec::new(),
            renewal_paced_until: None,
            wake: None,
        }
    }

    /// Whether Harbor can be asked; `Err` = it cannot, and the account waits for that.
    async fn check_registry(&self, gathered: &mut Gathered) -> Result<(), Stop> {
        let deleting = self.is_deleting();
        if let Some(trouble) = self.registry.trouble_for(deleting || self.is_own_login()) {
            if !self.registry.probed {
                return Err(Stop::Wait);
            }
            if !deleting {
                return Err(Stop::Trouble(trouble.clone()));
            }
            gathered.observed.unreachable = true;
            gathered.observed.abandoned = self.is_abandoned(trouble).await?;
            if !gathered.observed.abandoned && !self.is_let_go(trouble.permanent) {
                return Err(Stop::Trouble(trouble.clone()));
            }
        }
        let gave_up = self.ctx.index.get(self.key).is_some_and(|entry| entry.gave_up);
        gathered.observed.unreachable |= deleting && self.desired.retain && gave_up;
        Ok(())
    }

    /// Harbor's answer took its time and told Harbor's: what was read is judged by that, not by what was known before.
    fn read_the_clock(&self, gathered: &mut Gathered) {
        let now = self.registry_now();
        let moved = now.duration_since(gathered.observed.now);
        gathered.wake = gathered.wake.map(|at| at + moved);
        (gathered.observed.now, gathered.observed.later_clock) = (now, self.registry.later_clock(self.ctx.now()));
    }

    fn check_unsettled(&self, gathered: &mut Gathered) {
        let entry = self.ctx.index.get(self.key);
        let own = entry.as_ref().and_then(|entry| entry.unsettled_until);
        let unfinished = entry.is_some_and(|entry| entry.left_unfinished);
        let former = self.ctx.former_calls;
        let until = own.max((self.is_deleting() && (former.of_all || unfinished)).then_some(former.until));
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if !left.is_zero() {
            gathered.observed.unsettled = true;
            gathered.wake = Some(gathered.observed.now + signed(left));
        }
    }

    /// A Secret that is neither as it should be nor as the last pass left it was changed by somebody else. `shown`: what the
    /// watch had shown of it when it was read.
    fn check_contests(&self, gathered: &mut Gathered, shown: Version) {
        let disturbed = match gathered.observed.secret {
            SecretSeen::Absent => true,
            SecretSeen::Ours { checksum, current_form, .. } => checksum.is_none() || !current_form,
            SecretSeen::Foreign => false,
        };
        let version = gathered.live.version();
        let now = Instant::now();
        self.ctx.index.update(self.key, |entry| {
            if disturbed && entry.secret.is_left() && entry.secret.left() != version {
                entry.contests.get_or_insert_default().secret.note(now);
            }
            entry.secret.read(version, shown);
            if let Some(contests) = &entry.contests {
                gathered.secret_contested = contests.secret.until(now).filter(|_| disturbed);
                gathered.observed.paced_until = contests.repairs.until(gathered.observed.now);
                gathered.renewal_paced_until = contests.renewals.until(gathered.observed.now);
            }
        });
    }

    async fn find_robots(&self, gathered: &mut Gathered) -> Result<(), Stop> {
        let deleting = self.is_deleting();
        let Some(client) = gathered.client.clone() else { return Ok(()) };
        let status = self.account.status.as_ref();
        let nothing_recorded = status.is_none_or(|status| status.robot.is_none() && status.previous.is_none());
        // The finalizer comes after the first grant check and before the first call, so without it, without a record
        // and without a Secret from a former life nothing of ours is in Harbor. If something is, POST says so (409).
        let is_new = !gathered.observed.finalizer && nothing_recorded && gathered.live.is_absent() && !deleting;
        if is_new && !self.looks_ahead {
            return Ok(());
        }
        let names = Slot::BOTH.map(|slot| slot.name(&self.desired.base_name));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match client.find(&self.desired.home, &names).await {
            Ok(robots) => {
                for robot in robots {
                    let slot = Slot::of(&robot.name);
                    gathered.observed.robots[slot.index()] = Some(robot);
                }
                gathered.observed.known = self.compare_marks(&gathered.observed.robots);
                Ok(())
            }
            // With the project its robots went.
            Err(registry::Error::ProjectNotFound(_)) if deleting => Ok(()),
            Err(error) if deleting && self.is_let_go_by(&error) => {
                tracing::warn!(account = %self.key, %error, "the robot is left as it is");
                gathered.observed.unreachable = true;
                Ok(())
            }
            Err(error) => Err(Stop::Registry(error)),
        }
    }

    /// Notes the robots that carry the account's mark; which of them did at any time that this process knows of.
    fn compare_marks(&self, robots: &[Option<Robot>; 2]) -> [bool; 2] {
        let mut known = [false; 2];
        self.ctx.index.update(self.key, |entry| {
            for (slot, robot) in robots.iter().enumerate() {
                let Some(robot) = robot.as_ref().filter(|robot| robot.home == self.desired.home) else { continue };
                let owner = mark::read(&robot.description, &self.desired.identity);
                if matches!(owner, Owner::Us | Owner::Predecessor) {
                    entry.see_mark(slot, robot_identity(robot.id, robot.creation_time));
                }
            }
            known = entry.knows(robots);
        });
        known
    }

    async fn ask_login(&self, gathered: &mut Gathered) -> Result<(), Stop> {
        let situation = gathered.observed.situation(&self.desired);
        let current = situation.current().and_then(|slot| gathered.observed.robots[slot.index()].as_ref());
        let (Some(client), Some(robot), Some(credential)) = (&gathered.client, current, &gathered.live.credential)
        else {
            return Ok(());
        };
        if situation.wants_login() {
            let answer = client.verify(&robot.name, &credential.secret).await.map_err(Stop::Registry)?;
            gathered.observed.login_works = Some(answer);
        }
        Ok(())
    }
}

fn signed(wait: Duration) -> SignedDuration {
    SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
}
