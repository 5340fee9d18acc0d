//! What is behind a mount point: [`Backing`], a tree of files that the kernel can use natively once it was made ready.
//!
//! The interposer only ever rewrites a path to a host path. A `dir:` is there already; what comes from a scheme (`http:`,
//! `tar:`, a user's program) is *materialised* first, in a private directory: a placeholder with the right type, size, mode and
//! time when somebody looks, the content when somebody reads. After that read, mmap, exec and getdents run at native speed.

use std::path::{Path, PathBuf};

use kernel_model::abi::Result;

/// What is about to be done to a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Intent {
    /// The entry itself is looked at (stat, readlink, chdir, a component of a longer path): its attributes must be right.
    Look,
    /// The directory is opened: all of its entries must be there, with their attributes.
    List,
    /// The content is read, mapped or executed: it must be there.
    Read,
    /// So many bytes of the content must be there, from its first on. Asked only of who is read in [`Manner::Parts`].
    Part(u64),
    /// What exists is changed: content, mode, times, attributes.
    Change,
    /// As `Change`, but the content will be dropped (O_TRUNC).
    Replace,
    /// The name is to be made: O_CREAT, mkdir, link, symlink, bind, the target of a rename.
    Create,
    /// The name is to go: unlink, rmdir, the source of a rename.
    Remove,
}

/// How files that are open are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// By the kernel; nobody is asked.
    Native,
    /// The same, and all of it is there without being made ready: it is the host's.
    Host,
    /// By the kernel, after [`Intent::Part`] was asked for what is about to be read.
    Parts,
    /// They are handles of the kernel that runs the command: the interposer opens them itself, and serves what is read and
    /// written (`run::live`). What `locate` says is for those who only look.
    Live,
}

/// A tree of files behind a mount point. Shared by the threads that wait for slow ones.
///
/// `below` is relative to the mount point, normalised, without `.`, `..` or a leading slash; empty for the mount point itself.
/// Symbolic links in it have been followed by the caller, except a last one where the call does not follow it.
pub trait Backing: Send + Sync {
    /// Whether [`locate`](Self::locate) would answer at once. If not, it is asked on another thread, while only the calling
    /// thread of the program waits.
    fn is_ready(&self, below: &Path, intent: Intent) -> bool;

    /// Makes the name ready, and says where it is on the host. The host path need not exist: then the kernel says so.
    ///
    /// Errors: EROFS for a change of what cannot be changed; EACCES, ENOENT, ETIMEDOUT, EIO… as the source says.
    fn locate(&self, below: &Path, intent: Intent) -> Result<PathBuf>;

    /// The call has been made; `done` is whether it succeeded. Only called for `Change`, `Replace`, `Create`, `Remove`.
    fn finished(&self, below: &Path, intent: Intent, done: bool);

    /// The inverse of `locate`: the name of a host path that lies in this tree. For getcwd and links of /proc.
    fn name_of(&self, host: &Path) -> Option<PathBuf>;

    /// How what is open is read.
    fn manner(&self) -> Manner;
}
