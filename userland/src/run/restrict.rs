//! What `--ro` and `--deny` mean to the kernel: a Landlock domain around this thread and all that it starts.
//!
//! Landlock can allow and not forbid: everything is allowed but the paths, by a rule for each entry of each directory above
//! them. So a file that is new in such a directory itself can be looked at, but not be opened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus,
};

/// What is used of Landlock: truncation is the last that matters here.
const USED: ABI = ABI::V3;

/// Paths of the host, canonical.
#[derive(Clone, Debug, Default)]
pub struct Restrictions {
    /// Not to be changed.
    pub read_only: BTreeSet<PathBuf>,
    /// Not to be opened.
    pub denied: BTreeSet<PathBuf>,
}

impl Restrictions {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.read_only.is_empty() && self.denied.is_empty()
    }

    /// From now on they hold, for this thread and what it makes, for ever. False: the kernel cannot hold all of them.
    pub fn enforce(&self) -> Result<bool, RulesetError> {
        let handled = self.handled();
        let mut ruleset = Ruleset::default().handle_access(handled)?.create()?;
        ruleset = self.allow(Path::new("/"), handled, ruleset)?;
        Ok(ruleset.restrict_self()?.ruleset == RulesetStatus::FullyEnforced)
    }

    /// Only what has to be: what is not handled needs no rule.
    fn handled(&self) -> BitFlags<AccessFs> {
        // Listing a directory above a path needs the same right as listing the path. The interposer refuses the latter.
        let read = AccessFs::from_read(USED) & !BitFlags::from(AccessFs::ReadDir);
        let write = AccessFs::from_write(USED);
        if self.denied.is_empty() { write } else { read | write }
    }

    fn allow(
        &self,
        path: &Path,
        access: BitFlags<AccessFs>,
        mut ruleset: RulesetCreated,
    ) -> Result<RulesetCreated, RulesetError> {
        if self.denied.contains(path) {
            return Ok(ruleset);
        }
        let access =
            if self.read_only.contains(path) { access & !AccessFs::from_write(USED) } else { access };
        let above =
            |paths: &BTreeSet<PathBuf>| paths.iter().any(|other| other != path && other.starts_with(path));
        let entries =
            if above(&self.denied) || above(&self.read_only) { std::fs::read_dir(path).ok() } else { None };
        match entries {
            Some(entries) => {
                for entry in entries.flatten() {
                    // A link has no content of its own.
                    if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                        ruleset = self.allow(&entry.path(), access, ruleset)?;
                    }
                }
                Ok(ruleset)
            }
            None => {
                let access = if path.is_dir() { access } else { access & AccessFs::from_file(USED) };
                // One that vanished, or that we may not even name, needs no rule.
                match PathFd::new(path) {
                    Ok(fd) if !access.is_empty() => ruleset.add_rule(PathBeneath::new(fd, access)),
                    _ => Ok(ruleset),
                }
            }
        }
    }
}
