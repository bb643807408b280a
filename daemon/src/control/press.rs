//! Pressing the simulated button as a finger would: through the FIFO that stands for it, so that the classifier and the
//! lights take part.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;

pub(super) async fn press(fifo: &Path, hold: Duration) -> std::io::Result<()> {
    // Without a reader this fails instead of waiting for one.
    let mut button = OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(fifo)?;
    button.write_all(b"down\n")?;
    tokio::time::sleep(hold).await;
    button.write_all(b"up\n")
}
