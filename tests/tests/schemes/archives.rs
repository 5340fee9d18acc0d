//! `tar:` against the directory that GNU tar packed: every form and compression, long and odd names, holes and links.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use userland::schemes::private::Private;
use userland::schemes::tar::Tar;

use super::compare::{Detail, same_tree, shadow};

/// Adds the tests.
pub(crate) fn add(suite: &mut Suite) {
    let tar = Need::Program("tar");
    for format in ["gnu", "posix", "oldgnu", "ustar"] {
        suite.test(&format!("tar_{format}_is_the_directory"), &[tar], move || packed(format, &[], ""));
    }
    for (program, option) in [("gzip", "--gzip"), ("xz", "--xz"), ("zstd", "--zstd")] {
        let needs = [tar, Need::Program(program)];
        suite.test(&format!("tar_{program}_is_the_directory"), &needs, move || packed("gnu", &[option], ""));
    }
    suite.test("tar_holes_of_gnu_are_holes", &[tar], || packed("gnu", &["--sparse"], "holes"));
    for version in ["0.0", "0.1", "1.0"] {
        suite.test(&format!("tar_holes_of_pax_{version}_are_holes"), &[tar], move || {
            packed("posix", &["--sparse", &format!("--sparse-version={version}")], "holes")
        });
    }
}

/// Many kinds of files in few.
fn fill(dir: &Path, ustar: bool) -> std::io::Result<()> {
    let mut random = fastrand::Rng::with_seed(4);
    for (number, size) in [0, 1, 511, 512, 513, 70_000, 3 << 20].into_iter().enumerate() {
        let bytes: Vec<u8> = (0..size).map(|_| random.u8(..)).collect();
        fs::create_dir_all(dir.join(format!("d{number}/e")))?;
        fs::write(dir.join(format!("d{number}/e/f")), bytes)?;
    }
    fs::write(dir.join("script"), "#!/bin/sh\necho it runs\n")?;
    fs::set_permissions(dir.join("script"), fs::Permissions::from_mode(0o755))?;
    fs::write(dir.join("secret"), "x")?;
    fs::set_permissions(dir.join("secret"), fs::Permissions::from_mode(0o600))?;
    fs::set_permissions(dir.join("d3"), fs::Permissions::from_mode(0o750))?;
    fs::hard_link(dir.join("script"), dir.join("d0/also the script"))?;
    symlink("../script", dir.join("d1/link"))?;
    symlink("/nowhere/at all", dir.join("d1/dangling"))?;
    fs::write(dir.join("käse und 日本"), "text")?;
    fs::write(dir.join("line\nend"), "newline")?;
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"latin \xe4\xff")), "bytes")?;
    fs::create_dir(dir.join("empty"))?;
    if !ustar {
        let long = dir.join("long".repeat(50)).join("longer".repeat(40));
        fs::create_dir_all(&long)?;
        fs::write(long.join("f"), "deep")?;
        symlink("x".repeat(300), dir.join("long link"))?;
    }
    Ok(())
}

/// More pieces than the first header has room for, and a hole at the end.
fn fill_holes(dir: &Path) -> std::io::Result<()> {
    let file = File::create(dir.join("holes"))?;
    for piece in 0..60 {
        file.write_all_at(&[piece as u8 + 1; 5000], piece * 200_000 + 40_960)?;
    }
    file.set_len(30 << 20)?;
    File::create(dir.join("nothing but a hole"))?.set_len(5 << 20)?;
    fs::write(dir.join("after"), "after")
}

fn packed(format: &str, options: &[&str], what: &str) -> Outcome {
    let temp = tempfile::tempdir()?;
    let dir = temp.path().join("dir");
    fs::create_dir(&dir)?;
    if what == "holes" {
        fill_holes(&dir)?
    } else {
        fill(&dir, format == "ustar")?
    }
    let archive = temp.path().join("archive");
    let mut tar = Command::new("tar");
    tar.args(options).arg(format!("--format={format}")).arg("-cf").arg(&archive).arg("-C").arg(&dir).arg(".");
    let status = tar.status()?;
    ensure(status.success(), || format!("tar: {status}"))?;
    let private = Arc::new(Private::new()?);
    let backing = shadow("tar", Tar::new(&archive, &private)?, &private);
    // Only PAX headers have parts of seconds.
    let detail = Detail { mode: true, time: true, nanoseconds: format == "posix", directory_time: true };
    same_tree(&dir, &backing, detail)
}
