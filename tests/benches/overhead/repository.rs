//! [`make`]: the git repository that benchmarks look at.

use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

/// 300 files in 30 directories, committed.
pub(super) fn make(dir: &Path) -> Result<()> {
    for n in 0..300 {
        let dir = dir.join(format!("d{}", n % 30));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(format!("f{n}")), n.to_string())?;
    }
    let author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "All"]] {
        let status = Command::new("git").arg("-C").arg(dir).args(author).args(words).status()?;
        if !status.success() {
            return Err(Error::other(format!("git {words:?}: {status}")));
        }
    }
    Ok(())
}
