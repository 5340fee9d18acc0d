//! Numbers and layouts that cross a file handle, and nothing else.
//!
//! All of them are those of Redox's third generation of this interface (June 2020); a test compares each with the
//! `redox_syscall` crate. What Redox has no number for says so.

mod call;
mod errno;
mod event;
mod flags;
mod log;
mod open;
mod regs;
mod siginfo;
mod signal;

pub use call::CallRecord;
pub use errno::Errno;
pub use event::{Event, PtraceEvent, Stat};
pub use flags::{EventFlags, PtraceFlags};
pub use log::{
    LOG_MOST, LOG_VERSION, LogBirth, LogCall, LogCapture, LogDeath, LogDrop, LogHeader, LogImage, LogPiece,
    LogRecord, LogSignal,
};
pub use open::{F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL, OpenFlags, SEEK_CUR, SEEK_END, SEEK_SET};
pub use regs::{EnvRegisters, FloatRegisters, IntRegisters};
pub use siginfo::SigInfo;
pub use signal::{Pid, Signal, Status};

/// What every operation at the file boundary answers.
pub type Result<T> = std::result::Result<T, Errno>;
