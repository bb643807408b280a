//! The bytes inside WebSocket frames (RFC 6455, section 5), handed on as they come.
//!
//! No message is ever collected: a frame of any length costs its header. What libp2p sends is a stream of bytes, so the
//! borders between frames and messages mean nothing to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures::io::{AsyncRead, AsyncWrite};
use soketto::Parsing;
use soketto::base::{Codec, Header, OpCode};
use soketto::connection::Mode;

/// RFC 6455, section 5.2: two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;
/// RFC 6455, section 5.5.
const MAX_CONTROL_BYTES: usize = 125;
/// What one frame of ours holds at most: a Noise frame and its length.
const MAX_SENT_BYTES: usize = 64 * 1024 + 2;

/// Where in the other side's frames we are.
#[derive(Debug)]
enum Reading {
    /// So many bytes of a header are here.
    Header { bytes: [u8; MAX_HEADER_BYTES], have: usize },
    /// In a frame of data: what is still to come, and how far the mask has turned.
    Data { left: usize, mask: [u8; 4], at: usize },
    /// In a ping, a pong or a close.
    Control {
        code: OpCode,
        mask: [u8; 4],
        bytes: [u8; MAX_CONTROL_BYTES],
        have: usize,
        want: usize,
    },
    /// They said goodbye.
    Closed,
}

const NEXT_HEADER: Reading = Reading::Header {
    bytes: [0; MAX_HEADER_BYTES],
    have: 0,
};

#[derive(Debug)]
pub(in crate::swarm) struct Frames<C> {
    connection: C,
    /// What came along with the handshake.
    early: BytesMut,
    mode: Mode,
    codec: Codec,
    reading: Reading,
    /// What is to be written before anything else, and how much of it was.
    sending: Vec<u8>,
    sent: usize,
    /// An answer to a ping or a close; a newer one takes an older one's place (section 5.5.3).
    answer: Option<Vec<u8>>,
    said_goodbye: bool,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Frames<C> {
    /// `early` is what was read of the frames already.
    pub(super) fn new(connection: C, mode: Mode, early: BytesMut) -> Self {
        let mut codec = Codec::new();
        // A length alone costs nothing here.
        codec.set_max_data_size(usize::MAX);
        Self {
            connection,
            early,
            mode,
            codec,
            reading: NEXT_HEADER,
            sending: Vec::new(),
            sent: 0,
            answer: None,
            said_goodbye: false,
        }
    }

    /// A whole frame of ours; a client's is masked (section 5.3), which hides nothing from Noise.
    fn encode(&mut self, code: OpCode, payload: &[u8]) -> Vec<u8> {
        let mut header = Header::new(code);
        header.set_fin(true).set_payload_len(payload.len());
        if self.mode.is_client() {
            header.set_masked(true).set_mask(rand::random());
        }
        let mut frame = self.codec.encode_header(&header).to_vec();
        let begin = frame.len();
        frame.extend_from_slice(payload);
        Codec::apply_mask(&header, &mut frame[begin..]);
        frame
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.sending.len() {
                let written = Pin::new(&mut self.connection).poll_write(cx, &self.sending[self.sent..]);
                match ready!(written)? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.sent += written,
                }
            }
            self.sent = 0;
            match self.answer.take() {
                Some(answer) => self.sending = answer,
                None => {
                    self.sending = Vec::new();
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Begins an answer by the reader's own waker, but only where no writer waits for the connection: its waker would be
    /// forgotten.
    fn answer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.sending.is_empty() && self.answer.is_some() {
            match self.poll_sent(cx) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    /// Goes on in a header; what follows it is the new state.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Reading>>> {
        let Reading::Header { bytes, have } = &mut self.reading else {
            return Poll::Ready(Ok(None));
        };
        loop {
            let parsed = self.codec.decode_header(&bytes[..*have]).map_err(io::Error::other)?;
            let header = match parsed {
                Parsing::Done { value, .. } => value,
                Parsing::NeedMore(more) => {
                    let room = &mut bytes[*have..(*have + more).min(MAX_HEADER_BYTES)];
                    match ready!(read(&mut self.early, &mut self.connection, cx, room))? {
                        0 if *have == 0 => return Poll::Ready(Ok(Some(Reading::Closed))),
                        0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                        count => *have += count,
                    }
                    continue;
                }
            };
            if header.is_masked() == self.mode.is_client() {
                let wrong = "a WebSocket frame is masked by the server, or not by the client (RFC 6455, section 5.1)";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, wrong)));
            }
            let mask = header.mask().to_be_bytes();
            return Poll::Ready(Ok(Some(match header.opcode() {
                code if code.is_control() => Reading::Control {
                    code,
                    mask,
                    bytes: [0; MAX_CONTROL_BYTES],
                    have: 0,
                    want: header.payload_len(),
                },
                _ => Reading::Data {
                    left: header.payload_len(),
                    mask,
                    at: 0,
                },
            })));
        }
    }

    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Reading>>> {
        let Reading::Control {
            code,
            mask,
            bytes,
            have,
            want,
        } = &mut self.reading
        else {
            return Poll::Ready(Ok(None));
        };
        while have < want {
            let room = &mut bytes[*have..*want];
            match ready!(read(&mut self.early, &mut self.connection, cx, room))? {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                count => *have += count,
            }
        }
        let (code, mut payload) = (*code, bytes[..*want].to_vec());
        unmask(&mut payload, *mask, 0);
        match code {
            OpCode::Ping => {
                self.answer = Some(self.encode(OpCode::Pong, &payload));
                Poll::Ready(Ok(Some(NEXT_HEADER)))
            }
            OpCode::Close => {
                if !self.said_goodbye {
                    self.said_goodbye = true;
                    // Their code comes back (section 5.5.1).
                    let code = payload.get(..2).unwrap_or_default();
                    self.answer = Some(self.encode(OpCode::Close, code));
                }
                Poll::Ready(Ok(Some(Reading::Closed)))
            }
            _ => Poll::Ready(Ok(Some(NEXT_HEADER))),
        }
    }
}

fn read<C: AsyncRead + Unpin>(
    early: &mut BytesMut,
    connection: &mut C,
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    if early.is_empty() {
        return Pin::new(connection).poll_read(cx, room);
    }
    let count = early.len().min(room.len());
    room[..count].copy_from_slice(&early.split_to(count));
    Poll::Ready(Ok(count))
}

fn unmask(bytes: &mut [u8], mask: [u8; 4], at: usize) {
    let key = mask.iter().cycle().skip(at % mask.len());
    for (byte, key) in bytes.iter_mut().zip(key) {
        *byte ^= key;
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Frames<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            this.answer(cx)?;
            let next = match &mut this.reading {
                Reading::Header { .. } => ready!(this.poll_header(cx))?,
                Reading::Control { .. } => ready!(this.poll_control(cx))?,
                Reading::Closed => return Poll::Ready(Ok(0)),
                Reading::Data { left: 0, .. } => Some(NEXT_HEADER),
                Reading::Data { .. } if buffer.is_empty() => return Poll::Ready(Ok(0)),
                Reading::Data { left, mask, at } => {
                    let most = buffer.len().min(*left);
                    let count = ready!(read(&mut this.early, &mut this.connection, cx, &mut buffer[..most]))?;
                    if count == 0 {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    unmask(&mut buffer[..count], *mask, *at);
                    *left -= count;
                    *at = (*at + count) % mask.len();
                    return Poll::Ready(Ok(count));
                }
            };
            if let Some(next) = next {
                this.reading = next;
            }
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Frames<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_sent(cx))?;
        if self.said_goodbye {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let taken = &bytes[..bytes.len().min(MAX_SENT_BYTES)];
        self.sending = self.encode(OpCode::Binary, taken);
        // The frame is ours from now on; the next write or flush goes on where this one stops.
        match self.poll_sent(cx) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => {}
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        if !self.said_goodbye {
            self.said_goodbye = true;
            // 1000: the purpose was fulfilled (section 7.4.1).
            self.sending = self.encode(OpCode::Close, &1000u16.to_be_bytes());
            ready!(self.poll_sent(cx))?;
        }
        Pin::new(&mut self.connection).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{AsyncReadExt, AsyncWriteExt, Cursor};

    use super::*;

    /// What a server reads of `bytes`, a few at a time, and what it sends meanwhile.
    fn served(bytes: &[u8]) -> (io::Result<Vec<u8>>, Vec<u8>) {
        /// Gives three bytes for each read, and keeps what is written.
        struct Slow(Cursor<Vec<u8>>, Vec<u8>);
        impl AsyncRead for Slow {
            fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                let most = buffer.len().min(3);
                Pin::new(&mut self.0).poll_read(cx, &mut buffer[..most])
            }
        }
        impl AsyncWrite for Slow {
            fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                self.1.extend_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        let mut frames = Frames::new(
            Slow(Cursor::new(bytes.to_vec()), Vec::new()),
            Mode::Server,
            BytesMut::new(),
        );
        let mut read = Vec::new();
        let outcome = block_on(frames.read_to_end(&mut read)).map(|_| read);
        (outcome, frames.connection.1)
    }

    /// As a client sends it: `first` is the first byte of the header.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = match payload.len() {
            length @ 0..=125 => vec![first, 0x80 | length as u8],
            length => [&[first, 0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
        };
        frame.extend(mask);
        let mut payload = payload.to_vec();
        unmask(&mut payload, mask, 0);
        frame.extend(payload);
        frame
    }

    #[test]
    fn frames_are_one_stream_whatever_their_borders() {
        let long: Vec<u8> = (0..300u16).map(|n| n as u8).collect();
        // Binary in two fragments with a ping between, text, an empty one, a long one.
        let sent = [
            masked(0x02, b"one "),
            masked(0x89, b"still there?"),
            masked(0x80, b"two "),
            masked(0x81, b"three "),
            masked(0x82, b""),
            masked(0x82, &long),
        ]
        .concat();
        let (read, written) = served(&sent);
        assert_eq!(read.unwrap(), [b"one two three ".as_slice(), &long].concat());
        assert_eq!(written, [b"\x8a\x0c".as_slice(), b"still there?"].concat());
    }

    #[test]
    fn a_close_is_answered_and_ends_the_stream() {
        let (read, written) = served(&[masked(0x82, b"x"), masked(0x88, b"\x03\xe9bye"), masked(0x82, b"y")].concat());
        assert_eq!(read.unwrap(), b"x");
        assert_eq!(written, b"\x88\x02\x03\xe9");
    }

    #[test]
    fn what_no_client_sends_is_an_error() {
        let unmasked = b"\x82\x01x".to_vec();
        let cut = masked(0x82, b"xyz")[..8].to_vec();
        let long_ping = [b"\x89\xfe\x01\x00\0\0\0\0".as_slice(), &[0; 256]].concat();
        for bytes in [
            unmasked,
            cut,
            long_ping,
            masked(0x83, b"x"),
            masked(0xc2, b"x"),
            vec![0x82],
        ] {
            assert!(served(&bytes).0.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_client_writes_what_a_server_reads() {
        let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let mut client = Frames::new(Cursor::new(Vec::new()), Mode::Client, BytesMut::new());
        block_on(async {
            client.write_all(&sent).await.unwrap();
            client.close().await.unwrap();
        });
        let wire = client.connection.into_inner();
        assert_eq!(served(&wire).0.unwrap(), sent);
    }
}
