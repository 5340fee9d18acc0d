//! Waiting for descriptors: poll, select, epoll.

use super::time::timespec;
use super::{Args, decoders, le16, le32, le64, word};
use crate::tables::flags as names;

decoders! { pollfds, fd_set, select_timeout, select_args, epoll_event, epoll_events, poll_timeout, poll_timeout64, }

/// struct pollfd, as asked.
fn pollfds(args: &mut Args<'_>, address: u64) {
    let count = args.next() & 0xffff_ffff;
    args.array(address, count, 8, |args, bytes| {
        args.text("{fd=");
        args.put_fd(le32(bytes, 0).into());
        if (le32(bytes, 0) as i32) < 0 {
            return args.text("}");
        }
        args.text(", events=");
        args.flags(&names::POLL_EVENTS, le16(bytes, 4).into());
        args.text("}");
    });
}

/// ` ([{fd=3, revents=POLLIN}])`, after the count that poll returned; what is left of ppoll's time.
pub(super) fn put_ready(args: &mut Args<'_>, left: Option<u64>) {
    let ready = args.result.unwrap_or(0);
    if ready < 0 {
        return;
    }
    if ready == 0 {
        return args.text(" (Timeout)");
    }
    const BATCH: usize = 128;
    /// proc_sys_fs(5), nr_open: the kernel takes no more, unless somebody raised it. A result may be injected.
    const MOST: usize = 1 << 20;
    let (address, count) = (args.words[0], (args.words[1] as u32 as usize).min(MOST));
    let mut bytes = [0; 8 * BATCH];
    let mut shown = 0;
    args.text(" ([");
    'all: for batch in (0..count).step_by(BATCH) {
        let here = &mut bytes[..8 * BATCH.min(count - batch)];
        if args.memory.read(address.wrapping_add(8 * batch as u64), here).is_err() {
            break;
        }
        for answer in here.chunks_exact(8).filter(|answer| le16(answer, 6) != 0) {
            args.text(if shown == 0 { "" } else { ", " });
            shown += 1;
            if shown > args.show.items(u64::MAX) {
                args.text("...");
                break 'all;
            }
            put!(args.out, "{{fd={}, revents=", le32(answer, 0) as i32);
            args.flags(&names::POLL_EVENTS, le16(answer, 6).into());
            args.text("}");
            if shown as i64 == ready {
                break 'all;
            }
        }
    }
    args.text("]");
    if let Some(left) = left.filter(|&left| left != 0) {
        args.text(", left ");
        timespec(args, left);
    }
    args.text(")");
}

/// `asked`: what they refer to was not shown yet.
fn put_fds(args: &mut Args<'_>, set: u64, count: u64, asked: bool) -> bool {
    let size = args.word_size();
    let length = (count as usize).div_ceil(8 * size) * size;
    let mut bytes = [0; 128];
    let length = length.min(bytes.len());
    if length > 0 && args.memory.read(set, &mut bytes[..length]).is_err() {
        args.put_address(set);
        return false;
    }
    args.text("[");
    let mut first = true;
    for fd in 0..(count as usize).min(8 * length) {
        if bytes[fd / 8] >> (fd % 8) & 1 == 1 {
            args.text(if first { "" } else { " " });
            first = false;
            if asked {
                args.put_fd(fd as u64);
            } else {
                put!(args.out, "{fd}");
            }
        }
    }
    args.text("]");
    !first
}

/// `[3 5]`, of as many as the first argument says.
fn fd_set(args: &mut Args<'_>, set: u64) {
    if set == 0 {
        return args.put_address(set);
    }
    let count = (args.words[0] as i32).clamp(0, 1024) as u64;
    put_fds(args, set, count, true);
}

fn select_timeout(args: &mut Args<'_>, address: u64) {
    super::time::timeval(args, address);
}

/// ` (in [3], left {tv_sec=0, tv_usec=9})`.
pub(super) fn put_selected(args: &mut Args<'_>, words: [u64; 5], left_of: impl Fn(&mut Args<'_>, u64)) {
    let ready = args.result.unwrap_or(0);
    if ready < 0 {
        return;
    }
    if ready == 0 {
        return args.text(" (Timeout)");
    }
    let count = (words[0] as i32).clamp(0, 1024) as u64;
    let mut open = false;
    for (set, name) in words[1..4].iter().zip(["in ", "out ", "except "]) {
        if *set != 0 {
            let start = args.out.len();
            args.text(if open { ", " } else { " (" });
            args.text(name);
            if put_fds(args, *set, count, false) { open = true } else { args.out.truncate(start) }
        }
    }
    if words[4] != 0 {
        args.text(if open { ", left " } else { " (left " });
        open = true;
        left_of(args, words[4]);
    }
    args.text(if open { ")" } else { "" });
}

/// The 32-bit ABI's first select: five words in memory.
fn select_args(args: &mut Args<'_>, address: u64) {
    let Some(words) = args.fetch::<20>(address) else { return };
    put!(args.out, "{{nfds={}", le32(&words, 0));
    for (at, name) in ["readfds", "writefds", "exceptfds", "timeout"].into_iter().enumerate() {
        put!(args.out, ", {name}=");
        args.put_address(word(&words, 1 + at, true));
    }
    args.text("}");
}

/// struct epoll_event: packed, on both ABIs.
fn put_event(args: &mut Args<'_>, event: &[u8]) {
    args.text("{events=");
    args.flags(&names::EPOLL_EVENTS, le32(event, 0).into());
    put!(args.out, ", data={{u32={}, u64={}}}}}", le32(event, 4), le64(event, 4));
}

/// epoll_ctl's; a removal has none.
fn epoll_event(args: &mut Args<'_>, address: u64) {
    const EPOLL_CTL_DEL: u32 = 2;
    if args.words[1] as u32 == EPOLL_CTL_DEL {
        return args.put_address(address);
    }
    let Some(event) = args.fetch::<12>(address) else { return };
    put_event(args, &event);
}

/// As many as the call returned.
fn epoll_events(args: &mut Args<'_>, address: u64) {
    let count = args.result.unwrap_or(0).max(0) as u64;
    args.array(address, count, 12, put_event);
}

fn poll_timeout(args: &mut Args<'_>, address: u64) {
    timespec(args, address);
}

fn poll_timeout64(args: &mut Args<'_>, address: u64) {
    let narrow = args.abi;
    args.abi = 0;
    timespec(args, address);
    args.abi = narrow;
}
