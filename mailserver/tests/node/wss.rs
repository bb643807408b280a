//! wss with a certificate that an authority of the test's own has signed.

use futures::StreamExt;
use libp2p::core::upgrade::Version;
use libp2p::swarm::{SwarmEvent, dummy};
use libp2p::{Multiaddr, Swarm, Transport, dns, identity, noise, swarm, tcp, yamux};
use libp2p_websocket as websocket;
use pillarbox_mailserver::settings::TlsFiles;
use pillarbox_mailserver::swarm::{ConnectError, Origin};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::{Node, within};

/// An authority, and the files of a node that it vouches for as `localhost` and 127.0.0.1.
struct Authority {
    certificate: Vec<u8>,
    files: TlsFiles,
    _dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);

        let own_key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = CertificateParams::new(names)
            .unwrap()
            .signed_by(&own_key, &issuer)
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            key: dir.path().join("key.pem"),
            certificate: dir.path().join("chain.pem"),
        };
        std::fs::write(&files.key, own_key.serialize_pem()).unwrap();
        std::fs::write(&files.certificate, own.pem()).unwrap();
        Self {
            certificate,
            files,
            _dir: dir,
        }
    }
}

/// A libp2p client of the public kind, that trusts `authority` besides.
fn client(authority: Option<&Authority>) -> Swarm<dummy::Behaviour> {
    let keypair = identity::Keypair::generate_secp256k1();
    let mut tls = websocket::tls::Config::builder();
    if let Some(authority) = authority {
        let certificate = websocket::tls::Certificate::new(authority.certificate.clone());
        tls.add_trust(&certificate).unwrap();
    }
    let tcp = dns::tokio::Transport::system(tcp::tokio::Transport::default()).unwrap();
    let mut websocket = websocket::Config::new(tcp);
    websocket.set_tls_config(tls.finish());
    let transport = websocket
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let peer = keypair.public().to_peer_id();
    Swarm::new(transport, dummy::Behaviour, peer, swarm::Config::with_tokio_executor())
}

/// Whether the client gets through TLS, WebSocket and Noise to the node of `address`, or why not.
async fn reaches(mut client: Swarm<dummy::Behaviour>, address: Multiaddr) -> Result<(), String> {
    client.dial(address).unwrap();
    let outcome = async {
        loop {
            match client.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(format!("{error:?}")),
                _ => {}
            }
        }
    };
    within(outcome).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_the_authority_comes_in_by_wss() {
    let authority = Authority::new();
    let node = Node::start_with(|settings| settings.listen.websocket_tls = Some(authority.files.clone())).await;
    let address = node.address(true);
    assert!(address.to_string().contains("/wss/p2p/"), "{address}");
    assert_eq!(reaches(client(Some(&authority)), address.clone()).await, Ok(()));
    let by_name = address.to_string().replace("/ip4/127.0.0.1/", "/dns4/localhost/");
    let modern = by_name.replace("/wss/", "/tls/ws/");
    for spelling in [by_name, modern] {
        let reached = reaches(client(Some(&authority)), spelling.parse().unwrap()).await;
        assert_eq!(reached, Ok(()), "{spelling}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_no_authority_vouches_for_is_not_dialled_and_plain_ws_is_not_served() {
    let authority = Authority::new();
    let server = Node::start_with(|settings| settings.listen.websocket_tls = Some(authority.files.clone())).await;
    let address = server.address(true);
    let refused = reaches(client(None), address.clone()).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    // Nor does a node of ours, which knows the public authorities alone.
    let dialler = Node::start().await;
    let refused = dialler
        .handle
        .swarm()
        .connect(address.clone(), Origin::Admin)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, ConnectError::Dial { reason, .. } if reason.contains("UnknownIssuer")),
        "{refused}"
    );
    let plain = address.to_string().replace("/wss/", "/ws/");
    assert!(reaches(client(Some(&authority)), plain.parse().unwrap()).await.is_err());
}
