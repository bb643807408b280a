//! A Waku light client over rust-libp2p with wire types of its own: light push 3.0.0 and store 3.0.0, one stream a
//! request. It shares no line with the mailserver, so a mistake there cannot hide behind the same mistake here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder, multiaddr::Protocol, noise, tcp, yamux};
use prost::Message;

pub const PUBSUB_TOPIC: &str = "/waku/2/rs/16/32";
const METADATA: StreamProtocol = StreamProtocol::new("/vac/waku/metadata/1.0.0");
const LIGHT_PUSH: StreamProtocol = StreamProtocol::new("/vac/waku/lightpush/3.0.0");
const STORE: StreamProtocol = StreamProtocol::new("/vac/waku/store-query/3.0.0");
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_BYTES: u64 = 64 << 20;

/// RFC 14/WAKU2-MESSAGE.
#[derive(Clone, PartialEq, Message)]
pub struct WakuMessage {
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    #[prost(string, tag = "2")]
    pub content_topic: String,
    #[prost(sint64, optional, tag = "10")]
    pub timestamp: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct LightPushRequest {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(string, optional, tag = "20")]
    pubsub_topic: Option<String>,
    #[prost(message, optional, tag = "21")]
    message: Option<WakuMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LightPushResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(uint32, tag = "10")]
    pub status_code: u32,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
}

/// RFC 13/WAKU2-STORE, version 3.
#[derive(Clone, PartialEq, Message)]
pub struct StoreRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(bool, tag = "2")]
    pub include_data: bool,
    #[prost(string, optional, tag = "10")]
    pub pubsub_topic: Option<String>,
    #[prost(string, repeated, tag = "11")]
    pub content_topics: Vec<String>,
    #[prost(bytes = "vec", repeated, tag = "20")]
    pub message_hashes: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "51")]
    pub cursor: Option<Vec<u8>>,
    #[prost(bool, tag = "52")]
    pub forward: bool,
    #[prost(uint64, optional, tag = "53")]
    pub limit: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub message: Option<WakuMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StoreResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(uint32, optional, tag = "10")]
    pub status_code: Option<u32>,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
    #[prost(message, repeated, tag = "20")]
    pub messages: Vec<KeyValue>,
    #[prost(bytes = "vec", optional, tag = "51")]
    pub cursor: Option<Vec<u8>>,
}

/// Nanoseconds since the Unix epoch, as envelopes carry them.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since.as_nanos()).expect("before the year 2262")
}

/// A connection to one box. Dropping it closes the connection.
pub struct Client {
    streams: libp2p_stream::Control,
    peer: PeerId,
    swarm: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Client {
    /// Dials a multiaddr that ends in `/p2p/ID`.
    pub async fn connect(address: &str) -> Result<Client> {
        let address: Multiaddr = address
            .parse()
            .with_context(|| format!("reading the multiaddr {address}"))?;
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            bail!("{address} names no peer")
        };
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
            .with_behaviour(|_| libp2p_stream::Behaviour::new())?
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build();
        let streams = swarm.behaviour().new_control();
        let metadata = swarm.behaviour().new_control().accept(METADATA)?;
        tokio::spawn(answer_metadata(metadata));
        swarm.dial(address.clone())?;
        loop {
            match tokio::time::timeout(ANSWER_WITHIN, swarm.select_next_some()).await? {
                SwarmEvent::ConnectionEstablished { .. } => break,
                SwarmEvent::OutgoingConnectionError { error, .. } => bail!("dialling {address}: {error}"),
                _ => {}
            }
        }
        let swarm = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Ok(Client { streams, peer, swarm })
    }

    /// Light-pushes one envelope on the default shard; the answer is the box's acknowledgement.
    pub async fn push(&mut self, message: WakuMessage) -> Result<LightPushResponse> {
        let request = LightPushRequest {
            request_id: "push".into(),
            pubsub_topic: Some(PUBSUB_TOPIC.into()),
            message: Some(message),
        };
        let answer = self.ask(LIGHT_PUSH, &request.encode_length_delimited_to_vec()).await?;
        Ok(LightPushResponse::decode_length_delimited(answer.as_slice())?)
    }

    pub async fn query(&mut self, request: &StoreRequest) -> Result<StoreResponse> {
        let answer = self.ask(STORE, &request.encode_length_delimited_to_vec()).await?;
        Ok(StoreResponse::decode_length_delimited(answer.as_slice())?)
    }

    /// Everything that one content topic holds, page after page.
    pub async fn history(&mut self, content_topic: &str) -> Result<Vec<WakuMessage>> {
        let mut request = StoreRequest {
            request_id: "history".into(),
            include_data: true,
            pubsub_topic: Some(PUBSUB_TOPIC.into()),
            content_topics: vec![content_topic.into()],
            forward: true,
            limit: Some(100),
            ..Default::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.query(&request).await?;
            ensure!(
                page.status_code == Some(200),
                "store answered {:?} {:?}",
                page.status_code,
                page.status_desc
            );
            all.extend(page.messages.into_iter().filter_map(|entry| entry.message));
            match page.cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => return Ok(all),
            }
        }
    }

    /// Writes raw bytes on a new stream of `protocol` and reads the answer until the box ends the stream.
    pub async fn ask(&mut self, protocol: StreamProtocol, request: &[u8]) -> Result<Vec<u8>> {
        let exchange = async {
            let mut stream = self.streams.open_stream(self.peer, protocol).await?;
            stream.write_all(request).await?;
            stream.close().await?;
            let mut answer = Vec::new();
            stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
            Ok(answer)
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange)
            .await
            .context("waiting for the box's answer")?
    }
}

/// 66/WAKU2-METADATA: the box asks each new peer for its cluster and leaves those of another.
async fn answer_metadata(mut incoming: libp2p_stream::IncomingStreams) {
    #[derive(Clone, PartialEq, Message)]
    struct Metadata {
        #[prost(uint32, optional, tag = "1")]
        cluster_id: Option<u32>,
        #[prost(uint32, repeated, packed = "false", tag = "2")]
        shards: Vec<u32>,
    }
    let ours = Metadata {
        cluster_id: Some(16),
        shards: vec![32, 64],
    }
    .encode_length_delimited_to_vec();
    while let Some((_, mut stream)) = incoming.next().await {
        // A box that hangs up while it is being answered is a box that is being killed: not this task's concern.
        if stream.write_all(&ours).await.is_ok() && stream.close().await.is_ok() {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}
