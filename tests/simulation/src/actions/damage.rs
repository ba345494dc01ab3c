//! Objects that a person changes by hand, or that were damaged in etcd.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::kubernetes::{Id, is_deleting};
use crate::world::World;

/// What is done to a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// It is deleted.
    Delete,
    /// Its data are others.
    Corrupt,
    /// Its data are gone.
    Empty,
    /// Its data are no JSON.
    Garbage,
    /// A date of its metadata is none that a client reads.
    Date,
    /// The password in it is another one.
    Password,
    /// Under the keys that the account asks for is something else.
    Keys,
    /// There is more in it.
    More,
    /// Its labels are gone.
    Unlabel,
    /// Its annotations are gone.
    Unannotate,
    /// Nobody owns it.
    Disown,
    /// It is made immutable.
    Freeze,
    /// A tool backs it up, or puts back what it has.
    Older,
}

impl Spoil {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Delete,
        Self::Corrupt,
        Self::Empty,
        Self::Garbage,
        Self::Date,
        Self::Password,
        Self::Keys,
        Self::More,
        Self::Unlabel,
        Self::Unannotate,
        Self::Disown,
        Self::Freeze,
        Self::Older,
    ];

    /// The record of the entries in ServiceAccounts may go with it.
    pub(super) fn loses_records(self) -> bool {
        matches!(self, Self::Delete | Self::Unannotate | Self::Older)
    }

    pub(super) fn run(self, world: &mut World, account: usize) {
        let Some(id) = world.secret_of(account) else { return };
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let patch = match self {
            Self::Delete => return drop(world.delete(&id)),
            Self::Corrupt => json!({"data": {".dockerconfigjson": encoded(r#"{"auths":{}}"#)}}),
            Self::Garbage => json!({"data": {".dockerconfigjson": encoded("no JSON")}}),
            Self::Date => return world.misdate(&id),
            Self::Password => return world.change_published(&id),
            Self::Keys => return world.change_keys(account, &id),
            Self::More => json!({"data": {"more": encoded("a person's")}}),
            Self::Empty => json!({"data": null}),
            Self::Unlabel => json!({"metadata": {"labels": null}}),
            Self::Unannotate => json!({"metadata": {"annotations": null}}),
            Self::Disown => json!({"metadata": {"ownerReferences": null}}),
            Self::Freeze => json!({"immutable": true}),
            Self::Older => match world.copies.remove(&id) {
                Some(older) => older,
                None => return world.copy(id),
            },
        };
        drop(world.patch(&id, &patch));
    }
}

/// What is done to the object of an account or a registry, past what tools do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its finalizers are taken away.
    Finalizers,
    /// Its status is emptied.
    Status,
    /// Its status names no robot.
    Robot,
    /// Its status names a robot that is not there.
    WrongRobot,
    /// Its status knows of no former robot.
    Previous,
    /// Its status says that nothing was ever asked for.
    Tokens,
    /// Its status says that all is well, or what it said before.
    Conditions,
    /// Its status has another renewal.
    Renewal,
    /// A date of its metadata is none that a client reads.
    Date,
    /// A number of its status is none that a client reads.
    Number,
}

impl Damage {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Finalizers,
        Self::Status,
        Self::Robot,
        Self::WrongRobot,
        Self::Previous,
        Self::Tokens,
        Self::Conditions,
        Self::Renewal,
        Self::Date,
        Self::Number,
    ];

    pub(super) fn run_on_account(self, world: &mut World, account: usize) {
        let id = world.wishes[account].id();
        if self == Self::Finalizers && world.account(account).is_some_and(|object| is_deleting(&object)) {
            world.lose_finalizer(account);
        }
        if matches!(self, Self::Status | Self::Robot | Self::WrongRobot | Self::Tokens) {
            // Without a record of what was served, a token is only noted.
            world.forget_revocations(account);
        }
        self.run(world, &id);
    }

    pub(super) fn run_on_registry(self, world: &mut World, number: usize) {
        // One that goes before its accounts leaves their robots.
        world.excused |= self == Self::Finalizers && number == 1;
        world.forgot_former |= matches!(self, Self::Status | Self::Finalizers);
        self.run(world, &World::registry(number));
    }

    fn run(self, world: &World, id: &Id) {
        if self == Self::Finalizers {
            return drop(world.patch(id, &json!({"metadata": {"finalizers": null}})));
        }
        if self == Self::Date {
            return world.misdate(id);
        }
        world.edit_status(id, |status| match self {
            Self::Finalizers | Self::Date => {}
            Self::Number => status["observedGeneration"] = json!(NO_NUMBER),
            Self::Status => *status = json!({}),
            Self::Robot => status["robot"] = Value::Null,
            Self::WrongRobot => {
                if let Some(number) = status["robot"]["id"].as_i64() {
                    status["robot"]["id"] = json!(number + 1_000);
                }
            }
            Self::Previous => status["previous"] = Value::Null,
            Self::Tokens => (status["handledRefresh"], status["handledRevoke"]) = (Value::Null, Value::Null),
            Self::Conditions => status["conditions"] = json!([]),
            Self::Renewal => status["renewalTime"] = json!("2020-01-01T00:00:00Z"),
        });
    }
}

/// The API server keeps this number, which is larger than the type that its schema names holds.
const NO_NUMBER: u64 = 10_000_000_000_000_000_000;

/// The API server keeps this date, and no client in Rust holds it.
const NO_DATE: &str = "9999-12-31T23:59:59Z";

impl World {
    /// Somebody writes a date into an object's `managedFields` that the operator cannot read.
    fn misdate(&self, id: &Id) {
        self.edit_managed_fields(id, |fields| {
            fields.push(json!({
                "manager": "somebody", "operation": "Update", "apiVersion": id.kind().api_version(), "time": NO_DATE,
                "fieldsType": "FieldsV1", "fieldsV1": {},
            }));
        });
    }

    /// Whoever made objects that cannot be read makes them as they were.
    pub(crate) fn mend_dates(&self) {
        let is_wrong = |field: &Value| field["time"] == NO_DATE;
        let wrong: Vec<Id> = {
            let store = self.cluster.store();
            let all = store.everything().filter(|(_, object)| {
                object["metadata"]["managedFields"].as_array().is_some_and(|fields| fields.iter().any(is_wrong))
            });
            all.map(|(id, _)| id.clone()).collect()
        };
        for id in wrong {
            self.edit_managed_fields(&id, |fields| fields.retain(|field| !is_wrong(field)));
        }
    }

    /// Whoever wrote numbers that cannot be read takes them out.
    pub(crate) fn mend_numbers(&self) {
        let wrong: Vec<Id> = {
            let store = self.cluster.store();
            let all = store.everything().filter(|(_, object)| object["status"]["observedGeneration"] == NO_NUMBER);
            all.map(|(id, _)| id.clone()).collect()
        };
        for id in wrong {
            self.edit_status(&id, |status| status["observedGeneration"] = Value::Null);
        }
    }

    /// Past the API server in memory, which lets nobody write these.
    fn edit_managed_fields(&self, id: &Id, edit: impl FnOnce(&mut Vec<Value>)) {
        let mut store = self.cluster.store();
        let Some(mut object) = store.get(id).map(|stored| (**stored).clone()) else { return };
        if let Some(fields) = object["metadata"]["managedFields"].as_array_mut() {
            edit(fields);
            store.put(id, object);
        }
    }

    /// A person edits the status of an object.
    fn edit_status(&self, id: &Id, edit: impl FnOnce(&mut Value)) {
        let Some(stored) = self.cluster.store().get(id).cloned() else { return };
        let mut object = (*stored).clone();
        if object["status"].is_null() {
            return;
        }
        edit(&mut object["status"]);
        drop(self.put_status(id, &object));
    }

    /// A person writes another password into the published credential.
    fn change_published(&self, id: &Id) {
        let Some(stored) = self.cluster.store().get(id).cloned() else { return };
        let Some(text) = crate::check::decoded(&stored["data"][".dockerconfigjson"]) else { return };
        let Ok(mut config) = serde_json::from_slice::<Value>(&text) else { return };
        for entry in config["auths"].as_object_mut().into_iter().flat_map(|auths| auths.values_mut()) {
            entry["password"] = json!("Wrong1FromAPerson");
        }
        let data = base64::engine::general_purpose::STANDARD.encode(config.to_string());
        drop(self.patch(id, &json!({"data": {".dockerconfigjson": data}})));
    }

    /// What a tool that restores backups would write back; it makes no owners.
    fn copy(&mut self, id: Id) {
        let Some(stored) = self.cluster.store().get(&id).cloned() else { return };
        let meta = &stored["metadata"];
        let kept = json!({
            "data": stored["data"], "metadata": {"labels": meta["labels"], "annotations": meta["annotations"]},
        });
        self.copies.insert(id, kept);
    }

    /// A person writes something else under the keys that an account asks for.
    fn change_keys(&self, account: usize, id: &Id) {
        let keys = self.wishes[account].spec["secret"]["keys"].as_array().into_iter().flatten();
        for key in keys.filter_map(|key| key["key"].as_str()) {
            let data = base64::engine::general_purpose::STANDARD.encode("a person's");
            drop(self.patch(id, &json!({"data": {key: data}})));
        }
    }

    /// A user deletes an account. What only its finalizer kept stays where it is.
    pub(crate) fn delete_account(&mut self, account: usize) {
        let id = self.wishes[account].id();
        let stored = self.cluster.store().get(&id).cloned();
        if stored.is_some_and(|stored| stored["metadata"]["finalizers"].is_null()) {
            self.lose_finalizer(account);
        }
        drop(self.delete(&id));
    }

    /// An account goes without the operator.
    fn lose_finalizer(&mut self, account: usize) {
        self.lost_records = true;
        self.excused |= self.wishes[account].registry() == 1;
    }
}
