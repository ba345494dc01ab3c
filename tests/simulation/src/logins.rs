//! Who the operator is at each Harbor: the administrator, or a robot with the rights that `docs/logins.md` asks for, which
//! may update no robots.

use harbor_stand_in::state::State;
use harbor_stand_in::state::grants::{Access, Group, Scope};
use harbor_stand_in::state::robots::Row;
use serde_json::json;

use crate::kubernetes::{Id, kind};
use crate::world::{SYSTEM, Wish, World};

/// Stored name of the operator's robot.
const ROBOT: &str = "operator";

/// Whose login the operator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Harbor's administrator.
    Administrator,
    /// A system robot.
    Robot,
}

impl Login {
    fn user(self, state: &State) -> String {
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
    let of_projects =
        pairs(&[&robots[..], &[("project", "read"), ("repository", "pull"), ("repository", "push")]].concat());
    let groups = vec![
        Group { scope: Scope::System, access: of_system },
        Group { scope: Scope::AllProjects, access: of_projects },
    ];
    state.robots.insert(row, groups)
}

impl World {
    /// The Secret with the login of a registry.
    pub fn login(number: usize) -> Id {
        Id::new(kind("Secret"), [SYSTEM, "team-b"][number], "login")
    }

    /// Writes the login Secret of a Harbor.
    pub fn write_login(&self, number: usize) {
        let id = Self::login(number);
        let user = self.logins[number].user(&self.harbor(number).state());
        let labels = if number == 1 { json!({"harbor-robots.io/use": "login"}) } else { json!({}) };
        let object = json!({
            "metadata": {"name": id.name, "namespace": id.namespace, "labels": labels},
            "stringData": {"username": user, "password": self.passwords[number]},
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

    /// Gives the operator another login.
    pub fn log_in_as(&mut self, number: usize, login: Login) {
        if self.logins[number] == login {
            return;
        }
        self.logins[number] = login;
        let password = format!("Harbor{}", self.network.calls());
        self.set_password(number, &password);
        self.write_login(number);
    }

    /// Where an account asks for what a robot's login cannot do, the operator gets a better login, or the account asks for it
    /// no longer.
    pub(crate) fn allow_updates(&mut self, number: usize) {
        let asks = |wish: &Wish| wish.harbor() == number && wish.spec["rotation"]["strategy"] == "InPlace";
        if self.logins[number] == Login::Administrator || !self.wishes.iter().any(asks) {
            return;
        }
        if self.seed.is_multiple_of(2) {
            self.log_in_as(number, Login::Administrator);
        }
        for wish in self.wishes.iter_mut().filter(|wish| asks(wish) && self.logins[number] == Login::Robot) {
            wish.spec["rotation"]["strategy"] = json!("Overlap");
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
