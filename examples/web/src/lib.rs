//! A web server (axum) whose handlers ask actors: carts, one for each customer, each in one place of the cluster.

pub mod cart;
pub mod server;
