//! Monitoring that asks for the metrics, and others that must not have them.

use harbor_robot_operator::cluster::reviews::may_get;

use crate::check::Violation;
use crate::kubernetes::TOKENS;
use crate::process::Life;
use crate::to_kubernetes;
use crate::world::World;

/// Whoever brings a token of somebody who may get `/metrics`, and nobody else.
pub(super) async fn scraped(world: &World) -> Vec<Violation> {
    world.network.note("-- monitoring");
    let client = to_kubernetes::client(&world.cluster, &world.network, &Life::of("monitored"));
    let mut wrong = Vec::new();
    for (token, path, may) in TOKENS {
        match may_get(&client, token.to_owned(), path).await {
            Ok(answer) if answer == may => {}
            answer => wrong.push(format!("g: that {token} gets {path} is {may}, and the operator says {answer:?}")),
        }
    }
    wrong
}
