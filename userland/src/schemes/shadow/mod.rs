//! [`Shadow`]: any scheme as files of the host, made when somebody looks at them and filled when somebody reads them.
//!
//! An entry goes one way: nothing known → a placeholder with the right type, size, mode and time (`place`) → its content,
//! or all of a directory's entries (`fill`). Each step is done once, by the first who needs it; the others who need the
//! same wait for that entry, and nobody else does. A lazy scheme's files are filled in `parts`. A file keeps its inode when it is filled, since programs compare what
//! stat and fstat say; nobody can see it half full, because its path is only given away when it is whole.
//!
//! Lock order: the content of a directory or file, then the attributes of an entry, then the tables. The attributes of two
//! entries are never locked together.

mod fill;
mod parts;
mod place;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kernel_model::abi::{Errno, OpenFlags, Result, Stat};
use kernel_model::scheme::{Fd, Scheme};

use super::dir::{changes, refusal};
use super::errors::errno;
use super::names::{path_text, under};
use super::private::Private;
use super::tree::lock;
use crate::run::backing::{Backing, Intent, Manner};

/// Who is told of transfers, from the threads that make them.
pub trait Watch: Send + Sync {
    /// So many bytes of `name` are there. The first of a transfer has `done` 0.
    fn fetched(&self, name: &str, done: u64, total: Option<u64>);
    /// The transfer of `name` is over.
    fn ended(&self, name: &str, result: Result<()>);
}

/// Nobody.
pub struct Silent;

impl Watch for Silent {
    fn fetched(&self, _name: &str, _done: u64, _total: Option<u64>) {}
    fn ended(&self, _name: &str, _result: Result<()>) {}
}

/// How a scheme is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// Ask again whenever somebody looks or opens; what has another size, time or number then is fetched again. Otherwise
    /// the first answer stands until the end, so that a run sees one state of the world.
    pub fresh: bool,
    /// How many entries of a directory are asked for at a time.
    pub at_once: usize,
    /// Transfer no more of a file than is about to be read, and a little. Not with `fresh`.
    pub lazy: bool,
}

impl Habit {
    /// For what answers at once and never changes.
    pub const LOCAL: Habit = Habit { fresh: false, at_once: 1, lazy: false };
}

/// A scheme behind a mount. Read-only: [`super::overlay`] makes it writable.
pub struct Shadow<S> {
    scheme: S,
    name: String,
    habit: Habit,
    watch: Arc<dyn Watch>,
    private: Arc<Private>,
    /// Where the host's files are.
    tree: PathBuf,
    entries: Mutex<HashMap<PathBuf, Arc<Entry>>>,
    /// By `ino`: the first name of each file that may have more.
    numbers: Mutex<HashMap<u64, (PathBuf, Arc<Content>)>>,
}

/// A name.
#[derive(Default)]
struct Entry {
    known: Mutex<Known>,
}

/// What is known of a name.
#[derive(Clone, Default)]
enum Known {
    #[default]
    Nothing,
    Absent(Errno),
    There(There),
}

#[derive(Clone)]
struct There {
    stat: Stat,
    content: Arc<Content>,
}

/// What is behind one or more names.
#[derive(Default)]
struct Content {
    /// A file is full; a directory has all of its entries.
    whole: AtomicBool,
    /// So many bytes of a file are there.
    have: AtomicU64,
    /// Held while there come to be more. What is kept between two parts.
    work: Mutex<Option<Transfer>>,
}

/// A transfer that goes on when more is needed.
struct Transfer {
    fd: Fd,
    file: File,
}

impl There {
    fn is_whole(&self) -> bool {
        self.stat.is_symlink() || self.content.whole.load(Ordering::Acquire)
    }

    /// Are its first `end` bytes there? Of a small file, all of it.
    fn has(&self, end: u64) -> bool {
        let in_parts = self.stat.size > parts::AHEAD && end < self.stat.size;
        self.is_whole() || in_parts && self.content.have.load(Ordering::Acquire) >= end
    }

    /// Are the attributes final?
    fn is_sized(&self) -> bool {
        !self.stat.is_file() || self.stat.size != Stat::UNKNOWN || self.is_whole()
    }
}

impl<S: Scheme + Send + Sync> Shadow<S> {
    /// The scheme called `name`; its root is opened as `NAME:`.
    pub fn new(
        scheme: S,
        name: &str,
        habit: Habit,
        private: &Arc<Private>,
        watch: Arc<dyn Watch>,
    ) -> Result<Self> {
        let place = private.unused();
        std::fs::create_dir(&place).map_err(errno)?;
        let tree = place.canonicalize().map_err(errno)?.join("tree");
        let (entries, numbers) = Default::default();
        Ok(Shadow {
            scheme,
            name: name.to_owned(),
            habit,
            watch,
            private: private.clone(),
            tree,
            entries,
            numbers,
        })
    }

    fn entry(&self, below: &Path) -> Arc<Entry> {
        let mut entries = lock(&self.entries);
        match entries.get(below) {
            Some(entry) => entry.clone(),
            None => entries.entry(below.to_owned()).or_default().clone(),
        }
    }

    fn host(&self, below: &Path) -> PathBuf {
        under(&self.tree, below)
    }

    /// Opens a name of the scheme for as long as `use_it` needs it.
    fn with<T>(&self, below: &Path, flags: OpenFlags, use_it: impl FnOnce(Fd) -> Result<T>) -> Result<T> {
        let fd = self.scheme.open(&self.scheme_path(below), flags | OpenFlags::O_CLOEXEC)?;
        let result = use_it(fd);
        let closed = self.scheme.close(fd);
        result.and_then(|value| closed.map(|()| value))
    }

    fn scheme_path(&self, below: &Path) -> String {
        format!("{}:{}", self.name, path_text(below))
    }

    /// Attributes and, of a symbolic link, the target.
    fn ask(&self, below: &Path) -> Result<(Stat, Option<Vec<u8>>)> {
        let look = OpenFlags::O_STAT | OpenFlags::O_SYMLINK | OpenFlags::O_NOFOLLOW;
        let stat = self.with(below, look, |fd| self.scheme.fstat(fd))?;
        if !stat.is_symlink() {
            return Ok((stat, None));
        }
        let link = OpenFlags::O_RDONLY | OpenFlags::O_SYMLINK | OpenFlags::O_NOFOLLOW;
        let target = self.with(below, link, |fd| self.read_all(fd))?;
        Ok((stat, Some(target)))
    }

    fn read_all(&self, fd: Fd) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut buf = vec![0; 64 << 10];
        loop {
            match self.scheme.read(fd, &mut buf)? {
                0 => return Ok(all),
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    }

    /// Makes sure that a placeholder is there. `again`: even if one is, ask whether it still is right.
    fn look(&self, below: &Path, again: bool) -> Result<There> {
        let entry = self.entry(below);
        if !again {
            match &*lock(&entry.known) {
                Known::Nothing => {}
                Known::Absent(errno) => return Err(*errno),
                Known::There(there) => return Ok(there.clone()),
            }
        }
        let above = match below.parent() {
            Some(above) => {
                let there = self.look(above, false)?;
                let stale = self.habit.fresh && !there.stat.is_dir();
                Some((above, if stale { self.look(above, true)? } else { there }))
            }
            None => None,
        };
        if above.as_ref().is_some_and(|(_, there)| !there.stat.is_dir()) {
            return Err(Errno::ENOTDIR);
        }
        let mut known = lock(&entry.known);
        match (&*known, again) {
            (Known::Absent(errno), false) => return Err(*errno),
            (Known::There(there), false) => return Ok(there.clone()), // somebody was faster
            _ => {}
        }
        match self.ask(below) {
            Ok((stat, target)) => {
                let there = self.place(below, &stat, target.as_deref(), &known).map_err(errno)?;
                *known = Known::There(there.clone());
                drop(known);
                if let Some((above, there)) = above {
                    place::set_time(&self.host(above), &there.stat).map_err(errno)?;
                }
                Ok(there)
            }
            Err(errno @ (Errno::ENOENT | Errno::ENOTDIR)) => {
                self.take_away(below);
                // Asked again and again otherwise: compilers and interpreters look for a name in many directories.
                *known = if self.habit.fresh { Known::Nothing } else { Known::Absent(errno) };
                Err(errno)
            }
            Err(errno) => Err(errno),
        }
    }

    /// [`look`](Self::look), and the size is known.
    fn look_sized(&self, below: &Path, again: bool) -> Result<There> {
        let there = self.look(below, again)?;
        if there.is_sized() { Ok(there) } else { self.fill(below) }
    }
}

impl<S: Scheme + Send + Sync> Backing for Shadow<S> {
    fn is_ready(&self, below: &Path, intent: Intent) -> bool {
        if changes(intent) && intent != Intent::Create {
            return true; // refused without a look
        }
        if self.habit.fresh {
            return false;
        }
        let entry = lock(&self.entries).get(below).cloned();
        let Some(known) = entry.as_ref().and_then(|entry| entry.known.try_lock().ok()) else { return false };
        match (&*known, intent) {
            (Known::Nothing, _) => false,
            (Known::Absent(_), _) => true,
            (Known::There(there), Intent::List | Intent::Read) => there.is_whole(),
            (Known::There(there), Intent::Part(end)) => there.has(end),
            (Known::There(there), _) => there.is_sized(),
        }
    }

    fn locate(&self, below: &Path, intent: Intent) -> Result<PathBuf> {
        if changes(intent) {
            if intent == Intent::Create {
                // For the right errno only; that it is not there is no news.
                let _ = self.look(below, self.habit.fresh);
            }
            return Err(refusal(&self.host(below), intent));
        }
        let there = match intent {
            Intent::Look => self.look_sized(below, self.habit.fresh)?,
            _ => self.look(below, self.habit.fresh)?,
        };
        if intent != Intent::Look {
            if there.stat.is_dir() {
                self.list(below, &there)?;
            } else if there.stat.is_file() {
                match intent {
                    Intent::Part(end) => self.fill_part(below, end)?,
                    Intent::Read if self.habit.lazy => self.fill_part(below, u64::MAX)?,
                    Intent::Read => drop(self.fill(below)?),
                    _ => {}
                }
            }
        }
        Ok(self.host(below))
    }

    fn finished(&self, _below: &Path, _intent: Intent, _done: bool) {}

    fn name_of(&self, host: &Path) -> Option<PathBuf> {
        host.strip_prefix(&self.tree).ok().map(Path::to_owned)
    }

    fn manner(&self) -> Manner {
        if self.habit.lazy { Manner::Parts } else { Manner::Native }
    }
}

impl<S> Drop for Shadow<S> {
    fn drop(&mut self) {
        // The rest goes with the private directory, which others may still use.
        if let Some(place) = self.tree.parent() {
            let _ = std::fs::remove_dir_all(place);
        }
    }
}

#[cfg(test)]
mod tests;
