//! The operator is killed at each changing call of an operation: before the call is sent, after it is committed but not
//! answered, after the answer; or the call arrives only once its successor is at work. It is started again, and
//! everything is as if nothing had happened. The points come from the trace of an undisturbed run, which has to be the
//! one that is written here: a new call needs its place in the table.

mod operation;

use harbor_robot_faults::{Call, Fault, Held, Moment, Point};
use harbor_robot_world::eventually;
use serde_json::{Value, json};

use self::operation::{EVENT, Operation, PUT, STATUS, WITNESS, robots_of};
use crate::faulty::Faulty;
use crate::prober::Prober;
use crate::scene::{LoginAs, SOON, Scene, Setting};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accident {
    /// Killed, the call is never sent.
    KilledBefore,
    /// Killed, the call is committed.
    KilledUnanswered,
    /// Killed with the answer read.
    KilledAfter,
    /// Killed, the call arrives when the account is settled again.
    ArrivesLast,
    /// Killed, the call arrives after its successor has looked, and just before that one's first change.
    ArrivesBetween,
    /// Not killed: the connection breaks before the call is sent.
    Refused,
    /// Not killed: the call is committed, its answer is lost.
    AnswerLost,
}

const ACCIDENTS: [Accident; 7] = [
    Accident::KilledBefore,
    Accident::KilledUnanswered,
    Accident::KilledAfter,
    Accident::ArrivesLast,
    Accident::ArrivesBetween,
    Accident::Refused,
    Accident::AnswerLost,
];

/// A call of the trace and the stage that it belongs to.
struct Place {
    stage: usize,
    point: Point,
}

struct Run {
    world: Faulty,
    login: LoginAs,
    operation: Operation,
    places: Vec<Place>,
    /// The robots that nothing happens to.
    others: Vec<Value>,
}

impl Run {
    /// Makes everything ready and records the undisturbed operation.
    async fn new(operation: Operation, login: LoginAs) -> Self {
        let registry = json!({"rateLimit": {"requestsPerSecond": 1000}});
        let world = Faulty::new(Setting { login, registry, ..Setting::default() }).await;
        let expected = operation.calls(login);
        world.scene.stranger("stranger", "none of ours").await;
        let mut run = Self { world, login, operation, places: Vec::new(), others: Vec::new() };
        let names: Vec<String> = std::iter::once("undisturbed".to_owned())
            .chain(
                expected
                    .concat()
                    .iter()
                    .enumerate()
                    .flat_map(|(at, call)| accidents_at(operation, call).map(move |a| name(at, a))),
            )
            .collect();
        operation.prepare(&run.world.scene, &names).await;
        run.others = others(&run.world.scene).await;
        run.record(expected).await;
        run
    }

    async fn record(&mut self, expected: &[&[&str]]) {
        let Self { world, operation, login, .. } = self;
        world.faults.forget();
        let mut seen = 0;
        for (stage, calls) in expected.iter().enumerate() {
            operation.begin(&world.scene, "undisturbed", stage).await;
            operation.end(&world.scene, "undisturbed", stage).await;
            let found = eventually("the expected calls", SOON, || async {
                let mut found = world.changes().split_off(seen);
                // A robot's PUT is refused: it changes nothing, and is sent once by each process.
                found.retain(|call| *login == LoginAs::Person || call.operation() != PUT);
                found.sort_by_key(|call| call.operation() == EVENT);
                let operations: Vec<String> = found.iter().map(Call::operation).collect();
                if operations == **calls {
                    return Ok(found);
                }
                let told: Vec<&str> =
                    found.iter().filter(|c| c.operation() == STATUS).map(|c| c.body.as_str()).collect();
                Err(format!("{operation:?}: {operations:#?}\n{}", told.join("\n")))
            })
            .await;
            seen += found.len();
            self.places.extend(found.iter().map(|call| Place { stage, point: call.point() }));
        }
        operation.check(&world.scene, "undisturbed").await;
    }

    /// Runs the operation with an accident at each of its calls.
    async fn all(mut self) {
        for at in 0..self.places.len() {
            let accidents: Vec<Accident> = accidents_at(self.operation, &self.places[at].point.operation).collect();
            for accident in accidents {
                // Names the point of a failure, whatever fails.
                println!("{:?}: {}, {accident:?}", self.operation, self.places[at].point);
                self.one(at, accident).await;
            }
        }
        assert_eq!(others(&self.world.scene).await, self.others, "nobody else's robot was touched");
        // Two more sweeps find nothing to do.
        self.world.scene.sweeps(1).await;
        self.world.faults.forget();
        self.world.scene.sweeps(3).await;
        let calls: Vec<String> =
            self.world.changes().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
        assert_eq!(calls, Vec::<String>::new(), "{:?}: what is settled stays still", self.operation);
    }

    async fn one(&mut self, at: usize, accident: Accident) {
        let Self { world, operation, places, .. } = self;
        let (place, name) = (&places[at], name(at, accident));
        world.faults.forget();
        let prober = operation.has_no_gap().then(|| Prober::of_published(&world.scene, &name));
        let mut held = None;
        for stage in 0..=places.last().map_or(0, |last| last.stage) {
            if stage == place.stage {
                held = happen(world, *operation, &name, place, accident).await;
            } else {
                operation.begin(&world.scene, &name, stage).await;
            }
            operation.end(&world.scene, &name, stage).await;
        }
        if let Some(held) = held {
            held.arrives_late().await;
            world.scene.nudge().await;
            world.scene.sweeps(1).await;
        }
        operation.check(&world.scene, &name).await;
        if let Some(prober) = prober {
            prober.has_seen(1).await;
            prober.none_failed().await;
        }
    }
}

/// A stage in which an accident happens. Gives the call that has yet to arrive.
async fn happen(
    world: &mut Faulty,
    operation: Operation,
    name: &str,
    place: &Place,
    accident: Accident,
) -> Option<Held> {
    let point = place.point.clone();
    let moment = match accident {
        Accident::KilledBefore | Accident::ArrivesLast | Accident::ArrivesBetween => Moment::BeforeSending,
        Accident::KilledUnanswered => Moment::Committed,
        Accident::KilledAfter => Moment::Answered,
        Accident::Refused | Accident::AnswerLost => {
            let fault = if accident == Accident::Refused { Fault::Refuse } else { Fault::LoseAnswer };
            world.faults.once(point, fault);
            operation.begin(&world.scene, name, place.stage).await;
            return None;
        }
    };
    let mut stop = world.faults.stop_at(point, moment);
    operation.begin(&world.scene, name, place.stage).await;
    stop.reached().await;
    world.kill().await;
    let held = stop.client_is_dead();
    match accident {
        Accident::ArrivesLast => {
            world.start();
            Some(held)
        }
        Accident::ArrivesBetween => {
            let mut successor = world.stop_at_change(Moment::BeforeSending);
            world.start();
            successor.reached().await;
            held.arrives_late().await;
            successor.release();
            None
        }
        _ => {
            drop(held);
            world.start();
            None
        }
    }
}

/// What can happen at a call.
fn accidents_at(operation: Operation, call: &str) -> impl Iterator<Item = Accident> + use<> {
    let at_event = call == EVENT;
    // A deletion that retains its robot is not held up by a failing call: the older robot may stay, too.
    let given_up = operation == Operation::Retain && call.starts_with("Harbor ");
    ACCIDENTS.into_iter().filter(move |accident| match accident {
        // Nobody repeats an event.
        Accident::ArrivesBetween => !at_event,
        Accident::Refused | Accident::AnswerLost => !given_up,
        _ => true,
    })
}

/// The account of a point.
fn name(at: usize, accident: Accident) -> String {
    format!("call-{at}-{}", format!("{accident:?}").to_lowercase())
}

async fn others(scene: &Scene) -> Vec<Value> {
    let robots = scene.robots().await;
    [WITNESS, "stranger"].iter().flat_map(|name| robots_of(&robots, name)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn creation_survives_a_crash_at_each_call_with_a_persons_login() {
    Run::new(Operation::Create, LoginAs::Person).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creation_survives_a_crash_at_each_call_with_a_robots_login() {
    Run::new(Operation::Create, LoginAs::Robot).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_by_overlap_survives_a_crash_at_each_call_with_a_persons_login() {
    Run::new(Operation::RotateOverlap, LoginAs::Person).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_by_overlap_survives_a_crash_at_each_call_with_a_robots_login() {
    Run::new(Operation::RotateOverlap, LoginAs::Robot).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_in_place_survives_a_crash_at_each_call() {
    Run::new(Operation::RotateInPlace, LoginAs::Person).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adoption_survives_a_crash_at_each_call() {
    Run::new(Operation::Adopt, LoginAs::Person).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_survives_a_crash_at_each_call_with_a_persons_login() {
    Run::new(Operation::Delete, LoginAs::Person).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_survives_a_crash_at_each_call_with_a_robots_login() {
    Run::new(Operation::Delete, LoginAs::Robot).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_with_retain_survives_a_crash_at_each_call_with_a_persons_login() {
    Run::new(Operation::Retain, LoginAs::Person).await.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_with_retain_survives_a_crash_at_each_call_with_a_robots_login() {
    Run::new(Operation::Retain, LoginAs::Robot).await.all().await;
}
