//! `cargo test -p conformance --test lab-change`: the checks of lab 3 on the kernel as it is in this tree.

mod checks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("lab-change");
    for &(name, check) in checks::CHECKS {
        suite.test(name, &[], check);
    }
    suite.run()
}
