//! How Harbor builds the names of robots, and how its list is asked for them.
//!
//! Harbor stores a system robot as `<name>` and a project robot as `<project>+<name>`; it shows and logs in the stored
//! name behind a prefix, a server setting that is not kept with the robot (`robot$` unless changed). Names of robots
//! and projects never hold a `+`, the prefix may.

use url::form_urlencoded::byte_serialize;

use crate::domain::robot::Home;

/// The short name in a robot's full name, or `None` if the full name does not fit the home. A project robot's is what
/// follows the last `+`. A system robot's starts where the prefix ends, so it needs the prefix ([`prefix_of`] any robot
/// just made or found); without it there is no telling `ci` behind `robot$x.` from `x.ci` behind `robot$`.
pub fn short_name<'a>(full: &'a str, home: &Home, prefix: Option<&str>) -> Option<&'a str> {
    let stored = match prefix {
        Some(prefix) => full.strip_prefix(prefix)?,
        None => full,
    };
    match (home, prefix) {
        (Home::System, None) => None,
        (Home::System, Some(_)) => (!stored.is_empty() && !stored.contains('+')).then_some(stored),
        (Home::Project(project), known) => {
            let (before, short) = stored.rsplit_once('+')?;
            let fits = if known.is_some() { before == project } else { before.ends_with(project.as_str()) };
            (fits && !short.is_empty()).then_some(short)
        }
    }
}

/// What stands before the stored name in a full name; `None` if the robot has another short name or home.
pub fn prefix_of<'a>(full: &'a str, home: &Home, short: &str) -> Option<&'a str> {
    let before = full.strip_suffix(short)?;
    match home {
        Home::System => Some(before),
        Home::Project(project) => before.strip_suffix('+')?.strip_suffix(project.as_str()),
    }
}

/// The project in the full name of a project robot. `namespace` is that of its permissions, the surest sign; then the
/// prefix, if known; then what follows the last character that cannot be part of a project's name.
pub(super) fn project_of<'a>(full: &'a str, namespace: Option<&str>, prefix: Option<&str>) -> Option<&'a str> {
    let (before, _) = full.rsplit_once('+')?;
    if let Some(namespace) = namespace.filter(|namespace| before.ends_with(namespace)) {
        return Some(&before[before.len() - namespace.len()..]);
    }
    prefix.and_then(|prefix| before.strip_prefix(prefix)).or_else(|| before.rsplit(|c| !in_name(c)).next())
}

/// The longest end of a full name that can be part of a robot's name.
pub(super) fn tail(full: &str) -> &str {
    full.rsplit(|c| !in_name(c)).next().unwrap_or_default()
}

/// Whether Harbor could have a robot or project of this name. Others must not get into a query or a path, where `,`,
/// `{` or `/` would mean something.
pub(super) fn possible(name: &str) -> bool {
    name.starts_with(|c| in_name(c) && c != '.') && name.len() <= 255 && name.chars().all(in_name)
}

fn in_name(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

/// `q` of the robot list for a home (`project_id` of a project) and, if given, some stored names. Without `Level` the
/// list holds system robots in every version; `Level=system` gave all robots before 2.13.
pub(super) fn robot_query(home: &Home, project_id: i64, names: Option<&[&str]>) -> Option<String> {
    let mut terms = Vec::new();
    if let Home::Project(_) = home {
        terms.push(format!("Level=project,ProjectID={project_id}"));
    }
    if let Some(names) = names {
        let stored: Vec<String> = names
            .iter()
            .map(|name| match home {
                Home::System => (*name).to_owned(),
                // Decoded twice by Harbor: this is the inner encoding of the plus sign.
                Home::Project(project) => format!("{project}%2B{name}"),
            })
            .collect();
        terms.push(match stored.as_slice() {
            [one] => format!("name={one}"),
            many => format!("name={{{}}}", many.join(" ")),
        });
    }
    (!terms.is_empty()).then(|| encode(&terms.join(",")))
}

/// One value of a query string, percent-encoded.
pub(super) fn encode(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> Home {
        Home::Project(name.into())
    }

    #[test]
    fn a_project_robots_short_name_follows_the_last_plus_whatever_the_prefix() {
        for prefix in ["robot$", "robot_", "x+", "", "a:b "] {
            let full = format!("{prefix}lib.x+ci-1");
            assert_eq!(short_name(&full, &project("lib.x"), None), Some("ci-1"));
            assert_eq!(short_name(&full, &project("lib.x"), Some(prefix)), Some("ci-1"));
            assert_eq!(prefix_of(&full, &project("lib.x"), "ci-1"), Some(prefix));
            assert_eq!(short_name(&full, &project("other"), None), None);
        }
        assert_eq!(short_name("robot$mylib+ci", &project("lib"), Some("robot$")), None);
        assert_eq!(short_name("robot$ci", &project("lib"), None), None);
    }

    #[test]
    fn a_system_robots_short_name_needs_the_prefix() {
        assert_eq!(short_name("robot$x.ci", &Home::System, None), None);
        assert_eq!(short_name("robot$x.ci", &Home::System, Some("robot$")), Some("x.ci"));
        assert_eq!(short_name("robot$x.ci", &Home::System, Some("robot$x.")), Some("ci"));
        assert_eq!(short_name("robot$x.ci", &Home::System, Some("bot-")), None);
        assert_eq!(short_name("robot$lib+ci", &Home::System, Some("robot$")), None);
        assert_eq!(prefix_of("robot$x.ci", &Home::System, "x.ci"), Some("robot$"));
    }

    #[test]
    fn the_project_is_read_from_the_permissions_then_the_prefix_then_the_characters() {
        assert_eq!(project_of("robot_lib+ci", Some("lib"), None), Some("lib"));
        assert_eq!(project_of("robot_lib+ci", Some("other"), Some("robot_")), Some("lib"));
        assert_eq!(project_of("robot$lib+ci", None, None), Some("lib"));
        assert_eq!(project_of("x+lib+ci", None, None), Some("lib"));
        assert_eq!(project_of("robot$ci", Some("lib"), None), None);
    }

    #[test]
    fn a_plus_is_encoded_twice_and_the_rest_once() {
        assert_eq!(robot_query(&Home::System, 0, None), None);
        assert_eq!(robot_query(&Home::System, 0, Some(&["ci"])).as_deref(), Some("name%3Dci"));
        assert_eq!(
            robot_query(&project("lib"), 7, Some(&["a", "b"])).as_deref(),
            Some("Level%3Dproject%2CProjectID%3D7%2Cname%3D%7Blib%252Ba+lib%252Bb%7D")
        );
    }

    #[test]
    fn names_that_would_mean_something_in_a_query_or_path_are_impossible() {
        for name in ["", ".", "..", "a,Level=system", "a b", "a/b", "a%2B", "A", "{a", "é"] {
            assert!(!possible(name), "{name}");
        }
        assert!(possible("a-b.c_9"));
    }
}
