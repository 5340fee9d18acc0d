//! Addresses of a socket by its inode: the tables of /proc/pid/net, which are those of the task's own network, and for
//! sockets of the UNIX family sock_diag(7), which alone knows who is connected to whom. It answers within the call that asks, so
//! that no wait for an answer could ever hold a tracer up.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Its own and its peer's; neither where it has none, or is in no table.
pub(crate) fn addresses(pid: i32, protocol: &str, id: u64) -> (Option<String>, Option<String>) {
    let table = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let found = match protocol {
        "TCP" => internet(&table("tcp"), id).or_else(|| bound(AddressFamily::Inet, id)),
        "TCPv6" => internet(&table("tcp6"), id).or_else(|| bound(AddressFamily::Inet6, id)),
        "UDP" => internet(&table("udp"), id),
        "UDPv6" => internet(&table("udp6"), id),
        "UDP-Lite" => internet(&table("udplite"), id),
        "UDPLITEv6" => internet(&table("udplite6"), id),
        "RAW" => internet(&table("raw"), id),
        "RAWv6" => internet(&table("raw6"), id),
        "NETLINK" => netlink(&table("netlink"), id),
        name if name.starts_with("UNIX") => Some((local_name(&table("unix"), id), peer(id))),
        _ => None,
    };
    found.unwrap_or_default()
}

type Found = Option<(Option<String>, Option<String>)>;

/// Fields of proc_net_tcp: slot, local, remote, state, … , and the inode as the tenth.
fn internet(table: &str, id: u64) -> Found {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (local, remote) = (words.nth(1)?, words.next()?);
        if words.nth(6)?.parse() != Ok(id) {
            return None;
        }
        let remote = address(remote)?;
        let peer = if remote.port() == 0 { None } else { Some(remote.to_string()) };
        Some((Some(address(local)?.to_string()), peer))
    })
}

/// `0100007F:1F90`: the address in words as they lie in memory, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word =
        |at: usize| u32::from_str_radix(address.get(8 * at..8 * at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[4 * at..4 * at + 4].copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Protocol and port, the second and third field; the inode is the last.
fn netlink(table: &str, id: u64) -> Found {
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (protocol, port) = (words.get(1)?, words.get(2)?);
        let is = words.last()?.parse() == Ok(id);
        is.then(|| (Some(format!("{protocol}:{port}")), None))
    })
}

/// The path, after the inode as the seventh field; an abstract name begins with `@`.
fn local_name(table: &str, id: u64) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let mut rest = line;
        for _ in 0..6 {
            rest = rest.trim_start().split_once(' ')?.1;
        }
        let (inode, path) = rest.trim_start().split_once(' ')?;
        (inode.parse() == Ok(id) && !path.is_empty()).then(|| path.to_owned())
    })
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_PEER: u16 = 2;
/// struct nlmsghdr of linux/netlink.h.
const HEADER: usize = 16;
/// struct unix_diag_msg of linux/unix_diag.h.
const ANSWER: usize = 16;

/// struct unix_diag_req: family, protocol, states, inode, what to show, no cookie.
fn question(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&40u32.to_ne_bytes());
    bytes.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[AddressFamily::Unix as u8, 0, 0, 0]);
    for word in [u32::MAX, inode, UDIAG_SHOW_PEER, u32::MAX, u32::MAX] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// The inode of the socket that this one is connected to.
fn peer(id: u64) -> Option<String> {
    let inode = u32::try_from(id).ok()?;
    let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
    let diag = socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag).ok()?;
    send(diag.as_raw_fd(), &question(inode), MsgFlags::empty()).ok()?;
    let mut bytes = [0; 4096];
    let length = recv(diag.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT).ok()?;
    peer_of_answer(&bytes[..length]).map(|peer| peer.to_string())
}

const NLM_F_DUMP: u16 = 0x300;
const IPPROTO_TCP: u8 = 6;

/// struct inet_diag_req_v2 of linux/inet_diag.h: family, protocol, states, and no socket in particular.
fn dump_question(family: AddressFamily) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&72u32.to_ne_bytes());
    bytes.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[family as u8, IPPROTO_TCP, 0, 0]);
    bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
    bytes.resize(72, 0);
    bytes
}

/// A socket of TCP that is bound, and neither listens nor is connected, is in no table of /proc.
fn bound(family: AddressFamily, id: u64) -> Found {
    let kind = SockType::Raw;
    let netlink = AddressFamily::Netlink;
    let diag = socket(netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag).ok()?;
    send(diag.as_raw_fd(), &dump_question(family), MsgFlags::empty()).ok()?;
    let mut bytes = vec![0; 32 * 1024];
    loop {
        let length = recv(diag.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT).ok()?;
        let mut rest = &bytes[..length];
        while let Some((kind, message, after)) = split(rest) {
            if kind != SOCK_DIAG_BY_FAMILY {
                return None; // done, or an error
            }
            if let Some(found) = bound_to(message, id) {
                return Some((Some(found.to_string()), None));
            }
            rest = after;
        }
        if length == 0 {
            return None;
        }
    }
}

/// The type and the contents of the first message, and what comes after it.
fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((kind, bytes.get(HEADER..length)?, &bytes[next..]))
}

/// struct inet_diag_msg: family, …, the port in network order at 4, the address at 8, the inode at 68.
fn bound_to(message: &[u8], id: u64) -> Option<SocketAddr> {
    let inode = u32::from_ne_bytes(message.get(68..72)?.try_into().ok()?);
    let port = u16::from_be_bytes([message[4], message[5]]);
    if u64::from(inode) != id || port == 0 {
        return None;
    }
    let ip = match i32::from(message[0]) == AddressFamily::Inet as i32 {
        true => IpAddr::V4(Ipv4Addr::new(message[8], message[9], message[10], message[11])),
        false => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(message.get(8..24)?).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

/// Attributes after the two headers: length and type, then a value, aligned to 4.
fn peer_of_answer(bytes: &[u8]) -> Option<u32> {
    let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if half(4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut at = HEADER + ANSWER;
    loop {
        let (length, kind) = (usize::from(half(at)?), half(at + 2)?);
        if kind == UNIX_DIAG_PEER {
            return Some(u32::from_ne_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?));
        }
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_internet_family() {
        let table = "  sl  local_address rem_address   st …\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100\n   \
            1: 0100007F:1F90 0200007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 20\n";
        assert_eq!(internet(table, 77), Some((Some("127.0.0.1:8080".into()), None)));
        let connected = (Some("127.0.0.1:8080".into()), Some("127.0.0.2:22".into()));
        assert_eq!(internet(table, 78), Some(connected));
        assert_eq!(internet(table, 79), None);
        assert_eq!(internet("sl\n 0: x y 0A 0 0 0 0 0 77\n", 77), None);
        assert_eq!(address("00000000000000000000000001000000:0050").unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn tables_of_the_other_families() {
        let unix = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 16501 /run/a b\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 17 @x\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 18\n";
        assert_eq!(local_name(unix, 16501).as_deref(), Some("/run/a b"));
        assert_eq!(local_name(unix, 17).as_deref(), Some("@x"));
        assert_eq!(local_name(unix, 18), None);
        let table = "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n\
            0000000000000000 0   4242       00000000 0        0        0        2        0        99\n";
        assert_eq!(netlink(table, 99), Some((Some("0:4242".into()), None)));
    }

    #[test]
    fn a_bound_socket_in_a_dump() {
        let mut message = vec![0; 72];
        message[0] = AddressFamily::Inet as u8;
        message[4..6].copy_from_slice(&80u16.to_be_bytes());
        message[8..12].copy_from_slice(&[127, 0, 0, 1]);
        message[68..].copy_from_slice(&7u32.to_ne_bytes());
        assert_eq!(bound_to(&message, 7), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(bound_to(&message, 8), None);
        assert_eq!(bound_to(&message[..70], 7), None);
        assert_eq!(split(&[9, 0, 0, 0, 20]), None);
    }

    #[test]
    fn a_diagnostic_answer_that_is_cut_has_no_peer() {
        let mut answer = question(1);
        answer.truncate(HEADER + ANSWER);
        answer.extend_from_slice(&8u16.to_ne_bytes());
        answer.extend_from_slice(&UNIX_DIAG_PEER.to_ne_bytes());
        assert_eq!(peer_of_answer(&answer), None);
        answer.extend_from_slice(&7u32.to_ne_bytes());
        assert_eq!(peer_of_answer(&answer), Some(7));
    }
}
