//! `tar:`: an archive as a tree, compressed or not. Its index is made when it is first asked; contents are read in place.
//!
//! A compressed archive cannot be entered in the middle, so it is unpacked once, as one stream, into the private directory.
//! Whatever an archive says only ever makes nodes of its own index (`index`): no name in it reaches the host.

mod decode;
mod index;
mod sparse;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use kernel_model::abi::{Errno, Result, Stat};

use self::index::{Index, Kind, Node};
use self::sparse::Segment;
use super::errors::errno;
use super::private::Private;
use super::tree::Tree;

/// An archive.
pub struct Tar {
    file: Arc<File>,
    private: Arc<Private>,
    index: OnceLock<Result<Opened>>,
}

struct Opened {
    index: Index,
    plain: Arc<File>,
}

impl Tar {
    /// The archive in `file`. Nothing of it is read yet.
    pub fn new(file: &Path, private: &Arc<Private>) -> io::Result<Tar> {
        let file = File::open(file)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Tar { file: Arc::new(file), private: private.clone(), index: OnceLock::new() })
    }

    fn opened(&self) -> Result<&Opened> {
        let open = || {
            let plain = decode::plain(&self.file, &self.private)?;
            let mtime = self.file.metadata()?.modified()?;
            Ok(Opened { index: Index::read(&plain, mtime)?, plain })
        };
        self.index.get_or_init(|| open().map_err(errno)).as_ref().map_err(|errno| *errno)
    }

    fn node(&self, path: &str) -> Result<&Node> {
        self.opened()?.index.get(path)
    }
}

impl Tree for Tar {
    fn stat(&self, path: &str) -> Result<Stat> {
        self.node(path).map(|node| node.stat)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        match &self.node(path)?.kind {
            Kind::Dir(names) => Ok(names.iter().cloned().collect()),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn link(&self, path: &str) -> Result<String> {
        match &self.node(path)?.kind {
            Kind::Link(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn content(&self, path: &str, from: u64) -> Result<Box<dyn Read + Send>> {
        match &self.node(path)?.kind {
            Kind::File(segments) => {
                let (file, size) = (self.opened()?.plain.clone(), self.node(path)?.stat.size);
                Ok(Box::new(Content { file, segments: segments.clone(), size, at: from }))
            }
            _ => Err(Errno::EISDIR),
        }
    }
}

/// A file's bytes, where they lie in the archive; zeros between them.
struct Content {
    file: Arc<File>,
    segments: Arc<[Segment]>,
    size: u64,
    at: u64,
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buf.len());
        if left == 0 {
            return Ok(0);
        }
        let next = self.segments.iter().find(|segment| segment.end() > self.at);
        let n = match next {
            Some(segment) if segment.offset <= self.at => {
                let skip = self.at - segment.offset;
                let want = left.min(usize::try_from(segment.length - skip).unwrap_or(usize::MAX));
                match self.file.read_at(&mut buf[..want], segment.place + skip)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()), // the archive was cut
                    n => n,
                }
            }
            hole => {
                let end = hole.map_or(self.size, |segment| segment.offset);
                let n = left.min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
                buf[..n].fill(0);
                n
            }
        };
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
