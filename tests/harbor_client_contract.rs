//! The Harbor client against the stand-in, which is held to what a real Harbor answered.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::{Arc, Once};

use harbor_robot_operator::domain::permissions::{Access, AccessSet};
use harbor_robot_operator::domain::robot::{Home, Lifetime, Permissions, Robot, Scope};
use harbor_robot_operator::gate::Gate;
use harbor_robot_operator::registry::harbor::{Client, Config, Reach, Room, Timeouts, short_name};
use harbor_robot_operator::registry::{Error, LoginKind, NewRobot};
use harbor_stand_in::{Options, StandIn};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

struct World {
    harbor: StandIn,
    admin: Client,
}

impl World {
    async fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().expect("nobody else installs one");
        });
        let harbor = StandIn::start(Options::default()).await.unwrap();
        let admin = client(&harbor, "admin", &"Harbor12345".into());
        let world = Self { harbor, admin };
        world.control("POST", "seed", &json!({"projects": ["lib"]})).await;
        world
    }

    fn login(&self, name: &str, secret: &SecretString) -> Client {
        client(&self.harbor, name, secret)
    }

    /// One of the stand-in's test controls.
    async fn control(&self, method: &str, path: &str, body: &Value) {
        let url = format!("{}/_stand-in/{path}", self.harbor.url());
        let request = reqwest::Client::new().request(method.parse().unwrap(), url).json(body);
        assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test stands where `run` would")]
fn client(harbor: &StandIn, name: &str, secret: &SecretString) -> Client {
    Client::new(Config {
        url: harbor.url().parse().unwrap(),
        username: name.into(),
        password: secret.clone(),
        roots: None,
        reach: Reach::Anywhere,
        requests_per_second: 1000,
        max_in_flight: 8,
        room: Room::default(),
        timeouts: Timeouts::default(),
        user_agent: "test".into(),
        clock: Arc::new(|| jiff::Timestamp::now().into()),
        observer: None,
        gate: Gate::open(),
        carrier: None,
    })
    .unwrap()
}

fn lib() -> Home {
    Home::Project("lib".into())
}

fn on(scope: Scope, pairs: &[&str]) -> (Scope, AccessSet) {
    let pair = |text: &&str| {
        let (resource, action) = text.split_once(':').unwrap();
        Access { resource: resource.into(), action: action.into() }
    };
    (scope, pairs.iter().map(pair).collect())
}

fn pull() -> Permissions {
    Permissions::from([on(Scope::Project("lib".into()), &["repository:pull"])])
}

fn new(home: Home, name: &str, permissions: Permissions) -> NewRobot {
    NewRobot { home, name: name.into(), description: "made here".into(), lifetime: Lifetime::Days(30), permissions }
}

#[tokio::test]
async fn a_robot_lives_from_create_to_delete() {
    let world = World::new().await;
    let harbor = &world.admin;
    let info = harbor.info().await.unwrap();
    assert_eq!((info.login, harbor.name_prefix().as_deref()), (LoginKind::Administrator, Some("robot$")));
    assert!(info.version.unwrap().starts_with("v2.16"));

    assert_eq!(harbor.find(&lib(), &["ci"]).await, Ok(vec![]));
    let made = harbor.create(&new(lib(), "ci", pull())).await.unwrap();
    assert_eq!(made.name, "robot$lib+ci");
    assert_eq!(harbor.verify(&made.name, &made.secret).await, Ok(true));
    assert_eq!(harbor.create(&new(lib(), "ci", pull())).await.unwrap_err(), Error::Conflict);

    let robot = harbor.find(&lib(), &["ci", "ci.b"]).await.unwrap().remove(0);
    assert_eq!(Some(&robot), harbor.get(made.id).await.unwrap().as_ref());
    assert_eq!((&robot.home, &robot.permissions, robot.lifetime), (&lib(), &pull(), Lifetime::Days(30)));
    assert_eq!((robot.creation_time, robot.expiration_time), (made.creation_time, made.expiration_time));

    let more =
        Permissions::from([on(Scope::Project("lib".into()), &["repository:pull", "repository:push", "tag:list"])]);
    let wish = Robot { permissions: more.clone(), lifetime: Lifetime::Never, disabled: true, ..robot.clone() };
    harbor.update(&wish).await.unwrap();
    let changed = harbor.get(made.id).await.unwrap().unwrap();
    assert_eq!((&changed.permissions, changed.disabled, changed.expiration_time), (&more, true, None));
    assert!(!changed.foreign_effect && changed.update_time >= robot.update_time);
    assert_eq!(harbor.verify(&made.name, &made.secret).await, Ok(false));

    harbor.update(&Robot { disabled: false, ..wish }).await.unwrap();
    let drawn = harbor.refresh(made.id, None).await.unwrap();
    assert_eq!(harbor.verify(&made.name, &made.secret).await, Ok(false));
    assert_eq!(harbor.verify(&made.name, &drawn).await, Ok(true));
    let chosen = harbor.refresh(made.id, Some("Chosen-12".into())).await.unwrap();
    assert_eq!(chosen.expose_secret(), "Chosen-12");
    assert_eq!(harbor.verify(&made.name, &chosen).await, Ok(true));
    assert!(matches!(harbor.refresh(made.id, Some("short".into())).await, Err(Error::Invalid(_))));

    harbor.delete(made.id).await.unwrap();
    harbor.delete(made.id).await.unwrap();
    assert_eq!(harbor.get(made.id).await, Ok(None));
    assert_eq!(harbor.find(&lib(), &["ci"]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_list_of_250_robots_is_whole_and_of_its_home_alone() {
    let world = World::new().await;
    world.control("POST", "seed", &json!({"projects": ["many", "other"], "robotsPerProject": 250})).await;
    let home = Home::Project("many".into());
    let robots = world.admin.list(&home).await.unwrap();
    let mut names: Vec<&str> = robots.iter().map(|robot| short_name(&robot.name, &home, None).unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 250);
    assert_eq!(world.admin.list(&Home::System).await, Ok(vec![]));
}

#[tokio::test]
async fn system_robots_are_told_apart_by_the_learnt_prefix() {
    let world = World::new().await;
    let permissions =
        Permissions::from([on(Scope::System, &["robot:read"]), on(Scope::AllProjects, &["repository:pull"])]);
    for name in ["ci", "x.ci", "other"] {
        world.admin.create(&new(Home::System, name, permissions.clone())).await.unwrap();
    }
    let found = world.admin.find(&Home::System, &["ci", "x.ci"]).await.unwrap();
    let prefix = world.admin.name_prefix();
    let short = |robot: &Robot| short_name(&robot.name, &Home::System, prefix.as_deref()).unwrap().to_owned();
    assert_eq!(found.iter().map(short).collect::<Vec<_>>(), ["ci", "x.ci"]);
    assert!(found.iter().all(|robot| robot.home == Home::System && robot.permissions == permissions));
    assert_eq!(world.admin.list(&Home::System).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_robot_login_hands_out_what_it_holds_with_either_text_of_effect() {
    let world = World::new().await;
    let pairs = ["repository:pull", "robot:create", "robot:read", "robot:list", "robot:delete"];
    let rights = Permissions::from([on(Scope::Project("lib".into()), &pairs)]);
    let made = world.admin.create(&new(lib(), "manager", rights)).await.unwrap();
    let manager = world.login(&made.name, &made.secret);
    assert_eq!(manager.info().await.unwrap().login, LoginKind::Robot);
    let child = manager.create(&new(lib(), "child", pull())).await.unwrap();
    let more = Permissions::from([on(Scope::Project("lib".into()), &["repository:push"])]);
    let refused = manager.create(&new(lib(), "greedy", more)).await.unwrap_err();
    assert!(matches!(refused, Error::ScopeExceeded(_)), "{refused}");
    // It can neither change robots nor read its project, but it finds the project's id in the list.
    let robot = manager.find(&lib(), &["child"]).await.unwrap().remove(0);
    assert!(matches!(manager.update(&robot).await, Err(Error::Forbidden { .. })));
    assert!(matches!(manager.refresh(child.id, None).await, Err(Error::Forbidden { .. })));

    // An update writes `allow` into the manager's own pairs, which then is the text it may hand out.
    let own = world.admin.get(made.id).await.unwrap().unwrap();
    world.admin.update(&own).await.unwrap();
    manager.create(&new(lib(), "second", pull())).await.unwrap();
    manager.delete(child.id).await.unwrap();
    assert_eq!(manager.list(&lib()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_project_that_is_missing_or_hidden_is_told_as_such() {
    let world = World::new().await;
    world.control("POST", "seed", &json!({"projects": ["hidden"]})).await;
    let made = world.admin.create(&new(lib(), "reader", pull())).await.unwrap();
    let robot = world.login(&made.name, &made.secret);
    for (login, name, want) in [
        (&world.admin, "none", Error::ProjectNotFound("none".into())),
        (&robot, "none", Error::ProjectNotFound("none".into())),
        (&robot, "hidden", Error::CannotListProjects("hidden".into())),
    ] {
        assert_eq!(login.list(&Home::Project(name.into())).await, Err(want));
    }
    let absent = Permissions::from([on(Scope::Project("none".into()), &["repository:pull"])]);
    let refused = world.admin.create(&new(Home::Project("none".into()), "x", absent)).await.unwrap_err();
    assert_eq!(refused, Error::ProjectNotFound("none".into()));
}

#[tokio::test]
async fn a_project_made_again_under_its_name_is_found() {
    let world = World::new().await;
    world.admin.create(&new(lib(), "ci", pull())).await.unwrap();
    assert_eq!(world.admin.list(&lib()).await.unwrap().len(), 1);
    world.control("DELETE", "projects/lib", &json!({})).await;
    assert_eq!(world.admin.list(&lib()).await, Ok(vec![]), "an id confirmed a moment ago is believed");
    world.control("POST", "seed", &json!({"projects": ["lib"]})).await;
    world.admin.create(&new(lib(), "ci", pull())).await.unwrap();
    assert_eq!(world.admin.create(&new(lib(), "ci", pull())).await.unwrap_err(), Error::Conflict);
    assert_eq!(world.admin.find(&lib(), &["ci"]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_of_harbor_have_their_meaning() {
    let world = World::new().await;
    let wrong = world.login("admin", &"Wrong12345".into());
    assert_eq!(wrong.info().await, Err(Error::Unauthorized));
    assert_eq!(wrong.list(&lib()).await, Err(Error::Unauthorized));

    let helm = Permissions::from([on(Scope::Project("lib".into()), &["helm-chart:read"])]);
    let unknown = world.admin.create(&new(lib(), "helm", helm)).await.unwrap_err();
    assert_eq!(unknown, Error::PermissionUnknown("helm-chart:read".into()));

    let made = world.admin.create(&new(lib(), "ci", pull())).await.unwrap();
    let robot = world.admin.get(made.id).await.unwrap().unwrap();
    let renamed = Robot { name: "bot-lib+ci".into(), ..robot.clone() };
    assert_eq!(world.admin.update(&renamed).await, Err(Error::Renamed));
    world.control("POST", &format!("robots/{}/permissions", made.id), &json!([])).await;
    assert_eq!(world.admin.delete(made.id).await, Err(Error::Undeletable));
    world.admin.update(&robot).await.unwrap();
    world.admin.delete(made.id).await.unwrap();

    world.control("PUT", "quirks", &json!({"readOnly": true})).await;
    assert_eq!(world.admin.create(&new(lib(), "late", pull())).await.unwrap_err(), Error::ReadOnly);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_by_its_name() {
    let world = World::new().await;
    let fault = json!({"method": "POST", "path": "/api/v2.0/robots", "afterCommit": true, "drop": true});
    world.control("PUT", "quirks", &json!({"fail": [fault]})).await;
    let lost = world.admin.create(&new(lib(), "ci", pull())).await.unwrap_err();
    assert_eq!(lost, Error::NoAnswer("connection lost"));
    assert_eq!(world.admin.find(&lib(), &["ci"]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn sorted_creates_do_not_deadlock_and_empty_500s_are_overcome() {
    let world = World::new().await;
    let quirks = json!({"deadlocks": true, "latencyMs": 2, "emptyBody500": {"count": 2, "method": "POST"}});
    world.control("PUT", "quirks", &quirks).await;
    let rights =
        Permissions::from([on(Scope::Project("lib".into()), &["tag:list", "repository:push", "repository:pull"])]);
    let robots: Vec<_> = (0..40).map(|at| new(lib(), &format!("r{at}"), rights.clone())).collect();
    for made in futures::future::join_all(robots.iter().map(|robot| world.admin.create(robot))).await {
        made.unwrap();
    }
    assert_eq!(world.admin.list(&lib()).await.unwrap().len(), 40);
}
