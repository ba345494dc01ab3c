//! Figures, as a table and as JSON.

use std::fs;

use anyhow::Result;
use harbor_robot_world::{note, target_dir};
use serde::Serialize;

/// First line of the table.
pub(crate) const HEADER: &str = "id\tmetric\tvalue\tunit\tgoal\treached";

/// The figures of one benchmark.
#[derive(Serialize)]
pub(crate) struct Report {
    id: &'static str,
    about: &'static str,
    machine: String,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    metric: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
}

impl Report {
    pub(crate) fn new(id: &'static str, about: &'static str) -> Self {
        Self { id, about, machine: machine(), figures: Vec::new() }
    }

    /// Records a figure and prints its line of the table.
    pub(crate) fn add(&mut self, metric: impl Into<String>, value: f64, unit: &'static str, at_most: Option<f64>) {
        let metric = metric.into();
        let reached = at_most.map(|goal| value <= goal);
        let goal = at_most.map_or_else(String::new, |goal| format!("<= {goal}"));
        let verdict = match reached {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        println!("{}\t{metric}\t{value:.2}\t{unit}\t{goal}\t{verdict}", self.id);
        self.figures.push(Figure { metric, value, unit, at_most, reached });
    }

    /// Writes `target/bench/<ID>.json`.
    pub(crate) fn write(&self) -> Result<()> {
        let folder = target_dir().join("bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", self.id));
        fs::write(&path, serde_json::to_string_pretty(self)?)?;
        note(&format!("{}: {}", self.id, path.display()));
        Ok(())
    }
}

/// What the figures were measured on, and how busy it was: a load near 0 before a run means that nothing else ran.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!("{cores} cores, load {load}, {}", std::env::consts::ARCH)
}

/// The value below which this share of the values lies, by the nearest rank.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rank")]
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        for (share, expected) in [(0.5, 100.0), (0.99, 198.0), (1.0, 200.0)] {
            assert!((percentile(&mut values, share) - expected).abs() < f64::EPSILON);
        }
    }
}
