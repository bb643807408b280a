//! WebSocket as a transport on top of TCP, with TLS (wss) or without.
//!
//! The handshake and the headers of frames are soketto's, TLS is rustls's; frames are read by [`frames::Frames`], which
//! collects nothing. libp2p's own transport reads whole messages, of 256 MiB each where it dials, before anybody has said
//! who he is.

mod frames;

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures::future::{BoxFuture, Either, FutureExt};
use futures::io::{AsyncRead, AsyncWrite};
use futures_rustls::{TlsStream, rustls::pki_types::ServerName};
use libp2p::Multiaddr;
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use soketto::connection::Mode;
use soketto::handshake;
use thiserror::Error;

use self::frames::Frames;
use super::tls::Tls;

/// What a server may answer to a handshake, early frames included: what soketto lets a client ask with.
const MAX_ANSWER_BYTES: usize = 8 * 1024;

/// What speaks WebSocket.
pub(super) type Connection<C> = Frames<Either<TlsStream<C>, C>>;

#[derive(Debug, Error)]
pub(super) enum WebSocketError<E: Error> {
    #[error(transparent)]
    Below(E),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("WebSocket's handshake: {0}")]
    Handshake(Box<handshake::Error>),
    #[error("the WebSocket server refuses with status {0}")]
    Refused(u16),
}

impl<E: Error> From<handshake::Error> for WebSocketError<E> {
    fn from(error: handshake::Error) -> Self {
        Self::Handshake(Box::new(error))
    }
}

/// An address that ends in WebSocket.
#[derive(Clone, Debug, PartialEq)]
struct Address {
    /// What is to be dialled or listened on below.
    below: Multiaddr,
    /// As the address had it: `/ws`, `/wss` or `/tls/ws`.
    suffix: Vec<Protocol<'static>>,
    path: String,
    /// The name that the certificate is to have, where it is not that of the address.
    name: Option<String>,
}

impl Address {
    /// `None` for an address that doesn't end in WebSocket, be there a peer id after it or not.
    fn of(address: &Multiaddr) -> Option<Self> {
        let mut below = address.clone();
        let mut peer = None;
        let mut last = below.pop()?;
        if let Protocol::P2p(_) = last {
            peer = Some(last);
            last = below.pop()?;
        }
        let mut suffix = vec![last.clone().acquire()];
        let mut name = None;
        let path = match last {
            Protocol::Wss(path) => path.into_owned(),
            Protocol::Ws(path) => {
                match below.pop()? {
                    Protocol::Tls => suffix.insert(0, Protocol::Tls),
                    Protocol::Sni(sni) => {
                        suffix.insert(0, Protocol::Sni(sni.clone()).acquire());
                        suffix.insert(0, below.pop().filter(|part| *part == Protocol::Tls)?.acquire());
                        name = Some(sni.into_owned());
                    }
                    other => below.push(other),
                }
                path.into_owned()
            }
            _ => return None,
        };
        if let Some(peer) = peer {
            below.push(peer);
        }
        Some(Self {
            below,
            suffix,
            path,
            name,
        })
    }

    fn is_secure(&self) -> bool {
        !matches!(self.suffix[..], [Protocol::Ws(_)])
    }

    /// What HTTP calls the server, and what its certificate should.
    fn host(&self) -> Option<(String, ServerName<'static>)> {
        let mut parts = self.below.iter();
        let host = parts.next()?;
        let Some(Protocol::Tcp(port)) = parts.next() else {
            return None;
        };
        let (http, name) = match host {
            Protocol::Ip4(ip) => (format!("{ip}:{port}"), ip.to_string()),
            Protocol::Ip6(ip) => (format!("[{ip}]:{port}"), ip.to_string()),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                (format!("{name}:{port}"), name.into_owned())
            }
            _ => return None,
        };
        let name = self.name.clone().unwrap_or(name);
        Some((http, ServerName::try_from(name).ok()?))
    }
}

pub(super) struct WebSocket<T> {
    below: T,
    tls: Tls,
    /// What the addresses of each listener end with.
    listeners: HashMap<ListenerId, Vec<Protocol<'static>>>,
}

impl<T> WebSocket<T> {
    pub(super) fn new(below: T, tls: Tls) -> Self {
        Self {
            below,
            tls,
            listeners: HashMap::new(),
        }
    }

    fn at(&self, listener: ListenerId, address: Multiaddr) -> Multiaddr {
        let suffix = self.listeners.get(&listener).into_iter().flatten();
        suffix.cloned().fold(address, Multiaddr::with)
    }
}

type Upgrade<C, E> = BoxFuture<'static, Result<Connection<C>, WebSocketError<E>>>;

impl<T> Transport for WebSocket<T>
where
    T: Transport + Unpin,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Error + Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    type Output = Connection<T::Output>;
    type Error = WebSocketError<T::Error>;
    type ListenerUpgrade = Upgrade<T::Output, T::Error>;
    type Dial = Upgrade<T::Output, T::Error>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        let wanted = Address::of(&address)
            .filter(|wanted| !wanted.is_secure() || self.tls.server.is_some())
            .ok_or(TransportError::MultiaddrNotSupported(address))?;
        self.below
            .listen_on(id, wanted.below)
            .map_err(|error| error.map(WebSocketError::Below))?;
        self.listeners.insert(id, wanted.suffix);
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.below.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        let wanted = Address::of(&address).and_then(|wanted| Some((wanted.host()?, wanted)));
        let Some(((host, name), wanted)) = wanted else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let connector = wanted.is_secure().then(|| self.tls.client.clone());
        let dial = self.below.dial(wanted.below, options);
        let dial = dial.map_err(|error| error.map(WebSocketError::Below))?;
        Ok(async move {
            let connection = dial.await.map_err(WebSocketError::Below)?;
            let connection = match connector {
                Some(connector) => {
                    let secured = connector.connect(name, connection).await;
                    Either::Left(TlsStream::Client(secured.map_err(WebSocketError::Tls)?))
                }
                None => Either::Right(connection),
            };
            let mut client = handshake::Client::new(Short::new(connection), &host, &wanted.path);
            match client.handshake().await? {
                handshake::ServerResponse::Accepted { .. } => {}
                handshake::ServerResponse::Redirect { status_code, .. }
                | handshake::ServerResponse::Rejected { status_code } => {
                    return Err(WebSocketError::Refused(status_code));
                }
            }
            let early = client.take_buffer();
            Ok(Frames::new(client.into_inner().connection, Mode::Client, early))
        }
        .boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let event = ready!(Pin::new(&mut self.below).poll(cx));
        Poll::Ready(match event {
            TransportEvent::NewAddress {
                listener_id,
                listen_addr,
            } => TransportEvent::NewAddress {
                listener_id,
                listen_addr: self.at(listener_id, listen_addr),
            },
            TransportEvent::AddressExpired {
                listener_id,
                listen_addr,
            } => TransportEvent::AddressExpired {
                listener_id,
                listen_addr: self.at(listener_id, listen_addr),
            },
            TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr,
                send_back_addr,
            } => {
                let suffix = self.listeners.get(&listener_id);
                let secure = !matches!(suffix.map(Vec::as_slice), Some([Protocol::Ws(_)]));
                let acceptor = self.tls.server.clone().filter(|_| secure);
                TransportEvent::Incoming {
                    listener_id,
                    upgrade: accept(upgrade, acceptor).boxed(),
                    local_addr: self.at(listener_id, local_addr),
                    send_back_addr: self.at(listener_id, send_back_addr),
                }
            }
            TransportEvent::ListenerClosed { listener_id, reason } => {
                self.listeners.remove(&listener_id);
                TransportEvent::ListenerClosed {
                    listener_id,
                    reason: reason.map_err(WebSocketError::Below),
                }
            }
            TransportEvent::ListenerError { listener_id, error } => TransportEvent::ListenerError {
                listener_id,
                error: WebSocketError::Below(error),
            },
        })
    }
}

async fn accept<C, E>(
    upgrade: impl Future<Output = Result<C, E>>,
    acceptor: Option<futures_rustls::TlsAcceptor>,
) -> Result<Connection<C>, WebSocketError<E>>
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: Error,
{
    let connection = upgrade.await.map_err(WebSocketError::Below)?;
    let connection = match acceptor {
        Some(acceptor) => {
            let secured = acceptor.accept(connection).await;
            Either::Left(TlsStream::Server(secured.map_err(WebSocketError::Tls)?))
        }
        None => Either::Right(connection),
    };
    let mut server = handshake::Server::new(connection);
    let key = server.receive_request().await?.key();
    let response = handshake::server::Response::Accept { key, protocol: None };
    server.send_response(&response).await?;
    // A client says nothing more before it has the answer: what it said all the same is lost with the handshake's buffer.
    Ok(Frames::new(server.into_inner(), Mode::Server, BytesMut::new()))
}

/// A connection of which a handshake may read no more than [`MAX_ANSWER_BYTES`]; soketto sees to it for a server alone.
struct Short<C> {
    connection: C,
    left: usize,
}

impl<C> Short<C> {
    fn new(connection: C) -> Self {
        Self {
            connection,
            left: MAX_ANSWER_BYTES,
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Short<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            let error = format!("an answer of more than {MAX_ANSWER_BYTES} bytes");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let most = buffer.len().min(self.left);
        let read = ready!(Pin::new(&mut self.connection).poll_read(cx, &mut buffer[..most]))?;
        self.left -= read;
        Poll::Ready(Ok(read))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Short<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let peer = "/p2p/16Uiu2HAkykgaECHswi3YKJ5dMLbq2kPVCo89fcyTd38UcQD6ej5W";
        for (address, below, suffix, host) in [
            ("/ip4/192.0.2.1/tcp/1/ws", "/ip4/192.0.2.1/tcp/1", "/ws", "192.0.2.1:1"),
            ("/ip6/::1/tcp/1/wss", "/ip6/::1/tcp/1", "/wss", "[::1]:1"),
            (
                "/dns4/a.example/tcp/443/tls/ws",
                "/dns4/a.example/tcp/443",
                "/tls/ws",
                "a.example:443",
            ),
            (
                "/dns/a.example/tcp/1/tls/sni/b.example/ws",
                "/dns/a.example/tcp/1",
                "/tls/sni/b.example/ws",
                "a.example:1",
            ),
        ] {
            for peer in ["", peer] {
                let found = Address::of(&format!("{address}{peer}").parse().unwrap()).unwrap();
                assert_eq!(found.below, format!("{below}{peer}").parse().unwrap(), "{address}");
                assert_eq!(found.is_secure(), suffix != "/ws", "{address}");
                let written: Multiaddr = found.suffix.iter().cloned().collect();
                assert_eq!(written.to_string(), suffix);
                assert_eq!(found.host().unwrap().0, host);
            }
        }
        for address in [
            "/ip4/192.0.2.1/tcp/1",
            "/ws",
            "/ip4/192.0.2.1/tcp/1/sni/b.example/ws",
            "",
        ] {
            assert_eq!(Address::of(&address.parse().unwrap()), None, "{address}");
        }
        let named: Multiaddr = "/dns/a.example/tcp/1/tls/sni/b.example/ws".parse().unwrap();
        let (_, name) = Address::of(&named).unwrap().host().unwrap();
        assert_eq!(name, ServerName::try_from("b.example").unwrap());
    }
}
