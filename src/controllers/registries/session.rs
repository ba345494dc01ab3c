//! The login at a Harbor and all that is known by it: replaced as a whole when the login, the URL or the way there changes,
//! so that nothing learned in one session is taken for true in the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::capabilities::Capabilities;
use super::login_robot::LoginRobot;
use crate::api::RegistryTime;
use crate::domain::catalogue::Catalogue;
use crate::registry::{ServerInfo, harbor};

/// See the module. `default()`: no login was read yet.
#[derive(Clone, Default)]
pub struct Session {
    /// The client; `None` until there is a login.
    pub client: Option<Arc<harbor::Client>>,
    /// The digest of login and connection settings that `client` was made with.
    pub(super) connection: u64,
    /// The URL that `client` was made for.
    pub(super) url: String,
    /// The login's name.
    pub login_name: String,
    /// What Harbor said of itself; `None` until it answers.
    pub info: Option<ServerInfo>,
    /// The robot that we log in as, where it may look at itself.
    pub login_robot: Option<LoginRobot>,
    /// When the login last looked at itself, which it does once an hour; `None` = it has to.
    pub(super) login_robot_seen: Option<Instant>,
    /// The login may list the robots of the system.
    pub sees_system: bool,
    /// The permissions that Harbor says it knows; `None` = the login may not ask.
    pub catalogue: Option<Arc<Catalogue>>,
    /// When they were listed last, which they are once an hour; `None` = they have to be.
    pub(super) catalogue_seen: Option<Instant>,
    /// Learned by trying.
    pub capabilities: Arc<Capabilities>,
    /// The projects that the login sees, where an account asks for them by pattern.
    pub projects: Option<Arc<BTreeSet<String>>>,
    /// When they were listed.
    pub(crate) projects_seen: Option<Instant>,
    /// What `client` was made of is gone from the cluster (the login Secret, the CA bundle), and Harbor still accepts it.
    pub kept: bool,
    /// The same, and Harbor refused it: it is not used any more.
    pub(super) kept_in_vain: bool,
}

impl Session {
    /// When the login stops working, if it is a robot's and that is known.
    pub fn login_expiry(&self) -> Option<RegistryTime> {
        self.login_robot.as_ref()?.expiration_time
    }

    /// Begins a session in place of this one. Projects of the same Harbor stay known, so that a login which sees fewer of them
    /// is not taken for projects that went. Answers with the former session.
    pub(super) fn begin(&mut self, client: Arc<harbor::Client>, connection: u64, url: &str, login_name: &str) -> Self {
        let same_harbor = self.url == url;
        let next = Self {
            client: Some(client),
            connection,
            url: url.to_owned(),
            login_name: login_name.to_owned(),
            projects: self.projects.clone().filter(|_| same_harbor),
            projects_seen: self.projects_seen.filter(|_| same_harbor),
            ..Self::default()
        };
        std::mem::replace(self, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::Key;
    use crate::gate::Gate;
    use crate::registry::harbor::{Client, Config, Reach, Room, Timeouts};

    fn client() -> Arc<harbor::Client> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config {
            url: "https://harbor.example.com".parse().unwrap(),
            username: "robot$operator".to_owned(),
            password: String::new().into(),
            roots: None,
            reach: Reach::Anywhere,
            requests_per_second: 1,
            max_in_flight: 1,
            room: Room::default(),
            timeouts: Timeouts::default(),
            user_agent: String::new(),
            clock: Arc::new(|| RegistryTime::MAX),
            observer: None,
            gate: Gate::open(),
            carrier: None,
        };
        Arc::new(Client::new(config).unwrap())
    }

    #[test]
    fn nothing_learned_by_one_login_holds_for_the_next_but_the_projects_of_the_same_harbor() {
        let mut session = Session::default();
        session.begin(client(), 1, "https://a", "one");
        session.projects = Some(Arc::default());
        session.catalogue = Some(Arc::new(Catalogue::default()));
        let account = Key { namespace: None, name: "x".parse().unwrap() };
        assert!(session.capabilities.set_project_missing("p", &account));
        let former = session.begin(client(), 2, "https://a", "two");
        assert_eq!((former.login_name.as_str(), former.url.as_str()), ("one", "https://a"));
        assert!(session.catalogue.is_none() && session.capabilities.missing_projects().is_empty());
        assert!(session.projects.is_some());
        session.begin(client(), 3, "https://b", "two");
        assert!(session.projects.is_none(), "those of one Harbor say nothing of another");
    }
}
