//! What teaches is true: the change guide's patch applies and passes, and stays small.

mod guide {
    pub(crate) mod howto;
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("guide");
    guide::howto::add(&mut suite);
    suite.run()
}
