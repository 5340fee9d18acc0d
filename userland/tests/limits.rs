//! What a tracer must bear: programs with a filter of their own, and many events in little memory. And what a text is worth
//! whose tool was ended.

use std::process::{Command, Output, Stdio};

fn tracefd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tracefd")).arg("trace").args(args).stdin(Stdio::null()).output().unwrap()
}

/// Installs a filter that does something about getppid, and makes that call.
const FILTERED: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Line(ctypes.Structure):
    _fields_ = [('code', ctypes.c_ushort), ('jt', ctypes.c_ubyte), ('jf', ctypes.c_ubyte), ('k', ctypes.c_uint)]
class Program(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.POINTER(Line))]
lines = (Line * 4)((0x20, 0, 0, 0), (0x15, 0, 1, 110), (6, 0, 0, int(sys.argv[1], 16)), (6, 0, 0, 0x7fff0000))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(4, lines)), 0, 0) == 0
print('filtered', flush=True)
print(os.getppid() < 0)
";

/// The lines after the filter was installed, without addresses.
fn last_lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let from = text.find("prctl(PR_SET_SECCOMP").unwrap_or_else(|| panic!("{text}"));
    let blank =
        |line: &str| match (line.find("0x"), line.starts_with("prctl") || line.contains("si_call_addr")) {
            (Some(at), true) => {
                let end = line[at..].find([',', '}']).map_or(line.len(), |end| at + end);
                format!("{}{}", &line[..at], &line[end..])
            }
            _ => line.to_owned(),
        };
    text[from..].lines().map(blank).collect()
}

#[test]
fn a_program_under_a_filter_of_its_own_ends_as_it_would() {
    use std::os::unix::process::ExitStatusExt;
    // Kill the process, kill the thread, trap, an error.
    for action in ["80000000", "0", "30000", "50001"] {
        let words = ["python3", "-c", FILTERED, action];
        let untraced = match Command::new(words[0]).args(&words[1..]).output() {
            Ok(output) => output,
            Err(_) if std::env::var_os("CI").is_none() => return,
            Err(error) => panic!("python3: {error}"),
        };
        let options = ["-f", "-e", "trace=prctl,getppid"];
        let ours = tracefd(&[&options[..], &words].concat());
        assert_eq!(ours.status.code(), untraced.status.code(), "{action}");
        assert_eq!(ours.status.signal(), untraced.status.signal(), "{action}");
        assert_eq!(ours.stdout, untraced.stdout, "{action}");
        if let Ok(theirs) = Command::new("strace").args(options).args(words).output() {
            assert_eq!(last_lines(&ours), last_lines(&theirs), "{action}");
        }
    }
}

/// The most memory the tool has had, in KiB, as its last child sees it: `$PPID` of a shell that it has started.
fn peak(calls: u32) -> u64 {
    let script = format!(
        "python3 -c 'import os\nfor _ in range({calls}): os.getppid()'; grep VmHWM /proc/$PPID/status"
    );
    let output = tracefd(&["-f", "-o", "/dev/null", "-e", "trace=getppid", "--", "sh", "-c", &script]);
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn memory_does_not_grow_with_events() {
    if Command::new("python3").arg("-V").output().is_err() && std::env::var_os("CI").is_none() {
        return;
    }
    let (few, many) = (peak(10_000), peak(100_000));
    assert!(many < few + few / 10, "{few} KiB after 20,000 events, {many} KiB after 200,000");
}
