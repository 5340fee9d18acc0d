//! `tracefd run`: calls, programs and ends are what they are on a real directory.

mod run {
    pub(crate) mod coverage;
    pub(crate) mod killed;
    pub(crate) mod proc;
    pub(crate) mod programs;
    pub(crate) mod rules;
    pub(crate) mod subjects;
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("run");
    run::rules::add(&mut suite);
    run::subjects::add(&mut suite);
    run::killed::add(&mut suite);
    run::proc::add(&mut suite);
    run::programs::add(&mut suite);
    run::coverage::add(&mut suite);
    suite.run()
}
