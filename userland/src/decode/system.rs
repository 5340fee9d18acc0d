//! The system as a whole: its name, its load, its log.

use super::text::put_field;
use super::{Args, decoders, le16, le32, word};

decoders! { utsname, sysinfo, getcpu, old_utsname, host_name, }

/// struct new_utsname: six fields of 65 bytes, of which two are shown.
fn utsname(args: &mut Args<'_>, address: u64) {
    let Some(name) = args.fetch::<130>(address) else { return };
    args.text("{sysname=");
    put_field(args.out, &name[..65]);
    args.text(", nodename=");
    put_field(args.out, &name[65..]);
    args.text(", ...}");
}

fn old_utsname(args: &mut Args<'_>, address: u64) {
    utsname(args, address);
}

/// struct sysinfo (linux/sysinfo.h).
fn sysinfo(args: &mut Args<'_>, address: u64) {
    let (narrow, size) = (args.is_narrow(), args.word_size());
    let mut bytes = [0; 112];
    if !args.fetch_into(address, &mut bytes[..if narrow { 64 } else { 112 }]) {
        return;
    }
    let field = |index: usize| word(&bytes, index, narrow);
    put!(args.out, "{{uptime={}, loads=[{}, {}, {}]", field(0), field(1), field(2), field(3));
    let names = ["totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap"];
    for (at, name) in names.into_iter().enumerate() {
        put!(args.out, ", {name}={}", field(4 + at));
    }
    // The 16 bits of `procs` are padded to a word's alignment.
    let after = 10 * size + size;
    put!(args.out, ", procs={}", le16(&bytes, 10 * size));
    put!(
        args.out,
        ", totalhigh={}, freehigh={}",
        word(&bytes[after..], 0, narrow),
        word(&bytes[after..], 1, narrow)
    );
    put!(args.out, ", mem_unit={}}}", le32(&bytes, after + 2 * size));
}

/// As many bytes as the next argument says, unless that is no length.
fn host_name(args: &mut Args<'_>, address: u64) {
    let length = args.next() as u32;
    if length as i32 >= 0 {
        super::text::put_bytes(args, address, length.into(), false);
    } else {
        args.put_address(address);
    }
}

fn getcpu(args: &mut Args<'_>, address: u64) {
    let Some(number) = args.fetch::<4>(address) else { return };
    put!(args.out, "[{}]", le32(&number, 0));
}
