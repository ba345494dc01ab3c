//! The calls on robots.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::call::Call;
use super::client::Client;
use super::names;
use super::paging::{List, MOST_PAGES, Row as _, Take};
use super::requests::{RefreshBody, RobotBody};
use super::responses::{CreatedRow, Origin, RefreshedRow, RobotRow};
use super::wire::{Reply, Request};
use crate::domain::robot::{Home, Robot};
use crate::registry::{CreatedRobot, Digest, Error, NewRobot, Reduce};

const ROBOTS: &str = "/api/v2.0/robots";

/// Names in one query, well within one page and one line of a request.
const NAMES_PER_QUERY: usize = 50;

/// More tries of a create or update that Harbor's database gave up (500, rolled back).
const MORE_TRIES: usize = 3;

/// What [`Error::BadAnswer`] says of a list under a project id that came to mean another project.
const OTHER_PROJECT: &str = "a list with robots of another project";

impl Client {
    /// All visible robots of a home, each as `reduce` leaves it, if it does. They are read page by page and reduced at once,
    /// since a project may hold many thousands.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`] if the project does not exist, [`Error::CannotListProjects`] if it does but the login cannot
    /// learn its id.
    pub async fn digests(&self, home: &Home, reduce: &Reduce<'_>) -> Result<Vec<Digest>, Error> {
        self.robots(home, None, |robot| reduce(&robot)).await
    }

    /// All robots of a home, or those with the given stored names, each as `keep` leaves it, if it does.
    pub(super) async fn robots<T: Send>(
        &self,
        home: &Home,
        names: Option<&[&str]>,
        keep: impl Fn(Robot) -> Option<T> + Send + Sync,
    ) -> Result<Vec<T>, Error> {
        let take = |row: RobotRow| {
            let robot = row.into_robot(Origin::List(home));
            if robot.editable
                && let Home::Project(_) = home
            {
                let short = names::short_name(&robot.name, home, None);
                self.learn_prefix(short.and_then(|short| names::prefix_of(&robot.name, home, short)));
            }
            keep(robot)
        };
        match home {
            Home::System => {
                let take = |row: RobotRow| Ok(row.is_system().then(|| take(row)).flatten());
                self.pages(names::robot_query(home, 0, names).as_deref(), &take).await
            }
            Home::Project(project) => self.project_robots(home, project, names, &take).await,
        }
    }

    /// A remembered project id that lists nothing, is refused, or lists robots of another project may belong to a
    /// project that was made again: it is asked for anew, once.
    async fn project_robots<T: Send>(
        &self,
        home: &Home,
        project: &str,
        names: Option<&[&str]>,
        take: &(impl Fn(RobotRow) -> Option<T> + Send + Sync),
    ) -> Result<Vec<T>, Error> {
        let id = self.project_id(project).await?;
        let first = self.robots_of(home, project, id, names, take).await;
        let fresh = match &first {
            Ok(robots) if robots.is_empty() => self.fresh_project_id(project).await?,
            Err(error) if calls_project_in_doubt(error) => {
                self.projects.forget(project);
                self.project_id(project).await?
            }
            _ => id,
        };
        if fresh == id { first } else { self.robots_of(home, project, fresh, names, take).await }
    }

    async fn robots_of<T: Send>(
        &self,
        home: &Home,
        project: &str,
        id: i64,
        names: Option<&[&str]>,
        take: &(impl Fn(RobotRow) -> Option<T> + Send + Sync),
    ) -> Result<Vec<T>, Error> {
        let listed = AtomicBool::new(false);
        let take = |row: RobotRow| {
            if row.is_of(project) {
                listed.store(true, Ordering::Relaxed);
                Ok(take(row))
            } else {
                Err(Error::BadAnswer { what: OTHER_PROJECT.into(), after_write: false })
            }
        };
        let robots = self.pages(names::robot_query(home, id, names).as_deref(), &take).await?;
        if listed.into_inner() {
            self.projects.confirm(project, id);
        }
        Ok(robots)
    }

    async fn pages<T: Send>(&self, q: Option<&str>, take: &impl Take<RobotRow, T>) -> Result<Vec<T>, Error> {
        let q = q.map(|q| format!("q={q}&")).unwrap_or_default();
        let query = format!("{q}sort=id");
        let list =
            List { call: Call::ROBOT_LIST, path: ROBOTS, query, what: "robots in one place", most_pages: MOST_PAGES };
        self.transport.list(&list, take).await?.all()
    }

    /// Those robots of a home whose short name is one of `names`; absent ones are left out. Names that Harbor cannot have
    /// are not asked for.
    ///
    /// # Errors
    /// As of [`Self::digests`].
    pub async fn find(&self, home: &Home, names: &[&str]) -> Result<Vec<Robot>, Error> {
        let names: BTreeSet<&str> = names.iter().copied().filter(|name| names::possible(name)).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let mut found = Vec::new();
        for some in names.chunks(NAMES_PER_QUERY) {
            let asked_for = |robot: Robot| {
                let mut prefixes = some.iter().filter_map(|name| names::prefix_of(&robot.name, home, name));
                let prefix = prefixes.next()?;
                // `x.ci` may be that, or `ci` behind a prefix that ends in `x.`: only a single match tells the prefix.
                if robot.editable && prefixes.next().is_none() {
                    self.learn_prefix(Some(prefix));
                }
                Some(robot)
            };
            found.extend(self.robots(home, Some(some), asked_for).await?);
        }
        Ok(found)
    }

    /// One robot by id; `None` if there is none. The project in its home is empty in the rare case that neither its name
    /// nor its permissions tell it (robots from before Harbor 2.2).
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the login may not read it.
    pub async fn get(&self, id: i64) -> Result<Option<Robot>, Error> {
        let reply = match self.transport.send(&of_robot(Call::ROBOT_GET, id)).await {
            Err(Error::NotFound) => return Ok(None),
            reply => reply?,
        };
        let row: RobotRow = reply.json()?;
        if row.id() != id {
            return Err(reply.bad("another robot than asked for"));
        }
        Ok(Some(row.into_robot(Origin::Id { prefix: self.name_prefix().as_deref() })))
    }

    /// Makes a robot.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the name is taken, and what else keeps Harbor from making it.
    pub async fn create(&self, robot: &NewRobot) -> Result<CreatedRobot, Error> {
        let reply = match self.post_in_either_style(robot).await {
            Err(error @ (Error::Conflict | Error::ProjectNotFound(_))) => {
                // The caller looks again, and shall not be shown the empty list of a deleted project.
                if let Home::Project(project) = &robot.home {
                    self.projects.forget(project);
                }
                return Err(error);
            }
            reply => reply?,
        };
        let row: CreatedRow = reply.json()?;
        match names::prefix_of(&row.name.0, &robot.home, &robot.name) {
            Some(prefix) => self.learn_prefix(Some(prefix)),
            None => return Err(reply.bad("another robot than was to be made")),
        }
        if row.has_secret() { Ok(row.into()) } else { Err(reply.bad("no secret that can be used")) }
    }

    /// A robot login may hold its pairs with the other text of `effect`, which Harbor compares literally.
    async fn post_in_either_style(&self, robot: &NewRobot) -> Result<Reply, Error> {
        let says_allow = self.says_allow.load(Ordering::Relaxed);
        let first = self.post(robot, says_allow).await;
        if !matches!(first, Err(Error::ScopeExceeded(_))) {
            return first;
        }
        match self.post(robot, !says_allow).await {
            Err(Error::ScopeExceeded(_)) => first,
            second => {
                if second.is_ok() {
                    self.says_allow.store(!says_allow, Ordering::Relaxed);
                }
                second
            }
        }
    }

    async fn post(&self, robot: &NewRobot, says_allow: bool) -> Result<Reply, Error> {
        let body = RobotBody::create(robot, says_allow.then_some("allow"));
        self.insist(&Request::new(Call::ROBOT_CREATE, ROBOTS).json(&body)).await
    }

    /// Replaces description, lifetime, disable and permissions (PUT) by what `robot` has. Its name must be the present full
    /// one, and its permissions not empty; a lifetime equal to the stored one leaves the expiry as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such robot, [`Error::Renamed`] if it has another name.
    pub async fn update(&self, robot: &Robot) -> Result<(), Error> {
        let _alone = self.locks.lock(robot.id).await;
        let request = of_robot(Call::ROBOT_UPDATE, robot.id);
        self.insist(&request.json(&RobotBody::update(robot))).await?.empty()
    }

    /// Sets a new secret (PATCH): the given one, or one that Harbor draws. The old one dies at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such robot, [`Error::Invalid`] for a secret that Harbor does not take.
    pub async fn refresh(&self, id: i64, chosen: Option<SecretString>) -> Result<SecretString, Error> {
        let _alone = self.locks.lock(id).await;
        let body = RefreshBody { secret: chosen.as_ref().map(ExposeSecret::expose_secret) };
        let request = of_robot(Call::ROBOT_REFRESH, id);
        let reply = self.transport.send(&request.json(&body).carrying(chosen.as_ref())).await?;
        let answer: RefreshedRow = reply.json()?;
        answer.secret().or(chosen).ok_or_else(|| reply.bad("no secret that can be used"))
    }

    /// Deletes a robot; a robot that is not there counts as deleted.
    ///
    /// # Errors
    /// [`Error::Undeletable`] for a robot without permissions.
    pub async fn delete(&self, id: i64) -> Result<(), Error> {
        let _alone = self.locks.lock(id).await;
        let request = of_robot(Call::ROBOT_DELETE, id);
        match self.transport.send(&request).await {
            // A robot without any permission answers 404 to DELETE and stays.
            Err(Error::NotFound) => match self.get(id).await? {
                Some(_) => Err(Error::Undeletable),
                None => Ok(()),
            },
            reply => reply?.empty(),
        }
    }

    /// Concurrent writes with differently ordered lists, by other tools, deadlock in Harbor's database. It then answers
    /// 500 and has rolled back.
    async fn insist(&self, request: &Request<'_>) -> Result<Reply, Error> {
        for _ in 0..MORE_TRIES {
            match self.transport.send(request).await {
                Err(Error::Server(500)) => {
                    tokio::time::sleep(Duration::from_millis(rand::random_range(50..=400))).await;
                }
                reply => return reply,
            }
        }
        self.transport.send(request).await
    }
}

fn of_robot(call: Call, id: i64) -> Request<'static> {
    Request::new(call, format!("{ROBOTS}/{id}"))
}

fn calls_project_in_doubt(error: &Error) -> bool {
    match error {
        // An id that Harbor takes for none was never a project's.
        Error::Forbidden { .. } | Error::NotFound | Error::Invalid(_) => true,
        Error::BadAnswer { what, .. } => what == OTHER_PROJECT,
        _ => false,
    }
}
