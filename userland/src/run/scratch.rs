//! [`Scratch`]: a private directory for what exists for one run only: directories that only lead to mount points,
//! snapshots of `/proc/<pid>/maps`, programs whose loader is in a mount.
//!
//! Made at first need, removed at the end; if the tracer is killed, by a later one.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::mounts::{is_below, path_of};
use crate::schemes::private::Private;

/// The directory, and which virtual names its files stand for.
#[derive(Default)]
pub(super) struct Scratch {
    dir: OnceCell<Option<Private>>,
    names: RefCell<HashMap<PathBuf, Vec<u8>>>,
    snapshots: RefCell<Vec<PathBuf>>,
}

/// Snapshots that are kept, newest last: a program has opened an older one long ago.
const SNAPSHOTS: usize = 64;

impl Scratch {
    fn private(&self) -> io::Result<&Private> {
        let private = self.dir.get_or_init(|| Private::new().ok());
        private.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }

    /// The directory that stands for `virt`, with an entry for each of `points` below it.
    pub(super) fn glue<'p>(
        &self,
        virt: &[u8],
        points: impl Iterator<Item = &'p [u8]>,
    ) -> io::Result<Vec<u8>> {
        let root = self.private()?.path().join("glue");
        let host = |virt: &[u8]| root.join(path_of(virt.strip_prefix(b"/").unwrap_or(virt)));
        for point in points {
            let rest = point[virt.len()..].strip_prefix(b"/").unwrap_or_default();
            let first = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
            std::fs::create_dir_all(host(&[virt, b"/", first].concat()))?;
        }
        Ok(host(virt).into_os_string().as_os_str().as_bytes().to_vec())
    }

    /// A new file with this content.
    pub(super) fn snapshot(&self, content: &[u8]) -> io::Result<Vec<u8>> {
        let path = self.private()?.unused();
        std::fs::write(&path, content)?;
        let bytes = path.as_os_str().as_bytes().to_vec();
        let mut snapshots = self.snapshots.borrow_mut();
        snapshots.push(path);
        if snapshots.len() > SNAPSHOTS {
            let _ = std::fs::remove_file(snapshots.remove(0));
        }
        Ok(bytes)
    }

    /// A place for a file called `name` that stands for `virt`.
    pub(super) fn place_for(&self, name: &[u8], virt: &[u8]) -> io::Result<PathBuf> {
        let dir = self.private()?.unused();
        std::fs::create_dir(&dir)?;
        let path = dir.join(path_of(name));
        self.names.borrow_mut().insert(path.clone(), virt.to_vec());
        Ok(path)
    }

    /// A new directory.
    pub(super) fn directory(&self) -> io::Result<PathBuf> {
        let dir = self.private()?.unused();
        std::fs::create_dir(&dir)?;
        dir.canonicalize()
    }

    /// A file of such a directory stands for `virt`.
    pub(super) fn called(&self, path: &Path, virt: &[u8]) {
        self.names.borrow_mut().insert(path.to_owned(), virt.to_vec());
    }

    /// It stands for nothing any more.
    pub(super) fn forgotten(&self, path: &Path) {
        self.names.borrow_mut().remove(path);
    }

    /// A short name for a directory that stands for `virt`.
    pub(super) fn link_to(&self, target: &[u8], virt: &[u8]) -> io::Result<Vec<u8>> {
        let mut names = self.names.borrow_mut();
        let link = self.private()?.unused();
        std::os::unix::fs::symlink(path_of(target), &link)?;
        names.insert(link.clone(), virt.to_vec());
        Ok(link.into_os_string().as_os_str().as_bytes().to_vec())
    }

    /// The virtual name that a host path stands for, if it is of here.
    pub(super) fn name_of(&self, host: &Path) -> Option<Vec<u8>> {
        let dir = self.dir.get()?.as_ref()?.path();
        let host_bytes = host.as_os_str().as_bytes();
        if !is_below(host_bytes, dir.as_os_str().as_bytes()) {
            return None;
        }
        let names = self.names.borrow();
        if let Some(name) = names.get(host) {
            return Some(name.clone());
        }
        if let Some((name, last)) = host.parent().and_then(|dir| names.get(dir)).zip(host.file_name()) {
            return Some([name, &b"/"[..], last.as_bytes()].concat());
        }
        let glue = dir.join("glue");
        let below = host.strip_prefix(&glue).ok()?.as_os_str().as_bytes();
        Some(if below.is_empty() { Vec::new() } else { [b"/", below].concat() })
    }
}
