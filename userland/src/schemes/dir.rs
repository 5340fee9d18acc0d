//! [`Dir`]: a directory of the host as it is, or read-only. Nothing is copied, and nothing is ever waited for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel_model::abi::{Errno, Result};

use super::names::under;
use super::private::Private;
use crate::run::backing::{Backing, Intent, Manner};

/// A directory, or a single file, of the host.
pub struct Dir {
    root: PathBuf,
    read_only: bool,
    /// The one it is in, if it goes when this goes.
    _private: Option<Arc<Private>>,
}

impl Dir {
    /// What is at `root`, which must be there.
    pub fn new(root: &Path, read_only: bool) -> std::io::Result<Dir> {
        Ok(Dir { root: root.canonicalize()?, read_only, _private: None })
    }

    /// `mem:`: an empty directory that is gone afterwards.
    pub fn memory(private: &Arc<Private>) -> std::io::Result<Dir> {
        let root = private.unused();
        std::fs::create_dir(&root)?;
        Ok(Dir { root: root.canonicalize()?, read_only: false, _private: Some(private.clone()) })
    }

    /// Where it is on the host.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// The answer of something read-only to a change: mkdir -p must see that the directory is there.
pub(crate) fn refusal(host: &Path, intent: Intent) -> Errno {
    let is_dir = || host.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    if intent == Intent::Create && is_dir() { Errno::EEXIST } else { Errno::EROFS }
}

/// Does it need what is read-only to be something else?
pub(crate) fn changes(intent: Intent) -> bool {
    match intent {
        Intent::Look | Intent::List | Intent::Read | Intent::Part(_) => false,
        Intent::Change | Intent::Replace | Intent::Create | Intent::Remove => true,
    }
}

impl Backing for Dir {
    fn is_ready(&self, _below: &Path, _intent: Intent) -> bool {
        true
    }

    fn locate(&self, below: &Path, intent: Intent) -> Result<PathBuf> {
        let host = under(&self.root, below);
        if self.read_only && changes(intent) { Err(refusal(&host, intent)) } else { Ok(host) }
    }

    fn finished(&self, _below: &Path, _intent: Intent, _done: bool) {}

    fn name_of(&self, host: &Path) -> Option<PathBuf> {
        host.strip_prefix(&self.root).ok().map(Path::to_owned)
    }

    fn manner(&self) -> Manner {
        Manner::Host
    }
}
