//! Line for line against strace: families of calls made by programs without a C library, and real programs.
//!
//! Every subject runs three times in the same directory: twice under strace, once under tracefd. Lines that two runs of
//! strace agree on are what the program does; those that differ are this run's accidents (free memory, who was first).
//! Of the first, at least [`BAR`] per cent must have an equal line in ours, in the same process, and no call may be missing.
//! All of that plainly, with descriptors as paths, and with everything in full.

mod strace {
    pub(crate) mod compare;
    pub(crate) mod lines;
    pub(crate) mod programs;
}

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use conformance::calls::families;
use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;

use strace::compare::{Tally, compare};
use strace::programs::PROGRAMS;

/// Per cent of strace's lines that have an equal one.
const BAR: f64 = 98.0;

/// A clock may tick between runs, and a process may get a pid that is also a size, such as 4096, which is then taken out of
/// every line. Neither happens so often in a row; a difference of the tools is there each time.
const TRIES: usize = 3;

/// Options that both tools get, and what tests of them are called.
const WAYS: [(&str, &[&str]); 4] = [("", &[]), ("_y", &["-y"]), ("_yy", &["-yy"]), ("_vx", &["-v", "-x"])];

fn main() -> ExitCode {
    let mut suite = Suite::new("strace");
    let mut tallies = Vec::new();
    for (suffix, options) in WAYS {
        let of_families = Arc::new(Mutex::new(Tally::default()));
        let of_programs = Arc::new(Mutex::new(Tally::default()));
        for family in families() {
            let needs: &[Need] = match family.narrow {
                true => &[Need::Program("strace"), Need::Tracefd, Need::I386],
                false => &[Need::Program("strace"), Need::Tracefd],
            };
            let all = Arc::clone(&of_families);
            suite.test(&format!("{}{suffix}", family.name), needs, move || {
                let program = |dir: &std::path::Path| {
                    family.write(&dir.join("calls"))?;
                    Ok(vec!["./calls".to_owned()])
                };
                judge(options, program, &all, true)
            });
        }
        for program in PROGRAMS {
            let needs = [program.needs, &[Need::Program("strace"), Need::Tracefd]].concat();
            let all = Arc::clone(&of_programs);
            suite.test(&format!("{}{suffix}", program.name), &needs, move || {
                judge(options, |dir| program.prepare(dir), &all, false)
            });
        }
        tallies.push((options.join(" "), of_families, of_programs));
    }
    let whole = suite.is_whole();
    let code = suite.run();
    for (options, families, programs) in tallies.into_iter().filter(|_| whole) {
        eprintln!("families {options}: {}", families.lock().expect("no test panics with it"));
        eprintln!("programs {options}: {}", programs.lock().expect("no test panics with it"));
    }
    code
}

/// A family's calls are the same in every run, and each must be there; how often threads of a program that wait for each
/// other do so is an accident.
fn judge(
    options: &[&str],
    prepare: impl Fn(&std::path::Path) -> std::io::Result<Vec<String>>,
    all: &Mutex<Tally>,
    family: bool,
) -> Outcome {
    let mut tally = compare(options, &prepare)?;
    for _ in 1..TRIES {
        if tally.absent.is_empty() && tally.per_cent() >= BAR {
            break;
        }
        tally = compare(options, &prepare)?;
    }
    all.lock().expect("no test panics with it").add(&tally);
    ensure(tally.counted > 0, || "strace and strace agree on nothing".into())?;
    ensure(!family || tally.missing.is_empty(), || format!("calls are missing: {:?}", tally.missing))?;
    ensure(tally.absent.is_empty(), || format!("calls are missing: {:?}", tally.absent))?;
    ensure(tally.per_cent() >= BAR, || format!("{tally}"))
}
