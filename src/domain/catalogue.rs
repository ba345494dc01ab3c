//! The pairs that each version of Harbor accepts, so that a typing error is told before any call.
//!
//! Harbor checks pairs from 2.10 on, by the permission's kind (`src/common/rbac/const.go`). Read from the releases
//! 2.10.0 to 2.16 and compared with what 2.16 answers to `GET /permissions`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::permissions::{Access, AccessSet};
use super::robot::Permissions;
pub use crate::api::PermissionKind as Kind;

/// A version of Harbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// The first version that checks pairs.
    pub const FIRST_CHECKED: Self = Self::new(2, 10, 0);
    /// The last version whose list is built in.
    pub const LAST_KNOWN: Self = Self::new(2, 16, u32::MAX);

    /// A version from its numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `v2.16.0-c50c7ddd`, `2.15.2` or `v2.12`; builds differ in what they put after the numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self::new(major, minor, numbers.next().flatten().unwrap_or_default()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

struct Row {
    resource: &'static str,
    actions: &'static str,
    since: Version,
    before: Option<Version>,
}

const fn row(resource: &'static str, actions: &'static str, (minor, patch): (u32, u32)) -> Row {
    Row { resource, actions, since: Version::new(2, minor, patch), before: None }
}

const SYSTEM: &[Row] = &[
    row("audit-log", "list", (10, 0)),
    row("catalog", "read", (10, 0)),
    // Moved to where it belongs in the next patch release.
    Row { before: Some(Version::new(2, 12, 1)), ..row("export-cve", "create read", (12, 0)) },
    row("garbage-collection", "read create list update stop", (10, 0)),
    row("jobservice-monitor", "list stop", (10, 0)),
    row("label", "read create delete update", (10, 0)),
    row("ldap-user", "create list", (12, 0)),
    row("preheat-instance", "read create delete list update", (10, 0)),
    row("project", "list create", (10, 0)),
    row("purge-audit", "read create list update stop", (10, 0)),
    row("quota", "read list", (10, 1)),
    row("quota", "update", (12, 0)),
    row("registry", "read create delete list update", (10, 0)),
    row("replication", "read create list", (10, 0)),
    row("replication-adapter", "list", (10, 0)),
    row("replication-policy", "read create delete list update", (10, 0)),
    row("robot", "create read list delete", (12, 0)),
    row("scan-all", "read update stop create", (10, 0)),
    row("scanner", "read create delete list update", (10, 0)),
    row("security-hub", "read list", (10, 0)),
    row("system-volumes", "read", (10, 0)),
    row("user", "create read update list delete", (12, 0)),
    row("user-group", "create read update list delete", (12, 0)),
];

const PROJECT: &[Row] = &[
    row("accessory", "list", (10, 0)),
    row("artifact", "read create list delete", (10, 0)),
    row("artifact-addition", "read", (10, 0)),
    row("artifact-label", "create delete", (10, 0)),
    row("export-cve", "create read", (12, 1)),
    row("immutable-tag", "create delete list update", (10, 0)),
    row("label", "read create delete list update", (10, 0)),
    row("log", "list", (10, 0)),
    row("member", "create read update list delete", (12, 0)),
    row("metadata", "read create delete list update", (10, 0)),
    row("notification-policy", "read create delete list update", (10, 0)),
    row("preheat-policy", "read create delete list update", (10, 0)),
    row("project", "read delete update", (10, 0)),
    row("quota", "read", (10, 1)),
    row("repository", "read update delete list pull push", (10, 0)),
    row("robot", "create read list delete", (12, 0)),
    row("sbom", "create stop read", (11, 0)),
    row("scan", "create read stop", (10, 0)),
    row("scanner", "create read", (10, 0)),
    row("tag", "create list delete", (10, 0)),
    row("tag-retention", "read create delete list update", (10, 0)),
];

/// The pairs of `version`; of the last known one for later versions.
fn pairs(version: Version, kind: Kind) -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = match kind {
        Kind::System => SYSTEM,
        Kind::Project => PROJECT,
    };
    rows.iter()
        .filter(move |row| row.since <= version && row.before.is_none_or(|before| version < before))
        .flat_map(|row| row.actions.split(' ').map(|action| (row.resource, action)))
}

/// Whether the built-in list decides for this version: earlier ones check nothing, later ones may accept more, so there
/// only Harbor's own answer counts.
pub fn is_decisive(version: Version) -> bool {
    (Version::FIRST_CHECKED..=Version::LAST_KNOWN).contains(&version)
}

/// Whether the list of `version` holds the pair (for versions after the last known one: that one's list). Before 2.10
/// every pair passes, since Harbor checks none.
pub fn known(version: Version, kind: Kind, access: &Access) -> bool {
    version < Version::FIRST_CHECKED
        || pairs(version, kind).any(|pair| pair == (access.resource.as_str(), access.action.as_str()))
}

/// Pairs that a Harbor does not know, by the kind of permission that they were wished for.
pub type Unknown = BTreeMap<Kind, AccessSet>;

/// The pairs of a wish that a Harbor of this version does not know: by its own list where the login may read it
/// (`listed`), by the built-in one where that decides, and those that this Harbor refused (`told`, as `resource:action`).
pub fn unknown(version: Option<Version>, listed: Option<&Catalogue>, wish: &Permissions, told: &Unknown) -> Unknown {
    let built_in = version.filter(|version| is_decisive(*version));
    let is_known = |kind, pair: &Access| match (listed.filter(|listed| !listed.of(kind).is_empty()), built_in) {
        (Some(listed), _) => listed.of(kind).contains(pair),
        (None, Some(version)) => known(version, kind, pair),
        (None, None) => true,
    };
    let mut unknown = Unknown::new();
    for (scope, pairs) in wish {
        let kind = scope.kind();
        let refused = |pair: &Access| told.get(&kind).is_some_and(|told| told.contains(pair));
        let missing = pairs.iter().filter(|pair| !is_known(kind, pair) || refused(pair));
        let missing: AccessSet = missing.cloned().collect();
        if !missing.is_empty() {
            unknown.entry(kind).or_default().extend(missing);
        }
    }
    unknown
}

/// What is said of unknown pairs, with the known ones that were perhaps meant.
pub fn describe(version: Option<Version>, listed: Option<&Catalogue>, unknown: &Unknown) -> String {
    let built_in = || Catalogue::built_in(version.unwrap_or(Version::LAST_KNOWN));
    let known = listed.cloned().unwrap_or_else(built_in);
    let each = unknown.iter().flat_map(|(kind, pairs)| pairs.iter().map(move |pair| (*kind, pair, pairs)));
    let each =
        each.map(|(kind, pair, pairs)| match closest(pair, known.of(kind)).filter(|near| !pairs.contains(near)) {
            Some(near) => format!("{pair} (perhaps {near}?)"),
            None => pair.to_string(),
        });
    let each: BTreeSet<String> = each.collect();
    let each: Vec<String> = each.into_iter().collect();
    let harbor = version.map_or("this Harbor".to_owned(), |version| format!("Harbor {version}"));
    format!("{harbor} does not know {}", each.join(", "))
}

/// The pairs that a Harbor says it knows (`GET /permissions`, from 2.10 on; contract `30-roles` and
/// `35-systeminfo-users-permissions`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Catalogue {
    /// For the system. Empty to a project admin, whom Harbor answers `null`: it then says nothing of these pairs.
    pub system: AccessSet,
    /// For projects.
    pub project: AccessSet,
}

impl Catalogue {
    /// The list of this version that is built in.
    pub fn built_in(version: Version) -> Self {
        let of = |kind| pairs(version, kind).map(|(resource, action)| Access::new(resource, action)).collect();
        Self { system: of(Kind::System), project: of(Kind::Project) }
    }

    /// Those of a kind.
    pub fn of(&self, kind: Kind) -> &AccessSet {
        match kind {
            Kind::System => &self.system,
            Kind::Project => &self.project,
        }
    }
}

/// The known pair that was perhaps meant, if one is close.
fn closest<'k>(access: &Access, known: &'k AccessSet) -> Option<&'k Access> {
    let wanted = access.to_string();
    let closest = known.iter().map(|pair| (strsim::damerau_levenshtein(&wanted, &pair.to_string()), pair)).min()?;
    (closest.0 <= wanted.len() / 4 + 1).then_some(closest.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::robot::Scope;

    fn pair(text: &str) -> Access {
        let (resource, action) = text.split_once(':').unwrap();
        Access { resource: resource.into(), action: action.into() }
    }

    #[test]
    fn the_last_list_is_what_harbor_2_16_answers() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/data/permissions-v2.16.json");
        let answer: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(data).unwrap()).unwrap();
        for (key, kind) in [("system", Kind::System), ("project", Kind::Project)] {
            let theirs: BTreeSet<(&str, &str)> = answer[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair["resource"].as_str().unwrap(), pair["action"].as_str().unwrap()))
                .collect();
            assert_eq!(pairs(Version::LAST_KNOWN, kind).collect::<BTreeSet<_>>(), theirs, "{key}");
        }
    }

    #[test]
    fn every_version_has_as_many_pairs_as_its_source() {
        let counts = [((10, 0), 51, 55), ((10, 1), 53, 56), ((11, 0), 53, 59), ((12, 0), 72, 68), ((12, 1), 70, 70)];
        for ((minor, patch), system, project) in counts {
            let version = Version::new(2, minor, patch);
            assert_eq!(pairs(version, Kind::System).count(), system, "{version}");
            assert_eq!(pairs(version, Kind::Project).count(), project, "{version}");
        }
    }

    #[test]
    fn pairs_are_known_by_version_and_kind() {
        let pull = pair("repository:pull");
        let helm = pair("helm-chart:read");
        let of = |minor| Version::new(2, minor, 0);
        assert!(known(of(16), Kind::Project, &pull) && !known(of(16), Kind::System, &pull));
        assert!(known(of(9), Kind::Project, &helm) && !known(of(10), Kind::Project, &helm));
        assert!(!known(of(10), Kind::Project, &pair("sbom:read")) && known(of(11), Kind::Project, &pair("sbom:read")));
        assert!(!known(of(16), Kind::Project, &pair("robot:update")));
        assert!(is_decisive(of(16)) && !is_decisive(of(17)) && !is_decisive(of(9)));
    }

    #[test]
    fn a_close_pair_is_suggested_and_a_far_one_is_not() {
        let known = Catalogue::built_in(Version::LAST_KNOWN).project;
        let of = |text| closest(&pair(text), &known).map(ToString::to_string);
        assert_eq!(of("repositry:pull").as_deref(), Some("repository:pull"));
        assert_eq!(of("repository:pul").as_deref(), Some("repository:pull"));
        assert_eq!(of("tags:list").as_deref(), Some("tag:list"));
        assert_eq!(of("helm-chart-version:create"), None);
    }

    #[test]
    fn what_a_version_or_its_own_answer_does_not_know_is_told_with_a_guess() {
        let wish = Permissions::from([(
            Scope::Project("team-a".into()),
            ["repository:pull", "repositry:push", "helm-chart:read", "tag:list"].map(pair).into(),
        )]);
        let texts = |unknown: Unknown| unknown.values().flatten().map(ToString::to_string).collect::<Vec<_>>();
        let of = |version, told: &[&str]| {
            unknown(version, None, &wish, &Unknown::from([(Kind::Project, told.iter().copied().map(pair).collect())]))
        };
        let latest = Some(Version::new(2, 16, 0));
        assert_eq!(texts(of(latest, &[])), ["helm-chart:read", "repositry:push"]);
        assert_eq!(texts(of(Some(Version::new(2, 99, 0)), &["tag:list"])), ["tag:list"], "a later one may know more");
        assert_eq!(texts(of(None, &[])), [""; 0]);
        assert_eq!(
            describe(latest, None, &of(latest, &[])),
            "Harbor 2.16.0 does not know helm-chart:read, repositry:push (perhaps repository:push?)"
        );
    }

    #[test]
    fn a_pair_is_unknown_for_the_kind_that_it_was_wished_for_only() {
        let quota = AccessSet::from([pair("quota:list")]);
        let wish = Permissions::from([(Scope::System, quota.clone()), (Scope::AllProjects, quota.clone())]);
        let latest = Some(Version::new(2, 16, 0));
        assert_eq!(unknown(latest, None, &wish, &Unknown::new()), Unknown::from([(Kind::Project, quota.clone())]));
        let told = Unknown::from([(Kind::System, quota.clone())]);
        let both = Unknown::from([(Kind::System, quota.clone()), (Kind::Project, quota)]);
        assert_eq!(unknown(latest, None, &wish, &told), both);
    }

    #[test]
    fn what_harbor_lists_itself_counts_before_the_built_in_list() {
        let listed = Catalogue { project: AccessSet::from([pair("repository:mirror")]), ..Catalogue::default() };
        let wish =
            Permissions::from([(Scope::AllProjects, ["repository:mirror", "repository:miror"].map(pair).into())]);
        let latest = Some(Version::new(2, 16, 0));
        let unknown = unknown(latest, Some(&listed), &wish, &Unknown::new());
        assert_eq!(unknown, Unknown::from([(Kind::Project, AccessSet::from([pair("repository:miror")]))]));
        let text = describe(latest, Some(&listed), &unknown);
        assert_eq!(text, "Harbor 2.16.0 does not know repository:miror (perhaps repository:mirror?)");
    }

    #[test]
    fn versions_are_read_loosely() {
        assert_eq!(Version::parse("v2.16.0-c50c7ddd"), Some(Version::new(2, 16, 0)));
        assert_eq!(Version::parse(" 2.15.2 "), Some(Version::new(2, 15, 2)));
        assert_eq!(Version::parse("v2.12"), Some(Version::new(2, 12, 0)));
        assert_eq!(Version::parse("dev"), None);
        assert_eq!(Version::parse("2"), None);
        assert!(Version::new(2, 9, 0) < Version::new(2, 10, 0));
    }
}
