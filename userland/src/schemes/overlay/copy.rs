//! Copying up: what is about to be changed gets a copy above, with its directories. Made under a hidden name, then moved in.

use std::ffi::OsString;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use kernel_model::abi::{Errno, Result};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::{Found, Overlay, WHITEOUT};
use crate::run::backing::Intent;
use crate::schemes::errors::errno;
use crate::schemes::tree::lock;

impl Overlay {
    /// Sees to it that `below` is above: a file with its content, a directory as one that what is below shows through.
    pub(super) fn copy_up(&self, below: &Path, found: &Found) -> Result<()> {
        if found.above.is_some() {
            return Ok(());
        }
        let Some((path, metadata)) = &found.below else { return Err(Errno::ENOENT) };
        if let Some(parent) = below.parent() {
            self.copy_up(parent, &self.find(parent)?)?;
        }
        // What is slow comes first, without the lock.
        let source = if metadata.is_file() { self.below.locate(below, Intent::Read)? } else { path.clone() };
        let metadata = source.symlink_metadata().map_err(errno)?;
        let _changes = lock(&self.changes);
        let target = self.above(below);
        if target.symlink_metadata().is_ok() {
            return Ok(()); // somebody was faster
        }
        let parent = target.parent().ok_or(Errno::EINVAL)?;
        let before = parent.metadata().map_err(errno)?;
        let mut name = OsString::from(format!("{WHITEOUT}{WHITEOUT}new-"));
        name.push(self.private.unused().file_name().unwrap_or_default());
        let new = parent.join(name);
        let made = copy(&source, &metadata, &new).and_then(|()| fs::rename(&new, &target));
        if made.is_err() {
            let _ = fs::remove_file(&new);
        }
        made.and_then(|()| set_time(parent, &before)).map_err(errno)
    }

    /// Sees to it that a directory is above with all that is in it, and nothing below shows through any more.
    pub(super) fn copy_tree(&self, below: &Path) -> Result<()> {
        let found = self.find(below)?;
        self.copy_up(below, &found)?;
        if !found.is_dir() {
            return Ok(());
        }
        for (name, _) in self.names(below, &found)? {
            self.copy_tree(&below.join(name))?;
        }
        let shows = found.below.is_some();
        if shows && below.file_name().is_some() {
            self.hide(below)?;
        }
        if shows || found.above.is_some() {
            // Nothing is left to be hidden in it, and to the kernel it must be as empty as it is to the program.
            let dir = self.above(below);
            let before = dir.metadata().map_err(errno)?;
            for entry in fs::read_dir(&dir).map_err(errno)?.flatten() {
                if entry.file_name().as_encoded_bytes().starts_with(WHITEOUT.as_bytes()) {
                    fs::remove_file(entry.path()).map_err(errno)?;
                }
            }
            set_time(&dir, &before).map_err(errno)?;
        }
        Ok(())
    }
}

/// One file, link or empty directory, with its attributes.
fn copy(source: &Path, metadata: &Metadata, target: &Path) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(source)?, target)?;
    } else if kind.is_dir() {
        fs::create_dir(target)?;
    } else if kind.is_file() {
        fs::copy(source, target)?;
    } else {
        return Err(io::Error::from_raw_os_error(Errno::ENXIO.0)); // pipes and devices are not copied
    }
    // Only root can give a file away; another's copy is its own.
    let _ = lchown(target, Some(metadata.uid()), Some(metadata.gid()));
    if !kind.is_symlink() {
        fs::set_permissions(target, Permissions::from_mode(metadata.mode() & 0o7777))?;
    }
    set_time(target, metadata)
}

/// Times as they were.
pub(super) fn set_time(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let accessed = TimeSpec::new(metadata.atime(), metadata.atime_nsec());
    let modified = TimeSpec::new(metadata.mtime(), metadata.mtime_nsec());
    let flag = UtimensatFlags::NoFollowSymlink;
    utimensat(nix::fcntl::AT_FDCWD, path, &accessed, &modified, flag).map_err(io::Error::from)
}
