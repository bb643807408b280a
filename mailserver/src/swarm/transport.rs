//! TCP, WebSocket (plain or on TLS) and circuits with Noise, and streams on top by either of [`super::muxers`].

use std::io;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::{PeerId, Transport, dns, identity, noise, relay, tcp};
use thiserror::Error;

use super::bandwidth::metered::Meter;
use super::muxers::Muxers;
use super::tls::{Tls, TlsError};
use super::websocket::WebSocket;
use crate::settings::TlsFiles;

/// From the first packet to a connection that carries streams, either way. autonat's peers answer within 30 s even when
/// a router drops their dials to two ports of ours; and who connects and says nothing does not keep others out.
const SETUP: Duration = Duration::from_secs(10);

#[derive(Debug, Error)]
pub enum TransportError {
    #[error("setting up name resolution: {0}")]
    Dns(#[from] io::Error),
    #[error("setting up Noise: {0}")]
    Noise(#[from] noise::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The transports, and the behaviour that goes with the circuits among them.
pub(super) fn build(
    keypair: &identity::Keypair,
    websocket_tls: Option<&TlsFiles>,
    meter: Meter,
) -> Result<(Boxed<(PeerId, StreamMuxerBox)>, relay::client::Behaviour), TransportError> {
    let (circuits, behaviour) = relay::client::new(keypair.public().to_peer_id());
    // Below everything else: whatever a connection costs is counted, once, since a circuit runs on another connection.
    let tcp = || {
        let meter = meter.clone();
        let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
        dns::tokio::Transport::system(tcp.map(move |connection, _| meter.wrap(connection)))
    };
    // Without a certificate of its own it still dials wss, with the public authorities.
    let websocket = WebSocket::new(tcp()?, Tls::load(websocket_tls)?);
    let transport = circuits
        .or_transport(websocket.or_transport(tcp()?))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(Muxers::default())
        .timeout(SETUP)
        .boxed();
    Ok((transport, behaviour))
}
