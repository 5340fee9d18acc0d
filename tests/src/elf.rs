//! Segments in memory, wrapped as a static executable: ELF64 for this machine, ELF32 for its 32-bit mode.
//! File header, program headers, one PT_LOAD per segment, and a PT_GNU_STACK that keeps the stack not executable.

use std::io::{Error, Result, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use object::elf;
use object::endian::Endianness;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

const PAGE: u64 = 4096;

/// Bytes at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is loaded.
    pub address: u64,
    /// What is there.
    pub bytes: Vec<u8>,
    /// May the program write it?
    pub writable: bool,
    /// May the program run it?
    pub executable: bool,
}

/// Which executables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// x86-64.
    Elf64,
    /// i386.
    Elf32,
}

/// The bytes of the executable.
///
/// Errors: two segments in one page: the loader could not give them different permissions.
pub fn executable(class: Class, segments: &[Segment], entry: u64) -> Result<Vec<u8>> {
    check_pages(segments)?;
    let mut out = Vec::new();
    let mut writer = Writer::new(Endianness::Little, class == Class::Elf64, &mut out);
    writer.reserve_file_header();
    writer.reserve_program_headers(segments.len() as u32 + 1);
    let offsets: Vec<u64> = segments
        .iter()
        .map(|segment| {
            // mmap wants offset and address to agree within the page.
            let page_start = writer.reserved_len().next_multiple_of(PAGE);
            let offset = page_start + segment.address % PAGE;
            writer.reserve_until(offset);
            writer.reserve(segment.bytes.len() as u64, 1)
        })
        .collect();

    let e_machine = if class == Class::Elf64 { elf::EM_X86_64 } else { elf::EM_386 };
    let header = FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine,
        e_entry: entry,
        e_flags: Default::default(),
    };
    writer.write_file_header(&header).map_err(Error::other)?;
    writer.write_align_program_headers();
    for (segment, offset) in segments.iter().zip(&offsets) {
        writer.write_program_header(&load(segment, *offset));
    }
    writer.write_program_header(&stack());
    for (segment, offset) in segments.iter().zip(&offsets) {
        writer.pad_until(*offset);
        writer.write(&segment.bytes);
    }
    Ok(out)
}

/// Writes the executable to `path`, ready to run.
pub fn write_executable(path: &Path, class: Class, segments: &[Segment], entry: u64) -> Result<()> {
    write_program(path, &executable(class, segments, entry)?)
}

/// Writes a program of any kind to `path`, ready to run.
///
/// Another process does it: while one of this process's threads had the file open for writing, a child that another
/// thread is starting would hold it open too, and running it would fail with ETXTBSY.
pub fn write_program(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut cat = Command::new("sh");
    cat.args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut cat = cat.spawn()?;
    // Taken, so that it is closed at the end of the statement.
    cat.stdin.take().expect("piped").write_all(bytes)?;
    let status = cat.wait()?;
    if status.success() { Ok(()) } else { Err(Error::other(format!("{}: {status}", path.display()))) }
}

fn check_pages(segments: &[Segment]) -> Result<()> {
    let mut pages: Vec<(u64, u64)> = segments
        .iter()
        .map(|s| (s.address / PAGE, (s.address + s.bytes.len().max(1) as u64 - 1) / PAGE))
        .collect();
    pages.sort_unstable();
    match pages.windows(2).find(|pair| pair[0].1 >= pair[1].0) {
        Some(pair) => Err(Error::other(format!("two segments share the page {:#x}", pair[1].0 * PAGE))),
        None => Ok(()),
    }
}

fn load(segment: &Segment, offset: u64) -> ProgramHeader {
    let mut p_flags = elf::PF_R;
    if segment.writable {
        p_flags |= elf::PF_W;
    }
    if segment.executable {
        p_flags |= elf::PF_X;
    }
    let size = segment.bytes.len() as u64;
    ProgramHeader {
        p_type: elf::PT_LOAD,
        p_flags,
        p_offset: offset,
        p_vaddr: segment.address,
        p_paddr: segment.address,
        p_filesz: size,
        p_memsz: size,
        p_align: PAGE,
    }
}

fn stack() -> ProgramHeader {
    ProgramHeader {
        p_type: elf::PT_GNU_STACK,
        p_flags: elf::PF_R | elf::PF_W,
        p_offset: 0,
        p_vaddr: 0,
        p_paddr: 0,
        p_filesz: 0,
        p_memsz: 0,
        p_align: 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(class: Class, segments: &[Segment], entry: u64) -> Option<i32> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        write_executable(&path, class, segments, entry).unwrap();
        Command::new(&path).status().unwrap().code()
    }

    #[test]
    fn hand_made_image_exits_42() {
        // mov eax, 60; mov edi, [0x600008]; syscall
        let code =
            [&[0xb8, 60, 0, 0, 0, 0x8b, 0x3c, 0x25][..], &0x60_0008u32.to_le_bytes(), &[0x0f, 0x05]].concat();
        let text = Segment { address: 0x40_0010, bytes: code, writable: false, executable: true };
        let data = vec![0, 0, 0, 0, 42, 0, 0, 0];
        let data = Segment { address: 0x60_0004, bytes: data, writable: true, executable: false };
        assert_eq!(run(Class::Elf64, &[text, data], 0x40_0010), Some(42));
    }

    #[test]
    fn thirty_two_bit_image_exits_42() {
        // mov eax, 1; mov ebx, 42; int 0x80
        let code = vec![0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80];
        let text = Segment { address: 0x10_0000, bytes: code, writable: false, executable: true };
        assert_eq!(run(Class::Elf32, &[text], 0x10_0000), Some(42));
    }

    #[test]
    fn segments_in_one_page_are_refused() {
        let at = |address| Segment { address, bytes: vec![0; 8], writable: true, executable: false };
        assert!(executable(Class::Elf64, &[at(0x40_0000), at(0x40_0008)], 0x40_0000).is_err());
    }
}
