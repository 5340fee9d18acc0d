//! ioctl: commands by name, and the arguments of the common ones.

use super::{Args, decoders, interface, le16, le32, le64};
use crate::tables::flags as names;

decoders! { ioctl_cmd, ioctl_arg, }

// asm-generic/ioctls.h
const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCOUTQ: u32 = 0x5411;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const FIONREAD: u32 = 0x541b;
const FIONBIO: u32 = 0x5421;
const TIOCNOTTY: u32 = 0x5422;
const TIOCGSID: u32 = 0x5429;
const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIOASYNC: u32 = 0x5452;
const FICLONE: u32 = 0x4004_9409;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCEXCL: u32 = 0x540c;
const TIOCNXCL: u32 = 0x540d;
const TIOCPKT: u32 = 0x5420;
const TIOCGETD: u32 = 0x5424;
const TIOCSETD: u32 = 0x5423;
const TCSBRKP: u32 = 0x5425;
const TIOCSBRK: u32 = 0x5427;
const TIOCCBRK: u32 = 0x5428;
// linux/fs.h
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
const FICLONERANGE: u32 = 0x4020_940d;
const BLKROGET: u32 = 0x125e;
const BLKROSET: u32 = 0x125d;
// linux/nsfs.h
const NS_GET_USERNS: u32 = 0xb701;
const NS_GET_PARENT: u32 = 0xb702;
const NS_GET_NSTYPE: u32 = 0xb703;

/// By name; else by the parts that asm-generic/ioctl.h puts into one.
fn ioctl_cmd(args: &mut Args<'_>, command: u64) {
    let command = command as u32;
    // Drivers of different devices have chosen the same numbers.
    let mut known = false;
    for (_, name) in names::IOCTL.set().values.iter().filter(|(value, _)| *value == u64::from(command)) {
        args.text(if known { " or " } else { "" });
        args.text(name);
        known = true;
    }
    if known {
        return;
    }
    let (number, kind, size) = (command & 0xff, command >> 8 & 0xff, command >> 16 & 0x3fff);
    let direction = match command >> 30 {
        0 => "_IOC_NONE",
        1 => "_IOC_WRITE",
        2 => "_IOC_READ",
        _ => "_IOC_READ|_IOC_WRITE",
    };
    put!(args.out, "_IOC({direction}, {kind:#x}, {number:#x}, ");
    if size == 0 { args.text("0)") } else { put!(args.out, "{size:#x})") }
}

fn ioctl_arg(args: &mut Args<'_>, value: u64) {
    let command = args.words[1] as u32;
    let reads = matches!(
        command,
        TCSETS
            | TCSETSW
            | TCSETSF
            | TIOCSPGRP
            | TIOCSWINSZ
            | FIONBIO
            | FIOASYNC
            | TIOCSPTLCK
            | TIOCPKT
            | TIOCSETD
            | FS_IOC_SETFLAGS
            | FS_IOC_FSSETXATTR
            | FICLONERANGE
            | BLKROSET
    ) || interface::sets(command);
    match command {
        FIOCLEX | FIONCLEX | TIOCNOTTY | TIOCEXCL | TIOCNXCL | TIOCSBRK | TIOCCBRK | NS_GET_USERNS
        | NS_GET_PARENT | NS_GET_NSTYPE => {}
        TCFLSH => args.choice(&names::TERMINAL_FLUSH, value),
        TCXONC => args.choice(&names::TERMINAL_FLOW, value),
        TIOCSCTTY | FICLONE | TCSBRK | TCSBRKP => put!(args.out, "{}", value as i32),
        _ if !reads && args.result.is_none() => args.deferred = true,
        _ if interface::is_request(command) => interface::put_request(args, value, command),
        _ if interface::is_list(command) => interface::put_list(args, value),
        _ if args.failed() && !reads => {
            args.put_hex_or_null(value, names::IOCTL.name(command.into()).is_some())
        }
        TCGETS | TCSETS | TCSETSW | TCSETSF => termios(args, value),
        TIOCGWINSZ | TIOCSWINSZ => {
            let Some(size) = args.fetch::<8>(value) else { return };
            let [rows, columns, x, y] = [0, 2, 4, 6].map(|at| le16(&size, at));
            put!(args.out, "{{ws_row={rows}, ws_col={columns}, ws_xpixel={x}, ws_ypixel={y}}}");
        }
        TIOCGPGRP | TIOCSPGRP | TIOCGSID | TIOCOUTQ | FIONREAD | FIONBIO | FIOASYNC | TIOCGPTN
        | TIOCSPTLCK | TIOCPKT | TIOCGETD | TIOCSETD | BLKROGET | BLKROSET => {
            let Some(number) = args.fetch::<4>(value) else { return };
            put!(args.out, "[{}]", le32(&number, 0) as i32);
        }
        FS_IOC_GETFLAGS | FS_IOC_SETFLAGS => {
            let Some(flags) = args.fetch::<4>(value) else { return };
            args.text("[");
            args.flags(&names::INODE_FLAGS, le32(&flags, 0).into());
            args.text("]");
        }
        FS_IOC_FSGETXATTR | FS_IOC_FSSETXATTR => {
            let Some(attr) = args.fetch::<28>(value) else { return };
            args.text("{fsx_xflags=");
            args.flags(&names::XFLAGS, le32(&attr, 0).into());
            let [size, extents, project, copied] = [4, 8, 12, 16].map(|at| le32(&attr, at));
            put!(args.out, ", fsx_extsize={size}");
            if command == FS_IOC_FSGETXATTR {
                put!(args.out, ", fsx_nextents={extents}");
            }
            put!(args.out, ", fsx_projid={project}, fsx_cowextsize={copied}}}");
        }
        FICLONERANGE => {
            let Some(range) = args.fetch::<32>(value) else { return };
            let [from, length, to] = [8, 16, 24].map(|at| le64(&range, at));
            args.text("{src_fd=");
            args.put_fd(le64(&range, 0));
            put!(args.out, ", src_offset={from}, src_length={length}, dest_offset={to}}}");
        }
        _ => args.put_hex_or_null(value, false),
    }
}

impl Args<'_> {
    fn put_hex_or_null(&mut self, value: u64, pointer: bool) {
        if pointer { self.put_address(value) } else { self.put_hex(value) }
    }
}

/// struct termios of asm-generic/termbits.h: four words of flags, a line discipline, 19 characters.
fn termios(args: &mut Args<'_>, address: u64) {
    let Some(bytes) = args.fetch::<36>(address) else { return };
    let [input, output, control, local] = [0, 4, 8, 12].map(|at| u64::from(le32(&bytes, at)));
    args.text("{c_iflag=");
    args.flags(&names::TERMIOS_IFLAG, input);
    args.text(", c_oflag=");
    delays(args, output);
    args.text(", c_cflag=");
    speed_and_size(args, control);
    args.text(", c_lflag=");
    args.flags(&names::TERMIOS_LFLAG, local);
    if !args.show.full {
        return args.text(", ...}");
    }
    args.text(", c_line=");
    args.choice(&names::LINE_DISCIPLINE, bytes[16].into());
    for (at, &character) in bytes[17..].iter().enumerate() {
        args.text(if at == 0 { ", c_cc=[[" } else { ", [" });
        match CHARACTERS.get(at) {
            Some(name) => put!(args.out, "V{name}]="),
            None => put!(args.out, "{at}]="),
        }
        args.put_hex(character.into());
    }
    args.text("]}");
}

/// Uses of the characters of struct termios, by index (asm-generic/termbits.h).
const CHARACTERS: [&str; 17] = [
    "INTR", "QUIT", "ERASE", "KILL", "EOF", "TIME", "MIN", "SWTC", "START", "STOP", "SUSP", "EOL", "REPRINT",
    "DISCARD", "WERASE", "LNEXT", "EOL2",
];

/// Output flags: delays are numbers within, told first.
fn delays(args: &mut Args<'_>, flags: u64) {
    const DELAYS: [(&str, u32, u64); 6] =
        [("NL", 8, 1), ("CR", 9, 3), ("TAB", 11, 3), ("BS", 13, 1), ("VT", 14, 1), ("FF", 15, 1)];
    let mut rest = flags;
    for (at, (name, shift, mask)) in DELAYS.into_iter().enumerate() {
        args.text(if at == 0 { "" } else { "|" });
        put!(args.out, "{name}{}", flags >> shift & mask);
        rest &= !(mask << shift);
    }
    if rest != 0 {
        args.text("|");
        args.flags(&names::TERMIOS_OFLAG, rest);
    }
}

/// Control flags: the speed and the size of a character are numbers within, told first.
fn speed_and_size(args: &mut Args<'_>, flags: u64) {
    const CBAUD: u64 = 0x100f;
    const CSIZE: u64 = 0x30;
    args.choice(&names::TERMIOS_SPEED, flags & CBAUD);
    put!(args.out, "|CS{}", 5 + ((flags & CSIZE) >> 4));
    let rest = flags & !(CBAUD | CSIZE);
    if rest != 0 {
        args.text("|");
        args.flags(&names::TERMIOS_CFLAG, rest);
    }
}
