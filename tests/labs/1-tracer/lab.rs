//! `cargo test -p conformance --test lab-tracer`: the checks of lab 1 on what is in `tracer.rs`.

mod checks;
mod tracer;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("lab-tracer");
    for &(name, check) in checks::CHECKS {
        suite.test(name, &[], move || {
            check(&checks::Work { trace: tracer::trace, text: include_str!("tracer.rs") })
        });
    }
    suite.run()
}
