//! What the property tests share: arbitrary bytes, answers that are almost right, and how many cases are tried.
//!
//! In `cargo test` each property tries the same cases at each run. `cargo xtask fuzz` tries other ones for as long as it is
//! told to, by the variables of proptest itself: `PROPTEST_RNG_SEED` and `PROPTEST_CASES`.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

/// The seed of `cargo test`.
const SEED: u64 = 10;

/// So many cases, the same at each run, unless the environment says otherwise.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}

/// Any bytes, with more of those that mean something to a parser than chance would have.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = select(br#"{}[]",:\0123456789eE+-.tfn /$@%<>;="#.to_vec());
    vec(prop_oneof![3 => telling, 1 => any::<u8>()], 0..600)
}

/// Any text, with characters that are dangerous somewhere.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,40}",
        4 => "[a-z0-9._+$/%\\-]{0,40}",
        2 => select(ODD_TEXTS).prop_map(str::to_owned),
        1 => vec(any::<char>(), 0..200).prop_map(String::from_iter),
        1 => Just("x".repeat(70_000)),
    ]
}

const ODD_TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "\n",
    "\r\n",
    "..",
    "../../x",
    "%2e%2e",
    "a/b",
    "+",
    "++",
    "a+",
    "+a",
    "]",
    "[",
    "[harbor-robots.io/",
    "[harbor-robots.io/v1 u c/n/x]",
    "\u{202e}",
    "\u{feff}",
    "\u{1F600}",
    "é",
    "İ",
    "ß",
    "null",
    "true",
    "-1",
    "1e400",
    "9223372036854775808",
    "99999d",
    "100000d",
    "0d",
    "Never",
    "9999-12-31T23:59:59Z",
    "9999-12-30T22:00:00.999Z",
    "-009999-01-02T01:59:59Z",
    "0001-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:60Z",
    "Thu, 30 Dec 9999 22:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "robot$library+ci",
    "SystemRobotAccount/",
];

/// Any JSON value that a field could hold in place of its own.
pub(crate) fn odd() -> impl Strategy<Value = Value> {
    let deep = (0..200).fold(Value::Null, |inside, _| json!([inside]));
    prop_oneof![
        4 => text().prop_map(Value::from),
        3 => prop_oneof![
            any::<i64>(), Just(i64::MAX), Just(i64::MIN), Just(0), Just(-1), Just(253_402_207_200), Just(253_402_207_201),
            Just(-377_705_023_201), Just(-377_705_023_202),
        ].prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => select(vec![json!(null), json!(true), json!([]), json!({}), json!([null]), json!({"": ""}), deep]),
    ]
}

/// Any JSON at all.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    odd().prop_recursive(4, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((text(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// What is done to something that was right.
#[derive(Clone, Debug)]
enum Damage {
    /// Something else in this place.
    Replace(Index, Value),
    /// Not there.
    Remove(Index),
    /// Under another key.
    Rename(Index, String),
    /// So many times.
    Repeat(Index, usize),
    /// In the text: the end is missing.
    Cut(Index),
    /// In the text: another byte.
    Flip(Index, u8),
    /// In the text: more bytes.
    Insert(Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), odd()).prop_map(|(at, value)| Damage::Replace(at, value)),
        2 => at().prop_map(Damage::Remove),
        1 => (at(), text()).prop_map(|(at, key)| Damage::Rename(at, key)),
        1 => (at(), 0..300_usize).prop_map(|(at, times)| Damage::Repeat(at, times)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        1 => (at(), bytes()).prop_map(|(at, more)| Damage::Insert(at, more)),
    ]
}

/// A JSON value with one to four things wrong with it.
pub(crate) fn damaged_value(right: Value) -> impl Strategy<Value = Value> {
    vec(damage(), 1..5).prop_map(move |damages| {
        let mut value = right.clone();
        for damage in &damages {
            damage.of_value(&mut value);
        }
        value
    })
}

/// The text of a JSON value with one to four things wrong with it.
pub(crate) fn damaged(right: Value) -> impl Strategy<Value = Vec<u8>> {
    vec(damage(), 1..5).prop_map(move |damages| {
        let mut value = right.clone();
        for damage in &damages {
            damage.of_value(&mut value);
        }
        let mut text = value.to_string().into_bytes();
        for damage in &damages {
            damage.of_text(&mut text);
        }
        text
    })
}

/// Arbitrary bytes, any JSON, and almost the right one.
pub(crate) fn answers(right: Value) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => bytes(),
        1 => json().prop_map(|value| value.to_string().into_bytes()),
        4 => damaged(right),
    ]
}

impl Damage {
    fn of_value(&self, value: &mut Value) {
        let (Self::Replace(at, _) | Self::Remove(at) | Self::Rename(at, _) | Self::Repeat(at, _)) = self else {
            return;
        };
        let mut left = at.index(nodes(value));
        self.visit(value, &mut left);
    }

    /// Goes on to the node that is meant; true once it was found.
    fn visit(&self, value: &mut Value, left: &mut usize) -> bool {
        if *left == 0 {
            match self {
                Self::Replace(_, with) => *value = with.clone(),
                Self::Remove(_) => *value = Value::Null,
                Self::Rename(_, key) => *value = json!({key.as_str(): value.take()}),
                Self::Repeat(_, times) => *value = Value::Array(vec![value.take(); *times]),
                _ => {}
            }
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|item| self.visit(item, left)),
            Value::Object(fields) => {
                let found = fields.iter_mut().find_map(|(key, field)| {
                    let meant = *left == 0;
                    self.visit(field, left).then(|| (key.clone(), meant))
                });
                // Here the field itself can go, or get another name.
                match (self, found) {
                    (Self::Remove(_), Some((key, true))) => drop(fields.remove(&key)),
                    (Self::Rename(_, new), Some((key, true))) => {
                        if let Some(mut field) = fields.remove(&key) {
                            fields.insert(new.clone(), field[new.as_str()].take());
                        }
                    }
                    (_, None) => return false,
                    _ => {}
                }
                true
            }
            _ => false,
        }
    }

    fn of_text(&self, text: &mut Vec<u8>) {
        match self {
            Self::Cut(at) => text.truncate(at.index(text.len() + 1)),
            Self::Flip(at, byte) if !text.is_empty() => {
                let at = at.index(text.len());
                text[at] ^= byte;
            }
            Self::Insert(at, more) => {
                let at = at.index(text.len() + 1);
                text.splice(at..at, more.iter().copied());
            }
            _ => {}
        }
    }
}

/// The value and everything in it.
fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

/// Moments over the whole range that the type holds, in whole milliseconds.
pub(crate) fn moments() -> impl Strategy<Value = jiff::Timestamp> {
    let [least, most] = [jiff::Timestamp::MIN, jiff::Timestamp::MAX].map(jiff::Timestamp::as_second);
    prop_oneof![Just(least), Just(most), least..=most, 1_700_000_000..1_900_000_000_i64]
        .prop_flat_map(|second| (Just(second), 0..1_000_i32))
        .prop_filter_map("outside", |(second, ms)| jiff::Timestamp::new(second, ms * 1_000_000).ok())
}
