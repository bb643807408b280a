//! TCP, WebSocket (plain or on TLS) and circuits with Noise, yamux before mplex: nwaku and go-waku speak yamux, js-waku
//! in browsers mplex alone.

use std::io;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::{SelectUpgrade, Version};
use libp2p::{PeerId, Transport, dns, identity, noise, relay, tcp, yamux};
use thiserror::Error;

use super::metered::Meter;
use super::tls::{Tls, TlsError, TlsFiles};
use super::websocket::WebSocket;

/// From the first packet to a connection that carries streams, either way. autonat's peers answer within 30 s even when
/// a router drops their dials to two ports of ours; and who connects and says nothing does not keep others out.
const SETUP: Duration = Duration::from_secs(10);
/// Streams of all protocols on one connection, both ways: room for [`crate::streams::Limits::per_peer`] and libp2p's own.
const MAX_STREAMS: usize = 256;
/// Frames of up to 1 MiB that mplex keeps for a stream nobody reads; then it stops reading the connection.
const MPLEX_BUFFERED_FRAMES: usize = 8;

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
        .multiplex(SelectUpgrade::new(yamux_config(), mplex_config()))
        .timeout(SETUP)
        .boxed();
    Ok((transport, behaviour))
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config
}

fn mplex_config() -> libp2p_mplex::Config {
    let mut config = libp2p_mplex::Config::new();
    config
        .set_max_num_streams(MAX_STREAMS)
        .set_max_buffer_size(MPLEX_BUFFERED_FRAMES)
        .set_max_buffer_behaviour(libp2p_mplex::MaxBufferBehaviour::Block);
    config
}
