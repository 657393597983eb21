//! Every test of this package is one binary: it links once.

mod e2e;
