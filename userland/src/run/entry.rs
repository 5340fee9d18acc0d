//! What to do with a call that is about to be made: [`Call::plan`]. Nothing, mostly; else new arguments, a result in its
//! place, or an errno.

use std::collections::HashMap;

use kernel_model::abi::{CallRecord, Errno, Pid};

use super::backing::{Intent, Manner};
use super::calls::{Last, PathArgument, Rule, Special, Use};
use super::live::Live;
use super::mounts::{Mount, Place, Rights};
use super::rewrite::{Change, New};
use super::task::{After, Cwd, Task};
use super::walk::{Asker, EACCES, EROFS, EXDEV, Found, Scope, Start, Stop, World};
use super::{look, procfs};
use crate::ready::Ready;

/// AT_FDCWD of fcntl.h.
const AT_FDCWD: i32 = -100;
/// W_OK of unistd.h.
const W_OK: u64 = 2;
const EPERM: Errno = Errno(1);

/// What is done.
#[derive(Debug)]
pub(super) enum Plan {
    /// The kernel does it all.
    Go,
    /// The call does not happen, and has this result.
    Skip(i64),
    /// The kernel does it with other arguments.
    Change(Change),
}

impl Plan {
    pub(super) fn fail(errno: Errno) -> Plan {
        Plan::Skip(-i64::from(errno.0))
    }
}

/// A call that a task is stopped before.
pub(super) struct Call<'c, 'h> {
    pub(super) world: &'c World,
    pub(super) task: &'c mut Task<'h>,
    pub(super) record: CallRecord,
    pub(super) abi: u64,
    /// Counts changes of current directories.
    pub(super) generation: u64,
    pub(super) live: &'c mut Live<'h>,
    pub(super) ready: &'c Ready<'h>,
    /// All tasks of the tree.
    pub(super) by_pid: &'c HashMap<Pid, usize>,
}

impl Call<'_, '_> {
    /// What to do.
    pub(super) fn plan(&mut self, rule: &Rule) -> Result<Plan, Stop> {
        match rule {
            Rule::NoPath => Ok(Plan::Go),
            Rule::Refused(errno, _) => Ok(Plan::fail(*errno)),
            Rule::Paths(paths) => self.paths(paths),
            Rule::Special(special) => self.special(*special),
        }
    }

    fn special(&mut self, special: Special) -> Result<Plan, Stop> {
        match special {
            Special::Open(path) => {
                let flags = self.argument(path + 1);
                self.open(path.checked_sub(1), path, flags, Scope::default())
            }
            Special::Creat => self.open(None, 0, super::open::CREAT, Scope::default()),
            Special::Openat2 => self.openat2(),
            Special::OpenTree => self.open_tree(),
            Special::Readlink(path) => self.readlink(path),
            Special::Getcwd => self.getcwd(),
            Special::Chdir => self.chdir(),
            Special::Fchdir => {
                let after = Some(After::Moved);
                Ok(Plan::Change(Change { after, ..Change::default() }))
            }
            Special::Exec(path) => self.exec(path),
            Special::Address(at) => self.address(at),
            Special::Message => self.message(),
            Special::Messages => self.messages(),
            Special::Bound => self.bound(),
            Special::Socketcall => self.socketcall(),
            Special::Stream(stream) => self.stream(stream),
            Special::Ptrace => Ok(Plan::fail(EPERM)),
        }
    }

    pub(super) fn argument(&self, index: usize) -> u64 {
        self.record.args[index]
    }

    /// Calls whose paths are all that matters.
    fn paths(&mut self, paths: &[PathArgument]) -> Result<Plan, Stop> {
        let mut change = Change::default();
        let mut mounts = [None; 2];
        let mut seen = 0;
        for (nth, path) in paths.iter().enumerate() {
            let follow = match path.last {
                Last::Followed => true,
                Last::Kept => false,
                Last::KeptIf(at, bits) => self.argument(at) & bits == 0,
                Last::FollowedIf(at, bits) => self.argument(at) & bits != 0,
            };
            let Some(text) = self.task.path(self.argument(path.path)) else { continue };
            let looks = paths.len() == 1 && path.used == Use::Look;
            if looks && let Some(change) = self.known_change(path.path, &text) {
                return Ok(Plan::Change(change));
            }
            let dir = self.directory(path.dir);
            let Some(found) = self.resolve_text(dir, &text, follow, Scope::default())? else { continue };
            if looks && self.stays(&found, &text) {
                change.name = Some(text);
            }
            seen += 1;
            if let Place::Mount(mount, _) = self.world.table.place(&found.virt) {
                mounts[nth] = Some(mount);
            }
            let intent = match path.used {
                Use::Look => Intent::Look,
                Use::Access(mode) => {
                    if let Some(mount) = mounts[nth]
                        && self.argument(mode) & W_OK != 0
                        && !self.world.table.get(mount).rights.contains(Rights::WRITE)
                    {
                        return Err(EROFS.into());
                    }
                    Intent::Look
                }
                Use::Read => Intent::Read,
                Use::Change => Intent::Change,
                Use::Create => Intent::Create,
                Use::Remove => Intent::Remove,
            };
            self.put(&mut change, path.path, &found, intent)?;
        }
        if paths.iter().any(|path| path.used == Use::Create) {
            // A name that is to be a link is none yet, and nobody can take it for a directory meanwhile.
            self.world.known.forget();
        }
        if let [_, second] = paths {
            // Links and renames between mounts are refused by the kernel where mounts are real.
            if seen == 2 && mounts[0] != mounts[1] {
                return Err(EXDEV.into());
            }
            if second.used == Use::Create && paths[0].used == Use::Remove {
                change.after = Some(After::Moved);
            }
        }
        Ok(if change.is_nothing() { Plan::Go } else { Plan::Change(change) })
    }

    /// Where an argument leads. `None`: that is the kernel's business, be it an error or an empty path.
    pub(super) fn resolve(
        &mut self,
        dir: Option<usize>,
        path: usize,
        follow: bool,
        scope: Scope,
    ) -> Result<Option<Found>, Stop> {
        let Some(text) = self.task.path(self.argument(path)) else { return Ok(None) };
        self.resolve_text(self.directory(dir), &text, follow, scope)
    }

    /// The descriptor of the directory in an argument; without one, the current directory's.
    pub(super) fn directory(&self, argument: Option<usize>) -> i32 {
        argument.map_or(AT_FDCWD, |index| self.argument(index) as i32)
    }

    /// What an earlier call that only looked or read has shown to be done with this path.
    pub(super) fn known_change(&self, argument: usize, text: &[u8]) -> Option<Change> {
        let at = self.task.strings.as_ref().filter(|_| self.abi == 0)?.named(text)?;
        let is_believed = self.world.known.plain(text) == Some(false);
        is_believed.then(|| Change { arguments: vec![(argument, New::Value(at))], ..Change::default() })
    }

    /// Whether a path without links leads to the same file of the host for ever, and may be looked at and read.
    pub(super) fn stays(&self, found: &Found, text: &[u8]) -> bool {
        let Place::Mount(mount, _) = self.world.table.place(&found.virt) else { return false };
        let Mount { backing, rights, .. } = self.world.table.get(mount);
        found.virt == text && backing.manner() == Manner::Host && rights.contains(Rights::READ)
    }

    pub(super) fn resolve_text(
        &mut self,
        dir: i32,
        text: &[u8],
        follow: bool,
        scope: Scope,
    ) -> Result<Option<Found>, Stop> {
        if text.is_empty() {
            return Ok(None);
        }
        let start = if text.starts_with(b"/") && !scope.beneath && !scope.in_root {
            Start { virt: Vec::new(), native: true, host: None }
        } else {
            match self.start(dir)? {
                Some(start) => start,
                None => return Ok(None),
            }
        };
        let asker = Asker { tid: self.task.pid.0, answers: &self.task.answers };
        self.world.walk(asker, &start, text, follow, scope).map(Some)
    }

    /// The directory of a descriptor, or the current one. `None`: there is none, as the kernel will say.
    fn start(&mut self, dir: i32) -> Result<Option<Start>, Stop> {
        if dir == AT_FDCWD {
            return Ok(self.cwd()?.map(|cwd| Start {
                virt: cwd.virt,
                native: cwd.native,
                host: Some(cwd.host),
            }));
        }
        let Some(host) = self.descriptor(dir) else { return Ok(None) };
        if !host.starts_with(b"/") {
            return Ok(None);
        }
        match self.world.name_of(&host) {
            Some((virt, native)) => Ok(Some(Start { virt, native, host: Some(host) })),
            None => Err(EACCES.into()),
        }
    }

    /// The host path of what a descriptor is open on.
    pub(super) fn descriptor(&self, fd: i32) -> Option<Vec<u8>> {
        look::link(format!("/proc/{}/fd/{fd}", self.task.pid).as_bytes()).ok()
    }

    /// The current directory. `None`: it has been removed.
    pub(super) fn cwd(&mut self) -> Result<Option<Cwd>, Stop> {
        if let Some(cwd) = self.task.cwd.as_ref().filter(|cwd| cwd.generation == self.generation) {
            return Ok(Some(cwd.clone()));
        }
        let Ok(host) = look::link(format!("/proc/{}/cwd", self.task.pid).as_bytes()) else {
            return Ok(None);
        };
        let kept = self.task.cwd.take().filter(|cwd| cwd.host == host);
        let cwd = match kept {
            Some(cwd) => Cwd { generation: self.generation, ..cwd },
            None if host.ends_with(b" (deleted)") && !look::exists(&host) => return Ok(None),
            None => match self.world.name_of(&host) {
                Some((virt, native)) => Cwd { generation: self.generation, host, virt, native },
                None => return Err(EACCES.into()),
            },
        };
        self.task.cwd = Some(cwd.clone());
        Ok(Some(cwd))
    }

    /// The host path of what was found, made ready.
    pub(super) fn host_of(&self, found: &Found, intent: Intent) -> Result<Vec<u8>, Stop> {
        let asker = Asker { tid: self.task.pid.0, answers: &self.task.answers };
        let mut host = self.world.host_of(asker, &found.virt, intent)?;
        match (found.dot, found.slash) {
            (true, _) => host.extend_from_slice(b"/."),
            (false, true) => host.push(b'/'),
            (false, false) => {}
        }
        Ok(host)
    }

    /// Makes an argument the host path of what was found, unless that is what it is.
    pub(super) fn put(
        &self,
        change: &mut Change,
        argument: usize,
        found: &Found,
        intent: Intent,
    ) -> Result<(), Stop> {
        if found.native {
            return Ok(());
        }
        self.world.renames.set(true);
        let host = self.host_of(found, intent)?;
        if !found.leads_to(&host) {
            change.path(argument, host);
        }
        if let Place::Mount(mount, below) = self.world.table.place(&found.virt)
            && matches!(intent, Intent::Change | Intent::Replace | Intent::Create | Intent::Remove)
        {
            change.told.push((mount, below.to_vec(), intent));
        }
        Ok(())
    }

    fn getcwd(&mut self) -> Result<Plan, Stop> {
        const ERANGE: Errno = Errno(34);
        let Some(cwd) = self.cwd()? else { return Ok(Plan::Go) };
        if cwd.native {
            return Ok(Plan::Go);
        }
        let mut text = super::mounts::shown(&cwd.virt).to_vec();
        text.push(0);
        if (self.argument(1) as usize) < text.len() {
            return Err(ERANGE.into());
        }
        self.task.write(self.argument(0), &text)?;
        Ok(Plan::Skip(text.len() as i64))
    }

    fn chdir(&mut self) -> Result<Plan, Stop> {
        let Some(found) = self.resolve(None, 0, true, Scope::default())? else { return Ok(Plan::Go) };
        let mut change = Change::default();
        self.put(&mut change, 0, &found, Intent::Look)?;
        // A link of /proc leads where its text says, which only the kernel knows for sure.
        let after = if procfs::is_magic(&found.virt) { After::Moved } else { After::In(found.virt) };
        change.after = Some(after);
        Ok(Plan::Change(change))
    }

    fn readlink(&mut self, path: usize) -> Result<Plan, Stop> {
        let Some(found) = self.resolve(path.checked_sub(1), path, false, Scope::default())? else {
            return Ok(Plan::Go);
        };
        let host = self.host_of(&found, Intent::Look)?;
        if procfs::is_magic(&host)
            && let Ok(text) = look::link(&host)
            && text.starts_with(b"/")
        {
            let (bare, mark) = match text.strip_suffix(b" (deleted)") {
                Some(bare) if !look::exists(&text) => (bare, &b" (deleted)"[..]),
                _ => (&text[..], &b""[..]),
            };
            if let Some(virt) = self.virtual_name(&host, bare) {
                let name = [super::mounts::shown(&virt), mark].concat();
                let size = self.argument(path + 2) as i32;
                if size <= 0 {
                    return Ok(Plan::Go); // EINVAL, says the kernel
                }
                let name = &name[..name.len().min(size as usize)];
                self.task.write(self.argument(path + 1), name)?;
                return Ok(Plan::Skip(name.len() as i64));
            }
        }
        let mut change = Change::default();
        self.put(&mut change, path, &found, Intent::Look)?;
        Ok(if change.is_nothing() { Plan::Go } else { Plan::Change(change) })
    }

    /// Another name for what a link of /proc says.
    fn virtual_name(&mut self, link: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        if link.ends_with(b"/root") {
            return None; // nobody has changed it, and `/` is `/`
        }
        let own_cwd = link.ends_with(b"/cwd").then(|| self.cwd().ok().flatten()).flatten();
        if let Some(cwd) = own_cwd.filter(|cwd| cwd.host == text) {
            return (!cwd.native).then_some(cwd.virt);
        }
        self.world.name_of(text).filter(|(_, native)| !native).map(|(virt, _)| virt)
    }
}
