//! The home's time server: answers every question with the computer's own time (RFC 4330, section 5).

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

const PORT: u16 = 123;
const PACKET_BYTES: usize = 48;
/// From 1900, which NTP counts from, to the Unix epoch (RFC 4330, section 3).
const EPOCH_SECS: u64 = 2_208_988_800;
/// No leap second, version 4, a server.
const LEAP_VERSION_MODE: u8 = (4 << 3) | 4;
/// A clock of its own, so that clients believe it.
const STRATUM: u8 = 1;
/// 2^-20 s.
const PRECISION: i8 = -20;

/// Answers until this program ends.
pub(crate) fn start(address: Ipv4Addr) -> Result<()> {
    let socket = UdpSocket::bind((address, PORT)).context("cannot be a time server")?;
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            if let Some(answer) = answer(&question[..length], now) {
                // Whoever asked may have been switched off since.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    Ok(())
}

fn answer(question: &[u8], now: Duration) -> Option<[u8; PACKET_BYTES]> {
    let asked_at = question.get(40..PACKET_BYTES)?;
    let now = timestamp(now);
    let mut answer = [0; PACKET_BYTES];
    answer[0] = LEAP_VERSION_MODE;
    answer[1] = STRATUM;
    answer[2] = question[2];
    answer[3] = PRECISION.to_be_bytes()[0];
    answer[12..16].copy_from_slice(b"LOCL");
    answer[16..24].copy_from_slice(&now);
    answer[24..32].copy_from_slice(asked_at);
    answer[32..40].copy_from_slice(&now);
    answer[40..48].copy_from_slice(&now);
    Some(answer)
}

/// Seconds since 1900 and the 2^-32 parts of one, big-endian; the seconds wrap in 2036 as NTP's own do.
fn timestamp(since_epoch: Duration) -> [u8; 8] {
    let secs = (since_epoch.as_secs() + EPOCH_SECS) & u64::from(u32::MAX);
    let parts = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
    ((secs << 32) | parts).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_the_question_and_the_time() {
        let mut question = [0; PACKET_BYTES];
        question[40..].copy_from_slice(b"asked at");
        let answer = answer(&question, Duration::new(1, 500_000_000)).unwrap();
        assert_eq!(&answer[24..32], b"asked at");
        // 2,208,988,801.5 s.
        assert_eq!(answer[40..], [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0]);
        assert_eq!(super::answer(&question[..47], Duration::ZERO), None);
    }
}
