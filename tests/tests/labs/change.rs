//! Lab 3: the kernel as it is does not pass, one with the solution's patch does, as the students' own command says.

use std::path::Path;
use std::process::{Command, Stdio};

use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use conformance::scratch::{Change, Scratch, commands, text};
use conformance::tracer;

use super::fails;

#[path = "../../labs/3-change/checks.rs"]
mod checks;

const PATCH: &str = "tests/labs-solutions/3-change/change.patch";
/// The others' solutions, so that the commands of their pages pass, too.
const SOLVED: [Change; 5] = [
    Change::Patch(PATCH),
    Change::Overlay { from: "tests/labs-solutions/1-tracer/tracer.rs", to: "tests/labs/1-tracer/tracer.rs" },
    Change::Overlay {
        from: "tests/labs-solutions/2-lost-wakeup/census.rs",
        to: "tests/labs/2-lost-wakeup/census.rs",
    },
    Change::Overlay {
        from: "tests/labs-solutions/2-lost-wakeup/census.scenario",
        to: "tests/labs/2-lost-wakeup/census.scenario",
    },
    Change::Overlay {
        from: "tests/labs-solutions/2-lost-wakeup/answer.txt",
        to: "tests/labs/2-lost-wakeup/answer.txt",
    },
];

const PAGES: [(&str, &str); 3] = [
    ("lab-tracer", include_str!("../../labs/1-tracer/README.md")),
    ("lab-lost-wakeup", include_str!("../../labs/2-lost-wakeup/README.md")),
    ("lab-change", include_str!("../../labs/3-change/README.md")),
];

pub(crate) fn add(suite: &mut Suite) {
    for &(name, check) in checks::CHECKS {
        suite.test(&format!("change::starter_fails::{name}"), &[], move || fails(&check()));
    }
    suite.test("commands_of_all_pages_pass_when_solved", &[Need::Program("git")], solved);
}

fn solved() -> Outcome {
    let scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")), &SOLVED)?;
    for (test, page) in PAGES {
        let lines = commands(page);
        let own = format!("cargo test -p conformance --test {test}");
        ensure(lines.contains(&own.as_str()), || format!("the page of {test} does not say: {own}"))?;
        for line in lines {
            match line.strip_prefix("cargo run -- ") {
                // No lab changes the tool: the one that is built will do.
                Some(words) => tracefd(scratch.tree(), words)?,
                None => {
                    ensure(line.starts_with("cargo test "), || format!("this test cannot run: {line}"))?;
                    scratch.must(line)?;
                }
            }
        }
    }
    Ok(())
}

fn tracefd(tree: &Path, words: &str) -> Outcome {
    let mut command = Command::new(tracer::tracefd());
    let output = command.args(words.split_whitespace()).current_dir(tree).stdin(Stdio::null()).output()?;
    ensure(output.status.success(), || format!("{words}: {}", text(&output)))
}
