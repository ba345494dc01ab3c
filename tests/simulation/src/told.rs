//! What the operator tells people of what is as it should be: in conditions, in statuses and in events.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::{Violation, condition, rights};
use crate::kubernetes::{is_deleting, kind};
use crate::logins::Login;
use crate::world::{HOSTS, World};

/// A clock that is so much off is told of, in milliseconds.
pub(crate) const SKEW: u64 = 5 * 60 * 1_000;
/// Notices of a registry that say nothing of whether it works.
const NOTICES: [&str; 3] = ["RegistryHostChanged", "RobotsLeftBehind", "ClockSkew"];

/// Type, status and reason of all conditions.
pub(crate) fn conditions(object: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    all.map(|told| [&told["type"], &told["status"], &told["reason"]].map(text).join(" ")).collect()
}

/// What is told of another generation than the one that is there.
fn outdated(object: &Value) -> Option<&Value> {
    let generation = &object["metadata"]["generation"];
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    all.map(|told| &told["observedGeneration"])
        .chain([&object["status"]["observedGeneration"]])
        .find(|of| *of != generation)
}

/// Pairs in the status of an account, or the catalogue of a registry.
fn pairs(listed: &Value) -> BTreeSet<String> {
    let of = |entry: &Value| {
        let resource = entry["resource"].as_str().unwrap_or_default().to_owned();
        let actions = entry["actions"].as_array().cloned().unwrap_or_default();
        actions.into_iter().map(move |action| format!("{resource}:{}", action.as_str().unwrap_or_default()))
    };
    listed.as_array().into_iter().flatten().flat_map(of).collect()
}

impl World {
    /// What accounts that are served say, and what registries that work say.
    pub(crate) fn mistold(&self) -> Vec<Violation> {
        let mut wrong: Vec<Violation> = (0..self.wishes.len()).filter_map(|number| self.mistold_of(number)).collect();
        wrong.extend((0..HOSTS.len()).filter_map(|number| self.mistold_of_registry(number)));
        wrong.extend(self.events_amiss());
        wrong
    }

    fn mistold_of(&self, number: usize) -> Option<Violation> {
        let account = self.living_account(number)?;
        let (id, spec, status) = (self.wishes[number].id(), &account["spec"], &account["status"]);
        let ready = if spec["disabled"] == true { "Disabled" } else { "Published" };
        let wanted: BTreeSet<String> = [format!("Ready True {ready}"), "Synced True InSync".to_owned()].into();
        let said = conditions(&account);
        if said != wanted {
            return Some(format!("k: {id} is as it should be, and says {said:?}"));
        }
        if let Some(of) = outdated(&account) {
            return Some(format!("k: {id} says something of generation {of}"));
        }
        if ready == "Disabled" {
            return None;
        }
        let given = pairs(&status["permissions"]);
        if given != rights(spec) || status["expiresAfter"] != spec["expiresAfter"] {
            return Some(format!("k: {id} says that it may {given:?} for {}", status["expiresAfter"]));
        }
        let robot = status["robot"]["name"].as_str().unwrap_or_default();
        let message = condition(&account, "Ready")["message"].as_str().unwrap_or_default();
        if robot.is_empty() || !message.split(' ').any(|word| word == robot) {
            return Some(format!("k: {id} has the robot {robot}, and says {message}"));
        }
        let place = |place: &Value| place["namespace"].as_str().unwrap_or_default().to_owned();
        let told: BTreeSet<String> = status["secretRefs"].as_array().into_iter().flatten().map(place).collect();
        let places: BTreeSet<String> = self.places(number, &account).into_iter().collect();
        if told != places {
            return Some(format!("k: {id} says that its Secret is in {told:?}, and it is to be in {places:?}"));
        }
        let mut rows = status["namespaces"].as_array().into_iter().flatten();
        let failed = rows.find(|row| row["ready"] != true || !row["reason"].is_null());
        failed.map(|row| format!("k: {id} is as it should be, and says of a namespace {row}"))
    }

    fn mistold_of_registry(&self, number: usize) -> Option<Violation> {
        let id = Self::registry(number);
        let registry = self.cluster.store().get(&id).filter(|stored| !is_deleting(stored)).cloned()?;
        let status = &registry["status"];
        let said = conditions(&registry);
        let is_notice = |told: &&String| NOTICES.iter().any(|notice| told.starts_with(&format!("{notice} True ")));
        let told: BTreeSet<String> = said.iter().filter(|told| !is_notice(told)).cloned().collect();
        if told != BTreeSet::from(["Ready True LoggedIn".to_owned()]) {
            return Some(format!("k: {id} is as it should be, and says {said:?}"));
        }
        if let Some(of) = outdated(&registry) {
            return Some(format!("k: {id} says something of generation {of}"));
        }
        let harbor = self.harbor_of_registry(number);
        let skew = self.harbor(harbor).state().clock.ahead_ms().unsigned_abs();
        let told = condition(&registry, "ClockSkew")["status"] == "True";
        // Close to the limit either may be said; a clock that nobody's deadline depends on is asked for once an hour, and the
        // operator compares with what its own machine's clock said when it was started.
        let used = self.accounts_of(number) > 0 && !self.our_clock_was_set;
        if used && told != (skew > SKEW) && skew.abs_diff(SKEW) > 10_000 {
            return Some(format!("k: the clock at {} is {skew} ms off, and {id} says {said:?}", HOSTS[harbor]));
        }
        let kind = if self.logins[harbor] == Login::Administrator { "Administrator" } else { "Robot" };
        if status["login"]["kind"] != kind {
            return Some(format!("k: {id} has a login of kind {kind}, and says {}", status["login"]));
        }
        if let Some(wrong) = self.mistold_of_login(number, &status["login"]) {
            return Some(format!("k: {id} {wrong}"));
        }
        if status["registryHost"] != self.hosts(number)[0] {
            return Some(format!("k: {id} says that images are pulled from {}", status["registryHost"]));
        }
        let known = pairs(&status["permissions"]["project"]);
        (!known.contains("repository:pull")).then(|| format!("k: {id} says that its Harbor knows {known:?}"))
    }

    /// What a registry says of its login, and what it holds.
    fn mistold_of_login(&self, number: usize, told: &Value) -> Option<String> {
        let harbor = self.harbor_of_registry(number);
        let login = self.logins[harbor];
        if told["name"] != login.user(&self.harbor(harbor).state()) {
            return Some(format!("logs in as {login:?}, and says {told}"));
        }
        // What a login cannot do is told once it was tried, and no other login's.
        if told["mayUpdate"] == (login == Login::Robot) && !self.mistaught {
            return Some(format!("has the login of {login:?}, and says {told}"));
        }
        let holds = told["permissions"].as_array().is_some_and(|rows| !rows.is_empty());
        (holds != (login == Login::Robot)).then(|| format!("says what a login holds that is {login:?}: {told}"))
    }

    /// What sweeps count, and say at the next one.
    pub(crate) fn miscounted(&self) -> Vec<Violation> {
        let mut wrong = Vec::new();
        for number in 0..HOSTS.len() {
            let (id, count) = (Self::registry(number), self.accounts_of(number));
            let stored = self.cluster.store().get(&id).cloned();
            // One that is not there says nothing.
            let told = stored.map(|stored| stored["status"]["accountCount"].clone());
            if let Some(told) = told.filter(|told| *told != count) {
                wrong.push(format!("k: {id} has {count} accounts, and says {told}"));
            }
            wrong.extend(self.mistold_of_former(number));
            wrong.extend(self.mistold_of_its_host(number));
        }
        wrong.extend(self.mismeasured());
        wrong
    }

    /// A registry that says that robots were left behind where it knows of no former URL, or the other way round.
    fn mistold_of_former(&self, number: usize) -> Option<Violation> {
        let id = Self::registry(number);
        let registry = self.cluster.store().get(&id).filter(|stored| !is_deleting(stored)).cloned()?;
        let (former, left) = (&registry["status"]["formerUrls"], condition(&registry, "RobotsLeftBehind"));
        let first = former[0]["url"].as_str();
        let told = left["status"] == "True";
        let names = former.as_array().into_iter().flatten().filter_map(|former| former["url"].as_str());
        let named = names.into_iter().any(|url| left["message"].as_str().unwrap_or_default().contains(url));
        (told != first.is_some() || (told && !named)).then(|| format!("k: {id} left {former}, and says {left}"))
    }

    /// A registry that says that Harbor names another host than Secrets have, where it names this very one.
    fn mistold_of_its_host(&self, number: usize) -> Option<Violation> {
        let id = Self::registry(number);
        let registry = self.cluster.store().get(&id).filter(|stored| !is_deleting(stored)).cloned()?;
        let host = registry["status"]["registryHost"].as_str().unwrap_or_default();
        let said = self.harbor(self.harbor_of_registry(number)).external_url().trim_start_matches("https://");
        let told = condition(&registry, "RegistryHostChanged");
        (told["status"] == "True" && said == host)
            .then(|| format!("k: {id} has {host} as its Harbor says, and says {told}"))
    }

    /// The accounts that name a registry.
    fn accounts_of(&self, registry: usize) -> usize {
        let there = |number: &usize| self.wishes[*number].registry() == registry && self.account(*number).is_some();
        (0..self.wishes.len()).filter(there).count()
    }

    /// Events that nobody finds, or that tell what nobody may read.
    fn events_amiss(&self) -> Option<Violation> {
        let store = self.cluster.store();
        store.all(kind("Event"), None).find_map(|(id, event)| {
            let of = event["regarding"]["namespace"].as_str().unwrap_or("default");
            let note = event["note"].as_str().unwrap_or_default();
            let told = self.published.keys().any(|(.., password)| note.contains(password.as_str()));
            (of != id.namespace || note.is_empty() || told).then(|| format!("k: an event in {}: {event}", id.namespace))
        })
    }
}
