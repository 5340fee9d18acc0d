//! [`Overlay`]: reads from what is below, writes to what is above; what is below never changes.
//!
//! Above is a directory of the host. A name is what is above, else what is below unless a *whiteout* hides that: the empty
//! file `.wh.NAME` beside it. What is changed is copied up first (`copy`). A directory that both have must be one to
//! getdents, so directories are opened in a *view*: private, with the names of both and no contents (`view`). A directory that is
//! renamed or removed is copied up whole before, so that the kernel decides whether that is possible.
//!
//! Lock order: `changes` is held while above or the view is changed; nobody waits for what is below with it held, except for
//! names that were already looked at.

mod copy;
mod view;

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use kernel_model::abi::{Errno, Result};

use super::errors::errno;
use super::names::under;
use super::private::Private;
use super::tree::lock;
use crate::run::backing::{Backing, Intent, Manner};

/// What a whiteout's name begins with. Such names can be neither seen nor made by the program.
const WHITEOUT: &str = ".wh.";

/// Two trees as one.
pub struct Overlay {
    below: Arc<dyn Backing>,
    above: PathBuf,
    view: PathBuf,
    private: Arc<Private>,
    changes: Mutex<()>,
}

/// Where a name is.
struct Found {
    above: Option<Metadata>,
    /// Only if nothing hides it.
    below: Option<(PathBuf, Metadata)>,
}

impl Found {
    /// What the name is to the program.
    fn metadata(&self) -> Option<&Metadata> {
        self.above.as_ref().or(self.below.as_ref().map(|(_, metadata)| metadata))
    }

    fn is_dir(&self) -> bool {
        self.metadata().is_some_and(Metadata::is_dir)
    }
}

impl Overlay {
    /// Changes to `below` go to the directory `above`, which is made if it is not there.
    pub fn new(below: Arc<dyn Backing>, above: &Path, private: &Arc<Private>) -> io::Result<Overlay> {
        if let Err(error) = fs::create_dir(above)
            && (error.kind() != io::ErrorKind::AlreadyExists || !above.is_dir())
        {
            return Err(error);
        }
        let view = private.unused();
        fs::create_dir(&view)?;
        let (above, view) = (above.canonicalize()?, view.canonicalize()?);
        Ok(Overlay { below, above, view, private: private.clone(), changes: Mutex::new(()) })
    }

    fn above(&self, below: &Path) -> PathBuf {
        under(&self.above, below)
    }

    /// Where a name of `below` is; ENOENT and ENOTDIR as of one tree.
    fn find(&self, below: &Path) -> Result<Found> {
        let mut found = Found {
            above: Some(self.above.metadata().map_err(errno)?),
            below: self.look_below(Path::new(""))?,
        };
        let mut path = PathBuf::new();
        for component in below.components() {
            let Component::Normal(name) = component else { return Err(Errno::EINVAL) };
            if !found.is_dir() {
                return Err(Errno::ENOTDIR);
            }
            if name.as_bytes().starts_with(WHITEOUT.as_bytes()) {
                return Err(Errno::ENOENT);
            }
            let hidden = found.above.is_some() && self.whiteout(&path.join(name)).symlink_metadata().is_ok();
            let was_above = found.above.as_ref().is_some_and(Metadata::is_dir);
            let was_below = found.below.as_ref().is_some_and(|(_, metadata)| metadata.is_dir());
            path.push(name);
            let above = if was_above { self.above(&path).symlink_metadata().ok() } else { None };
            // A file above hides whatever is below; of a directory above, what is below shows through.
            let covered = above.as_ref().is_some_and(|metadata| !metadata.is_dir());
            let shows = was_below && !hidden && !covered;
            found = Found { above, below: if shows { self.look_below(&path)? } else { None } };
            if found.above.is_some() && found.below.as_ref().is_some_and(|(_, metadata)| !metadata.is_dir()) {
                found.below = None;
            }
            if found.metadata().is_none() {
                // What is missing on the way is missing; the kernel says the rest.
                return Err(Errno::ENOENT);
            }
        }
        Ok(found)
    }

    fn look_below(&self, path: &Path) -> Result<Option<(PathBuf, Metadata)>> {
        let located = match self.below.locate(path, Intent::Look) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            other => other?,
        };
        match located.symlink_metadata() {
            Ok(metadata) => Ok(Some((located, metadata))),
            Err(error) => match errno(error) {
                Errno::ENOENT | Errno::ENOTDIR => Ok(None),
                errno => Err(errno),
            },
        }
    }

    /// The file that hides a name below.
    fn whiteout(&self, below: &Path) -> PathBuf {
        let mut name = std::ffi::OsString::from(WHITEOUT);
        name.push(below.file_name().unwrap_or_default());
        self.above(below).with_file_name(name)
    }

    /// For an operation that may make `below`. What is there already must be above, for the kernel to find it.
    fn for_create(&self, below: &Path) -> Result<PathBuf> {
        if below.file_name().is_some_and(|name| name.as_bytes().starts_with(WHITEOUT.as_bytes())) {
            return Err(Errno::EPERM);
        }
        match self.find(below) {
            Ok(found) if found.is_dir() && found.below.is_some() => {
                if !self.names(below, &found)?.is_empty() {
                    return Err(Errno::EEXIST); // also what rename says of it
                }
                self.copy_tree(below)?;
            }
            Ok(found) => self.copy_up(below, &found)?,
            Err(Errno::ENOENT) => {
                let parent = below.parent().ok_or(Errno::EEXIST)?;
                let found = self.find(parent)?;
                if !found.is_dir() {
                    return Err(Errno::ENOTDIR);
                }
                self.copy_up(parent, &found)?;
            }
            Err(errno) => return Err(errno),
        }
        Ok(self.above(below))
    }

    /// For an operation that may take `below` away.
    fn for_remove(&self, below: &Path) -> Result<PathBuf> {
        let found = self.find(below)?;
        if found.is_dir() {
            if found.below.is_some() {
                self.copy_tree(below)?;
            }
            return Ok(self.above(below));
        }
        self.copy_up(below, &found)?;
        let parent = below.parent().unwrap_or(Path::new(""));
        let beside = self.find(parent)?.below.is_some_and(|(_, metadata)| metadata.is_dir());
        if beside && self.look_below(below)?.is_some() {
            self.hide(below)?;
        }
        Ok(self.above(below))
    }
}

impl Backing for Overlay {
    fn is_ready(&self, below: &Path, intent: Intent) -> bool {
        let above = self.above(below).symlink_metadata();
        if above.as_ref().is_ok_and(|metadata| !metadata.is_dir()) && intent != Intent::Remove {
            return true;
        }
        match intent {
            Intent::Look | Intent::List | Intent::Read | Intent::Part(_) => {
                self.below.is_ready(below, intent)
            }
            Intent::Create => {
                let known = self.below.is_ready(below, Intent::Look);
                let parent = self.above(below).parent().is_some_and(Path::is_dir);
                known && parent && above.is_err() && matches!(self.look_below(below), Ok(None))
            }
            Intent::Change | Intent::Replace | Intent::Remove => false,
        }
    }

    fn locate(&self, below: &Path, intent: Intent) -> Result<PathBuf> {
        match intent {
            Intent::Create => return self.for_create(below),
            Intent::Remove => return self.for_remove(below),
            _ => {}
        }
        let found = self.find(below)?;
        if matches!(intent, Intent::Change | Intent::Replace) {
            self.copy_up(below, &found)?;
            return Ok(self.above(below));
        }
        if found.is_dir() {
            return self.view(below, &found, intent != Intent::Look);
        }
        match found.below {
            Some(_) if intent == Intent::Read => self.below.locate(below, Intent::Read),
            Some((path, _)) => Ok(path),
            None => Ok(self.above(below)),
        }
    }

    fn finished(&self, below: &Path, intent: Intent, done: bool) {
        if done {
            self.update_view(below, intent);
        }
    }

    fn name_of(&self, host: &Path) -> Option<PathBuf> {
        let here = host.strip_prefix(&self.view).or_else(|_| host.strip_prefix(&self.above));
        here.ok().map(Path::to_owned).or_else(|| self.below.name_of(host))
    }

    fn manner(&self) -> Manner {
        Manner::Native
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.view); // the rest goes with the private directory
    }
}

impl Overlay {
    /// Makes what is below invisible.
    fn hide(&self, below: &Path) -> Result<()> {
        let _changes = lock(&self.changes);
        fs::File::create(self.whiteout(below)).map(drop).map_err(errno)
    }
}

#[cfg(test)]
mod tests;
