//! Families of calls on sockets, and of those that wait for them.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[
    wide("sockets", sockets),
    wide("local_sockets", local_sockets),
    wide("options", options),
    wide("messages", messages),
    wide("poll", poll),
    wide("select", select),
    wide("epoll", epoll),
];

fn sockets(code: &mut Code) {
    let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    let fd = sys!(code, SYS_socket, libc::AF_INET, stream, libc::IPPROTO_TCP);
    let (room, length) = (code.space(128), code.words(&[128]));
    let address = code.bytes(&[2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let closed = code.bytes(&[2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    sys!(code, SYS_bind, fd, address, 16);
    sys!(code, SYS_listen, fd, 5);
    sys!(code, SYS_connect, fd, closed, 16);
    sys!(code, SYS_getpeername, fd, room, length);
    let mut six = [0; 28];
    (six[0], six[23]) = (10, 1);
    let six = code.bytes(&six);
    let fd = sys!(code, SYS_socket, libc::AF_INET6, libc::SOCK_DGRAM, 0);
    sys!(code, SYS_bind, fd, six, 28);
    sys!(code, SYS_sendto, fd, address, 4, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT, six, 2);
    sys!(code, SYS_recvfrom, fd, room, 64, libc::MSG_DONTWAIT, room, length);
    let netlink = code.words32(&[16, 0, 1]);
    let fd = sys!(code, SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0);
    sys!(code, SYS_bind, fd, netlink, 12);
    sys!(code, SYS_socket, 999, 77, 0);
    sys!(code, SYS_shutdown, fd, libc::SHUT_RDWR);
    sys!(code, SYS_accept4, 77, room, length, libc::SOCK_NONBLOCK);
}

fn local_sockets(code: &mut Code) {
    let mut address = [0; 110];
    address[..7].copy_from_slice(b"\x01\0local");
    let (address, hidden) = (code.bytes(&address), code.bytes(b"\x01\0\0hidden"));
    let (room, length, pair) = (code.space(128), code.words(&[128]), code.space(8));
    let fd = sys!(code, SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0);
    sys!(code, SYS_bind, fd, address, 110);
    sys!(code, SYS_listen, fd, 1);
    let client = sys!(code, SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0);
    sys!(code, SYS_connect, client, hidden, 9);
    sys!(code, SYS_connect, client, address, 110);
    sys!(code, SYS_accept, fd, room, length);
    let length = code.words(&[128]);
    sys!(code, SYS_getsockname, fd, room, length);
    let length = code.words(&[128]);
    sys!(code, SYS_getpeername, client, room, length);
    sys!(code, SYS_socketpair, libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair);
    sys!(code, SYS_sendto, 6, address, 7, 0, 0, 0);
    let length = code.words(&[128]);
    sys!(code, SYS_recvfrom, 7, room, 64, 0, room + 64, length);
    sys!(code, SYS_recvfrom, 7, room, 64, libc::MSG_DONTWAIT, 0, 0);
}

fn options(code: &mut Code) {
    let fd = sys!(code, SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0);
    let (on, room, time) = (code.words(&[1]), code.space(64), code.words(&[1, 500]));
    let linger = code.words32(&[1, 5]);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, on, 4);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_LINGER, linger, 8);
    sys!(code, SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, time, 16);
    sys!(code, SYS_setsockopt, fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, on, 4);
    sys!(code, SYS_setsockopt, fd, libc::IPPROTO_IP, libc::IP_TOS, on, 4);
    sys!(code, SYS_setsockopt, fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, on, 4);
    for (level, option) in [
        (libc::SOL_SOCKET, libc::SO_ERROR),
        (libc::SOL_SOCKET, libc::SO_TYPE),
        (libc::SOL_SOCKET, libc::SO_SNDBUF),
        (libc::SOL_SOCKET, libc::SO_LINGER),
        (libc::SOL_SOCKET, libc::SO_PEERCRED),
        (libc::IPPROTO_TCP, libc::TCP_CONGESTION),
        (libc::IPPROTO_TCP, 9999),
    ] {
        let length = code.words(&[16]);
        sys!(code, SYS_getsockopt, fd, level, option, room, length);
    }
}

fn messages(code: &mut Code) {
    let (pair, text, room) = (code.space(8), code.bytes(b"message"), code.space(64));
    let control = code.words32(&[20, 0, 1, 1, 0, 0]);
    let (control_room, parts) = (code.space(64), code.words(&[text, 7]));
    let into = code.words(&[room, 64]);
    sys!(code, SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair);
    let out = code.words(&[0, 0, parts, 1, control, 24, 0]);
    let back = code.words(&[0, 0, into, 1, control_room, 64, 0]);
    sys!(code, SYS_sendmsg, 3, out, libc::MSG_NOSIGNAL);
    sys!(code, SYS_recvmsg, 4, back, libc::MSG_CMSG_CLOEXEC);
    let back = code.words(&[0, 0, into, 1, 0, 0, 0]);
    sys!(code, SYS_recvmsg, 4, back, libc::MSG_DONTWAIT);
    let plain = [0, 0, parts, 1, 0, 0, 0, 0];
    let two = code.words(&[plain, plain].concat());
    sys!(code, SYS_sendmmsg, 3, two, 2, 0);
}

fn poll(code: &mut Code) {
    let (pair, time) = (code.space(8), code.words(&[0, 1000]));
    sys!(code, SYS_pipe, pair);
    let fds = code.words32(&[3, 1, 4, 4, 77, 1]);
    sys!(code, SYS_poll, fds, 3, 0);
    let one = code.words32(&[3, 1 | 2]);
    sys!(code, SYS_poll, one, 1, 0);
    sys!(code, SYS_poll, 0, 0, 1);
    sys!(code, SYS_poll, 0x10, 1, 1);
    let set = code.words(&[1 << 9]);
    sys!(code, SYS_ppoll, fds, 3, time, set, 8);
    sys!(code, SYS_ppoll, one, 1, time, 0, 8);
}

fn select(code: &mut Code) {
    let pair = code.space(8);
    sys!(code, SYS_pipe, pair);
    let (read, write) = (code.words(&[1 << 3, 0]), code.words(&[1 << 4, 0]));
    let time = code.words(&[0, 500]);
    sys!(code, SYS_select, 5, read, write, 0, time);
    let read = code.words(&[1 << 3, 0]);
    sys!(code, SYS_select, 5, read, 0, 0, time);
    let (read, write) = (code.words(&[1 << 3, 0]), code.words(&[1 << 4, 0]));
    let pair = code.words(&[0, 8]);
    sys!(code, SYS_pselect6, 5, read, write, 0, time, pair);
    sys!(code, SYS_select, 0, 0, 0, 0, time);
}

fn epoll(code: &mut Code) {
    let (pair, room) = (code.space(8), code.space(64));
    sys!(code, SYS_pipe, pair);
    let fd = sys!(code, SYS_epoll_create1, libc::EPOLL_CLOEXEC);
    let event = code.words32(&[(libc::EPOLLOUT | libc::EPOLLET) as u32, 7, 1]);
    sys!(code, SYS_epoll_ctl, fd, libc::EPOLL_CTL_ADD, 4, event);
    sys!(code, SYS_epoll_wait, fd, room, 4, 0);
    sys!(code, SYS_epoll_wait, fd, room, 4, 0);
    sys!(code, SYS_epoll_ctl, fd, libc::EPOLL_CTL_MOD, 4, event);
    sys!(code, SYS_epoll_pwait, fd, room, 4, 0, 0, 8);
    sys!(code, SYS_epoll_ctl, fd, libc::EPOLL_CTL_DEL, 4, 0);
    sys!(code, SYS_epoll_ctl, 77, 9, 4, event);
    sys!(code, SYS_epoll_create, 1);
}
