//! Objects that the API server stores and no client in Rust reads: they say so themselves, and what is published lives on.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, SOON, not_settled};
use crate::actions::{Action, Edit};
use crate::check::{Violation, condition};
use crate::kubernetes::{Id, kind};
use crate::machine::Machine;
use crate::world::World;

/// No number.
const WORD: &str = "many";

/// An account and its registry cannot be read for a while. A registry serves as it was read last.
pub(super) async fn unreadable(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    world.network.note("-- what cannot be read");
    let number = world.wishes[one].registry();
    let ids = [(world.wishes[one].id(), "/status/robot/id"), (World::registry(number), "/status/accountCount")];
    let mut before = Vec::new();
    for (id, field) in &ids {
        before.push(world.scribble(id, field, json!(WORD)));
        // Events have their names from that of their object and the time.
        sleep(Duration::from_millis(50)).await;
    }
    sleep(SOON).await;
    let mut wrong: Vec<Violation> = ids.iter().flat_map(|(id, field)| untold(world, id, field)).collect();
    wrong.extend(uncounted(world, &ids));
    if !world.logs_in(one, &world.account(one).unwrap_or_default()) {
        wrong.push(format!("b: {} cannot be read, and its credential does not log in any more", ids[0].0));
    }
    let is_other = |account: &usize| *account != one && world.wishes[*account].registry() == number;
    let others: Vec<usize> = world.serviced().into_iter().filter(is_other).collect();
    for &account in &others {
        Action::Edit(account, Edit::ServiceAccount("default")).run(world, machine).await;
    }
    sleep(SOON).await;
    wrong.extend(others.iter().flat_map(|account| world.unserviced(*account)));
    for ((id, field), value) in ids.iter().zip(before) {
        world.scribble(id, field, value);
    }
    if !wrong.is_empty() {
        return wrong;
    }
    not_settled(world, "what can be read again", Instant::now(), AFTER_OUTAGES).await
}

/// One of these objects whose kind the metrics do not count among what cannot be read.
fn uncounted(world: &World, ids: &[(Id, &str)]) -> Option<Violation> {
    let told = world.unreadable_kinds()?;
    let missing = ids.iter().find(|(id, _)| !told.contains(id.kind().name))?;
    Some(format!("k: {} cannot be read, and the metrics count {told:?}", missing.0))
}

/// Where an object that cannot be read does not say so: in its conditions, or by an event of it. Either names the object and the
/// field that is to be corrected.
fn untold(world: &World, id: &Id, field: &str) -> Vec<Violation> {
    let stored = world.stored(id);
    let field = field.trim_start_matches('/').replace('/', ".");
    let place = if id.namespace.is_empty() { id.name.clone() } else { format!("{}/{}", id.namespace, id.name) };
    let names = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        text.contains(&place) && text.contains(&field)
    };
    let second = if id.kind().name.ends_with("Registry") { "Ready" } else { "Synced" };
    let of = |(name, status): (&str, &str)| {
        let said = condition(&stored, name);
        let well = said["status"] == status && said["reason"] == "Unreadable" && names(&said["message"]);
        (!well).then(|| format!("k: {id} cannot be read, and says {name} {said}"))
    };
    let mut wrong: Vec<Violation> = [("Stalled", "True"), (second, "False")].into_iter().filter_map(of).collect();
    let store = world.cluster.store();
    let tells = |event: &Value| {
        let regarding = &event["regarding"];
        let is_of = regarding["kind"] == id.kind().name && regarding["name"] == id.name;
        is_of && event["reason"] == "Unreadable" && event["type"] == "Warning" && names(&event["note"])
    };
    if !store.all(kind("Event"), None).any(|(_, event)| tells(event)) {
        wrong.push(format!("k: no event tells that {id} cannot be read"));
    }
    wrong
}

impl World {
    /// Another value in a field of an object, as another schema let it in; answers with the one before.
    fn scribble(&self, id: &Id, field: &str, value: Value) -> Value {
        let mut store = self.cluster.store();
        let Some(mut object) = store.get(id).map(|stored| (**stored).clone()) else { return Value::Null };
        let before = object.pointer_mut(field).map_or(Value::Null, |found| std::mem::replace(found, value));
        store.put(id, object);
        before
    }
}
