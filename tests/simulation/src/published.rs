//! What accounts published at any time, and whether it ended.

use crate::check::{Violation, logins};
use crate::world::{HOSTS, World};

impl World {
    /// Keeps in mind what is published, and by which account.
    pub fn note_published(&mut self) {
        for number in 0..self.wishes.len() {
            let Some(secret) = self.secret_of(number).and_then(|id| self.cluster.store().get(&id).cloned()) else {
                continue;
            };
            for (host, user, password) in logins(&secret) {
                if let Some(harbor) = HOSTS.iter().position(|known| *known == host) {
                    self.published.entry((number, harbor, user, password)).or_insert(None);
                }
            }
        }
    }

    /// A person wants all that an account published so far to end at once.
    pub fn revoke_published(&mut self, account: usize) {
        self.note_published();
        // An object that is made with a token, and did not see it come, does not act on it.
        let Some(object) = self.living_account(account) else { return };
        let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
        for (_, revoked) in self.published.iter_mut().filter(|((number, ..), _)| *number == account) {
            revoked.clone_from(&uid);
        }
    }

    /// Nobody knows any more which tokens an account served.
    pub fn forget_revocations(&mut self, account: usize) {
        for (_, revoked) in self.published.iter_mut().filter(|((number, ..), _)| *number == account) {
            *revoked = None;
        }
    }

    /// Logins that were published once, and should have ended.
    pub(crate) fn outlived(&self) -> Vec<Violation> {
        let mut wrong = Vec::new();
        for ((number, harbor, user, password), revoked) in &self.published {
            let state = self.harbor(*harbor).state();
            let Some(robot) = state.robot_login(user, password) else { continue };
            let Some(account) = self.account(*number) else { continue };
            if *harbor != self.harbor_of(*number) {
                let name = robot.row.name.clone();
                drop(state);
                if self.is_marked_by(*number, *harbor, &name)
                    && !self.is_told_of(self.wishes[*number].registry(), *harbor)
                {
                    wrong.push(format!("b: {user} logs in at {}, which its account left", HOSTS[*harbor]));
                }
                continue;
            }
            // One that came back into its account's hands after somebody had taken its mark away is an older robot of it.
            let name = &robot.row.name;
            let was_unmarked = self.unmarked.iter().any(|robot| robot.harbor == *harbor && robot.name == *name);
            let status = &account["status"];
            let (robot, wish) = (robot.row.id, self.wishes[*number].id());
            let known = ["robot", "previous"].into_iter().any(|field| status[field]["id"] == robot);
            if revoked.is_some() && !was_unmarked && revoked.as_deref() == account["metadata"]["uid"].as_str() {
                wrong.push(format!("b: {user} was revoked by {wish}, and logs in"));
            } else if !known {
                wrong.push(format!("b: {user} was published by {wish}, which does not know it any more, and logs in"));
            }
        }
        wrong
    }
}
