//! `tracefd run`: schemes as paths for programs that know nothing of them.

pub mod backing;
