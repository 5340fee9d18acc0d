//! The labs: what a student begins with fails its checks, what solves it passes all of them.

mod labs {
    pub(crate) mod change;
    pub(crate) mod lost_wakeup;
    pub(crate) mod tracer;

    use conformance::harness::{Outcome, ensure};

    /// A check that passes on the starter asks for nothing.
    pub(crate) fn fails(outcome: &Outcome) -> Outcome {
        ensure(outcome.is_err(), || "the check passes on what students begin with".into())
    }
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("labs");
    labs::tracer::add(&mut suite);
    labs::lost_wakeup::add(&mut suite);
    labs::change::add(&mut suite);
    suite.run()
}
