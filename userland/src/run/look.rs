//! Looks at the host's files, each one system call: is there a link on the way, where does it lead.

use std::cell::RefCell;
use std::collections::HashMap;
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
fn straight(path: &[u8], follow: bool) -> Straight {
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

/// As often as a directory is believed before somebody looks again: only others than the program can have changed it.
const BELIEVED: u8 = 64;
/// As many of either as are remembered.
const MOST: usize = 4096;

/// Names on whose way there was no link. What the program itself does to links makes the tool forget them all; what others do
/// is noticed after some uses.
#[derive(Default)]
pub(super) struct Known {
    /// Directories.
    directories: Beliefs<()>,
    /// Whole virtual paths from `/` that were there, and were no link themselves; whether they are on the host.
    paths: Beliefs<bool>,
}

/// What is believed of a name, and how often still.
type Beliefs<T> = RefCell<HashMap<Vec<u8>, (u8, T)>>;

/// What is believed, once more.
fn believed<T: Copy>(known: &Beliefs<T>, name: &[u8]) -> Option<T> {
    let mut known = known.borrow_mut();
    let (left, fact) = known.get_mut(name)?;
    *left = left.checked_sub(1)?;
    Some(*fact)
}

fn remember<T>(known: &Beliefs<T>, name: &[u8], fact: T) {
    let mut known = known.borrow_mut();
    if known.len() >= MOST {
        known.clear();
    }
    known.insert(name.to_vec(), (BELIEVED, fact));
}

impl Known {
    /// Whether a virtual path is on the host, if it is [known](Self::keep) to lead to itself.
    pub(super) fn plain(&self, path: &[u8]) -> Option<bool> {
        believed(&self.paths, path)
    }

    /// A virtual path was found straight, a link at its end followed.
    pub(super) fn keep(&self, path: &[u8], native: bool) {
        remember(&self.paths, path, native);
    }

    /// [`straight`], with fewer looks where the directory is known.
    pub(super) fn straight(&self, path: &[u8], follow: bool) -> Straight {
        let parent = &path[..path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)];
        if believed(&self.directories, parent).is_some() {
            return match if follow { link(path) } else { Err(Errno::EINVAL) } {
                Err(Errno::EINVAL) => Straight::There,
                Err(Errno::ENOENT | Errno::ENOTDIR) => Straight::Missing,
                _ => Straight::Winding,
            };
        }
        let found = straight(path, follow);
        if found == Straight::There && !parent.is_empty() {
            remember(&self.directories, parent, ());
        }
        found
    }

    /// Whether nothing but perhaps the last name of a path is missing.
    pub(super) fn has_parent(&self, path: &[u8]) -> bool {
        let parent = &path[..path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)];
        self.directories.borrow().contains_key(parent) || straight(parent, true) == Straight::There
    }

    /// Links have been made, or moved.
    pub(super) fn forget(&self) {
        self.directories.borrow_mut().clear();
        self.paths.borrow_mut().clear();
    }
}

/// Whether a process has seccomp filters besides those of the run (proc_pid_status(5)): they may kill it for a call that it would not
/// have made itself. Unreadable: yes.
pub(super) fn is_filtered(pid: u32) -> bool {
    let count = |pid: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"))?;
        line.trim().parse::<u32>().ok()
    };
    match (count(&pid.to_string()), count("self")) {
        (Some(its), Some(own)) => its > own + 1,
        _ => true,
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

/// What is there, be it a link.
pub(super) fn kind(path: &[u8]) -> Option<std::fs::FileType> {
    Path::new(OsStr::from_bytes(path)).symlink_metadata().ok().map(|entry| entry.file_type())
}

/// Whether it is a directory, a link followed.
pub(super) fn is_directory(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_directory_is_looked_at_again_when_links_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let at = |name: &str| dir.join(name).into_os_string().into_vec();
        std::fs::create_dir(dir.join("d")).unwrap();
        std::fs::write(dir.join("d/f"), "").unwrap();
        std::os::unix::fs::symlink("f", dir.join("d/l")).unwrap();
        let known = Known::default();
        for _ in 0..3 {
            assert_eq!(known.straight(&at("d/f"), true), Straight::There);
            assert_eq!(known.straight(&at("d/l"), true), Straight::Winding);
            assert_eq!(known.straight(&at("d/l"), false), Straight::There);
            assert_eq!(known.straight(&at("d/none"), true), Straight::Missing);
        }
        std::fs::rename(dir.join("d"), dir.join("e")).unwrap();
        std::os::unix::fs::symlink("e", dir.join("d")).unwrap();
        known.forget();
        assert_eq!(known.straight(&at("d/f"), true), Straight::Winding);
        // What others do is noticed by and by.
        let seen = |path: &[u8]| (0..=u32::from(BELIEVED)).map(|_| known.straight(path, true)).last();
        assert_eq!(seen(&at("e/f")), Some(Straight::There));
        std::fs::rename(dir.join("e"), dir.join("g")).unwrap();
        std::os::unix::fs::symlink("g", dir.join("e")).unwrap();
        assert_eq!(seen(&at("e/f")), Some(Straight::Winding));
    }

    #[test]
    fn a_whole_path_is_believed_for_a_while_and_forgotten_with_the_rest() {
        let known = Known::default();
        assert_eq!(known.plain(b"/a/f"), None);
        known.keep(b"/a/f", true);
        assert!((0..BELIEVED).all(|_| known.plain(b"/a/f") == Some(true)));
        assert_eq!(known.plain(b"/a/f"), None);
        known.keep(b"/a/f", false);
        assert_eq!(known.plain(b"/a/f"), Some(false));
        known.forget();
        assert_eq!(known.plain(b"/a/f"), None);
    }
}
