//! What is left of a file whose wishes the box has taken over: as long as before, and without any of them.

use crate::answer::fitted;

const SENTENCE: &str = "# The Pillarbox has taken this over; pillarbox-answer.txt says what became of it.\n";

/// The file's new bytes. A comment in all of the forms, and one that says nothing even when it had to be cut short.
pub fn taken(bytes: usize) -> Vec<u8> {
    fitted(SENTENCE, bytes)
}

/// Whether this is what [`taken`] left.
pub fn is_taken(content: &[u8]) -> bool {
    content == taken(content.len())
}
