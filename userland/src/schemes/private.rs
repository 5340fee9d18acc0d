//! [`Private`]: a directory of this process's own, gone when it is dropped, or at a later start if it never was.
//!
//! In memory where there is room and programs may be executed from it; else where temporary files go. A lock on a file in
//! it says that its owner lives: the lock ends with the process, however that ends, and who can take it may clean up.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::{FsFlags, statvfs};

/// What the names of these directories begin with.
const PREFIX: &str = "tracefd-mounts-";
/// Held while the owner lives.
const LOCK: &str = "lock";
/// Less room than this in memory, and files go to disk.
const ROOM: u64 = 256 << 20;
/// A directory without a lock was being made. One of this age never will be finished.
const UNFINISHED: Duration = Duration::from_secs(3600);

/// See the module.
pub struct Private {
    path: PathBuf,
    _lock: Flock<File>,
    count: AtomicU64,
}

impl Private {
    /// A new one, in the best place, after removing those whose owners are gone.
    pub fn new() -> io::Result<Private> {
        let places = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
        for place in &places {
            sweep(place);
        }
        let [memory, disk] = places;
        if is_roomy(&memory) {
            Private::inside(&memory).or_else(|_| Private::inside(&disk))
        } else {
            Private::inside(&disk)
        }
    }

    /// A new one in `place`.
    pub fn inside(place: &Path) -> io::Result<Private> {
        let path = unused(place)?;
        let unlocked = path.join("lock.new");
        let file = File::create(&unlocked)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        // Only now is it seen by those who clean up.
        fs::rename(unlocked, path.join(LOCK))?;
        Ok(Private { path, _lock: lock, count: AtomicU64::new(0) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name in it that was never given before.
    pub fn unused(&self) -> PathBuf {
        self.path.join(self.count.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn is_roomy(place: &Path) -> bool {
    statvfs(place).is_ok_and(|room| {
        let free = room.blocks_available().saturating_mul(room.fragment_size());
        free >= ROOM && !room.flags().intersects(FsFlags::ST_NOEXEC | FsFlags::ST_RDONLY)
    })
}

/// A new directory that only its owner can enter.
fn unused(place: &Path) -> io::Result<PathBuf> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    for attempt in 0..100_u128 {
        let path = place.join(format!("{PREFIX}{}-{:x}", std::process::id(), clock + attempt));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Removes what dead owners left in `place`.
fn sweep(place: &Path) {
    let user = nix::unistd::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user);
        if ours && is_abandoned(&entry.path()) {
            remove(&entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    match File::open(path.join(LOCK)) {
        Ok(file) => Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok(),
        Err(_) => {
            let age = fs::metadata(path).and_then(|metadata| metadata.modified());
            age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > UNFINISHED))
        }
    }
}

/// Removes a tree, whatever permissions were given to its directories.
fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_err() {
        open_up(path);
        // What is still there now belongs to somebody else; there is nobody to tell.
        let _ = fs::remove_dir_all(path);
    }
}

fn open_up(path: &Path) {
    let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_owner_or_at_a_later_start() {
        let place = tempfile::tempdir().unwrap();
        let (alive, dropped) =
            (Private::inside(place.path()).unwrap(), Private::inside(place.path()).unwrap());
        let sealed = dropped.unused();
        fs::create_dir_all(sealed.join("below")).unwrap();
        fs::set_permissions(&sealed, Permissions::from_mode(0o000)).unwrap();
        let gone = dropped.path().to_owned();
        drop(dropped);
        assert!(!gone.exists());
        // As after SIGKILL: the directory is there, the lock is not held.
        let dead = place.path().join(format!("{PREFIX}1-1"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let (young, foreign) = (place.path().join(format!("{PREFIX}1-2")), place.path().join("else"));
        fs::create_dir(&young).unwrap();
        fs::create_dir(&foreign).unwrap();
        sweep(place.path());
        assert!(!dead.exists() && young.exists() && foreign.exists() && alive.path().join(LOCK).exists());
    }
}
