//! The binary under test: `tracefd trace`, built by cargo beside the test, or what `TRACEFD_UNDER_TEST` names.
//!
//! The variable holds a command with arguments that takes tracefd's options: `TRACEFD_UNDER_TEST=strace` runs these
//! tests against strace.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names the stand-in.
pub const UNDER_TEST: &str = "TRACEFD_UNDER_TEST";

/// Is something else than tracefd under test?
pub fn is_stand_in() -> bool {
    std::env::var_os(UNDER_TEST).is_some()
}

/// `tracefd trace`, as words; options follow.
pub fn words() -> Vec<String> {
    match std::env::var(UNDER_TEST) {
        Ok(stand_in) => stand_in.split_whitespace().map(str::to_owned).collect(),
        Err(_) => vec![tracefd().to_str().expect("a path in UTF-8").to_owned(), "trace".to_owned()],
    }
}

/// `tracefd trace -f -o FILE OPTIONS -- CMD`.
pub fn tracing(trace: &Path, options: &[&str], cmd: &[String]) -> Vec<String> {
    let mut all = words();
    all.extend(["-f", "-o", trace.to_str().expect("a path in UTF-8")].map(str::to_owned));
    all.extend(options.iter().map(|&option| option.to_owned()));
    all.push("--".to_owned());
    all.extend_from_slice(cmd);
    all
}

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// The binary, brought up to date once per test run.
pub fn tracefd() -> &'static Path {
    BINARY.get_or_init(build)
}

/// Makes [`tracefd`] a copy in this folder, as an installer makes one: for benchmarks, before anything else asks for it. What
/// a linker wrote lies in single pages in the page cache, what was copied in large folios, which halves the faults of a start.
pub fn install(folder: &Path) -> std::io::Result<()> {
    let copy = folder.join("tracefd");
    std::fs::copy(build(), &copy)?;
    BINARY.set(copy).map_err(|_| std::io::Error::other("the program was asked for before"))
}

/// A command that is to be measured, without the folders in which cargo tells the loader to look for libraries first: each
/// would be a path call that fails, and there are dozens in a start.
pub fn measured(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_remove("LD_LIBRARY_PATH");
    command
}

fn build() -> PathBuf {
    let dir = built_dir();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "userland", "--bin", "tracefd"]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    if dir.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "cargo build of tracefd: {status}");
    dir.join("tracefd")
}

/// A program of this package.
pub fn own_program(name: &str) -> String {
    built_dir().join(name).to_str().expect("a path in UTF-8").to_owned()
}

/// Where cargo puts programs: the directory above the test executable's `deps`.
fn built_dir() -> PathBuf {
    let test = std::env::current_exe().expect("/proc is mounted");
    let dir = test.parent().expect("a file is in a directory");
    if dir.ends_with("deps") {
        dir.parent().expect("deps is in a directory").to_owned()
    } else {
        dir.to_owned()
    }
}
