//! A serving process that takes no lanes, as the others and `fanfare copy` see it: it tells of itself until the last it does
//! for the database. One that takes lanes does so with them.

use std::net::SocketAddr;
use std::sync::Arc;

use store::{Clock, Nodes};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wire::NodeId;
use workers::{ALIVE_FOR, BEAT_INTERVAL};

use crate::clock::SystemClock;

/// It is seen for as long as this is there, and forgotten at once where it is ended.
pub(crate) struct Presence {
    nodes: Arc<dyn Nodes>,
    node: NodeId,
    beating: JoinHandle<()>,
}

impl Presence {
    /// Seen from now on, by this name.
    pub(crate) fn begin(nodes: Arc<dyn Nodes>, node: NodeId, name: String) -> Presence {
        let beating = tokio::spawn(beat(nodes.clone(), store::Presence { node, name, load: None }));
        Presence { nodes, node, beating }
    }

    /// Nobody is to count on it any more.
    pub(crate) async fn end(self) {
        self.beating.abort();
        // A beat that is on its way would come after it.
        let _ = self.beating.await;
        if let Err(error) = self.nodes.be_gone(self.node).await {
            tracing::warn!(%error, "the other nodes could not be told that this one goes; they will notice");
        }
    }
}

async fn beat(nodes: Arc<dyn Nodes>, presence: store::Presence) {
    let mut is_troubled = false;
    loop {
        let told = nodes.be_seen(presence.clone(), SystemClock.now(), ALIVE_FOR).await;
        if let Some(error) = told.as_ref().err().filter(|_| !is_troubled) {
            tracing::warn!(%error, "the other nodes could not be told that this one is there; it goes on telling them");
        }
        is_troubled = told.is_err();
        sleep(BEAT_INTERVAL).await;
    }
}

/// What a node is called, for people: the machine and where on it, since `0.0.0.0:8080` is the same in every container.
pub(crate) fn name_of(address: SocketAddr) -> String {
    match nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()) {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    }
}
