//! What can go wrong with a registry call, by what has to happen next.

use std::time::Duration;

/// What has to happen after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again later, at the earliest after `after` where the server named a time.
    Retry {
        /// From `Retry-After`.
        after: Option<Duration>,
    },
    /// A person has to change something; trying again alone does not help.
    UserFix,
    /// It may or may not have happened: gather before the next change.
    Unknown,
    /// The picture was stale (409, 404 on a known robot): gather again at once.
    Stale,
    /// Another replica leads: end, and say nothing.
    NotLeading,
}

/// A failed registry call. Texts hold only Harbor's `code` and at most 256 printable characters of its `message`:
/// never a URL, a header or a body.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// 401: Harbor does not accept the login (unknown, wrong, disabled or expired: it does not say which).
    #[error("Harbor does not accept the login")]
    Unauthorized,
    /// 401 before Harbor can have looked at the password: it does not while somebody's wrong passwords lock the user
    /// name. Says nothing of ours; with the time after which to try again.
    #[error(
        "Harbor refuses the login without looking at the password, as it does while somebody tries wrong ones for the user name"
    )]
    LoginLocked(Duration),
    /// 403: the login may not do this.
    #[error("Harbor refuses this to the login: {message}")]
    Forbidden {
        /// The pair that the call needs, like `robot:create`; empty where no pair of a project or of the system helps.
        needs: &'static str,
        /// Harbor's text; ours for its settings, of which it says no more than the caller's name.
        message: String,
    },
    /// 403 DENIED on create: a robot login may hand out only what it holds itself.
    #[error("the robot login may only hand out permissions that it holds itself: {0}")]
    ScopeExceeded(String),
    /// 403 DENIED `denied` on create: a system robot cannot make project robots before Harbor 2.14.1.
    #[error("this Harbor does not let a system robot create project robots (possible from 2.14.1 on)")]
    LoginTooOld,
    /// 403 DENIED on any write in read-only mode.
    #[error("Harbor is in read-only mode")]
    ReadOnly,
    /// 403 DENIED: a robot from before Harbor 2.2.
    #[error("Harbor does not edit this legacy robot")]
    Legacy,
    /// The project does not exist.
    #[error("project {0} does not exist in Harbor")]
    ProjectNotFound(String),
    /// The project exists, but the login cannot learn its id.
    #[error("the login can neither read nor list project {0}")]
    CannotListProjects(String),
    /// 404 on a robot.
    #[error("the robot does not exist")]
    NotFound,
    /// DELETE answered 404 but the robot is still there: it has no permission (give it one, then delete).
    #[error("Harbor cannot delete this robot, since it has no permission")]
    Undeletable,
    /// 409: the name is taken.
    #[error("a robot of that name exists")]
    Conflict,
    /// 400 on update, `cannot update the level or name of robot`: the robot has another full name than was read, since
    /// an administrator changed Harbor's name prefix in between.
    #[error("the robot got another name in Harbor meanwhile")]
    Renamed,
    /// 400 `bad request permission: x:y`: this Harbor does not know the pair.
    #[error("this Harbor does not know the permission {0}")]
    PermissionUnknown(String),
    /// 400 or 422 otherwise.
    #[error("Harbor refuses the request: {0}")]
    Invalid(String),
    /// 429 or 503, with the time from `Retry-After`.
    #[error("Harbor asks to wait")]
    Busy(Option<Duration>),
    /// Any other 5xx, with or without a body.
    #[error("Harbor failed with status {0}")]
    Server(u16),
    /// More is listed than the operator reads.
    #[error("Harbor lists more than {most} {what}, and no more of them are read")]
    ListTooLong {
        /// What is listed.
        what: &'static str,
        /// How many are read.
        most: usize,
    },
    /// No connection, so nothing was sent: `connection refused`, `certificate not trusted`, `address not allowed` (by
    /// [`Reach`](super::harbor::Reach)), …
    #[error("Harbor cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The request was sent and no whole answer came: it may have happened. `timed out`, `connection lost`, …
    #[error("Harbor did not answer: {0}")]
    NoAnswer(&'static str),
    /// An answer that is not what Harbor sends: not JSON, too large, a redirect, a missing field.
    #[error("unexpected answer from Harbor: {what}")]
    BadAnswer {
        /// What is wrong with it.
        what: String,
        /// True for a write that was accepted (2xx), so that it may have happened.
        after_write: bool,
    },
    /// A change was not sent, since another replica leads.
    #[error("another replica leads")]
    NotLeading,
}

impl Error {
    /// What has to happen next.
    pub fn class(&self) -> Class {
        self.reason_and_class().1
    }

    /// A short, stable word for conditions, events and metric labels.
    pub fn reason(&self) -> &'static str {
        self.reason_and_class().0
    }

    fn reason_and_class(&self) -> (&'static str, Class) {
        match self {
            Self::Unauthorized => ("CredentialsRejected", Class::UserFix),
            Self::LoginLocked(after) => ("LoginLocked", Class::Retry { after: Some(*after) }),
            Self::Forbidden { .. } => ("Forbidden", Class::UserFix),
            Self::ScopeExceeded(_) => ("LoginLacksPermissions", Class::UserFix),
            Self::LoginTooOld => ("LoginTooOld", Class::UserFix),
            Self::ReadOnly => ("ReadOnly", Class::Retry { after: None }),
            Self::Legacy => ("LegacyRobot", Class::UserFix),
            Self::ProjectNotFound(_) => ("ProjectNotFound", Class::UserFix),
            Self::CannotListProjects(_) => ("LoginCannotListProjects", Class::UserFix),
            Self::NotFound => ("RobotNotFound", Class::Stale),
            Self::Undeletable => ("RobotUndeletable", Class::UserFix),
            Self::Conflict => ("Conflict", Class::Stale),
            Self::Renamed => ("RobotRenamed", Class::Stale),
            Self::PermissionUnknown(_) => ("PermissionUnknown", Class::UserFix),
            Self::Invalid(_) => ("Refused", Class::UserFix),
            Self::Busy(after) => ("RateLimited", Class::Retry { after: *after }),
            Self::Server(_) => ("ServerError", Class::Unknown),
            Self::ListTooLong { .. } => ("ListTooLong", Class::UserFix),
            Self::Unreachable(_) => ("Unreachable", Class::Retry { after: None }),
            Self::NoAnswer(_) => ("NoAnswer", Class::Unknown),
            Self::BadAnswer { after_write: false, .. } => ("BadAnswer", Class::Retry { after: None }),
            Self::BadAnswer { after_write: true, .. } => ("BadAnswer", Class::Unknown),
            Self::NotLeading => ("NotLeading", Class::NotLeading),
        }
    }

    /// True if the login was not accepted, for whatever reason.
    pub fn is_of_login(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::LoginLocked(_))
    }

    /// True if the server as a whole is out of order, so that other accounts need not try now.
    pub fn is_outage(&self) -> bool {
        match self {
            // Harbor itself says 500 of a single call, a proxy before a Harbor that is down says 502 or 504.
            Self::Server(status) => *status != 500,
            Self::Unauthorized
            | Self::LoginLocked(_)
            | Self::Busy(_)
            | Self::ReadOnly
            | Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::BadAnswer { .. } => true,
            _ => false,
        }
    }
}
