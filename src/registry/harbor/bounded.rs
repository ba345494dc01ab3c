//! What an answer may hold. Three bytes of JSON can come to a hundred of memory, so texts and lists are counted while they
//! are read, and what is over its limit ends the reading at once.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::registry::Error;

/// Begins the text of an error about a limit, which is ours and may be told; other texts of serde may quote the answer.
pub(super) const OVER: &str = "more than ";

/// What is said of an answer that goes over a limit.
pub(super) fn over(most: usize, what: &str) -> String {
    format!("{OVER}{most} {what}")
}

/// A text of at most `N` bytes.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<const N: usize>(pub(super) String);

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<const N: usize>;

        impl<const N: usize> Visitor<'_> for Reader<N> {
            type Value = Text<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.len() > N { Err(E::custom(over(N, "bytes in a text"))) } else { Ok(Text(text.to_owned())) }
            }
        }

        deserializer.deserialize_str(Reader::<N>)
    }
}

/// A list of at most `N` items.
#[derive(Debug)]
pub(super) struct Few<T, const N: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut items = Vec::new();
        deserializer.deserialize_seq(Each::new(N, "items in a list", |item| {
            items.push(item);
            Ok(())
        }))?;
        Ok(Self(items))
    }
}

/// A value of which only a text or a whole number counts, whatever else it may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Scalar<const N: usize> {
    Text(String),
    Number(i64),
    #[default]
    Other,
}

impl<const N: usize> Scalar<N> {
    pub(super) fn text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn number(self) -> Option<i64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Scalar<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<const N: usize>;

        impl<'de, const N: usize> Visitor<'de> for Reader<N> {
            type Value = Scalar<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(if text.len() > N { Scalar::Other } else { Scalar::Text(text.to_owned()) })
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Number))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Scalar::Other)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Scalar::Other)
            }
        }

        deserializer.deserialize_any(Reader::<N>)
    }
}

/// Reads a list item by item, each of which is used up before the next is read.
pub(super) struct Each<T, F> {
    most: usize,
    what: &'static str,
    take: F,
    item: PhantomData<fn() -> T>,
}

impl<T, F> Each<T, F> {
    /// At most `most` items go to `take`; an error of its own ends the reading.
    pub(super) fn new(most: usize, what: &'static str, take: F) -> Self
    where
        F: FnMut(T) -> Result<(), String>,
    {
        Self { most, what, take, item: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> Visitor<'de> for Each<T, F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(item) = list.next_element()? {
            count += 1;
            if count > self.most {
                return Err(A::Error::custom(over(self.most, self.what)));
            }
            (self.take)(item).map_err(A::Error::custom)?;
        }
        Ok(count)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> DeserializeSeed<'de> for Each<T, F> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

/// The rows of a page, each to `take`. Answers how many there are.
pub(super) fn rows<R: DeserializeOwned>(
    body: &[u8],
    most: usize,
    mut take: impl FnMut(R) -> Result<(), Error>,
) -> Result<usize, Failed> {
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    let each = Each::new(most, "rows in a page", |row| {
        take(row).map_err(|error| {
            refused = Some(error);
            "refused".to_owned()
        })
    });
    let read = each.deserialize(&mut json).and_then(|count| json.end().map(|()| count));
    read.map_err(|error| refused.map_or(Failed::Json(error), Failed::Row))
}

/// Why a page was not read to its end.
pub(super) enum Failed {
    Json(serde_json::Error),
    Row(Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: DeserializeOwned + fmt::Debug>(json: &str) -> String {
        serde_json::from_str::<T>(json).unwrap_err().to_string()
    }

    #[test]
    fn a_text_or_list_over_its_limit_is_not_read_further() {
        assert_eq!(serde_json::from_str::<Text<3>>("\"abc\"").unwrap().0, "abc");
        assert!(error::<Text<3>>("\"abcd\"").starts_with("more than 3 bytes in a text"));
        assert_eq!(serde_json::from_str::<Few<u8, 2>>("[1,2]").unwrap().0, [1, 2]);
        // What follows is not even looked at.
        assert!(error::<Few<u8, 2>>("[1,2,3,this is no JSON").starts_with("more than 2 items in a list"));
    }

    #[test]
    fn of_any_value_a_short_text_and_a_whole_number_count() {
        let read = |json: &str| serde_json::from_str::<Scalar<4>>(json).unwrap();
        assert_eq!(read("\"bot-\""), Scalar::Text("bot-".into()));
        assert_eq!((read("30"), read("-1")), (Scalar::Number(30), Scalar::Number(-1)));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for other in ["null", "true", "1.5", "18446744073709551615", "\"longer\"", "[1,{\"a\":[]}]", "{\"a\":1}", &deep]
        {
            assert_eq!(read(other), Scalar::Other, "{other}");
        }
    }

    #[test]
    fn a_page_hands_on_each_row_and_stops_at_one_too_many_or_refused() {
        let mut taken = Vec::new();
        let count = rows(b"[1,2,3] ", 3, |row: u8| {
            taken.push(row);
            Ok(())
        });
        assert_eq!((count.ok(), taken), (Some(3), vec![1, 2, 3]));
        let over = rows(b"[1,2,3]", 2, |_: u8| Ok(()));
        assert!(matches!(over, Err(Failed::Json(error)) if error.to_string().starts_with(OVER)));
        assert!(matches!(rows(b"[1,2", 2, |_: u8| Err(Error::NotFound)), Err(Failed::Row(Error::NotFound))));
        assert!(matches!(rows(b"[1] 2", 2, |_: u8| Ok(())), Err(Failed::Json(_))));
    }
}
