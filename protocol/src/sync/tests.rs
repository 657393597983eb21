//! Sessions between engines, without a network.
