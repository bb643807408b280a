//! Where fuzzing starts: the test vectors of RFCs and of other implementations, and one good message of each kind. The
//! files in `fuzz/seeds/mailserver` are written from here.

mod requests;

use data_encoding::BASE64URL_NOPAD;
use prost::Message;

type Seeds = Vec<(String, Vec<u8>)>;

/// status-go `services/mailservers/fleet.go`: store-01 of status.prod.
const FLEET_RECORD: &str = "enr:-QEMuEAs8JmmyUI3b9v_ADqYtELHUYAsAMS21lA2BMtrzF86tVmyy9cCrhmzfHGHx_g3nybn7jIRybzXTGNj3C2KzrriAYJpZIJ2NIJpcISf3_Jeim11bHRpYWRkcnO4XAArNiZzdG9yZS0wMS5kby1hbXMzLnN0YXR1cy5wcm9kLnN0YXR1cy5pbQZ2XwAtNiZzdG9yZS0wMS5kby1hbXMzLnN0YXR1cy5wcm9kLnN0YXR1cy5pbQYBu94DgnJzjQAQBQABACAAQACAAQCJc2VjcDI1NmsxoQLfoaQH3oSYW59yxEBfeAZbltmUnC4BzYkHqer2VQMTyoN0Y3CCdl-DdWRwgiMohXdha3UyAw";
/// js-waku `packages/enr/src/enr.spec.ts`: three multiaddrs, one of them of a protocol that few know.
const JS_RECORD: &str = "enr:-QEnuEBEAyErHEfhiQxAVQoWowGTCuEF9fKZtXSd7H_PymHFhGJA3rGAYDVSHKCyJDGRLBGsloNbS8AZF33IVuefjOO6BIJpZIJ2NIJpcIQS39tkim11bHRpYWRkcnO4lgAvNihub2RlLTAxLmRvLWFtczMud2FrdXYyLnRlc3Quc3RhdHVzaW0ubmV0BgG73gMAODcxbm9kZS0wMS5hYy1jbi1ob25na29uZy1jLndha3V2Mi50ZXN0LnN0YXR1c2ltLm5ldAYBu94DACm9A62t7AQL4Ef5ZYZosRpQTzFVAB8jGjf1TER2wH-0zBOe1-MDBNLeA4lzZWNwMjU2azGhAzfsxbxyCkgCqq8WwYsVWH7YkpMLnU2Bw5xJSimxKav-g3VkcIIjKA";
/// The example of EIP-1459, without its signature and with it.
const ROOT: &str = "enrtree-root:v1 e=JWXYDBPXYWG6FX3GMDIBFA6CJ4 l=C7HRFPF3BLGF3YR4DY5KX3SMBE seq=1";
const ROOT_SIGNATURE: &str =
    " sig=o908WmNp7LibOfPsr4btQwatZJ5URBr2ZAuxvK4UWHlsB9sUOTJQaGAlLPVAhM__XJesCHxLISo94z5Z2a463gA";
const BRANCH: &str = "enrtree-branch:2XS2367YHAXJFGLZHVAWLQD4ZY,H4FHT4B454P6UXFD7JCYQ5PWDY,MHTDO6TMUBRIA2XWG5LUDACK24";
const URL: &str = "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@morenodes.example.org";

/// Name and bytes of each seed of a target.
pub(crate) fn of(target: &str) -> Seeds {
    let named = |seeds: Vec<(&str, Vec<u8>)>| -> Seeds {
        seeds
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect()
    };
    match target {
        "config_file" => named(config_file()),
        "enrtree" => named(enrtree()),
        "envelope" => named(requests::envelopes()),
        "flags" => named(flags()),
        "framing" => named(framing()),
        "gaps" => named(vec![
            ("none", Vec::new()),
            ("one", text("1700000000000000000 1700000060000000000\n")),
            ("open", text("3 8\n-9223372036854775808 9\n20 -\n")),
        ]),
        "igd" => named(igd()),
        "nat_pmp" => named(nat_pmp()),
        "node_record" => named(node_record()),
        "ranges" => named(ranges()),
        "rest" => named(rest()),
        "store_query" => named(requests::queries()),
        "wire" => named(requests::all()),
        other => panic!("{other} has no seeds"),
    }
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn config_file() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", text("")),
        (
            "lists",
            text("shard = [32, 64]\nrate-limit = [\"store:10/1s\", \"px:1/1m\"]\nstore = true\n"),
        ),
        (
            "scalars",
            text(
                "tcp-port = 60000\nnodekey = \"5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6\"\nnat = \"extip:203.0.113.7\"\n",
            ),
        ),
        ("table", text("[rest]\nport = 1\nsince = 1979-05-27T07:32:00Z\n")),
    ]
}

fn flags() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "preset",
            text("--preset=status.prod\n--store\n--rest:true\n--tcp-port 7"),
        ),
        (
            "shards",
            text("--cluster-id=16\n--shard=32\n--num-shards-in-network=8\n--content-topic=/toychat/2/huilong/proto"),
        ),
        (
            "protected",
            text(
                "--protected-shard=32:049c5fac802da41e07e6cdf51c3b9a6351ad5e65921527f2df5b7d59fd9b56ab02bab736cdcfc37f25095e78127500da371947217a8cd5186ab890ea866211c3f6",
            ),
        ),
        (
            "peers",
            text(
                "--staticnode=/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31\n--ext-multiaddr=/dns4/a.org/tcp/443/wss\n--nat=extip:203.0.113.7",
            ),
        ),
        (
            "store",
            text(
                "--store-message-retention-policy=time:86400;size:1GB\n--store-message-db-url=sqlite://a/b.sqlite3\n--rate-limit=storev3:10/30s\n--max-msg-size=1024KiB",
            ),
        ),
        ("misspelt", text("--tcp-prot=1")),
    ]
}

fn framing() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("two", vec![3, 1, 2, 3, 2, 4, 5]),
        ("empty_frame", vec![0]),
        ("long", [&[0x80, 8][..], &[7; 1024]].concat()),
        ("no_varint", vec![0xff; 6]),
        ("truncated", vec![10, 1, 2]),
    ]
}

fn enrtree() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("root", text(ROOT)),
        ("root_signed", text(&format!("{ROOT}{ROOT_SIGNATURE}"))),
        ("branch", text(BRANCH)),
        ("link", text(URL)),
        ("record", text(FLEET_RECORD)),
        ("name", text("C7HRFPF3BLGF3YR4DY5KX3SMBE")),
    ]
}

/// Laid out by hand from UPnP Device Architecture 1.1 and WANIPConnection:1.
fn igd() -> Vec<(&'static str, Vec<u8>)> {
    let soap = |inner: &str| {
        let envelope = "http://schemas.xmlsoap.org/soap/envelope/";
        text(&format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"{envelope}\"><s:Body>{inner}</s:Body></s:Envelope>"
        ))
    };
    let kind = "urn:schemas-upnp-org:service:WANIPConnection:1";
    let service = format!("<serviceType>{kind}</serviceType><controlURL>/ctl</controlURL>");
    vec![
        (
            "found",
            text(
                "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: upnp:rootdevice\r\nLOCATION: http://192.0.2.1:5000/root.xml\r\n\r\n",
            ),
        ),
        (
            "description",
            text(&format!(
                "<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><URLBase>http://192.0.2.1:5000</URLBase><device>\
                 <serviceList><service>{service}</service></serviceList></device></root>"
            )),
        ),
        (
            "address",
            soap(&format!(
                "<u:GetExternalIPAddressResponse xmlns:u=\"{kind}\"><NewExternalIPAddress>203.0.113.7\
                 </NewExternalIPAddress></u:GetExternalIPAddressResponse>"
            )),
        ),
        (
            "mapped",
            soap(&format!("<u:AddPortMappingResponse xmlns:u=\"{kind}\"/>")),
        ),
        (
            "refused",
            soap(
                "<s:Fault><detail><UPnPError><errorCode>725</errorCode><errorDescription>OnlyPermanentLeasesSupported\
                 </errorDescription></UPnPError></detail></s:Fault>",
            ),
        ),
    ]
}

/// Laid out by hand from RFC 6886, sections 3.2, 3.3 and 3.5.
fn nat_pmp() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("address", vec![0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7]),
        (
            "mapping",
            vec![0, 130, 0, 0, 0, 0, 0, 9, 0xea, 0x60, 0xea, 0x61, 0, 0, 0x0e, 0x10],
        ),
        ("refused", vec![0, 130, 0, 2]),
    ]
}

fn node_record() -> Vec<(&'static str, Vec<u8>)> {
    let rlp = |record: &str| {
        let digits = record.trim_start_matches("enr:");
        BASE64URL_NOPAD.decode(digits.as_bytes()).unwrap()
    };
    // nwaku `tests/waku_enr/test_sharding.nim`: cluster 73, shards 1 and 10, both ways to write them.
    let list = [0, 73, 2, 0, 1, 0, 10];
    let vector = [&[0, 73, 2, 4][..], &[0; 126]].concat();
    // A signed record's fields: waku2, how long rs is, rs, and 127.0.0.1 with a port.
    let address = [4, 127, 0, 0, 1, 6, 0x1f, 0x40, 0xdd, 3];
    let fields = [&[15, 7][..], &list, &[0, 10], &address].concat();
    vec![
        ("fleet_text", text(FLEET_RECORD)),
        ("fleet_rlp", rlp(FLEET_RECORD)),
        ("js_rlp", rlp(JS_RECORD)),
        ("rs", list.to_vec()),
        ("rsv", vector),
        ("fields", fields),
    ]
}

fn ranges() -> Vec<(&'static str, Vec<u8>)> {
    let payload = |ranges: &str| hex::decode(format!("0000{ranges}")).unwrap();
    let hash = "17".repeat(32);
    vec![
        ("finished", vec![0]),
        // WAKU-SYNC, "Delta Encoding".
        ("spec", payload("00e8070002000002351c0000023560000100")),
        ("fingerprint", payload(&format!("00e80701{hash}"))),
        ("ids", payload(&format!("00e80702020a{hash}0b{hash}00"))),
        ("resolved", payload("0564020001")),
        (
            "topics",
            [
                &[1, 16][..],
                b"/waku/2/rs/16/32",
                &[1, 5],
                b"/fuzz",
                &[0, 100, 1],
                &[9; 32],
            ]
            .concat(),
        ),
    ]
}

fn rest() -> Vec<(&'static str, Vec<u8>)> {
    let hash = "64cce733fed134e83da02b02c6f689814872b1a0ac97ea56b76095c3c72bfe05";
    vec![
        (
            "query",
            text(&format!(
                "includeData=true&pubsubTopic=%2Fwaku%2F2%2Frs%2F16%2F32&contentTopics=%2Fa%2F1%2Fb%2Fc,%2Fd%2F1%2Fe%2Ff\
                 &startTime=5&endTime=1700000000000000000&hashes=0x{hash}&cursor={hash}&ascending=false&pageSize=20"
            )),
        ),
        (
            "peer",
            text("/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31"),
        ),
        (
            "envelope",
            text(
                r#"{"payload":"aGVsbG8=","contentTopic":"/app/1/chat/proto","timestamp":1700000000000000000,"meta":"AQI=","version":1,"ephemeral":true,"proof":"AA=="}"#,
            ),
        ),
        ("no_payload", text(r#"{"contentTopic":" "}"#)),
    ]
}

/// A message's bytes behind a byte that chooses its decoder in the target `wire`.
fn chosen(choice: u8, message: &impl Message) -> Vec<u8> {
    [vec![choice], message.encode_to_vec()].concat()
}
