//! The design's rules that a compiler does not check: arrows between packages, the fence around unsafe code, the form of
//! files, rules that stand in the RFC and in the list, examples that compile and commands that run.

mod architecture {
    pub(crate) mod arrows;
    pub(crate) mod claims;
    pub(crate) mod documents;
    pub(crate) mod files;
    pub(crate) mod source;
}

use std::process::ExitCode;

use architecture::{arrows, claims, documents, files};

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("architecture");
    arrows::add(&mut suite);
    files::add(&mut suite);
    documents::add(&mut suite);
    claims::add(&mut suite);
    suite.run()
}
