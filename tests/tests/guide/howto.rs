//! `rfcs/HOWTO-change.md` and its patch: each step's files are those of the patch, the patch applies to this tree, its
//! rule holds on both machines, and what it touches of others' files is little.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use conformance::scratch::{Change, Scratch, commands, root};

const GUIDE: &str = "rfcs/HOWTO-change.md";
const PATCH: &str = "rfcs/howto-exec-pending.patch";
/// Lines added and removed in files that were there before.
const MOST: usize = 100;

/// One test per claim.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("howto_touches_few_lines_of_others", &[], size);
    suite.test("howto_names_every_file_of_the_patch", &[], files);
    suite.test("howto_applies_and_passes", &[Need::Program("git")], passes);
    suite.test("copies_in_turn_are_built_anew", &[Need::Program("git")], in_turn);
}

/// A file of the patch.
struct File<'p> {
    path: &'p str,
    is_new: bool,
    lines: usize,
}

fn parse(patch: &str) -> Vec<File<'_>> {
    let mut files: Vec<File<'_>> = Vec::new();
    for line in patch.lines() {
        if let Some(paths) = line.strip_prefix("diff --git a/") {
            let path = paths.split(" b/").next().unwrap_or_default();
            files.push(File { path, is_new: false, lines: 0 });
        } else if let Some(file) = files.last_mut() {
            file.is_new |= line.starts_with("new file");
            let changes =
                line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ");
            file.lines += usize::from(changes);
        }
    }
    files
}

fn size() -> Outcome {
    let patch = fs::read_to_string(root().join(PATCH))?;
    let files = parse(&patch);
    ensure(files.iter().any(|file| file.is_new), || "no file of its own is seen".into())?;
    let lines: usize = files.iter().filter(|file| !file.is_new).map(|file| file.lines).sum();
    ensure((1..=MOST).contains(&lines), || format!("{lines} lines outside its own files, of {MOST}"))?;
    eprintln!("howto: {lines} lines in {} files, beside {} new", files.len() - 1, {
        files.iter().filter(|file| file.is_new).count()
    });
    Ok(())
}

/// Both ways: the guide tells of each file, and of no other.
fn files() -> Outcome {
    let patch = fs::read_to_string(root().join(PATCH))?;
    let guide = fs::read_to_string(root().join(GUIDE))?;
    let touched: BTreeSet<&str> = parse(&patch).iter().map(|file| file.path).collect();
    let steps = guide.lines().filter(|line| line.starts_with("| "));
    let told: BTreeSet<&str> = steps
        .filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split('`'))
        .filter(|word| word.contains('/'))
        .collect();
    ensure(told == touched, || {
        format!(
            "told and not touched: {:?}; touched and not told: {:?}",
            told.difference(&touched).collect::<Vec<_>>(),
            touched.difference(&told).collect::<Vec<_>>()
        )
    })
}

/// What differs between two copies is newer in the second, also if it is as it was before the first.
fn in_turn() -> Outcome {
    let place = tempfile::tempdir()?;
    let mut before = None;
    for changes in [&[Change::Patch(PATCH)][..], &[], &[Change::Patch(PATCH)]] {
        let copy = Scratch::new(place.path(), changes)?;
        let changed = copy.tree().join("kernel-model/src/abi/flags.rs").metadata()?.modified()?;
        let same = copy.tree().join("README.md").metadata()?.modified()?;
        if let Some((changed_before, same_before)) = before.replace((changed, same)) {
            ensure(changed > changed_before, || {
                "cargo would take one copy's library for the other's".into()
            })?;
            ensure(same == same_before, || "cargo would build everything again".into())?;
        }
    }
    Ok(())
}

fn passes() -> Outcome {
    let guide = fs::read_to_string(root().join(GUIDE))?;
    let lines = commands(&guide);
    ensure(lines.first() == Some(&format!("git apply {PATCH}").as_str()), || format!("{lines:?}"))?;
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let scratch = Scratch::new(place, &[Change::Patch(PATCH)])?;
    let mut told = String::new();
    for line in lines.iter().filter(|line| line.starts_with("cargo ")) {
        told += &scratch.must(line)?;
    }
    for machine in ["sim", "linux", "quirk"] {
        let passed = |line: &str| line.contains(&format!("{machine}::R190 ")) && line.ends_with("ok");
        ensure(told.lines().any(passed), || format!("{machine}::R190 was not run:\n{told}"))?;
    }
    Ok(())
}
