//! Families of calls of programs that serve: options, control messages, addresses, many at once, rings.

use super::files::file;
use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[
    wide("socket_options", socket_options),
    wide("control_messages", control_messages),
    wide("many_messages", many_messages),
    wide("network_addresses", network_addresses),
    wide("rings", rings),
    wide("asynchronous", asynchronous),
    wide("message_queues", message_queues),
];

fn socket_options(code: &mut Code) {
    let (room, one) = (code.space(256), code.words32(&[1, 5]));
    let fd = sys!(code, SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0);
    for (level, name) in [
        (libc::SOL_SOCKET, libc::SO_TYPE),
        (libc::SOL_SOCKET, libc::SO_ERROR),
        (libc::SOL_SOCKET, libc::SO_SNDBUF),
        (libc::SOL_SOCKET, libc::SO_LINGER),
        (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
        (libc::SOL_SOCKET, libc::SO_SNDTIMEO),
        (libc::SOL_SOCKET, libc::SO_PEERCRED),
        (libc::SOL_SOCKET, libc::SO_PROTOCOL),
        (libc::SOL_SOCKET, libc::SO_DOMAIN),
        (libc::SOL_SOCKET, libc::SO_ACCEPTCONN),
        (libc::SOL_SOCKET, libc::SO_PEERGROUPS),
        (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
        (libc::SOL_SOCKET, libc::SO_PEERNAME),
        (libc::SOL_IP, libc::IP_TOS),
        (libc::SOL_IP, libc::IP_TTL),
        (libc::SOL_IP, libc::IP_MTU_DISCOVER),
        (libc::SOL_IP, libc::IP_OPTIONS),
        (libc::SOL_TCP, libc::TCP_NODELAY),
        (libc::SOL_TCP, libc::TCP_MAXSEG),
        (libc::SOL_TCP, libc::TCP_INFO),
        (libc::SOL_TCP, libc::TCP_CONGESTION),
        (libc::SOL_TCP, libc::TCP_USER_TIMEOUT),
        (libc::SOL_IPV6, libc::IPV6_V6ONLY),
    ] {
        let length = code.words32(&[256]);
        sys!(code, SYS_getsockopt, fd, level, name, room, length);
    }
    let length = code.words32(&[2]);
    sys!(code, SYS_getsockopt, fd, libc::SOL_SOCKET, libc::SO_TYPE, room, length);
    for (level, name) in [
        (libc::SOL_SOCKET, libc::SO_REUSEADDR),
        (libc::SOL_SOCKET, libc::SO_REUSEPORT),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
        (libc::SOL_SOCKET, libc::SO_BROADCAST),
        (libc::SOL_SOCKET, libc::SO_PASSCRED),
        (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE),
        (libc::SOL_SOCKET, libc::SO_PRIORITY),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
        (libc::SOL_SOCKET, libc::SO_LINGER),
        (libc::SOL_SOCKET, libc::SO_INCOMING_CPU),
        (libc::SOL_SOCKET, libc::SO_MARK),
        (libc::SOL_SOCKET, libc::SO_BUSY_POLL),
        (libc::SOL_SOCKET, libc::SO_ZEROCOPY),
        (libc::SOL_IP, libc::IP_RECVERR),
        (libc::SOL_IP, libc::IP_PKTINFO),
        (libc::SOL_IP, libc::IP_MULTICAST_TTL),
        (libc::SOL_IP, libc::IP_MULTICAST_LOOP),
        (libc::SOL_IP, libc::IP_FREEBIND),
        (libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT),
        (libc::SOL_TCP, libc::TCP_CORK),
        (libc::SOL_TCP, libc::TCP_KEEPIDLE),
        (libc::SOL_TCP, libc::TCP_KEEPINTVL),
        (libc::SOL_TCP, libc::TCP_KEEPCNT),
        (libc::SOL_TCP, libc::TCP_QUICKACK),
        (libc::SOL_TCP, libc::TCP_DEFER_ACCEPT),
        (libc::SOL_TCP, libc::TCP_FASTOPEN),
        (libc::SOL_TCP, libc::TCP_SYNCNT),
        (libc::SOL_UDP, libc::UDP_CORK),
        (libc::SOL_UDP, libc::UDP_GRO),
        (libc::SOL_IPV6, libc::IPV6_RECVPKTINFO),
        (libc::SOL_IPV6, libc::IPV6_UNICAST_HOPS),
        (libc::SOL_NETLINK, libc::NETLINK_EXT_ACK),
        (libc::SOL_PACKET, libc::PACKET_VERSION),
        (libc::SOL_RAW, 1),
    ] {
        sys!(code, SYS_setsockopt, fd, level, name, one, 4);
    }
    let times = code.words(&[5, 250_000]);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, times, 16);
    let linger = code.words32(&[1, 30]);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_LINGER, linger, 8);
    let device = code.text("lo");
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device, 3);
    let name = code.text("cubic");
    sys!(code, SYS_setsockopt, fd, libc::SOL_TCP, libc::TCP_CONGESTION, name, 5);
    let group = code.bytes(&[224, 0, 0, 251, 0, 0, 0, 0]);
    sys!(code, SYS_setsockopt, fd, libc::SOL_IP, libc::IP_ADD_MEMBERSHIP, group, 8);
    let six = code.bytes(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb, 1, 0, 0, 0]);
    sys!(code, SYS_setsockopt, fd, libc::SOL_IPV6, libc::IPV6_ADD_MEMBERSHIP, six, 20);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, one, 4);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 0, 0);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, one, 1);
}

fn control_messages(code: &mut Code) {
    let pair = code.space(8);
    sys!(code, SYS_socketpair, libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair);
    let on = code.words32(&[1]);
    sys!(code, SYS_setsockopt, 4, libc::SOL_SOCKET, libc::SO_PASSCRED, on, 4);
    sys!(code, SYS_setsockopt, 4, libc::SOL_SOCKET, libc::SO_TIMESTAMP, on, 4);
    let (bytes, room) = (code.bytes(b"some bytes"), code.space(256));
    let parts = code.words(&[bytes, 4, bytes + 4, 6]);
    // Two descriptors, then nothing.
    let mut rights = code.words32(&[24, 0, 1, 1, 3, 4]);
    let sent = code.words(&[0, 0, parts, 2, rights, 24, 0]);
    sys!(code, SYS_sendmsg, 3, sent, libc::MSG_DONTWAIT);
    let got = code.words(&[0, 0, parts, 2, room, 256, 0]);
    sys!(code, SYS_recvmsg, 4, got, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC);
    sys!(code, SYS_recvmsg, 4, got, libc::MSG_DONTWAIT);
    // Too short a header, and one that is longer than the buffer.
    rights = code.words32(&[8, 0, 1, 1]);
    let sent = code.words(&[0, 0, parts, 2, rights, 16, 0]);
    sys!(code, SYS_sendmsg, 3, sent, 0);
    rights = code.words32(&[99, 0, 1, 1, 3, 4]);
    let sent = code.words(&[0, 0, parts, 2, rights, 24, 0]);
    sys!(code, SYS_sendmsg, 3, sent, 0);
    let unknown = code.words32(&[20, 0, 0, 8, 1, 0]);
    let sent = code.words(&[0, 0, parts, 2, unknown, 24, 0]);
    sys!(code, SYS_sendmsg, 3, sent, libc::MSG_NOSIGNAL);
    sys!(code, SYS_sendmsg, 3, 0, 0);
    let sent = code.words(&[0, 0, 0x10, 2, 0, 0, 0]);
    sys!(code, SYS_sendmsg, 3, sent, 0);
}

fn many_messages(code: &mut Code) {
    let pair = code.space(8);
    sys!(code, SYS_socketpair, libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair);
    let (bytes, room) = (code.bytes(b"one two"), code.space(64));
    let (first, second) = (code.words(&[bytes, 3]), code.words(&[bytes + 4, 3]));
    let all = code.words(&[0, 0, first, 1, 0, 0, 0, 0, 0, 0, second, 1, 0, 0, 0, 0]);
    sys!(code, SYS_sendmmsg, 3, all, 2, 0);
    let (first, second) = (code.words(&[room, 8]), code.words(&[room + 8, 8]));
    let all = code.words(&[0, 0, first, 1, 0, 0, 0, 0, 0, 0, second, 1, 0, 0, 0, 0]);
    let time = code.words(&[1, 0]);
    sys!(code, SYS_recvmmsg, 4, all, 2, libc::MSG_DONTWAIT, time);
    sys!(code, SYS_recvmmsg, 4, all, 2, libc::MSG_DONTWAIT, 0);
    sys!(code, SYS_sendmmsg, 77, 0, 2, 0);
}

fn network_addresses(code: &mut Code) {
    let fd =
        sys!(code, SYS_socket, libc::AF_INET6, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_TCP);
    let mut six = [0; 28];
    (six[0], six[2], six[3], six[8], six[9], six[23], six[24]) = (10, 0x1f, 0x90, 0xfe, 0x80, 1, 1);
    let scoped = code.bytes(&six);
    sys!(code, SYS_bind, fd, scoped, 28);
    let mut packet = [0; 20];
    (packet[0], packet[3], packet[4], packet[11]) = (17, 3, 1, 6);
    let packet = code.bytes(&packet);
    sys!(code, SYS_bind, 77, packet, 20);
    let vsock = code.words32(&[40, 1024, 2, 0]);
    sys!(code, SYS_connect, 77, vsock, 16);
    let long = [&b"\x01\0/a/path/"[..], &[b'x'; 101]].concat();
    let long = code.bytes(&long);
    sys!(code, SYS_bind, fd, long, 110);
    sys!(code, SYS_bind, fd, long, 1);
    let unspecified = code.words(&[0, 0]);
    sys!(code, SYS_connect, fd, unspecified, 16);
    let unknown = code.bytes(&[99, 0, 1, 2, 3, 4]);
    sys!(code, SYS_connect, fd, unknown, 6);
    let netlink =
        sys!(code, SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
    let address = code.words32(&[16, 0, 0]);
    sys!(code, SYS_bind, netlink, address, 12);
    let (room, length) = (code.space(64), code.words32(&[12]));
    sys!(code, SYS_getsockname, netlink, room, length);
    for (family, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        (libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
        (libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        (libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_KOBJECT_UEVENT),
        (libc::AF_NETLINK, libc::SOCK_DGRAM, 99),
    ] {
        sys!(code, SYS_socket, family, kind, protocol);
    }
}

fn rings(code: &mut Code) {
    let params = code.space(120);
    sys!(code, SYS_io_uring_setup, 4, params);
    let params = code.words32(&[0, 8, 1 << 3 | 1 << 1, 0, 100]);
    let fd = sys!(code, SYS_io_uring_setup, 8, params);
    sys!(code, SYS_io_uring_setup, 4, 0);
    sys!(code, SYS_io_uring_enter, fd, 0, 0, 0, 0, 0);
    sys!(code, SYS_io_uring_enter, 77, 1, 1, 1, 0, 8);
    sys!(code, SYS_io_uring_register, 77, 1, 0, 0);
    let parts = code.words(&[0x1000, 4096]);
    sys!(code, SYS_io_uring_register, 77, 0, parts, 1);
    let fds = code.words32(&[0, 1]);
    sys!(code, SYS_io_uring_register, 77, 2, fds, 2);
    sys!(code, SYS_io_uring_register, 77, 99, 0, 0);
}

fn asynchronous(code: &mut Code) {
    let (context, fd) = (code.space(8), file(code));
    sys!(code, SYS_io_setup, 4, context);
    let at = super::Arg::At(context);
    let bytes = code.bytes(b"bytes");
    let mut block = [0; 64];
    block[16] = 1;
    block[20] = 77;
    block[24..32].copy_from_slice(&bytes.to_le_bytes());
    block[32] = 5;
    let block = code.bytes(&block);
    let list = code.words(&[block]);
    sys!(code, SYS_io_submit, at, 1, list);
    sys!(code, SYS_io_submit, at, 0, list);
    let (room, time) = (code.space(128), code.words(&[0, 0]));
    sys!(code, SYS_io_getevents, at, 0, 2, room, time);
    code.call(333, &[at, 0.into(), 2.into(), room.into(), time.into(), 0.into()]); // io_pgetevents
    sys!(code, SYS_io_cancel, at, block, room);
    sys!(code, SYS_io_destroy, at);
    sys!(code, SYS_io_setup, 0, 0);
    sys!(code, SYS_close, fd);
}

fn message_queues(code: &mut Code) {
    let name = code.text("queue-of-a-test");
    let attr = code.words(&[0, 2, 64, 0, 0, 0, 0, 0]);
    let fd = sys!(code, SYS_mq_open, name, libc::O_RDWR | libc::O_CREAT | libc::O_NONBLOCK, 0o600, attr);
    sys!(code, SYS_mq_unlink, name);
    let (bytes, room, time, priority) =
        (code.bytes(b"message"), code.space(64), code.words(&[1, 0]), code.space(8));
    sys!(code, SYS_mq_timedsend, fd, bytes, 7, 3, time);
    sys!(code, SYS_mq_timedreceive, fd, room, 64, priority, time);
    sys!(code, SYS_mq_timedreceive, fd, room, 64, priority, 0);
    let old = code.space(64);
    sys!(code, SYS_mq_getsetattr, fd, 0, old);
    sys!(code, SYS_mq_getsetattr, fd, attr, old);
    let event = code.words(&[5, libc::SIGUSR1 as u64, 0]);
    sys!(code, SYS_mq_notify, fd, event);
    sys!(code, SYS_mq_notify, fd, 0);
    let missing = code.text("no-queue-of-a-test");
    sys!(code, SYS_mq_open, missing, libc::O_RDONLY);
}
