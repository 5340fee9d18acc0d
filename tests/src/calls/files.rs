//! Families of calls on paths and descriptors.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[
    wide("open", open),
    wide("read_write", read_write),
    wide("vectors", vectors),
    wide("stat", stat),
    wide("statx", statx),
    wide("statfs", statfs),
    wide("fcntl", fcntl),
    wide("locks", locks),
    wide("folders", folders),
    wide("links", links),
    wide("owners", owners),
    wide("file_times", file_times),
    wide("access", access),
    wide("copying", copying),
    wide("attributes", attributes),
    wide("ioctl", ioctl),
    wide("pipes", pipes),
    wide("mounts", mounts),
    wide("watches", watches),
];

const AT_FDCWD: i32 = libc::AT_FDCWD;

pub(super) fn file(code: &mut Code) -> super::Arg {
    let path = code.text("file");
    sys!(code, SYS_openat, AT_FDCWD, path, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC, 0o640)
}

fn open(code: &mut Code) {
    let (path, missing) = (code.text("/etc/passwd"), code.text("missing\n\"\x01"));
    sys!(code, SYS_open, path, libc::O_RDONLY | libc::O_CLOEXEC, 0);
    sys!(code, SYS_openat, AT_FDCWD, missing, libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK, 0o7777);
    sys!(code, SYS_openat, 77, missing, libc::O_RDWR | libc::O_DSYNC | 0x4000_0000, 0);
    sys!(code, SYS_openat, AT_FDCWD, 0, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0);
    sys!(code, SYS_openat, AT_FDCWD, 0x10, libc::O_RDONLY, 0);
    file(code);
    let how = code.words(&[(libc::O_RDWR | libc::O_CREAT) as u64, 0o600, 8]);
    let other = code.text("other");
    sys!(code, SYS_openat2, AT_FDCWD, other, how, 24);
    sys!(code, SYS_creat, other, 0o755);
    sys!(code, SYS_close, 3);
    sys!(code, SYS_close, 77);
    sys!(code, SYS_close_range, 5, 6, libc::CLOSE_RANGE_CLOEXEC);
    sys!(code, SYS_memfd_create, path, libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
}

fn read_write(code: &mut Code) {
    let fd = file(code);
    let bytes = code.bytes(b"plain\ttext\n\0\x017\xff and more than thirty-two of them");
    let room = code.space(64);
    sys!(code, SYS_write, fd, bytes, 48);
    sys!(code, SYS_lseek, fd, 0, libc::SEEK_SET);
    sys!(code, SYS_read, fd, room, 12);
    sys!(code, SYS_read, fd, room, 64);
    sys!(code, SYS_read, fd, room, 64);
    sys!(code, SYS_read, 77, room, 64);
    sys!(code, SYS_pwrite64, fd, bytes, 3, 100);
    sys!(code, SYS_pread64, fd, room, 6, 98);
    sys!(code, SYS_lseek, fd, -1, libc::SEEK_END);
    sys!(code, SYS_lseek, fd, 0, 9);
    sys!(code, SYS_write, fd, 0x10, 5);
    sys!(code, SYS_ftruncate, fd, 5);
    sys!(code, SYS_fsync, fd);
    sys!(code, SYS_fdatasync, 77);
    sys!(code, SYS_fadvise64, fd, 0, 0, libc::POSIX_FADV_SEQUENTIAL);
    sys!(code, SYS_fallocate, fd, libc::FALLOC_FL_KEEP_SIZE, 0, 4096);
    sys!(code, SYS_sync_file_range, fd, 0, 0, 2);
    sys!(code, SYS_readahead, fd, 0, 10);
}

fn vectors(code: &mut Code) {
    let fd = file(code);
    let (one, two, room) = (code.bytes(b"one"), code.bytes(b"second"), code.space(32));
    let out = code.words(&[one, 3, two, 6]);
    let into = code.words(&[room, 4, room + 8, 20]);
    sys!(code, SYS_writev, fd, out, 2);
    sys!(code, SYS_lseek, fd, 0, libc::SEEK_SET);
    sys!(code, SYS_readv, fd, into, 2);
    sys!(code, SYS_readv, 77, into, 2);
    sys!(code, SYS_pwritev, fd, out, 2, 10, 0);
    sys!(code, SYS_preadv, fd, into, 2, 1, 0);
    sys!(code, SYS_writev, fd, 0, 0);
    sys!(code, SYS_pwritev2, fd, out, 1, 0, 0, 2);
    sys!(code, SYS_preadv2, fd, into, 1, 0, 0, 0);
}

fn stat(code: &mut Code) {
    let fd = file(code);
    let room = code.space(256);
    for path in ["/etc/passwd", "/dev/null", "/tmp", "missing", "/proc/self/exe"] {
        let path = code.text(path);
        sys!(code, SYS_stat, path, room);
        sys!(code, SYS_lstat, path, room);
        sys!(code, SYS_newfstatat, AT_FDCWD, path, room, libc::AT_SYMLINK_NOFOLLOW);
    }
    let empty = code.text("");
    sys!(code, SYS_fstat, fd, room);
    sys!(code, SYS_fstat, 77, room);
    sys!(code, SYS_newfstatat, fd, empty, room, libc::AT_EMPTY_PATH);
    sys!(code, SYS_stat, empty, 0x10);
}

fn statx(code: &mut Code) {
    let (room, path) = (code.space(256), code.text("/etc/passwd"));
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_STATX_DONT_SYNC;
    sys!(code, SYS_statx, AT_FDCWD, path, flags, libc::STATX_BASIC_STATS, room);
    sys!(code, SYS_statx, AT_FDCWD, path, 0, libc::STATX_MODE | libc::STATX_SIZE, room);
    sys!(code, SYS_statx, 77, path + 1, 0, libc::STATX_ALL, room);
}

fn statfs(code: &mut Code) {
    let (room, path, missing) = (code.space(128), code.text("/proc"), code.text("missing"));
    sys!(code, SYS_statfs, path, room);
    sys!(code, SYS_statfs, missing, room);
    sys!(code, SYS_fstatfs, 77, room);
    sys!(code, SYS_sync);
}

fn fcntl(code: &mut Code) {
    let fd = file(code);
    sys!(code, SYS_fcntl, fd, libc::F_GETFD, 0);
    sys!(code, SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC);
    sys!(code, SYS_fcntl, fd, libc::F_GETFD, 0);
    sys!(code, SYS_fcntl, fd, libc::F_GETFL, 0);
    sys!(code, SYS_fcntl, fd, libc::F_SETFL, libc::O_APPEND | libc::O_NONBLOCK);
    sys!(code, SYS_fcntl, fd, libc::F_GETFL, 0);
    sys!(code, SYS_fcntl, fd, libc::F_DUPFD, 10);
    sys!(code, SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 20);
    sys!(code, SYS_fcntl, fd, libc::F_GETOWN, 0);
    sys!(code, SYS_fcntl, fd, libc::F_GET_SEALS, 0);
    sys!(code, SYS_fcntl, 77, libc::F_GETFL, 0);
    sys!(code, SYS_fcntl, fd, 9999, 5);
    sys!(code, SYS_dup, fd);
    sys!(code, SYS_dup2, fd, 30);
    sys!(code, SYS_dup3, fd, 31, libc::O_CLOEXEC);
    sys!(code, SYS_umask, 0o22);
    sys!(code, SYS_umask, 0o77);
}

fn locks(code: &mut Code) {
    let fd = file(code);
    let lock = code.words(&[1, 5, 10, 0]);
    sys!(code, SYS_fcntl, fd, libc::F_GETLK, lock);
    let lock = code.words(&[1, 5, 10, 0]);
    sys!(code, SYS_fcntl, fd, libc::F_SETLK, lock);
    sys!(code, SYS_fcntl, fd, libc::F_SETLKW, lock);
    sys!(code, SYS_fcntl, fd, libc::F_OFD_SETLK, lock);
    sys!(code, SYS_fcntl, fd, libc::F_SETLK, 0);
    sys!(code, SYS_flock, fd, libc::LOCK_EX | libc::LOCK_NB);
    sys!(code, SYS_flock, fd, libc::LOCK_UN);
}

fn folders(code: &mut Code) {
    let (folder, room, gone) = (code.text("folder"), code.space(4096), code.text("gone"));
    sys!(code, SYS_mkdir, folder, 0o755);
    sys!(code, SYS_mkdir, folder, 0o1777);
    sys!(code, SYS_mkdirat, AT_FDCWD, gone, 0o700);
    let fd = sys!(code, SYS_openat, AT_FDCWD, folder, libc::O_DIRECTORY, 0);
    sys!(code, SYS_getdents64, fd, room, 4096);
    sys!(code, SYS_getdents64, fd, room, 4096);
    sys!(code, SYS_getdents64, 77, room, 4096);
    let again = sys!(code, SYS_openat, AT_FDCWD, folder, libc::O_DIRECTORY, 0);
    sys!(code, SYS_getdents, again, room, 4096);
    sys!(code, SYS_chdir, folder);
    sys!(code, SYS_getcwd, room, 4096);
    sys!(code, SYS_getcwd, room, 2);
    sys!(code, SYS_fchdir, 77);
    sys!(code, SYS_rmdir, gone);
    sys!(code, SYS_unlinkat, AT_FDCWD, gone, libc::AT_REMOVEDIR);
}

fn links(code: &mut Code) {
    file(code);
    let [file, link, other] = ["file", "link", "other"].map(|name| code.text(name));
    let room = code.space(64);
    sys!(code, SYS_symlink, file, link);
    sys!(code, SYS_symlinkat, file, AT_FDCWD, link);
    sys!(code, SYS_readlink, link, room, 64);
    sys!(code, SYS_readlink, file, room, 64);
    sys!(code, SYS_readlinkat, AT_FDCWD, link, room, 2);
    sys!(code, SYS_link, file, other);
    sys!(code, SYS_linkat, AT_FDCWD, file, AT_FDCWD, other, libc::AT_SYMLINK_FOLLOW);
    sys!(code, SYS_rename, other, file);
    sys!(code, SYS_renameat, AT_FDCWD, other, AT_FDCWD, file);
    sys!(code, SYS_renameat2, AT_FDCWD, other, AT_FDCWD, file, libc::RENAME_NOREPLACE);
    sys!(code, SYS_unlink, other);
    sys!(code, SYS_unlinkat, AT_FDCWD, link, 0);
    let fifo = code.text("fifo");
    sys!(code, SYS_mknod, fifo, libc::S_IFIFO | 0o644, 0);
    sys!(code, SYS_mknodat, AT_FDCWD, fifo, libc::S_IFCHR | 0o600, 0x103);
}

fn owners(code: &mut Code) {
    let fd = file(code);
    let path = code.text("file");
    sys!(code, SYS_chmod, path, 0o4755);
    sys!(code, SYS_fchmod, fd, 0o600);
    sys!(code, SYS_fchmodat, AT_FDCWD, path, 0);
    sys!(code, SYS_chown, path, -1, -1);
    sys!(code, SYS_lchown, path, -1, -1);
    sys!(code, SYS_fchown, fd, -1, -1);
    sys!(code, SYS_fchownat, AT_FDCWD, path, -1, -1, libc::AT_SYMLINK_NOFOLLOW);
    sys!(code, SYS_fchown, 77, 12, 34);
    sys!(code, SYS_truncate, path, 10);
}

fn file_times(code: &mut Code) {
    let fd = file(code);
    let path = code.text("file");
    let times = code.words(&[951_782_400, 5, 1_234_567_890, 0]);
    let special = code.words(&[0, libc::UTIME_NOW as u64, 0, libc::UTIME_OMIT as u64]);
    sys!(code, SYS_utimensat, AT_FDCWD, path, times, libc::AT_SYMLINK_NOFOLLOW);
    sys!(code, SYS_utimensat, fd, 0, special, 0);
    sys!(code, SYS_utimensat, AT_FDCWD, path, 0, 0);
    sys!(code, SYS_utimes, path, times);
    sys!(code, SYS_utime, path, times);
}

fn access(code: &mut Code) {
    let path = code.text("/etc/passwd");
    sys!(code, SYS_access, path, libc::F_OK);
    sys!(code, SYS_access, path, libc::R_OK | libc::W_OK | libc::X_OK);
    sys!(code, SYS_faccessat, AT_FDCWD, path, libc::R_OK);
    sys!(code, SYS_faccessat2, AT_FDCWD, path, libc::R_OK, libc::AT_EACCESS | libc::AT_SYMLINK_NOFOLLOW);
    sys!(code, SYS_faccessat2, 77, path + 1, 8, 0);
}

fn copying(code: &mut Code) {
    let fd = file(code);
    let (path, bytes, offset) = (code.text("copy"), code.bytes(b"some bytes"), code.words(&[2]));
    let to = sys!(code, SYS_openat, AT_FDCWD, path, libc::O_RDWR | libc::O_CREAT, 0o600);
    sys!(code, SYS_write, fd, bytes, 10);
    sys!(code, SYS_sendfile, to, fd, offset, 5);
    sys!(code, SYS_sendfile, to, fd, 0, 5);
    sys!(code, SYS_sendfile, 77, fd, offset, 5);
    let offset = code.words(&[1]);
    sys!(code, SYS_copy_file_range, fd, offset, to, 0, 4, 0);
    let pair = code.space(8);
    sys!(code, SYS_pipe2, pair, 0);
    sys!(code, SYS_splice, fd, offset, 6, 0, 4, 1);
    sys!(code, SYS_tee, 5, 6, 4, 2);
    let part = code.words(&[bytes, 3]);
    sys!(code, SYS_vmsplice, 6, part, 1, 0);
}

fn attributes(code: &mut Code) {
    let fd = file(code);
    let (path, name, value, room) =
        (code.text("file"), code.text("user.test"), code.bytes(b"val\0ue"), code.space(64));
    sys!(code, SYS_setxattr, path, name, value, 6, libc::XATTR_CREATE);
    sys!(code, SYS_fsetxattr, fd, name, value, 3, 0);
    sys!(code, SYS_getxattr, path, name, room, 64);
    sys!(code, SYS_getxattr, path, name, 0, 0);
    sys!(code, SYS_lgetxattr, path, name, room, 1);
    sys!(code, SYS_listxattr, path, room, 64);
    sys!(code, SYS_flistxattr, fd, room, 64);
    sys!(code, SYS_removexattr, path, name);
    sys!(code, SYS_fgetxattr, fd, name, room, 64);
}

fn ioctl(code: &mut Code) {
    let fd = file(code);
    let room = code.space(64);
    let on = code.words(&[1]);
    sys!(code, SYS_ioctl, fd, libc::TCGETS, room);
    sys!(code, SYS_ioctl, fd, libc::TIOCGWINSZ, room);
    sys!(code, SYS_ioctl, fd, libc::FIONREAD, room);
    sys!(code, SYS_ioctl, fd, libc::FIONBIO, on);
    sys!(code, SYS_ioctl, fd, libc::FIOCLEX, 0);
    sys!(code, SYS_ioctl, fd, 0xc0de_1234u32, room);
    sys!(code, SYS_ioctl, 77, libc::TIOCGPGRP, room);
    let path = code.text("/dev/ptmx");
    let terminal = sys!(code, SYS_openat, AT_FDCWD, path, libc::O_RDWR | libc::O_NOCTTY, 0);
    sys!(code, SYS_ioctl, terminal, libc::TCGETS, room);
    sys!(code, SYS_ioctl, terminal, libc::TCSETS, room);
    sys!(code, SYS_ioctl, terminal, libc::TIOCGWINSZ, room);
    sys!(code, SYS_ioctl, terminal, libc::TIOCSPTLCK, on);
}

fn pipes(code: &mut Code) {
    let pair = code.space(8);
    sys!(code, SYS_pipe, pair);
    sys!(code, SYS_pipe2, pair, libc::O_CLOEXEC | libc::O_NONBLOCK);
    sys!(code, SYS_pipe2, 0x10, 0);
    sys!(code, SYS_eventfd2, 5, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
    sys!(code, SYS_fcntl, 3, libc::F_GETPIPE_SZ, 0);
    sys!(code, SYS_fcntl, 3, libc::F_SETPIPE_SZ, 8192);
}

fn mounts(code: &mut Code) {
    let [none, place, kind, data] = ["none", "missing", "tmpfs", "size=1m"].map(|name| code.text(name));
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    sys!(code, SYS_mount, none, place, kind, flags, data);
    sys!(code, SYS_mount, none, place, 0, libc::MS_BIND | libc::MS_REC, 0);
    sys!(code, SYS_mount, 0, place, 0, libc::MS_REMOUNT | libc::MS_RDONLY, data);
    sys!(code, SYS_umount2, place, libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW);
    sys!(code, SYS_chroot, place);
    sys!(code, SYS_pivot_root, place, none);
}

fn watches(code: &mut Code) {
    let path = code.text("/tmp");
    let fd = sys!(code, SYS_inotify_init1, libc::IN_CLOEXEC | libc::IN_NONBLOCK);
    let mask = libc::IN_CREATE | libc::IN_DELETE | libc::IN_ONLYDIR;
    let watch = sys!(code, SYS_inotify_add_watch, fd, path, mask);
    sys!(code, SYS_inotify_rm_watch, fd, watch);
    sys!(code, SYS_inotify_init);
    sys!(code, SYS_fanotify_init, libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | 0x1000_0000, libc::O_RDONLY);
    let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_ONLYDIR;
    sys!(code, SYS_fanotify_mark, 77, flags, libc::FAN_OPEN | libc::FAN_ONDIR, AT_FDCWD, path);
}
