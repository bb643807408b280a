//! The operating surface from outside: the program with its flags and exit statuses, REST and metrics over real sockets
//! on a real node.

mod program;
mod rest;
mod support;
