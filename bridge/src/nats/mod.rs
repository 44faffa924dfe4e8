//! NATS JetStream: the only folder that names the client library.

pub mod connect;
