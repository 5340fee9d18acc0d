//! [`Scratch`]: a copy of this source tree with patches and other files laid over it, built and tested beside the real one.
//!
//! What git tracks is copied, as it is in the working tree, and changed in a directory that goes away; the result is then
//! brought into a directory that stays, where only files that differ are written. So cargo builds again what has changed.
//!
//! All copies have that one directory, in turn. cargo knows packages by their place below the workspace and files by their
//! times: of two trees that share what they build, the one with the older files would be given the other's libraries.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::Failed;
use nix::fcntl::{Flock, FlockArg};

/// The tree that is copied.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace")
}

/// A copy, ready to be built.
pub struct Scratch {
    tree: PathBuf,
    target: PathBuf,
    _turn: Flock<fs::File>,
}

/// What is changed in a copy.
pub enum Change {
    /// `git apply` of this file of the tree, from its root.
    Patch(&'static str),
    /// A file of the tree in the place of another.
    Overlay {
        /// What is put.
        from: &'static str,
        /// Where.
        to: &'static str,
    },
}

impl Scratch {
    /// A copy below `place`, which all copies share. There is one at a time: this waits until the one before is dropped.
    pub fn new(place: &Path, changes: &[Change]) -> Result<Scratch, Failed> {
        let staged = tempfile::tempdir()?;
        let files = tracked()?;
        for file in &files {
            let to = staged.path().join(file);
            fs::create_dir_all(to.parent().expect("below the root"))?;
            fs::copy(root().join(file), to)?;
        }
        for change in changes {
            match change {
                Change::Patch(patch) => apply(staged.path(), patch)?,
                Change::Overlay { from, to } => {
                    fs::copy(root().join(from), staged.path().join(to))?;
                }
            }
        }
        let lock = fs::File::create(place.join("copy.lock"))?;
        let turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        let scratch = Scratch { tree: place.join("copy"), target: place.join("target"), _turn: turn };
        fs::create_dir_all(&scratch.tree)?;
        sync(staged.path(), &scratch.tree)?;
        Ok(scratch)
    }

    /// Its root.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Runs a line of a document whose first word is `cargo`.
    pub fn cargo(&self, line: &str) -> io::Result<Output> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let words = line.split_whitespace().skip(1);
        Command::new(cargo)
            .args(words)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            // Everything is here: this tree was built from the same lock file.
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .stdin(Stdio::null())
            .output()
    }

    /// The same, and it must succeed.
    pub fn must(&self, line: &str) -> Result<String, Failed> {
        let output = self.cargo(line)?;
        let text = text(&output);
        if output.status.success() { Ok(text) } else { Err(format!("{line}: {text}").into()) }
    }
}

/// What a command said, errors last.
pub fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// `$ ` lines of a document's ```console blocks.
pub fn commands(document: &str) -> Vec<&str> {
    let blocks = document.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).collect()
}

fn tracked() -> Result<Vec<PathBuf>, Failed> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output()?;
    if !listed.status.success() {
        return Err(format!("git ls-files: {}", text(&listed)).into());
    }
    let names = String::from_utf8(listed.stdout)?;
    let files = names.split_terminator('\0').map(PathBuf::from);
    // One that was deleted is listed until that is committed.
    Ok(files.filter(|file| root().join(file).is_file()).collect())
}

fn apply(tree: &Path, patch: &str) -> Result<(), Failed> {
    let output = Command::new("git")
        .args(["apply", "--verbose"])
        .arg(root().join(patch))
        .current_dir(tree)
        // Inside a repository paths would mean its files, and what is not there would be skipped without a word.
        .env("GIT_DIR", tree.join("no-repository"))
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{patch} does not apply any more; rfcs/HOWTO-change.md says how to renew it\n{}",
        text(&output)
    )
    .into())
}

/// Makes `to` the same as `from`, leaving alone what is.
fn sync(from: &Path, to: &Path) -> io::Result<()> {
    let names = |dir: &Path| -> io::Result<BTreeSet<std::ffi::OsString>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    };
    let wanted = names(from)?;
    for name in names(to)?.difference(&wanted) {
        let old = to.join(name);
        if old.is_dir() { fs::remove_dir_all(old)? } else { fs::remove_file(old)? }
    }
    for name in &wanted {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            fs::create_dir_all(&to)?;
            sync(&from, &to)?;
        } else if fs::read(&to).ok() != Some(fs::read(&from)?) {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
