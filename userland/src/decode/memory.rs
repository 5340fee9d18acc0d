//! Mappings: protection, flags, residence.

use super::{Args, decoders, le32, word};
use crate::tables::flags as names;

decoders! { map_flags, map_args, remap_flags, remap_to, resident, page_offset, map_offset, membarrier_cmd, memfd_flags, nodes, nodes_out, migrated_nodes, policy_mode, page_list, node_list, }

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
    const MREMAP_FIXED: u64 = 2;
    if args.words[3] & MREMAP_FIXED != 0 {
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

/// Bits, and the size of huge pages as a number within.
fn memfd_flags(args: &mut Args<'_>, flags: u64) {
    const SHIFT: u32 = 26;
    let (size, rest) = (flags >> SHIFT & 0x3f, flags & 0xffff_ffff & !(0x3f << SHIFT));
    if rest != 0 || size == 0 {
        args.flags(&names::MEMFD_FLAGS, rest);
    }
    if size != 0 {
        args.text(if rest == 0 { "" } else { "|" });
        put!(args.out, "{size}<<MFD_HUGE_SHIFT");
    }
}

/// A mask of nodes, of as many bits as the next argument says, less one (set_mempolicy(2)).
fn nodes(args: &mut Args<'_>, address: u64) {
    put_nodes(args, address, args.next());
}

/// The same, of migrate_pages and get_mempolicy, where they fill it in.
fn nodes_out(args: &mut Args<'_>, address: u64) {
    put_nodes(args, address, args.next());
}

/// The same of migrate_pages, which is told their size first.
fn migrated_nodes(args: &mut Args<'_>, address: u64) {
    put_nodes(args, address, args.words[1]);
}

fn put_nodes(args: &mut Args<'_>, address: u64, bits: u64) {
    const MOST: u64 = 1 << 15;
    let size = args.word_size();
    let width = 2 * size;
    let words = bits.min(MOST).div_ceil(8 * size as u64);
    let narrow = args.is_narrow();
    args.array(address, words, size, |args, bytes| match super::word(bytes, 0, narrow) {
        0 => put!(args.out, "{:0width$}", 0),
        word => put!(args.out, "{word:#0width$x}", width = width + 2),
    });
}

/// A policy, and bits about the nodes that it names.
fn policy_mode(args: &mut Args<'_>, mode: u64) {
    const FLAGS: u64 = 0xe000;
    let mode = mode & 0xffff_ffff;
    args.choice(&names::MEMPOLICY, mode & !FLAGS);
    if mode & FLAGS != 0 {
        args.text("|");
        args.flags(&names::MEMPOLICY_FLAGS, mode & FLAGS);
    }
}

/// Addresses of pages, as many as the argument before says.
fn page_list(args: &mut Args<'_>, address: u64) {
    let (size, narrow) = (args.word_size(), args.is_narrow());
    let count = args.words[1];
    args.array(address, count, size, |args, page| args.put_address(super::word(page, 0, narrow)));
}

/// Nodes that pages are to move to.
fn node_list(args: &mut Args<'_>, address: u64) {
    let count = args.words[1];
    args.array(address, count, 4, |args, node| put!(args.out, "{}", super::le32(node, 0) as i32));
}
