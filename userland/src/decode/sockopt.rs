//! Options of sockets: names by level, values by option.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::put_bytes;
use super::{Args, decoders, le16, le32, word};
use crate::numbers::put_errno;
use crate::tables::flags as names;
use crate::tables::flags::Names;

decoders! { option_name, option_set, option_got, option_length, option_level, }

const SOL_IP: u32 = 0;
const SOL_SOCKET: u32 = 1;
const SOL_TCP: u32 = 6;
const SOL_UDP: u32 = 17;
const SOL_IPV6: u32 = 41;
const SOL_RAW: u32 = 255;
const SOL_PACKET: u32 = 263;
const SOL_NETLINK: u32 = 270;

const SO_LINGER: u32 = 13;
const SO_PEERCRED: u32 = 17;
const SO_ERROR: u32 = 4;
const SO_ATTACH_FILTER: u32 = 26;
const SO_BINDTODEVICE: u32 = 25;
const SO_PEERSEC: u32 = 31;
const TCP_INFO: u32 = 11;
const IP_ADD_MEMBERSHIP: u32 = 35;
const IP_DROP_MEMBERSHIP: u32 = 36;
const IPV6_ADD_MEMBERSHIP: u32 = 20;
const IPV6_DROP_MEMBERSHIP: u32 = 21;
const ICMP_FILTER: u32 = 1;

fn table(level: u32) -> Option<&'static Names> {
    Some(match level {
        SOL_SOCKET => &names::SO_OPTION,
        SOL_IP => &names::IP_OPTION,
        SOL_IPV6 => &names::IPV6_OPTION,
        SOL_TCP => &names::TCP_OPTION,
        SOL_UDP => &names::UDP_OPTION,
        SOL_NETLINK => &names::NETLINK_OPTION,
        SOL_PACKET => &names::PACKET_OPTION,
        SOL_RAW => &names::RAW_OPTION,
        _ => return None,
    })
}

fn option_level(args: &mut Args<'_>, level: u64) {
    args.choice(&names::SOCKOPT_LEVEL, level & 0xffff_ffff);
}

fn option_name(args: &mut Args<'_>, name: u64) {
    match table(args.words[1] as u32) {
        Some(names) => args.choice(names, name & 0xffff_ffff),
        None => put!(args.out, "{}", name as u32),
    }
}

/// A value whose length is the next argument.
fn option_set(args: &mut Args<'_>, address: u64) {
    let length = args.next() as u32;
    if (length as i32) < 0 {
        return args.put_address(address);
    }
    put_value(args, address, length, true);
}

/// A value that the call fills in; the next argument points to its length.
fn option_got(args: &mut Args<'_>, address: u64) {
    match args.peek32(args.next()) {
        Some(length) => put_value(args, address, length.min(args.saved as u32), false),
        None => args.put_address(address),
    }
}

fn option_length(args: &mut Args<'_>, address: u64) {
    match args.peek32(address) {
        Some(after) if after == args.saved as u32 || args.failed() => {
            put!(args.out, "[{}]", args.saved as i32)
        }
        Some(after) => put!(args.out, "[{} => {}]", args.saved as i32, after as i32),
        None => args.put_address(address),
    }
}

fn put_value(args: &mut Args<'_>, address: u64, length: u32, set: bool) {
    let mut bytes = [0; 256];
    let here = (length as usize).min(bytes.len());
    let (level, option) = (args.words[1] as u32, args.words[2] as u32);
    if here == 0 {
        return if set || address == 0 || (level, option) != (SOL_SOCKET, SO_PEERSEC) {
            args.put_address(address)
        } else {
            args.text("\"\"")
        };
    }
    // Too short for a number is no value, and so is half a structure.
    let short = set && matches!(level, SOL_SOCKET) && here < 4 && option != SO_BINDTODEVICE;
    if short || (set && (level, option) == (SOL_SOCKET, SO_LINGER) && here < 8) {
        return args.put_address(address);
    }
    match (level, option) {
        (SOL_TCP, TCP_INFO) if set => return args.put_address(address),
        (SOL_SOCKET, SO_ATTACH_FILTER) => return filter(args, address, length),
        _ => {}
    }
    if !args.fetch_into(address, &mut bytes[..here]) {
        return;
    }
    let first = || le32(&bytes, 0) as i32;
    match (level, option, here) {
        (SOL_SOCKET, SO_LINGER, 8) => {
            put!(args.out, "{{l_onoff={}, l_linger={}}}", first(), le32(&bytes, 4) as i32)
        }
        (SOL_SOCKET, SO_PEERCRED, 12) => {
            put!(
                args.out,
                "{{pid={}, uid={}, gid={}}}",
                first(),
                le32(&bytes, 4) as i32,
                le32(&bytes, 8) as i32
            );
        }
        (SOL_SOCKET, SO_ERROR, 4) if first() != 0 => {
            args.text("[");
            put_errno(args.out, first());
            args.text("]");
        }
        (SOL_RAW, ICMP_FILTER, 4) => {
            args.text("[");
            args.flags(&names::ICMP_FILTER, first() as u32 as u64);
            args.text("]");
        }
        (_, _, 4) => put!(args.out, "[{}]", first()),
        (SOL_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP, 8) => {
            let ip = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
            let (group, interface) = (ip(0), ip(4));
            put!(
                args.out,
                "{{imr_multiaddr=inet_addr(\"{group}\"), imr_interface=inet_addr(\"{interface}\")}}"
            );
        }
        (SOL_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP, 20) => {
            let mut group = [0; 16];
            group.copy_from_slice(&bytes[..16]);
            let group = Ipv6Addr::from(group);
            put!(args.out, "{{inet_pton(AF_INET6, \"{group}\", &ipv6mr_multiaddr), ipv6mr_interface=");
            super::sockets::put_interface(args, le32(&bytes, 16));
            args.text("}");
        }
        _ => {
            put_bytes(args, address, length.into(), false);
        }
    }
}

/// struct sock_fprog: how long the program is.
fn filter(args: &mut Args<'_>, address: u64, length: u32) {
    let narrow = args.is_narrow();
    let size = 2 * args.word_size();
    let mut bytes = [0; 16];
    if (length as usize) < size || !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    put!(args.out, "{{len={}, filter=", le16(&bytes, 0));
    args.put_address(word(&bytes, 1, narrow));
    args.text("}");
}
