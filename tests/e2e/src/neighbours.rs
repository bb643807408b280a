//! How a computer on the same network finds the box: questions to everybody (mDNS, RFC 6762; DNS-SD, RFC 6763).

use std::net::{Ipv4Addr, UdpSocket};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::lan::COMPUTER;

/// RFC 6762, section 3.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// The IPv4 addresses of a host name.
pub(crate) fn addresses(name: &str) -> Result<Vec<Ipv4Addr>> {
    let answers = ask(name, RecordType::A)?;
    Ok(answers
        .into_iter()
        .filter_map(|data| match data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
        .collect())
}

/// What the instances of a service, such as `_http._tcp.local.`, call themselves (RFC 6763, section 4.1.1).
pub(crate) fn instances(service: &str) -> Result<Vec<String>> {
    let answers = ask(service, RecordType::PTR)?;
    Ok(answers
        .into_iter()
        .filter_map(|data| match data {
            RData::PTR(name) => name
                .iter()
                .next()
                .map(|label| String::from_utf8_lossy(label).into_owned()),
            _ => None,
        })
        .collect())
}

fn ask(name: &str, kind: RecordType) -> Result<Vec<RData>> {
    let name = Name::from_str(name).with_context(|| format!("{name} is no name"))?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("cannot listen for mDNS")?;
    socket
        .join_multicast_v4(&GROUP, &COMPUTER)
        .context("cannot join the mDNS group")?;
    let mut question = Message::query();
    question.metadata.id = 0;
    question.metadata.recursion_desired = false;
    question.add_query(Query::query(name.clone(), kind));
    let question = question.to_vec().context("cannot write the question")?;
    socket.send_to(&question, (GROUP, PORT)).context("cannot ask")?;

    let deadline = Instant::now() + ANSWER_LIMIT;
    let mut found = Vec::new();
    let mut packet = [0; 9000];
    while let Some(left) = deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        socket.set_read_timeout(Some(left)).context("cannot set a timeout")?;
        let Ok((length, _)) = socket.recv_from(&mut packet) else {
            break;
        };
        // Our own question comes back, too, and has no answers.
        let Ok(message) = Message::from_vec(&packet[..length]) else {
            continue;
        };
        let answers = message.answers.into_iter().filter(|record| record.name == name);
        found.extend(answers.map(|record| record.data));
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}
