//! [`table`]: what the mounts of a run are made of, from what was asked for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kernel_model::abi::{Errno, Result as Answer};
use thiserror::Error;

use super::cmd::Cmd;
use super::dir::Dir;
use super::http::{Http, Options};
use super::overlay::Overlay;
use super::private::Private;
use super::proc::Proc;
use super::shadow::{Habit, Shadow, Watch};
use super::spec::{Rights, Source, Spec};
use super::tar::Tar;
use super::tree::Files;
use crate::run::backing::{Backing, Intent, Manner};

/// A mount as the interposer needs it.
pub struct Mounted {
    /// Absolute, as it was written.
    pub point: PathBuf,
    /// What is there.
    pub backing: Arc<dyn Backing>,
    /// What may be done.
    pub rights: Rights,
}

/// A mount that cannot be made.
#[derive(Debug, Error)]
#[error("cannot mount {what} at {}: {cause}", point.display())]
pub struct TableError {
    /// Where.
    pub point: PathBuf,
    /// The file, directory, server or command.
    pub what: String,
    /// Of the operating system, or of the scheme.
    pub cause: io::Error,
}

/// Makes everything ready to be asked; nothing is asked of any server yet. What is private is removed when the last of
/// these mounts is dropped.
pub fn table(specs: &[Spec], watch: &Arc<dyn Watch>) -> Result<Vec<Mounted>, TableError> {
    let mut maker = Maker { private: None, watch: watch.clone() };
    let mounted = |spec: &Spec| {
        let fails = |cause| TableError { point: spec.point.clone(), what: name(&spec.source), cause };
        let backing = maker.backing(&spec.source, spec).map_err(fails)?;
        Ok(Mounted { point: spec.point.clone(), backing, rights: spec.rights })
    };
    specs.iter().map(mounted).collect()
}

struct Maker {
    /// Made for the first who needs it: a run with `dir:` alone leaves no trace.
    private: Option<Arc<Private>>,
    watch: Arc<dyn Watch>,
}

impl Maker {
    fn private(&mut self) -> io::Result<Arc<Private>> {
        if let Some(private) = &self.private {
            return Ok(private.clone());
        }
        let private = Arc::new(Private::new()?);
        self.private = Some(private.clone());
        Ok(private)
    }

    fn backing(&mut self, source: &Source, spec: &Spec) -> io::Result<Arc<dyn Backing>> {
        Ok(match source {
            Source::Nothing => Arc::new(Nothing),
            Source::Dir(path) => Arc::new(Dir::new(path, !spec.rights.write)?),
            Source::Mem => Arc::new(Dir::memory(&self.private()?)?),
            Source::Proc => Arc::new(Proc::new(&self.private()?)?),
            Source::Tar(path) => {
                let private = self.private()?;
                let tree = Files::new("tar", Tar::new(path, &private)?);
                Arc::new(Shadow::new(tree, "tar", Habit::LOCAL, &private, self.watch.clone())?)
            }
            Source::Http(url) => {
                let fresh = spec.fresh.unwrap_or(false);
                let mode = if spec.executable { 0o755 } else { 0o644 };
                let http = Http::new(url, Options { fresh, mode, patience: Duration::from_secs(30) })?;
                // A server far away answers many questions in the time of one.
                let habit = Habit { fresh, at_once: 8, lazy: spec.lazy };
                let private = self.private()?;
                Arc::new(Shadow::new(Files::new("http", http), "http", habit, &private, self.watch.clone())?)
            }
            Source::Cmd(command) => {
                // What a program makes up may be something else each time.
                let habit = Habit { fresh: spec.fresh.unwrap_or(true), at_once: 1, lazy: false };
                let private = self.private()?;
                Arc::new(Shadow::new(Cmd::start(command)?, "cmd", habit, &private, self.watch.clone())?)
            }
            Source::Overlay(lower, upper) => {
                let private = self.private()?;
                let read_only = Spec { rights: Rights { write: false, ..spec.rights }, ..spec.clone() };
                let below = self.backing(lower, &read_only)?;
                let above = upper.clone().unwrap_or_else(|| private.unused());
                Arc::new(Overlay::new(below, &above, &private)?)
            }
        })
    }
}

/// What a message calls it.
fn name(source: &Source) -> String {
    match source {
        Source::Nothing => "nothing".into(),
        Source::Dir(path) | Source::Tar(path) => path.display().to_string(),
        Source::Mem => "mem:".into(),
        Source::Proc => "proc:".into(),
        Source::Http(url) => url.clone(),
        Source::Cmd(command) => format!("`{command}`"),
        Source::Overlay(lower, upper) => {
            let upper = upper.as_deref().unwrap_or(Path::new("mem:"));
            format!("{} over {}", upper.display(), name(lower))
        }
    }
}

/// What `deny` mounts.
struct Nothing;

impl Backing for Nothing {
    fn is_ready(&self, _below: &Path, _intent: Intent) -> bool {
        true
    }

    fn locate(&self, _below: &Path, _intent: Intent) -> Answer<PathBuf> {
        Err(Errno::EACCES)
    }

    fn finished(&self, _below: &Path, _intent: Intent, _done: bool) {}

    fn name_of(&self, _host: &Path) -> Option<PathBuf> {
        None
    }

    fn manner(&self) -> Manner {
        Manner::Native
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemes::shadow::Silent;

    #[test]
    fn what_cannot_be_mounted_says_so_before_anything_runs() {
        let watch: Arc<dyn Watch> = Arc::new(Silent);
        let fails =
            |text: &str| table(&[Spec::parse(text).unwrap()], &watch).err().map(|error| error.to_string());
        assert_eq!(
            fails("/x=dir:/no/such"),
            Some("cannot mount /no/such at /x: No such file or directory (os error 2)".into())
        );
        assert!(fails("/x=tar:/").unwrap().contains("not a regular file"));
        assert!(fails("/x=overlay:/no/such:").unwrap().starts_with("cannot mount mem: over /no/such at /x"));
        assert_eq!(fails("/x=https://h").is_some(), !cfg!(feature = "https"));
        assert_eq!(fails("/x,deny"), None);
        let ro = table(&[Spec::parse("/x=dir:/usr:ro").unwrap()], &watch).ok().unwrap().remove(0);
        assert_eq!(ro.backing.locate(Path::new("new"), Intent::Create), Err(Errno::EROFS));
    }
}
