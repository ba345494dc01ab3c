//! Names that are safe in a path of the API server. What a description, an annotation, a status or a spec says is text until
//! it is one of these: a `/`, a `?` or a `<` in a name would else address something else, or nothing at all.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use super::account::RegistryKind;

/// The name of an object or a namespace as Kubernetes accepts it: labels of lower-case letters, digits and `-`, joined by
/// dots, at most 253 bytes. Clones share their text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(Arc<str>);

/// The longest name of an object.
const LONGEST: usize = 253;

/// A text that is no name of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name of a Kubernetes object: only lower-case letters, digits, - and . are allowed, each part begins and ends with \
     a letter or a digit, and 253 characters are the most"
)]
pub struct InvalidName;

impl ObjectName {
    /// The name, if it is one.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if Self::is_valid(text) { Ok(Self(text.into())) } else { Err(InvalidName) }
    }

    /// True if Kubernetes accepts the text as the name of an object.
    pub fn is_valid(text: &str) -> bool {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = |label: &str| {
            label.bytes().all(|byte| inner(byte) || byte == b'-')
                && label.bytes().next().is_some_and(inner)
                && label.bytes().next_back().is_some_and(inner)
        };
        text.len() <= LONGEST && text.split('.').all(is_label)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for ObjectName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ObjectName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for ObjectName {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for ObjectName {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl TryFrom<Arc<str>> for ObjectName {
    type Error = InvalidName;

    fn try_from(text: Arc<str>) -> Result<Self, InvalidName> {
        if Self::is_valid(&text) { Ok(Self(text)) } else { Err(InvalidName) }
    }
}

/// For flags.
impl FromStr for ObjectName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

/// Which registry: a `ClusterHarborRegistry`, or a `HarborRegistry` of a namespace. The two never equal one another, whatever
/// their names. One pointer, so that each account can hold one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryKey(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Parts {
    Cluster(ObjectName),
    Namespaced(ObjectName, ObjectName),
}

impl RegistryKey {
    /// A `ClusterHarborRegistry`.
    pub fn cluster(name: &str) -> Result<Self, InvalidName> {
        Ok(Self(Arc::new(Parts::Cluster(ObjectName::new(name)?))))
    }

    /// A `HarborRegistry`.
    pub fn namespaced(namespace: &str, name: &str) -> Result<Self, InvalidName> {
        Ok(Self(Arc::new(Parts::Namespaced(ObjectName::new(namespace)?, ObjectName::new(name)?))))
    }

    /// Of which kind it is.
    pub fn kind(&self) -> RegistryKind {
        match &*self.0 {
            Parts::Cluster(_) => RegistryKind::ClusterHarborRegistry,
            Parts::Namespaced(..) => RegistryKind::HarborRegistry,
        }
    }

    /// The namespace of a `HarborRegistry`.
    pub fn namespace(&self) -> Option<&ObjectName> {
        match &*self.0 {
            Parts::Cluster(_) => None,
            Parts::Namespaced(namespace, _) => Some(namespace),
        }
    }

    /// The object's name.
    pub fn name(&self) -> &ObjectName {
        match &*self.0 {
            Parts::Cluster(name) | Parts::Namespaced(_, name) => name,
        }
    }
}

/// For people: `name`, or `namespace/name`.
impl fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Parts::Cluster(name) => f.write_str(name),
            Parts::Namespaced(namespace, name) => write!(f, "{namespace}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_what_kubernetes_accepts() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "a-b", "a.b", "0", "team-a", "x--y", "1.2.3", longest.as_str()] {
            assert_eq!(ObjectName::new(good).unwrap(), good);
        }
        let too_long = "a".repeat(LONGEST + 1);
        for bad in [
            "",
            ".",
            "..",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a.-b",
            "A",
            "a_b",
            "a/b",
            "a<",
            "a?x",
            "a#",
            "a%2f",
            "a b",
            "ä",
            "a\n",
            "a\0",
            too_long.as_str(),
        ] {
            assert_eq!(ObjectName::new(bad), Err(InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn registries_of_both_kinds_never_meet() {
        let cluster = RegistryKey::cluster("main").unwrap();
        let of_a = RegistryKey::namespaced("a", "main").unwrap();
        assert_ne!(cluster, of_a);
        assert_ne!(of_a, RegistryKey::namespaced("b", "main").unwrap());
        assert_eq!((cluster.to_string(), of_a.to_string()), ("main".into(), "a/main".into()));
        assert_eq!((cluster.kind(), cluster.namespace()), (RegistryKind::ClusterHarborRegistry, None));
        assert_eq!(of_a.namespace().map(ObjectName::as_str), Some("a"));
        assert_eq!(RegistryKey::cluster("a/main"), Err(InvalidName));
        assert_eq!(RegistryKey::namespaced("a/b", "main"), Err(InvalidName));
        assert_eq!(RegistryKey::namespaced("a", "b/main"), Err(InvalidName));
        assert_eq!(size_of::<RegistryKey>(), 8);
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_place_in_a_path(text in "([a-z0-9.-]|[ -~]|\\PC){0,6}") {
            if let Ok(name) = ObjectName::new(&text) {
                let path = format!("https://kubernetes/api/v1/namespaces/{name}/secrets/{name}");
                let url: url::Url = path.parse().unwrap();
                prop_assert_eq!(url.as_str(), path);
                prop_assert_eq!(url.path_segments().unwrap().count(), 6);
            }
        }
    }
}
