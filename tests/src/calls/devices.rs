//! Families of calls on descriptors that are more than files: terminals, locks, events, mounts, devices.

use super::files::file;
use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[
    wide("open_how", open_how),
    wide("lock_commands", lock_commands),
    wide("event_descriptors", event_descriptors),
    wide("terminals", terminals),
    wide("network_ioctls", network_ioctls),
    wide("file_ioctls", file_ioctls),
    wide("handles", handles),
    wide("quotas", quotas),
    wide("new_mounts", new_mounts),
];

const AT_FDCWD: i32 = libc::AT_FDCWD;

fn open_how(code: &mut Code) {
    let path = code.text("/etc/passwd");
    for (flags, mode, resolve) in [
        (libc::O_RDONLY | libc::O_CLOEXEC, 0, 0),
        (libc::O_PATH | libc::O_NOFOLLOW, 0, 0x08),
        (libc::O_RDWR | libc::O_CREAT, 0o600, 0x04 | 0x10),
        (libc::O_RDONLY, 0, 0x3f),
        (libc::O_TMPFILE | libc::O_RDWR, 0o7777, 0x100),
    ] {
        let how = code.words(&[flags as u64, mode, resolve]);
        sys!(code, SYS_openat2, AT_FDCWD, path, how, 24);
    }
    let how = code.words(&[0, 0, 0, 5]);
    sys!(code, SYS_openat2, AT_FDCWD, path, how, 32);
    sys!(code, SYS_openat2, AT_FDCWD, path, how, 8);
    sys!(code, SYS_openat2, AT_FDCWD, path, 0, 24);
    for flags in [
        libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK,
        libc::O_RDWR | libc::O_SYNC | libc::O_DIRECT,
        libc::O_RDONLY | libc::O_DSYNC | libc::O_NOATIME,
        libc::O_RDONLY | libc::O_DIRECTORY | libc::O_ASYNC,
        3 | libc::O_NOCTTY | libc::O_EXCL,
        libc::O_TMPFILE | libc::O_WRONLY,
    ] {
        sys!(code, SYS_openat, AT_FDCWD, path, flags, 0o640);
    }
    sys!(code, SYS_close_range, 10, 20, 4);
    sys!(code, SYS_close_range, 10, 0xffff_ffffu32, 2);
    sys!(code, SYS_close_range, 20, 10, 0);
}

fn lock_commands(code: &mut Code) {
    let fd = file(code);
    // type, whence; start; length; pid
    let mut lock = [0; 32];
    lock[16] = 10;
    for (kind, whence) in [(0, 0), (1, 1), (2, 2), (9, 9)] {
        (lock[0], lock[2]) = (kind, whence);
        for command in [libc::F_SETLK, libc::F_GETLK, libc::F_OFD_SETLK, libc::F_OFD_GETLK] {
            let at = code.bytes(&lock);
            sys!(code, SYS_fcntl, fd, command, at);
        }
    }
    sys!(code, SYS_fcntl, fd, libc::F_SETLKW, 0);
    sys!(code, SYS_fcntl, fd, 1026, 0x8000_0001u32);
    sys!(code, SYS_fcntl, fd, libc::F_SETFL, libc::O_APPEND | libc::O_NONBLOCK);
    sys!(code, SYS_fcntl, fd, libc::F_GETFL);
    sys!(code, SYS_fcntl, fd, libc::F_SETLEASE, libc::F_RDLCK);
    sys!(code, SYS_fcntl, fd, libc::F_GETLEASE);
    sys!(code, SYS_fcntl, fd, libc::F_SETOWN, -1);
    sys!(code, SYS_fcntl, fd, libc::F_GETOWN);
    let owner = code.words32(&[1, 1]);
    sys!(code, SYS_fcntl, fd, 15, owner);
    sys!(code, SYS_fcntl, fd, 16, owner);
    sys!(code, SYS_fcntl, fd, 10, libc::SIGUSR1);
    sys!(code, SYS_fcntl, fd, 11);
    sys!(code, SYS_fcntl, fd, libc::F_GETPIPE_SZ);
    sys!(code, SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 10);
    sys!(code, SYS_fcntl, 77, libc::F_GETFD);
    sys!(code, SYS_fcntl, fd, 999, 5);
    sys!(code, SYS_flock, fd, libc::LOCK_EX | libc::LOCK_NB);
    sys!(code, SYS_flock, fd, libc::LOCK_UN);
    sys!(code, SYS_flock, fd, 99);
}

fn event_descriptors(code: &mut Code) {
    let (room, value) = (code.space(256), code.words(&[5]));
    let event = sys!(code, SYS_eventfd2, 3, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE);
    sys!(code, SYS_write, event, value, 8);
    sys!(code, SYS_read, event, room, 8);
    sys!(code, SYS_eventfd, 0xffff_ffffu32);
    let timer = sys!(code, SYS_timerfd_create, libc::CLOCK_BOOTTIME, libc::TFD_NONBLOCK);
    let spec = code.words(&[0, 5_000_000, 100, 0]);
    sys!(code, SYS_timerfd_settime, timer, 3, spec, room);
    sys!(code, SYS_timerfd_settime, timer, 0, spec, 0);
    let mask = code.words(&[1 << 9 | 1 << 13 | 1 << 33]);
    let signal = sys!(code, SYS_signalfd4, -1, mask, 8, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
    sys!(code, SYS_signalfd, -1, mask, 8);
    sys!(code, SYS_read, signal, room, 128);
    let watch = sys!(code, SYS_inotify_init1, libc::IN_NONBLOCK);
    let path = code.text(".");
    sys!(code, SYS_inotify_add_watch, watch, path, libc::IN_ALL_EVENTS | libc::IN_ONLYDIR);
    sys!(code, SYS_inotify_add_watch, watch, path, libc::IN_CREATE | libc::IN_MASK_ADD | 0x10000);
    sys!(code, SYS_inotify_rm_watch, watch, 99);
    let poll = sys!(code, SYS_epoll_create1, libc::EPOLL_CLOEXEC);
    let wanted = code.bytes(&[0x1f, 0, 0, 0xe0, 4, 0, 0, 0, 0, 0, 0, 0]);
    sys!(code, SYS_epoll_ctl, poll, libc::EPOLL_CTL_ADD, event, wanted);
    sys!(code, SYS_epoll_ctl, poll, libc::EPOLL_CTL_MOD, event, wanted);
    sys!(code, SYS_epoll_ctl, poll, libc::EPOLL_CTL_DEL, event, 0);
    sys!(code, SYS_epoll_ctl, poll, 9, event, 0x10);
    sys!(code, SYS_write, event, value, 8);
    let wanted = code.bytes(&[1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    sys!(code, SYS_epoll_ctl, poll, libc::EPOLL_CTL_ADD, event, wanted);
    sys!(code, SYS_epoll_wait, poll, room, 4, 0);
    let mask = code.words(&[0]);
    sys!(code, SYS_epoll_pwait, poll, room, 4, 0, mask, 8);
    let time = code.words(&[0, 0]);
    sys!(code, SYS_epoll_pwait2, poll, room, 4, time, mask, 8);
    sys!(code, SYS_epoll_wait, poll, room, -1, 0);
    let memory = code.text("a name");
    sys!(code, SYS_memfd_create, memory, libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
    sys!(code, SYS_memfd_create, memory, libc::MFD_HUGETLB | 21 << 26);
    sys!(code, SYS_memfd_create, 0x10, 0x100);
    sys!(code, SYS_memfd_secret, 0);
    let pid = sys!(code, SYS_getpid);
    let pidfd = sys!(code, SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK);
    sys!(code, SYS_pidfd_send_signal, pidfd, 0, 0, 0);
    sys!(code, SYS_pidfd_getfd, pidfd, 0, 0);
    sys!(code, SYS_pidfd_open, -1, 0);
}

fn terminals(code: &mut Code) {
    let (multiplexer, room) = (code.text("/dev/ptmx"), code.space(128));
    let fd = sys!(code, SYS_openat, AT_FDCWD, multiplexer, libc::O_RDWR | libc::O_NOCTTY);
    sys!(code, SYS_ioctl, fd, libc::TIOCGPTN, room);
    sys!(code, SYS_ioctl, fd, libc::TCGETS, room);
    sys!(code, SYS_ioctl, fd, libc::TCSETS, room);
    sys!(code, SYS_ioctl, fd, libc::TCSETSW, room);
    sys!(code, SYS_ioctl, fd, libc::TCSETSF, room);
    let size = code.bytes(&[24, 0, 80, 0, 0, 0, 0, 0]);
    sys!(code, SYS_ioctl, fd, libc::TIOCSWINSZ, size);
    sys!(code, SYS_ioctl, fd, libc::TIOCGWINSZ, room);
    let unlocked = code.words(&[0]);
    sys!(code, SYS_ioctl, fd, libc::TIOCSPTLCK, unlocked);
    sys!(code, SYS_ioctl, fd, libc::TIOCGPGRP, room);
    let group = code.words(&[1]);
    sys!(code, SYS_ioctl, fd, libc::TIOCSPGRP, group);
    sys!(code, SYS_ioctl, fd, libc::TIOCGSID, room);
    sys!(code, SYS_ioctl, fd, libc::FIONREAD, room);
    sys!(code, SYS_ioctl, fd, libc::TIOCOUTQ, room);
    sys!(code, SYS_ioctl, fd, libc::TIOCSCTTY, 0);
    sys!(code, SYS_ioctl, fd, libc::TIOCNOTTY, 0);
    sys!(code, SYS_ioctl, fd, libc::TCFLSH, 2);
    sys!(code, SYS_ioctl, fd, libc::TCSBRK, 1);
    sys!(code, SYS_ioctl, fd, libc::TCXONC, 1);
    sys!(code, SYS_ioctl, fd, libc::TIOCGETD, room);
    sys!(code, SYS_ioctl, fd, libc::TIOCMGET, room);
    sys!(code, SYS_ioctl, fd, libc::TIOCEXCL, 0);
    sys!(code, SYS_ioctl, fd, libc::TIOCGPTPEER, libc::O_RDWR);
    sys!(code, SYS_ioctl, fd, libc::TIOCGPTLCK, room);
    let on = code.words(&[1]);
    sys!(code, SYS_ioctl, fd, libc::TIOCPKT, on);
    sys!(code, SYS_ioctl, fd, libc::TIOCGSERIAL, room);
    sys!(code, SYS_ioctl, fd, libc::FIONBIO, on);
    sys!(code, SYS_ioctl, fd, libc::FIOASYNC, on);
    sys!(code, SYS_ioctl, 77, libc::TCGETS, room);
}

fn network_ioctls(code: &mut Code) {
    let fd = sys!(code, SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0);
    for number in [0x8910, 0x8913, 0x8915, 0x8919, 0x891b, 0x891d, 0x8921, 0x8927, 0x8933, 0x8942, 0x8970] {
        let mut request = [0; 40];
        request[..2].copy_from_slice(b"lo");
        request[16] = 1;
        let request = code.bytes(&request);
        sys!(code, SYS_ioctl, fd, number, request);
    }
    let room = code.space(400);
    let list = code.words(&[400, room]);
    sys!(code, SYS_ioctl, fd, 0x8912, list);
    sys!(code, SYS_ioctl, fd, libc::FIONREAD, room);
    sys!(code, SYS_ioctl, fd, 0x8905, room);
    sys!(code, SYS_ioctl, fd, 0x8906, room);
}

fn file_ioctls(code: &mut Code) {
    let (fd, room) = (file(code), code.space(256));
    let one = code.words(&[1]);
    for number in [
        0x5421u64,
        0x5450,
        0x5451,
        0x5452,
        0x5460,
        0x8008_6601,
        0x4008_6602,
        0x801c_581f,
        0x4004_9409,
        0x4020_940d,
        0x1268,
        0x1272,
        0x8004_127e_u64,
        0x125d,
        0xc0c0_4a01,
        0x8004_5430,
        0xb703,
        0xb701,
        0x1234_5678,
    ] {
        sys!(code, SYS_ioctl, fd, number, if number == 0x5421 { one } else { room });
    }
    sys!(code, SYS_fallocate, fd, 1 | 2, 0, 4096);
    sys!(code, SYS_fallocate, fd, 0x10, 0, 100);
    sys!(code, SYS_fadvise64, fd, 0, 100, 4);
    sys!(code, SYS_fadvise64, fd, 0, 100, 99);
    sys!(code, SYS_sync_file_range, fd, 0, 10, 7);
    sys!(code, SYS_lseek, fd, 0, libc::SEEK_DATA);
    sys!(code, SYS_lseek, fd, -1, 99);
    sys!(code, SYS_syncfs, fd);
    let path = code.text("file");
    sys!(code, SYS_renameat2, AT_FDCWD, path, AT_FDCWD, path, libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE);
    sys!(code, SYS_statx, fd, path + 4, libc::AT_EMPTY_PATH, libc::STATX_SIZE | libc::STATX_BTIME, room);
    sys!(code, SYS_mknodat, AT_FDCWD, path, libc::S_IFCHR | 0o600, 0x0103);
    sys!(code, SYS_mknodat, AT_FDCWD, path, libc::S_IFIFO | 0o666, 0);
    sys!(code, SYS_linkat, fd, path + 4, AT_FDCWD, path, libc::AT_EMPTY_PATH | libc::AT_SYMLINK_FOLLOW);
    sys!(code, SYS_unlinkat, AT_FDCWD, path, libc::AT_REMOVEDIR);
    sys!(code, SYS_fanotify_init, 0x10 | 1 | 2, libc::O_RDONLY | libc::O_LARGEFILE);
    sys!(code, SYS_fanotify_mark, 77, 1 | 0x10, 0x4000_0001 | 0x20, AT_FDCWD, path);
    sys!(code, SYS_futimesat, AT_FDCWD, path, 0);
}

fn handles(code: &mut Code) {
    let path = code.text("/etc/passwd");
    let handle = code.words32(&[0, 0]);
    let mount = code.space(8);
    sys!(code, SYS_name_to_handle_at, AT_FDCWD, path, handle, mount, 0);
    let handle = code.words32(&[128, 0]);
    code.space(128);
    sys!(code, SYS_name_to_handle_at, AT_FDCWD, path, handle, mount, libc::AT_SYMLINK_FOLLOW);
    let handle = code.words32(&[8, 1, 5, 6]);
    sys!(code, SYS_open_by_handle_at, 77, handle, libc::O_RDONLY);
    sys!(code, SYS_open_by_handle_at, AT_FDCWD, 0, libc::O_RDONLY);
}

fn quotas(code: &mut Code) {
    let (device, room) = (code.text("/dev/missing"), code.space(128));
    sys!(code, SYS_quotactl, 0x8000_0700u32, device, 0, room);
    sys!(code, SYS_quotactl, 0x8000_0100u32, 0, 0, 0);
    sys!(code, SYS_quotactl_fd, 77, 0x8000_0700u32, 5, room);
    sys!(code, SYS_acct, device);
    sys!(code, SYS_swapoff, device);
    sys!(code, SYS_sysfs, 3);
}

fn new_mounts(code: &mut Code) {
    let (kind, key, value, path) =
        (code.text("tmpfs"), code.text("size"), code.text("1m"), code.text("/nowhere"));
    sys!(code, SYS_fsopen, kind, 1);
    sys!(code, SYS_fsopen, kind, 9);
    sys!(code, SYS_fsconfig, 77, 0, key, 0, 0);
    sys!(code, SYS_fsconfig, 77, 1, key, value, 0);
    sys!(code, SYS_fsconfig, 77, 2, key, value, 2);
    sys!(code, SYS_fsconfig, 77, 3, key, path, AT_FDCWD);
    sys!(code, SYS_fsconfig, 77, 5, key, 0, 5);
    sys!(code, SYS_fsconfig, 77, 6, 0, 0, 0);
    sys!(code, SYS_fsconfig, 77, 9, 0, 0, 0);
    sys!(code, SYS_fsmount, 77, 1, 0xf);
    sys!(code, SYS_fspick, AT_FDCWD, path, 1 | 2);
    sys!(code, SYS_open_tree, AT_FDCWD, path, 1 | libc::O_CLOEXEC | 0x8000);
    sys!(code, SYS_move_mount, 77, path, AT_FDCWD, path, 4 | 0x40);
    let attr = code.words(&[1, 0x10_0000, 1 << 18, 77]);
    sys!(code, SYS_mount_setattr, AT_FDCWD, path, 0x8000, attr, 32);
    sys!(code, SYS_mount_setattr, AT_FDCWD, path, 0, 0, 0);
    sys!(code, SYS_mount, kind, path, kind, libc::MS_NOSUID | libc::MS_NODEV | libc::MS_RELATIME, value);
    sys!(code, SYS_mount, 0, path, 0, libc::MS_REC | libc::MS_PRIVATE, 0);
    sys!(code, SYS_mount, 0, path, 0, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, 0);
    sys!(code, SYS_umount2, path, libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW);
    sys!(code, SYS_pivot_root, path, path);
    sys!(code, SYS_setns, 77, libc::CLONE_NEWNS | libc::CLONE_NEWUSER);
    sys!(code, SYS_unshare, 0x20);
}
