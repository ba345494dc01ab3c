//! A Secret with a password of a person's own choice: the password is taken as it is, or the text says why not.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::test_properties::{bytes, config, text};

fn secret(kind: Option<String>, key: &str, value: Vec<u8>) -> Secret {
    let data = BTreeMap::from([
        (key.to_owned(), ByteString(value)),
        ("other".to_owned(), ByteString(b"Other-12345".to_vec())),
    ]);
    Secret { type_: kind, data: Some(data), ..Secret::default() }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_password_is_taken_as_it_is_or_refused_without_a_word_of_it(
        value in prop_oneof![bytes(), text().prop_map(String::into_bytes), "[A-Za-z0-9 é:]{6,130}\n{0,2}".prop_map(String::into_bytes)],
        kind in prop_oneof![4 => Just(None), 4 => "Opaque|kubernetes.io/basic-auth".prop_map(Some), 1 => text().prop_map(Some)],
        key in "[a-z]{1,8}",
    ) {
        let source = SecretKeyRef { name: "own".into(), key: key.clone() };
        let taken = password_in(secret(kind.clone(), &key, value.clone()), &source);
        let trimmed = String::from_utf8(value.clone()).ok().map(|text| text.trim_end_matches(['\n', '\r']).to_owned());
        let fits = trimmed.as_ref().is_some_and(|text| {
            let has = |class: fn(u8) -> bool| text.bytes().any(class);
            (8..=128).contains(&text.len()) && has(|b| b.is_ascii_uppercase()) && has(|b| b.is_ascii_lowercase())
                && has(|b| b.is_ascii_digit())
        });
        let right_type = kind.as_deref().is_none_or(|kind| PASSWORD_TYPES.contains(&kind));
        match taken {
            Ok(password) => {
                prop_assert!(fits && right_type);
                prop_assert_eq!(Some(password.expose_secret()), trimmed.as_deref());
            }
            Err(problem) => {
                prop_assert!(!(fits && right_type), "{problem}");
                let told = format!("{problem} {problem:?}");
                prop_assert!(trimmed.is_none_or(|text| text.len() < 12 || !told.contains(&text)), "{told}");
            }
        }
    }
}
