//! RFC 0007 by its rules, each on both machines: `sim::R121`, `linux::R121`. What is recorded is a run of the tool.

mod replay {
    pub(crate) mod rules;
    pub(crate) mod runs;
}

use std::process::ExitCode;

use conformance::harness::{Outcome, Suite, same};
use replay::rules::RULES;
use replay::runs::On;

/// The table of the RFC is the list.
fn told() -> Outcome {
    let rfc = concat!(env!("CARGO_MANIFEST_DIR"), "/../rfcs/0007-recording.md");
    let text = std::fs::read_to_string(rfc)?;
    let rows: String =
        text.lines().filter(|line| line.starts_with("| R")).map(|line| format!("{line}\n")).collect();
    let list: String = RULES.iter().map(|rule| format!("| {} | {} |\n", rule.id, rule.sentence)).collect();
    same("the table of rules", &list, &rows)
}

fn main() -> ExitCode {
    let mut suite = Suite::new("replay");
    for rule in RULES {
        for on in [On::Sim, On::Linux] {
            suite.test(&format!("{}::{}", on.name(), rule.id), &[], move || (rule.holds)(on));
        }
    }
    suite.test("linux::a_recorder_that_leaves_ends_its_recording", &[], replay::rules::leaves);
    suite.test("rfc::tells_the_rules_word_for_word", &[], told);
    suite.run()
}
