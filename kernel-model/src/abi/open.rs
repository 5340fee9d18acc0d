//! Open flags, fcntl commands, seek origins.

use bitflags::bitflags;

bitflags! {
    /// How a path is opened. Values are Redox's. The access mode is kept and shown, not enforced (R-flags, RFC 0001).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpenFlags: u32 {
        /// For reading.
        const O_RDONLY = 0x0001_0000;
        /// For writing.
        const O_WRONLY = 0x0002_0000;
        /// For both.
        const O_RDWR = 0x0003_0000;
        /// `trace`, `event:`: a read that would wait answers EAGAIN.
        const O_NONBLOCK = 0x0004_0000;
        /// The descriptor closes when its client execs. A property of the descriptor, not of what it refers to.
        const O_CLOEXEC = 0x0100_0000;
        /// No meaning here.
        const O_CREAT = 0x0200_0000;
        /// `trace`: stop the process (R8).
        const O_TRUNC = 0x0400_0000;
        /// `trace`: kill the process when the handle closes (R56).
        const O_EXCL = 0x0800_0000;
        /// Trees of files: ENOTDIR unless it is a directory (RFC 0010).
        const O_DIRECTORY = 0x1000_0000;
        /// Trees of files: for fstat only (RFC 0010).
        const O_STAT = 0x2000_0000;
        /// Trees of files: a symbolic link itself; what is read is its target (RFC 0010).
        const O_SYMLINK = 0x4000_0000;
        /// Trees of files: ELOOP for a symbolic link, without O_SYMLINK (RFC 0010).
        const O_NOFOLLOW = 0x8000_0000;
    }
}

/// Duplicate a descriptor.
pub const F_DUPFD: u32 = 0;
/// Read a descriptor's O_CLOEXEC.
pub const F_GETFD: u32 = 1;
/// Set a descriptor's O_CLOEXEC.
pub const F_SETFD: u32 = 2;
/// Read the flags a description was opened with.
pub const F_GETFL: u32 = 3;
/// Set or clear O_NONBLOCK; every other bit is left alone (F14).
pub const F_SETFL: u32 = 4;

/// From the start.
pub const SEEK_SET: u32 = 0;
/// From the cursor.
pub const SEEK_CUR: u32 = 1;
/// From the end.
pub const SEEK_END: u32 = 2;
