//! [`Failure`]: everything that ends a tool before its work is done, as one line with cause and remedy, and an exit status.

use kernel_model::abi::{Errno, Pid};
use thiserror::Error;

/// Why a tool gave up.
#[derive(Debug, Error)]
pub enum Failure {
    /// The command was found nowhere.
    #[error("command `{command}` not found: {remedy}")]
    NotFound {
        /// As it was given.
        command: String,
        /// Where it was looked for, or what is missing.
        remedy: String,
    },
    /// The command is there, and cannot be run.
    #[error("cannot run `{command}`: {cause}")]
    CannotRun {
        /// The file.
        command: String,
        /// With the remedy.
        cause: String,
    },
    /// A process cannot be traced.
    #[error("cannot attach to process {pid}{}: {cause}", name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default())]
    Attach {
        /// Which.
        pid: Pid,
        /// Its program, if that could be found out.
        name: Option<String>,
        /// With the remedy.
        cause: String,
    },
    /// The output file cannot be made.
    #[error("cannot write {path}: {cause}")]
    Output {
        /// As it was given.
        path: String,
        /// Of the operating system.
        cause: std::io::Error,
    },
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {cause}")]
    Input {
        /// As it was given.
        path: String,
        /// Of the operating system.
        cause: std::io::Error,
    },
    /// A simulator program is not one.
    #[error("{path}: {cause}")]
    Program {
        /// As it was given.
        path: String,
        /// With the line.
        cause: String,
    },
    /// A recording is no recording, or not from some point on.
    #[error("{path}: {cause}{}", if *.shown { "; what came before it was replayed" } else { "" })]
    Recording {
        /// As it was given.
        path: String,
        /// With the offset.
        cause: String,
        /// Whether there was something to replay.
        shown: bool,
    },
    /// A combination of options without a meaning.
    #[error("{0}")]
    Usage(String),
    /// The machine refused to start, or has no such thing.
    #[error("{0}")]
    Machine(String),
    /// Nothing that is traced can ever go on (a simulated deadlock).
    #[error("every traced process waits, and nothing can end that wait: the program has a deadlock")]
    Deadlock,
    /// A file operation of the tracing kernel failed where it should not.
    #[error("{doing}: {errno}")]
    Kernel {
        /// What was being done.
        doing: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
}

impl Failure {
    /// 127 not found, 126 cannot run, 2 usage, else 125: env(1), nice(1) and their family use these.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::NotFound { .. } => 127,
            Failure::CannotRun { .. } | Failure::Program { .. } => 126,
            Failure::Usage(_) => 2,
            _ => 125,
        }
    }

    /// For `map_err`, where the errno needs no more explanation than what was being done.
    pub fn kernel(doing: &'static str) -> impl Fn(Errno) -> Failure {
        move |errno| Failure::Kernel { doing, errno }
    }
}
