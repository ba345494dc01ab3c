//! The list query: `q`, `sort`, `page`, `page_size` and the Link header.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::error::{ApiError, ApiResult};

/// A value inside a range or a list: a time is tried first, then a number, then text.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Milliseconds since 1970.
    Time(i64),
    /// A whole number.
    Int(i64),
    /// Anything else, without the quotes around it.
    Text(String),
}

/// What `key=…` asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// `k=v`
    Exact(String),
    /// `k=~v`, a substring in any case
    Fuzzy(String),
    /// `k=[min~max]`
    Range(Option<Literal>, Option<Literal>),
    /// `k={a b}`
    AnyOf(Vec<Literal>),
    /// `k=(a b)`, which no column looks at
    AllOf,
}

/// A column's value in one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// A number column.
    Int(i64),
    /// A text column.
    Text(&'a str),
    /// A truth column.
    Flag(bool),
    /// A time column, in milliseconds.
    Time(i64),
}

/// Keywords by key; the last one of a key wins.
pub type Keywords = BTreeMap<String, Pattern>;

/// Where a page begins and how many rows it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1; zero and below show the first page, too, but are linked from as they are.
    pub number: i64,
    /// Rows; zero and below mean all.
    pub size: i64,
}

impl Page {
    /// How many rows to skip and how many to take.
    pub fn window(self) -> (usize, usize) {
        match usize::try_from(self.size) {
            Ok(size) if size > 0 => {
                let before = usize::try_from(self.number - 1).unwrap_or(0);
                (before.saturating_mul(size), size)
            }
            _ => (0, usize::MAX),
        }
    }
}

/// Decodes once more what the query string already decoded; text that cannot be decoded stays.
fn decoded_again(text: &str) -> String {
    let bytes = text.as_bytes();
    let well_formed = bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'%')
        .all(|(at, _)| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)));
    if !well_formed {
        return text.to_owned();
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Reads `q`, which was URL-decoded once; Harbor decodes it a second time.
pub fn keywords(q: &str) -> ApiResult<Keywords> {
    let mut found = Keywords::new();
    if q.is_empty() {
        return Ok(found);
    }
    for part in decoded_again(q).split(',') {
        let (key, value) =
            part.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty()).ok_or_else(|| {
                ApiError::bad_request("the query string must contain \"=\" and the key/value cannot be empty")
            })?;
        let pattern =
            pattern(value).ok_or_else(|| ApiError::bad_request(format!("invalid query string value: {value}")))?;
        found.insert(key.to_owned(), pattern);
    }
    Ok(found)
}

fn pattern(value: &str) -> Option<Pattern> {
    let inner = |close: char| value[1..].strip_suffix(close);
    Some(match value.as_bytes()[0] {
        b'~' => Pattern::Fuzzy(value[1..].to_owned()).filled()?,
        b'[' => {
            let (min, max) = inner(']')?.split_once('~')?;
            if max.contains('~') || (min.trim().is_empty() && max.trim().is_empty()) {
                return None;
            }
            let bound = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(literal);
            Pattern::Range(bound(min), bound(max))
        }
        b'{' => Pattern::AnyOf(list(inner('}')?)),
        b'(' => {
            inner(')')?;
            Pattern::AllOf
        }
        _ => Pattern::Exact(value.strip_prefix('\\').unwrap_or(value).to_owned()),
    })
}

impl Pattern {
    fn filled(self) -> Option<Self> {
        match &self {
            Self::Fuzzy(text) if text.is_empty() => None,
            _ => Some(self),
        }
    }

    /// Whether a cell fits. A value that the column's type cannot hold reaches the database, which answers 500.
    pub fn fits(&self, cell: Cell<'_>) -> ApiResult<bool> {
        Ok(match self {
            Self::AllOf => true,
            Self::Fuzzy(text) => cell.to_text().to_lowercase().contains(&text.to_lowercase()),
            Self::Exact(text) => cell.compare(&Literal::Text(text.clone()))? == Ordering::Equal,
            Self::Range(min, max) => {
                let above = min.as_ref().map_or(Ok(true), |min| cell.compare(min).map(Ordering::is_ge))?;
                let below = max.as_ref().map_or(Ok(true), |max| cell.compare(max).map(Ordering::is_le))?;
                above && below
            }
            Self::AnyOf(values) => {
                let mut any = values.is_empty();
                for value in values {
                    any |= cell.compare(value)? == Ordering::Equal;
                }
                any
            }
        })
    }
}

fn list(inner: &str) -> Vec<Literal> {
    let values = inner.split(' ').map(literal);
    values.filter(|value| !matches!(value, Literal::Text(text) if text.is_empty())).collect()
}

fn literal(text: &str) -> Literal {
    let text = text.trim();
    if let Some(ms) = time(text) {
        Literal::Time(ms)
    } else if let Ok(int) = text.parse() {
        Literal::Int(int)
    } else {
        Literal::Text(text.trim_matches(['"', '\'']).to_owned())
    }
}

fn time(text: &str) -> Option<i64> {
    let civil: jiff::civil::DateTime = text.parse().ok().filter(|_| text.contains(['T', ' ']))?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

impl Cell<'_> {
    fn to_text(self) -> String {
        match self {
            Self::Int(int) => int.to_string(),
            Self::Text(text) => text.to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Time(ms) => crate::clock::rfc3339_ms(ms),
        }
    }

    fn compare(self, value: &Literal) -> ApiResult<Ordering> {
        let unfit = ApiError::internal;
        Ok(match (self, value) {
            (Self::Int(int), Literal::Int(other)) => int.cmp(other),
            (Self::Int(int), Literal::Text(other)) => int.cmp(&other.trim().parse().map_err(|_| unfit())?),
            (Self::Text(text), Literal::Text(other)) => text.cmp(other.as_str()),
            (Self::Text(text), Literal::Int(other)) => text.cmp(other.to_string().as_str()),
            (Self::Flag(flag), other) => flag.cmp(&truth(other).ok_or_else(unfit)?),
            (Self::Time(ms), Literal::Time(other)) => ms.cmp(other),
            (Self::Time(ms), Literal::Text(other)) => {
                let moment: Option<jiff::Timestamp> = other.parse().ok();
                ms.cmp(&moment.map(jiff::Timestamp::as_millisecond).or_else(|| time(other)).ok_or_else(unfit)?)
            }
            _ => return Err(unfit()),
        })
    }

    /// Orders two cells of one column.
    pub fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) | (Self::Time(a), Self::Time(b)) => a.cmp(&b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Flag(a), Self::Flag(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        }
    }
}

fn truth(value: &Literal) -> Option<bool> {
    let text = match value {
        Literal::Text(text) => text.to_lowercase(),
        Literal::Int(int) => int.to_string(),
        Literal::Time(_) => return None,
    };
    match text.as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// The keys to sort by, and whether descending.
pub fn sorting(sort: &str) -> Vec<(&str, bool)> {
    let keys = sort.split(',').filter(|key| !key.is_empty());
    keys.map(|key| key.strip_prefix('-').map_or((key, false), |key| (key, true))).collect()
}

/// The Link header: path and query as they came, un-escaped once, with the page set.
pub fn links(path: &str, raw_query: &str, total: usize, page: Page) -> Option<String> {
    if page.size == 0 {
        return None;
    }
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    let link = |number: i64, rel: &str| {
        let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(raw_query.as_bytes()) {
            pairs.entry(key.into_owned()).or_default().push(value.into_owned());
        }
        pairs.insert("page".into(), vec![number.to_string()]);
        pairs.insert("page_size".into(), vec![page.size.to_string()]);
        let flat = pairs.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("{key}={value}")));
        format!("<{path}?{}>; rel=\"{rel}\"", flat.collect::<Vec<_>>().join("&"))
    };
    let mut links = Vec::new();
    if page.number > 1 && (page.number - 1).saturating_mul(page.size) < total {
        links.push(link(page.number - 1, "prev"));
    }
    if page.number.saturating_mul(page.size) < total {
        links.push(link(page.number + 1, "next"));
    }
    (!links.is_empty()).then(|| links.join(" , "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_decoded_a_second_time() {
        assert_eq!(keywords("name=a%2Bb").unwrap()["name"], Pattern::Exact("a+b".into()));
        assert_eq!(keywords("name=a+b").unwrap()["name"], Pattern::Exact("a b".into()));
        assert_eq!(keywords("name=a%zz+b").unwrap()["name"], Pattern::Exact("a%zz+b".into()));
        assert_eq!(keywords("name=\\~a").unwrap()["name"], Pattern::Exact("~a".into()));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for q in ["a=~", "a=[1", "a=[~]", "a=[1~2~3]", "a={x", "a=(x"] {
            assert_eq!(keywords(q).unwrap_err().status, 400, "{q}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_the_databases_trouble() {
        let id = Cell::Int(5);
        assert!(Pattern::Exact("5".into()).fits(id).unwrap());
        assert_eq!(Pattern::Exact("x".into()).fits(id).unwrap_err().status, 500);
        assert!(Pattern::Fuzzy("5".into()).fits(id).unwrap());
        let range = keywords("t=[2024-01-01T00:00:00~]").unwrap();
        assert!(range["t"].fits(Cell::Time(1_720_705_664_261)).unwrap());
        assert!(!range["t"].fits(Cell::Time(0)).unwrap());
    }

    #[test]
    fn links_name_the_pages_before_and_after() {
        let page = |number, size| Page { number, size };
        assert_eq!(links("/r", "q=a", 10, page(1, 10)), None);
        assert_eq!(links("/r", "q=a%2Bb", 11, page(1, 10)).unwrap(), "</r?page=2&page_size=10&q=a+b>; rel=\"next\"");
        assert_eq!(
            links("/r", "page=2&page_size=2", 5, page(2, 2)).unwrap(),
            "</r?page=1&page_size=2>; rel=\"prev\" , </r?page=3&page_size=2>; rel=\"next\""
        );
        assert_eq!(links("/r", "", 3, page(1, -1)).unwrap(), "</r?page=2&page_size=-1>; rel=\"next\"");
        assert_eq!(page(3, 0).window(), (0, usize::MAX));
        assert_eq!(page(3, 7).window(), (14, 7));
    }
}
