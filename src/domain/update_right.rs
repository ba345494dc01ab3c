//! Whether Harbor lets the login change robots (PUT, PATCH), learned from its answers. What one project answers to a
//! person holds for that project; what a robot hears holds for its whole level.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::robot::Home;

/// What a person is refused is believed when it comes again, at least this much later: roles change.
pub const SECOND_LOOK: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    May,
    /// Refused once, at that moment.
    Doubted(Instant),
    MayNot,
}

impl Answer {
    fn known(self) -> Option<bool> {
        match self {
            Self::May => Some(true),
            Self::MayNot => Some(false),
            Self::Doubted(_) => None,
        }
    }
}

/// What was tried, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateRights {
    answers: BTreeMap<Home, Answer>,
}

impl UpdateRights {
    /// Whether updates are accepted there; `None` if not known, or refused only once.
    pub fn may(&self, place: &Home) -> Option<bool> {
        self.answers.get(place)?.known()
    }

    /// One sentence for all places of projects: accepted somewhere, refused wherever it was tried, or not known.
    pub fn may_in_projects(&self) -> Option<bool> {
        let of_projects = self.answers.iter().filter(|(place, _)| matches!(place, Home::Project(_)));
        of_projects.filter_map(|(_, answer)| answer.known()).reduce(|one, other| one || other)
    }

    /// An update was accepted.
    pub fn accepted(&mut self, place: Home) {
        self.answers.insert(place, Answer::May);
    }

    /// An update was refused; true if that is to be believed: it was refused before, at least so long ago.
    pub fn refused(&mut self, place: Home, now: Instant, apart: Duration) -> bool {
        let next = match self.answers.get(&place) {
            Some(Answer::MayNot) => Answer::MayNot,
            Some(Answer::Doubted(at)) if now.saturating_duration_since(*at) >= apart => Answer::MayNot,
            Some(Answer::Doubted(at)) => Answer::Doubted(*at),
            Some(Answer::May) | None => Answer::Doubted(now),
        };
        self.answers.insert(place, next);
        next == Answer::MayNot
    }

    /// Updates are worth another try everywhere.
    pub fn forget(&mut self) {
        self.answers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> Home {
        Home::Project(name.to_owned())
    }

    #[test]
    fn a_refusal_counts_the_second_time_and_for_its_place_only() {
        let start = Instant::now();
        let mut rights = UpdateRights::default();
        rights.accepted(project("b"));
        assert!(!rights.refused(project("a"), start, SECOND_LOOK));
        assert_eq!((rights.may(&project("a")), rights.may(&project("b"))), (None, Some(true)));
        assert!(!rights.refused(project("a"), start + SECOND_LOOK / 2, SECOND_LOOK), "in the same breath");
        assert!(rights.refused(project("a"), start + SECOND_LOOK, SECOND_LOOK));
        assert_eq!((rights.may(&project("a")), rights.may(&project("b"))), (Some(false), Some(true)));
        assert_eq!((rights.may(&project("c")), rights.may(&Home::System)), (None, None));
        assert_eq!(rights.may_in_projects(), Some(true));
        rights.forget();
        assert_eq!((rights.may(&project("a")), rights.may_in_projects()), (None, None));
    }

    #[test]
    fn one_that_is_accepted_in_between_begins_anew() {
        let start = Instant::now();
        let mut rights = UpdateRights::default();
        assert!(!rights.refused(Home::System, start, SECOND_LOOK));
        rights.accepted(Home::System);
        assert!(!rights.refused(Home::System, start + SECOND_LOOK, SECOND_LOOK));
        assert_eq!(rights.may(&Home::System), None);
    }
}
