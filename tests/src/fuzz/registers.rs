//! Any bytes as register files and as machine code: refused, or taken as they are; and then the processor runs them.

use kernel_model::abi::{Errno, IntRegisters, OpenFlags, PtraceFlags};
use kernel_model::client::{Mem, Trace};
use kernel_model::scheme::Scheme;
use kernel_model::sim::asm::TEXT_BASE;
use zerocopy::{FromBytes, IntoBytes};

use super::bytes::Bytes;
use super::files::host;

/// Room for code and data of the input's own.
const GUEST: &str = "
program main
.text
start:
    nop
    jmp start
.data
    .space 4096
";
/// Instructions that are run.
const STEPS: usize = 48;
/// rflags: what a program cannot choose is the machine's.
const RFLAGS: std::ops::Range<usize> = 17 * 8..18 * 8;

/// Writes of any length to the three files, code at the pc, and so many steps.
pub fn registers(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (host, pid) = host(GUEST);
    let trace = Trace::open(&host, pid, OpenFlags::empty()).expect("nobody else traces it");
    for (set, size) in [("int", 168), ("float", 416), ("env", 16)] {
        let fd = host.open(&format!("proc:{pid}/regs/{set}"), OpenFlags::O_RDWR).expect("it is ours");
        let mut before = vec![0; size];
        assert_eq!(host.read(fd, &mut before), Ok(size));
        let mut written = before.clone();
        // Most of it stays, or no input would be taken.
        for _ in 0..bytes.below(8) {
            let at = bytes.below(size / 8 + 1) * 8;
            let word = bytes.word().to_le_bytes();
            for (place, byte) in written[at.min(size)..].iter_mut().zip(word) {
                *place = byte;
            }
        }
        let length = if bytes.below(8) == 7 { bytes.below(256) * 2 } else { size };
        written.resize(length, 0);
        let answer = host.write(fd, &written);
        let mut after = vec![0; size];
        assert_eq!(host.read(fd, &mut after), Ok(size));
        match answer {
            Ok(0) => assert!(length < size && after == before, "a short write of {set} changed it"),
            Ok(n) => {
                assert_eq!(n, size);
                if set == "int" {
                    after[RFLAGS].copy_from_slice(&written[RFLAGS]);
                }
                if set != "float" {
                    assert_eq!(after, written[..size], "{set} is not what was written");
                }
            }
            Err(errno) => assert_eq!((errno, after), (Errno::EINVAL, before), "{set}"),
        }
        host.close(fd).expect("it is open");
    }
    let mem = Mem::open(&host, pid).expect("it is ours");
    let code = bytes.take(256);
    mem.write_at(TEXT_BASE, code).expect("text is mapped, and a tracer may write it");
    let regs = trace.regs().expect("it is ours");
    let mask = PtraceFlags::from_bits_retain(0x3f) | PtraceFlags::EVENT_CLONE;
    for _ in 0..STEPS {
        let skip = if bytes.byte() & 7 == 7 { PtraceFlags::FLAG_IGNORE } else { PtraceFlags::empty() };
        match trace.step(mask | skip) {
            Ok(_) => {}
            Err(Errno::ESRCH) => return,
            Err(errno) => panic!("a step ended in {errno:?}"),
        }
        // Whatever was done to it, it has registers, and takes them back.
        let int: IntRegisters = regs.int().expect("it is stopped");
        let again = IntRegisters::read_from_bytes(int.as_bytes()).expect("as many bytes");
        assert_eq!(regs.set_int(&again), Ok(()), "its own registers are refused: {int:x?}");
    }
}
