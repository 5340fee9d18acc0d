//! A static 32-bit program, assembled by hand, so that no 32-bit C library is needed: write, getpid, fork, waitpid, exit
//! by `int 0x80`. It prints two lines, its child exits with 7, it exits with 42. And [`compile`], for those that have gcc's
//! library for 32 bits, whose calls go by the vdso's `sysenter`.

use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

use crate::elf::{Class, Segment, write_executable};

const TEXT: u32 = 0x0804_8000;
const DATA: u32 = 0x0805_0000;
const HELLO: &[u8] = b"hello from 32 bits\n";
const CHILD: &[u8] = b"child exited with ?\n";

const EXIT: u32 = 1;
const FORK: u32 = 2;
const WRITE: u32 = 4;
const WAITPID: u32 = 7;
const GETPID: u32 = 20;

/// Makes a static 32-bit program of a C file, both in `dir`.
pub fn compile(dir: &Path, source: &str, program: &str) -> Result<()> {
    let output = Command::new("gcc")
        .args(["-m32", "-static", "-pthread", "-o", program, source])
        .current_dir(dir)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::other(format!("gcc -m32: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Writes the program to `path`.
pub fn write_program(path: &Path) -> Result<()> {
    let code = [
        call(WRITE, &[1, DATA, HELLO.len() as u32]),
        call(GETPID, &[]),
        call(FORK, &[]),
        child_branch(),
        wait_for_child(),
        call(WRITE, &[1, DATA + HELLO.len() as u32, CHILD.len() as u32]),
        call(EXIT, &[42]),
    ];
    let text = Segment { address: TEXT.into(), bytes: code.concat(), writable: false, executable: true };
    let mut data = [HELLO, CHILD].concat();
    data.extend_from_slice(&[0; 4]);
    let data = Segment { address: DATA.into(), bytes: data, writable: true, executable: false };
    write_executable(path, Class::Elf32, &[text, data], TEXT.into())
}

/// `mov` the number and arguments into eax, ebx, ecx, edx; `int 0x80`.
fn call(number: u32, args: &[u32]) -> Vec<u8> {
    const MOV: [u8; 3] = [0xbb, 0xb9, 0xba];
    let mut code = mov(0xb8, number);
    for (opcode, arg) in MOV.iter().zip(args) {
        code.extend(mov(*opcode, *arg));
    }
    code.extend([0xcd, 0x80]);
    code
}

fn mov(opcode: u8, value: u32) -> Vec<u8> {
    [&[opcode][..], &value.to_le_bytes()].concat()
}

/// `test eax, eax; jnz over`; exit(7); over.
fn child_branch() -> Vec<u8> {
    let exit = call(EXIT, &[7]);
    [&[0x85, 0xc0, 0x75, exit.len() as u8][..], &exit].concat()
}

/// waitpid of the pid in eax; then the exit status as a digit in place of the question mark.
fn wait_for_child() -> Vec<u8> {
    let status = DATA + (HELLO.len() + CHILD.len()) as u32;
    let digit = DATA + (HELLO.len() + CHILD.len() - 2) as u32;
    [
        vec![0x50],                                          // push eax
        call(WAITPID, &[0, status, 0])[..20].to_vec(),       // mov eax, ebx, ecx, edx
        vec![0x5b, 0xcd, 0x80],                              // pop ebx; int 0x80
        [&[0xa0][..], &(status + 1).to_le_bytes()].concat(), // mov al, [status + 1]
        vec![0x04, b'0'],                                    // add al, '0'
        [&[0xa2][..], &digit.to_le_bytes()].concat(),        // mov [digit], al
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    #[test]
    fn prints_and_exits_with_42() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i386");
        super::write_program(&path).unwrap();
        let output = std::process::Command::new(&path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello from 32 bits\nchild exited with 7\n");
        assert_eq!(output.status.code(), Some(42));
    }
}
