//! The robot that we log in as, seen by itself: how long the login lives and what it may hand out.

use super::client::Client;
use super::names;
use crate::domain::robot::{Home, Robot};
use crate::registry::Error;

/// A prefix that ends in characters of a name hides where the name begins: so many places are tried, in one request.
const MOST_NAMES: usize = 50;

impl Client {
    /// The robot that logs in under this full name, as its own login sees it; `None` if the login may not list robots
    /// where it lives. A robot does not know its own id.
    ///
    /// # Errors
    /// If Harbor does not answer or accept the login.
    pub async fn login_robot(&self, login: &str) -> Result<Option<Robot>, Error> {
        let prefix = self.name_prefix();
        let (home, names) = addresses(login, prefix.as_deref());
        match self.find(&home, &names).await {
            Ok(robots) => Ok(robots.into_iter().find(|robot| robot.name == login)),
            Err(Error::Forbidden { .. } | Error::ProjectNotFound(_) | Error::CannotListProjects(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Where a robot of this full name lives, and the short names that it can have.
fn addresses<'a>(login: &'a str, prefix: Option<&str>) -> (Home, Vec<&'a str>) {
    let stored = prefix.and_then(|prefix| login.strip_prefix(prefix));
    if stored.unwrap_or(login).contains('+')
        && let Some(project) = names::project_of(login, None, prefix)
        && let Some((_, name)) = login.rsplit_once('+')
    {
        return (Home::Project(project.to_owned()), vec![name]);
    }
    if let Some(stored) = stored {
        return (Home::System, vec![stored]);
    }
    let tail = names::tail(login);
    let starts = (0..tail.len()).map(|at| &tail[at..]).filter(|name| names::possible(name));
    (Home::System, starts.take(MOST_NAMES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_prefix_tells_the_name_of_a_login() {
        assert_eq!(addresses("robot$op", Some("robot$")), (Home::System, vec!["op"]));
        assert_eq!(addresses("bot_op", Some("bot_")), (Home::System, vec!["op"]));
        assert_eq!(addresses("robot$lib+op", Some("robot$")), (Home::Project("lib".into()), vec!["op"]));
        assert_eq!(addresses("x+op", Some("x+")), (Home::System, vec!["op"]));
    }

    #[test]
    fn without_one_every_end_of_the_login_that_can_be_a_name_is_tried() {
        assert_eq!(addresses("robot$op", None), (Home::System, vec!["op", "p"]));
        assert_eq!(addresses("b-op", None), (Home::System, vec!["b-op", "-op", "op", "p"]));
        assert_eq!(addresses("robot$lib+op", None), (Home::Project("lib".into()), vec!["op"]));
        assert_eq!(addresses(&format!("robot${}", "x".repeat(200)), None).1.len(), MOST_NAMES);
    }
}
