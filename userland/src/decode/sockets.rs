//! Sockets: kinds, addresses and their lengths.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Args, decoders, le16, le32, word};
use crate::tables::flags as names;

decoders! {
    socket_type, socket_protocol, sockaddr, sockaddr_out, length_out, socketcall_args,
}

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
const AF_PACKET: u32 = 17;
const AF_VSOCK: u32 = 40;

fn socket_type(args: &mut Args<'_>, value: u64) {
    const MASK: u64 = 0xf;
    let value = value & 0xffff_ffff;
    if names::SOCKET_TYPE.name(value & MASK).is_none() {
        return args.choice(&names::SOCKET_TYPE, value);
    }
    args.choice(&names::SOCKET_TYPE, value & MASK);
    if value & !MASK != 0 {
        args.text("|");
        args.flags(&names::SOCK_FLAGS, value & !MASK);
    }
}

/// What a protocol is called depends on the family.
fn socket_protocol(args: &mut Args<'_>, value: u64) {
    const ICMPV6: u64 = 58;
    let value = value & 0xffff_ffff;
    match args.words[0] as u32 {
        AF_INET => args.choice(&names::IP_PROTO, value),
        AF_INET6 if value == ICMPV6 => args.text("IPPROTO_ICMPV6"),
        AF_INET6 => args.choice(&names::IP_PROTO, value),
        AF_NETLINK => args.choice(&names::NETLINK_PROTO, value),
        AF_PACKET => {
            args.text("htons(");
            match (value as u16).swap_bytes() {
                3 => args.text("ETH_P_ALL"),
                other => put!(args.out, "{other:#x}"),
            }
            args.text(")");
        }
        _ => put!(args.out, "{value}"),
    }
}

/// An address whose length is the next argument.
fn sockaddr(args: &mut Args<'_>, address: u64) {
    let length = args.next();
    put_sockaddr(args, address, u64::from(length as u32));
}

/// An address that the call fills in; the next argument points to its length. Before the call, that length is noted.
fn sockaddr_out(args: &mut Args<'_>, address: u64) {
    let length = args.next();
    let returned = args.peek32(length);
    match returned {
        Some(returned) if address != 0 => {
            // No more than there was room for.
            let length = u64::from(returned.min(args.saved as u32));
            put_sockaddr(args, address, length);
        }
        _ => args.put_address(address),
    }
}

/// `[16]`; `[128 => 16]` if the call changed it.
fn length_out(args: &mut Args<'_>, address: u64) {
    let before = args.saved as u32;
    match args.peek32(address) {
        None => args.put_address(address),
        Some(_) if args.failed() => put!(args.out, "[{}]", before as i32),
        Some(after) if after == before => put!(args.out, "[{after}]"),
        Some(after) => put!(args.out, "[{} => {}]", before as i32, after as i32),
    }
}

/// A struct sockaddr inside another structure: an address of the internet, or bytes.
pub(super) fn put_family_address(args: &mut Args<'_>, bytes: &[u8]) {
    let family = u32::from(le16(bytes, 0));
    args.text("{sa_family=");
    args.choice(&names::SOCKET_FAMILY, family.into());
    if family == AF_INET {
        let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        put!(args.out, ", sin_port=htons({port}), sin_addr=inet_addr(\"{ip}\")}}");
    } else {
        args.text(", sa_data=");
        args.put_string(&bytes[2..16]);
        args.text("}");
    }
}

/// `{sa_family=AF_INET, …}`.
pub(super) fn put_sockaddr(args: &mut Args<'_>, address: u64, length: u64) {
    let mut bytes = [0; 128];
    let length = (length as usize).min(bytes.len());
    if length < 2 {
        return args.put_address(address);
    }
    if !args.fetch_into(address, &mut bytes[..length]) {
        return;
    }
    let family = u32::from(le16(&bytes, 0));
    args.text("{sa_family=");
    args.choice(&names::SOCKET_FAMILY, family.into());
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match family {
        _ if length == 2 => {}
        AF_UNIX => unix_path(args, &bytes[2..length]),
        AF_INET if length >= 8 => {
            let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            put!(args.out, ", sin_port=htons({port}), sin_addr=inet_addr(\"{ip}\")");
        }
        AF_INET6 if length >= 24 => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&bytes[8..24]);
            let flow = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            put!(
                args.out,
                ", sin6_port=htons({port}), sin6_flowinfo=htonl({flow}), inet_pton(AF_INET6, \"{}\", &sin6_addr)",
                Ipv6Addr::from(ip)
            );
            if length >= 28 {
                args.text(", sin6_scope_id=");
                match le32(&bytes, 24) {
                    1 if ip[0] == 0xfe || ip[0] == 0xff => put_interface(args, 1),
                    index => put!(args.out, "{index}"),
                }
            }
        }
        AF_NETLINK if length >= 12 => {
            put!(args.out, ", nl_pid={}, nl_groups=", le32(&bytes, 4) as i32);
            match le32(&bytes, 8) {
                0 => args.text("00000000"),
                groups => put!(args.out, "{groups:#08x}"),
            }
        }
        AF_VSOCK if length >= 16 => {
            args.text(", svm_cid=");
            args.choice(&names::VSOCK_CID, le32(&bytes, 8).into());
            args.text(", svm_port=");
            args.put_hex(le32(&bytes, 4).into());
            args.text(", svm_flags=");
            args.put_hex(bytes[12].into());
        }
        AF_PACKET if length >= 20 => packet(args, &bytes),
        _ => {
            args.text(", sa_data=");
            args.put_string(&bytes[2..length]);
        }
    }
    args.text("}");
}

/// struct sockaddr_ll of packet(7).
fn packet(args: &mut Args<'_>, bytes: &[u8]) {
    args.text(", sll_protocol=htons(");
    args.choice(&names::ETHER_PROTO, u16::from_be_bytes([bytes[2], bytes[3]]).into());
    args.text("), sll_ifindex=");
    put_interface(args, le32(bytes, 4));
    args.text(", sll_hatype=");
    args.choice(&names::HARDWARE, le16(bytes, 8).into());
    args.text(", sll_pkttype=");
    args.choice(&names::PACKET_TYPE, bytes[10].into());
    let length = bytes[11];
    put!(args.out, ", sll_halen={length}");
    if (1..=8).contains(&length) {
        for (at, byte) in bytes[12..12 + usize::from(length)].iter().enumerate() {
            put!(args.out, "{}{byte:02x}", if at == 0 { ", sll_addr=[" } else { ", " });
        }
        args.text("]");
    }
}

/// An interface by number. By name only where the name is the same in every namespace.
pub(super) fn put_interface(args: &mut Args<'_>, index: u32) {
    match index {
        1 => args.text("if_nametoindex(\"lo\")"),
        index => put!(args.out, "{index}"),
    }
}

/// A path, or after `@` an abstract name, which may have any bytes.
fn unix_path(args: &mut Args<'_>, path: &[u8]) {
    args.text(", sun_path=");
    if path[0] != 0 {
        return args.put_field(path);
    }
    args.text("@");
    args.put_string(&path[1..]);
}

/// Words that the 32-bit ABI's one socket call finds in memory, by the number of the call (linux/net.h).
fn socketcall_args(args: &mut Args<'_>, address: u64) {
    const COUNTS: [usize; 21] = [0, 3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4];
    let count = COUNTS.get(args.words[0] as usize).copied().unwrap_or(0);
    let mut words = [0; 24];
    if count == 0 || !args.fetch_into(address, &mut words[..4 * count]) {
        return;
    }
    args.text("[");
    for at in 0..count {
        args.text(if at == 0 { "" } else { ", " });
        args.put_hex(word(&words, at, true));
    }
    args.text("]");
}
