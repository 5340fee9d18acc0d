//! Families of calls of the 32-bit ABI whose structures or registers differ. Numbers are those of asm/unistd_32.h.

use super::{Arg, Code, Family};

pub(super) const FAMILIES: &[Family] = &[narrow("i386_files", files), narrow("i386_others", others)];

const fn narrow(name: &'static str, make: fn(&mut Code)) -> Family {
    Family { name, narrow: true, make }
}

fn call(code: &mut Code, number: i64, args: &[u64]) -> Arg {
    code.call(number, &args.iter().map(|&arg| Arg::Value(arg)).collect::<Vec<_>>())
}

fn files(code: &mut Code) {
    let (path, room) = (code.text("/etc/passwd"), code.space(128));
    call(code, 5, &[path, 0o2_000_000, 0]); // open
    call(code, 195, &[path, room]); // stat64
    call(code, 197, &[3, room]); // fstat64
    call(code, 300, &[0xffff_ff9c, path, room, 0x100]); // fstatat64
    call(code, 106, &[path, room]); // stat
    call(code, 140, &[3, 0, 5, room, 0]); // _llseek
    call(code, 180, &[3, room, 4, 2, 0]); // pread64
    call(code, 221, &[3, 3, 0]); // fcntl64
    call(code, 3, &[3, room, 5]); // read
    call(code, 33, &[path, 4]); // access
    call(code, 6, &[3]); // close
}

fn others(code: &mut Code) {
    let room = code.space(128);
    let time = code.words32(&[0, 1000]);
    let old_map = code.words32(&[0, 4096, 3, 0x22, 0xffff_ffff, 0]);
    call(code, 90, &[old_map]); // mmap
    call(code, 192, &[0, 8192, 3, 0x22, 0xffff_ffff, 0]); // mmap2
    call(code, 45, &[0]); // brk
    call(code, 191, &[3, room]); // ugetrlimit
    call(code, 265, &[1, room]); // clock_gettime
    call(code, 403, &[1, room]); // clock_gettime64
    call(code, 162, &[time, 0]); // nanosleep
    let action = code.words32(&[1, 0, 0, 0, 0]);
    call(code, 174, &[10, action, room, 8]); // rt_sigaction
    call(code, 175, &[0, 0, room, 8]); // rt_sigprocmask
    call(code, 122, &[room]); // uname
    call(code, 102, &[1, 0x10]); // socketcall
    call(code, 20, &[]); // getpid
    call(code, 2, &[]); // fork
    code.in_child(|code| {
        call(code, 252, &[4]);
    });
    call(code, 7, &[0xffff_ffff, room, 0]); // waitpid
}
