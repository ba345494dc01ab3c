//! What befalls registries, their logins, and whole kinds of objects, in peace: one of it in each run,
//! two in some, and four in a long peace.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::actions::{Action, Edit};
use crate::chance;
use crate::check::Violation;
use crate::kubernetes::Id;
use crate::machine::Machine;
use crate::told::conditions;
use crate::world::World;

mod defaults;
mod former;
mod hosts;
mod login;
mod missing;
mod orphans;
mod out_of_sight;
mod projects;
mod refusals;
mod settings;
mod start;
mod unreadable;
mod versions;
mod watches;

/// In one run of so many there are two of them.
const TWO: u64 = 4;
/// In a long peace.
const MORE: usize = 4;

/// What may come.
#[derive(Clone, Copy, Debug)]
enum Affair {
    /// Harbor's own settings are kept as the registry says.
    ServerSettings,
    /// The registry names another Harbor.
    Moved,
    /// An account, or a registry, cannot be read.
    UnreadableAccount,
    UnreadableRegistry,
    /// The login is a robot's, and expires.
    LoginExpires,
    /// The login is a robot's, and lacks what an account asks for.
    LoginLacks,
    /// The login is refused.
    LoginWrong,
    /// The login is another one, and no watch told of it.
    LoginUnseen,
    /// The operator is started again.
    Restarted,
    /// Secrets are spoiled while no operator runs.
    SpoiledWhileDown,
    /// An account is forced away.
    Orphaned,
    /// An account at rest loses its grant.
    UngrantedAtRest,
    /// The registry is forced away.
    RegistryForcedAway,
    /// Images are pulled from another host.
    ImageHost,
    /// Projects are named, and one goes.
    NamedProjects,
    /// An account that names no registry.
    NoDefault,
    /// The operator may not list a kind.
    NotAllowed,
    /// What the operator writes is changed before any watch tells of it.
    Lag,
    /// Harbor's clock was ahead.
    ClockAhead,
    /// Harbor does not know a pair any more.
    OldHarbor,
    /// One change is refused once.
    RefusedOnce,
}

const ALL: [Affair; 21] = [
    Affair::ServerSettings,
    Affair::Moved,
    Affair::UnreadableAccount,
    Affair::UnreadableRegistry,
    Affair::LoginExpires,
    Affair::LoginLacks,
    Affair::LoginWrong,
    Affair::LoginUnseen,
    Affair::Restarted,
    Affair::SpoiledWhileDown,
    Affair::Orphaned,
    Affair::UngrantedAtRest,
    Affair::RegistryForcedAway,
    Affair::ImageHost,
    Affair::NamedProjects,
    Affair::NoDefault,
    Affair::NotAllowed,
    Affair::Lag,
    Affair::ClockAhead,
    Affair::OldHarbor,
    Affair::RefusedOnce,
];

/// Some of them, one after the other; the first that does not come out as it has to ends it.
pub(super) async fn some(world: &mut World, machine: &Machine, accounts: &[usize], one: usize) -> Vec<Violation> {
    let mut random = chance::of(world.seed, "affairs", 0);
    let mut all = ALL.to_vec();
    let count = if super::is_long(world.seed) { MORE } else { 1 + usize::from(world.seed.is_multiple_of(TWO)) };
    for _ in 0..count {
        let affair = all.swap_remove(random.random_range(0..all.len()));
        world.network.note(format_args!("-- affair: {affair:?}"));
        let wrong = affair.run(world, machine, (accounts, one), &mut random).await;
        if !wrong.is_empty() {
            return wrong.into_iter().map(|wrong| format!("{wrong} ({affair:?})")).collect();
        }
    }
    Vec::new()
}

impl Affair {
    async fn run(
        self,
        world: &mut World,
        machine: &Machine,
        (accounts, one): (&[usize], usize),
        random: &mut SmallRng,
    ) -> Vec<Violation> {
        match self {
            Self::ServerSettings => settings::server_settings(world).await,
            Self::Moved => former::moved(world, machine, random).await,
            // Whether a credential still lives is judged by our own clock where the object cannot be read.
            Self::UnreadableAccount | Self::UnreadableRegistry if world.our_clock_was_set => Vec::new(),
            Self::UnreadableAccount => unreadable::account(world, machine, one).await,
            Self::UnreadableRegistry => unreadable::registry(world, machine, random).await,
            Self::LoginExpires => login::expires(world, machine, random).await,
            Self::LoginLacks => login::lacks(world, machine).await,
            Self::LoginWrong => login::wrong(world).await,
            Self::LoginUnseen => login::unseen(world, machine).await,
            Self::Restarted => start::restarted(world, machine, one).await,
            Self::SpoiledWhileDown => start::spoiled_while_down(world, machine, accounts).await,
            Self::Orphaned => orphans::orphaned(world, machine, accounts, random).await,
            Self::UngrantedAtRest => orphans::ungranted_at_rest(world, accounts, random).await,
            Self::RegistryForcedAway => missing::forced_away(world, machine).await,
            Self::ImageHost => hosts::image_host(world).await,
            Self::NamedProjects => projects::named(world, machine).await,
            Self::NoDefault => defaults::none_or_two(world, machine, random).await,
            Self::NotAllowed => out_of_sight::not_allowed(world, machine, accounts).await,
            Self::Lag => watches::lag(world, machine, one).await,
            Self::ClockAhead => start::clock_ahead(world, machine).await,
            Self::OldHarbor => versions::old_harbor(world, machine, accounts).await,
            Self::RefusedOnce => refusals::once(world, machine).await,
        }
    }
}

/// An object that does not say all of this: type, status and reason of conditions.
fn unsaid(world: &World, id: &Id, wanted: &[&str]) -> Option<Violation> {
    let said = conditions(&world.stored(id));
    let lacks = wanted.iter().find(|wanted| !said.contains(**wanted))?;
    Some(format!("k: {id} is to say {lacks}, and says {said:?}"))
}

/// The message of a condition of an object.
fn message(world: &World, id: &Id, name: &str) -> String {
    crate::check::condition(&world.stored(id), name)["message"].as_str().unwrap_or_default().to_owned()
}

/// Nobody asks for what a robot's login cannot do.
async fn ask_for_no_updates(world: &mut World, machine: &Machine, harbor: usize) {
    for account in 0..world.wishes.len() {
        if world.harbor_of(account) != harbor || world.living_account(account).is_none() {
            continue;
        }
        if world.wishes[account].has_own_password() {
            Action::Edit(account, Edit::OwnPassword(false)).run(world, machine).await;
        }
        if world.wishes[account].spec["rotation"]["strategy"] == "InPlace" {
            Action::Edit(account, Edit::InPlace(false)).run(world, machine).await;
        }
    }
}

/// Has the operator look at a registry at once: somebody edits it, and takes that back.
fn touch(world: &mut World, registry: usize) {
    let before = world.mirrors[registry];
    world.set_mirror(registry, !before);
    world.set_mirror(registry, before);
}
