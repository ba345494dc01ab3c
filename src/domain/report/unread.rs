//! What an account says after a pass that read nothing: what is published is as good as it was, and works until it expires.

use super::{Failure, out_of_sync, overdue, overdue_from};
use crate::api::{AccountStatus, RegistryTime, conditions as kinds};
use crate::domain::conditions::{self, State, Verdict};

/// What is known without a look at Harbor or at the Secret.
pub struct Unread<'a> {
    /// The account's status before.
    pub status: &'a AccountStatus,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `spec.disabled` is not set.
    pub enabled: bool,
    /// The account has a deletionTimestamp.
    pub deleting: bool,
    /// Registry time, by which credentials expire.
    pub now: RegistryTime,
    /// The moment that conditions name as their last change.
    pub said_at: RegistryTime,
}

impl Unread<'_> {
    /// Something stands in the way. `lost`: what is published does not work.
    pub fn failed(&self, failure: &Failure, lost: bool) -> AccountStatus {
        let robot = self.status.robot.as_ref();
        let alive = robot.is_some_and(|robot| robot.expiration_time.is_none_or(|at| at > self.now));
        let works = !lost && !self.deleting && (alive || !self.enabled);
        let ready = works && conditions::is_true(&self.status.conditions, kinds::READY);
        let Failure { reason, message, .. } = failure;
        let mut verdicts = vec![overdue(self.status, self.enabled, self.now)];
        verdicts.extend((!ready).then(|| Verdict::new(kinds::READY, State::False, reason, message.clone())));
        verdicts.extend(out_of_sync(failure, self.status, self.generation));
        self.with(&verdicts)
    }

    /// Sweeps cannot list the home of an account that is as it should be else: nobody would notice what becomes of its robot.
    pub fn unlisted(&self, why: &Failure) -> AccountStatus {
        self.with(&out_of_sync(why, self.status, self.generation))
    }

    /// Nothing is done, as `by` asks for; Ready stays what it was while the credential lives.
    pub fn suspended(&self, by: &str) -> AccountStatus {
        let message = format!("nothing is changed, renewed or refreshed: {by} is set");
        let mut verdicts = vec![
            Verdict::new(kinds::SYNCED, State::False, "Suspended", message),
            Verdict::absent(kinds::RECONCILING),
            Verdict::absent(kinds::STALLED),
        ];
        let expired = self.enabled && self.expiry().is_some_and(|at| at <= self.now);
        let unready = if expired {
            Some(format!("the credential has expired and is not renewed: {by} is set"))
        } else if conditions::find(&self.status.conditions, kinds::READY).is_none() {
            Some(format!("no credential was made yet, and none is: {by} is set"))
        } else {
            None
        };
        verdicts.extend(unready.map(|message| Verdict::new(kinds::READY, State::False, "Suspended", message)));
        self.with(&verdicts)
    }

    fn with(&self, verdicts: &[Verdict]) -> AccountStatus {
        let conditions = conditions::apply(&self.status.conditions, verdicts, self.generation, self.said_at);
        AccountStatus { observed_generation: self.generation, conditions, ..self.status.clone() }
    }

    /// When there is something else to say although nothing happens (registry time): the credential expires, or its renewal is
    /// overdue.
    pub fn next_look(&self) -> Option<RegistryTime> {
        let moments = [self.expiry(), overdue_from(self.status)].into_iter().flatten();
        moments.filter(|at| self.enabled && *at > self.now).min()
    }

    fn expiry(&self) -> Option<RegistryTime> {
        self.status.robot.as_ref()?.expiration_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RobotRecord;

    fn at(seconds: i64) -> RegistryTime {
        jiff::Timestamp::from_second(seconds).unwrap().into()
    }

    /// Published at 0, to be renewed at 1,000, and dead at 10,000.
    fn published() -> AccountStatus {
        let robot = RobotRecord {
            id: 1,
            name: "robot$p+ci".to_owned(),
            creation_time: at(0),
            update_time: None,
            credential_checksum: None,
            expiration_time: Some(at(10_000)),
        };
        let ready = Verdict::new(kinds::READY, State::True, "Published", "");
        let synced = Verdict::new(kinds::SYNCED, State::True, "InSync", "");
        AccountStatus {
            observed_generation: Some(1),
            robot: Some(robot),
            renewal_time: Some(at(1_000)),
            conditions: conditions::apply(&[], &[ready, synced], Some(1), at(0)),
            ..AccountStatus::default()
        }
    }

    fn unread(status: &AccountStatus, now: i64) -> Unread<'_> {
        Unread { status, generation: Some(1), enabled: true, deleting: false, now: at(now), said_at: at(now) }
    }

    /// Status and reason of a condition.
    fn says(status: &AccountStatus, kind: &str) -> String {
        let found = conditions::find(&status.conditions, kind);
        found.map_or_else(|| "absent".to_owned(), |found| format!("{} {}", found.status, found.reason))
    }

    #[test]
    fn what_is_published_works_until_it_expires_whatever_stands_in_the_way() {
        let failure = Failure { reason: "Unreachable", message: "gone".to_owned(), permanent: false };
        let status = published();
        for (now, lost, enabled, deleting, works) in [
            (5_000, false, true, false, true),
            (10_000, false, true, false, false),
            (10_000, false, false, false, true),
            (5_000, true, true, false, false),
            (5_000, false, true, true, false),
        ] {
            let said = Unread { enabled, deleting, ..unread(&status, now) }.failed(&failure, lost);
            let ready = if works { "True Published" } else { "False Unreachable" };
            assert_eq!(says(&said, kinds::READY), ready, "{now} {lost} {enabled} {deleting}");
            assert_eq!(says(&said, kinds::SYNCED), "False Unreachable");
            assert_eq!(says(&said, kinds::STALLED), "absent");
            assert_eq!(says(&said, kinds::RENEWAL_OVERDUE) != "absent", enabled, "an hour after 1,000");
        }
        let nothing = AccountStatus::default();
        assert_eq!(says(&unread(&nothing, 0).failed(&failure, false), kinds::READY), "False Unreachable");
        assert_eq!(says(&unread(&nothing, 0).failed(&failure, false), kinds::RECONCILING), "True Unreachable");
        let permanent = Failure { permanent: true, ..failure };
        let said = unread(&nothing, 0).failed(&permanent, false);
        assert_eq!(says(&said, kinds::STALLED), "True Unreachable");
        assert_eq!(says(&said, kinds::RECONCILING), "absent");
    }

    #[test]
    fn a_home_that_cannot_be_listed_says_nothing_of_the_credential() {
        let why = Failure { reason: "NoAnswer", message: "timed out".to_owned(), permanent: false };
        let status = published();
        let said = unread(&status, 20_000).unlisted(&why);
        assert_eq!(says(&said, kinds::READY), "True Published");
        assert_eq!(says(&said, kinds::SYNCED), "False NoAnswer");
        assert_eq!(says(&said, kinds::RENEWAL_OVERDUE), "absent");
    }

    #[test]
    fn a_suspended_account_is_ready_as_long_as_its_credential_lives() {
        let (status, nothing) = (published(), AccountStatus::default());
        for (status, now, enabled, ready) in [
            (&status, 5_000, true, "True Published"),
            (&status, 10_000, true, "False Suspended"),
            (&status, 10_000, false, "True Published"),
            (&nothing, 0, true, "False Suspended"),
        ] {
            let said = Unread { enabled, ..unread(status, now) }.suspended("spec.suspend");
            assert_eq!(says(&said, kinds::READY), ready, "{now}");
            assert_eq!(says(&said, kinds::SYNCED), "False Suspended");
        }
    }

    #[test]
    fn somebody_looks_when_the_renewal_is_overdue_and_when_the_credential_expires() {
        let status = published();
        assert_eq!(unread(&status, 0).next_look(), Some(at(4_600)));
        assert_eq!(unread(&status, 4_600).next_look(), Some(at(10_000)));
        assert_eq!(unread(&status, 10_000).next_look(), None);
        assert_eq!(Unread { enabled: false, ..unread(&status, 0) }.next_look(), None);
    }
}
