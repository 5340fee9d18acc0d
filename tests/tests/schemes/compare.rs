//! A tree behind a [`Backing`] and a directory of the host: the same, by every attribute that a scheme can tell.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use conformance::harness::{Outcome, ensure};
use userland::run::backing::{Backing, Intent};
use userland::schemes::private::Private;
use userland::schemes::shadow::{Habit, Shadow, Silent};
use userland::schemes::tree::{Files, Tree};

/// What is compared of a file.
#[derive(Clone, Copy)]
pub(crate) struct Detail {
    /// Permission bits.
    pub(crate) mode: bool,
    /// Times of change at all.
    pub(crate) time: bool,
    /// Nanoseconds of the time of change. Its seconds always are.
    pub(crate) nanoseconds: bool,
    /// Times of directories.
    pub(crate) directory_time: bool,
}

/// A tree as a mount.
pub(crate) fn shadow<T: Tree>(name: &str, tree: T, private: &Arc<Private>) -> Shadow<Files<T>> {
    let habit = Habit { fresh: false, at_once: 4, lazy: false };
    Shadow::new(Files::new(name, tree), name, habit, private, Arc::new(Silent))
        .expect("a private directory can be made")
}

/// Lines that describe everything below, read as an unmodified program would: list, look, read.
fn describe(
    host: &dyn Fn(&Path, Intent) -> PathBuf,
    detail: Detail,
) -> std::io::Result<BTreeMap<PathBuf, String>> {
    let mut lines = BTreeMap::new();
    let mut left = vec![PathBuf::new()];
    // Links are told by the first of their names, in order.
    let mut inodes: BTreeMap<u64, PathBuf> = BTreeMap::new();
    while let Some(dir) = left.pop() {
        let mut names: Vec<_> = fs::read_dir(host(&dir, Intent::List))?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<std::io::Result<_>>()?;
        names.sort();
        for name in names {
            let below = dir.join(&name);
            let path = host(&below, Intent::Look);
            let metadata = path.symlink_metadata()?;
            let mut line = format!("{:?}", metadata.file_type());
            if detail.time && (!metadata.is_dir() || detail.directory_time) {
                let nanoseconds = if detail.nanoseconds { metadata.mtime_nsec() } else { 0 };
                line += &format!(" at {}.{nanoseconds:09}", metadata.mtime());
            }
            if detail.mode && !metadata.is_symlink() {
                line += &format!(" mode {:o}", metadata.permissions().mode());
            }
            if metadata.is_symlink() {
                line += &format!(" to {:?}", fs::read_link(&path)?);
            } else if metadata.is_dir() {
                left.push(below.clone());
            } else {
                let before = (metadata.ino(), metadata.len());
                let path = host(&below, Intent::Read);
                let metadata = path.symlink_metadata()?;
                let first = inodes.entry(metadata.ino()).or_insert_with(|| below.clone());
                line += &format!(" {} bytes, first {first:?}", metadata.len());
                if before != (metadata.ino(), metadata.len()) {
                    line += ", another file than was seen before";
                }
                line += &format!(", sum {:x}", sum(&path)?);
            }
            lines.insert(below, line);
        }
    }
    Ok(lines)
}

/// FNV-1a of 8 bytes at a time, to compare files of any size.
fn sum(path: &Path) -> std::io::Result<u64> {
    use std::io::Read;
    let mix = |sum: u64, piece: &[u8]| {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x100_0000_01b3)
    };
    let (mut file, mut buf, mut total) = (fs::File::open(path)?, vec![0; 1 << 20], 0xcbf2_9ce4_8422_2325);
    loop {
        match (&mut file).take(1 << 20).read_to_end({
            buf.clear();
            &mut buf
        })? {
            0 => return Ok(total),
            _ => total = buf.chunks(8).fold(total, mix),
        }
    }
}

/// Fails at the first name that is not the same.
pub(crate) fn same_tree(real: &Path, backing: &dyn Backing, detail: Detail) -> Outcome {
    let of_real = describe(
        &|below, _| if below.as_os_str().is_empty() { real.into() } else { real.join(below) },
        detail,
    )?;
    let located = |below: &Path, intent| {
        backing.locate(below, intent).unwrap_or_else(|errno| panic!("{below:?} {intent:?}: {errno}"))
    };
    let of_backing = describe(&located, detail)?;
    for (name, line) in &of_real {
        let found = of_backing.get(name).map_or("nothing", String::as_str);
        ensure(line == found, || format!("{name:?}\nexpected: {line}\nfound:    {found}"))?;
    }
    let more = of_backing.keys().find(|name| !of_real.contains_key(*name));
    ensure(more.is_none(), || {
        format!(
            "only behind the mount: {:?}",
            more.map(|name| name.as_os_str().as_bytes().escape_ascii().to_string())
        )
    })
}
