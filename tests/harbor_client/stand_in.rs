//! The stand-in, which is held to what a real Harbor answered, with logins to it.

use harbor_robot_operator::domain::permissions::{Access, AccessSet};
use harbor_robot_operator::domain::robot::{Home, Permissions, Scope};
use harbor_robot_operator::registry::NewRobot;
use harbor_robot_operator::registry::harbor::Client;
use harbor_stand_in::{Options, StandIn};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{client_of, new_robot};

const ADMIN: (&str, &str) = ("admin", "Harbor12345");
/// Of the people that a test makes.
const PASSWORD: &str = "Aa345678";

pub struct Harbor {
    stand_in: StandIn,
    pub admin: Client,
}

impl Harbor {
    pub async fn new() -> Self {
        Self::of("2.16").await
    }

    pub async fn of(version: &str) -> Self {
        let options = Options { version: version.parse().unwrap(), ..Options::default() };
        let stand_in = StandIn::start(options).await.unwrap();
        let admin = client_of(stand_in.url(), ADMIN.0, ADMIN.1);
        Self { stand_in, admin }
    }

    pub fn url(&self) -> &str {
        self.stand_in.url()
    }

    /// One of the stand-in's test controls.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/_stand-in/{path}", self.url());
        let answer = reqwest::Client::new().request(method.parse().unwrap(), url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Private and public projects.
    pub async fn seed(&self, private: &[&str], public: &[&str]) {
        for (names, public) in [(private, false), (public, true)] {
            self.control("POST", "seed", json!({"projects": names, "public": public})).await;
        }
    }

    /// How many calls there were of each sort, since this was asked last.
    pub async fn calls(&self) -> Value {
        let calls = self.control("GET", "calls?last=0", json!({})).await;
        self.control("DELETE", "calls", json!({})).await;
        calls["by"].clone()
    }

    /// A robot's login, and its id.
    pub async fn robot(&self, name: &str, permissions: &[(Scope, &str)]) -> (Client, i64) {
        let pair = |text: &str| {
            let (resource, action) = text.split_once(':').unwrap();
            AccessSet::from([Access { resource: resource.into(), action: action.into() }])
        };
        let permissions: Permissions = permissions.iter().map(|(scope, text)| (scope.clone(), pair(text))).collect();
        let robot = NewRobot { home: Home::System, name: name.into(), permissions, ..new_robot() };
        let made = self.admin.create(&robot).await.unwrap();
        (client_of(self.url(), &made.name, made.secret.expose_secret()), made.id)
    }

    /// A person's login, as administrator of these projects.
    pub async fn person(&self, name: &str, administers: &[&str]) -> Client {
        let email = format!("{name}@example.com");
        let user = json!({"username": name, "email": email, "realname": name, "password": PASSWORD});
        self.post("users", &user).await;
        for project in administers {
            let member = json!({"role_id": 1, "member_user": {"username": name}});
            self.post(&format!("projects/{project}/members"), &member).await;
        }
        client_of(self.url(), name, PASSWORD)
    }

    async fn post(&self, path: &str, body: &Value) {
        let url = format!("{}/api/v2.0/{path}", self.url());
        let request = reqwest::Client::new().post(url).basic_auth(ADMIN.0, Some(ADMIN.1)).json(body);
        assert_eq!(request.send().await.unwrap().status(), 201, "{path}");
    }
}
