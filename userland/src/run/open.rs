//! The open family: what is about to be done follows from the flags and from what is there.

use super::backing::{Intent, Manner};
use super::entry::{Call, Plan};
use super::look;
use super::mounts::{Place, Rights, path_of};
use super::procfs;
use super::rewrite::{Change, New};
use super::walk::{Asker, Found, Scope, Stop};
use kernel_model::abi::Errno;

// Of fcntl.h on x86, for both ABIs.
pub(super) const WRITES: u64 = 0o3;
pub(super) const O_CREAT: u64 = 0o100;
pub(super) const O_EXCL: u64 = 0o200;
pub(super) const O_TRUNC: u64 = 0o1000;
const O_NOFOLLOW: u64 = 0o400_000;
const O_PATH: u64 = 0o10_000_000;
/// __O_TMPFILE, without the O_DIRECTORY that goes with it.
const O_TMPFILE: u64 = 0o20_000_000;
/// What creat(2) is.
pub(super) const CREAT: u64 = O_CREAT | O_TRUNC | 1;

/// Flags of an open that does something else than to read what is there.
const NOT_ONLY_READS: u64 = WRITES | O_CREAT | O_TRUNC | O_PATH | O_TMPFILE;

/// RESOLVE_* of linux/openat2.h.
const NO_XDEV: u64 = 1;
const NO_MAGICLINKS: u64 = 2;
const NO_SYMLINKS: u64 = 4;
const BENEATH: u64 = 8;
const IN_ROOT: u64 = 0x10;
const CACHED: u64 = 0x20;
const ALL: u64 = 0x3f;
/// Bytes of the first version of `struct open_how`.
const HOW: usize = 24;

/// OPEN_TREE_CLONE of linux/mount.h.
const OPEN_TREE_CLONE: u64 = 1;
/// AT_SYMLINK_NOFOLLOW.
const NOFOLLOW: u64 = 0x100;

impl Call<'_, '_> {
    pub(super) fn open(
        &mut self,
        dir: Option<usize>,
        path: usize,
        flags: u64,
        scope: Scope,
    ) -> Result<Plan, Stop> {
        let follow = flags & O_NOFOLLOW == 0 && flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL;
        let Some(text) = self.task.path(self.argument(path)) else { return Ok(Plan::Go) };
        let looks = flags & NOT_ONLY_READS == 0 && scope.is_plain();
        if looks && let Some(change) = self.known_change(path, &text) {
            return Ok(Plan::Change(change));
        }
        let found = self.resolve_text(self.directory(dir), &text, follow, scope)?;
        let Some(found) = found else { return Ok(Plan::Go) };
        let mut change = Change::default();
        if looks && self.stays(&found, &text) {
            change.name = Some(text);
        }
        self.put_open(&mut change, path, &found, flags)?;
        Ok(if change.is_nothing() { Plan::Go } else { Plan::Change(change) })
    }

    fn put_open(&mut self, change: &mut Change, path: usize, found: &Found, flags: u64) -> Result<(), Stop> {
        let asker = Asker { tid: self.task.pid.0, answers: &self.task.answers };
        if found.virt.starts_with(b"/proc/")
            && let Ok(host) = self.world.host_of(asker, &found.virt, Intent::Look)
            && procfs::is_maps(&host)
            && flags & (WRITES | O_PATH) == 0
            && let Some(snapshot) = self.renamed_maps(&host)
        {
            change.path(path, snapshot);
            return Ok(());
        }
        if found.native {
            return Ok(());
        }
        let place = self.world.table.place(&found.virt);
        let manner = match place {
            Place::Mount(mount, _) => self.world.table.get(mount).backing.manner(),
            Place::Host => Manner::Host,
        };
        if let (Place::Mount(mount, below), Manner::Live) = (place, manner)
            && flags & O_PATH == 0
        {
            return self.open_live(change, path, found, mount, below, flags);
        }
        let reads = flags & NOT_ONLY_READS == 0;
        let all_there = match place {
            Place::Mount(mount, _) => self.world.table.get(mount).rights.contains(Rights::READ),
            Place::Host => true,
        };
        if reads && all_there && manner == Manner::Host {
            // Whatever is there, be it a directory: one look less.
            return self.put(change, path, found, Intent::Read);
        }
        let intent = match self.open_intent(found, flags)? {
            Intent::Read if manner == Manner::Parts => Intent::Part(0),
            intent => intent,
        };
        self.put(change, path, found, intent)
    }

    fn open_intent(&self, found: &Found, flags: u64) -> Result<Intent, Stop> {
        if flags & O_PATH != 0 {
            return Ok(Intent::Look);
        }
        if flags & O_TMPFILE != 0 {
            return Ok(Intent::Change);
        }
        let there = match self.host_of(found, Intent::Look) {
            Ok(host) => look::kind(&host),
            Err(Stop::Errno(super::walk::ENOENT)) => None,
            Err(stop) => return Err(stop),
        };
        Ok(match there {
            None if flags & O_CREAT != 0 => Intent::Create,
            None => Intent::Look,
            Some(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => Intent::Look, // EEXIST
            Some(_) if flags & O_TRUNC != 0 => Intent::Replace,
            Some(_) if flags & WRITES != 0 => Intent::Change,
            Some(kind) if kind.is_dir() => Intent::List,
            Some(_) => Intent::Read,
        })
    }

    /// A copy of a maps file with virtual names; `None`: they are the same.
    fn renamed_maps(&self, host: &[u8]) -> Option<Vec<u8>> {
        if !self.world.renames.get() {
            return None; // programs that read their maps at each start are many, and the kernel takes long to write them
        }
        let own = host
            .strip_prefix(b"/proc/self/")
            .map(|rest| [format!("/proc/{}/", self.task.pid).as_bytes(), rest].concat());
        let text = std::fs::read(path_of(own.as_deref().unwrap_or(host))).ok()?;
        let name = |file: &[u8]| self.world.name_of(file).filter(|(_, native)| !native).map(|(virt, _)| virt);
        self.world.scratch.snapshot(&procfs::renamed(&text, name)?).ok()
    }

    pub(super) fn openat2(&mut self) -> Result<Plan, Stop> {
        const EAGAIN: Errno = Errno(11);
        let (at, size) = (self.argument(2), self.argument(3) as usize);
        let mut how = vec![0; size.clamp(HOW, 4096)];
        if !(HOW..=4096).contains(&size) || self.task.read(at, &mut how).is_err() {
            return Ok(Plan::Go);
        }
        let word = |n: usize| u64::from_le_bytes(std::array::from_fn(|i| how[8 * n + i]));
        let (flags, resolve) = (word(0), word(2));
        let both = resolve & (BENEATH | IN_ROOT) == BENEATH | IN_ROOT;
        if resolve & !ALL != 0 || both || how[HOW..].iter().any(|&byte| byte != 0) {
            return Ok(Plan::Go); // the kernel says what is wrong
        }
        let scope = Scope {
            no_links: resolve & NO_SYMLINKS != 0,
            no_magic: resolve & (NO_MAGICLINKS | NO_SYMLINKS) != 0,
            beneath: resolve & BENEATH != 0,
            in_root: resolve & IN_ROOT != 0,
            no_xdev: resolve & NO_XDEV != 0,
        };
        let plan = self.open(Some(0), 1, flags, scope)?;
        let Plan::Change(mut change) = plan else { return Ok(plan) };
        if resolve & CACHED != 0 {
            return Err(EAGAIN.into());
        }
        // What it forbids was looked at; the host path may have what is forbidden above the mount.
        how[16..24].fill(0);
        change.arguments.push((2, New::Bytes(how)));
        Ok(Plan::Change(change))
    }

    pub(super) fn open_tree(&mut self) -> Result<Plan, Stop> {
        const EPERM: Errno = Errno(1);
        let flags = self.argument(2);
        if flags & OPEN_TREE_CLONE != 0 {
            return Err(EPERM.into());
        }
        let Some(found) = self.resolve(Some(0), 1, flags & NOFOLLOW == 0, Scope::default())? else {
            return Ok(Plan::Go);
        };
        let mut change = Change::default();
        self.put(&mut change, 1, &found, Intent::Look)?;
        Ok(if change.is_nothing() { Plan::Go } else { Plan::Change(change) })
    }
}
