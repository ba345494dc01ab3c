//! Makes a failing run's story short: whatever can be left out so that it still fails is left out.

use std::collections::BTreeSet;

use crate::network::Name;
use crate::run::{Outcome, Settings};

/// The kind of a violation: its letter and its first words, without numbers.
fn sort(outcome: &Outcome) -> Option<String> {
    let words = outcome.violations.first()?.splitn(3, ':').take(2).collect::<String>();
    Some(words.chars().filter(|c| !c.is_ascii_digit()).collect())
}

/// The shortest story found, and how it ends. `told` hears of progress.
pub fn shrink(
    settings: &Settings,
    failed: &Outcome,
    run: impl Fn(&Settings) -> Outcome,
    mut told: impl FnMut(usize),
) -> (BTreeSet<Name>, Outcome) {
    let attempt = |only: &[Name]| {
        let only: BTreeSet<Name> = only.iter().cloned().collect();
        let outcome = run(&Settings { only: Some(only), ..settings.clone() });
        (sort(&outcome) == sort(failed)).then_some(outcome)
    };
    let mut kept: Vec<Name> = failed.happened.iter().map(|(_, name, _)| name.clone()).collect();
    let mut best = attempt(&kept);
    let mut pieces = 2;
    while !kept.is_empty() && best.is_some() {
        let size = kept.len().div_ceil(pieces);
        let mut shorter = None;
        for piece in 0..pieces {
            let (from, to) = ((piece * size).min(kept.len()), ((piece + 1) * size).min(kept.len()));
            let rest: Vec<Name> = kept[..from].iter().chain(&kept[to..]).cloned().collect();
            if rest.len() < kept.len()
                && let Some(outcome) = attempt(&rest)
            {
                shorter = Some((rest, outcome));
                break;
            }
        }
        match shorter {
            Some((rest, outcome)) => {
                (kept, best) = (rest, Some(outcome));
                pieces = pieces.saturating_sub(1).max(2);
                told(kept.len());
            }
            None if size <= 1 => break,
            None => pieces = (pieces * 2).min(kept.len()),
        }
    }
    let best = best.unwrap_or_else(|| run(settings));
    (kept.into_iter().collect(), best)
}
