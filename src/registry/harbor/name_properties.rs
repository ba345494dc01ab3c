//! Names from anywhere: taken apart without a loss, and never able to say more than a name in a query or path.

use proptest::collection::vec;
use proptest::prelude::*;

use super::names::{possible, prefix_of, project_of, robot_query, short_name, tail};
use crate::domain::robot::Home;
use crate::test_properties::{config, text};

const NAME: &str = "[a-z0-9_-][a-z0-9._-]{0,30}";

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_name_is_taken_apart_as_it_was_put_together(prefix in text(), project in NAME, name in NAME) {
        let home = Home::Project(project.clone());
        let full = format!("{prefix}{project}+{name}");
        prop_assert_eq!(short_name(&full, &home, Some(&prefix)), Some(name.as_str()));
        prop_assert_eq!(short_name(&full, &home, None), Some(name.as_str()));
        prop_assert_eq!(prefix_of(&full, &home, &name), Some(prefix.as_str()));
        prop_assert_eq!(project_of(&full, Some(&project), None), Some(project.as_str()));
        let full = format!("{prefix}{name}");
        prop_assert_eq!(prefix_of(&full, &Home::System, &name), Some(prefix.as_str()));
        prop_assert_eq!(short_name(&full, &Home::System, Some(&prefix)), Some(name.as_str()));
    }

    #[test]
    fn any_text_is_a_name_or_none(full in text(), project in text(), short in text(), prefix in proptest::option::of(text())) {
        for home in [Home::System, Home::Project(project.clone())] {
            if let Some(short) = short_name(&full, &home, prefix.as_deref()) {
                prop_assert!(full.ends_with(short) && !short.is_empty());
            }
            if let Some(before) = prefix_of(&full, &home, &short) {
                prop_assert!(full.starts_with(before));
            }
        }
        if let Some(project) = project_of(&full, Some(&project), prefix.as_deref()) {
            prop_assert!(full.contains(project));
        }
        prop_assert!(full.ends_with(tail(&full)));
    }

    #[test]
    fn a_name_that_is_possible_means_nothing_in_a_path(name in text()) {
        if possible(&name) {
            prop_assert!(!name.is_empty() && name.len() <= 255 && name != "..");
            prop_assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')), "{name}");
        }
    }

    #[test]
    fn a_query_is_one_value_whatever_is_in_it(project in text(), id: i64, names in vec(text(), 1..4)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for home in [Home::System, Home::Project(project)] {
            let query = robot_query(&home, id, Some(&names)).unwrap();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+-._*".contains(&byte);
            prop_assert!(query.bytes().all(plain), "{query}");
        }
    }
}
