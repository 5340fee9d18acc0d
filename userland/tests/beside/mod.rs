//! The tool and strace with the same arguments, and what they say without what changes from run to run.

// Each test program uses some of these.
#![allow(dead_code)]

use std::process::{Command, Output, Stdio};

#[path = "../heard/mod.rs"]
mod heard;

pub(crate) fn tracefd(args: &[&str]) -> Command {
    let mut command = heard::program(env!("CARGO_BIN_EXE_tracefd"));
    command.arg("trace").args(args).stdin(Stdio::null()).env("LC_ALL", "C").env_remove("NO_COLOR");
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    tracefd(args).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The same arguments for strace. `None`: it is not there.
pub(crate) fn strace(args: &[&str]) -> Option<Output> {
    strace_into(Stdio::piped(), args)
}

pub(crate) fn strace_into(stdout: Stdio, args: &[&str]) -> Option<Output> {
    let mut command = heard::program("strace");
    match command.args(args).stdin(Stdio::null()).stdout(stdout).env("LC_ALL", "C").output() {
        Ok(output) => Some(output),
        Err(_) if std::env::var_os("CI").is_none() => None,
        Err(error) => panic!("strace: {error}"),
    }
}

/// Lines without addresses and moments, which are this run's.
pub(crate) fn plain(text: &str) -> Vec<String> {
    let number = |word: &str| word.len() > 5 && word.bytes().all(|digit| digit.is_ascii_digit());
    let address = |word: &str| (word.starts_with("0x") && word.len() > 8) || number(word);
    let split = |line: &str| {
        let words = line.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
        words
            .map(|word| {
                let end =
                    word.len() - usize::from(!word.ends_with(|last: char| last.is_ascii_alphanumeric()));
                if address(&word[..end]) { format!("ADDRESS{}", &word[end..]) } else { word.to_owned() }
            })
            .collect::<String>()
    };
    text.lines().filter(|line| !line.starts_with("strace: ")).map(split).collect()
}

pub(crate) fn tempdir(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("tracefd-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    folder
}
