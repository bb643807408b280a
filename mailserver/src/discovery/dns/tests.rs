use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{Record, rdata::TXT},
};
use tokio::{net::UdpSocket, task::JoinHandle};

use super::{
    super::tree::tests::{ENTRIES, ROOT, URL},
    *,
};

/// A name server on loopback with texts by name.
async fn name_server(texts: HashMap<String, String>) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let texts = Arc::new(texts);
    let task = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            let name = query.name().to_string().trim_end_matches('.').to_ascii_lowercase();
            let mut answer = Message::response(question.metadata.id, OpCode::Query);
            answer.add_query(query.clone());
            match texts.get(&name) {
                Some(text) => {
                    // In pieces, as a string of DNS has at most 255 bytes.
                    let pieces = text
                        .as_bytes()
                        .chunks(200)
                        .map(|piece| String::from_utf8(piece.to_vec()).unwrap());
                    let other = RData::TXT(TXT::new(vec!["v=spf1 -all".into()]));
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, other));
                    let text = RData::TXT(TXT::new(pieces.collect()));
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, text));
                }
                None => answer.metadata.response_code = ResponseCode::NXDomain,
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, task)
}

fn example() -> HashMap<String, String> {
    let mut texts: HashMap<String, String> = ENTRIES
        .iter()
        .map(|(name, text)| {
            (
                format!("{name}.nodes.example.org").to_ascii_lowercase(),
                (*text).to_owned(),
            )
        })
        .collect();
    texts.insert("nodes.example.org".into(), ROOT.to_owned());
    texts
}

async fn read(texts: HashMap<String, String>) -> (usize, Option<String>) {
    let (server, task) = name_server(texts).await;
    let resolver = Resolver::with_servers(&[server]).unwrap();
    let (records, error) = resolver.read(&URL.parse().unwrap()).await;
    task.abort();
    (records.len(), error.map(|error| error.to_string()))
}

#[tokio::test]
async fn the_example_of_the_eip_is_read_from_a_name_server() {
    let (records, error) = read(example()).await;
    // The list that it links to is nowhere.
    assert!(records == 3 && error.unwrap().starts_with("asking for morenodes.example.org: "));
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_left_out() {
    let mut texts = example();
    let leaf = "2xs2367yhaxjfglzhvawlqd4zy.nodes.example.org";
    texts.insert(leaf.into(), ENTRIES[3].1.to_owned());
    let (records, error) = read(texts).await;
    assert_eq!(
        (records, error.unwrap()),
        (
            2,
            "2XS2367YHAXJFGLZHVAWLQD4ZY.nodes.example.org: entry's text does not hash to the name it was found under"
                .into()
        )
    );
    let mut texts = example();
    texts.insert("nodes.example.org".into(), ROOT.replace("seq=1", "seq=9"));
    let (records, error) = read(texts).await;
    assert_eq!(
        (records, error.unwrap()),
        (
            0,
            "nodes.example.org: the root is not signed by the key of the URL".into()
        )
    );
    let (records, error) = read(HashMap::new()).await;
    assert!(records == 0 && error.unwrap().starts_with("asking for nodes.example.org: "));
}
