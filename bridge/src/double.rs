//! An engine without a network, for tests.
