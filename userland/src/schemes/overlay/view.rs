//! The view: directories that have the names of both trees, for getdents and for the working directory.
//!
//! Their entries are empty stand-ins of the right type: whoever names one is led to the file itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, FileType, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kernel_model::abi::{Errno, Result};
use nix::sys::stat::Mode;

use super::{Found, Overlay, WHITEOUT, copy};
use crate::run::backing::Intent;
use crate::schemes::errors::errno;
use crate::schemes::names::under;
use crate::schemes::tree::lock;

impl Overlay {
    /// The names in a directory that the program sees.
    pub(super) fn names(&self, below: &Path, found: &Found) -> Result<BTreeMap<OsString, FileType>> {
        let mut names = BTreeMap::new();
        let mut hidden = Vec::new();
        if found.below.as_ref().is_some_and(|(_, metadata)| metadata.is_dir()) {
            let listed = self.below.locate(below, Intent::List)?;
            for entry in fs::read_dir(listed).map_err(errno)? {
                let entry = entry.map_err(errno)?;
                names.insert(entry.file_name(), entry.file_type().map_err(errno)?);
            }
        }
        let mut above = Vec::new();
        if found.above.is_some() {
            for entry in fs::read_dir(self.above(below)).map_err(errno)? {
                let entry = entry.map_err(errno)?;
                match entry.file_name().as_encoded_bytes().strip_prefix(WHITEOUT.as_bytes()) {
                    Some(name) => hidden.push(name.to_owned()),
                    None => above.push((entry.file_name(), entry.file_type().map_err(errno)?)),
                }
            }
        }
        names.retain(|name, _| {
            let name = name.as_encoded_bytes();
            !name.starts_with(WHITEOUT.as_bytes()) && !hidden.iter().any(|hidden| hidden == name)
        });
        names.extend(above);
        Ok(names)
    }

    /// A directory of the view; with `whole`, it has all its names.
    pub(super) fn view(&self, below: &Path, found: &Found, whole: bool) -> Result<PathBuf> {
        let names = if whole { Some(self.names(below, found)?) } else { None };
        let _changes = lock(&self.changes);
        let dir = under(&self.view, below);
        self.make_dirs(below).map_err(errno)?;
        if let Some(names) = names {
            for entry in fs::read_dir(&dir).map_err(errno)?.flatten() {
                let kept = names.get(&entry.file_name()).zip(entry.file_type().ok());
                if kept.is_none_or(|(now, was)| *now != was) {
                    take_away(&entry.path());
                }
            }
            for (name, kind) in names {
                stand_in(&dir.join(name), kind).map_err(errno)?;
            }
        }
        self.set_attributes(below, found).map_err(errno)?;
        Ok(dir)
    }

    fn make_dirs(&self, below: &Path) -> io::Result<()> {
        let mut dir = self.view.clone();
        for name in below {
            dir.push(name);
            if !dir.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                take_away(&dir);
                fs::create_dir(&dir)?;
            }
        }
        Ok(())
    }

    /// The view of a directory looks as the directory does.
    fn set_attributes(&self, below: &Path, found: &Found) -> io::Result<()> {
        let Some(metadata) = found.metadata() else { return Ok(()) };
        let dir = under(&self.view, below);
        let mode = metadata.permissions().mode() & 0o7777;
        if dir.metadata()?.permissions().mode() & 0o7777 != mode | 0o700 {
            fs::set_permissions(&dir, Permissions::from_mode(mode | 0o700))?;
        }
        copy::set_time(&dir, metadata)
    }

    /// After a change: who has the directory open sees it.
    pub(super) fn update_view(&self, below: &Path, intent: Intent) {
        let found = self.find(below);
        let moved = matches!(intent, Intent::Create | Intent::Remove);
        let parent =
            below.parent().filter(|_| moved).and_then(|parent| Some((parent, self.find(parent).ok()?)));
        let _changes = lock(&self.changes);
        let host = under(&self.view, below);
        match found {
            Ok(found) if found.is_dir() => {
                if intent == Intent::Create {
                    let is_seen = host.parent().is_some_and(Path::is_dir);
                    if is_seen && !host.is_dir() {
                        take_away(&host);
                        let _ = fs::create_dir(&host);
                    }
                }
                if host.is_dir() {
                    let _ = self.set_attributes(below, &found);
                }
            }
            Ok(found) => {
                let kind = found.metadata().map(fs::Metadata::file_type);
                if let Some(kind) = kind.filter(|_| host.parent().is_some_and(Path::is_dir)) {
                    if host.symlink_metadata().is_ok_and(|now| now.file_type() != kind) {
                        take_away(&host);
                    }
                    let _ = stand_in(&host, kind);
                }
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => take_away(&host),
            Err(_) => {}
        }
        if let Some((parent, found)) = parent {
            let _ = self.set_attributes(parent, &found);
        }
    }
}

fn take_away(path: &Path) {
    let is_dir = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    let _ = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// Something of the right type.
fn stand_in(path: &Path, kind: FileType) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    if kind.is_dir() {
        fs::create_dir(path)
    } else if kind.is_symlink() {
        symlink("stand-in", path)
    } else if kind.is_fifo() {
        nix::unistd::mkfifo(path, Mode::S_IRUSR).map_err(io::Error::from)
    } else {
        File::create(path).map(drop)
    }
}
