//! The tools of tracefd. Each is one module, written against `&dyn Host` alone; only the binary names a machine.
//!
//! - [`run`]: paths of schemes for programs that know nothing of them; [`schemes`] is what can be behind such a path.
//! - [`trace`]: every call, signal, birth and end of processes, in one of several formats ([`format`](mod@format)).
//! - [`lab`]: scenarios on the simulator, in every order, and what was found, move by move.
//!
//! What tools share: [`tables`], [`decode`], [`select`], [`qualify`] and [`sets`] (system calls and `-e`), [`numbers`] (error names), [`output`], [`signals`] and
//! [`ending`] (the tool as a process of its own), [`setup`] (what the options of `trace` mean), [`launch`] and [`diagnose`] (getting at a process, or saying why not).

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
pub mod format;
pub mod index;
pub mod lab;
pub mod launch;
pub mod longs;
pub mod numbers;
pub mod output;
pub mod piped;
pub mod qualify;
pub mod ready;
pub mod run;
pub mod schemes;
pub mod select;
pub mod sets;
pub mod setup;
pub mod signals;
pub mod tables;
pub mod tools;
pub mod trace;
