//! The operating surface from outside: the program with its flags and exit statuses, REST and metrics over real sockets
//! on a real node.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod at_once;
mod crossing;
mod discovery;
mod full_disk;
mod namespaces;
mod nat;
mod partition;
mod paths;
mod program;
mod rest;
mod services;
mod support;
