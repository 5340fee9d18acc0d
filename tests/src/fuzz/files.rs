//! What a client writes and opens: masks, paths, sets. Each against a second opinion, which is RFC 0001 and 0005 said again
//! in other words.

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceEvent, PtraceFlags, SEEK_SET};
use kernel_model::client::{Trace, read_text};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::{Client, Local};
use kernel_model::scheme::{Caller, Host, Program, Scheme};
use kernel_model::sim::{Sim, SimConfig};

use super::bytes::Bytes;

/// Most operations of one input.
const MOST: usize = 24;

/// Has a child, a signal, an exec and an end.
const GUEST: &str = "
program main
.text
    sys getpid
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rdi, rax
    sys kill, rdi, sig.usr1
    sys fork
    test rax, rax
    je child
    sys wait4, -1, 0, 0, 0
    int3
child:
    sys execve, path, arguments, arguments
    sys exit, 3
handler:
    ret
restorer:
    sys rt_sigreturn
.data
action: .word handler, sa.restorer, restorer, 0
path: .path other
arguments: .word 0
program other
    nop
    sys exit, 7
";

/// A fresh simulator with the guest started and held.
pub(super) fn host(text: &str) -> (Client<Sim>, Pid) {
    let mut sim = Sim::new(SimConfig::default());
    sim.load(text).expect("the guest is right");
    let caller = Caller { pid: sim.owner(), uid: 1000, gid: 1000 };
    let client = Local::new(Kernel::new(sim, Policy::SameUser)).client(caller);
    let pid = client.spawn(&Program::new("main")).expect("the guest starts");
    (client, pid)
}

/// Writes of any bytes to a session, and reads between them.
pub fn masks(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (host, pid) = host(GUEST);
    let op = ["trace", "trace.x", "trace.g2"][bytes.below(3)];
    let path = format!("proc:{pid}/{op}");
    let fd = host.open(&path, OpenFlags::O_RDWR | OpenFlags::O_NONBLOCK).expect("nobody else traces it");
    let known = if op == "trace.x" { 0xffff | PtraceFlags::EXPERIMENTS.bits() } else { 0xffff };
    let mut asked = PtraceFlags::empty();
    let mut gone = false;
    for _ in 0..MOST {
        if bytes.is_empty() {
            break;
        }
        let size = bytes.below(12);
        let written = bytes.take(size);
        let answer = host.write(fd, written);
        let mask = written.first_chunk().map(|word| u64::from_ne_bytes(*word));
        let want = match mask {
            None => Ok(0),
            Some(mask) if mask & !known != 0 => Err(Errno::EINVAL),
            Some(_) if gone => Err(Errno::ESRCH),
            Some(_) => Ok(8),
        };
        // The end may come unseen, and FLAG_WAIT can wait for what never comes.
        let may = [Err(Errno::ESRCH), Err(Errno::EDEADLK)].contains(&answer) && want == Ok(8);
        assert!(answer == want || may, "write of {written:x?} to {op}: {answer:?}, not {want:?}");
        if let (Ok(8), Some(mask)) | (Err(Errno::EDEADLK), Some(mask)) = (answer, mask) {
            asked |= PtraceFlags::from_bits_retain(mask);
        }
        let mut room = vec![0; bytes.below(4) * PtraceEvent::SIZE + bytes.below(9)];
        match host.read(fd, &mut room) {
            Err(Errno::EINVAL) => assert!(room.len() < PtraceEvent::SIZE, "no room in {}?", room.len()),
            Err(Errno::ESRCH) => gone = true,
            Err(errno) => assert_eq!((errno, room.len() >= PtraceEvent::SIZE), (Errno::EAGAIN, true)),
            Ok(n) => {
                assert!(n % PtraceEvent::SIZE == 0 && n <= room.len(), "a part of a record: {n}");
                for record in room[..n].chunks_exact(PtraceEvent::SIZE) {
                    let cause = u64::from_ne_bytes(*record.first_chunk().expect("a record is longer"));
                    assert!(cause.is_power_of_two(), "cause {cause:#x}");
                    assert!(asked.bits() & cause != 0, "nobody asked for {cause:#x}");
                    assert_eq!(record[24..32], [0; 8], "c is always 0");
                }
            }
        }
    }
    host.close(fd).expect("it was open");
}

/// Parts of paths.
pub const PATH_WORDS: &[&str] = &[
    "proc:",
    "event:",
    "features",
    "4",
    "/",
    "trace",
    "trace.x",
    "trace.g2",
    "mem",
    "regs/",
    "int",
    "float",
    "env",
    "sets/",
    "entry",
    "exit",
    "signal",
    "exe",
    "threads",
    "status",
    "3",
    "1",
    "4294967295",
    "0",
];

/// Whether RFC 0001 knows this path, by its list of operations.
fn is_path(path: &str, operations: &str) -> bool {
    let Some((pid, op)) = path.strip_prefix("proc:").and_then(|rest| rest.split_once('/')) else {
        return path == "proc:features" || path == "event:";
    };
    let digits = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    let fits = pid.trim_start_matches('0').len() < 11 && pid.parse::<u64>().is_ok_and(|pid| pid < 1 << 32);
    digits && fits && operations.lines().any(|line| line.strip_prefix("op ") == Some(op))
}

/// Opens of any text, with any flags, and dup with it.
pub fn paths(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (host, pid) = host(GUEST);
    let operations = read_text(&host, "proc:features").expect("anybody may read it");
    let operations = String::from_utf8(operations).expect("it is text");
    let flags =
        OpenFlags::from_bits_retain(u32::from_le_bytes([bytes.byte(), bytes.byte(), 0, bytes.byte()]));
    let path = String::from_utf8_lossy(bytes.rest()).into_owned();
    let opened = host.open(&path, flags);
    match opened {
        Ok(fd) => {
            assert!(is_path(&path, &operations), "{path:?} was opened");
            let mut name = vec![0; path.len() + 1];
            assert_eq!(host.fpath(fd, &mut name), Ok(path.len()));
            assert_eq!(&name[..path.len()], path.as_bytes());
            host.fstat(fd).expect("it is open");
            host.close(fd).expect("it is open");
            assert_eq!(host.close(fd), Err(Errno::EBADF));
        }
        Err(Errno::EINVAL) => assert!(!is_path(&path, &operations), "{path:?} is a path"),
        Err(Errno::ENODEV) => {
            let scheme = path.split_once(':').map_or("", |(scheme, _)| scheme);
            let set = path.contains("/sets/");
            assert!(set || !["proc", "event"].contains(&scheme), "{path:?} has a scheme");
        }
        Err(errno) => assert!(is_path(&path, &operations), "{path:?}: {errno:?}"),
    }
    // By way of another handle, the text is what follows `proc:<pid>/`.
    let whole = format!("proc:{pid}/{path}");
    let exe = host.open(&format!("proc:{pid}/exe"), OpenFlags::O_RDONLY).expect("the guest is there");
    let direct = host.open(&whole, OpenFlags::O_RDONLY).map(|fd| host.close(fd));
    let copied = host.dup(exe, &path).map(|fd| host.close(fd));
    if !path.is_empty() {
        assert_eq!(direct, copied, "{whole:?} by open and by dup");
    }
}

/// Parts of sets.
pub const SET_WORDS: &[&str] = &[
    "getpid", "exit", "write", "!", "@file", "@process", "@signal", "@memory", "all", "none", "inherit", " ",
    ",", "\n", "0:39", "1:20", "39", "SIGUSR1", "INT", "64", "!all", "!none",
];

/// Sets as anybody may write them. What is taken has a canonical text, which means the same and is its own.
pub fn sets(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (host, pid) = host(GUEST);
    let trace = Trace::open(&host, pid, OpenFlags::empty()).expect("nobody else traces it");
    let part = ["entry", "exit", "signal"][bytes.below(3)];
    let fd = host.open(&format!("proc:{pid}/sets/{part}"), OpenFlags::O_RDWR).expect("the session is ours");
    let read = || {
        host.seek(fd, 0, SEEK_SET).expect("a set has a cursor");
        let mut text = vec![0; 1 << 16];
        let n = host.read(fd, &mut text).expect("the session is open");
        text.truncate(n);
        text
    };
    let before = read();
    let words = bytes.rest();
    match host.write(fd, words) {
        Ok(n) => assert_eq!(n, words.len()),
        Err(errno) => {
            assert_eq!(errno, Errno::EINVAL, "{words:?}");
            assert_eq!(read(), before, "a refused write changed the set");
            return;
        }
    }
    let canonical = read();
    assert_eq!(host.write(fd, &canonical), Ok(canonical.len()), "it does not take what it shows");
    assert_eq!(read(), canonical, "canonical twice");
    // Without the negations of its words, and with them again: the complement has the same words.
    let text = String::from_utf8(canonical).expect("it is text");
    let all = text.is_empty() || text == "inherit\n";
    let none = text.starts_with("none");
    if !all && !none {
        let turned: Vec<String> = text
            .split_whitespace()
            .map(|word| match word.strip_prefix('!') {
                _ if word == "inherit" => word.to_owned(),
                Some(word) => word.to_owned(),
                None => format!("!{word}"),
            })
            .collect();
        let turned = turned.join(" ") + "\n";
        assert_eq!(host.write(fd, turned.as_bytes()), Ok(turned.len()));
        if part != "signal" {
            assert_eq!(String::from_utf8_lossy(&read()), turned, "the complement of {text:?}");
        }
    }
    drop(trace);
}
