//! Sealing: what opens, everything that must not, and bytes that never change.

mod body;
mod cost;
mod keys;
mod vectors;
mod wrap;
