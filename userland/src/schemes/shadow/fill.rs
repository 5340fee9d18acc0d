//! Contents: a file's bytes, a directory's entries; each fetched by one thread, while others may look at the placeholder.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kernel_model::abi::{Errno, OpenFlags, Result, Stat};
use kernel_model::scheme::{Fd, Scheme};

use super::{Known, Shadow, There, place};
use crate::schemes::errors::errno;
use crate::schemes::names::entry_name;
use crate::schemes::tree::lock;

/// What is read at a time.
pub(super) const PIECE: usize = 256 << 10;

impl<S: Scheme + Send + Sync> Shadow<S> {
    /// Makes sure that a file has its content.
    pub(super) fn fill(&self, below: &Path) -> Result<There> {
        loop {
            let there = self.look(below, false)?;
            let _work = lock(&there.content.work);
            // What another thread did while this one waited: filled it, or found that it is another file by now.
            let there = match &*lock(&self.entry(below).known) {
                Known::There(now) if Arc::ptr_eq(&now.content, &there.content) => now.clone(),
                _ => continue,
            };
            if there.is_whole() {
                return Ok(there);
            }
            let host = self.host(below);
            let mut file = open_for_us(&host).map_err(errno)?;
            let name = self.scheme_path(below);
            let result = self.fetch(below, &mut file, &there.stat, &name);
            self.watch.ended(&name, result.map(drop));
            let stat = match result {
                Ok(stat) => stat,
                Err(cause) => {
                    // Nothing half: it is a placeholder again.
                    let size = if there.stat.size == Stat::UNKNOWN { 0 } else { there.stat.size };
                    let undone = file.set_len(0).and_then(|()| file.set_len(size));
                    undone.and_then(|()| place::set_time(&host, &there.stat)).map_err(errno)?;
                    return Err(cause);
                }
            };
            match &mut *lock(&self.entry(below).known) {
                Known::There(now) if Arc::ptr_eq(&now.content, &there.content) => now.stat = stat,
                _ => {}
            }
            place::set_attributes(&host, &stat).map_err(errno)?;
            there.content.whole.store(true, Ordering::Release);
            return Ok(There { stat, ..there.clone() });
        }
    }

    /// Copies the content, and says what the file is now: its size at least, more if it changed at its source.
    fn fetch(&self, below: &Path, file: &mut File, old: &Stat, name: &str) -> Result<Stat> {
        self.with(below, OpenFlags::O_RDONLY | OpenFlags::O_NOFOLLOW, |fd| {
            let stat = self.scheme.fstat(fd)?;
            if !stat.is_file() {
                return Err(Errno::ESTALE);
            }
            let done = self.copy(fd, file, old, &stat, name)?;
            file.set_len(done).map_err(errno)?;
            Ok(Stat { size: done, ..stat })
        })
    }

    fn copy(&self, fd: Fd, file: &mut File, old: &Stat, stat: &Stat, name: &str) -> Result<u64> {
        let total = (stat.size != Stat::UNKNOWN).then_some(stat.size);
        let mut piece = vec![0; PIECE];
        let mut done = 0;
        self.watch.fetched(name, done, total);
        loop {
            let n = self.scheme.read(fd, &mut piece)?;
            if n == 0 {
                // Whoever reads a scheme may trust its fstat.
                return if total.is_none_or(|total| total == done) { Ok(done) } else { Err(Errno::EIO) };
            }
            if total.is_some_and(|total| done + n as u64 > total) {
                return Err(Errno::EIO);
            }
            put(file, &piece[..n]).map_err(errno)?;
            keep_time(file, old).map_err(errno)?;
            done += n as u64;
            self.watch.fetched(name, done, total);
        }
    }

    /// Makes sure that a directory has all its entries.
    pub(super) fn list(&self, below: &Path, there: &There) -> Result<()> {
        if there.is_whole() && !self.habit.fresh {
            return Ok(());
        }
        let _work = lock(&there.content.work);
        if there.is_whole() && !self.habit.fresh {
            return Ok(());
        }
        let text = self.with(below, OpenFlags::O_RDONLY | OpenFlags::O_DIRECTORY, |fd| self.read_all(fd))?;
        let text = String::from_utf8(text).map_err(|_| Errno::EPROTO)?;
        // A name that cannot be one is left out, not obeyed: it may come from a stranger's archive or server.
        let names: Vec<PathBuf> = text.split('\n').filter_map(entry_name).collect();
        self.look_at_each(below, &names)?;
        if self.habit.fresh {
            self.forget_others(below, &names);
        }
        place::set_time(&self.host(below), &there.stat).map_err(errno)?;
        there.content.whole.store(true, Ordering::Release);
        Ok(())
    }

    fn look_at_each(&self, below: &Path, names: &[PathBuf]) -> Result<()> {
        let look = |name: &PathBuf| match self.look_sized(&below.join(name), self.habit.fresh) {
            // Named and not there: it went meanwhile, or the index is wrong.
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno @ (Errno::ENOSPC | Errno::ENOMEM | Errno::EMFILE)) => Err(errno),
            Err(_) => self.place_unknown(&below.join(name)).map_err(errno),
        };
        let threads = self.habit.at_once.min(names.len());
        if threads <= 1 {
            return names.iter().try_for_each(look);
        }
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                look(name)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let others = helpers.into_iter().map(|helper| helper.join().unwrap_or(Err(Errno::EIO)));
            others.fold(own, |all, one| all.and(one))
        })
    }

    /// Takes away what a directory had and no longer has.
    fn forget_others(&self, below: &Path, names: &[PathBuf]) {
        let names: HashSet<&Path> = names.iter().map(PathBuf::as_path).collect();
        for entry in fs::read_dir(self.host(below)).into_iter().flatten().flatten() {
            let name = PathBuf::from(entry.file_name());
            if !names.contains(name.as_path()) {
                let gone = self.entry(&below.join(name));
                let mut known = lock(&gone.known);
                self.take_away(&below.join(entry.file_name()));
                *known = Known::Nothing;
            }
        }
    }
}

/// Opens a placeholder for writing, whatever its permissions say to others.
pub(super) fn open_for_us(path: &Path) -> io::Result<File> {
    let open = || File::options().write(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let before = fs::metadata(path)?.permissions();
            fs::set_permissions(path, Permissions::from_mode(before.mode() | 0o200))?;
            let file = open();
            fs::set_permissions(path, before)?;
            file
        }
        other => other,
    }
}

/// Writes, or leaves a hole where all is zero: the file has its length already.
pub(super) fn put(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() >= 4096 && bytes.iter().all(|byte| *byte == 0) {
        file.seek(SeekFrom::Current(bytes.len() as i64)).map(drop)
    } else {
        file.write_all(bytes)
    }
}

/// Who looks at a file meanwhile must not see that it is being written: make would build everything again.
pub(super) fn keep_time(file: &File, stat: &Stat) -> io::Result<()> {
    if stat.mtime == Stat::UNKNOWN {
        return Ok(());
    }
    let time =
        std::time::UNIX_EPOCH + std::time::Duration::new(stat.mtime.min(i64::MAX as u64), stat.mtime_nsec);
    file.set_times(fs::FileTimes::new().set_modified(time))
}
