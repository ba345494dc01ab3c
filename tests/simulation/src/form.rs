//! What an account asks for of its Secret and of the ServiceAccounts that list it, and what no account may say.

use serde_json::Value;

use crate::check::Violation;
use crate::world::{HOSTS, World};

/// The lists of a ServiceAccount that name Secrets.
pub(crate) static LISTS: [&str; 2] = ["imagePullSecrets", "secrets"];

/// The ServiceAccounts that an account names, and the list of each in which its Secret is to be.
pub(crate) fn entries(spec: &Value) -> Vec<(&str, &'static str)> {
    let entries = spec["serviceAccounts"].as_array().into_iter().flatten();
    let of = |entry: &Value| match entry["use"].as_str() {
        Some("Both") => &LISTS[..],
        Some("Secrets") => &LISTS[1..],
        _ => &LISTS[..1],
    };
    entries
        .flat_map(|entry| {
            entry["name"].as_str().into_iter().flat_map(move |name| of(entry).iter().map(move |list| (name, *list)))
        })
        .collect()
}

/// A label or an annotation that an account asks for and its Secret has not.
pub(crate) fn wrong_note(account: &Value, secret: &Value) -> Option<String> {
    let wrong = |field: &str| {
        let mut wanted = account["spec"]["secret"][field].as_object().into_iter().flatten();
        let missing = wanted.find(|(name, value)| secret["metadata"][field][name.as_str()] != **value)?;
        Some(format!("{} {}: {}", field, missing.0, missing.1))
    };
    ["labels", "annotations"].into_iter().find_map(wrong)
}

impl World {
    /// An account that says who the operator is at Harbor: whoever reads accounts need not know that.
    pub(crate) fn betrayed(&self) -> Option<Violation> {
        let logins: Vec<String> = (0..HOSTS.len()).filter_map(|harbor| self.robot_that_logs_in(harbor)).collect();
        (0..self.wishes.len()).find_map(|number| {
            let account = self.account(number)?;
            let mut conditions = account["status"]["conditions"].as_array()?.iter();
            let names = |said: &&Value| {
                let said = said["message"].as_str().unwrap_or_default();
                logins.iter().any(|login| said.contains(login.as_str()))
            };
            let said = conditions.find(names)?;
            Some(format!("g: {} says who the operator is: {said}", self.wishes[number].id()))
        })
    }
}
