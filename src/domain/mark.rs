//! The mark at the end of a robot's description: which account owns the robot.
//!
//! `pushes from CI [harbor-robots.io/v1 <uid> <cluster>/<namespace>/<name>]`. The UID decides; the path is for people
//! and tells a predecessor (the same account before a restore) from a stranger.

use crate::api::ObjectName;

/// No description of a user may contain this: a forged mark would claim a robot.
pub const OPENING: &str = "[harbor-robots.io/";
const VERSION: &str = "v1";
const RETAINED: &str = "retained";

/// Who an account is, across clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `metadata.uid` of the account.
    pub uid: String,
    /// `cluster/namespace/name`; the namespace is empty for cluster-scoped accounts. Exists once at any time.
    pub path: String,
}

impl Identity {
    /// Builds the path from its parts.
    pub fn new(uid: &str, cluster: &str, namespace: Option<&str>, name: &str) -> Self {
        Self { uid: uid.to_owned(), path: format!("{cluster}/{}/{name}", namespace.unwrap_or_default()) }
    }
}

/// Whose robot a description says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No mark.
    Nobody,
    /// Our UID.
    Us,
    /// Our path with another UID: this account before it was restored or made again.
    Predecessor,
    /// Anybody else's mark, or one of a format that this version does not read.
    Other,
}

/// The description with the mark that says `identity` owns the robot; `retained` if its account is gone for good.
pub fn write(text: &str, identity: &Identity, retained: bool) -> String {
    let tail = if retained { format!(" {RETAINED}") } else { String::new() };
    let mark = format!("{OPENING}{VERSION} {} {}{tail}]", identity.uid, identity.path);
    if text.is_empty() { mark } else { format!("{text} {mark}") }
}

/// Reads the mark as seen by `identity`. Text around a mark does not matter: people edit descriptions.
pub fn read(description: &str, identity: &Identity) -> Owner {
    let Some(at) = description.rfind(OPENING) else { return Owner::Nobody };
    let inside = &description[at + OPENING.len()..];
    let Some(end) = inside.find(']') else { return Owner::Other };
    let mut words = inside[..end].split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some(VERSION), Some(uid), Some(_)) if uid == identity.uid => Owner::Us,
        (Some(VERSION), Some(_), Some(path)) if path == identity.path => Owner::Predecessor,
        _ => Owner::Other,
    }
}

/// What a mark says, whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'d> {
    /// `metadata.uid` of the account.
    pub uid: &'d str,
    /// The cluster's name.
    pub cluster: &'d str,
    /// The account's namespace; empty for cluster-scoped accounts.
    pub namespace: &'d str,
    /// The account's name.
    pub name: &'d str,
    /// The account was deleted and left the robot on purpose.
    pub retained: bool,
}

/// The mark in a description, if there is one of a format that this version reads, with names that are some: whoever may edit
/// a robot in Harbor writes what they like.
pub fn parse(description: &str) -> Option<Mark<'_>> {
    let inside = &description[description.rfind(OPENING)? + OPENING.len()..];
    let mut words = inside[..inside.find(']')?].split(' ');
    let (VERSION, uid, path) = (words.next()?, words.next()?, words.next()?) else { return None };
    // Names of namespaces and accounts hold no slash.
    let (rest, name) = path.rsplit_once('/')?;
    let (cluster, namespace) = rest.rsplit_once('/')?;
    let named = ObjectName::is_valid(name) && (namespace.is_empty() || ObjectName::is_valid(namespace));
    named.then(|| Mark { uid, cluster, namespace, name, retained: words.next() == Some(RETAINED) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Identity {
        Identity::new("u-1", "c", Some("team-a"), "ci")
    }

    #[test]
    fn a_written_mark_is_read_as_ours() {
        for text in ["", "pushes from CI", "[brackets] and ]"] {
            for retained in [false, true] {
                assert_eq!(read(&write(text, &me(), retained), &me()), Owner::Us, "{text:?}");
            }
        }
    }

    #[test]
    fn the_same_account_with_another_uid_is_the_predecessor() {
        let before = Identity { uid: "u-0".into(), ..me() };
        assert_eq!(read(&write("x", &before, false), &me()), Owner::Predecessor);
        assert_eq!(read(&write("x", &before, true), &me()), Owner::Predecessor);
    }

    #[test]
    fn other_marks_and_unknown_formats_are_strangers() {
        let other = Identity::new("u-2", "c", Some("team-b"), "ci");
        assert_eq!(read(&write("", &other, false), &me()), Owner::Other);
        assert_eq!(read("[harbor-robots.io/v9 u-1 c/team-a/ci]", &me()), Owner::Other);
        assert_eq!(read("[harbor-robots.io/v1 u-1", &me()), Owner::Other);
        assert_eq!(read("[harbor-robots.io/v1 u-1]", &me()), Owner::Other);
        assert_eq!(read("no mark", &me()), Owner::Nobody);
    }

    #[test]
    fn the_last_mark_counts_since_a_description_can_precede_it_only() {
        let forged = write(&write("x", &Identity::new("u-9", "c", Some("b"), "n"), false), &me(), false);
        assert_eq!(read(&forged, &me()), Owner::Us);
    }

    #[test]
    fn a_mark_tells_its_account() {
        let mark = Mark { uid: "u-1", cluster: "c", namespace: "team-a", name: "ci", retained: false };
        assert_eq!(parse(&write("x", &me(), false)), Some(mark));
        assert_eq!(parse(&write("", &me(), true)), Some(Mark { retained: true, ..mark }));
        let odd = Identity::new("u-1", "a/b", None, "all");
        let mark = Mark { cluster: "a/b", namespace: "", name: "all", ..mark };
        assert_eq!(parse(&write("", &odd, false)), Some(mark));
        for path in ["c/n/a<", "c/n/a?b=c", "c/n/%2e%2e", "c/n/A", "c/n/", "c/N/a", "c/n./a", "c/n/é", "//", "c/n/a#b"]
        {
            assert_eq!(parse(&format!("[harbor-robots.io/v1 u {path}]")), None, "{path}");
        }
        for text in ["x", "[harbor-robots.io/v9 u c/n/x]", "[harbor-robots.io/v1 u c/n/x", "[harbor-robots.io/v1 u x]"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
