//! The Harbor client against a server that does to it what servers, proxies and networks do.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod bytes_properties;
mod calls;
mod catalogue;
mod hostile;
mod lead;
mod lists;
mod projects;
mod reach;
mod secrets;
mod sessions;
mod settings;
mod stand_in;
mod stub;
#[allow(dead_code, reason = "shared with the properties of src, which use more of it")]
#[path = "../../src/test_properties.rs"]
mod test_properties;
mod tls;

use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use harbor_robot_operator::domain::permissions::{Access, AccessSet};
use harbor_robot_operator::domain::robot::{Home, Lifetime, Permissions, Robot, Scope};
use harbor_robot_operator::gate::Gate;
use harbor_robot_operator::registry::NewRobot;
use harbor_robot_operator::registry::harbor::{Client, Config, Reach, Room, Timeouts};
use serde_json::{Value, json};

use stub::Stub;

/// The login's password everywhere: no text may ever hold it.
const PASSWORD: &str = "Canary-Passw0rd";

fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().expect("nobody else installs one");
    });
}

#[expect(clippy::disallowed_methods, reason = "a test stands where `run` would")]
fn config(url: &str) -> Config {
    install_crypto();
    Config {
        url: url.parse().unwrap(),
        username: "robot$operator".into(),
        password: PASSWORD.into(),
        roots: None,
        reach: Reach::Anywhere,
        requests_per_second: 1000,
        max_in_flight: 8,
        room: Room::default(),
        timeouts: Timeouts::default(),
        user_agent: "harbor-robot-operator/test".into(),
        clock: Arc::new(|| jiff::Timestamp::now().into()),
        observer: None,
        gate: Gate::open(),
        carrier: None,
    }
}

fn client(stub: &Stub) -> Client {
    Client::new(config(&format!("http://{}", stub.address))).unwrap()
}

/// A client of somebody else.
fn client_of(url: &str, username: &str, password: &str) -> Client {
    Client::new(Config { username: username.into(), password: password.into(), ..config(url) }).unwrap()
}

/// A client whose requests are noted as `call outcome`.
fn observed(stub: &Stub) -> (Client, Arc<Mutex<Vec<String>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut config = config(&format!("http://{}", stub.address));
    config.observer = Some(Arc::new({
        let notes = Arc::clone(&notes);
        move |call: &'static str, outcome: &'static str, _: Duration| {
            notes.lock().unwrap().push(format!("{call} {outcome}"));
        }
    }));
    (Client::new(config).unwrap(), notes)
}

fn library() -> Home {
    Home::Project("library".into())
}

fn permissions() -> Permissions {
    let pairs = ["push", "pull"].map(|action| Access { resource: "repository".into(), action: action.into() });
    Permissions::from([(Scope::Project("library".into()), AccessSet::from(pairs))])
}

fn new_robot() -> NewRobot {
    NewRobot {
        home: library(),
        name: "ci".into(),
        description: "made by a test".into(),
        lifetime: Lifetime::Days(30),
        permissions: permissions(),
    }
}

fn update() -> Robot {
    let made = harbor_robot_operator::api::RegistryTime::from_second(1_760_000_000);
    Robot {
        id: 7,
        home: library(),
        name: "robot$library+ci".into(),
        description: "made by a test".into(),
        lifetime: Lifetime::Days(30),
        expiration_time: None,
        editable: true,
        disabled: false,
        permissions: permissions(),
        foreign_effect: false,
        creation_time: made,
        update_time: made,
    }
}

/// Harbor's row of a project robot.
fn row(id: i64, project: &str, short: &str) -> Value {
    json!({
        "id": id, "name": format!("robot${project}+{short}"), "level": "project", "duration": 30, "editable": true,
        "disable": false, "expires_at": 1_790_000_000, "creation_time": "2026-07-11T13:47:44.261Z",
        "update_time": "2026-07-11T13:47:44.261Z",
        "permissions": [{"kind": "project", "namespace": project,
                         "access": [{"resource": "repository", "action": "pull"}]}],
    })
}

/// Harbor's answer to a create.
fn created(id: i64, name: &str, secret: &str) -> Value {
    json!({"id": id, "name": name, "secret": secret, "creation_time": "2026-07-11T13:47:44.261Z",
           "expires_at": 1_790_000_000})
}
