//! Marks and descriptions: anybody may write them in Harbor.

use proptest::prelude::*;

use super::mark::{self, Identity, Mark, OPENING, Owner};
use crate::test_properties::{config, text};

fn identities() -> impl Strategy<Value = (Identity, String, String, String, String)> {
    let name = || "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";
    ("[0-9a-f]{8}-[0-9a-f]{4}", "[A-Za-z0-9._-]{1,63}", proptest::option::of(name()), name()).prop_map(
        |(uid, cluster, namespace, account)| {
            let identity = Identity::new(&uid, &cluster, namespace.as_deref(), &account);
            (identity, uid, cluster, namespace.unwrap_or_default(), account)
        },
    )
}

/// Descriptions that look like marked ones.
fn descriptions() -> impl Strategy<Value = String> {
    let marked = (text(), text(), text(), text())
        .prop_map(|(before, version, inside, after)| format!("{before}{OPENING}{version} {inside}]{after}"));
    let almost = (text(), "v1|v2|", text(), text(), " |]|/|")
        .prop_map(|(before, version, uid, path, end)| format!("{before}{OPENING}{version} {uid} {path}{end}"));
    prop_oneof![text(), marked, almost]
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn what_was_written_is_read((me, uid, cluster, namespace, name) in identities(), text in text(), retained: bool) {
        let description = mark::write(&text, &me, retained);
        let wanted = Mark { uid: &uid, cluster: &cluster, namespace: &namespace, name: &name, retained };
        prop_assert_eq!(mark::parse(&description), Some(wanted));
        prop_assert_eq!(mark::read(&description, &me), Owner::Us);
        let restored = Identity { uid: "another".into(), ..me };
        prop_assert_eq!(mark::read(&description, &restored), Owner::Predecessor);
    }

    #[test]
    fn any_description_says_one_thing(description in descriptions(), (me, ..) in identities()) {
        let owner = mark::read(&description, &me);
        prop_assert_eq!(owner == Owner::Nobody, !description.contains(OPENING));
        if let Some(mark) = mark::parse(&description) {
            prop_assert!(owner != Owner::Nobody);
            prop_assert_eq!(owner == Owner::Us, mark.uid == me.uid);
        }
    }
}
