//! What a store owes of nodes: who lives, as far as they have told.

use std::time::Duration;

use provider::spread::Load;
use store::{NodeRecord, Presence, Store, StoreResult};
use wire::NodeId;

use crate::World;

const ALIVE_FOR: Duration = Duration::from_secs(10);
const A_SECOND: Duration = Duration::from_secs(1);

pub async fn a_node_that_is_seen_is_among_the_living<S: Store>(mut world: World<S>) -> StoreResult<()> {
    assert_eq!(world.store.nodes().await?, []);
    let first = see(&world, node(1, 3)).await?;
    let expected = NodeRecord { presence: node(1, 3), started_at: world.now(), seen_at: world.now() };
    assert_eq!(first, std::slice::from_ref(&expected));

    world.pass(A_SECOND);
    let both = see(&world, node(0, 7)).await?;
    let younger = NodeRecord { presence: node(0, 7), started_at: world.now(), seen_at: world.now() };
    assert_eq!(both, [younger, expected], "in the order of their ids");
    assert_eq!(world.store.nodes().await?, both);
    Ok(())
}

pub async fn what_a_node_tells_last_is_listed_since_it_was_first_seen<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let started_at = world.now();
    see(&world, node(1, 3)).await?;
    let seen_at = world.pass(ALIVE_FOR - A_SECOND);
    let renamed = Presence { name: "b.example".to_owned(), ..node(1, 900) };
    see(&world, renamed.clone()).await?;
    assert_eq!(world.store.nodes().await?, [NodeRecord { presence: renamed, started_at, seen_at }]);
    Ok(())
}

pub async fn a_silent_node_is_forgotten_by_the_others_and_new_when_it_comes_back<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    see(&world, node(1, 3)).await?;
    world.pass(ALIVE_FOR - A_SECOND);
    assert_eq!(see(&world, node(2, 3)).await?.len(), 2, "it may only be slow");
    world.pass(A_SECOND);
    assert_eq!(world.store.nodes().await?.len(), 2, "nobody has looked");
    assert_eq!(see(&world, node(2, 3)).await?.len(), 1);
    assert_eq!(world.store.nodes().await?.len(), 1);

    let now = world.pass(A_SECOND);
    let back = see(&world, node(1, 3)).await?;
    assert_eq!(back[0], NodeRecord { presence: node(1, 3), started_at: now, seen_at: now });
    assert_eq!(back.len(), 2);
    Ok(())
}

pub async fn a_node_that_takes_no_lanes_is_seen_without_a_load<S: Store>(world: World<S>) -> StoreResult<()> {
    let receiving = Presence { load: None, ..node(2, 0) };
    see(&world, node(1, 0)).await?;
    see(&world, receiving.clone()).await?;
    let living: Vec<Presence> = world.store.nodes().await?.into_iter().map(|record| record.presence).collect();
    assert_eq!(living, [node(1, 0), receiving]);
    Ok(())
}

pub async fn a_node_that_leaves_is_gone_at_once<S: Store>(world: World<S>) -> StoreResult<()> {
    see(&world, node(1, 3)).await?;
    see(&world, node(2, 3)).await?;
    world.store.be_gone(node(1, 3).node).await?;
    world.store.be_gone(node(1, 3).node).await?;
    let left: Vec<Presence> = world.store.nodes().await?.into_iter().map(|record| record.presence).collect();
    assert_eq!(left, [node(2, 3)]);
    Ok(())
}

fn node(number: u8, lanes: u64) -> Presence {
    let load = Some(Load { lanes, requests: lanes * 10 });
    Presence { node: NodeId::from_bytes([number; 16]), name: format!("node-{number}.example"), load }
}

async fn see<S: Store>(world: &World<S>, presence: Presence) -> StoreResult<Vec<NodeRecord>> {
    world.store.be_seen(presence, world.now(), ALIVE_FOR).await
}
