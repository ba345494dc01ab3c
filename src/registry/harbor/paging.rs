//! How Harbor's lists are read: page by page, and anew if rows vanish meanwhile.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::call::Call;
use super::transport::Transport;
use super::wire::{Request, TOO_LARGE};
use crate::registry::Error;

/// Rows of a page: Harbor's largest, and smaller ones for rows so large that 100 of them pass the limit of an answer.
const PAGE_SIZES: [usize; 3] = [100, 10, 1];

/// No list is read further than this.
pub(super) const MOST_PAGES: usize = 1000;

/// How often a list is begun anew because a row vanished while it was read.
const LIST_TRIES: usize = 3;

pub(super) trait Row: DeserializeOwned + Send {
    /// Harbor's id, which counts up.
    fn id(&self) -> i64;
}

pub(super) struct List {
    pub(super) call: Call,
    pub(super) path: &'static str,
    /// Encoded; sorts by id, so that a row made meanwhile comes last.
    pub(super) query: String,
    /// What is listed, for whoever has too many.
    pub(super) what: &'static str,
    pub(super) most_pages: usize,
}

/// What was read of a list.
pub(super) struct Listed<T> {
    pub(super) rows: Vec<T>,
    /// What there is more of than was to be read, and how much was.
    rest: Option<(&'static str, usize)>,
}

impl<T> Listed<T> {
    pub(super) fn all(self) -> Result<Vec<T>, Error> {
        match self.rest {
            None => Ok(self.rows),
            Some((what, most)) => Err(Error::ListTooLong { what, most }),
        }
    }
}

/// What becomes of a row: something to keep, nothing, or the end of the list.
pub(super) trait Take<R, T>: Fn(R) -> Result<Option<T>, Error> + Send + Sync {}

impl<R, T, F: Fn(R) -> Result<Option<T>, Error> + Send + Sync> Take<R, T> for F {}

impl Transport {
    /// The rows of a list as `take` leaves them, each once.
    pub(super) async fn list<R: Row, T: Send>(&self, list: &List, take: &impl Take<R, T>) -> Result<Listed<T>, Error> {
        let mut result = Err(Error::BadAnswer { what: TOO_LARGE.into(), after_write: false });
        for size in PAGE_SIZES {
            result = self.list_by(size, list, take).await;
            if !matches!(&result, Err(Error::BadAnswer { what, .. }) if what == TOO_LARGE) {
                break;
            }
        }
        result
    }

    /// A row deleted meanwhile moves another from the next page to one already read: a total that shrank starts the list
    /// anew.
    async fn list_by<R: Row, T: Send>(
        &self,
        size: usize,
        list: &List,
        take: &impl Take<R, T>,
    ) -> Result<Listed<T>, Error> {
        let mut tries = 1;
        'anew: loop {
            let mut rows = Vec::new();
            let mut seen = BTreeSet::new();
            let mut first_total = None;
            for page in 1..=list.most_pages {
                let query = format!("{}&page={page}&page_size={size}", list.query);
                let reply = self.send(&Request::new(list.call, list.path).query(query)).await?;
                let shrank = reply.total.zip(first_total).is_some_and(|(now, first)| now < first);
                if shrank && tries < LIST_TRIES {
                    tries += 1;
                    continue 'anew;
                }
                first_total = first_total.or(reply.total);
                let known = seen.len();
                let count = reply.rows(size, |row: R| {
                    if seen.insert(row.id()) {
                        rows.extend(take(row)?);
                    }
                    Ok(())
                })?;
                if count < size || reply.total.is_some_and(|total| page * size >= total) {
                    return Ok(Listed { rows, rest: None });
                }
                if seen.len() == known {
                    return Err(reply.bad("the same page again and again"));
                }
            }
            return Ok(Listed { rows, rest: Some((list.what, list.most_pages * size)) });
        }
    }
}
