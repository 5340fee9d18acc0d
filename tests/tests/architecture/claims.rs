//! What documents claim to be tested is: code blocks have somebody who runs them, and tests that rules name exist.

use std::collections::BTreeSet;

use conformance::harness::{Outcome, Suite, ensure};
use conformance::rules::divergence::DIVERGENCES;

use super::source::{Source, files};

/// One test per claim.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("every_code_block_has_a_runner", &[], blocks);
    suite.test("tests_that_rules_name_exist", &[], named_tests);
    suite.test("divergences_are_rows_of_the_rfc", &[], divergences);
}

/// Languages that can be run. All others are data, or pictures.
const CODE: [&str; 7] = ["rust", "console", "asm", "sh", "bash", "c", "python"];

/// The languages of a document's blocks.
fn languages(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for fence in text.lines().filter_map(|line| line.trim_start().strip_prefix("```")) {
        if !inside {
            found.insert(fence.trim());
        }
        inside = !inside;
    }
    found
}

/// A document with code is named, by its path, by a test or by the list of doc tests. That each of those runs all blocks
/// of its documents is for it to show. The commands of README and RFCs are `documents.rs`'s, beside this file.
fn blocks() -> Outcome {
    let tests: Vec<Source> = files("", ".rs")
        .into_iter()
        .filter(|file| {
            (file.path.contains("tests/") && !file.path.ends_with("/claims.rs"))
                || file.path.ends_with("/documents.rs")
        })
        .collect();
    let mut seen = 0;
    let mut nobody = Vec::new();
    for document in files("", ".md") {
        for language in languages(&document.text).intersection(&CODE.into()) {
            seen += 1;
            let names = |test: &&Source| {
                let doc_test = test.path.ends_with("src/documents.rs");
                test.text.contains(&document.path) && doc_test == (*language == "rust")
                    || relative(test).any(|path| path == document.path)
            };
            let commands = *language == "console" && document.path.starts_with("rfcs/");
            if !commands && !tests.iter().any(|test| names(&test)) {
                nobody.push(format!("{}: {language}", document.path));
            }
        }
    }
    ensure(seen > 8, || format!("only {seen} kinds of block are seen"))?;
    ensure(nobody.is_empty(), || format!("nobody runs:\n{}", nobody.join("\n")))
}

/// What a file includes, from the root of the workspace.
fn relative(file: &Source) -> impl Iterator<Item = String> {
    let included = file.text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let folder: Vec<String> = file.path.split('/').map(str::to_owned).collect();
    included.map(move |path| {
        let mut parts = folder[..folder.len() - 1].to_vec();
        for part in path.split('/') {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part.to_owned()),
            }
        }
        parts.join("/")
    })
}

/// `L7` or `S3`: rules of one machine, tested by what their last column says.
fn is_machine_rule(id: &str) -> bool {
    let digits = id.strip_prefix(['L', 'S']).unwrap_or("");
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn named_tests() -> Outcome {
    let suites: Vec<Source> = ["backend-linux/tests", "backend-linux/src", "kernel-model/tests/sim"]
        .iter()
        .flat_map(|dir| files(dir, ".rs"))
        .collect();
    let mut rules = 0;
    let mut missing = Vec::new();
    for rfc in files("rfcs", ".md") {
        for row in rfc.text.lines() {
            let cells: Vec<&str> = row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            let (Some(id), Some(told)) = (cells.first().filter(|id| is_machine_rule(id)), cells.last())
            else {
                continue;
            };
            rules += 1;
            for part in told.split(';') {
                let (suite, names) = part.split_once(':').unwrap_or((part, ""));
                let suite = suite.split([',', ' ']).find(|word| !word.is_empty()).unwrap_or("");
                let end = format!("/{}.rs", suite.trim_matches('`'));
                let Some(file) = suites.iter().find(|file| file.path.ends_with(&end)) else {
                    missing.push(format!("{id}: {suite}"));
                    continue;
                };
                for name in names.split('`').skip(1).step_by(2) {
                    if !file.text.contains(&format!("fn {}", name.trim_end_matches('…'))) {
                        missing.push(format!("{id}: {name} in {}", file.path));
                    }
                }
            }
        }
    }
    ensure(rules > 25, || format!("only {rules} rules are seen"))?;
    ensure(missing.is_empty(), || format!("no such test:\n{}", missing.join("\n")))
}

/// A rule that is not kept on Linux is a row there, and a row that names a test has one.
fn divergences() -> Outcome {
    let rfcs = files("rfcs", ".md");
    let named = rfcs.iter().flat_map(|rfc| rfc.text.split("`divergence::").skip(1));
    let told: BTreeSet<&str> = named.filter_map(|rest| rest.split('`').next()).collect();
    let tested: BTreeSet<&str> = DIVERGENCES.iter().map(|row| row.id).collect();
    ensure(!tested.is_empty() && told == tested, || format!("rows have {told:?}, the list {tested:?}"))
}
