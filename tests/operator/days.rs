//! 400 days of one account. Harbor's clock goes from one moment that status announces (renewal, end of the overlap,
//! expiry) to the next, and stands for a look just before it and just after.

use harbor_robot_operator::api::{AccountStatus, RegistryTime};
use harbor_robot_operator::clock;
use harbor_robot_world::{Calls, Login, eventually};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::prober::Prober;
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition, system_robots_serve};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Harbor tells its time in whole seconds, so the operator's idea of it is off by less than that.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// How long the tests run, by Harbor's clock.
const SPAN: SignedDuration = SignedDuration::from_hours(400 * 24);
/// How far before and after a moment its effects are looked for.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// A scene whose Harbor runs ahead.
struct Days {
    scene: Scene,
    /// By how much.
    ahead: SignedDuration,
}

impl Days {
    async fn new(login: LoginAs, spec: Value) -> Self {
        let registry = json!({"rateLimit": {"requestsPerSecond": 1000}});
        let scene = Scene::new(Setting { login, registry, ..Setting::default() }).await;
        scene.account("ci", spec).await;
        scene.settled("ci").await;
        Self { scene, ahead: SignedDuration::ZERO }
    }

    fn now(&self) -> RegistryTime {
        RegistryTime::from(clock::now()) + self.ahead
    }

    async fn status(&self) -> AccountStatus {
        self.scene.get("ci").await.status.unwrap()
    }

    /// Moves Harbor's clock to a moment, which may be past already.
    async fn go_to(&mut self, moment: RegistryTime) {
        let way = moment.duration_since(self.now()).max(SignedDuration::ZERO);
        let seconds = u64::try_from(way.as_secs() + 1).unwrap();
        self.scene.advance(seconds).await;
        self.ahead += SignedDuration::from_secs(i64::try_from(seconds).unwrap());
    }

    /// Waits for what a moment brings.
    async fn until(&self, what: &str, fits: impl Fn(&AccountStatus) -> bool) -> AccountStatus {
        let what = format!("{what}, {} on", self.ahead / 86_400);
        let account = self.scene.account_is(&what, "ci", |account| account.status.as_ref().is_some_and(&fits)).await;
        account.status.unwrap()
    }

    /// The published credential logs in, its robot lives on, and there are no more than two.
    async fn all_is_well(&self, robots: usize) -> Login {
        let now = self.now();
        let (login, _) = self.scene.credential("ci").await;
        assert!(self.works(&login).await, "{} at {now}", login.name);
        let all = self.scene.robots().await;
        assert_eq!(all.len(), robots, "at {now}: {all:?}");
        let published = all.iter().find(|robot| robot["name"] == login.name).unwrap();
        let expiry = published["expires_at"].as_i64().unwrap();
        assert!(expiry == -1 || expiry > now.as_second(), "at {now}: {published}");
        login
    }

    async fn works(&self, login: &Login) -> bool {
        self.scene.harbor.verify(&login.name, &login.secret).await.unwrap()
    }
}

/// POST, PUT, PATCH and DELETE of robots.
fn changes(calls: &Calls) -> [u64; 4] {
    let of_one = |method: &str| calls.count(&format!("{method} /api/v2.0/robots/{{id}}"));
    [calls.count("POST /api/v2.0/robots"), of_one("PUT"), of_one("PATCH"), of_one("DELETE")]
}

/// Answers how many rotations there were in 400 days.
async fn overlap(login: LoginAs, spec: Value) -> u64 {
    let mut days = Days::new(login, spec).await;
    days.scene.harbor.reset_calls().await.unwrap();
    let end = days.now() + SPAN;
    let prober = Prober::of_published(&days.scene, "ci");
    let mut rotations = 0;
    while days.now() < end {
        let status = days.status().await;
        let (due, robot) = (status.renewal_time.unwrap(), status.robot.unwrap());
        days.go_to(due - MARGIN).await;
        let former = days.all_is_well(1).await;
        days.go_to(due + MARGIN).await;
        let id = robot.id;
        let status = days
            .until("renewed", |status| {
                status.robot.as_ref().is_some_and(|robot| robot.id != id) && status.previous.is_some()
            })
            .await;
        rotations += 1;
        assert_ne!(days.all_is_well(2).await, former);
        let revocation_time = status.previous.unwrap().revocation_time;
        let overlap = revocation_time.duration_since(days.now());
        assert!(overlap > DAY - MARGIN * 2 && overlap < DAY + SECOND, "{overlap}");
        days.go_to(revocation_time - MARGIN).await;
        days.all_is_well(2).await;
        assert!(days.works(&former).await, "{} has until {revocation_time}", former.name);
        days.go_to(revocation_time + MARGIN).await;
        days.until("the overlap is over", |status| status.previous.is_none()).await;
        days.all_is_well(1).await;
        assert!(!days.works(&former).await);
    }
    prober.none_failed().await;
    assert_eq!(
        changes(&days.scene.harbor.calls().await.unwrap()),
        [rotations, 0, 0, rotations],
        "two calls a rotation"
    );
    rotations
}

#[tokio::test(flavor = "multi_thread")]
async fn with_overlap_no_login_fails_in_400_days_with_a_persons_login() {
    let rotations = overlap(LoginAs::Person, json!({})).await;
    // Between two thirds and seven ninths of 30 days, spread by the UID.
    assert!((17..=21).contains(&rotations), "{rotations}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_overlap_no_login_fails_in_400_days_with_a_robots_login() {
    let rotations = overlap(LoginAs::Robot, json!({})).await;
    assert!((17..=21).contains(&rotations), "{rotations}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_never_expires_is_replaced_each_week_for_400_days() {
    let weekly = json!({"expiresAfter": "Never", "rotation": {"interval": "7d"}});
    let rotations = overlap(LoginAs::Robot, weekly).await;
    assert!((57..=58).contains(&rotations), "{rotations}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_one_robot_is_renewed_for_400_days() {
    let mut days = Days::new(LoginAs::Person, json!({"rotation": {"strategy": "InPlace"}})).await;
    let name = days.all_is_well(1).await.name;
    days.scene.harbor.reset_calls().await.unwrap();
    let end = days.now() + SPAN;
    let mut rotations = 0;
    while days.now() < end {
        let status = days.status().await;
        let (due, before) = (status.renewal_time.unwrap(), status.last_rotation_time);
        days.go_to(due - MARGIN).await;
        let former = days.all_is_well(1).await;
        days.go_to(due + MARGIN).await;
        let status = days.until("renewed", |status| status.last_rotation_time != before).await;
        rotations += 1;
        let login = days.all_is_well(1).await;
        assert_eq!(login.name, name);
        assert_ne!(login.secret, former.secret);
        assert!(!days.works(&former).await);
        // Harbor counts whole days from creation: the age is rounded up.
        let left = status.robot.unwrap().expiration_time.unwrap().duration_since(days.now());
        assert!(left > DAY * 30 - MARGIN * 2 && left < DAY * 31 + SECOND, "{left}");
    }
    assert!((17..=21).contains(&rotations), "{rotations}");
    let calls = days.scene.harbor.calls().await.unwrap();
    assert_eq!(changes(&calls), [0, rotations, rotations, 0], "two calls a rotation");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_a_login_that_may_not_update_says_so_and_replaces_the_robot_once_it_expired() {
    let mut days = Days::new(LoginAs::Robot, json!({"rotation": {"strategy": "InPlace"}})).await;
    let name = days.all_is_well(1).await.name;
    days.scene.harbor.reset_calls().await.unwrap();
    let end = days.now() + SPAN;
    let mut replaced = 0;
    while days.now() < end {
        let status = days.status().await;
        let (due, robot) = (status.renewal_time.unwrap(), status.robot.unwrap());
        let expiry = robot.expiration_time.unwrap();
        days.go_to(due + MARGIN).await;
        let message = days.scene.reason_is("ci", "Synced", "False", "LoginCannotUpdate").await;
        assert!(message.contains("strategy: Overlap"), "{message}");
        days.go_to(due + SignedDuration::from_hours(2)).await;
        days.scene.reason_is("ci", "RenewalOverdue", "True", "RenewalOverdue").await;
        days.go_to(expiry - MARGIN).await;
        days.all_is_well(1).await;
        assert_eq!(condition(&days.scene.get("ci").await, "Ready").unwrap().0, "True");
        days.go_to(expiry + MARGIN).await;
        days.until("replaced", |status| status.robot.as_ref().is_some_and(|now| now.id != robot.id)).await;
        replaced += 1;
        days.scene.settled("ci").await;
        assert_eq!(days.all_is_well(1).await.name, name, "in its own slot");
        assert!(condition(&days.scene.get("ci").await, "RenewalOverdue").is_none());
    }
    assert_eq!(replaced, 14);
    let calls = days.scene.harbor.calls().await.unwrap();
    let [posts, puts, patches, deletes] = changes(&calls);
    assert_eq!((posts, deletes, puts), (replaced, replaced, 0), "two calls each");
    // Whether it may is found by trying, twice at each look at the login: here at four edits of the registry, and as many
    // jumps of the clock, for each robot. A robot of the project sees it.
    let tries = if system_robots_serve() { 1..=16 * replaced } else { 0..=0 };
    assert!(tries.contains(&patches), "{patches} PATCHes for {replaced} robots");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_slept_past_expiry_replaces_the_robot_as_it_wakes() {
    for login in BOTH_LOGINS {
        for strategy in ["Overlap", "InPlace"] {
            let mut days = Days::new(login, json!({"rotation": {"strategy": strategy}})).await;
            let former = days.all_is_well(1).await;
            assert!(days.scene.terminate().success());
            days.go_to(days.now() + DAY * 40).await;
            assert!(!days.works(&former).await);
            days.scene.start();
            eventually("a credential that works is published", SOON, || async {
                let (login, _) = days.scene.credential("ci").await;
                if login != former && days.works(&login).await { Ok(()) } else { Err(login.name) }
            })
            .await;
            days.scene.settled("ci").await;
            days.all_is_well(1).await;
        }
    }
}
