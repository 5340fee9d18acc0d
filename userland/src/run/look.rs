//! Looks at the host's files, each one system call: is there a link on the way, where does it lead.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2, readlink};

/// What a path without links in it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Straight {
    /// It is there.
    There,
    /// It is not, and no link is on the way to where it ends.
    Missing,
    /// There is a link on the way, or nobody can say.
    Winding,
}

/// Follows no link, except that the last name may be one if it is not followed.
pub(super) fn straight(path: &[u8], follow: bool) -> Straight {
    let last = if follow { OFlag::empty() } else { OFlag::O_NOFOLLOW };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | last)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, how) {
        Ok(_) => Straight::There,
        Err(Errno::ENOENT | Errno::ENOTDIR) => Straight::Missing,
        Err(_) => Straight::Winding,
    }
}

/// The text of a link; EINVAL: it is none.
pub(super) fn link(path: &[u8]) -> Result<Vec<u8>, Errno> {
    readlink(path).map(OsStringExt::into_vec)
}

/// Whether something is there, be it a link to nowhere.
pub(super) fn exists(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).symlink_metadata().is_ok()
}

/// Whether it is a directory, a link followed.
pub(super) fn is_directory(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).is_dir()
}
