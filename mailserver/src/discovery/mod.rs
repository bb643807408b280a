//! Finding peers: lists of nodes in DNS and discv5.

pub mod tree;
