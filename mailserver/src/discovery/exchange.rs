//! Asks one peer for others (`--peer-exchange-node`), as long as the node has few.

use std::time::Duration;

use libp2p::Multiaddr;

use super::Sink;
use crate::{
    enr,
    protocols::peer_exchange,
    swarm::{Handle, Origin},
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

async fn ask(swarm: &Handle, address: &Multiaddr) -> Result<Vec<enr::Enr>, String> {
    let peer = swarm
        .connect(address.clone(), Origin::Static)
        .await
        .map_err(|error| error.to_string())?;
    let response = peer_exchange::client::ask(swarm, peer, PEERS)
        .await
        .map_err(|error| error.to_string())?;
    Ok(response
        .peer_infos
        .iter()
        .filter_map(|info| enr::from_rlp(info.enr.as_deref()?).ok())
        .collect())
}
