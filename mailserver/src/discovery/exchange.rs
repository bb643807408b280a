//! Asks one peer for others (`--peer-exchange-node`), as long as the node has few.

use std::time::Duration;

use libp2p::Multiaddr;

use super::Sink;
use crate::{
    enr,
    protocols::peer_exchange,
    swarm::{ConnectError, Handle, Origin, RequestError},
};

/// nwaku's `DefaultPXNumPeersReq`.
const PEERS: u64 = 5;
/// Between questions.
const INTERVAL: Duration = Duration::from_secs(60);

pub(super) async fn run(swarm: Handle, address: Multiaddr, sink: Sink) {
    loop {
        if sink.is_hungry() {
            match ask(&swarm, &address).await {
                Ok(records) => {
                    let usable = sink.offer(&records, Origin::PeerExchange).await;
                    tracing::debug!(%address, records = records.len(), usable, "peer exchange");
                }
                Err(error) => tracing::debug!(%address, %error, "peer exchange"),
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("connecting: {0}")]
    Connect(#[from] ConnectError),
    #[error("asking: {0}")]
    Request(#[from] RequestError),
}

async fn ask(swarm: &Handle, address: &Multiaddr) -> Result<Vec<enr::Enr>, AskError> {
    let peer = swarm.connect(address.clone(), Origin::Static).await?;
    let response = peer_exchange::client::ask(swarm, peer, PEERS).await?;
    Ok(response
        .peer_infos
        .iter()
        .filter_map(|info| enr::from_rlp(info.enr.as_deref()?).ok())
        .collect())
}
