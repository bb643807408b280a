//! yamux before mplex, both with what they hold counted: nwaku and go-waku speak yamux, js-waku in browsers mplex alone.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::Either;
use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p_mplex::{MaxBufferBehaviour, Multiplex};

use super::held::{All, Budget, Inlet};
use super::yamux::{self, Muxer};

/// Streams of all protocols on one connection, both ways: room for [`crate::streams::Limits::per_peer`] and libp2p's own.
const MAX_STREAMS: usize = 256;
const YAMUX: &str = "/yamux/1.0.0";
const MPLEX: &str = "/mplex/6.7.0";

#[derive(Clone, Debug, Default)]
pub(super) struct Muxers {
    budget: Budget,
}

impl Muxers {
    fn upgrade<C>(self, connection: C, protocol: &'static str, mode: ::yamux::Mode) -> Muxed<C>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let account = self.budget.account();
        if protocol == YAMUX {
            let muxer = Muxer::new(connection, account, yamux::config(MAX_STREAMS), mode);
            return Muxed::Yamux(Box::new(muxer));
        }
        let mut config = libp2p_mplex::Config::new();
        config
            .set_max_num_streams(MAX_STREAMS)
            // Bytes are counted, not frames.
            .set_max_buffer_size(usize::MAX)
            .set_max_buffer_behaviour(MaxBufferBehaviour::Block)
            .set_account(std::sync::Arc::new(account.clone()));
        Muxed::Mplex(Multiplex::new(Inlet::new(connection, account, All), config))
    }
}

impl UpgradeInfo for Muxers {
    type Info = &'static str;
    type InfoIter = [&'static str; 2];

    fn protocol_info(&self) -> Self::InfoIter {
        [YAMUX, MPLEX]
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Muxers {
    type Output = Muxed<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxed<C>>>;

    fn upgrade_inbound(self, connection: C, protocol: &'static str) -> Self::Future {
        ready(Ok(self.upgrade(connection, protocol, ::yamux::Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Muxers {
    type Output = Muxed<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxed<C>>>;

    fn upgrade_outbound(self, connection: C, protocol: &'static str) -> Self::Future {
        ready(Ok(self.upgrade(connection, protocol, ::yamux::Mode::Client)))
    }
}

/// A connection with streams on it, by either.
pub(super) enum Muxed<C> {
    Yamux(Box<Muxer<C>>),
    Mplex(Multiplex<Inlet<C, All>>),
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxed<C> {
    type Substream = Either<yamux::Stream, libp2p_mplex::Substream<Inlet<C, All>>>;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
        match self.get_mut() {
            Self::Yamux(muxer) => Pin::new(&mut **muxer).poll_inbound(cx).map_ok(Either::Left),
            Self::Mplex(muxer) => Pin::new(muxer).poll_inbound(cx).map_ok(Either::Right),
        }
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
        match self.get_mut() {
            Self::Yamux(muxer) => Pin::new(&mut **muxer).poll_outbound(cx).map_ok(Either::Left),
            Self::Mplex(muxer) => Pin::new(muxer).poll_outbound(cx).map_ok(Either::Right),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Yamux(muxer) => Pin::new(&mut **muxer).poll_close(cx),
            Self::Mplex(muxer) => Pin::new(muxer).poll_close(cx),
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        match self.get_mut() {
            Self::Yamux(muxer) => Pin::new(&mut **muxer).poll(cx),
            Self::Mplex(muxer) => Pin::new(muxer).poll(cx),
        }
    }
}
