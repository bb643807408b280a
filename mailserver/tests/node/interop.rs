//! What other implementations want to see on the wire, byte by byte, and what they leave out.

use libp2p::identity::Keypair;
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::protocols::peer_exchange;
use pillarbox_mailserver::protocols::peer_exchange::wire::PEER_EXCHANGE;
use pillarbox_mailserver::protocols::peer_exchange::wire::{PeerExchangeResponse, PeerExchangeRpc, PeerRecord};
use pillarbox_mailserver::swarm::Origin;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};
use prost::Message;
use test_support::peer::Raw;

use crate::services::pair;
use crate::support::{Node, within};

/// nwaku reads no answer without field 1, the query (`waku_peer_exchange/rpc_codec.nim`).
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_peer_exchange_has_the_query_that_nwaku_asks_for() {
    let (client, server) = pair().await;
    server.handle.records().set(vec![vec![7; 3]]);
    for (request, expected) in [
        // Ten peers: one record, 200.
        (
            &[0x0a, 2, 0x08, 10][..],
            &[0x0a, 2, 0x08, 0, 0x12, 10, 0x0a, 5, 0x0a, 3, 7, 7, 7, 0x50, 0xc8, 1][..],
        ),
        // No query: 400 "no query".
        (&[][..], b"\x0a\x02\x08\x00\x12\x0d\x50\x90\x03\x5a\x08no query"),
    ] {
        let mut stream = client.open(&server, PEER_EXCHANGE).await;
        write_frame(&mut stream, request).await.unwrap();
        let answer = within(read_frame(&mut stream, 1024)).await.unwrap();
        assert_eq!(answer, expected, "{answer:02x?}");
    }
}

/// The specification's answers have no query.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_peer_exchange_without_query_is_read() {
    let mut server = Raw::start(&Keypair::generate_secp256k1(), vec![METADATA, PEER_EXCHANGE], None).await;
    let client = Node::start().await;
    let peer = client
        .handle
        .swarm()
        .connect(server.address.clone(), Origin::Admin)
        .await
        .unwrap();
    let response = PeerExchangeResponse {
        peer_infos: vec![PeerRecord {
            enr: Some(vec![1; 100]),
        }],
        status_code: None,
        status_desc: None,
    };
    let sent = PeerExchangeRpc {
        query: None,
        response: Some(response.clone()),
    };
    let serve = async {
        let mut stream = server.next(&PEER_EXCHANGE).await;
        read_frame(&mut stream, 1024).await.unwrap();
        write_frame(&mut stream, &sent.encode_to_vec()).await.unwrap();
    };
    let (answer, ()) =
        within(async { tokio::join!(peer_exchange::client::ask(client.handle.swarm(), peer, 1), serve) }).await;
    assert_eq!(answer.unwrap(), response);
}
