//! Looking up a path in the virtual tree: [`World::walk`] follows links as the kernel would if the mounts were real.
//!
//! Most paths touch no mount, and have no link on the way: one look at the host tells, and nothing is rewritten. The others
//! are followed name by name. What is not ready in a mount ends the walk; it is begun again when the answer is there.

use std::cell::Cell;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use kernel_model::abi::Errno;

use super::backing::Intent;
use super::exec::Copies;
use super::look::{self, Known, Straight};
use super::mounts::{Mount, Place, Rights, Table, path_of, pop};
use super::scratch::Scratch;

pub(super) const ENOENT: Errno = Errno(2);
pub(super) const EACCES: Errno = Errno(13);
const EEXIST: Errno = Errno(17);
pub(super) const EXDEV: Errno = Errno(18);
pub(super) const ENOTDIR: Errno = Errno(20);
pub(super) const EROFS: Errno = Errno(30);
pub(super) const ELOOP: Errno = Errno(40);

/// MAXSYMLINKS of linux/namei.h.
const MOST_LINKS: usize = 40;

/// What a mount is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ask {
    pub(super) mount: usize,
    pub(super) below: Vec<u8>,
    pub(super) intent: Intent,
}

/// Answers that a call has waited for.
pub(super) type Answers = Vec<(Ask, Result<PathBuf, Errno>)>;

/// Why there is no path.
#[derive(Debug)]
pub(super) enum Stop {
    /// The call fails.
    Errno(Errno),
    /// A mount has to be asked, which takes time.
    NotReady(Ask),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Errno(errno)
    }
}

/// A directory to start from.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) virt: Vec<u8>,
    /// It is on the host under this name, and the program is there, too.
    pub(super) native: bool,
    /// Where the kernel begins.
    pub(super) host: Option<Vec<u8>>,
}

/// RESOLVE_* of openat2(2).
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Scope {
    pub(super) no_links: bool,
    pub(super) no_magic: bool,
    /// `..`, absolute paths and links must not leave the start: EXDEV.
    pub(super) beneath: bool,
    /// They cannot leave it: it is their root.
    pub(super) in_root: bool,
    /// No other mount than the start's.
    pub(super) no_xdev: bool,
}

impl Scope {
    /// Whether what is on the way does not matter.
    pub(super) fn is_plain(self) -> bool {
        !(self.beneath || self.in_root || self.no_links || self.no_xdev)
    }
}

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Without links; names that are missing are as they were given.
    pub(super) virt: Vec<u8>,
    /// The kernel would find the same by itself.
    pub(super) native: bool,
    /// It ends in a slash.
    pub(super) slash: bool,
    /// It ends in `.` or `..`.
    pub(super) dot: bool,
    /// Where the kernel ends if it is given the same path: known of relative ones without links.
    pub(super) host: Option<Vec<u8>>,
}

impl Found {
    /// Whether the path as it was given leads the kernel to this place, too.
    pub(super) fn leads_to(&self, host: &[u8]) -> bool {
        self.host.as_ref().is_some_and(|own| *own == host.strip_suffix(b"/").unwrap_or(host))
    }
}

/// Who asks: `/proc/self` depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) tid: u32,
    pub(super) answers: &'a Answers,
}

/// Mounts and what was made for them.
#[derive(Default)]
pub(super) struct World {
    pub(super) table: Table,
    pub(super) scratch: Scratch,
    pub(super) copies: Copies,
    pub(super) known: Known,
    /// A process may have a file of a mount, whose name in /proc is the host's.
    pub(super) renames: Cell<bool>,
}

/// A name as the walk sees it.
enum Name {
    /// A link with this text.
    Link(Vec<u8>),
    /// A link of /proc that is more than its text.
    Magic(Vec<u8>),
    Plain,
    Missing,
}

impl World {
    /// The host path of a virtual one, made ready for `intent`.
    pub(super) fn host_of(&self, asker: Asker<'_>, virt: &[u8], intent: Intent) -> Result<Vec<u8>, Stop> {
        let place = self.table.place(virt);
        if intent != Intent::Look && place != Place::Host {
            self.renames.set(true);
        }
        match place {
            Place::Mount(mount, below) => match self.locate(asker, mount, below, intent) {
                Err(Stop::Errno(ENOENT | ENOTDIR)) if self.table.has_below(virt) => self.glue(virt),
                Ok(host) if self.table.has_below(virt) && !look::exists(&host) => self.glue(virt),
                found => found,
            },
            Place::Host if self.table.has_below(virt) && !look::exists(super::mounts::shown(virt)) => {
                self.glue(virt)
            }
            Place::Host => Ok(super::mounts::shown(virt).to_vec()),
        }
    }

    /// A directory that only leads to mount points.
    fn glue(&self, virt: &[u8]) -> Result<Vec<u8>, Stop> {
        self.scratch.glue(virt, self.table.points_below(virt)).map_err(|_| Stop::Errno(ENOENT))
    }

    pub(super) fn locate(
        &self,
        asker: Asker<'_>,
        mount: usize,
        below: &[u8],
        intent: Intent,
    ) -> Result<Vec<u8>, Stop> {
        let Mount { backing, rights, .. } = self.table.get(mount);
        match allowed(*rights, intent) {
            // `mkdir -p` has to see that the directory is there: EEXIST goes first (filename_create in fs/namei.c).
            Err(Stop::Errno(EROFS)) if intent == Intent::Create => {
                let host = self.locate(asker, mount, below, Intent::Look);
                let there = host.is_ok_and(|host| look::is_directory(&host));
                return Err(if there { EEXIST } else { EROFS }.into());
            }
            allowed => allowed?,
        }
        let answer = asker
            .answers
            .iter()
            .find(|(ask, _)| ask.mount == mount && ask.below == below && ask.intent == intent);
        let located = match answer {
            Some((_, answer)) => answer.clone(),
            None if backing.is_ready(path_of(below), intent) => backing.locate(path_of(below), intent),
            None => return Err(Stop::NotReady(Ask { mount, below: below.to_vec(), intent })),
        };
        Ok(located?.into_os_string().into_vec())
    }

    /// The virtual name of a host path. `None`: it has none. True: the same name.
    pub(super) fn name_of(&self, host: &[u8]) -> Option<(Vec<u8>, bool)> {
        let path = path_of(host);
        if let Some(name) = self.scratch.name_of(path).or_else(|| self.table.name_of(path)) {
            return Some((name, false));
        }
        let virt = if host == b"/" { b"" } else { host };
        (self.table.place(virt) == Place::Host).then(|| (virt.to_vec(), true))
    }

    /// Follows `path` from `start`; `follow`: also a link that is the last name.
    pub(super) fn walk(
        &self,
        asker: Asker<'_>,
        start: &Start,
        path: &[u8],
        follow: bool,
        scope: Scope,
    ) -> Result<Found, Stop> {
        if scope.is_plain()
            && path.starts_with(b"/")
            && let Some(native) = self.known.plain(path)
        {
            return Ok(Found { virt: path.to_vec(), native, slash: false, dot: false, host: None });
        }
        let mut rest = path.to_vec();
        let slash = path.ends_with(b"/");
        let last = path.rsplit(|&byte| byte == b'/').find(|name| !name.is_empty()).unwrap_or(b".");
        let dot = last == b"." || last == b"..";
        let follow = follow || slash;
        let mut at = start.clone();
        let mut links = 0;
        let mut winding: Option<Vec<u8>> = None;
        let mut end = None;
        let home = self.mount_of(&start.virt);
        if path.starts_with(b"/") {
            at.native = true;
            self.to_root(&mut at, start, scope)?;
        }
        let confined = scope.beneath || scope.in_root;
        loop {
            let names = rest.iter().position(|&byte| byte != b'/').map_or(&[][..], |first| &rest[first..]);
            if names.is_empty() {
                break;
            }
            let whole = [&at.virt[..], &tidy(names)[..]].concat();
            // What was not straight from the last name is not from this one, unless a link has led elsewhere.
            let worth_it = scope.is_plain() && winding.as_ref() != Some(&whole);
            if worth_it && let Some(candidate) = self.straight(asker, &at, &whole, has_dots(names), follow)? {
                if rest.len() == path.len() && !path.starts_with(b"/") {
                    end = start.host.as_ref().map(|host| [&host[..], &tidy(names)[..]].concat());
                }
                at = candidate;
                break;
            }
            winding = Some(whole);
            let length = names.iter().position(|&byte| byte == b'/').unwrap_or(names.len());
            let (name, after) = (names[..length].to_vec(), names[length..].to_vec());
            let is_last = after.iter().all(|&byte| byte == b'/');
            match &name[..] {
                b"." => {}
                b".." if at.virt == start.virt && scope.beneath => return Err(EXDEV.into()),
                b".." if at.virt == start.virt && scope.in_root => {}
                b".." => {
                    self.must_be_directory(asker, &at.virt)?;
                    pop(&mut at.virt);
                    at.native &= self.table.place(&at.virt) == Place::Host;
                }
                name => {
                    let next = [&at.virt, &b"/"[..], name].concat();
                    let kind = if is_last && !follow { Name::Plain } else { self.look(asker, &next)? };
                    match kind {
                        Name::Link(_) | Name::Magic(_) if scope.no_links => return Err(ELOOP.into()),
                        Name::Magic(_) if scope.no_magic => return Err(ELOOP.into()),
                        Name::Magic(_) if confined => return Err(EXDEV.into()),
                        Name::Link(text) => {
                            links += 1;
                            if links > MOST_LINKS {
                                return Err(ELOOP.into());
                            }
                            if text.starts_with(b"/") {
                                self.to_root(&mut at, start, scope)?;
                            }
                            rest = [&text[..], &after[..]].concat();
                            continue;
                        }
                        Name::Magic(host) if !is_last => {
                            let Some((virt, native)) = self.name_of(&host) else {
                                return Err(EACCES.into());
                            };
                            at.native &= native;
                            at.virt = virt;
                        }
                        Name::Magic(host) if next.ends_with(b"/root") && host == b"/" => {
                            self.to_root(&mut at, start, scope)?;
                        }
                        // The kernel follows it, to the very file. One that stands for another is that one.
                        Name::Magic(host) if next.ends_with(b"/exe") => {
                            match self.scratch.name_of(path_of(&host)) {
                                Some(virt) => at = Start { virt, native: false, host: None },
                                None => at.virt = next,
                            }
                        }
                        Name::Magic(_) => at.virt = next,
                        Name::Missing if !is_last && has_dots(&after) => return Err(ENOENT.into()),
                        Name::Missing => {
                            at.virt = [&next[..], &tidy(&after)[..]].concat();
                            at.native &= self.table.place(&at.virt) == Place::Host;
                            break;
                        }
                        Name::Plain => at.virt = next,
                    }
                    at.native &= self.is_native(&at.virt);
                    if scope.no_xdev && self.mount_of(&at.virt) != home {
                        return Err(EXDEV.into());
                    }
                }
            }
            rest = after;
        }
        Ok(Found { virt: at.virt, native: at.native, slash: slash && !dot, dot, host: end })
    }

    fn mount_of(&self, virt: &[u8]) -> Option<usize> {
        match self.table.place(virt) {
            Place::Host => None,
            Place::Mount(mount, _) => Some(mount),
        }
    }

    /// On the host, and not something that we have made up.
    fn is_native(&self, virt: &[u8]) -> bool {
        self.table.place(virt) == Place::Host
            && (!self.table.has_below(virt) || look::exists(super::mounts::shown(virt)))
    }

    fn to_root(&self, at: &mut Start, start: &Start, scope: Scope) -> Result<(), Stop> {
        if scope.beneath {
            return Err(EXDEV.into());
        }
        if scope.in_root {
            at.virt.clone_from(&start.virt);
            at.native &= start.native;
        } else {
            at.virt.clear();
            at.native &= self.table.place(b"") == Place::Host;
        }
        Ok(())
    }

    fn must_be_directory(&self, asker: Asker<'_>, virt: &[u8]) -> Result<(), Stop> {
        let host = self.host_of(asker, virt, Intent::Look)?;
        match look::is_directory(&host) {
            true => Ok(()),
            false if look::exists(&host) => Err(ENOTDIR.into()),
            false => Err(ENOENT.into()),
        }
    }

    /// The whole rest at once, where there is no mount point and no link on the way.
    fn straight(
        &self,
        asker: Asker<'_>,
        at: &Start,
        whole: &[u8],
        dots: bool,
        follow: bool,
    ) -> Result<Option<Start>, Stop> {
        if dots || self.table.has_below(whole) {
            return Ok(None);
        }
        let virt = whole.to_vec();
        match self.table.place(&virt) {
            // A mount that `..` has led out of leaves `native` as it is.
            Place::Host if virt.starts_with(b"/proc") => Ok(None),
            Place::Host => Ok(match self.known.straight(&virt, follow) {
                found @ (Straight::There | Straight::Missing) => {
                    if found == Straight::There && follow && at.native {
                        self.known.keep(&virt, true);
                    }
                    Some(Start { virt, native: at.native, host: None })
                }
                Straight::Winding => None,
            }),
            Place::Mount(_, b"") => Ok(Some(Start { virt, native: false, host: None })),
            Place::Mount(mount, below) => {
                // Only where the answer is there already: asking about a path with links in it may be asking nonsense.
                let Ok(host) = self.locate(asker, mount, below, Intent::Look) else { return Ok(None) };
                if host.starts_with(b"/proc/") {
                    return Ok(None);
                }
                let straight = match self.known.straight(&host, follow) {
                    Straight::There => {
                        if follow {
                            self.known.keep(&virt, false);
                        }
                        true
                    }
                    Straight::Missing => self.known.has_parent(&host),
                    Straight::Winding => false,
                };
                Ok(straight.then_some(Start { virt, native: false, host: None }))
            }
        }
    }

    fn look(&self, asker: Asker<'_>, virt: &[u8]) -> Result<Name, Stop> {
        let host = match self.table.place(virt) {
            Place::Mount(_, b"") => return Ok(Name::Plain),
            _ => match self.host_of(asker, virt, Intent::Look) {
                Ok(host) => host,
                Err(Stop::Errno(ENOENT | ENOTDIR)) => return Ok(Name::Missing),
                Err(stop) => return Err(stop),
            },
        };
        if let Some(name) = super::procfs::own_name(&host, asker.tid) {
            return Ok(Name::Link(name));
        }
        match look::link(&host) {
            Ok(text) if super::procfs::is_magic(&host) => Ok(Name::Magic(text)),
            Ok(text) => Ok(Name::Link(text)),
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => Ok(Name::Missing),
            Err(_) => Ok(Name::Plain),
        }
    }
}

fn allowed(rights: Rights, intent: Intent) -> Result<(), Stop> {
    let enough = match intent {
        Intent::Look => !rights.is_empty(),
        Intent::List => rights.contains(Rights::READ),
        Intent::Read | Intent::Part(_) => rights.intersects(Rights::READ | Rights::EXECUTE),
        Intent::Change | Intent::Replace | Intent::Create | Intent::Remove => {
            if rights.is_empty() {
                return Err(EACCES.into());
            }
            return if rights.contains(Rights::WRITE) { Ok(()) } else { Err(EROFS.into()) };
        }
    };
    if enough { Ok(()) } else { Err(EACCES.into()) }
}

fn has_dots(names: &[u8]) -> bool {
    names.split(|&byte| byte == b'/').any(|name| name == b"." || name == b"..")
}

/// Each name with one slash before it.
fn tidy(names: &[u8]) -> Vec<u8> {
    let names = names.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    names.flat_map(|name| [b"/", name].concat()).collect()
}
