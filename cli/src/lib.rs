//! Placeholder.

pub mod relay;
pub mod sample;
