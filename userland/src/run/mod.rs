//! `tracefd run`: schemes as paths for unmodified programs.

pub mod backing;
