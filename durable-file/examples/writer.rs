//! Replaces the file that it is given, again and again, until it is killed: the victim of `tests/real.rs`. Each content is
//! one letter over and over, and the letter follows from the length. The second argument tells where to begin.

fn main() -> Result<(), durable_file::Error> {
    let path = std::path::PathBuf::from(std::env::args_os().nth(1).unwrap_or_default());
    let first = std::env::args()
        .nth(2)
        .and_then(|first| first.parse().ok())
        .unwrap_or(0);
    for length in (first + 1..).map(|round: usize| 1 + round * 4_099 % 200_000) {
        let letter = b'a' + u8::try_from((length - 1) % 26).unwrap_or_default();
        durable_file::replace(&path, &vec![letter; length], 0o600)?;
    }
    Ok(())
}
