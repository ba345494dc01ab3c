//! What only a person can put right, and how it should be.

use harbor_stand_in::version::Version;
use serde_json::{Value, json};

use crate::check::condition;
use crate::foreign::served;
use crate::kubernetes::{Id, is_deleting, kind};
use crate::world::{HOSTS, MIRRORS, PROJECTS, TEAMS, World};

impl World {
    /// A registry object as it should be.
    pub(crate) fn registry_object(&self, number: usize) -> Value {
        let mut spec = json!({
            "url": self.url(number),
            "auth": {"secretRef": {"name": "login"}},
            "pollInterval": format!("{}s", self.poll.as_secs()),
            "orphanPolicy": "Delete",
        });
        spec["additionalHosts"] = if self.mirrors[number] { json!([MIRRORS[number]]) } else { Value::Null };
        if number == 0 {
            spec["registryHost"] = json!(self.image_host);
            spec["grants"] = json!([
                {
                    "name": "teams", "namespaceSelector": {"matchLabels": {"team": "yes"}},
                    "projects": ["$(namespace)", "shared"],
                    "permissions": ["PushArtifacts", "PullArtifacts"],
                    "access": [{"resource": "export-cve", "action": "create"}],
                    "maxExpiresAfter": "90d", "adoption": "Allowed", "retention": "Allowed",
                },
            ]);
            return json!({
                "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
                "metadata": {
                    "name": "main", "labels": served(), "annotations": {"harbor-robots.io/is-default": "true"},
                },
                "spec": spec,
            });
        }
        json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
            "metadata": {"name": "own", "namespace": "team-b", "labels": served()}, "spec": spec,
        })
    }

    /// Puts right whatever only a person can put right: namespaces, ServiceAccounts, logins, registries, grants, projects,
    /// read-only mode. Accounts stay as users left them.
    pub fn restore_order(&mut self) {
        for team in TEAMS {
            self.make_namespace(team);
            self.make_service_account(team, "builder");
            let namespace = Id::new(kind("Namespace"), "", team);
            let _ending = self.patch(&namespace, &json!({"metadata": {"labels": {"team": "yes"}}}));
        }
        self.end_troubles();
        self.mark_again();
        self.mend_dates();
        self.mend_numbers();
        self.free_names();
        for number in 0..HOSTS.len() {
            self.allow_updates(number);
            for project in PROJECTS {
                self.make_project(number, project);
            }
            let mut state = self.harbor(number).state();
            state.settings.set_read_only(false);
            state.version = Version::default();
            self.logins[number].set_password(&mut state, &self.passwords[number]);
            drop(state);
            self.write_logins(number);
        }
        self.mend_own_passwords();
        for number in 0..HOSTS.len() {
            let id = Self::registry(number);
            let stored = self.cluster.store().get(&id).cloned();
            if stored.is_none_or(|stored| !is_deleting(&stored)) {
                self.put(id.kind(), &id.namespace, &self.registry_object(number));
                self.clean_former(&id);
                continue;
            }
            // Whoever deletes a registry deletes its accounts.
            for account in 0..self.wishes.len() {
                if self.wishes[account].registry() == number {
                    self.delete_account(account);
                }
            }
        }
    }

    /// True if a team's namespace is on its way out: until it is gone nobody can put anything right there.
    pub fn a_namespace_ends(&self) -> bool {
        let namespace = |team: &str| self.cluster.store().get(&Id::new(kind("Namespace"), "", team)).cloned();
        TEAMS.iter().any(|team| namespace(team).is_some_and(|namespace| is_deleting(&namespace)))
    }

    /// Whoever took all marks of an account's Secret away deletes it, as the account asks for.
    fn free_names(&mut self) {
        for account in 0..self.wishes.len() {
            let object = self.account(account);
            let refused = object.is_some_and(|object| condition(&object, "Synced")["reason"] == "SecretNotOwned");
            if let Some(id) = self.secret_of(account).filter(|_| refused) {
                self.lost_records = true;
                drop(self.delete(&id));
            }
        }
    }

    /// Whoever moved a registry asks for what was left at its former URL to be deleted, one after the other.
    pub(crate) fn clean_former(&self, id: &Id) {
        let stored = self.cluster.store().get(id).cloned();
        let url = stored.as_ref().map_or(&Value::Null, |stored| &stored["status"]["formerUrls"][0]["url"]);
        if url.is_string() {
            let annotations = json!({"harbor-robots.io/cleanup-former-url": url});
            drop(self.patch(id, &json!({"metadata": {"annotations": annotations}})));
        }
    }
}
