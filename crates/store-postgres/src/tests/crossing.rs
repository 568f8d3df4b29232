//! A node that is stopped while it holds the counter of one account.

use std::time::Duration;

use futures_util::future::{Either, select};
use store::{Acceptance, Inbox, StoreResult};
use store_spec::World;
use tokio::time::timeout;

use super::TestDatabase;
use crate::columns::number;

/// Before whoever waits for a row gives up.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn an_account_whose_counter_is_held_holds_up_no_other() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let (held, free) = (world.account().await?, world.account().await?);
    let (held_up, sender) = (world.sender(held).await?, world.sender(free).await?);
    world.accept(&held_up, "msg_1", "{}").await?;
    let other = database.client().await;
    other.batch_execute("begin").await.unwrap();
    let sql = "select 1 from message_counter where account = $1 for no key update";
    assert_eq!(other.query(sql, &[&number(held)]).await.unwrap().len(), 1);

    // Asked for at once, they are of one batch; the free account has counted nothing yet.
    let waiting = Box::pin(world.store.accept(held_up.message("msg_2", "{}", world.now())));
    let accepted = Box::pin(world.store.accept(sender.message("msg_2", "{}", world.now())));
    let Either::Right((accepted, waiting)) = timeout(SOON, select(waiting, accepted)).await.expect("one of them")
    else {
        panic!("nobody has let go of the counter");
    };
    assert_eq!(accepted?, Acceptance::Stored(1));
    for nth in 2..=20 {
        let more = timeout(SOON, world.accept(&sender, &format!("more_{nth}"), "{}")).await;
        assert_eq!(more.expect("in time")?, Acceptance::Stored(nth));
    }
    other.batch_execute("commit").await.unwrap();
    assert_eq!(waiting.await?, Acceptance::Stored(2));
    Ok(())
}
