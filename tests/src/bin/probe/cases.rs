//! The list: one call each, with arguments that name files of a small tree.
//!
//! Before each case the tree is new: `f` a file, `d` a directory with `g`, `l` a link to `f`, `a` an absolute link to `d`,
//! `u` a link to `d/..`, `loop` a link to itself; it is the current directory.

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(crate) enum A {
    /// A number.
    N(i64),
    /// The absolute path of a name of the tree.
    P(&'static str),
    /// This very text.
    T(&'static str),
    /// The current directory.
    Cwd,
    /// A descriptor of a directory of the tree.
    Dir(&'static str),
    /// A descriptor of a file of the tree.
    File(&'static str),
    /// Room of this many bytes.
    Out(usize),
    /// Words of 64 bits.
    Words(&'static [u64]),
    /// Words of 32 bits.
    Words32(&'static [u32]),
    /// An inotify descriptor.
    Inotify,
    /// A fanotify descriptor.
    Fanotify,
    /// A stream socket.
    Stream,
    /// A datagram socket.
    Datagram,
    /// A stream socket that listens at this name, and has a client.
    Listening(&'static str),
    /// A stream socket that is connected to one that listens at this name.
    Connected(&'static str),
    /// The address of a name of the tree; a datagram socket is bound there if it begins with `dg`, a stream socket listens
    /// there if it begins with `ls`.
    Address(&'static str),
    /// The length of that address.
    Length(&'static str),
    /// A message of one byte to a datagram socket at this name.
    Message(&'static str),
    /// Many of them, as sendmmsg takes them.
    Messages(&'static [&'static str]),
    /// Arguments of a call in 32-bit words, as socketcall takes them.
    Arguments(&'static [A]),
}

/// What of the result is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Show {
    /// Zero or the errno.
    Status,
    /// That it is a descriptor, and what is in the file.
    Content,
    /// That it is a descriptor.
    Descriptor,
    /// The text in the argument with this index, as long as the result says or to its NUL.
    Text(usize),
    /// The path in the address in the argument with this index.
    Name(usize),
    /// The path in the address that the second word of the list in argument 1 points to.
    ListedName,
    /// Zero or the errno, and then what the tree looks like.
    Tree,
}

/// A case: the call's name, whether it is of 64-bit, 32-bit or both kinds of programs, arguments, what is shown.
pub(crate) type Case = (&'static str, Abis, &'static [A], Show);

/// On which ABIs a case makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abis {
    Both,
    Only64,
    Only32,
}

use A::{
    Address, Arguments, Connected, Cwd, Datagram, Dir, Fanotify, File, Inotify, Length, Listening, Message,
    Messages, N, Out, P, Stream, T, Words, Words32,
};
use Abis::{Both, Only32, Only64};
use Show::{Content, Descriptor, ListedName, Name, Status, Text, Tree};

const RDWR_CREAT: i64 = 0o102;
const EXCL: i64 = 0o200;
const TRUNC: i64 = 0o1000;
const DIRECTORY: i64 = 0o200_000;
const NOFOLLOW: i64 = 0o400_000;
const TMPFILE: i64 = 0o20_200_002;
const OPATH: i64 = 0o10_000_000;
const AT_NOFOLLOW: i64 = 0x100;
const AT_FOLLOW: i64 = 0x400;
const FIFO: i64 = 0o010_644;

/// RESOLVE_NO_XDEV to RESOLVE_CACHED.
const HOW: [u64; 3] = [0, 0, 0];
const NO_XDEV: [u64; 3] = [0, 0, 1];
const NO_MAGIC: [u64; 3] = [0, 0, 2];
const NO_LINKS: [u64; 3] = [0, 0, 4];
const BENEATH: [u64; 3] = [0, 0, 8];
const IN_ROOT: [u64; 3] = [0, 0, 16];

/// All of them.
pub(crate) const CASES: &[Case] = &[
    ("open", Both, &[P("f"), N(0)], Content),
    ("open", Both, &[P("l"), N(0)], Content),
    ("open", Both, &[P("l"), N(NOFOLLOW)], Status),
    ("open", Both, &[P("loop"), N(0)], Status),
    ("open", Both, &[P("a/g"), N(0)], Content),
    ("open", Both, &[P("u/f"), N(0)], Content),
    ("open", Both, &[P("d/../f"), N(0)], Content),
    ("open", Both, &[P("none/../f"), N(0)], Status),
    ("open", Both, &[P("f/../f"), N(0)], Status),
    ("open", Both, &[P("f/"), N(0)], Status),
    ("open", Both, &[P("./d//./g"), N(0)], Content),
    ("open", Both, &[T("f"), N(0)], Content),
    ("open", Both, &[T("../t/l"), N(0)], Content),
    ("open", Both, &[T(""), N(0)], Status),
    ("open", Both, &[N(0), N(0)], Status),
    ("open", Both, &[P("new"), N(RDWR_CREAT), N(0o600)], Tree),
    ("open", Both, &[P("f"), N(RDWR_CREAT | EXCL), N(0o600)], Status),
    ("open", Both, &[P("l"), N(RDWR_CREAT | EXCL), N(0o600)], Status),
    ("open", Both, &[P("f"), N(RDWR_CREAT | TRUNC), N(0o600)], Tree),
    ("open", Both, &[P("d"), N(2)], Status),
    ("open", Both, &[P("d"), N(DIRECTORY)], Descriptor),
    ("open", Both, &[P("f"), N(DIRECTORY)], Status),
    ("open", Both, &[P("."), N(TMPFILE), N(0o600)], Descriptor),
    ("open", Both, &[P("f"), N(OPATH)], Descriptor),
    ("openat", Both, &[Dir("d"), T("g"), N(0)], Content),
    ("openat", Both, &[Dir("d"), T("../f"), N(0)], Content),
    ("openat", Both, &[Dir("d"), P("f"), N(0)], Content),
    ("openat", Both, &[File("f"), T("g"), N(0)], Status),
    ("openat", Both, &[N(999), T("g"), N(0)], Status),
    ("openat", Both, &[Cwd, T("d/g"), N(0)], Content),
    ("openat2", Both, &[Cwd, P("l"), Words(&HOW), N(24)], Content),
    ("openat2", Both, &[Cwd, P("f"), Words(&HOW), N(8)], Status),
    ("openat2", Both, &[Dir("."), T("d/g"), Words(&NO_XDEV), N(24)], Content),
    ("openat2", Both, &[Dir("."), T("/proc/self/cwd/f"), Words(&NO_MAGIC), N(24)], Status),
    ("openat2", Both, &[Dir("."), T("l"), Words(&NO_MAGIC), N(24)], Content),
    ("openat2", Both, &[Dir("."), T("l"), Words(&NO_LINKS), N(24)], Status),
    ("openat2", Both, &[Dir("."), T("d/g"), Words(&NO_LINKS), N(24)], Content),
    ("openat2", Both, &[Dir("d"), T("../f"), Words(&BENEATH), N(24)], Status),
    ("openat2", Both, &[Dir("."), T("d/../f"), Words(&BENEATH), N(24)], Content),
    ("openat2", Both, &[Dir("."), P("f"), Words(&BENEATH), N(24)], Status),
    ("openat2", Both, &[Dir("."), T("a/g"), Words(&BENEATH), N(24)], Status),
    ("openat2", Both, &[Dir("d"), T("../../g"), Words(&IN_ROOT), N(24)], Content),
    ("openat2", Both, &[Dir("d"), T("/g"), Words(&IN_ROOT), N(24)], Content),
    ("openat2", Both, &[Dir("."), T("a/g"), Words(&IN_ROOT), N(24)], Status),
    ("creat", Both, &[P("new"), N(0o640)], Tree),
    ("stat", Both, &[P("l"), Out(256)], Status),
    ("stat", Both, &[P("none"), Out(256)], Status),
    ("lstat", Both, &[P("loop"), Out(256)], Status),
    ("oldstat", Only32, &[P("f"), Out(256)], Status),
    ("oldlstat", Only32, &[P("loop"), Out(256)], Status),
    ("stat64", Only32, &[P("l"), Out(256)], Status),
    ("lstat64", Only32, &[P("loop"), Out(256)], Status),
    ("fstatat64", Only32, &[Cwd, P("loop"), Out(256), N(AT_NOFOLLOW)], Status),
    ("newfstatat", Only64, &[Cwd, P("loop"), Out(256), N(AT_NOFOLLOW)], Status),
    ("newfstatat", Only64, &[Cwd, P("loop"), Out(256), N(0)], Status),
    ("newfstatat", Only64, &[File("f"), T(""), Out(256), N(0x1000)], Status),
    ("newfstatat", Only64, &[Dir("d"), T("g/"), Out(256), N(0)], Status),
    ("statx", Both, &[Cwd, P("l"), N(0), N(0x7ff), Out(256)], Status),
    ("statx", Both, &[Cwd, P("loop"), N(AT_NOFOLLOW), N(0x7ff), Out(256)], Status),
    ("access", Both, &[P("f"), N(4)], Status),
    ("access", Both, &[P("f"), N(2)], Status),
    ("access", Both, &[P("f"), N(1)], Status),
    ("faccessat", Both, &[Dir("."), T("f"), N(4)], Status),
    ("faccessat2", Both, &[Cwd, P("loop"), N(0), N(AT_NOFOLLOW)], Status),
    ("chmod", Both, &[P("l"), N(0o604)], Tree),
    ("fchmodat", Both, &[Dir("."), T("f"), N(0o604)], Tree),
    ("fchmodat2", Both, &[Dir("."), T("l"), N(0o604), N(AT_NOFOLLOW)], Tree),
    ("fchmodat2", Both, &[Cwd, P("f"), N(0o604), N(0)], Tree),
    ("chown", Both, &[P("f"), N(-1), N(-1)], Status),
    ("chown32", Only32, &[P("f"), N(-1), N(-1)], Status),
    ("lchown", Both, &[P("loop"), N(-1), N(-1)], Status),
    ("lchown32", Only32, &[P("loop"), N(-1), N(-1)], Status),
    ("fchownat", Both, &[Cwd, P("loop"), N(-1), N(-1), N(AT_NOFOLLOW)], Status),
    ("utime", Both, &[P("f"), N(0)], Status),
    ("utimes", Both, &[P("f"), N(0)], Status),
    ("futimesat", Both, &[Cwd, P("f"), N(0)], Status),
    ("utimensat", Both, &[Cwd, P("loop"), N(0), N(AT_NOFOLLOW)], Status),
    ("utimensat", Both, &[File("f"), N(0), N(0), N(0)], Status),
    ("utimensat_time64", Only32, &[Cwd, P("f"), N(0), N(0)], Status),
    ("truncate", Both, &[P("f"), N(3)], Tree),
    ("truncate64", Only32, &[P("f"), N(3), N(0)], Tree),
    ("statfs", Both, &[P("f"), Out(256)], Status),
    ("statfs64", Only32, &[P("f"), N(84), Out(256)], Status),
    ("mkdir", Both, &[P("new"), N(0o700)], Tree),
    ("mkdir", Both, &[P("new/"), N(0o700)], Tree),
    ("mkdir", Both, &[P("d/."), N(0o700)], Status),
    ("mkdir", Both, &[P("none/new"), N(0o700)], Status),
    ("mkdirat", Both, &[Dir("d"), T("new"), N(0o700)], Tree),
    ("mknod", Both, &[P("new"), N(FIFO), N(0)], Tree),
    ("mknodat", Both, &[Dir("d"), T("new"), N(FIFO), N(0)], Tree),
    ("rmdir", Both, &[P("e")], Tree),
    ("rmdir", Both, &[P("d")], Status),
    ("rmdir", Both, &[P("e/.")], Tree),
    ("unlink", Both, &[P("l")], Tree),
    ("unlink", Both, &[P("d")], Status),
    ("unlinkat", Both, &[Cwd, P("e"), N(0x200)], Tree),
    ("unlinkat", Both, &[Dir("d"), T("g"), N(0)], Tree),
    ("rename", Both, &[P("f"), P("d/h")], Tree),
    ("rename", Both, &[P("l"), P("f")], Tree),
    ("renameat", Both, &[Dir("d"), T("g"), Cwd, P("h")], Tree),
    ("renameat2", Both, &[Cwd, P("f"), Dir("d"), T("g"), N(1)], Status),
    ("renameat2", Both, &[Cwd, P("f"), Dir("d"), T("g"), N(2)], Tree),
    ("link", Both, &[P("f"), P("h")], Tree),
    ("linkat", Both, &[Cwd, P("l"), Dir("d"), T("h"), N(AT_FOLLOW)], Tree),
    ("symlink", Both, &[T("f"), P("s")], Tree),
    ("symlinkat", Both, &[T("/nowhere"), Dir("d"), T("s")], Tree),
    ("readlink", Both, &[P("l"), Out(256), N(256)], Text(1)),
    ("readlink", Both, &[P("a"), Out(256), N(256)], Text(1)),
    ("readlink", Both, &[P("f"), Out(256), N(256)], Text(1)),
    ("readlink", Both, &[T("/proc/self/cwd"), Out(256), N(256)], Text(1)),
    ("readlink", Both, &[T("/proc/self/root"), Out(256), N(256)], Text(1)),
    ("readlink", Both, &[T("/proc/thread-self/cwd"), Out(256), N(3)], Text(1)),
    ("readlinkat", Both, &[Dir("."), T("l"), Out(256), N(256)], Text(2)),
    ("open", Both, &[T("/proc/self/cwd/d/g"), N(0)], Content),
    ("open", Both, &[T("/proc/self/root/etc/passwd"), N(OPATH)], Descriptor),
    ("getcwd", Both, &[Out(256), N(256)], Text(0)),
    ("getcwd", Both, &[Out(256), N(3)], Text(0)),
    ("chdir", Both, &[P("a")], Tree),
    ("chdir", Both, &[P("f")], Status),
    ("chdir", Both, &[T("..")], Tree),
    ("fchdir", Both, &[Dir("d")], Tree),
    ("setxattr", Both, &[P("f"), T("user.t"), T("v"), N(1), N(0)], Status),
    ("lsetxattr", Both, &[P("f"), T("user.t"), T("v"), N(1), N(0)], Status),
    ("getxattr", Both, &[P("f"), T("user.x"), Out(64), N(64)], Text(2)),
    ("lgetxattr", Both, &[P("l"), T("user.x"), Out(64), N(64)], Text(2)),
    ("listxattr", Both, &[P("f"), Out(64), N(64)], Text(1)),
    ("llistxattr", Both, &[P("l"), Out(64), N(64)], Text(1)),
    ("removexattr", Both, &[P("f"), T("user.x")], Status),
    ("lremovexattr", Both, &[P("f"), T("user.x")], Status),
    ("setxattrat", Both, &[Cwd, P("f"), N(0), T("user.t"), Words(&[0, 0]), N(16)], Status),
    ("getxattrat", Both, &[Cwd, P("f"), N(0), T("user.x"), Words(&[0, 0]), N(16)], Status),
    ("listxattrat", Both, &[Cwd, P("f"), N(0), Out(64), N(64)], Text(3)),
    ("removexattrat", Both, &[Cwd, P("f"), N(0), T("user.x")], Status),
    ("file_getattr", Both, &[Cwd, P("f"), Out(64), N(24), N(0)], Status),
    ("file_setattr", Both, &[Cwd, P("f"), Words(&[0, 0, 0]), N(24), N(0)], Status),
    (
        "name_to_handle_at",
        Both,
        &[
            Cwd,
            P("f"),
            Words32(&[
                128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 0, 0,
            ]),
            Out(8),
            N(0),
        ],
        Status,
    ),
    ("inotify_add_watch", Both, &[Inotify, P("d"), N(0x100)], Status),
    ("inotify_add_watch", Both, &[Inotify, P("none"), N(0x100)], Status),
    ("fanotify_mark", Only64, &[Fanotify, N(1), N(2), Cwd, P("d")], Status),
    ("fanotify_mark", Only32, &[Fanotify, N(1), N(2), N(0), Cwd, P("d")], Status),
    ("open_tree", Both, &[Cwd, P("l"), N(0)], Descriptor),
    ("open_tree", Both, &[Dir("d"), T("none"), N(0)], Status),
    ("uselib", Both, &[P("f")], Status),
    ("bind", Both, &[Stream, Address("s"), Length("s")], Tree),
    ("bind", Both, &[Stream, Address("f"), Length("f")], Status),
    ("connect", Both, &[Stream, Address("ls"), Length("ls")], Status),
    ("connect", Both, &[Stream, Address("none"), Length("none")], Status),
    ("sendto", Both, &[Datagram, T("x"), N(1), N(0), Address("dg"), Length("dg")], Status),
    ("sendto", Both, &[Connected("ls"), T("x"), N(1), N(0), N(0), N(0)], Status),
    ("sendmsg", Both, &[Datagram, Message("dg"), N(0)], Status),
    ("sendmmsg", Both, &[Stream, N(0), N(0), N(0)], Status),
    ("sendmmsg", Both, &[Datagram, Messages(&["dg1", "dg2", "none", "dg3"]), N(4), N(0)], Status),
    ("sendmmsg", Both, &[Datagram, Messages(&["none", "dg1"]), N(2), N(0)], Status),
    ("sendmmsg", Both, &[Datagram, Messages(&["dg1", "loop"]), N(2), N(0)], Status),
    ("getsockname", Both, &[Listening("ls"), Out(110), Words32(&[110])], Name(1)),
    ("getpeername", Both, &[Connected("ls"), Out(110), Words32(&[110])], Name(1)),
    ("accept", Only64, &[Listening("ls"), Out(110), Words32(&[110])], Descriptor),
    ("accept4", Both, &[Listening("ls"), Out(110), Words32(&[110]), N(0)], Descriptor),
    ("socketcall", Only32, &[N(1), Words32(&[1, 1, 0])], Descriptor),
    ("socketcall", Only32, &[N(2), Arguments(&[Stream, Address("s"), Length("s")])], Tree),
    ("socketcall", Only32, &[N(2), Arguments(&[Stream, Address("f"), Length("f")])], Status),
    ("socketcall", Only32, &[N(3), Arguments(&[Stream, Address("ls"), Length("ls")])], Status),
    ("socketcall", Only32, &[N(3), Arguments(&[Stream, Address("none"), Length("none")])], Status),
    ("socketcall", Only32, &[N(5), Arguments(&[Listening("ls"), Out(110), Words32(&[110])])], Descriptor),
    ("socketcall", Only32, &[N(6), Arguments(&[Listening("ls"), Out(110), Words32(&[110])])], ListedName),
    ("socketcall", Only32, &[N(7), Arguments(&[Connected("ls"), Out(110), Words32(&[110])])], ListedName),
    (
        "socketcall",
        Only32,
        &[N(11), Arguments(&[Datagram, T("x"), N(1), N(0), Address("dg"), Length("dg")])],
        Status,
    ),
    ("socketcall", Only32, &[N(16), Arguments(&[Datagram, Message("dg"), N(0)])], Status),
    (
        "socketcall",
        Only32,
        &[N(18), Arguments(&[Listening("ls"), Out(110), Words32(&[110]), N(0)])],
        Descriptor,
    ),
    ("socketcall", Only32, &[N(20), Arguments(&[Datagram, Messages(&["dg1", "dg2"]), N(2), N(0)])], Status),
];
