//! Recordings of a machine (RFC 0007): [`Recording`] wraps any machine and writes down all that it reports and answers;
//! [`Replay`] is a machine that answers from that.
//!
//! A file is a line that says what it is, a [`Header`], and sealed records, in the order in which things happened
//! (`wire`, `entry`). [`Replay`] reads them as it needs them (`answers` has what was read and not asked for yet), so a
//! recording may be larger than memory. What was not recorded is ENODATA.

mod answers;
mod change;
mod descriptor;
mod entry;
mod header;
mod machine;
mod reader;
mod recording;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use header::Header;
pub use reader::Replay;
pub use recording::{Recording, left};

use crate::abi::Errno;
use crate::machine::Error;

/// What was not recorded.
const UNRECORDED: Error = Error::Other(Errno::ENODATA);

/// The machine's clock at the last report, in nanoseconds since the recording began. Clones are the same.
///
/// A tool that takes its times from here, while it records and while it replays, shows the same times.
#[derive(Clone, Debug, Default)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    /// At that report.
    pub fn nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, nanos: u64) {
        self.0.store(nanos, Ordering::Relaxed);
    }
}

/// Where a recording ends to be one. What came before it is whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Damage {
    /// Of the first record that is not whole.
    pub offset: u64,
    what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at offset {}", self.what, self.offset)
    }
}

impl Damage {
    fn at(offset: u64, what: &str) -> Damage {
        Damage { offset, what: what.to_owned() }
    }

    fn cut(offset: u64) -> Damage {
        Damage::at(offset, "the file ends inside a record")
    }

    fn unfinished(offset: u64) -> Damage {
        Damage::at(
            offset,
            "the file ends without the recording's end: the recorder was killed, or its disk full",
        )
    }

    fn io(offset: u64, error: &std::io::Error) -> Damage {
        Damage { offset, what: format!("the file cannot be read: {error}") }
    }
}
