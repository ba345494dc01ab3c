//! The requests that the client makes.

use reqwest::{Method, StatusCode};

use super::room::SMALL;

/// The largest answer that is read, in bytes: more than a robot with as many permissions as are read takes.
pub(super) const LARGEST: usize = 2 * 1024 * 1024;

/// A kind of request: the same status means different things to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Metric label.
    pub(super) name: &'static str,
    pub(super) method: &'static Method,
    /// The pair that Harbor asks for (measured on 2.12 to 2.16); empty where it takes more than a pair.
    pub(super) needs: &'static str,
    /// Its answer shows that Harbor knows the caller. The others are also answered to nobody, with less in them.
    pub(super) needs_login: bool,
}

impl Call {
    /// Asks for the token that a login by form needs.
    pub(super) const LOGIN_TOKEN: Self = Self::open("login_token", &Method::POST, "");
    pub(super) const LOGIN: Self = Self::open("login", &Method::POST, "");
    pub(super) const CURRENT_USER: Self = Self::of_ours("current_user", &Method::GET, "");
    pub(super) const SYSTEM_INFO: Self = Self::open("system_info", &Method::GET, "");
    pub(super) const CONFIGURATIONS: Self = Self::of_ours("configurations", &Method::GET, "");
    pub(super) const CONFIGURATIONS_UPDATE: Self = Self::of_ours("configurations_update", &Method::PUT, "");
    pub(super) const CATALOGUE: Self = Self::of_ours("permissions", &Method::GET, "");
    pub(super) const PROJECT_GET: Self = Self::open("project_get", &Method::GET, "project:read");
    pub(super) const PROJECT_LIST: Self = Self::open("project_list", &Method::GET, "project:list");
    pub(super) const PROJECT_EXISTS: Self = Self::open("project_exists", &Method::HEAD, "project:read");
    pub(super) const ROBOT_LIST: Self = Self::of_ours("robot_list", &Method::GET, "robot:list");
    pub(super) const ROBOT_GET: Self = Self::of_ours("robot_get", &Method::GET, "robot:read");
    pub(super) const ROBOT_CREATE: Self = Self::of_ours("robot_create", &Method::POST, "robot:create");
    pub(super) const ROBOT_UPDATE: Self = Self::of_ours("robot_update", &Method::PUT, "project:update");
    pub(super) const ROBOT_REFRESH: Self = Self::of_ours("robot_refresh", &Method::PATCH, "project:update");
    pub(super) const ROBOT_DELETE: Self = Self::of_ours("robot_delete", &Method::DELETE, "robot:delete");
    pub(super) const VERIFY: Self = Self::open("verify", &Method::GET, "");

    const fn open(name: &'static str, method: &'static Method, needs: &'static str) -> Self {
        Self { name, method, needs, needs_login: false }
    }

    const fn of_ours(name: &'static str, method: &'static Method, needs: &'static str) -> Self {
        Self { name, method, needs, needs_login: true }
    }

    /// Whether it changes something in Harbor; a login does not.
    pub(super) fn is_write(self) -> bool {
        self.needs_login && self.method != Method::GET
    }

    /// The most bytes of an answer that are read: lists, and a robot of the system with its permissions in thousands of
    /// projects, take much more room than anything else. Refusals and the answers to changes are short.
    pub(super) fn largest_answer(self, answered: bool) -> usize {
        let is_long = matches!(self, Self::ROBOT_LIST | Self::ROBOT_GET | Self::PROJECT_LIST);
        if answered && is_long { LARGEST } else { SMALL }
    }

    /// Whether this status is an answer to the question and not a refusal.
    pub(super) fn is_answered_by(self, status: StatusCode) -> bool {
        status.is_success()
            || match self {
                // A robot has no user of its own.
                Self::CURRENT_USER => status == StatusCode::PRECONDITION_FAILED,
                Self::PROJECT_EXISTS => status == StatusCode::NOT_FOUND,
                Self::VERIFY => status == StatusCode::UNAUTHORIZED,
                // Harbor refuses the first without a token; anything else may come where there is no login by form.
                Self::LOGIN_TOKEN | Self::LOGIN => !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS,
                _ => false,
            }
    }
}
