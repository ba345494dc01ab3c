//! What must hold: after every step, and when the malice is over and everything has settled.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use harbor_stand_in::state::grants::Group;
use serde_json::Value;

use crate::form::{LISTS, entries, wrong_note};
use crate::kubernetes::{Id, Object, is_deleting, kind};
use crate::world::{HOSTS, TEAMS, World};

/// What does not hold, in a sentence.
pub type Violation = String;

/// A condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, name: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|condition| condition["type"] == name)).unwrap_or(&Value::Null)
}

/// A moment of a status, in milliseconds.
pub(crate) fn moment(value: &Value) -> Option<i64> {
    Some(value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

/// A login in a Secret: host, user name, password.
type Login = (String, String, String);

/// A value of a Secret's data.
pub(crate) fn decoded(value: &Value) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()
}

pub(crate) fn logins(secret: &Value) -> Vec<Login> {
    let config: Value = decoded(&secret["data"][".dockerconfigjson"])
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = config["auths"].as_object().into_iter().flatten();
    entries.map(|(host, entry)| (host.clone(), text(&entry["username"]), text(&entry["password"]))).collect()
}

impl World {
    /// An account's object.
    pub fn account(&self, number: usize) -> Option<Object> {
        self.cluster.store().get(&self.wishes[number].id()).cloned()
    }

    /// The same of an account that is not being deleted.
    pub fn living_account(&self, number: usize) -> Option<Object> {
        self.account(number).filter(|account| !is_deleting(account))
    }

    /// The account's Secret, if it is there.
    pub fn secret_of(&self, number: usize) -> Option<Id> {
        let wish = &self.wishes[number];
        let id = Id::new(kind("Secret"), wish.secret_namespace(), &wish.name);
        self.cluster.store().get(&id).is_some().then_some(id)
    }

    /// The robot that an account's status names: which Harbor's, and its id.
    pub fn robot_of(&self, number: usize) -> Option<(usize, i64)> {
        let status = &self.account(number)?["status"];
        let harbor = Self::harbor_at(status["registry"]["url"].as_str()?)?;
        let id = status["robot"]["id"].as_i64()?;
        // A status may be damaged, or be about to follow a registry to another Harbor.
        let state = self.harbor(harbor).state();
        let name = &state.robots.get(id)?.row.name;
        status["robot"]["name"].as_str()?.ends_with(name.as_str()).then_some((harbor, id))
    }

    /// The robots of people are those that a Harbor has now.
    pub fn know_strangers(&mut self, harbor: usize) {
        let state = self.harbors[HOSTS[harbor]].state();
        self.strangers.retain(|(at, ..)| *at != harbor);
        for (name, id) in state.robots.all_listed() {
            let robot = state.robots.get(*id);
            let was_marked = self.unmarked.iter().any(|robot| robot.harbor == harbor && robot.name == *name);
            if robot.is_some_and(|robot| !was_marked && !robot.row.description.contains("[harbor-robots.io/")) {
                self.strangers.push((harbor, name.clone(), robot.cloned()));
            }
        }
    }

    /// What must hold at any time.
    pub fn always(&self) -> Vec<Violation> {
        let mut wrong: Vec<Violation> = self.network.broken().into_iter().map(|what| format!("h: {what}")).collect();
        wrong.extend(self.betrayed());
        for (number, name, before) in &self.strangers {
            let state = self.harbor(*number).state();
            let now = state.robots.named(name);
            if now != before.as_ref() {
                let host = HOSTS[*number];
                wrong.push(format!("c: {name} at {host}, which nobody marked, was {before:?} and is {now:?}"));
            }
        }
        wrong.extend(self.touched());
        for (number, host) in HOSTS.iter().enumerate() {
            for (account, robots) in self.robots_by_account(number) {
                if robots.len() > 2 {
                    wrong.push(format!("a: {} robots of {account} at {host}: {}", robots.len(), robots.join(", ")));
                }
            }
        }
        wrong
    }

    /// What must hold when nothing is wrong any more and there was time.
    pub fn settled(&self) -> Vec<Violation> {
        let mut wrong = self.always();
        let (mut living, mut paths) = (BTreeSet::new(), BTreeSet::new());
        for number in 0..self.wishes.len() {
            let wish = &self.wishes[number];
            let Some(account) = self.account(number) else {
                if !wish.deleted {
                    wrong.push(format!("k: {} is wanted, and is not there", wish.id()));
                }
                continue;
            };
            living.insert(account["metadata"]["uid"].as_str().unwrap_or_default().to_owned());
            paths.insert(wish.path());
            let name = wish.id();
            if is_deleting(&account) {
                wrong.push(format!("k: {name} is still being deleted: {}", condition(&account, "Ready")["message"]));
                continue;
            }
            let ready = condition(&account, "Ready");
            if account["spec"]["disabled"] == true {
                if ready["reason"] != "Disabled" {
                    wrong.push(format!("k: {name} is disabled and says {} {}", ready["reason"], ready["message"]));
                }
                if self.logs_in(number, &account) {
                    wrong.push(format!("b: {name} is disabled, and its credential logs in"));
                }
                continue;
            }
            if ready["status"] != "True" {
                wrong.push(format!("k: {name} is not Ready: {} {}", ready["reason"], ready["message"]));
                continue;
            }
            for token in ["refresh", "revoke"] {
                let asked = &account["metadata"]["annotations"][format!("harbor-robots.io/{token}")];
                let served = &account["status"][if token == "refresh" { "handledRefresh" } else { "handledRevoke" }];
                if !asked.is_null() && asked != served {
                    let says = &condition(&account, "Synced")["message"];
                    wrong.push(format!("k: {name} was asked for {token} {asked}, served {served}, and says {says}"));
                }
            }
            wrong.extend(self.overdue(number, &account));
            wrong.extend(self.stray_robots(number, &account));
            wrong.extend(self.service_accounts(number, &account));
            wrong.extend(self.credential(number).err().map(|why| format!("b: {name} is Ready, and {why}")));
        }
        wrong.extend(self.left_robots(&paths));
        let store = self.cluster.store();
        for (id, secret) in store.all(kind("Secret"), None) {
            let labels = &secret["metadata"]["labels"];
            let of = labels["harbor-robots.io/account-uid"].as_str();
            let owned = secret["metadata"]["ownerReferences"].is_array();
            if let Some(uid) = of.filter(|uid| owned && !living.contains(*uid)) {
                wrong.push(format!("f: {id} of an account that is gone ({uid})"));
            }
        }
        for team in TEAMS {
            for (id, service_account) in store.all(kind("ServiceAccount"), Some(team)) {
                for entry in LISTS.iter().filter_map(|list| service_account[*list].as_array()).flatten() {
                    let name = entry["name"].as_str().unwrap_or_default();
                    if !self.lost_records && store.get(&Id::new(kind("Secret"), team, name)).is_none() {
                        wrong.push(format!("f: {id} lists the Secret {name}, which is gone"));
                    }
                }
            }
        }
        drop(store);
        wrong.extend(self.outlived());
        wrong.extend(self.mistold());
        wrong
    }

    /// What should have been done by now, and nobody was woken for. Timers may be a poll late: a Harbor's clock that was set is
    /// noticed then.
    fn overdue(&self, number: usize, account: &Value) -> Option<Violation> {
        let wish = &self.wishes[number];
        let now = self.harbor(self.harbor_of(number)).state().clock.now_ms();
        let grace = i64::try_from(self.poll.as_millis()).unwrap_or(i64::MAX) + 90_000;
        let status = &account["status"];
        let over = |at: &Value| moment(at).is_some_and(|at| at + grace < now);
        // A renewal waits for the end of an overlap.
        let what = if over(&status["previous"]["revocationTime"]) {
            "revoke its previous robot"
        } else if status["previous"].is_null() && over(&status["renewalTime"]) {
            "renew its credential"
        } else {
            return None;
        };
        Some(format!("k: {} is late to {what}: {status}", wish.id()))
    }

    /// The accounts that are Ready with a credential.
    pub fn serviced(&self) -> Vec<usize> {
        let ready = |number: &usize| {
            self.living_account(*number).is_some_and(|account| condition(&account, "Ready")["reason"] == "Published")
        };
        (0..self.wishes.len()).filter(ready).collect()
    }

    /// ServiceAccounts that do not list the Secret of an account.
    pub fn unserviced(&self, number: usize) -> Vec<Violation> {
        self.account(number).map(|account| self.service_accounts(number, &account)).unwrap_or_default()
    }

    /// ServiceAccounts that do not list an account's Secret although it says so.
    fn service_accounts(&self, number: usize, account: &Value) -> Vec<Violation> {
        let (wish, store) = (&self.wishes[number], self.cluster.store());
        let wanted = entries(&account["spec"]);
        let mut missing = Vec::new();
        let places = self.places(number, account);
        // Where a system account asks for copies, its entries are beside these.
        let skipped = usize::from(wish.namespace.is_empty() && places.len() > 1);
        for namespace in places.into_iter().skip(skipped) {
            for (name, list) in &wanted {
                let id = Id::new(kind("ServiceAccount"), &namespace, name);
                let Some(stored) = store.get(&id) else { continue };
                let listed = stored[*list].as_array().into_iter().flatten();
                if !listed.into_iter().any(|entry| entry["name"] == *wish.name) {
                    missing.push(format!("k: {id} does not list the Secret {} in {list}", wish.name));
                }
            }
        }
        missing
    }

    /// The namespaces of an account's Secret.
    pub(crate) fn places(&self, number: usize, account: &Value) -> Vec<String> {
        let copies = account["spec"]["secret"]["namespaces"].as_array().into_iter().flatten();
        let first = self.wishes[number].secret_namespace().to_owned();
        std::iter::once(first).chain(copies.filter_map(Value::as_str).map(str::to_owned)).collect()
    }

    /// True if a renewal or the end of an overlap comes about within so long: that is no unrest.
    pub fn something_is_due_within(&self, time: Duration) -> bool {
        (0..self.wishes.len()).any(|number| {
            let Some(account) = self.account(number) else { return false };
            let now = self.harbor(self.harbor_of(number)).state().clock.now_ms();
            let most = i64::try_from(time.as_millis()).unwrap_or(i64::MAX) + 120_000;
            let due = [&account["status"]["renewalTime"], &account["status"]["previous"]["revocationTime"]];
            due.into_iter().filter_map(moment).any(|at| (-120_000..most).contains(&(at - now)))
        })
    }

    /// True if an account says that it leaves something of its own alone, since somebody changes it again and again.
    pub fn is_contested(&self) -> bool {
        (0..self.wishes.len()).filter_map(|number| self.account(number)).any(|account| {
            let mut conditions = account["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["reason"].as_str().is_some_and(|reason| reason.ends_with("Contested")))
        })
    }

    /// True if what does not hold is of an account that says that its next repair or refresh waits for its time.
    pub fn is_of_a_paced_account(&self, wrong: &Violation) -> bool {
        let waits = |condition: &Value| {
            let message = condition["message"].as_str().unwrap_or_default();
            condition["reason"] == "RepairsPaused" || message.contains("the refresh that was asked for waits")
        };
        (0..self.wishes.len()).any(|number| {
            let account = self.account(number).unwrap_or_default();
            let mut conditions = account["status"]["conditions"].as_array().into_iter().flatten();
            wrong.contains(&self.wishes[number].id().to_string()) && conditions.any(waits)
        })
    }

    /// True if what does not hold is of an account that keeps to less than it asks for, since another try of what Harbor
    /// refused would cost a credential that is promised to pods: it takes two looks at Harbor, an hour apart.
    pub fn is_settled_on_less(&self, wrong: &Violation) -> bool {
        (0..self.wishes.len()).any(|number| {
            let account = self.account(number).unwrap_or_default();
            let less = condition(&account, "Synced")["reason"] == "PermissionUnknown";
            wrong.contains(&self.wishes[number].id().to_string()) && less && account["status"]["previous"].is_object()
        })
    }

    /// True if anything that an account's Secrets hold logs in, with whatever rights.
    pub(crate) fn logs_in(&self, number: usize, account: &Value) -> bool {
        let (wish, state) = (&self.wishes[number], self.harbor(self.harbor_of(number)).state());
        self.places(number, account).into_iter().any(|namespace| {
            let place = Id::new(kind("Secret"), &namespace, &wish.name);
            let held = self.cluster.store().get(&place).map(|secret| logins(secret)).unwrap_or_default();
            held.iter().any(|(_, user, password)| state.robot_login(user, password).is_some())
        })
    }

    /// A key of the account's choice that does not hold what it is to hold; `of` is user, password and expiry.
    fn wrong_key(&self, registry: usize, account: &Value, secret: &Value, of: (&str, &str, i64)) -> Option<String> {
        let (user, password, expires_at) = of;
        let host = self.hosts(registry).swap_remove(0);
        let wrong = |wish: &&Value| {
            let held = decoded(&secret["data"][wish["key"].as_str().unwrap_or_default()]).unwrap_or_default();
            let is = |wanted: &str| held == wanted.as_bytes();
            !match wish["format"].as_str() {
                Some("Username") => is(user),
                Some("Password") => is(password),
                Some("RegistryHost") => is(&host),
                Some("RegistryUrl") => is(&self.url(registry)),
                Some("DockerConfigJson") => Some(held) == decoded(&secret["data"][".dockerconfigjson"]),
                Some("RobotFile") => {
                    let file: Value = serde_json::from_slice(&held).unwrap_or_default();
                    file["name"] == user && file["secret"] == password && file["expires_at"] == expires_at
                }
                _ => is(wish["value"].as_str().unwrap_or_default()),
            }
        };
        let wishes = account["spec"]["secret"]["keys"].as_array()?;
        wishes.iter().find(wrong).map(ToString::to_string)
    }

    /// Whether an account's credential is one, and is good for what the account asks for.
    fn credential(&self, number: usize) -> Result<(), String> {
        let wish = &self.wishes[number];
        let account = self.account(number).ok_or("it is gone")?;
        let (harbor, id) = self.robot_of(number).ok_or("its status names no robot")?;
        if harbor != self.harbor_of(number) {
            return Err(format!("its robot is at {}", HOSTS[harbor]));
        }
        let own = self.own_password(number);
        let state = self.harbor(harbor).state();
        for namespace in self.places(number, &account) {
            let place = Id::new(kind("Secret"), &namespace, &wish.name);
            let secret = self.cluster.store().get(&place).cloned().ok_or(format!("{place} is not there"))?;
            let logins = logins(&secret);
            let hosts: Vec<&str> = logins.iter().map(|(host, ..)| host.as_str()).collect();
            let wanted = self.hosts(wish.registry());
            let (_, user, password) = logins.first().ok_or(format!("{place} holds no login"))?;
            if !hosts.iter().eq(&wanted) || logins.iter().any(|(_, name, secret)| (name, secret) != (user, password)) {
                return Err(format!("{place} is for {hosts:?}, or holds several logins"));
            }
            if account["spec"]["passwordSecretRef"].is_object() && own.as_ref() != Some(password) {
                return Err(format!("{place} does not hold the account's own password"));
            }
            let robot = state.robot_login(user, password).ok_or(format!("{user} of {place} does not log in"))?;
            if let Some(key) =
                self.wrong_key(wish.registry(), &account, &secret, (user, password, robot.row.expires_at))
            {
                return Err(format!("{place} holds something else under {key}"));
            }
            if let Some(note) = wrong_note(&account, &secret) {
                return Err(format!("{place} lacks what its account asks for: {note}"));
            }
            if robot.row.id != id {
                return Err(format!("{place} is of robot {}, its status of {id}", robot.row.id));
            }
        }
        let robot = state.robots.get(id).ok_or("its robot is gone")?;
        let wanted = rights(&account["spec"]);
        let level = if wish.namespace.is_empty() { "system" } else { "project" };
        let given: Vec<BTreeSet<String>> =
            robot.groups.iter().filter(|group| group.scope.shown(&state.projects).is_some()).map(pairs).collect();
        let named = account["spec"]["projects"]["selected"].as_array().map(Vec::len);
        let scopes = if level == "system" { named.unwrap_or(state.projects.all().count()) } else { 1 };
        if robot.row.level() != level || given.len() != scopes || given.iter().any(|pairs| *pairs != wanted) {
            return Err(format!(
                "its {} robot may {given:?}, and it asks for {wanted:?} in {scopes}",
                robot.row.level()
            ));
        }
        // Harbor counts days from a robot's creation; its clock may have been set back since.
        let days = account["spec"]["expiresAfter"].as_str().and_then(|days| days.strip_suffix('d')?.parse().ok());
        let left = (robot.row.expires_at * 1_000 - state.clock.now_ms()) / 86_400_000;
        if days.is_some_and(|days: i64| robot.row.expires_at == -1 || left > days + 1) {
            return Err(format!("its robot lives {left} more days, and {days:?} are asked for"));
        }
        Ok(())
    }
}

/// Pairs that an account asks for, in each of its projects.
pub(crate) fn rights(spec: &Value) -> BTreeSet<String> {
    let of_projects = ["matching", "selected"].map(|field| spec["projects"][field][0]["permissions"].as_array());
    let names = spec["permissions"].as_array().or(of_projects[0]).or(of_projects[1]);
    let pair = |name: &Value| match name.as_str() {
        Some("PushArtifacts") => "repository:push".to_owned(),
        Some("PullArtifacts") => "repository:pull".to_owned(),
        other => format!("{other:?}"),
    };
    let further = spec["access"].as_array().into_iter().flatten();
    let further =
        further.map(|rule| [&rule["resource"], &rule["action"]].map(|text| text.as_str().unwrap_or_default()));
    names.into_iter().flatten().map(pair).chain(further.map(|pair| pair.join(":"))).collect()
}

fn pairs(group: &Group) -> BTreeSet<String> {
    group.access.iter().map(|access| format!("{}:{}", access.resource, access.action)).collect()
}
