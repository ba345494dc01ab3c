//! Everything that the stand-in remembers: robots, projects, persons, sessions and settings.
//!
//! No HTTP in here: handlers ask and tell, and get Harbor's errors back.

pub mod grants;
pub mod listing;
pub mod locks;
pub mod projects;
pub mod rights;
pub mod robots;
pub mod rules;
pub mod sessions;
pub mod settings;
pub mod update;
pub mod users;

use crate::clock::Clock;
use projects::Projects;
use robots::Robots;
use sessions::Sessions;
use settings::Settings;
use users::Users;

use crate::version::Version;

/// One Harbor's memory.
#[derive(Debug)]
pub struct State {
    /// What time it is there.
    pub clock: Clock,
    /// All robots.
    pub robots: Robots,
    /// All projects.
    pub projects: Projects,
    /// All persons.
    pub users: Users,
    /// Who is logged in by form.
    pub sessions: Sessions,
    /// What `/configurations` shows.
    pub settings: Settings,
    /// Which Harbor this is.
    pub version: Version,
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No credential, or one that is no good: Harbor goes on as if there were none.
    Nobody,
    /// A person.
    Person {
        /// User id.
        id: i64,
        /// User name.
        name: String,
    },
    /// A robot.
    Robot {
        /// Robot id.
        id: i64,
        /// Full name, with the prefix.
        name: String,
    },
    /// Whoever holds a registry token; counts under `/v2/` only.
    Token {
        /// The token's subject; empty for an anonymous one.
        name: String,
        /// Actions by project name.
        access: Vec<(String, Vec<String>)>,
        /// When it was issued, unix seconds.
        issued: i64,
    },
}

impl Caller {
    /// The name that 403 texts carry.
    pub fn name(&self) -> &str {
        match self {
            Self::Nobody => "",
            Self::Person { name, .. } | Self::Robot { name, .. } | Self::Token { name, .. } => name,
        }
    }

    /// Whether this is somebody.
    pub fn is_authenticated(&self) -> bool {
        !self.name().is_empty()
    }
}

/// A backup of the database: all that a restore brings back. Sessions and the clock are not in it.
#[derive(Debug, Clone)]
pub struct Backup {
    robots: Robots,
    projects: Projects,
    users: Users,
    settings: Settings,
}

impl State {
    /// A fresh Harbor: the administrator, and the public project `library`.
    pub fn new(admin: &str, password: &str) -> Self {
        let clock = Clock::default();
        let now = clock.now_ms();
        let mut projects = Projects::default();
        projects.create("library", true, 1, "admin", now);
        Self {
            clock,
            robots: Robots::default(),
            projects,
            users: Users::new(admin, password, now),
            sessions: Sessions::default(),
            settings: Settings::default(),
            version: Version::default(),
        }
    }

    /// Whether an id is of a session that is kept, anybody's.
    pub fn knows_session(&mut self, id: &str) -> bool {
        self.sessions.expire(self.clock.now_ms(), self.settings.session_minutes());
        self.sessions.issued(id)
    }

    /// Makes all robots older: their times move back, `now` stays.
    pub fn age(&mut self, days: i64) {
        self.robots.age(days);
    }

    /// Everything in the database.
    pub fn backup(&self) -> Backup {
        let (robots, projects) = (self.robots.clone(), self.projects.clone());
        Backup { robots, projects, users: self.users.clone(), settings: self.settings.clone() }
    }

    /// Puts the database back. Ids run on from where they were then, so those used since are used again.
    pub fn restore(&mut self, backup: Backup) {
        let Backup { robots, projects, users, settings } = backup;
        self.robots = robots;
        self.projects = projects;
        self.users = users;
        self.settings = settings;
    }
}
