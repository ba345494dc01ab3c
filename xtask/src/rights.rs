//! The sets of rights that the operator's tests run with.

use std::path::PathBuf;

use harbor_robot_world::{target_dir, workspace_root};

/// The rights of a manifest in `deploy/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Rights {
    /// `deploy/install.yaml`, as in every run
    Shipped,
    /// `deploy/hardened.yaml`: no list or watch on others' Secrets
    Hardened,
    /// `deploy/namespaced-with-cluster-registries.yaml`: Roles in the namespaces that are served
    Namespaced,
}

/// Tests that cannot pass with certain rights, with the reason: a part of their names, as `cargo test -- --skip` takes it.
const NOT_APPLICABLE: [(Rights, &str, &str); 11] = [
    (Rights::Namespaced, "teardown::a_namespace_with_a_registry_of_its_own_goes_with_its_robots", GOES_WITH_ITS_ROLE),
    (Rights::Namespaced, "trouble::a_namespace_is_not_held_for_ever_by_a_harbor_that_is_gone", GOES_WITH_ITS_ROLE),
    (Rights::Namespaced, "teardown::after_a_restart_a_namespace_without_a_login_is_given_up", GOES_WITH_ITS_ROLE),
    (Rights::Hardened, "namespaces::a_namespace_that_refuses_from_the_start_disturbs_nobody", NO_WATCH),
    (Rights::Hardened, "network::what_went_while_a_watch_had_lost_its_place_is_noticed", NO_WATCH),
    (Rights::Hardened, "restored::after_a_restore_of_the_cluster", NO_WATCH),
    (
        Rights::Namespaced,
        "modes::accounts_of_other_namespaces_are_left_alone",
        "it serves one that nobody gave it a Role in",
    ),
    (Rights::Namespaced, "attacks::", OF_THE_CLUSTER),
    (Rights::Namespaced, "namespaces::", OF_THE_CLUSTER),
    (Rights::Namespaced, "system::", OF_THE_CLUSTER),
    (Rights::Namespaced, "system_robots::", OF_THE_CLUSTER),
];

const NO_WATCH: &str = "it waits for what the watch on Secrets tells long before a poll does";

const GOES_WITH_ITS_ROLE: &str = "Kubernetes may take the Role away before the accounts, see docs/uninstalling.md";

const OF_THE_CLUSTER: &str = "its operator serves the whole cluster, which no Role allows";

impl Rights {
    /// What the environment variable `HARBOR_ROBOT_RIGHTS` of the tests says.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Hardened => "hardened",
            Self::Namespaced => "namespaced",
        }
    }

    /// Where they are granted.
    pub(crate) fn manifests(self) -> Vec<PathBuf> {
        let files: &[&str] = match self {
            Self::Shipped => &["install.yaml"],
            Self::Hardened => &["hardened.yaml"],
            Self::Namespaced => &["namespaced-with-cluster-registries.yaml"],
        };
        files.iter().map(|file| workspace_root().join("deploy").join(file)).collect()
    }

    /// Where the control planes of a run log what was asked of them.
    pub(crate) fn audit_logs(self) -> PathBuf {
        target_dir().join("audit").join(self.word())
    }

    /// The tests that are left out.
    pub(crate) fn left_out(self) -> impl Iterator<Item = &'static str> {
        NOT_APPLICABLE.iter().filter(move |(rights, _, _)| *rights == self).map(|(_, test, _)| *test)
    }
}
