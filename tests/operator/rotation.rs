//! What the tests of rotation share: Harbor's time, tokens, and what is to be seen of a credential's life.

use harbor_robot_operator::api::{AccountStatus, RegistryTime, RobotAccount};
use harbor_robot_world::{Calls, Login};
use jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::hands::SOMEBODY;
use crate::scene::{Scene, condition};

/// Seconds.
pub const MINUTE: u64 = 60;
/// Seconds.
pub const HOUR: u64 = 3_600;
/// Seconds.
pub const DAY: u64 = 86_400;

/// Just after it was made, a robot's update time may be a little later than its creation.
const FRESH: SignedDuration = SignedDuration::from_millis(10);

pub const POST: &str = "POST /api/v2.0/robots";
pub const PUT: &str = "PUT /api/v2.0/robots/{id}";
pub const PATCH: &str = "PATCH /api/v2.0/robots/{id}";
pub const DELETE: &str = "DELETE /api/v2.0/robots/{id}";

impl Scene {
    /// Harbor's time.
    pub async fn harbor_now(&self) -> RegistryTime {
        RegistryTime::from_millisecond(self.harbor.now().await.unwrap())
    }

    /// Moves Harbor's clock to this moment.
    pub async fn advance_to(&self, at: RegistryTime) {
        let left = at.duration_since(self.harbor_now().await).as_secs_f64().ceil();
        assert!(left >= 0.0, "{at} is over");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some years of seconds")]
        self.harbor.advance(left as u64).await.unwrap();
    }

    /// Moves Harbor's clock to the account's renewal time.
    pub async fn advance_to_renewal(&self, name: &str) {
        let due = status_of(&self.get(name).await).renewal_time.expect("it is renewed");
        self.advance_to(due).await;
    }

    /// Sets or removes an annotation of an account, as a person would.
    pub async fn annotate(&self, name: &str, key: &str, value: Option<&str>) {
        let params = PatchParams { field_manager: Some(SOMEBODY.to_owned()), ..PatchParams::default() };
        let key = format!("harbor-robots.io/{key}");
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.accounts().patch(name, &params, &patch).await.unwrap();
    }

    /// Waits until the account publishes another credential than this and is settled; gives both.
    pub async fn replaced(&self, name: &str, former: &Login) -> (RobotAccount, Login) {
        let what = format!("another credential than that of {}", former.name);
        harbor_robot_world::eventually(&what, crate::scene::SOON, || async {
            // One that cannot be updated is deleted and made again.
            let now = self.secret(name).await.as_ref().and_then(crate::scene::login_in).ok_or("no credential")?;
            let account = self.accounts().get(name).await.map_err(|error| error.to_string())?;
            if now == *former { Err(format!("{:?}", account.status)) } else { Ok(()) }
        })
        .await;
        let now = self.logs_in(name).await;
        let what = format!("status tells of {} as Harbor does", now.name);
        let account = harbor_robot_world::eventually(&what, crate::scene::SOON, || async {
            let robot = self.published(name).await.ok_or("no robot")?;
            let account = self.accounts().get(name).await.map_err(|error| error.to_string())?;
            let recorded = status_of(&account).robot.ok_or("no robot in status")?;
            let written: RegistryTime = robot["update_time"].as_str().unwrap().parse().unwrap();
            let up_to_date = recorded.update_time.is_some_and(|at| at.duration_since(written).abs() < FRESH);
            let in_order =
                ["Ready", "Synced"].iter().all(|kind| condition(&account, kind).is_some_and(|c| c.0 == "True"));
            if robot["id"] == recorded.id && up_to_date && in_order { Ok(account) } else { Err(format!("{account:?}")) }
        })
        .await;
        (account, now)
    }

    /// Whether a credential logs in at this moment.
    pub async fn works(&self, login: &Login) -> bool {
        self.harbor.verify(&login.name, &login.secret).await.unwrap()
    }

    /// Waits until a credential is refused.
    pub async fn refused(&self, login: &Login) {
        harbor_robot_world::eventually(&format!("{} is refused", login.name), crate::scene::SOON, || async {
            if self.works(login).await { Err("it logs in") } else { Ok(()) }
        })
        .await;
    }

    /// Waits until the older robot is gone and status says so.
    pub async fn overlap_over(&self, name: &str) -> RobotAccount {
        self.account_is("the overlap is over", name, |account| status_of(account).previous.is_none()).await
    }

    /// The robot of an account's status, as Harbor shows it.
    pub async fn current_robot(&self, name: &str) -> Value {
        self.robot(status_of(&self.get(name).await).robot.expect("it has a robot").id).await
    }
}

/// The status, empty if there is none.
pub fn status_of(account: &RobotAccount) -> AccountStatus {
    account.status.clone().unwrap_or_default()
}

/// The message of Synced.
pub fn note(account: &RobotAccount) -> String {
    condition(account, "Synced").map(|(_, _, message)| message).unwrap_or_default()
}

/// Harbor's `expires_at` of a robot.
pub fn expiry_of(robot: &Value) -> Option<RegistryTime> {
    let seconds = robot["expires_at"].as_i64().unwrap();
    (seconds >= 0).then(|| RegistryTime::from_second(seconds))
}

/// The most robots that lived at any moment of the log, `before` at its begin. Nobody else may make or delete robots.
pub fn most_robots(calls: &Calls, before: i64) -> i64 {
    let mut alive = before;
    let lives = calls.calls.iter().map(|call| {
        alive += match (call.method.as_str(), call.status) {
            ("POST", 201) => 1,
            ("DELETE", 200) => -1,
            _ => 0,
        };
        alive
    });
    lives.max().unwrap_or(before).max(before)
}

/// When Ready became what it is.
pub fn ready_since(account: &RobotAccount) -> RegistryTime {
    let conditions = status_of(account).conditions;
    conditions.iter().find(|condition| condition.type_ == "Ready").expect("Ready is told").last_transition_time.0.into()
}
