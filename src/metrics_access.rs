//! Who may read the metrics: whoever brings a token that the API server knows and whose owner may `get` the path.
//!
//! Answers are kept for a short while by a digest of the token, a bounded number of them, and few questions are under way
//! at one time: whoever can reach the address must not be able to keep the API server busy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use futures::future::BoxFuture;
use ring::digest::{SHA256, digest};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::deadline;

/// A yes is believed for so long, which is how long a right that was taken away may still serve.
const YES: Duration = Duration::from_mins(1);
/// A no, so that a grant just made is soon in effect.
const NO: Duration = Duration::from_secs(10);
/// Answers that are kept.
const MOST_KEPT: usize = 64;
/// Questions under way at one time; who comes then is told to come again.
const QUESTIONS: usize = 2;
/// No token of Kubernetes is longer.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Asks whether the owner of a token may read; `None` = there was no answer.
pub type Ask = Box<dyn Fn(String) -> BoxFuture<'static, Option<bool>> + Send + Sync>;

/// The gate before the metrics.
pub struct Access {
    ask: Ask,
    answers: Mutex<HashMap<[u8; 32], (bool, Instant)>>,
    questions: Arc<Semaphore>,
}

impl Access {
    /// A gate that nobody passed yet.
    pub fn new(ask: Ask) -> Self {
        Self { ask, answers: Mutex::default(), questions: Arc::new(Semaphore::new(QUESTIONS)) }
    }

    /// Lets a request pass by its headers, or says with what to answer it.
    pub async fn check(&self, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let no_token = (StatusCode::UNAUTHORIZED, "bring a bearer token\n");
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(no_token)?;
        let (scheme, token) = text.split_once(' ').ok_or(no_token)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST_TOKEN {
            return Err(no_token);
        }
        let refused = (StatusCode::FORBIDDEN, "the token's owner may not get the path /metrics\n");
        let unknown = (StatusCode::SERVICE_UNAVAILABLE, "the token cannot be checked now\n");
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let may = if let Some(may) = self.kept(&key) {
            may
        } else {
            let _turn = self.questions.try_acquire().map_err(|_| unknown)?;
            let may = (self.ask)(token.to_owned()).await.ok_or(unknown)?;
            self.keep(key, may);
            may
        };
        if may { Ok(()) } else { Err(refused) }
    }

    fn kept(&self, key: &[u8; 32]) -> Option<bool> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).filter(|(_, until)| *until > Instant::now()).map(|(may, _)| *may)
    }

    fn keep(&self, key: [u8; 32], may: bool) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        answers.retain(|_, (_, until)| *until > now);
        if answers.len() >= MOST_KEPT {
            // A flood of wrong tokens must not push the right one out.
            answers.retain(|_, (may, _)| *may);
        }
        if answers.len() < MOST_KEPT {
            answers.insert(key, (may, deadline::after(now, if may { YES } else { NO })));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn bearer(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    /// A gate whose API server knows `good`, and how often it was asked.
    fn access() -> (Access, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let ask: Ask = Box::new(move |token| {
            count.fetch_add(1, SeqCst);
            Box::pin(async move {
                match token.as_str() {
                    "away" => None,
                    "slow" => std::future::pending().await,
                    token => Some(token == "good"),
                }
            })
        });
        (Access::new(ask), asked)
    }

    async fn status(access: &Access, headers: &HeaderMap) -> u16 {
        access.check(headers).await.map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_known_token_passes_and_is_asked_about_once_a_minute() {
        let (access, asked) = access();
        let basic = HeaderMap::from_iter([(header::AUTHORIZATION, "Basic Z29vZA==".parse().unwrap())]);
        for headers in [HeaderMap::new(), basic, bearer(" "), bearer(&"x".repeat(LONGEST_TOKEN + 1))] {
            assert_eq!(status(&access, &headers).await, 401);
        }
        assert_eq!(asked.load(SeqCst), 0);
        assert_eq!(status(&access, &bearer("good")).await, 200);
        assert_eq!(status(&access, &bearer("good")).await, 200);
        assert_eq!(status(&access, &bearer("bad")).await, 403);
        assert_eq!(status(&access, &bearer("bad")).await, 403);
        assert_eq!(asked.load(SeqCst), 2);
        tokio::time::sleep(YES).await;
        assert_eq!(status(&access, &bearer("good")).await, 200);
        assert_eq!(asked.load(SeqCst), 3);
        assert_eq!(status(&access, &bearer("away")).await, 503);
        assert_eq!(status(&access, &bearer("away")).await, 503);
        assert_eq!(asked.load(SeqCst), 5, "no answer is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_wrong_tokens_neither_grows_nor_pushes_the_right_one_out() {
        let (access, asked) = access();
        assert_eq!(status(&access, &bearer("good")).await, 200);
        for n in 0..500 {
            assert_eq!(status(&access, &bearer(&format!("bad-{n}"))).await, 403);
        }
        assert!(access.answers.lock().unwrap().len() <= MOST_KEPT);
        let before = asked.load(SeqCst);
        assert_eq!(status(&access, &bearer("good")).await, 200);
        assert_eq!(asked.load(SeqCst), before);
    }

    #[tokio::test(start_paused = true)]
    async fn few_questions_are_under_way_at_one_time() {
        let (access, asked) = access();
        let access = Arc::new(access);
        for _ in 0..QUESTIONS {
            let access = Arc::clone(&access);
            tokio::spawn(async move { access.check(&bearer("slow")).await });
        }
        tokio::task::yield_now().await;
        assert_eq!(status(&access, &bearer("good")).await, 503);
        assert_eq!(asked.load(SeqCst), QUESTIONS);
    }
}
