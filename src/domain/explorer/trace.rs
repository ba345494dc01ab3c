//! A shortest trace, for people.

use std::fmt::Write as _;

use super::Config;
use super::search::{Transition, after};
use super::world::World;

/// What happened, one line each, with the moves of the operators spelled out.
pub(super) fn trace(config: &Config, history: &[(u32, Transition)], end: u32, last: Option<Transition>) -> String {
    let mut path = Vec::from_iter(last);
    let mut number = end;
    while number != 0 {
        let (before, transition) = history[number as usize];
        path.push(transition);
        number = before;
    }
    let mut world = World::start(config);
    let mut text = String::new();
    for transition in path.into_iter().rev() {
        let step = |number: usize| world.operators[number].moves[0];
        let what = match transition {
            Transition::Steps(number) | Transition::StepsAndCrashes(number) | Transition::CrashesBefore(number) => {
                format!("{transition:?} {:?}", step(number))
            }
            other => format!("{other:?}"),
        };
        world = after(config, &world).into_iter().find(|next| next.0 == transition).map_or(world, |next| next.1);
        let (robots, secret, works) = (world.robots, world.secret, world.works());
        let _ = writeln!(text, "{what}\n    {robots:?} {secret:?} {:?} works={works}", world.account.status);
    }
    text
}
