//! Records that are read from handles: [`PtraceEvent`] (`trace`), [`Event`] (`event:`), [`Stat`] (fstat).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::PtraceFlags;

/// One record of a `trace` handle: 56 bytes, native-endian, 8-byte fields in this order. Unused fields are 0.
///
/// | cause | a | b | d | e | f |
/// |---|---|---|---|---|---|
/// | PRE_SYSCALL, POST_SYSCALL | | | call number | sequence id from 1 | ABI of the call |
/// | SIGNAL | signal | handler: 0 default, 1 ignored, else an address | | | |
/// | EXIT, DEATH | wait status | | | | |
/// | CLONE | child's pid | | | | |
/// | IMAGE | pid before exec | | | | |
/// | JOBSTOP | signal | | | | |
/// | SINGLESTEP, BREAKPOINT, INTERRUPT | | | | | |
///
/// A PRE and a POST with the same sequence id are of the same call, however calls nest.
/// ABI: 0 the machine's own, 1 its 32-bit one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PtraceEvent {
    /// Exactly one bit of [`PtraceFlags`].
    pub cause: u64,
    /// See the table.
    pub a: u64,
    /// See the table.
    pub b: u64,
    /// Always 0.
    pub c: u64,
    /// See the table.
    pub d: u64,
    /// See the table.
    pub e: u64,
    /// See the table.
    pub f: u64,
}

impl PtraceEvent {
    /// Bytes of one record.
    pub const SIZE: usize = size_of::<PtraceEvent>();

    /// [`cause`](Self::cause) as a flag; unknown bits survive.
    pub fn cause(&self) -> PtraceFlags {
        PtraceFlags::from_bits_retain(self.cause)
    }
}

/// A subscription written to `event:`, and a report read from it: 24 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Event {
    /// The descriptor.
    pub id: u64,
    /// [`super::EventFlags`]; writing 0 unsubscribes.
    pub flags: u64,
    /// Given back in every report.
    pub data: u64,
}

impl Event {
    /// Bytes of one record.
    pub const SIZE: usize = size_of::<Event>();
}

/// What fstat answers: the fields of Redox's `Stat` that a handle here can have a meaning for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stat {
    /// Type ([`Stat::MODE_TYPE`]) and permission bits. A process handle is [`Stat::MODE_FILE`] and 0o666 or 0o444.
    pub mode: u16,
    /// Bytes; 0 where a handle has no size; [`Stat::UNKNOWN`] where it shows only when everything was read (RFC 0010).
    pub size: u64,
    /// Names with the same number other than 0 are one file with one content (RFC 0010). 0: nothing is said.
    pub ino: u64,
    /// Last change, in seconds since 1970; [`Stat::UNKNOWN`]: nothing is said. A process handle has 0.
    pub mtime: u64,
    /// Nanoseconds of `mtime`.
    pub mtime_nsec: u32,
}

impl Stat {
    /// The bits of `mode` that are the type.
    pub const MODE_TYPE: u16 = 0xF000;
    /// The type bits of a regular file.
    pub const MODE_FILE: u16 = 0x8000;
    /// The type bits of a directory.
    pub const MODE_DIR: u16 = 0x4000;
    /// The type bits of a symbolic link.
    pub const MODE_SYMLINK: u16 = 0xA000;
    /// A `size` that is not known before the content is; an `mtime` that is not known at all.
    pub const UNKNOWN: u64 = u64::MAX;

    /// Is it a directory?
    pub const fn is_dir(&self) -> bool {
        self.mode & Stat::MODE_TYPE == Stat::MODE_DIR
    }

    /// Is it a regular file?
    pub const fn is_file(&self) -> bool {
        self.mode & Stat::MODE_TYPE == Stat::MODE_FILE
    }

    /// Is it a symbolic link?
    pub const fn is_symlink(&self) -> bool {
        self.mode & Stat::MODE_TYPE == Stat::MODE_SYMLINK
    }
}
