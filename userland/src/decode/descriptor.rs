//! What a descriptor refers to, behind its number: `3</etc/passwd>`, `4<TCP:[127.0.0.1:80->127.0.0.1:4711]>`.
//!
//! Names come from `proc:<pid>/fd/N`, details from `proc:<pid>/fdinfo/N` (RFC 0011); the form is that which strace has
//! made people used to.

use super::Args;
use super::show::Fds;
use super::text::put_escaped;
use crate::numbers::put_decimal;
use crate::tables::flags as names;

/// What the kernel appends to the name of a file that was removed.
const DELETED: &[u8] = b" (deleted)";

/// openat(2): the current folder.
pub(super) const AT_FDCWD: i32 = -100;

impl Args<'_> {
    /// A descriptor: its number, and with `-y` what it refers to.
    pub fn put_fd(&mut self, word: u64) {
        put_decimal(self.out, i64::from(word as i32));
        if self.show.fds == Fds::Numbers || (word as i32) < 0 {
            return;
        }
        let number = word as i32;
        let Some(name) = self.memory.descriptor(&format!("fd/{number}")) else { return };
        let facts = match self.show.fds {
            Fds::Details => self.memory.descriptor(&format!("fdinfo/{number}")).unwrap_or_default(),
            Fds::Paths | Fds::Numbers => Vec::new(),
        };
        self.put_file(&name, &String::from_utf8_lossy(&facts));
    }

    /// A descriptor, or the folder that relative paths begin at.
    pub fn put_dirfd(&mut self, word: u64) {
        if word as i32 != AT_FDCWD {
            return self.put_fd(word);
        }
        self.text("AT_FDCWD");
        if self.show.fds != Fds::Numbers
            && let Some(name) = self.memory.descriptor("fd/cwd")
        {
            self.put_file(&name, "");
        }
    }

    fn put_file(&mut self, name: &[u8], facts: &str) {
        let (name, is_deleted) = match name.strip_suffix(DELETED) {
            Some(rest) if name.starts_with(b"/") => (rest, true),
            _ => (name, false),
        };
        let fact = |key: &str| facts.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        self.text("<");
        match (fact("socket"), fact("process"), fact("device")) {
            (Some(socket), ..) => self.put_socket(socket, fact("local"), fact("peer")),
            (_, Some(pid), _) => put!(self.out, "pid:{pid}"),
            (_, _, device) => {
                self.put_inside(name);
                if let Some(device) = device {
                    put!(self.out, "<{device}>");
                }
            }
        }
        self.text(if is_deleted { ">(deleted)" } else { ">" });
    }

    /// `TCP:[address->address]`, `UNIX-STREAM:[number->number,"path"]`, `NETLINK:[ROUTE:port]`, or by number alone.
    fn put_socket(&mut self, socket: &str, local: Option<&str>, peer: Option<&str>) {
        let (protocol, id) = socket.rsplit_once(' ').unwrap_or(("", socket));
        let protocol = if protocol.is_empty() { "socket" } else { protocol };
        put!(self.out, "{protocol}:[");
        if protocol.starts_with("UNIX") {
            put!(self.out, "{id}");
            if let Some(peer) = peer {
                put!(self.out, "->{peer}");
            }
            if let Some(path) = local {
                let (mark, path) = path.strip_prefix('@').map_or(("", path), |name| ("@", name));
                put!(self.out, ",{mark}");
                self.put_string(path.as_bytes());
            }
            return self.text("]");
        }
        match (local.and_then(|local| local.split_once(':')), local, peer) {
            (Some((number, port)), ..) if protocol == "NETLINK" => {
                let name = number.parse().ok().and_then(|number| names::NETLINK_PROTO.name(number));
                let name = name.map_or(number, |name| name.trim_start_matches("NETLINK_"));
                put!(self.out, "{name}:{port}");
            }
            (_, Some(local), Some(peer)) => put!(self.out, "{local}->{peer}"),
            (_, Some(local), None) => put!(self.out, "{local}"),
            (_, None, _) => put!(self.out, "{id}"),
        }
        self.text("]");
    }

    /// Without quotes, so that the brackets around it are escaped.
    fn put_inside(&mut self, name: &[u8]) {
        if self.show.hex.applies(name) {
            super::text::put_hex(self.out, name);
        } else {
            put_escaped(self.out, name, b"<>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Show};
    use super::*;
    use kernel_model::abi::{Errno, Result};

    struct Files(&'static [(&'static str, &'static str)]);
    impl Memory for Files {
        fn read(&mut self, _: u64, _: &mut [u8]) -> Result<()> {
            Err(Errno::EFAULT)
        }
        fn descriptor(&mut self, path: &str) -> Option<Vec<u8>> {
            self.0.iter().find(|(known, _)| *known == path).map(|(_, text)| text.as_bytes().to_vec())
        }
    }

    fn text(fds: Fds, word: i32, files: &'static [(&'static str, &'static str)]) -> String {
        let mut out = Vec::new();
        let show = Show { fds, ..Show::DEFAULT };
        Args::new(&mut out, &mut Files(files), &[0; 7], 0, show, None).put_dirfd(word as u64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_escaped_and_removed_files_are_said_to_be() {
        let path = |files| text(Fds::Paths, 3, files);
        assert_eq!(path(&[("fd/3", "/a<b>\n\"")]), "3</a\\74b\\76\\n\">");
        assert_eq!(path(&[("fd/3", "/a (deleted)")]), "3</a>(deleted)");
        assert_eq!(path(&[("fd/3", "pipe:[7]"), ("fdinfo/3", "device char 1:3\n")]), "3<pipe:[7]>");
        assert_eq!(path(&[]), "3");
        assert_eq!(text(Fds::Numbers, 3, &[("fd/3", "/a")]), "3");
        assert_eq!(text(Fds::Paths, AT_FDCWD, &[("fd/cwd", "/")]), "AT_FDCWD</>");
        assert_eq!(text(Fds::Paths, -1, &[]), "-1");
    }

    #[test]
    fn details_of_sockets_devices_and_processes() {
        for (facts, shown) in [
            ("device block 7:0\n", "3</x<block 7:0>>"),
            ("process 12\n", "3<pid:12>"),
            ("socket TCP 9\n", "3<TCP:[9]>"),
            ("socket TCP 9\nlocal 1.2.3.4:5\n", "3<TCP:[1.2.3.4:5]>"),
            ("socket TCPv6 9\nlocal [::1]:5\npeer [::1]:6\n", "3<TCPv6:[[::1]:5->[::1]:6]>"),
            ("socket UNIX-STREAM 9\npeer 8\nlocal /run/a b\n", "3<UNIX-STREAM:[9->8,\"/run/a b\"]>"),
            ("socket UNIX 9\nlocal @a\n", "3<UNIX:[9,@\"a\"]>"),
            ("socket NETLINK 9\nlocal 0:77\n", "3<NETLINK:[ROUTE:77]>"),
        ] {
            let files: &'static [(&str, &str)] = Box::leak(Box::new([("fd/3", "/x"), ("fdinfo/3", facts)]));
            assert_eq!(text(Fds::Details, 3, files), shown, "{facts}");
        }
    }
}
