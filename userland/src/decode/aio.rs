//! Asynchronous I/O (io_submit(2)), message queues (mq_overview(7)), and futexes waited for together.

use super::files::{put_io_vector, put_open_flags};
use super::text::put_bytes;
use super::{Args, decoders, le16, le32, le64, word};
use crate::tables::flags as names;

decoders! { address_out, iocbs, iocb_head, io_events, mq_attr, mq_attr_given, number_out, waiters, mount_attr, io_uring_arg, }

/// An address, or a word that is one, which the call fills in.
fn address_out(args: &mut Args<'_>, address: u64) {
    match args.peek_word(address) {
        Some(word) => {
            args.text("[");
            args.put_address(word);
            args.text("]");
        }
        None => args.put_address(address),
    }
}

/// Pointers to struct iocb, as many as the argument before says.
fn iocbs(args: &mut Args<'_>, address: u64) {
    let (count, narrow, size) = (args.words[args.at - 1], args.is_narrow(), args.word_size());
    if (count as i64) < 0 {
        return args.put_address(address);
    }
    args.array(address, count, size, |args, bytes| {
        let block = word(bytes, 0, narrow);
        put_iocb(args, block, true);
    });
}

/// The one that io_cancel is to find.
fn iocb_head(args: &mut Args<'_>, address: u64) {
    put_iocb(args, address, false);
}

/// struct iocb (linux/aio_abi.h): the same on all ABIs.
fn put_iocb(args: &mut Args<'_>, address: u64, whole: bool) {
    const PREAD: u16 = 0;
    const PWRITE: u16 = 1;
    const POLL: u16 = 5;
    const PREADV: u16 = 7;
    const PWRITEV: u16 = 8;
    const HAS_EVENT: u32 = 1;
    let Some(block) = args.fetch::<64>(address) else { return };
    let (operation, priority) = (le16(&block, 16), le16(&block, 18) as i16);
    let (buffer, count, offset) = (le64(&block, 24), le64(&block, 32), le64(&block, 40) as i64);
    args.text("{aio_data=");
    args.put_hex(le64(&block, 0));
    if le32(&block, 8) != 0 {
        put!(args.out, ", aio_key={}", le32(&block, 8));
    }
    if le32(&block, 12) != 0 && whole {
        args.text(", aio_rw_flags=");
        args.flags(&names::RWF, le32(&block, 12).into());
    }
    args.text(", aio_lio_opcode=");
    args.choice(&names::IOCB_CMD, operation.into());
    if priority != 0 {
        put!(args.out, ", aio_reqprio={priority}");
    }
    args.text(", aio_fildes=");
    args.put_fd(le32(&block, 20).into());
    if !whole {
        return args.text("}");
    }
    match operation {
        PREAD | PWRITE => {
            args.text(", aio_buf=");
            if operation == PWRITE {
                put_bytes(args, buffer, count, false);
            } else {
                args.put_address(buffer);
            }
            put!(args.out, ", aio_nbytes={count}, aio_offset={offset}");
        }
        PREADV | PWRITEV => {
            args.text(", aio_buf=");
            put_io_vector(args, buffer, count, if operation == PREADV { Some(0) } else { None });
            put!(args.out, ", aio_offset={offset}");
        }
        POLL => {
            args.text(", aio_buf=");
            args.flags(&names::POLL_EVENTS, buffer);
        }
        _ => {}
    }
    if le32(&block, 56) & HAS_EVENT != 0 && matches!(operation, PREAD | PWRITE | PREADV | PWRITEV) {
        args.text(", aio_flags=IOCB_FLAG_RESFD, aio_resfd=");
        args.put_fd(le32(&block, 60).into());
    }
    args.text("}");
}

/// struct io_event, as many as the call returned.
fn io_events(args: &mut Args<'_>, address: u64) {
    let count = args.result.unwrap_or(0).max(0) as u64;
    args.array(address, count, 32, |args, event| {
        args.text("{data=");
        args.put_hex(le64(event, 0));
        args.text(", obj=");
        args.put_address(le64(event, 8));
        put!(args.out, ", res={}, res2={}}}", le64(event, 16) as i64, le64(event, 24) as i64);
    });
}

/// What a new queue is to be like.
fn mq_attr_given(args: &mut Args<'_>, address: u64) {
    const O_CREAT: u64 = 0o100;
    if args.words[1] & O_CREAT != 0 {
        mq_attr(args, address);
    }
}

/// struct mq_attr: eight words, of which four are used.
fn mq_attr(args: &mut Args<'_>, address: u64) {
    let (narrow, size) = (args.is_narrow(), args.word_size());
    let mut bytes = [0; 32];
    if !args.fetch_into(address, &mut bytes[..4 * size]) {
        return;
    }
    let field = |at| word(&bytes, at, narrow);
    let signed = |value: u64| if narrow { i64::from(value as u32 as i32) } else { value as i64 };
    args.text("{mq_flags=");
    if field(0) == 0 {
        args.text("0")
    } else {
        put_mq_flags(args, field(0))
    }
    put!(
        args.out,
        ", mq_maxmsg={}, mq_msgsize={}, mq_curmsgs={}}}",
        signed(field(1)),
        signed(field(2)),
        signed(field(3))
    );
}

/// Without a way of access, whose zero would be told.
fn put_mq_flags(args: &mut Args<'_>, flags: u64) {
    if flags & 3 == 0 { args.flags(&names::OPEN_FLAGS, flags) } else { put_open_flags(args, flags) }
}

/// `[3]`.
fn number_out(args: &mut Args<'_>, address: u64) {
    match args.peek32(address) {
        Some(number) => put!(args.out, "[{number}]"),
        None => args.put_address(address),
    }
}

/// struct futex_waitv, as many as the next argument says.
fn waiters(args: &mut Args<'_>, address: u64) {
    let count = args.next() & 0xffff_ffff;
    args.array(address, count, 24, |args, waiter| {
        args.text("{val=");
        args.put_hex(le64(waiter, 0));
        args.text(", uaddr=");
        args.put_address(le64(waiter, 8));
        args.text(", flags=");
        args.flags(&names::FUTEX2_FLAGS, le32(waiter, 16).into());
        args.text("}");
    });
}

/// struct mount_attr of mount_setattr(2), whose size is the next argument.
fn mount_attr(args: &mut Args<'_>, address: u64) {
    if args.next() < 32 {
        return args.put_address(address);
    }
    let Some(attr) = args.fetch::<32>(address) else { return };
    args.text("{attr_set=");
    args.flags(&names::MOUNT_ATTR, le64(&attr, 0));
    args.text(", attr_clr=");
    args.flags(&names::MOUNT_ATTR, le64(&attr, 8));
    args.text(", propagation=");
    args.flags(&names::PROPAGATION, le64(&attr, 16));
    args.text(", userns_fd=");
    args.put_fd(le64(&attr, 24));
    args.text("}");
}

/// What io_uring_register(2) is given: buffers and files are shown.
fn io_uring_arg(args: &mut Args<'_>, address: u64) {
    const BUFFERS: u64 = 0;
    const FILES: u64 = 2;
    let count = args.next() & 0xffff_ffff;
    match args.words[1] & 0xffff_ffff {
        BUFFERS => {
            let (size, narrow) = (2 * args.word_size(), args.is_narrow());
            args.array(address, count, size, |args, part| {
                args.text("{iov_base=");
                args.put_address(word(part, 0, narrow));
                put!(args.out, ", iov_len={}}}", word(part, 1, narrow));
            });
        }
        FILES => args.array(address, count, 4, |args, fd| args.put_fd(le32(fd, 0).into())),
        _ => args.put_address(address),
    }
}
