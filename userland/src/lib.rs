//! The tools of tracefd. Each is one module, written against `&dyn Host` alone; only the binary names a machine.
//!
//! - [`trace`]: every call, signal, birth and end of processes, as text.
//!
//! What tools share: [`tables`], [`decode`] and [`select`] (system calls), [`numbers`] (error names), [`output`], [`signals`] and
//! [`ending`] (the tool as a process of its own), [`launch`] and [`diagnose`] (getting at a process, or saying why not).

#![forbid(unsafe_code)]

/// Formats into a `Vec<u8>`, where writing cannot fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {{
        use std::io::Write as _;
        let _ = write!($out, $($text)*);
    }};
}

pub mod cli;
pub mod decode;
pub mod diagnose;
pub mod ending;
pub mod failure;
pub mod launch;
pub mod numbers;
pub mod output;
pub mod select;
pub mod signals;
pub mod tables;
pub mod trace;
