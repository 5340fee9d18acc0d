//! [`Table`]: the mounts of a run, longest prefix first, and both directions of names: virtual to host, host to virtual.
//!
//! A virtual path is bytes: empty for the root, else `/` before each name, with no `.`, `..` or symbolic link in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitflags::bitflags;

use super::backing::{Backing, Manner};

bitflags! {
    /// What may be done below a mount point. Nothing at all: the mount hides what is there.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Look, list, read.
        const READ = 1;
        /// Change, make, remove.
        const WRITE = 2;
        /// Execute as a program.
        const EXECUTE = 4;
    }
}

/// One mount.
pub struct Mount {
    /// The mount point, a virtual path.
    pub at: Vec<u8>,
    /// What is there.
    pub backing: Arc<dyn Backing>,
    /// What may be done with it.
    pub rights: Rights,
}

/// Where a virtual path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'p> {
    /// On the host, under the same name.
    Host,
    /// In the mount with this index, under this name.
    Mount(usize, &'p [u8]),
}

/// All mounts.
#[derive(Default)]
pub struct Table {
    mounts: Vec<Mount>,
}

/// Whether `path` is `prefix` or below it.
pub fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.starts_with(prefix) && matches!(path.get(prefix.len()), None | Some(b'/'))
}

/// Bytes as a path.
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A virtual path as people and programs see it.
pub fn shown(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

/// A path without `.`, doubled and closing slashes; `..` takes the name before it. Only for paths known to have no links.
pub fn normal(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => pop(&mut out),
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    out
}

/// Goes up by one name; the root is its own parent.
pub fn pop(path: &mut Vec<u8>) {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.truncate(end);
}

impl Table {
    /// Of these; where two have the same point, the later one is seen.
    pub fn new(mounts: Vec<Mount>) -> Table {
        let mut kept: Vec<Mount> = Vec::with_capacity(mounts.len());
        for mount in mounts {
            kept.retain(|other| other.at != mount.at);
            kept.push(mount);
        }
        kept.sort_by_key(|mount| std::cmp::Reverse(mount.at.len()));
        Table { mounts: kept }
    }

    /// A mount by its index.
    pub fn get(&self, index: usize) -> &Mount {
        &self.mounts[index]
    }

    /// Whether some mount is read in this manner.
    pub fn has(&self, manner: Manner) -> bool {
        self.mounts.iter().any(|mount| mount.backing.manner() == manner)
    }

    /// The mount that is read in parts and has this host path, and the name there.
    pub fn in_parts(&self, host: &Path) -> Option<(usize, PathBuf)> {
        let parts =
            self.mounts.iter().enumerate().filter(|(_, mount)| mount.backing.manner() == Manner::Parts);
        parts.filter_map(|(index, mount)| Some((index, mount.backing.name_of(host)?))).next()
    }

    /// The mount that a virtual path is in: the longest prefix wins.
    pub fn place<'p>(&self, path: &'p [u8]) -> Place<'p> {
        let found = self.mounts.iter().position(|mount| is_below(path, &mount.at));
        match found {
            None => Place::Host,
            Some(index) => {
                let below = &path[self.mounts[index].at.len()..];
                Place::Mount(index, below.strip_prefix(b"/").unwrap_or(below))
            }
        }
    }

    /// Whether a mount point is below this path, not at it.
    pub fn has_below(&self, path: &[u8]) -> bool {
        self.points_below(path).next().is_some()
    }

    /// Mount points below this path.
    pub fn points_below<'t>(&'t self, path: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        let below = move |at: &&[u8]| at.len() > path.len() && is_below(at, path);
        self.mounts.iter().map(|mount| &mount.at[..]).filter(below)
    }

    /// The virtual name of a host path: the mount's where it lies in one's tree, else `None`. Of nested trees the
    /// innermost; a name that another mount hides does not count.
    pub fn name_of(&self, host: &Path) -> Option<Vec<u8>> {
        let mut best: Option<(usize, Vec<u8>)> = None;
        for (index, mount) in self.mounts.iter().enumerate() {
            let Some(below) = mount.backing.name_of(host) else { continue };
            let mut name = mount.at.clone();
            if !below.as_os_str().is_empty() {
                name.push(b'/');
                name.extend_from_slice(below.as_os_str().as_bytes());
            }
            if !matches!(self.place(&name), Place::Mount(seen, _) if seen == index) {
                continue;
            }
            // The shorter the rest, the deeper the root of its tree.
            let rest = below.as_os_str().len();
            if best.as_ref().is_none_or(|(shortest, _)| rest < *shortest) {
                best = Some((rest, name));
            }
        }
        best.map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> (tempfile::TempDir, Table) {
        let dir = tempfile::tempdir().unwrap();
        let mount = |at: &str, sub: &str| {
            let root = dir.path().join(sub);
            std::fs::create_dir_all(&root).unwrap();
            let backing = Arc::new(crate::schemes::dir::Dir::new(&root, false).unwrap());
            Mount { at: at.as_bytes().to_vec(), backing, rights: Rights::all() }
        };
        let mounts = vec![mount("/x", "a"), mount("/x/y/z", "b"), mount("/x", "c"), mount("/n/m", "c/in")];
        let table = Table::new(mounts);
        (dir, table)
    }

    #[test]
    fn the_longest_prefix_wins_and_names_are_whole() {
        let (dir, table) = table();
        assert_eq!(table.mounts.len(), 3);
        let place = |path: &'static str| match table.place(path.as_bytes()) {
            Place::Host => "host".to_owned(),
            Place::Mount(index, below) => format!(
                "{}:{}",
                String::from_utf8_lossy(&table.get(index).at),
                String::from_utf8_lossy(below)
            ),
        };
        assert_eq!(place("/x"), "/x:");
        assert_eq!(place("/x/f"), "/x:f");
        assert_eq!(place("/xf"), "host");
        assert_eq!(place("/x/y"), "/x:y");
        assert_eq!(place("/x/y/z/q"), "/x/y/z:q");
        assert_eq!(place(""), "host");
        assert!(table.has_below(b"") && table.has_below(b"/n") && !table.has_below(b"/n/m"));
        let name = |sub: &str| {
            let host = dir.path().canonicalize().unwrap().join(sub);
            table.name_of(&host).map(|name| String::from_utf8(name).unwrap())
        };
        assert_eq!(name("c/f").as_deref(), Some("/x/f"), "the later mount at /x is the one that is seen");
        assert_eq!(name("a/f"), None);
        assert_eq!(name("c/in/f").as_deref(), Some("/n/m/f"), "the inner tree");
        assert_eq!(name("b").as_deref(), Some("/x/y/z"));
        assert_eq!(name("c/y/z/f"), None, "hidden by the mount at /x/y/z");
    }

    #[test]
    fn paths_are_made_normal() {
        for (path, normal_form) in
            [("/", ""), ("//a/./b//", "/a/b"), ("/a/../../b", "/b"), ("a/b/..", "/a"), ("/..", "")]
        {
            assert_eq!(normal(path.as_bytes()), normal_form.as_bytes(), "{path}");
        }
    }
}
