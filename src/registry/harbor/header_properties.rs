//! Whatever stands in the headers of an answer, it is taken as it is meant or not at all.

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::clock::{Offset, http_date};
use super::credential::{Handed, Session, Shown};
use super::failure::{LONGEST_WAIT, retry_after};
use crate::api::RegistryTime;
use crate::test_properties::{bytes, config, moments, text};

const TOKEN: HeaderName = HeaderName::from_static("x-harbor-csrf-token");

/// What can stand in a header: most bytes.
fn values() -> impl Strategy<Value = HeaderValue> {
    let cookie = (prop_oneof![Just("sid"), Just("_gorilla_csrf"), Just("other")], bytes())
        .prop_map(|(name, value)| [name.as_bytes(), b"=", &value].concat());
    prop_oneof![bytes(), text().prop_map(String::into_bytes), cookie]
        .prop_filter_map("no header", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

fn answer() -> impl Strategy<Value = HeaderMap> {
    (vec(values(), 0..6), vec(values(), 0..3)).prop_map(|(cookies, tokens)| {
        let cookies = cookies.into_iter().map(|cookie| (SET_COOKIE, cookie));
        cookies.chain(tokens.into_iter().map(|token| (TOKEN, token))).collect()
    })
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn what_is_brought_again_was_handed_out_and_is_plain(before in answer(), login in answer(), changing: bool) {
        let Some(session) = Session::begun(Handed::by(&before)) else { return Ok(()) };
        let session = session.with(Handed::by(&login));
        let mut headers = HeaderMap::new();
        Shown::Session(&session).add_to(&mut headers, changing);
        for value in headers.values() {
            let text = value.to_str().expect("plain ASCII");
            prop_assert!(text.len() < 3 * 4_200, "{} bytes", text.len());
            prop_assert!(value.is_sensitive());
        }
        prop_assert_eq!(headers.get_all(COOKIE).iter().count(), 1);
        prop_assert_eq!(headers.contains_key(&TOKEN), changing);
        prop_assert!(!session.is_replaced_by(&Handed::default()));
    }

    #[test]
    fn a_time_to_wait_is_read_or_not(value in text(), seconds: u64, now in moments().prop_map(RegistryTime::from)) {
        for value in [value, seconds.to_string()] {
            let trimmed = value.trim();
            let digits = !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit());
            let wait = retry_after(&value, now);
            prop_assert_eq!(wait.is_some(), digits || http_date(&value).is_some());
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST_WAIT), "{wait:?}");
        }
    }

    #[test]
    fn the_offset_of_a_clock_stays_what_one_of_the_answers_said(
        answers in vec((moments(), moments(), 0..10_000_000_i64), 1..8),
    ) {
        let offset = Offset::default();
        let mut said = Vec::new();
        for (date, sent, took) in answers {
            let (date, sent) = (RegistryTime::from(date), RegistryTime::from(sent));
            let received = sent + SignedDuration::from_millis(took);
            offset.learn(date, sent, received);
            said.push((date.duration_since(received), date.duration_since(sent) + SignedDuration::from_secs(1)));
        }
        let learnt = offset.get();
        let possible = said.iter().any(|(low, high)| *low <= learnt && learnt <= *high);
        prop_assert!(learnt.is_zero() || possible, "{learnt:?} of {said:?}");
        // Five years and the longest call: what is further off is not believed.
        prop_assert!(learnt.abs() < SignedDuration::from_hours(5 * 366 * 24 + 3), "{learnt:?}");
    }
}
