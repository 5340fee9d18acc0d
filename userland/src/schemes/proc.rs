//! [`Proc`]: the names of the `proc:` scheme as files. What is in them comes from the kernel of the run, at each open
//! (`run::live`): here are only placeholders, for those who look and list.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel_model::abi::{Errno, Result};

use super::dir::{changes, refusal};
use super::errors::errno;
use super::names::under;
use super::private::Private;
use crate::run::backing::{Backing, Intent, Manner};

/// The files of a process (RFC 0001, section 4), with their modes. A test compares them with `proc:features`.
const FILES: &[(&str, u32)] = &[
    ("call", 0o400),
    ("exe", 0o444),
    ("log", 0o600),
    ("mem", 0o600),
    ("regs/env", 0o600),
    ("regs/float", 0o600),
    ("regs/int", 0o600),
    ("sets/entry", 0o600),
    ("sets/exit", 0o600),
    ("sets/signal", 0o600),
    ("siginfo", 0o400),
    ("status", 0o444),
    ("threads", 0o444),
    ("trace", 0o600),
    ("trace.g2", 0o600),
    ("trace.x", 0o600),
];

/// Directories with a file for each descriptor of the process, under the same number.
const NUMBERED: &[&str] = &["fd", "fdinfo"];

/// `proc:` behind a mount.
pub struct Proc {
    tree: PathBuf,
    /// The directory it is in.
    _private: Arc<Private>,
}

impl Proc {
    /// With nothing in it yet.
    pub fn new(private: &Arc<Private>) -> io::Result<Proc> {
        let place = private.unused();
        fs::create_dir(&place)?;
        let tree = place.canonicalize()?;
        file(&tree.join("features"), 0o444)?;
        Ok(Proc { tree, _private: private.clone() })
    }

    /// Makes sure that what is at `below` is there, if it should be.
    fn place(&self, below: &Path, intent: Intent) -> Result<()> {
        let mut names = below.iter().map(|name| name.to_str().ok_or(Errno::ENOENT));
        let Some(pid) = names.next().transpose()? else {
            return if intent == Intent::List { self.place_all().map_err(errno) } else { Ok(()) };
        };
        let rest: Vec<&str> = names.collect::<Result<_>>()?;
        if pid == "features" {
            return if rest.is_empty() { Ok(()) } else { Err(Errno::ENOTDIR) };
        }
        if !is_number(pid) {
            return Err(Errno::ENOENT);
        }
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(self.tree.join(pid));
            return Err(Errno::ENOENT);
        }
        self.place_task(pid).map_err(errno)?;
        match rest[..] {
            [dir] if NUMBERED.contains(&dir) => {
                if intent == Intent::List {
                    self.place_numbers(pid, dir).map_err(errno)
                } else {
                    Ok(())
                }
            }
            [dir, number] if NUMBERED.contains(&dir) => self.place_number(pid, dir, number),
            _ => Ok(()),
        }
    }

    /// All processes, and none that has gone.
    fn place_all(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.tree)? {
            let name = entry?.file_name();
            if name != "features" && !Path::new("/proc").join(&name).exists() {
                let _ = fs::remove_dir_all(self.tree.join(name));
            }
        }
        for entry in fs::read_dir("/proc")? {
            if let Some(pid) = entry?.file_name().to_str().filter(|name| is_number(name)) {
                self.place_task(pid)?;
            }
        }
        Ok(())
    }

    fn place_task(&self, pid: &str) -> io::Result<()> {
        let dir = self.tree.join(pid);
        if dir.exists() {
            return Ok(());
        }
        for name in ["regs", "sets"].iter().chain(NUMBERED) {
            DirBuilder::new().recursive(true).mode(0o755).create(dir.join(name))?;
        }
        FILES.iter().try_for_each(|(name, mode)| file(&dir.join(name), *mode))
    }

    fn place_numbers(&self, pid: &str, dir: &str) -> io::Result<()> {
        for entry in fs::read_dir(self.tree.join(pid).join(dir))? {
            let name = entry?.file_name();
            let _ = self.place_number(pid, dir, name.to_str().unwrap_or_default());
        }
        for entry in fs::read_dir(Path::new("/proc").join(pid).join("fd"))? {
            let _ = self.place_number(pid, dir, entry?.file_name().to_str().unwrap_or_default());
        }
        Ok(())
    }

    fn place_number(&self, pid: &str, dir: &str, number: &str) -> Result<()> {
        let place = self.tree.join(pid).join(dir).join(number);
        if !is_number(number) || Path::new("/proc").join(pid).join("fd").join(number).read_link().is_err() {
            let _ = fs::remove_file(place);
            return Err(Errno::ENOENT);
        }
        file(&place, 0o400).map_err(errno)
    }
}

/// Decimal digits, as the kernel writes them.
fn is_number(name: &str) -> bool {
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    digits && (name == "0" || !name.starts_with('0'))
}

/// A placeholder, unless it is there.
fn file(path: &Path, mode: u32) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

impl Backing for Proc {
    /// It asks the host's `/proc` only.
    fn is_ready(&self, _below: &Path, _intent: Intent) -> bool {
        true
    }

    fn locate(&self, below: &Path, intent: Intent) -> Result<PathBuf> {
        self.place(below, intent)?;
        let host = under(&self.tree, below);
        if changes(intent) { Err(refusal(&host, intent)) } else { Ok(host) }
    }

    fn finished(&self, _below: &Path, _intent: Intent, _done: bool) {}

    fn name_of(&self, host: &Path) -> Option<PathBuf> {
        host.strip_prefix(&self.tree).ok().map(Path::to_owned)
    }

    fn manner(&self) -> Manner {
        Manner::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_what_the_host_has() {
        let private = Arc::new(Private::new().unwrap());
        let proc = Proc::new(&private).unwrap();
        let at = |below: &str, intent| proc.locate(Path::new(below), intent);
        let own = std::process::id().to_string();
        assert!(at(&format!("{own}/trace"), Intent::Look).unwrap().is_file());
        assert!(at(&format!("{own}/regs"), Intent::List).unwrap().join("int").is_file());
        assert!(at(&format!("{own}/fd/0"), Intent::Look).unwrap().is_file());
        assert!(!at(&format!("{own}/nothing"), Intent::Look).unwrap().exists());
        for (below, cause) in [
            ("0", Errno::ENOENT),
            ("007", Errno::ENOENT),
            ("4194305/trace", Errno::ENOENT), // above what pid_max can be
            ("self", Errno::ENOENT),
            ("features/x", Errno::ENOTDIR),
        ] {
            assert_eq!(at(below, Intent::Look), Err(cause), "{below}");
        }
        assert_eq!(at(&format!("{own}/fd/99999"), Intent::Look), Err(Errno::ENOENT));
        assert_eq!(at("features", Intent::Change), Err(Errno::EROFS));
        assert!(at("", Intent::List).unwrap().join(&own).join("status").is_file());
    }
}
