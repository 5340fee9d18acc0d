//! Messages: struct msghdr with its address, parts and control messages.

use std::net::Ipv4Addr;

use super::files::put_io_vector;
use super::sockets::put_sockaddr;
use super::{Args, decoders, le32, word};
use crate::tables::flags as names;

decoders! { msg_sent, msg_received, msgs_sent, msgs_received, }

/// Fields of struct msghdr, as words: on 64 bits the lengths of 32 bits are padded.
struct Header {
    name: u64,
    name_length: u64,
    parts: u64,
    part_count: u64,
    control: u64,
    control_length: u64,
    flags: u64,
}

fn header(bytes: &[u8], narrow: bool) -> Header {
    let field = |index| word(bytes, index, narrow);
    Header {
        name: field(0),
        name_length: field(1) & 0xffff_ffff,
        parts: field(2),
        part_count: field(3),
        control: field(4),
        control_length: field(5),
        flags: field(6) & 0xffff_ffff,
    }
}

/// Bytes of struct msghdr.
fn size(narrow: bool) -> usize {
    if narrow { 28 } else { 56 }
}

fn msg_sent(args: &mut Args<'_>, address: u64) {
    put_message(args, address, None);
}

/// recvmsg's; on an error only the room for the address is shown.
fn msg_received(args: &mut Args<'_>, address: u64) {
    if args.failed() {
        let narrow = args.is_narrow();
        let mut bytes = [0; 56];
        if args.fetch_into(address, &mut bytes[..size(narrow)]) {
            // What it was before, if anything; the call leaves it alone.
            put!(args.out, "{{msg_namelen={}}}", header(&bytes, narrow).name_length as i32);
        }
        return;
    }
    let total = args.result.unwrap_or(0) as u64;
    put_message(args, address, Some(total));
}

fn put_message(args: &mut Args<'_>, address: u64, received: Option<u64>) {
    let narrow = args.is_narrow();
    let mut bytes = [0; 56];
    if args.fetch_into(address, &mut bytes[..size(narrow)]) {
        put_header(args, &header(&bytes, narrow), received);
    }
}

fn put_header(args: &mut Args<'_>, header: &Header, received: Option<u64>) {
    args.text("{msg_name=");
    if header.name == 0 {
        args.text("NULL")
    } else {
        put_sockaddr(args, header.name, header.name_length)
    }
    args.text(", msg_namelen=");
    if received.is_some() && args.at == 1 && args.saved as u32 != header.name_length as u32 && args.saved != 0
    {
        put!(args.out, "{} => ", args.saved as i32);
    }
    put!(args.out, "{}, msg_iov=", header.name_length as i32);
    put_io_vector(args, header.parts, header.part_count, received);
    put!(args.out, ", msg_iovlen={}", header.part_count);
    if header.control_length > 0 {
        args.text(", msg_control=");
        put_control(args, header);
    }
    put!(args.out, ", msg_controllen={}, msg_flags=", header.control_length);
    args.flags(&names::MSG_FLAGS, header.flags);
    args.text("}");
}

/// struct cmsghdr, one after another, each aligned to a word.
fn put_control(args: &mut Args<'_>, message: &Header) {
    const SOL_IP: u32 = 0;
    const SOL_SOCKET: u32 = 1;
    const SOL_IPV6: u32 = 41;
    const IP_PKTINFO: u32 = 8;
    const SO_TIMESTAMP: u32 = 29;
    const SO_TIMESTAMPNS: u32 = 35;
    const SCM_RIGHTS: u32 = 1;
    const SCM_CREDENTIALS: u32 = 2;
    let (narrow, align) = (args.is_narrow(), args.word_size());
    let mut bytes = [0; 512];
    let length = (message.control_length as usize).min(bytes.len());
    if !args.fetch_into(message.control, &mut bytes[..length]) {
        return;
    }
    let head = align + 8;
    let mut at = 0;
    args.text("[");
    while at + head <= length {
        args.text(if at == 0 { "" } else { ", " });
        let said = word(&bytes[at..], 0, narrow);
        let size = (said as usize).min(length - at);
        let (level, kind) = (le32(&bytes, at + align), le32(&bytes, at + align + 4));
        put!(args.out, "{{cmsg_len={said}, cmsg_level=");
        args.choice(&names::SOCKOPT_LEVEL, level.into());
        args.text(", cmsg_type=");
        match level {
            SOL_SOCKET => args.choice(&names::CMSG_SOCKET, kind.into()),
            SOL_IP => args.choice(&names::IP_OPTION, kind.into()),
            SOL_IPV6 => args.choice(&names::IPV6_OPTION, kind.into()),
            _ => args.put_hex(kind.into()),
        }
        if size < head {
            args.text("}");
            break;
        }
        let mut data = &bytes[at + head..at + size];
        if (level, kind) == (SOL_IP, IP_PKTINFO) && data.len() < 12 {
            data = &[];
        }
        if !data.is_empty() {
            args.text(", cmsg_data=");
        }
        match (level, kind) {
            _ if data.is_empty() => {}
            (SOL_SOCKET, SCM_RIGHTS) => {
                for (index, fd) in data.chunks_exact(4).enumerate() {
                    args.text(if index == 0 { "[" } else { ", " });
                    args.put_fd(le32(fd, 0).into());
                }
                args.text("]");
            }
            (SOL_SOCKET, SCM_CREDENTIALS) if data.len() >= 12 => {
                let (pid, uid, gid) = (le32(data, 0) as i32, le32(data, 4), le32(data, 8));
                put!(args.out, "{{pid={pid}, uid={uid}, gid={gid}}}");
            }
            (SOL_SOCKET, SO_TIMESTAMP | SO_TIMESTAMPNS) if data.len() >= 2 * align => {
                let (seconds, rest) = (word(data, 0, narrow), word(data, 1, narrow));
                let part = if kind == SO_TIMESTAMP { "usec" } else { "nsec" };
                put!(args.out, "{{tv_sec={}, tv_{part}={}}}", seconds as i64, rest as i64);
            }
            (SOL_IP, IP_PKTINFO) if data.len() >= 12 => {
                args.text("{ipi_ifindex=");
                super::sockets::put_interface(args, le32(data, 0));
                let ip = |at: usize| Ipv4Addr::new(data[at], data[at + 1], data[at + 2], data[at + 3]);
                let (local, destination) = (ip(4), ip(8));
                put!(
                    args.out,
                    ", ipi_spec_dst=inet_addr(\"{local}\"), ipi_addr=inet_addr(\"{destination}\")}}"
                );
            }
            _ => args.put_hex_string(data),
        }
        args.text("}");
        at += size.next_multiple_of(align);
    }
    args.text("]");
}

/// struct mmsghdr: a message and how much of it went.
fn put_messages(args: &mut Args<'_>, address: u64, count: u64, received: bool) {
    let narrow = args.is_narrow();
    let whole = size(narrow) + if narrow { 4 } else { 8 };
    args.array(address, count, whole, |args, bytes| {
        let length = le32(bytes, size(narrow));
        args.text("{msg_hdr=");
        put_header(args, &header(bytes, narrow), received.then_some(length.into()));
        if !args.failed() {
            put!(args.out, ", msg_len={length}");
        }
        args.text("}");
    });
}

fn msgs_sent(args: &mut Args<'_>, address: u64) {
    let count = match args.result {
        Some(sent) if sent >= 0 => sent as u64,
        _ => args.next() & 0xffff_ffff,
    };
    put_messages(args, address, count, false);
}

fn msgs_received(args: &mut Args<'_>, address: u64) {
    let count = args.result.unwrap_or(0);
    if count < 0 {
        return args.put_address(address);
    }
    let timeout = std::mem::take(&mut args.saved); // not a length of a name
    put_messages(args, address, count as u64, true);
    args.saved = timeout;
}
