//! The stand-in's clock, without asking it each time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harbor_robot_world::HarborClient;

const READINGS: usize = 20;

pub(super) struct Clock {
    at_start: i64,
    start: Instant,
}

impl Clock {
    /// The quickest of some answers tells the time best.
    pub(super) async fn of(harbor: &HarborClient) -> Result<Self> {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..READINGS {
            let sent = Instant::now();
            let at_start = harbor.now().await?;
            let took = sent.elapsed();
            if best.as_ref().is_none_or(|(quickest, _)| took < *quickest) {
                best = Some((took, Self { at_start, start: sent + took / 2 }));
            }
        }
        best.map(|(_, clock)| clock).context("the clock was read")
    }

    /// Milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.at_start + i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Harbor's clock is set forward.
    pub(super) fn jump(&mut self, milliseconds: i64) {
        self.at_start += milliseconds;
    }
}
