//! A complete scheme: `squares:` has the files 1 to 1000, and in each the square of its name.
//!
//! `cargo run -p userland --example scheme`

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use kernel_model::abi::{Errno, Result, Stat};
use userland::run::backing::{Backing, Intent};
use userland::schemes::private::Private;
use userland::schemes::shadow::{Habit, Shadow, Silent};
use userland::schemes::tree::{Files, Tree};

struct Squares;

/// What is in the file of this name.
fn square(name: &str) -> Result<String> {
    let number: u64 = name.parse().map_err(|_| Errno::ENOENT)?;
    if (1..=1000).contains(&number) { Ok(format!("{}\n", number * number)) } else { Err(Errno::ENOENT) }
}

impl Tree for Squares {
    fn stat(&self, path: &str) -> Result<Stat> {
        let (mode, size) = match path {
            "" => (Stat::MODE_DIR | 0o755, 0),
            name => (Stat::MODE_FILE | 0o444, square(name)?.len() as u64),
        };
        Ok(Stat { mode, size, mtime: Stat::UNKNOWN, ..Stat::default() })
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        if path.is_empty() { Ok((1..=1000).map(|n| n.to_string()).collect()) } else { Err(Errno::ENOTDIR) }
    }

    fn link(&self, _path: &str) -> Result<String> {
        Err(Errno::EINVAL) // there are no links
    }

    fn content(&self, path: &str, from: u64) -> Result<Box<dyn Read + Send>> {
        let mut text = Cursor::new(square(path)?);
        text.set_position(from);
        Ok(Box::new(text))
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scheme = Files::new("squares", Squares); // a Scheme: open, read, fstat… of `squares:12`
    let private = Arc::new(Private::new()?);
    let mount = Shadow::new(scheme, "squares", Habit::LOCAL, &private, Arc::new(Silent))?; // and behind a mount
    assert_eq!(std::fs::read_to_string(mount.locate(Path::new("12"), Intent::Read)?)?, "144\n");
    assert_eq!(std::fs::read_dir(mount.locate(Path::new(""), Intent::List)?)?.count(), 1000);
    assert_eq!(mount.locate(Path::new("1001"), Intent::Look), Err(Errno::ENOENT));
    Ok(())
}
