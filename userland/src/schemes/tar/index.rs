//! [`Index`]: what an archive says, as a tree. The last word on a name counts, as with an archive that was appended to.
//!
//! Left out are names with `..`, devices and pipes, and hard links to what is not there. A leading slash is dropped. A name
//! below something that is no directory makes it one: an archive that unpacks "through" its own symbolic link ends here.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kernel_model::abi::{Errno, Result, Stat};
use tar::EntryType;

use super::sparse::{Pax, Segment, old_gnu};
use crate::schemes::names::{clean, entry_name, parent, to_text};

pub(super) struct Index {
    nodes: HashMap<String, Node>,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) stat: Stat,
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    Dir(BTreeSet<String>),
    File(Arc<[Segment]>),
    Link(String),
}

/// The archive as a reader with a cursor of its own.
struct From<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for From<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl io::Seek for From<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Index {
    /// Goes once through the headers.
    pub(super) fn read(file: &File, mtime: SystemTime) -> io::Result<Index> {
        let since = mtime.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut root = dir(0o755, since.as_secs());
        root.stat.mtime_nsec = since.subsec_nanos();
        let mut index = Index { nodes: HashMap::from([(String::new(), root)]) };
        let mut archive = tar::Archive::new(From { file, at: 0 });
        for (number, entry) in archive.entries_with_seek()?.enumerate() {
            index.add(file, &mut entry?, number as u64 + 1)?;
        }
        Ok(index)
    }

    /// The node of a name.
    pub(super) fn get(&self, path: &str) -> Result<&Node> {
        if let Some(node) = self.nodes.get(path) {
            return Ok(node);
        }
        let above = std::iter::successors(parent(path), |path| parent(path));
        let nearest = above.filter_map(|path| self.nodes.get(path)).next();
        Err(if nearest.is_some_and(|node| !matches!(node.kind, Kind::Dir(_))) {
            Errno::ENOTDIR
        } else {
            Errno::ENOENT
        })
    }

    fn add(&mut self, file: &File, entry: &mut tar::Entry<'_, From<'_>>, number: u64) -> io::Result<()> {
        let mut pax = Pax::default();
        let mut mtime = Some((entry.header().mtime().unwrap_or(0), 0));
        if let Some(records) = entry.pax_extensions()? {
            for record in records {
                let record = record?;
                let key = record.key().unwrap_or("");
                pax.record(key, record.value_bytes());
                if key == "mtime" {
                    mtime = pax_time(record.value_bytes()).or(mtime);
                }
            }
        }
        let name = pax.name.clone().unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(path) = clean_name(&name) else { return Ok(()) };
        let header = entry.header();
        let mode = u16::try_from(header.mode().unwrap_or(0o644) & 0o7777).unwrap_or(0o644);
        let (mtime, mtime_nsec) = mtime.unwrap_or_default();
        let stat = |kind, size| Stat { mode: kind | mode, size, ino: number, mtime, mtime_nsec };
        let node = match header.entry_type() {
            EntryType::Directory => {
                let names = match self.nodes.get(&path).map(|node| &node.kind) {
                    Some(Kind::Dir(names)) => names.clone(),
                    _ => BTreeSet::new(),
                };
                Node { stat: Stat { ino: 0, ..stat(Stat::MODE_DIR, 0) }, kind: Kind::Dir(names) }
            }
            EntryType::Symlink => {
                let target = to_text(&entry.link_name_bytes().unwrap_or_default());
                let stat = Stat {
                    mode: Stat::MODE_SYMLINK | 0o777,
                    ..stat(Stat::MODE_SYMLINK, target.len() as u64)
                };
                Node { stat, kind: Kind::Link(target) }
            }
            EntryType::Link => {
                let first = entry.link_name_bytes().and_then(|name| clean_name(&name));
                match first.and_then(|first| self.nodes.get(&first)) {
                    Some(node) if !matches!(node.kind, Kind::Dir(_)) => node.clone(),
                    _ => return Ok(()),
                }
            }
            EntryType::GNUSparse => {
                let head = header.as_gnu().ok_or(io::ErrorKind::InvalidData)?;
                let segments = old_gnu(file, head, entry.raw_header_position())?;
                Node { stat: stat(Stat::MODE_FILE, head.real_size()?), kind: Kind::File(segments.into()) }
            }
            EntryType::Regular | EntryType::Continuous => {
                let (place, length) = (entry.raw_file_position(), entry.size());
                let whole = || vec![Segment { offset: 0, length, place }];
                let segments = pax.segments(file, place)?;
                let size = pax.size.filter(|_| segments.is_some()).unwrap_or(length);
                Node {
                    stat: stat(Stat::MODE_FILE, size),
                    kind: Kind::File(segments.unwrap_or_else(whole).into()),
                }
            }
            _ => return Ok(()),
        };
        self.insert(path, node);
        Ok(())
    }

    /// Puts a node where it belongs, with the directories that it needs.
    fn insert(&mut self, path: String, node: Node) {
        if let Some(above) = parent(&path).map(str::to_owned) {
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            if !matches!(self.nodes.get(&above).map(|node| &node.kind), Some(Kind::Dir(_))) {
                self.insert(above.clone(), dir(0o755, node.stat.mtime));
            }
            if let Some(Node { kind: Kind::Dir(names), .. }) = self.nodes.get_mut(&above) {
                names.insert(name);
            }
        } else if !matches!(node.kind, Kind::Dir(_)) {
            return; // the root is a directory
        }
        let was_dir = matches!(self.nodes.get(&path).map(|node| &node.kind), Some(Kind::Dir(_)));
        if was_dir && !matches!(node.kind, Kind::Dir(_)) {
            let inside = format!("{path}/");
            self.nodes.retain(|name, _| !name.starts_with(&inside));
        }
        self.nodes.insert(path, node);
    }
}

fn dir(mode: u16, mtime: u64) -> Node {
    let stat = Stat { mode: Stat::MODE_DIR | mode, mtime, ..Stat::default() };
    Node { stat, kind: Kind::Dir(BTreeSet::new()) }
}

/// The path in the tree; `None` for what must not be one.
fn clean_name(name: &[u8]) -> Option<String> {
    let text = to_text(name);
    let path = clean(&text)?.into_owned();
    path.split('/').all(|part| path.is_empty() || entry_name(part).is_some()).then_some(path)
}

/// `1700000000.123456789`.
fn pax_time(value: &[u8]) -> Option<(u64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{fraction:0<9}");
    Some((seconds.parse().ok()?, digits.get(..9)?.parse().ok()?))
}
