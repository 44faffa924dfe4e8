//! From a queue into a stream.
