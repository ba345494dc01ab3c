//! The kinds that the API server stores.

/// A kind, and how it is stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// `kind`.
    pub name: &'static str,
    /// The part of a path that names it.
    pub plural: &'static str,
    /// Empty for the core group.
    pub group: &'static str,
    /// `v1`, `v1alpha1`.
    pub version: &'static str,
    /// Objects are in namespaces.
    pub namespaced: bool,
    /// Defined by a CustomResourceDefinition: with a status subresource and a generation.
    pub custom: bool,
}

impl Kind {
    /// `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// An update has to say which version it is of.
    pub fn updates_versions(&self) -> bool {
        self.custom || self.name == "Lease"
    }

    /// An update of an object that is not there makes it.
    pub fn is_made_by_updates(&self) -> bool {
        matches!(self.name, "Lease" | "Event")
    }

    /// The plural and the group, as messages have them.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

const fn core(name: &'static str, plural: &'static str, namespaced: bool) -> Kind {
    Kind { name, plural, group: "", version: "v1", namespaced, custom: false }
}

const fn custom(name: &'static str, plural: &'static str, namespaced: bool) -> Kind {
    Kind { name, plural, group: "harbor-robots.io", version: "v1alpha1", namespaced, custom: true }
}

/// All of them.
pub static KINDS: [Kind; 10] = [
    core("Namespace", "namespaces", false),
    core("Secret", "secrets", true),
    core("ConfigMap", "configmaps", true),
    core("ServiceAccount", "serviceaccounts", true),
    Kind { name: "Event", plural: "events", group: "events.k8s.io", version: "v1", namespaced: true, custom: false },
    Kind {
        name: "Lease",
        plural: "leases",
        group: "coordination.k8s.io",
        version: "v1",
        namespaced: true,
        custom: false,
    },
    custom("RobotAccount", "robotaccounts", true),
    custom("SystemRobotAccount", "systemrobotaccounts", false),
    custom("HarborRegistry", "harborregistries", true),
    custom("ClusterHarborRegistry", "clusterharborregistries", false),
];

/// The kind of that name.
///
/// # Panics
/// If there is none.
pub fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind {name}"))
}
