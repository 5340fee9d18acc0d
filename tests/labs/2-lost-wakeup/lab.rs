//! `cargo test -p conformance --test lab-lost-wakeup`: the checks of lab 2 on what is in `census.scenario`, `census.rs` and
//! `answer.txt`.

mod census;
mod checks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("lab-lost-wakeup");
    for &(name, check) in checks::CHECKS {
        let work = checks::Work {
            scenario: include_str!("census.scenario"),
            census: census::census,
            answer: include_str!("answer.txt"),
        };
        suite.test(name, &[], move || check(&work));
    }
    suite.run()
}
