//! What people, tools and machines do to a world, in any order.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::kubernetes::{Id, kind};
use crate::logins::Login;
use crate::machine::Machine;
use crate::network::KUBERNETES;
use crate::world::{HOSTS, PROJECTS, TEAMS, World};

/// One thing that somebody does. Numbers name an account, a Harbor or a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The user's wish changes, and is applied.
    Edit(usize, Edit),
    /// The object is applied as it stands in Git.
    Apply(usize),
    /// The object is deleted, and stays in Git.
    Delete(usize),
    /// Somebody spoils the account's Secret.
    Spoil(usize, Spoil),
    /// Somebody changes the account's robot in Harbor.
    Robot(usize, Tamper),
    /// A ServiceAccount is deleted, or made again.
    ServiceAccount(&'static str, &'static str, bool),
    /// Somebody takes all pull Secrets out of a ServiceAccount.
    EmptyServiceAccount(&'static str, &'static str),
    /// A namespace is deleted.
    DeleteNamespace(&'static str),
    /// A namespace is made again.
    MakeNamespace(&'static str),
    /// The label that grants ask for goes, or comes back.
    Label(&'static str, bool),
    /// Images are pulled from a mirror as well, or not any longer.
    Mirror(usize, bool),
    /// The registry's grants are taken away.
    Ungrant,
    /// The operator has to let a registry's accounts alone, or not any longer.
    Suspend(usize, bool),
    /// A registry object is deleted.
    DeleteRegistry(usize),
    /// Everything that only people can put right is.
    Repair,
    /// The login's password changes in Harbor, and in the Secret as well or not.
    Password(usize, bool),
    /// The operator gets another login.
    Login(usize, Login),
    /// The login Secret is deleted.
    DeleteLogin(usize),
    /// A project is deleted.
    DeleteProject(usize, &'static str),
    /// A project is made again.
    MakeProject(usize, &'static str),
    /// Read-only mode.
    ReadOnly(usize, bool),
    /// All sessions are forgotten.
    ForgetSessions(usize),
    /// Harbor's clock is set.
    HarborClock(usize, i64),
    /// Our clock is set.
    OurClock(i64),
    /// A backup of Harbor.
    BackUpHarbor(usize),
    /// Harbor is restored from it.
    RestoreHarbor(usize),
    /// A backup of etcd.
    BackUpCluster,
    /// etcd is restored from it.
    RestoreCluster,
    /// The API server forgets what happened, and cuts all watches off.
    Compact,
    /// All watches are cut off.
    CutWatches,
    /// For so many seconds watches tell nothing of what happens: the API server lags behind etcd.
    Lag(u64),
    /// The API server is away for so many seconds, and has forgotten what happened when it is back, or not.
    KubernetesAway(u64, bool),
    /// A Harbor is away for so many seconds.
    HarborAway(usize, u64),
    /// A replica dies where it stands.
    Kill(usize),
    /// A replica ends in peace.
    Stop(usize),
    /// A replica is started, if it is not up.
    Start(usize),
    /// A replica loses the network, or has it again.
    CutOff(usize, bool),
}

/// A change of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Pull, or pull and push.
    Permissions(bool),
    /// How long a credential lives, in days.
    Lifetime(u32),
    /// Disabled or not.
    Disabled(bool),
    /// A token of `harbor-robots.io/refresh`.
    Refresh(u32),
    /// A token of `harbor-robots.io/revoke`.
    Revoke(u32),
    /// The ServiceAccount.
    ServiceAccount(&'static str),
    /// The strategy of rotation.
    InPlace(bool),
    /// `Retain` or `Delete`.
    Retain(bool),
}

/// What is done to a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// It is deleted.
    Delete,
    /// Its data are others.
    Corrupt,
    /// Its data are gone.
    Empty,
    /// Its labels are gone.
    Unlabel,
    /// It is made immutable.
    Freeze,
}

/// What is done to a robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// It is deleted.
    Delete,
    /// It is disabled.
    Disable,
    /// It gets another secret.
    Secret,
    /// It may do less.
    Permissions,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

fn any<T: Copy>(random: &mut SmallRng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}

impl Action {
    /// An action at random.
    pub fn draw(random: &mut SmallRng, accounts: usize) -> Self {
        let account = random.random_range(0..accounts);
        let harbor = usize::from(random.random_range(0..4) == 0);
        let replica = usize::from(random.random_range(0..3) == 0);
        let coin = random.random_range(0..2) == 0;
        let sa = any(random, &["default", "builder"]);
        let team = any(random, &TEAMS);
        match random.random_range(0..100) {
            0..3 => Self::KubernetesAway(any(random, &[5, 30, 200]), coin),
            3..6 => Self::HarborAway(harbor, any(random, &[5, 60, 400])),
            6..18 => Self::Edit(account, Edit::draw(random)),
            18..22 => Self::Apply(account),
            22..28 => Self::Delete(account),
            28..36 => {
                let all = [Spoil::Delete, Spoil::Corrupt, Spoil::Empty, Spoil::Unlabel, Spoil::Freeze];
                Self::Spoil(account, any(random, &all))
            }
            36..44 => {
                let all = [Tamper::Delete, Tamper::Disable, Tamper::Secret, Tamper::Permissions];
                Self::Robot(account, any(random, &all))
            }
            44..47 => Self::ServiceAccount(team, sa, coin),
            47..49 => Self::EmptyServiceAccount(team, sa),
            49..51 => Self::DeleteNamespace(team),
            51..53 => Self::MakeNamespace(team),
            53..55 => Self::Label(team, coin),
            55..56 => Self::Ungrant,
            56..57 => Self::Mirror(harbor, coin),
            57..58 => Self::DeleteRegistry(harbor),
            58..60 => Self::Suspend(harbor, coin),
            60..63 => Self::Repair,
            63..65 => Self::Password(harbor, coin),
            65..66 => Self::Login(harbor, if coin { Login::Administrator } else { Login::Robot }),
            66..68 => Self::DeleteLogin(harbor),
            68..70 => Self::DeleteProject(harbor, any(random, &PROJECTS)),
            70..72 => Self::MakeProject(harbor, any(random, &PROJECTS)),
            72..74 => Self::ReadOnly(harbor, coin),
            74..75 => Self::ForgetSessions(harbor),
            75..78 => Self::HarborClock(harbor, any(random, &[-3_600, -60, 60, 3_600, 86_400, 40 * 86_400])),
            78..79 => Self::OurClock(any(random, &[-3_600, 3_600, 86_400])),
            79..81 => Self::BackUpHarbor(harbor),
            81..83 => Self::RestoreHarbor(harbor),
            83..84 => Self::BackUpCluster,
            84..85 => Self::RestoreCluster,
            85..86 => Self::Compact,
            86..87 => Self::CutWatches,
            87..88 => Self::Lag(any(random, &[5, 30, 90])),
            88..91 => Self::Kill(replica),
            91..93 => Self::Stop(replica),
            93..97 => Self::Start(replica),
            _ => Self::CutOff(replica, coin),
        }
    }

    /// Does it.
    pub async fn run(&self, world: &mut World, machine: &Machine) {
        match *self {
            Self::Edit(account, edit) => {
                if matches!(edit, Edit::Revoke(_)) {
                    world.revoke_published(account);
                }
                edit.change(world, account);
                world.wishes[account].deleted = false;
                world.apply(&world.wishes[account].clone());
            }
            Self::Apply(account) => {
                world.wishes[account].deleted = false;
                world.apply(&world.wishes[account].clone());
            }
            Self::Delete(account) => {
                world.wishes[account].deleted = true;
                drop(world.delete(&world.wishes[account].id()));
            }
            Self::Spoil(account, spoil) => {
                world.lost_records |= spoil == Spoil::Delete && world.secret_of(account).is_some();
                spoil.run(world, account);
            }
            Self::Robot(account, tamper) => tamper.run(world, account),
            Self::ServiceAccount(team, name, there) if there => world.make_service_account(team, name),
            Self::ServiceAccount(team, name, _) => drop(world.delete(&Id::new(kind("ServiceAccount"), team, name))),
            Self::EmptyServiceAccount(team, name) => {
                let id = Id::new(kind("ServiceAccount"), team, name);
                drop(world.patch(&id, &json!({"imagePullSecrets": null})));
            }
            Self::DeleteNamespace(team) => {
                world.excused |= team == "team-b";
                drop(world.delete(&Id::new(kind("Namespace"), "", team)));
            }
            Self::MakeNamespace(team) => world.make_namespace(team),
            Self::Label(team, there) => {
                let value = if there { json!("yes") } else { Value::Null };
                let id = Id::new(kind("Namespace"), "", team);
                drop(world.patch(&id, &json!({"metadata": {"labels": {"team": value}}})));
            }
            Self::Ungrant => {
                drop(world.patch(&World::registry(0), &json!({"spec": {"grants": []}})));
            }
            Self::Mirror(number, there) => world.set_mirror(number, there),
            Self::Suspend(number, suspend) => {
                drop(world.patch(&World::registry(number), &json!({"spec": {"suspend": suspend}})));
            }
            Self::DeleteRegistry(number) => drop(world.delete(&World::registry(number))),
            Self::Repair => world.restore_order(),
            Self::Password(harbor, told) => {
                let password = format!("Harbor{}", world.network.calls());
                world.set_password(harbor, &password);
                if told {
                    world.write_login(harbor);
                }
            }
            Self::Login(harbor, login) => world.log_in_as(harbor, login),
            Self::DeleteLogin(harbor) => drop(world.delete(&World::login(harbor))),
            Self::DeleteProject(harbor, name) => {
                let mut state = world.harbor(harbor).state();
                if let Some(id) = state.projects.named(name).map(|project| project.id) {
                    state.delete_project(id);
                }
                drop(state);
                world.strangers.retain(|(at, robot, _)| *at != harbor || !robot.starts_with(&format!("{name}+")));
            }
            Self::MakeProject(harbor, name) => world.make_project(harbor, name),
            Self::ReadOnly(harbor, on) => world.harbor(harbor).state().settings.set_read_only(on),
            Self::ForgetSessions(harbor) => drop(world.harbor(harbor).state().sessions.forget()),
            Self::HarborClock(harbor, seconds) => world.harbor(harbor).state().clock.advance(seconds),
            Self::OurClock(seconds) => {
                machine.set_clock(seconds);
                // The Harbors' own clocks stay; the API server's is ours.
                for number in 0..HOSTS.len() {
                    world.harbor(number).state().clock.advance(-seconds);
                }
            }
            Self::BackUpHarbor(harbor) => {
                let backup = world.harbor(harbor).state().backup();
                *world.harbor(harbor).backup() = Some(backup);
            }
            Self::RestoreHarbor(harbor) => {
                let backup = world.harbor(harbor).backup().clone();
                if let Some(backup) = backup {
                    world.excused |= harbor == 1;
                    // What was ended is alive again, and stays so until it is revoked once more.
                    world.published.retain(|(_, at, ..), _| *at != harbor);
                    world.harbor(harbor).state().restore(backup);
                    world.know_password(harbor);
                    world.know_strangers(harbor);
                }
            }
            Self::BackUpCluster => world.backup = Some(world.cluster.store().backup()),
            Self::RestoreCluster => {
                if let Some(backup) = &world.backup {
                    (world.excused, world.lost_records) = (true, true);
                    // What is asked for is asked for no longer.
                    world.published.clear();
                    world.cluster.store().restore(backup);
                }
            }
            Self::Compact => {
                let mut store = world.cluster.store();
                store.compact();
                store.cut_watches();
            }
            Self::CutWatches => world.cluster.store().cut_watches(),
            Self::Lag(seconds) => world.network.hold_events(Duration::from_secs(seconds)),
            Self::KubernetesAway(seconds, forgets) => {
                world.network.take_away(KUBERNETES, Duration::from_secs(seconds));
                world.cluster.store().cut_watches();
                if forgets {
                    let cluster = world.cluster.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(seconds)).await;
                        cluster.store().compact();
                    });
                }
            }
            Self::HarborAway(harbor, seconds) => {
                world.network.take_away(HOSTS[harbor], Duration::from_secs(seconds));
            }
            Self::Kill(replica) => world.replicas[replica].kill(),
            Self::Stop(replica) => world.replicas[replica].stop().await,
            Self::Start(replica) => world.replicas[replica].start(),
            Self::CutOff(replica, cut_off) => world.replicas[replica].set_cut_off(cut_off),
        }
    }
}

impl Edit {
    fn draw(random: &mut SmallRng) -> Self {
        let coin = random.random_range(0..2) == 0;
        match random.random_range(0..12) {
            0..2 => Self::Permissions(coin),
            2 => Self::Lifetime(any(random, &[1, 7, 30, 60])),
            3..5 => Self::Disabled(random.random_range(0..3) == 0),
            5..7 => Self::Refresh(random.random_range(1..1_000)),
            7 => Self::Revoke(random.random_range(1..1_000)),
            8 => Self::ServiceAccount(any(random, &["default", "builder", "missing"])),
            9..11 => Self::InPlace(coin),
            _ => Self::Retain(random.random_range(0..4) == 0),
        }
    }

    fn change(self, world: &mut World, account: usize) {
        let wish = &mut world.wishes[account];
        let system = wish.namespace.is_empty();
        let spec = &mut wish.spec;
        let mut annotate =
            |key: &str, token: u32| wish.annotations.insert(format!("harbor-robots.io/{key}"), token.to_string());
        match self {
            Self::Permissions(push) => {
                let names = if push { json!(["PushArtifacts", "PullArtifacts"]) } else { json!(["PullArtifacts"]) };
                if system {
                    spec["projects"]["matching"][0]["permissions"] = names;
                } else {
                    spec["permissions"] = names;
                }
            }
            Self::Lifetime(days) => spec["expiresAfter"] = json!(format!("{days}d")),
            Self::Disabled(disabled) => spec["disabled"] = json!(disabled),
            Self::Refresh(token) => drop(annotate("refresh", token)),
            Self::Revoke(token) => drop(annotate("revoke", token)),
            Self::ServiceAccount(name) => spec["serviceAccounts"] = json!([{"name": name}]),
            Self::InPlace(in_place) => {
                spec["rotation"]["strategy"] = json!(if in_place { "InPlace" } else { "Overlap" });
            }
            Self::Retain(retain) => spec["deletionPolicy"] = json!(if retain { "Retain" } else { "Delete" }),
        }
    }
}

impl Spoil {
    fn run(self, world: &World, account: usize) {
        let Some(id) = world.secret_of(account) else { return };
        let patch = match self {
            Self::Delete => return drop(world.delete(&id)),
            Self::Corrupt => {
                let data = base64::engine::general_purpose::STANDARD.encode(r#"{"auths":{}}"#);
                json!({"data": {".dockerconfigjson": data}})
            }
            Self::Empty => json!({"data": null}),
            Self::Unlabel => json!({"metadata": {"labels": null}}),
            Self::Freeze => json!({"immutable": true}),
        };
        drop(world.patch(&id, &patch));
    }
}

impl Tamper {
    fn run(self, world: &World, account: usize) {
        let Some((harbor, id)) = world.robot_of(account) else { return };
        let mut state = world.harbor(harbor).state();
        if self == Self::Delete {
            state.robots.remove(id);
            return;
        }
        let now = state.clock.now_ms();
        let Some(robot) = state.robots.get_mut(id) else { return };
        robot.row.updated_ms = now;
        match self {
            Self::Disable => robot.row.disabled = true,
            Self::Secret => robot.row.secret = Some("Changed1ByAPersonInTheWebPage000".to_owned()),
            Self::Permissions | Self::Delete => {
                for group in &mut robot.groups {
                    group.access.truncate(1);
                }
            }
        }
    }
}

/// When something is done.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since the start.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// What happens in a run, in order.
pub fn draw(random: &mut SmallRng, accounts: usize, events: usize, within: Duration) -> Vec<Event> {
    let most = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let mut at = 0;
    let mut all: Vec<Event> = (0..events)
        .map(|_| {
            // Half of them come soon after another one: what happens in between is where it hurts.
            at = if random.random_range(0..2) == 0 {
                random.random_range(0..most)
            } else {
                at + random.random_range(0..4_000)
            };
            Event { at: Duration::from_millis(at), action: Action::draw(random, accounts) }
        })
        .collect();
    all.sort_by_key(|event| event.at);
    all
}
