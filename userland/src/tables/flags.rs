//! Names of bits and choices: [`Names`] is one table of `flags.tsv`, which `userland/gen/flags.py` made from headers.
//!
//! Tables are found by name and read at first use: a trace of one program needs few of them.

use std::sync::OnceLock;

const TEXT: &str = include_str!("flags.tsv");

/// What a table holds.
pub struct Set {
    /// Stands for a value without a name, in a comment.
    pub unknown: &'static str,
    /// In the order in which they are shown.
    pub values: Vec<(u64, &'static str)>,
}

/// One table, by name.
pub struct Names {
    table: &'static str,
    set: OnceLock<Set>,
}

impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        self.table == other.table
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.table)
    }
}

impl Names {
    /// The table of this name. It has to be there: a test asks for all that are used.
    pub const fn new(table: &'static str) -> Names {
        Names { table, set: OnceLock::new() }
    }

    /// Its contents.
    pub fn set(&self) -> &Set {
        self.set
            .get_or_init(|| read(self.table).unwrap_or_else(|| panic!("no table of names {}", self.table)))
    }

    /// The name of exactly this value.
    pub fn name(&self, value: u64) -> Option<&'static str> {
        self.set().values.iter().find(|(known, _)| *known == value).map(|(_, name)| *name)
    }

    /// Bits by name, `|` between them; the rest as a number; `0`, or the name of zero, for none.
    pub fn put_flags(&self, out: &mut Vec<u8>, value: u64) {
        match (value, self.name(value)) {
            (_, Some(name)) => return put!(out, "{name}"),
            (0, None) => return out.push(b'0'),
            _ => {}
        }
        let start = out.len();
        let rest = self.put_known(out, value);
        if out.len() == start {
            put!(out, "{value:#x}{}", Unknown(self.set().unknown));
        } else if rest != 0 {
            put!(out, "|{rest:#x}");
        }
    }

    /// Bits by name, and nothing of the rest, which is the answer.
    pub fn put_known(&self, out: &mut Vec<u8>, value: u64) -> u64 {
        let mut rest = value;
        let start = out.len();
        for &(bits, name) in &self.set().values {
            if bits != 0 && rest & bits == bits {
                if out.len() > start {
                    out.push(b'|');
                }
                out.extend_from_slice(name.as_bytes());
                rest &= !bits;
            }
        }
        rest
    }

    /// The name of a choice; a number if it has none.
    pub fn put_choice(&self, out: &mut Vec<u8>, value: u64) {
        match self.name(value) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None if value == 0 => put!(out, "0{}", Unknown(self.set().unknown)), // `{:#x}` says 0x0
            None => put!(out, "{value:#x}{}", Unknown(self.set().unknown)),
        }
    }
}

struct Unknown(&'static str);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == "-" { Ok(()) } else { write!(f, " /* {} */", self.0) }
    }
}

/// A line: `table TAB unknown TAB NAME=0xVALUE ...`.
fn read(table: &str) -> Option<Set> {
    let line = TEXT.lines().find(|line| line.split('\t').next() == Some(table))?;
    let mut fields = line.split('\t').skip(1);
    let unknown = fields.next()?;
    let value = |word: &'static str| {
        let (name, value) = word.split_once("=0x")?;
        Some((u64::from_str_radix(value, 16).ok()?, name))
    };
    let values = fields.next()?.split(' ').map(value).collect::<Option<Vec<_>>>()?;
    Some(Set { unknown, values })
}

/// Every table that decoders use has one name here, so that a test can see that all are there.
macro_rules! names {
    ($($constant:ident = $table:literal,)*) => {
        $(#[doc = concat!("`", $table, "`")] pub static $constant: Names = Names::new($table);)*

        /// By the names that call tables use.
        pub fn named(table: &str) -> Option<&'static Names> {
            match table {
                $($table => Some(&$constant),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const ALL: &[&Names] = &[$(&$constant),*];
    };
}

names! {
    ACCESS_MODE = "access_mode", ADJTIMEX_MODES = "adjtimex_modes", ADJTIMEX_STATE = "adjtimex_state",
    ADJTIMEX_STATUS = "adjtimex_status", ARCH_PRCTL = "arch_prctl", AT_FLAGS = "at_flags", BPF_CMD = "bpf_cmd",
    CAPABILITY = "capability", CAP_VERSION = "cap_version", CLOCK = "clock", CLONE3_FLAGS = "clone3_flags",
    CLONE_FLAGS = "clone_flags", CLOSE_RANGE = "close_range", CMSG_SOCKET = "cmsg_socket", DUMPABLE = "dumpable",
    EPOLL_EVENTS = "epoll_events", EPOLL_FLAGS = "epoll_flags", EPOLL_OP = "epoll_op", EVENTFD_FLAGS = "eventfd_flags",
    FACCESS_FLAGS = "faccess_flags", FADVISE = "fadvise", FALLOCATE = "fallocate", FAN_CLASS = "fan_class",
    FAN_INIT = "fan_init", FAN_MARK = "fan_mark", FAN_MASK = "fan_mask", FCNTL_CMD = "fcntl_cmd", FD_FLAGS = "fd_flags",
    D_TYPE = "d_type", LINE_DISCIPLINE = "line_discipline",
    FILE_TYPE = "file_type", FLOCK_OP = "flock_op", FSCONFIG_CMD = "fsconfig_cmd", FSMOUNT_FLAGS = "fsmount_flags",
    FSOPEN_FLAGS = "fsopen_flags", FSPICK_FLAGS = "fspick_flags", FS_MAGIC = "fs_magic", FUTEX_OP = "futex_op",
    INOTIFY_INIT = "inotify_init", INOTIFY_MASK = "inotify_mask", IOCTL = "ioctl", IOPRIO_CLASS = "ioprio_class",
    IOPRIO_WHO = "ioprio_who", IO_URING_ENTER = "io_uring_enter", IO_URING_FEAT = "io_uring_feat",
    IO_URING_REGISTER = "io_uring_register", IO_URING_SETUP = "io_uring_setup", IPC_FLAGS = "ipc_flags",
    IPV6_OPTION = "ipv6_option", IP_OPTION = "ip_option", IP_PROTO = "ip_proto", ITIMER = "itimer", KCMP = "kcmp",
    KEYCTL = "keyctl", KEY_SERIAL = "key_serial", LANDLOCK_ACCESS = "landlock_access",
    LANDLOCK_FLAGS = "landlock_flags", LANDLOCK_RULE = "landlock_rule", LEASE = "lease", LOCK_TYPE = "lock_type",
    MADVISE = "madvise", MAP_FLAGS = "map_flags", MAP_TYPE = "map_type", MEMBARRIER = "membarrier",
    MEMFD_FLAGS = "memfd_flags", MEMPOLICY = "mempolicy", MLOCK2 = "mlock2", MLOCKALL = "mlockall",
    MOUNT_ATTR = "mount_attr", MOUNT_FLAGS = "mount_flags", MOVE_MOUNT_FLAGS = "move_mount_flags",
    MREMAP_FLAGS = "mremap_flags", MSG_CMD = "msg_cmd", MSG_FLAGS = "msg_flags", MSGRCV_FLAGS = "msgrcv_flags",
    MSYNC = "msync", NETLINK_OPTION = "netlink_option", NETLINK_PROTO = "netlink_proto", OPEN_ACCESS = "open_access", OPEN_FLAGS = "open_flags",
    OPEN_TREE_FLAGS = "open_tree_flags", OWNER_TYPE = "owner_type", PERSONALITY = "personality",
    PIDFD_FLAGS = "pidfd_flags", POLL_EVENTS = "poll_events", PRCTL = "prctl", PRIORITY_WHICH = "priority_which",
    PERF_FLAGS = "perf_flags", PTRACE_OPTIONS = "ptrace_options", KEXEC_FLAGS = "kexec_flags", REBOOT_MAGIC = "reboot_magic",
    REBOOT_CMD = "reboot_cmd", PKEY_ACCESS = "pkey_access", PROT = "prot", PR_AMBIENT = "pr_ambient", PR_MM = "pr_mm", PTRACE_REQUEST = "ptrace_request",
    RANDOM_FLAGS = "random_flags", RENAME_FLAGS = "rename_flags", RESOLVE = "resolve", RLIMIT = "rlimit", RUSAGE_WHO = "rusage_who", RWF = "rwf", SCHED_FLAGS = "sched_flags",
    SCHED_POLICY = "sched_policy", SEALS = "seals", SECCOMP_FLAGS = "seccomp_flags", SECCOMP_MODE = "seccomp_mode",
    SECCOMP_OP = "seccomp_op", SEM_CMD = "sem_cmd", SHM_AT_FLAGS = "shm_at_flags", SHM_CMD = "shm_cmd",
    SHM_GET_FLAGS = "shm_get_flags", SHUTDOWN = "shutdown", SIGACT_FLAGS = "sigact_flags", SIGEV = "sigev",
    SIGNALFD_FLAGS = "signalfd_flags", SIGPROCMASK_HOW = "sigprocmask_how", SOCKETCALL = "socketcall",
    SOCKET_FAMILY = "socket_family", SOCKET_TYPE = "socket_type", SOCKOPT_LEVEL = "sockopt_level",
    SOCK_FLAGS = "sock_flags", SO_OPTION = "so_option", SPLICE_FLAGS = "splice_flags", SS_FLAGS = "ss_flags",
    STATX_ATTR = "statx_attr", STATX_MASK = "statx_mask", STATX_SYNC = "statx_sync", ST_FLAGS = "st_flags",
    SWAP_FLAGS = "swap_flags", SYNC_RANGE = "sync_range", SYSLOG = "syslog", TCP_OPTION = "tcp_option",
    TERMIOS_IFLAG = "termios_iflag", TERMIOS_OFLAG = "termios_oflag", TERMIOS_CFLAG = "termios_cflag",
    TERMIOS_LFLAG = "termios_lflag", TERMIOS_SPEED = "termios_speed", TIMERFD_FLAGS = "timerfd_flags", TIMERFD_TIMER = "timerfd_timer",
    TIMER_FLAGS = "timer_flags", UDP_OPTION = "udp_option", UFFD_FLAGS = "uffd_flags", UMOUNT_FLAGS = "umount_flags",
    UNLINK_FLAGS = "unlink_flags", UNSHARE_FLAGS = "unshare_flags", WAITID_WHICH = "waitid_which",
    IOCB_CMD = "iocb_cmd", XFLAGS = "xflags", SEM_FLAGS = "sem_flags", FUTEX2_FLAGS = "futex2_flags", PROPAGATION = "propagation", MEMPOLICY_FLAGS = "mempolicy_flags", MEMPOLICY_GET = "mempolicy_get", MEMPOLICY_MOVE = "mempolicy_move", VSOCK_CID = "vsock_cid", ETHER_PROTO = "ether_proto", HARDWARE = "hardware", PACKET_TYPE = "packet_type", PACKET_OPTION = "packet_option", RAW_OPTION = "raw_option", ICMP_FILTER = "icmp_filter", PERSONALITY_FLAGS = "personality_flags", SECUREBITS = "securebits", PR_TSC = "pr_tsc", PR_MCE = "pr_mce", PR_MCE_POLICY = "pr_mce_policy", PR_SPEC_FEATURE = "pr_spec_feature", PR_SPEC = "pr_spec", PR_SCHED = "pr_sched", SECCOMP_RET = "seccomp_ret", KEY_PERM = "key_perm", NOTIFY = "notify", MODULE_FLAGS = "module_flags", QUOTA_CMD = "quota_cmd", QUOTA_KIND = "quota_kind", INTERFACE_FLAGS = "interface_flags", INODE_FLAGS = "inode_flags", TERMINAL_FLUSH = "terminal_flush", TERMINAL_FLOW = "terminal_flow",
    WAIT_OPTIONS = "wait_options", WHENCE = "whence", XATTR_FLAGS = "xattr_flags",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_there_and_has_names() {
        for names in ALL {
            assert!(!names.set().values.is_empty(), "{}", names.table);
        }
    }

    #[test]
    fn bits_rests_and_zero() {
        let text = |names: &Names, value| {
            let mut out = Vec::new();
            names.put_flags(&mut out, value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(&PROT, 3), "PROT_READ|PROT_WRITE");
        assert_eq!(text(&PROT, 0), "PROT_NONE");
        assert_eq!(text(&PROT, 0x101), "PROT_READ|0x100");
        assert_eq!(text(&PROT, 0x100), "0x100 /* PROT_??? */");
        assert_eq!(text(&MSG_FLAGS, 0), "0");
    }

    #[test]
    fn a_choice_without_a_name_is_a_number() {
        let mut out = Vec::new();
        WHENCE.put_choice(&mut out, 2);
        WHENCE.put_choice(&mut out, 77);
        assert_eq!(out, b"SEEK_END0x4d /* SEEK_??? */");
    }
}
