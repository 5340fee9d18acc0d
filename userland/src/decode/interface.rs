//! ioctls of network interfaces (netdevice(7)): struct ifreq, a name and what is asked of it or set.

use super::sockets::put_family_address;
use super::{Args, le16, le32, le64};
use crate::tables::flags as names;

// linux/sockios.h
pub(super) const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCSIFADDR: u32 = 0x8916;
const SIOCGIFDSTADDR: u32 = 0x8917;
const SIOCSIFDSTADDR: u32 = 0x8918;
const SIOCGIFBRDADDR: u32 = 0x8919;
const SIOCSIFBRDADDR: u32 = 0x891a;
const SIOCSIFNETMASK: u32 = 0x891c;
const SIOCGIFMETRIC: u32 = 0x891d;
const SIOCSIFMETRIC: u32 = 0x891e;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCSIFMTU: u32 = 0x8922;
const SIOCSIFNAME: u32 = 0x8923;
const SIOCSIFHWADDR: u32 = 0x8924;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFTXQLEN: u32 = 0x8942;
const SIOCSIFTXQLEN: u32 = 0x8943;
const SIOCGIFMAP: u32 = 0x8970;

/// Whether the argument is a struct ifreq.
pub(super) fn is_request(command: u32) -> bool {
    matches!(command, SIOCGIFNAME | SIOCGIFFLAGS..=SIOCSIFMETRIC | SIOCGIFMTU..=SIOCSIFHWADDR | SIOCGIFHWADDR)
        || matches!(command, SIOCGIFINDEX | SIOCGIFTXQLEN | SIOCSIFTXQLEN | SIOCGIFMAP)
}

/// Whether it is one that sets.
pub(super) fn sets(command: u32) -> bool {
    matches!(
        command,
        SIOCSIFFLAGS
            | SIOCSIFADDR
            | SIOCSIFDSTADDR
            | SIOCSIFBRDADDR
            | SIOCSIFNETMASK
            | SIOCSIFMETRIC
            | SIOCSIFMTU
            | SIOCSIFNAME
            | SIOCSIFHWADDR
            | SIOCSIFTXQLEN
    )
}

/// Its name, and unless the call failed to tell it, what belongs to the command.
pub(super) fn put_request(args: &mut Args<'_>, address: u64, command: u32) {
    let Some(request) = args.fetch::<40>(address) else { return };
    let told = sets(command) || !args.failed();
    if command == SIOCGIFNAME {
        put!(args.out, "{{ifr_ifindex={}", le32(&request, 16));
        if told {
            args.text(", ifr_name=");
            args.put_field(&request[..16]);
        }
        return args.text("}");
    }
    args.text("{ifr_name=");
    args.put_field(&request[..16]);
    if told {
        put_value(args, &request, command);
    }
    args.text("}");
}

fn put_value(args: &mut Args<'_>, request: &[u8; 40], command: u32) {
    let number = le32(request, 16) as i32;
    match command {
        SIOCGIFFLAGS | SIOCSIFFLAGS => {
            args.text(", ifr_flags=");
            args.flags(&names::INTERFACE_FLAGS, le16(request, 16).into());
        }
        SIOCGIFINDEX => put!(args.out, ", ifr_ifindex={number}"),
        SIOCGIFMETRIC | SIOCSIFMETRIC => put!(args.out, ", ifr_metric={number}"),
        SIOCGIFMTU | SIOCSIFMTU => put!(args.out, ", ifr_mtu={number}"),
        SIOCGIFTXQLEN | SIOCSIFTXQLEN => put!(args.out, ", ifr_qlen={number}"),
        SIOCSIFNAME => {
            args.text(", ifr_newname=");
            args.put_field(&request[16..32]);
        }
        SIOCGIFHWADDR | SIOCSIFHWADDR => {
            args.text(", ifr_hwaddr={sa_family=");
            args.choice(&names::HARDWARE, le16(request, 16).into());
            args.text(", sa_data=");
            for (at, byte) in request[18..24].iter().enumerate() {
                put!(args.out, "{}{byte:02x}", if at == 0 { "" } else { ":" });
            }
            args.text("}");
        }
        SIOCGIFMAP => {
            args.text(", ifr_map={mem_start=");
            args.put_hex(le64(request, 16));
            args.text(", mem_end=");
            args.put_hex(le64(request, 24));
            args.text(", base_addr=");
            args.put_hex(le16(request, 32).into());
            let [irq, dma, port] = [34, 35, 36].map(|at| request[at]);
            args.text(", irq=");
            args.put_hex(irq.into());
            args.text(", dma=");
            args.put_hex(dma.into());
            args.text(", port=");
            args.put_hex(port.into());
            args.text("}");
        }
        _ => {
            let field = match command {
                SIOCGIFADDR | SIOCSIFADDR => "addr",
                SIOCGIFDSTADDR | SIOCSIFDSTADDR => "dstaddr",
                SIOCGIFBRDADDR | SIOCSIFBRDADDR => "broadaddr",
                _ => "netmask",
            };
            put!(args.out, ", ifr_{field}=");
            put_family_address(args, &request[16..32]);
        }
    }
}

/// struct ifconf: how long the list is, and where; an entry is a name and an address.
pub(super) fn put_list(args: &mut Args<'_>, address: u64) {
    const ENTRY: u32 = 40;
    let Some(list) = args.fetch::<16>(address) else { return };
    let (length, place) = (le32(&list, 0), le64(&list, 8));
    let entries = |args: &mut Args<'_>, length: u32| {
        put!(args.out, "{length}");
        if length > 0 && length.is_multiple_of(ENTRY) {
            put!(args.out, " /* {} * sizeof(struct ifreq) */", length / ENTRY);
        }
    };
    args.text("{ifc_len=");
    if args.saved != 0 && args.saved as u32 != length {
        let before = args.saved as u32;
        entries(args, before);
        args.text(" => ");
    }
    entries(args, length);
    args.text(", ifc_buf=");
    if args.failed() || place == 0 {
        args.put_address(place);
    } else {
        args.array(place, (length / ENTRY).into(), ENTRY as usize, |args, entry| {
            args.text("{ifr_name=");
            args.put_field(&entry[..16]);
            args.text(", ifr_addr=");
            put_family_address(args, &entry[16..32]);
            args.text("}");
        });
    }
    args.text("}");
}

/// Whether the argument is a struct ifconf, whose length the call changes.
pub(super) fn is_list(command: u32) -> bool {
    command == SIOCGIFCONF
}
