//! Chapters of which each run has a few beside the others: what people see of an operator that starts, waits, is refused
//! something, or finds what it cannot read.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::{insistent, is_long, listed, poor_login, refused, restarts, scraped, secrets, unreadable, waiting};
use crate::actions::any;
use crate::chance;
use crate::check::Violation;
use crate::machine::Machine;
use crate::world::World;

/// So many in each run, and in one with a long peace.
const CHAPTERS: usize = 2;
const MORE_CHAPTERS: usize = 4;

/// What happens besides.
#[derive(Clone, Copy)]
enum Chapter {
    AtRest,
    WhileAway,
    Unreadable,
    Insistent,
    RetainedInTrouble,
    DeletedWithoutLogin,
    LetGoUngranted,
    Form,
    SecretOfOthers,
    PoorLogin,
    Scraped,
    LongOutage,
    Listed,
}

/// Some of them, in any order; the first that is not served ends it.
pub(super) async fn chapters(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let mut random = chance::of(world.seed, "further", 0);
    let mut all = vec![
        Chapter::AtRest,
        Chapter::WhileAway,
        Chapter::Unreadable,
        Chapter::Insistent,
        Chapter::RetainedInTrouble,
        Chapter::DeletedWithoutLogin,
        Chapter::LetGoUngranted,
        Chapter::Form,
        Chapter::SecretOfOthers,
        Chapter::PoorLogin,
        Chapter::Scraped,
        Chapter::LongOutage,
        Chapter::Listed,
    ];
    let count = if is_long(world.seed) { MORE_CHAPTERS } else { CHAPTERS };
    for _ in 0..count {
        let chapter = all.swap_remove(random.random_range(0..all.len()));
        let accounts = world.serviced();
        if accounts.is_empty() {
            break;
        }
        let wrong = chapter.run(world, machine, &accounts, &mut random).await;
        if !wrong.is_empty() {
            return wrong;
        }
    }
    Vec::new()
}

impl Chapter {
    async fn run(
        self,
        world: &mut World,
        machine: &Machine,
        accounts: &[usize],
        random: &mut SmallRng,
    ) -> Vec<Violation> {
        let one = any(random, accounts);
        match self {
            Self::AtRest => restarts::at_rest(world, machine).await,
            Self::WhileAway => restarts::while_away(world, machine, accounts, random).await,
            Self::Unreadable => unreadable::unreadable(world, machine, one).await,
            Self::Insistent => insistent::insistent(world, machine, one, random).await,
            Self::RetainedInTrouble => waiting::retained_in_trouble(world, machine, one).await,
            Self::DeletedWithoutLogin => waiting::deleted_without_login(world, machine, one).await,
            Self::LetGoUngranted => refused::let_go_ungranted(world, machine).await,
            Self::Form => secrets::form(world, accounts).await,
            Self::SecretOfOthers => secrets::of_others(world).await,
            Self::PoorLogin => poor_login::poor_login(world, machine, random).await,
            Self::Scraped => scraped::scraped(world).await,
            Self::LongOutage => waiting::long_outage(world, machine, accounts, random).await,
            Self::Listed => listed::listed(world, one).await,
        }
    }
}
