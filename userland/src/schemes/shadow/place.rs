//! Placeholders: made beside the tree with all their attributes, then moved in, so that nobody sees one half made.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use kernel_model::abi::{Errno, Stat};
use kernel_model::scheme::Scheme;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::{Content, Known, Shadow, There};
use crate::schemes::names::to_bytes;
use crate::schemes::tree::lock;

impl<S: Scheme + Send + Sync> Shadow<S> {
    /// A placeholder for what is now said of `below`, in place of what was known. What is the same file stays.
    pub(super) fn place(
        &self,
        below: &Path,
        stat: &Stat,
        target: Option<&[u8]>,
        known: &Known,
    ) -> io::Result<There> {
        let host = self.host(below);
        if let Known::There(old) = known {
            let same_type = old.stat.mode & Stat::MODE_TYPE == stat.mode & Stat::MODE_TYPE;
            if same_type && stat.is_dir() {
                set_attributes(&host, stat)?;
                return Ok(There { stat: *stat, content: old.content.clone() });
            }
            let link = || fs::read_link(&host).is_ok_and(|now| Some(now.as_os_str().as_bytes()) == target);
            if same_type && if stat.is_symlink() { link() } else { is_same_file(&old.stat, stat) } {
                return Ok(old.clone());
            }
            if !(same_type && stat.is_file()) {
                self.take_away(below);
            }
        }
        let new = self.tree.with_file_name(format!(
            "new-{}",
            self.private.unused().file_name().unwrap_or_default().display()
        ));
        let content = match stat.mode & Stat::MODE_TYPE {
            Stat::MODE_DIR => {
                fs::DirBuilder::new().mode(0o700).create(&new)?;
                set_attributes(&new, stat)?;
                Arc::default()
            }
            Stat::MODE_SYMLINK => {
                let target = target.map(|text| to_bytes(&String::from_utf8_lossy(text))).unwrap_or_default();
                symlink(std::ffi::OsStr::from_bytes(&target), &new)?;
                set_time(&new, stat)?;
                Arc::default()
            }
            Stat::MODE_FILE => {
                let content = self.place_file(&new, &host, stat)?;
                return Ok(There { stat: *stat, content });
            }
            // A device or a pipe is nothing that could be copied.
            _ => return Err(io::Error::from_raw_os_error(Errno::ENXIO.0)),
        };
        fs::rename(&new, &host).inspect_err(|_| drop(fs::remove_file(&new)))?;
        Ok(There { stat: *stat, content })
    }

    /// A new file, or a further name of one that is there. In place before another thread can look for the number.
    fn place_file(&self, new: &Path, host: &Path, stat: &Stat) -> io::Result<Arc<Content>> {
        let mut numbers = lock(&self.numbers);
        if host.symlink_metadata().is_ok() {
            numbers.retain(|_, (first, _)| first != host); // this is a new version
        }
        let known = numbers.get(&stat.ino).filter(|_| stat.ino != 0);
        if let Some(content) =
            known.and_then(|(first, content)| fs::hard_link(first, new).ok().map(|()| content.clone()))
        {
            // rename does nothing between two names of one file.
            let _ = fs::remove_file(host);
            return fs::rename(new, host).map(|()| content);
        }
        make_file(new, stat)?;
        fs::rename(new, host).inspect_err(|_| drop(fs::remove_file(new)))?;
        let content = Arc::<Content>::default();
        if stat.ino != 0 {
            numbers.insert(stat.ino, (host.to_owned(), content.clone()));
        }
        Ok(content)
    }

    /// The name is gone at its source, or becomes something else.
    pub(super) fn take_away(&self, below: &Path) {
        let host = self.host(below);
        let Ok(metadata) = fs::symlink_metadata(&host) else { return };
        lock(&self.numbers).retain(|_, (first, _)| !first.starts_with(&host));
        if !metadata.is_dir() {
            let _ = fs::remove_file(&host);
            return;
        }
        let _ = fs::remove_dir_all(&host);
        lock(&self.entries).retain(|path, _| path == below || !path.starts_with(below));
    }

    /// A name that is listed, and of which nothing more can be learned now.
    pub(super) fn place_unknown(&self, below: &Path) -> io::Result<()> {
        let host = self.host(below);
        if host.symlink_metadata().is_err() {
            File::options().write(true).create_new(true).mode(0o000).open(host)?;
        }
        Ok(())
    }
}

pub(super) fn is_same_file(old: &Stat, new: &Stat) -> bool {
    let size = old.size == new.size || new.size == Stat::UNKNOWN && new.mtime != Stat::UNKNOWN;
    size && (old.ino, old.mtime, old.mtime_nsec) == (new.ino, new.mtime, new.mtime_nsec)
}

fn make_file(path: &Path, stat: &Stat) -> io::Result<()> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    if stat.size != Stat::UNKNOWN {
        file.set_len(stat.size)?; // sparse: it takes no room
    }
    set_attributes(path, stat)
}

/// Permissions and time. Set-user-id bits were meant for another owner. A directory's owner keeps all rights, since the
/// next placeholder in it has to be made by us.
pub(super) fn set_attributes(path: &Path, stat: &Stat) -> io::Result<()> {
    let owner = if stat.is_dir() { 0o700 } else { 0 };
    fs::set_permissions(path, Permissions::from_mode(u32::from(stat.mode & 0o1777 | owner)))?;
    set_time(path, stat)
}

/// The time of last change; of a link, its own.
pub(super) fn set_time(path: &Path, stat: &Stat) -> io::Result<()> {
    if stat.mtime == Stat::UNKNOWN {
        return Ok(());
    }
    let time = TimeSpec::new(i64::try_from(stat.mtime).unwrap_or(i64::MAX), stat.mtime_nsec.into());
    let no_follow = UtimensatFlags::NoFollowSymlink;
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, no_follow).map_err(io::Error::from)
}
