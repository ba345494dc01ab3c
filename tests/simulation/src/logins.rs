//! Who the operator is at each Harbor: the administrator, or a robot with the rights that `docs/logins.md` asks for, which
//! may update no robots.

use harbor_stand_in::state::State;
use harbor_stand_in::state::grants::{Access, Group, Scope};
use harbor_stand_in::state::robots::{Robot, Row};
use serde_json::{Value, json};

use crate::kubernetes::{Id, kind};
use crate::wishes::Wish;
use crate::world::{HOSTS, SYSTEM, World};

/// Stored name of the operator's robot.
pub(crate) const ROBOT: &str = "operator";

/// Whose login the operator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Harbor's administrator.
    Administrator,
    /// A system robot.
    Robot,
}

impl Login {
    pub(crate) fn user(self, state: &State) -> String {
        match self {
            Self::Administrator => "admin".to_owned(),
            Self::Robot => format!("{}{ROBOT}", state.settings.prefix()),
        }
    }

    fn password(self, state: &State) -> Option<String> {
        match self {
            Self::Administrator => Some(state.users.get(1)?.password.clone()),
            Self::Robot => state.robots.named(ROBOT)?.row.secret.clone(),
        }
    }

    /// Sets it; a robot that is not there is made.
    pub fn set_password(self, state: &mut State, password: &str) {
        match self {
            Self::Administrator => {
                if let Some(admin) = state.users.get_mut(1) {
                    password.clone_into(&mut admin.password);
                }
            }
            Self::Robot => {
                let id = state.robots.named(ROBOT).map(|robot| robot.row.id);
                let id = id.unwrap_or_else(|| make(state));
                if let Some(robot) = state.robots.get_mut(id) {
                    robot.row.secret = Some(password.to_owned());
                }
            }
        }
    }
}

/// What `docs/logins.md` asks for, and what the accounts of a run hand out.
fn rights() -> Vec<Group> {
    let pairs = |pairs: &[(&str, &str)]| {
        let pair = |(resource, action): &(&str, &str)| Access {
            resource: (*resource).to_owned(),
            action: (*action).to_owned(),
            effect: String::new(),
        };
        pairs.iter().map(pair).collect::<Vec<_>>()
    };
    let robots = [("robot", "list"), ("robot", "create"), ("robot", "read"), ("robot", "delete")];
    let of_system = pairs(&[&robots[..], &[("project", "list")]].concat());
    let of_projects = pairs(
        &[
            &robots[..],
            &[("project", "read"), ("repository", "pull"), ("repository", "push"), ("export-cve", "create")],
        ]
        .concat(),
    );
    vec![Group { scope: Scope::System, access: of_system }, Group { scope: Scope::AllProjects, access: of_projects }]
}

fn make(state: &mut State) -> i64 {
    let now = state.clock.now_ms();
    let row = Row {
        id: 0,
        name: ROBOT.to_owned(),
        project: 0,
        description: "the operator's own".to_owned(),
        secret: None,
        duration: -1,
        disabled: false,
        expires_at: -1,
        visible: true,
        creator_type: "local".to_owned(),
        creator_ref: 1,
        created_ms: now,
        updated_ms: now,
    };
    state.robots.insert(row, rights())
}

impl World {
    /// The name of the operator's login at a Harbor, if that is a robot: no other text has it in it.
    pub(crate) fn robot_that_logs_in(&self, harbor: usize) -> Option<String> {
        let login = self.logins[harbor];
        (login == Login::Robot).then(|| login.user(&self.harbor(harbor).state()))
    }

    /// The Secret with the login of a registry.
    pub fn login(number: usize) -> Id {
        Id::new(kind("Secret"), [SYSTEM, "team-b"][number], "login")
    }

    /// Writes the login Secrets of the registries that name a Harbor.
    pub fn write_logins(&self, harbor: usize) {
        for registry in (0..HOSTS.len()).filter(|registry| self.harbor_of_registry(*registry) == harbor) {
            self.write_login(registry);
        }
    }

    /// Writes the login Secret of a registry.
    pub fn write_login(&self, number: usize) {
        let (id, harbor) = (Self::login(number), self.harbor_of_registry(number));
        let user = self.logins[harbor].user(&self.harbor(harbor).state());
        let labels = if number == 1 { json!({"harbor-robots.io/use": "login"}) } else { json!({}) };
        let object = json!({
            "metadata": {"name": id.name, "namespace": id.namespace, "labels": labels},
            "stringData": {"username": user, "password": self.passwords[harbor]},
        });
        self.put(id.kind(), &id.namespace, &object);
    }

    /// Gives a login this password, in Harbor alone.
    pub fn set_password(&mut self, number: usize, password: &str) {
        self.logins[number].set_password(&mut self.harbor(number).state(), password);
        password.clone_into(&mut self.passwords[number]);
        // The operator's robot is nobody's whom it may touch.
        self.know_strangers(number);
    }

    /// The operator's robot at a Harbor may do one thing less, of the system or of projects.
    pub(crate) fn take_right(&mut self, harbor: usize, system: bool, resource: &str, action: &str) {
        self.change_login_robot(harbor, |robot, _| {
            for group in robot.groups.iter_mut().filter(|group| (group.scope == Scope::System) == system) {
                group.access.retain(|access| (access.resource.as_str(), access.action.as_str()) != (resource, action));
            }
        });
    }

    /// The operator's robot at a Harbor may do all again.
    pub(crate) fn give_rights(&mut self, harbor: usize) {
        self.change_login_robot(harbor, |robot, _| robot.groups = rights());
    }

    /// A person changes the operator's robot at a Harbor; `edit` is told that Harbor's time in milliseconds.
    pub(crate) fn change_login_robot(&mut self, harbor: usize, edit: impl FnOnce(&mut Robot, i64)) {
        let mut state = self.harbor(harbor).state();
        let now = state.clock.now_ms();
        let id = state.robots.named(ROBOT).map(|robot| robot.row.id);
        if let Some(robot) = id.and_then(|id| state.robots.get_mut(id)) {
            robot.row.updated_ms = now;
            edit(robot, now);
        }
        drop(state);
        self.know_strangers(harbor);
    }

    /// Gives the operator another login.
    pub fn log_in_as(&mut self, number: usize, login: Login) {
        if self.logins[number] == login {
            return;
        }
        self.logins[number] = login;
        let password = format!("Harbor{}", self.network.calls());
        self.set_password(number, &password);
        self.write_logins(number);
    }

    /// Where an account asks for what a robot's login cannot do, the operator gets a better login, or the account asks for it
    /// no longer.
    pub(crate) fn allow_updates(&mut self, number: usize) {
        let asks = |wish: &Wish| wish.spec["rotation"]["strategy"] == "InPlace" || wish.has_own_password();
        let asking: Vec<usize> = (0..self.wishes.len())
            .filter(|account| self.harbor_of(*account) == number && asks(&self.wishes[*account]))
            .collect();
        if self.logins[number] == Login::Administrator || asking.is_empty() {
            return;
        }
        // What Git has no more nobody changes there.
        let stuck = asking.iter().any(|account| self.wishes[*account].deleted && self.account(*account).is_some());
        if stuck || self.seed.is_multiple_of(2) {
            return self.log_in_as(number, Login::Administrator);
        }
        for account in asking {
            let spec = &mut self.wishes[account].spec;
            spec["rotation"]["strategy"] = json!("Overlap");
            spec["passwordSecretRef"] = Value::Null;
        }
    }

    /// The password of a login as Harbor has it now.
    pub fn know_password(&mut self, number: usize) {
        let password = self.logins[number].password(&self.harbor(number).state());
        if let Some(password) = password {
            self.passwords[number] = password;
        }
    }
}
