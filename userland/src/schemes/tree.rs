//! [`Tree`] is what the author of a read-only scheme writes; [`Files`] makes a [`Scheme`] of it.
//!
//! Descriptors, cursors, flags and the form of directories are here, once. A description is locked while it is read, and
//! nothing else is: a slow file holds up only those who read that very descriptor.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel_model::abi::{
    Errno, EventFlags, F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL, OpenFlags, Result, SEEK_CUR, SEEK_END,
    SEEK_SET, Stat,
};
use kernel_model::scheme::{Fd, Scheme};

use super::errors::errno;
use super::names::clean;

/// A tree of files that can be looked at and read. Paths have no leading, trailing or doubled slashes; the root is "".
/// Names are text, as [`super::names`] says.
///
/// Errors: ENOENT no such name; ENOTDIR a component is none; EACCES, EIO, ETIMEDOUT… as it is.
pub trait Tree: Send + Sync {
    /// Type, permission bits, size and time. Of a symbolic link: of the link itself.
    fn stat(&self, path: &str) -> Result<Stat>;
    /// The names in a directory, in any order.
    fn list(&self, path: &str) -> Result<Vec<String>>;
    /// The target of a symbolic link.
    fn link(&self, path: &str) -> Result<String>;
    /// The content of a file from byte `from` on. An end before what `stat` said is an error (UnexpectedEof).
    fn content(&self, path: &str, from: u64) -> Result<Box<dyn Read + Send>>;
}

/// The lock of something that no panic can leave half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A [`Tree`] as a scheme.
pub struct Files<T> {
    name: String,
    tree: T,
    table: Mutex<BTreeMap<u32, Descriptor>>,
}

#[derive(Clone)]
struct Descriptor {
    open: Arc<Description>,
    close_on_exec: bool,
}

struct Description {
    path: String,
    flags: OpenFlags,
    stat: Stat,
    cursor: Mutex<Cursor>,
}

#[derive(Default)]
struct Cursor {
    at: u64,
    /// Of a directory or a link: all of it.
    text: Option<Vec<u8>>,
    /// Of a file, with the byte it stands at.
    stream: Option<(u64, Box<dyn Read + Send>)>,
}

impl<T: Tree> Files<T> {
    /// Paths of it are `NAME:path`.
    pub fn new(name: &str, tree: T) -> Files<T> {
        Files { name: name.to_owned(), tree, table: Mutex::default() }
    }

    fn get(&self, fd: Fd) -> Result<Arc<Description>> {
        lock(&self.table).get(&fd.0).map(|descriptor| descriptor.open.clone()).ok_or(Errno::EBADF)
    }

    fn insert(&self, open: Arc<Description>, close_on_exec: bool, least: u32) -> Result<Fd> {
        let mut table = lock(&self.table);
        let fd = (least..=u32::MAX).find(|fd| !table.contains_key(fd)).ok_or(Errno::EMFILE)?;
        table.insert(fd, Descriptor { open, close_on_exec });
        Ok(Fd(fd))
    }

    fn open_below(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let path = clean(path).ok_or(Errno::EINVAL)?.into_owned();
        let stat = self.tree.stat(&path)?;
        if stat.is_symlink() && !flags.contains(OpenFlags::O_SYMLINK) {
            return Err(Errno::ELOOP);
        }
        if flags.contains(OpenFlags::O_DIRECTORY) && !stat.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        let writes = !(flags & (OpenFlags::O_WRONLY | OpenFlags::O_TRUNC)).is_empty();
        if writes && !flags.contains(OpenFlags::O_STAT) {
            return Err(if stat.is_dir() { Errno::EISDIR } else { Errno::EROFS });
        }
        let close_on_exec = flags.contains(OpenFlags::O_CLOEXEC);
        self.insert(Arc::new(Description { path, flags, stat, cursor: Mutex::default() }), close_on_exec, 0)
    }

    /// Everything there is to read of a directory or a link.
    fn text(&self, open: &Description) -> Result<Vec<u8>> {
        if open.stat.is_symlink() {
            return self.tree.link(&open.path).map(String::into_bytes);
        }
        let mut text = String::new();
        for name in self.tree.list(&open.path)? {
            text.push_str(&name);
            text.push('\n');
        }
        Ok(text.into_bytes())
    }
}

/// What is left of `all` from `at`, into `buf`.
fn copy_from(all: &[u8], at: u64, buf: &mut [u8]) -> usize {
    let left = usize::try_from(at).ok().and_then(|at| all.get(at..)).unwrap_or(&[]);
    let n = left.len().min(buf.len());
    buf[..n].copy_from_slice(&left[..n]);
    n
}

impl<T: Tree> Scheme for Files<T> {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        match path.split_once(':') {
            Some((name, below)) if name == self.name => self.open_below(below, flags),
            _ => Err(Errno::ENODEV),
        }
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let open = self.get(fd)?;
        if path.is_empty() {
            return self.insert(open, false, 0);
        }
        self.open_below(&format!("{}/{path}", open.path), open.flags)
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let open = self.get(fd)?;
        if open.flags.contains(OpenFlags::O_STAT) && !open.stat.is_symlink() {
            return Err(Errno::EBADF);
        }
        let mut cursor = lock(&open.cursor);
        let at = cursor.at;
        if !open.stat.is_file() {
            if cursor.text.is_none() {
                cursor.text = Some(self.text(&open)?);
            }
            let n = cursor.text.as_deref().map_or(0, |text| copy_from(text, at, buf));
            cursor.at += n as u64;
            return Ok(n);
        }
        let mut stream = match cursor.stream.take() {
            Some((place, stream)) if place == at => stream,
            _ if at >= open.stat.size => return Ok(0),
            _ => self.tree.content(&open.path, at)?,
        };
        let n = loop {
            match stream.read(buf) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other.map_err(errno)?,
            }
        };
        cursor.at += n as u64;
        cursor.stream = Some((cursor.at, stream));
        Ok(n)
    }

    fn write(&self, fd: Fd, _buf: &[u8]) -> Result<usize> {
        self.get(fd).and(Err(Errno::EBADF)) // nothing is open for writing
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        let open = self.get(fd)?;
        let mut cursor = lock(&open.cursor);
        let base = match whence {
            SEEK_SET => 0,
            SEEK_CUR => cursor.at,
            SEEK_END if open.stat.size == Stat::UNKNOWN => return Err(Errno::ESPIPE),
            SEEK_END => open.stat.size,
            _ => return Err(Errno::EOVERFLOW),
        };
        let at =
            i64::try_from(base).ok().and_then(|base| base.checked_add(offset)).ok_or(Errno::EOVERFLOW)?;
        cursor.at = u64::try_from(at).map_err(|_| Errno::EINVAL)?;
        Ok(cursor.at)
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        let open = self.get(fd)?;
        match command {
            F_DUPFD => {
                let least = u32::try_from(argument).map_err(|_| Errno::EINVAL)?;
                self.insert(open, false, least).map(|fd| fd.0.into())
            }
            F_GETFD | F_SETFD => {
                let mut table = lock(&self.table);
                let descriptor = table.get_mut(&fd.0).ok_or(Errno::EBADF)?;
                let bit = u64::from(OpenFlags::O_CLOEXEC.bits());
                if command == F_SETFD {
                    descriptor.close_on_exec = argument & bit != 0;
                    return Ok(0);
                }
                Ok(if descriptor.close_on_exec { bit } else { 0 })
            }
            F_GETFL => Ok((open.flags - OpenFlags::O_CLOEXEC).bits().into()),
            F_SETFL => Ok(0),
            _ => Err(Errno::EINVAL),
        }
    }

    fn fevent(&self, fd: Fd, _flags: EventFlags) -> Result<EventFlags> {
        self.get(fd).map(|_| EventFlags::empty())
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.get(fd).map(|open| open.stat)
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let open = self.get(fd)?;
        Ok(copy_from(format!("{}:{}", self.name, open.path).as_bytes(), 0, buf))
    }

    fn close(&self, fd: Fd) -> Result<()> {
        lock(&self.table).remove(&fd.0).map(drop).ok_or(Errno::EBADF)
    }
}
