//! Mappings: protection, flags, residence.

use super::{Args, decoders, le32, word};
use crate::tables::flags as names;

decoders! { map_flags, map_args, remap_flags, remap_to, resident, page_offset, map_offset, membarrier_cmd, }

/// Type of the mapping, then the bits, then the size of huge pages.
fn map_flags(args: &mut Args<'_>, flags: u64) {
    const TYPE: u64 = 0xf;
    const HUGETLB: u64 = 0x4_0000;
    let flags = flags & 0xffff_ffff;
    args.choice(&names::MAP_TYPE, flags & TYPE);
    let mut bits = flags & !TYPE;
    let log = if bits & HUGETLB != 0 { bits >> 26 & 0x3f } else { 0 };
    bits &= !(log << 26);
    if bits != 0 {
        args.text("|");
        args.flags(&names::MAP_FLAGS, bits);
    }
    if log != 0 {
        put!(args.out, "|{log}<<MAP_HUGE_SHIFT");
    }
}

/// The 32-bit ABI's old mmap: its six arguments are in memory.
fn map_args(args: &mut Args<'_>, address: u64) {
    let Some(words) = args.fetch::<24>(address) else { return };
    args.put_address(word(&words, 0, true));
    put!(args.out, ", {}, ", le32(&words, 4));
    args.flags(&names::PROT, word(&words, 2, true));
    args.text(", ");
    map_flags(args, word(&words, 3, true));
    args.text(", ");
    args.put_fd(word(&words, 4, true));
    args.text(", ");
    args.put_hex(word(&words, 5, true));
}

fn remap_flags(args: &mut Args<'_>, flags: u64) {
    args.flags(&names::MREMAP_FLAGS, flags & 0xffff_ffff);
}

/// Where to: only if that was demanded.
fn remap_to(args: &mut Args<'_>, address: u64) {
    const FIXED_OR_DONTUNMAP: u64 = 6;
    if args.words[3] & FIXED_OR_DONTUNMAP != 0 {
        args.put_address(address);
    }
}

/// mincore's answer: one byte per page.
fn resident(args: &mut Args<'_>, address: u64) {
    let pages = args.words[1].div_ceil(4096);
    args.array(address, pages, 1, |args, bytes| put!(args.out, "{}", bytes[0] & 1));
}

fn map_offset(args: &mut Args<'_>, offset: u64) {
    args.put_hex(offset);
}

fn membarrier_cmd(args: &mut Args<'_>, command: u64) {
    args.choice(&names::MEMBARRIER, command & 0xffff_ffff);
}

/// mmap2 counts in pages.
fn page_offset(args: &mut Args<'_>, pages: u64) {
    args.put_hex(pages << 12);
}
