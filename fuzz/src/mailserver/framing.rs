//! Frames from a peer: reading ends, never holds more than was sent, and a frame that was read is what was framed.

use futures::executor::block_on;
use futures::io::Cursor;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};

const MAX_BYTES: usize = 1024;

pub(crate) fn run(data: &[u8]) {
    let mut wire = Cursor::new(data);
    while let Ok(frame) = block_on(read_frame(&mut wire, MAX_BYTES)) {
        assert!(frame.len() <= MAX_BYTES && frame.len() < data.len());
        let mut again = Cursor::new(Vec::new());
        block_on(write_frame(&mut again, &frame)).expect("memory takes every write");
        let read = block_on(read_frame(&mut Cursor::new(again.into_inner()), MAX_BYTES)).expect("it was framed");
        assert_eq!(read, frame);
    }
}
