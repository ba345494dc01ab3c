//! Which Harbor the stand-in is, and what older ones answer differently.
//!
//! What nobody says otherwise is v2.16. The differences back to v2.12 were measured, those before follow from Harbor's
//! release history.

use std::fmt;
use std::str::FromStr;

/// A version 2.minor.patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    minor: u32,
    patch: u32,
}

impl Default for Version {
    fn default() -> Self {
        Self::of(16, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v2.{}.{}", self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no version from 2.2 to 2.16");
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.').map(str::parse);
        let (Some(Ok(2)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return Err(wrong()) };
        let patch = numbers.next().unwrap_or(Ok(0)).map_err(|_| wrong())?;
        if (2..=16).contains(&minor) { Ok(Self::of(minor, patch)) } else { Err(wrong()) }
    }
}

impl Version {
    /// Version 2.minor.patch.
    pub const fn of(minor: u32, patch: u32) -> Self {
        Self { minor, patch }
    }

    fn since(self, minor: u32) -> bool {
        self >= Self::of(minor, 0)
    }

    /// Duration 0, or none, is refused on create; before, it meant the system's default, on PUT as well.
    pub fn refuses_duration_zero(self) -> bool {
        self.since(11)
    }

    /// Pairs must be in the catalogue, which `/permissions` shows.
    pub fn has_catalogue(self) -> bool {
        self.since(10)
    }

    /// Whether the catalogue has the pair yet.
    pub fn has_pair(self, kind: &str, resource: &str, action: &str) -> bool {
        let since = match (kind, resource, action) {
            ("project", "export-cve", _) => Self::of(12, 1),
            (_, "robot" | "member" | "user" | "user-group" | "ldap-user", _) | (_, "quota", "update") => {
                Self::of(12, 0)
            }
            (_, "sbom", _) => Self::of(11, 0),
            (_, "quota", _) => Self::of(10, 1),
            _ => Self::of(10, 0),
        };
        self >= since
    }

    /// v2.12.0 alone had `export-cve` among the system's pairs.
    pub fn has_system_export(self) -> bool {
        self == Self::of(12, 0)
    }

    /// A given secret has at most 128 bytes.
    pub fn limits_secrets(self) -> bool {
        self.since(9)
    }

    /// The endpoints under `/projects/{project}/robots` exist.
    pub fn has_robots_v1(self) -> bool {
        !self.since(13)
    }

    /// The list knows `Level=system` as system robots only, and wants a positive `ProjectID`.
    pub fn separates_levels(self) -> bool {
        self.since(13)
    }

    /// The version is told to people who are logged in only.
    pub fn hides_version(self) -> bool {
        self.since(13)
    }

    /// A system robot can create project robots.
    pub fn system_robots_create_project_robots(self) -> bool {
        !self.since(12) || self >= Self::of(14, 1)
    }

    /// A project name with a space is 400 for an administrator, not 403, and challenges name the request's host.
    pub fn is_since_14(self) -> bool {
        self.since(14)
    }

    /// Null elements and odd `q` values are 400, not a panic; the prefix may not be blank and is trimmed; ids are 64 bit.
    pub fn is_since_16(self) -> bool {
        self.since(16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_loosely_and_ordered() {
        assert_eq!("v2.12.4".parse(), Ok(Version::of(12, 4)));
        assert_eq!("2.16".parse(), Ok(Version::default()));
        assert!("1.10".parse::<Version>().is_err());
        assert!("2.17".parse::<Version>().is_err());
        assert!(Version::of(14, 1).system_robots_create_project_robots());
        assert!(!Version::of(14, 0).system_robots_create_project_robots());
    }
}
