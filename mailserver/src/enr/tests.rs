use proptest::prelude::*;

use super::*;

fn node(text: &str) -> WakuNode {
    WakuNode::of(&parse(text).unwrap()).unwrap()
}

fn texts(addresses: &[Multiaddr]) -> Vec<String> {
    addresses.iter().map(Multiaddr::to_string).collect()
}

/// nwaku `tests/test_waku_enr.nim`: a record whose `waku2` is 3.
#[test]
fn nwaku_capabilities() {
    let node = node(
        "enr:-Hy4QC73_E3B_FkZhsOakaD4pHe-U--UoGASdG9N0F3SFFUDY_jdQbud8EXVyrlOZ5pZ7VYFBDPMRCENwy87Lh74dFIBgmlkgnY0iXNlY3AyNTZrMaECvNt1jIWbWGpAWWdlLGYm1E1OjlkQk3ONoxDC5sfw8oOFd2FrdTID",
    );
    assert_eq!(
        node.capabilities,
        Capabilities {
            relay: true,
            store: true,
            ..Capabilities::default()
        }
    );
    assert_eq!((node.shards, node.addresses), (None, vec![]));
}

/// status-go `services/mailservers/fleet.go` and nwaku `tests/test_waku_enr.nim`: store-01 of status.prod.
#[test]
fn status_fleet_store() {
    let record = parse(
        "enr:-QEMuEAs8JmmyUI3b9v_ADqYtELHUYAsAMS21lA2BMtrzF86tVmyy9cCrhmzfHGHx_g3nybn7jIRybzXTGNj3C2KzrriAYJpZIJ2NIJpcISf3_Jeim11bHRpYWRkcnO4XAArNiZzdG9yZS0wMS5kby1hbXMzLnN0YXR1cy5wcm9kLnN0YXR1cy5pbQZ2XwAtNiZzdG9yZS0wMS5kby1hbXMzLnN0YXR1cy5wcm9kLnN0YXR1cy5pbQYBu94DgnJzjQAQBQABACAAQACAAQCJc2VjcDI1NmsxoQLfoaQH3oSYW59yxEBfeAZbltmUnC4BzYkHqer2VQMTyoN0Y3CCdl-DdWRwgiMohXdha3UyAw",
    )
    .unwrap();
    assert_eq!(record.udp4_socket().unwrap().to_string(), "159.223.242.94:9000");
    let node = WakuNode::of(&record).unwrap();
    assert_eq!(
        node.shards,
        Some(Shards {
            cluster: 16,
            indices: vec![1, 32, 64, 128, 256]
        })
    );
    assert_eq!(node.capabilities.bits(), 3);
    // The peer id is the one that fleet.go gives beside the record.
    let id = "16Uiu2HAmAUdrQ3uwzuE4Gy4D56hX6uLKEeerJAnhKEHZ3DxF1EfT";
    assert_eq!(
        texts(&node.addresses),
        [
            format!("/ip4/159.223.242.94/tcp/30303/p2p/{id}"),
            format!("/dns4/store-01.do-ams3.status.prod.status.im/tcp/30303/p2p/{id}"),
            format!("/dns4/store-01.do-ams3.status.prod.status.im/tcp/443/wss/p2p/{id}"),
        ]
    );
}

/// js-waku `packages/enr/src/enr.spec.ts`.
#[test]
fn js_waku_multiaddrs() {
    let node = node(
        "enr:-QEnuEBEAyErHEfhiQxAVQoWowGTCuEF9fKZtXSd7H_PymHFhGJA3rGAYDVSHKCyJDGRLBGsloNbS8AZF33IVuefjOO6BIJpZIJ2NIJpcIQS39tkim11bHRpYWRkcnO4lgAvNihub2RlLTAxLmRvLWFtczMud2FrdXYyLnRlc3Quc3RhdHVzaW0ubmV0BgG73gMAODcxbm9kZS0wMS5hYy1jbi1ob25na29uZy1jLndha3V2Mi50ZXN0LnN0YXR1c2ltLm5ldAYBu94DACm9A62t7AQL4Ef5ZYZosRpQTzFVAB8jGjf1TER2wH-0zBOe1-MDBNLeA4lzZWNwMjU2azGhAzfsxbxyCkgCqq8WwYsVWH7YkpMLnU2Bw5xJSimxKav-g3VkcIIjKA",
    );
    let id = node.peer;
    assert_eq!(
        texts(&node.addresses),
        [
            format!("/dns4/node-01.do-ams3.wakuv2.test.statusim.net/tcp/443/wss/p2p/{id}"),
            format!("/dns6/node-01.ac-cn-hongkong-c.wakuv2.test.statusim.net/tcp/443/wss/p2p/{id}"),
            format!("/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234/wss/p2p/{id}"),
        ]
    );
}

/// go-waku `waku/v2/protocol/enr/enr_test.go`.
#[test]
fn go_waku_record() {
    let node = node(
        "enr:-QESuEC1p_s3xJzAC_XlOuuNrhVUETmfhbm1wxRGis0f7DlqGSw2FM-p2Ugl_r25UHQJ3f1rIRrpzxJXSMaJe4yk1XFSAYJpZIJ2NIJpcISygI2rim11bHRpYWRkcnO4XAArNiZub2RlLTAxLmRvLWFtczMud2FrdS50ZXN0LnN0YXR1c2ltLm5ldAZ2XwAtNiZub2RlLTAxLmRvLWFtczMud2FrdS50ZXN0LnN0YXR1c2ltLm5ldAYfQN4DgnJzkwABCAAAAAEAAgADAAQABQAGAAeJc2VjcDI1NmsxoQJATXRSRSUyTw_QLB6H_U3oziVQgNRgrXpK7wp2AMyNxYN0Y3CCdl-DdWRwgiMohXdha3UyDw",
    );
    assert_eq!(
        node.addresses[0].to_string(),
        "/ip4/178.128.141.171/tcp/30303/p2p/16Uiu2HAkykgaECHswi3YKJ5dMLbq2kPVCo89fcyTd38UcQD6ej5W"
    );
    assert_eq!(
        node.shards,
        Some(Shards {
            cluster: 1,
            indices: (0..8).collect()
        })
    );
    assert_eq!(node.capabilities.bits(), 15);
}

/// nwaku `tests/waku_enr/test_sharding.nim`: cluster 73, shards 1 and 10, as a list and as a vector.
#[test]
fn nwaku_shards() {
    let expected = Shards {
        cluster: 73,
        indices: vec![1, 10],
    };
    let list = [0, 73, 2, 0, 1, 0, 10];
    let mut vector = vec![0, 73, 2, 4];
    vector.extend([0; 126]);
    assert_eq!(Shards::from_list(&list), Some(expected.clone()));
    assert_eq!(Shards::from_vector(&vector), Some(expected.clone()));
    assert_eq!(expected.to_list(), list);
    assert_eq!(expected.to_vector(), vector);
    for wrong in [&list[..6], &[0, 73, 1, 0, 1, 0, 10], &[0, 73], &[]] {
        assert_eq!(Shards::from_list(wrong), None, "{wrong:?}");
    }
    assert_eq!(Shards::from_vector(&vector[1..]), None);
}

fn own(addresses: Vec<Multiaddr>, shards: Vec<u16>) -> Own {
    Own {
        ip: Some("203.0.113.7".parse().unwrap()),
        tcp_port: Some(60000),
        udp_port: Some(9000),
        shards: Shards {
            cluster: 16,
            indices: shards,
        },
        capabilities: Capabilities {
            relay: true,
            store: true,
            filter: true,
            light_push: true,
            sync: false,
        },
        addresses,
    }
}

#[test]
fn the_own_record_reads_back() {
    let key = CombinedKey::generate_secp256k1();
    let ws: Multiaddr = "/ip4/203.0.113.7/tcp/8000/ws".parse().unwrap();
    let record = build(&key, 7, &own(vec![ws.clone()], vec![32, 64])).unwrap();
    assert_eq!((record.seq(), record.udp4()), (7, Some(9000)));
    let read = parse(&record.to_base64()).unwrap();
    assert!(read == record && is_of(&read, &key) && same_content(&read, &record));
    assert_eq!(from_rlp(&to_rlp(&record)).unwrap(), record);
    let node = WakuNode::of(&read).unwrap();
    let libp2p_key = identity::secp256k1::PublicKey::try_from_bytes(&key.public().encode()).unwrap();
    assert_eq!(node.peer, identity::PublicKey::from(libp2p_key).to_peer_id());
    assert_eq!(
        texts(&node.addresses),
        [
            format!("/ip4/203.0.113.7/tcp/60000/p2p/{}", node.peer),
            format!("{ws}/p2p/{}", node.peer)
        ]
    );
    assert_eq!(
        node.shards,
        Some(Shards {
            cluster: 16,
            indices: vec![32, 64]
        })
    );
    assert_eq!(node.capabilities.bits(), 15);
}

#[test]
fn addresses_that_do_not_fit_are_left_out_from_the_end() {
    let key = CombinedKey::generate_secp256k1();
    let long = |n: usize| {
        format!("/dns4/{}{n}.example.org/tcp/443/wss", "x".repeat(40))
            .parse()
            .unwrap()
    };
    let record = build(&key, 1, &own((0..10).map(long).collect(), vec![1])).unwrap();
    assert!(record.size() <= MAX_RECORD_BYTES);
    let addresses = WakuNode::of(&record).unwrap().addresses;
    assert!((2..10).contains(&addresses.len()), "{addresses:?}");
    assert!(addresses[1].to_string().contains("x0.example.org"));
}

#[test]
fn many_shards_go_into_the_vector() {
    let key = CombinedKey::generate_secp256k1();
    let shards: Vec<u16> = (0..64).map(|n| n * 16).collect();
    let record = build(&key, 1, &own(vec![], shards.clone())).unwrap();
    assert_eq!(
        WakuNode::of(&record).unwrap().shards,
        Some(Shards {
            cluster: 16,
            indices: shards
        })
    );
}

#[test]
fn a_changed_or_absurd_record_is_none() {
    let key = CombinedKey::generate_secp256k1();
    let record = build(&key, 1, &own(vec![], vec![1])).unwrap();
    let mut bytes = to_rlp(&record);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(from_rlp(&bytes), Err(Error::Undecodable(_))));
    assert_eq!(from_rlp(&[0; 301]), Err(Error::TooLong(301)));
    assert_eq!(parse(&"A".repeat(500)), Err(Error::TooLong(500)));
    for text in ["", "enr:", "enr:!!!!", "enr:AAAA"] {
        assert!(matches!(parse(text), Err(Error::Undecodable(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..310)) {
        let _ = from_rlp(&bytes).map(|record| WakuNode::of(&record));
        let _ = Shards::from_list(&bytes);
        let _ = Shards::from_vector(&bytes);
        prop_assert!(read_addresses(&bytes).len() <= MAX_ADDRESSES);
    }

    #[test]
    fn what_is_written_reads_back(cluster: u16, shards in proptest::collection::btree_set(0u16..1024, 0..64), bits in 0u8..32) {
        let shards = Shards { cluster, indices: shards.into_iter().collect() };
        prop_assert_eq!(Shards::from_list(&shards.to_list()), Some(shards.clone()));
        prop_assert_eq!(Shards::from_vector(&shards.to_vector()), Some(shards));
        prop_assert_eq!(Capabilities::from_bits(bits).bits(), bits);
    }
}
