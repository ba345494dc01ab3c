//! Entries in ServiceAccounts: those that a person made stay, the operator's own go with the wish for them, and of a
//! ServiceAccount that is not there yet its account tells.

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{SOON, not_settled};
use crate::check::{Violation, condition};
use crate::kubernetes::{Id, kind};
use crate::world::World;

/// One that lists the Secret before anybody asks for it.
const BEFORE: &str = "listed-before";
/// One that does not.
const AFTER: &str = "listed-after";
/// One that comes later.
const LATER: &str = "listed-later";

/// An account asks for three ServiceAccounts, and then for none of them.
pub(super) async fn listed(world: &mut World, one: usize) -> Vec<Violation> {
    world.network.note("-- who lists a Secret");
    let wish = &world.wishes[one];
    // Where there are copies the entries are beside these.
    let place = wish.spec["secret"]["namespaces"][0].as_str().unwrap_or_else(|| wish.secret_namespace());
    let (name, namespace) = (wish.name.clone(), place.to_owned());
    let id = |service_account: &str| Id::new(kind("ServiceAccount"), &namespace, service_account);
    for (service_account, entries) in [(BEFORE, json!([{"name": name}])), (AFTER, json!([]))] {
        let object = json!({
            "metadata": {"name": service_account, "namespace": namespace}, "imagePullSecrets": entries,
        });
        world.put(kind("ServiceAccount"), &namespace, &object);
    }
    let former = world.wishes[one].spec["serviceAccounts"].take();
    world.wishes[one].spec["serviceAccounts"] = json!([{"name": BEFORE}, {"name": AFTER}, {"name": LATER}]);
    world.apply(&world.wishes[one]);
    sleep(SOON).await;
    let mut wrong = Vec::new();
    let account = world.account(one).unwrap_or_default();
    let said = condition(&account, "Synced")["message"].as_str().unwrap_or_default();
    if !said.contains(LATER) {
        wrong.push(format!("k: {} names {}, which is not there, and says {said}", world.wishes[one].id(), id(LATER)));
    }
    world.make_service_account(&namespace, LATER);
    wrong.extend(not_settled(world, "a ServiceAccount that came", Instant::now(), SOON).await);
    world.wishes[one].spec["serviceAccounts"] = former;
    world.apply(&world.wishes[one]);
    wrong.extend(not_settled(world, "ServiceAccounts as before", Instant::now(), SOON).await);
    let lists = |service_account: &str| {
        let listed = world.stored(&id(service_account))["imagePullSecrets"].take();
        listed.as_array().is_some_and(|listed| listed.iter().any(|entry| entry["name"] == name.as_str()))
    };
    for (service_account, stays) in [(BEFORE, true), (AFTER, false), (LATER, false)] {
        if lists(service_account) != stays {
            let what = if stays { "lost the entry that a person made" } else { "has an entry that nobody asks for" };
            wrong.push(format!("f: {} {what}", id(service_account)));
        }
    }
    for service_account in [BEFORE, AFTER, LATER] {
        drop(world.delete(&id(service_account)));
    }
    wrong
}
