//! ioctl: commands by name, and the arguments of the common ones.

use super::{Args, decoders, le16, le32};
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
// linux/sockios.h
const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFFLAGS: u32 = 0x8913;

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
        TCSETS | TCSETSW | TCSETSF | TIOCSPGRP | TIOCSWINSZ | FIONBIO | FIOASYNC | TIOCSPTLCK
    );
    match command {
        FIOCLEX | FIONCLEX | TIOCNOTTY => {}
        TIOCSCTTY | FICLONE => put!(args.out, "{}", value as i32),
        _ if !reads && args.result.is_none() => args.deferred = true,
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
        | TIOCSPTLCK => {
            let Some(number) = args.fetch::<4>(value) else { return };
            put!(args.out, "[{}]", le32(&number, 0) as i32);
        }
        SIOCGIFINDEX | SIOCGIFNAME | SIOCGIFFLAGS => interface(args, value, command),
        _ => args.put_hex_or_null(value, false),
    }
}

impl Args<'_> {
    fn put_hex_or_null(&mut self, value: u64, pointer: bool) {
        if pointer { self.put_address(value) } else { self.put_hex(value) }
    }
}

/// struct ifreq: a name, and what was asked of it.
fn interface(args: &mut Args<'_>, address: u64, command: u32) {
    let Some(request) = args.fetch::<32>(address) else { return };
    if command == SIOCGIFNAME {
        put!(args.out, "{{ifr_ifindex={}, ifr_name=", le32(&request, 16));
        args.put_field(&request[..16]);
        return args.text("}");
    }
    args.text("{ifr_name=");
    args.put_field(&request[..16]);
    match command {
        SIOCGIFINDEX => put!(args.out, ", ifr_ifindex={}", le32(&request, 16)),
        _ => put!(args.out, ", ifr_flags={:#x}", le16(&request, 16)),
    }
    args.text("}");
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
