//! What people write: programs for the simulator, scenarios, `-e` expressions.

use kernel_model::sim::SimNames;
use kernel_model::sim::asm::assemble;
use userland::qualify::Qualifiers;
use userland::select::Selection;
use userland::tables::Calls;

use super::files::host;

use kernel_model::abi::{Errno, OpenFlags, PtraceFlags};
use kernel_model::client::Trace;
use kernel_model::scenario::Scenario;

/// Parts of programs.
pub const PROGRAM_WORDS: &[&str] = &[
    "program main\n",
    ".text\n",
    ".data\n",
    ".word ",
    ".byte ",
    ".asciz \"",
    "\"",
    ".space ",
    ".path ",
    "\n",
    "sys ",
    "mov ",
    "lea ",
    "rax",
    "r15",
    "[",
    "]",
    ", ",
    "start:",
    "jmp ",
    "call ",
    "int3",
    "0x",
    "-",
    " + ",
    "sys.exit",
    "sig.usr1",
    "qword ",
    "'x'",
    "#",
    "\\n",
    "9223372036854775808",
];

/// A program is refused with a line of its own, or it is the same each time, and runs.
pub fn programs(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let images = match assemble(&text, &SimNames) {
        Err(error) => {
            assert!(error.line <= text.lines().count().max(1), "line {} of {text:?}", error.line);
            assert!(!error.text.is_empty());
            return;
        }
        Ok(images) => images,
    };
    assert_eq!(assemble(&text, &SimNames).as_ref(), Ok(&images), "not the same twice");
    for image in &images {
        for segment in &image.segments {
            assert!(!segment.bytes.is_empty() && segment.address.is_multiple_of(4096));
        }
    }
    let Some(first) = images.first().filter(|image| image.name == "main") else { return };
    if first.segments.is_empty() {
        return;
    }
    let (host, pid) = host(&text);
    let trace = Trace::open(&host, pid, OpenFlags::O_EXCL).expect("nobody else traces it");
    let mask = PtraceFlags::from_bits_retain(0x3f);
    for _ in 0..64 {
        match trace.step(mask) {
            Ok(_) => {}
            // It waits for what nobody sends.
            Err(Errno::ESRCH | Errno::EDEADLK) => return,
            Err(errno) => panic!("{errno:?}"),
        }
    }
}

/// Parts of scenarios.
pub const SCENARIO_WORDS: &[&str] = &[
    "known: ",
    "signals: deferred\n",
    "client a ",
    "experimental ",
    "exclusive ",
    "queue ",
    "follow\n",
    "spawn main\n",
    "open main stopped\n",
    "serve main ",
    "regs main.1\n",
    "await\n",
    "take main none x gone y\n",
    "goto x\n",
    "label x\n",
    "signal main usr1\n",
    "death a\n",
    "ends main: exit 0, 40\n",
    "sees 0: ",
    "child\n",
    "at write ",
    "pre ",
    "post ",
    "step ",
    "ignore ",
    "result=",
    "send=10 ",
    "closeafter ",
    "program main\n",
    "\n",
];

/// A scenario that is understood is understood again from the text it is kept as.
pub fn scenarios(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(scenario) = Scenario::parse(&text) else { return };
    let kept = scenario.to_string();
    let again = Scenario::parse(&kept).unwrap_or_else(|error| panic!("{error}, of {kept:?}"));
    assert_eq!(again, scenario, "from {text:?} by way of {kept:?}");
}

/// Parts of expressions.
pub const EXPRESSION_WORDS: &[&str] = &[
    "trace=",
    "signal=",
    "status=",
    "inject=",
    "fault=",
    "read",
    "openat",
    "%file",
    "/^",
    "!",
    ",",
    "all",
    "none",
    ":error=",
    ":retval=",
    ":signal=",
    ":when=",
    "1..3",
    "+2",
    "ENOENT",
    "SIGUSR1",
    "failed",
    "?",
    "@64",
    "18446744073709551616",
];

/// Expressions, one a line.
pub fn expressions(input: &[u8]) {
    thread_local! {
        static LINUX: Calls = Calls::linux();
    }
    let text = String::from_utf8_lossy(input);
    LINUX.with(|calls| {
        for line in text.lines().filter(|line| line.len() < 200).take(8) {
            if let Err(bad) = Qualifiers::parse(&[line], calls) {
                assert!(!bad.to_string().is_empty());
            }
            if let Err(bad) = Selection::of_set(line, calls) {
                assert!(!bad.to_string().is_empty());
            }
        }
    });
}
