//! `tracefd trace` on real programs: same output, same end, nothing left behind, and a complete trace.

mod tool {
    pub(crate) mod attach;
    pub(crate) mod bad_input;
    pub(crate) mod filtered;
    pub(crate) mod job_control;
    pub(crate) mod transparent;
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("tool");
    tool::transparent::add(&mut suite);
    tool::filtered::add(&mut suite);
    tool::job_control::add(&mut suite);
    tool::attach::add(&mut suite);
    tool::bad_input::add(&mut suite);
    suite.run()
}
