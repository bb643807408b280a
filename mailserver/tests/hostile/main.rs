//! Attackers against the program as it ships: the shipped service file's arguments, real sockets, an honest client beside
//! them. What counts is the memory that the kernel would count against the service's limit, and what the honest client got.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails it")]

mod attacker;
mod deaf_subscribers;
mod half_read;
mod hash_questions;
mod honest;
mod member;
mod peer;
mod relay;
mod unread;
mod unread_answers;
mod victim;

/// The support itself: a victim starts, is asked, and tells its memory.
#[tokio::test]
async fn the_shipped_arguments_start_a_node_that_answers() {
    let victim = victim::Victim::start(&[]).await;
    let health = victim.get("/health").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(victim.address().ends_with(&victim.peer_id()), "{}", victim.address());
    assert!(victim.peak_mib() > 1.0);
    victim.ended().await;
}
