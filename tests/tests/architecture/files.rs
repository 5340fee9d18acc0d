//! The form of files: what each opens with, how long it is, where unsafe code may stand.

use conformance::harness::{Outcome, Suite, ensure};

use super::source::{files, names};

/// One test per rule.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("unsafe_stands_in_sys_rs_only", &[], unsafe_fence);
    suite.test("every_file_opens_with_its_shape", &[], openings);
    suite.test("no_file_is_longer_than_600_lines", &[], lengths);
}

fn none(what: &str, offenders: &[String]) -> Outcome {
    ensure(offenders.is_empty(), || format!("{what}:\n{}", offenders.join("\n")))
}

fn unsafe_fence() -> Outcome {
    let sources = files("", ".rs");
    let inside = sources.iter().filter(|source| source.path.ends_with("/sys.rs"));
    ensure(inside.clone().any(|source| names(&source.code()).any(|name| name == "unsafe")), || {
        "none seen".into()
    })?;
    let outside = sources.iter().filter(|source| !source.path.ends_with("/sys.rs"));
    let offenders = outside.filter(|source| names(&source.code()).any(|name| name == "unsafe"));
    none("unsafe code outside sys.rs", &offenders.map(|source| source.path.clone()).collect::<Vec<_>>())
}

fn openings() -> Outcome {
    let sources = files("", ".rs");
    let bare = sources.iter().filter(|source| !source.text.starts_with("//! "));
    none("files that do not open with //!", &bare.map(|source| source.path.clone()).collect::<Vec<_>>())
}

fn lengths() -> Outcome {
    let sources = files("", ".rs");
    let long = sources.iter().filter(|source| source.text.lines().count() > 600);
    none("files of more than 600 lines", &long.map(|source| source.path.clone()).collect::<Vec<_>>())
}
