//! [`Calls`]: what is done with each system call, from `calls.tsv` (made by `userland/gen/paths.py`).
//!
//! A call that is not in the table is one that nobody has thought about: it is refused.

use std::cell::OnceCell;

use kernel_model::abi::Errno;
use kernel_model::sets::CallSet;

use crate::index::Index;

/// The table as it was generated.
pub const TABLE: &str = include_str!("calls.tsv");

const EPERM: Errno = Errno(1);
const ENOSYS: Errno = Errno(38);

/// Whether a link that is the last name of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Yes.
    Followed,
    /// No.
    Kept,
    /// Not if the argument has one of the bits.
    KeptIf(usize, u64),
    /// Only if the argument has one of the bits.
    FollowedIf(usize, u64),
}

/// What a call does to a name, as far as the call alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Looks at it.
    Look,
    /// Looks whether it could be used; the argument says how.
    Access(usize),
    /// Reads it.
    Read,
    /// Changes it.
    Change,
    /// Makes it.
    Create,
    /// Removes it.
    Remove,
}

/// One path among a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathArgument {
    /// Which argument is the directory that the path starts from; `None`: the current one.
    pub dir: Option<usize>,
    /// Which one is the path.
    pub path: usize,
    /// About a link at its end.
    pub last: Last,
    /// What is done.
    pub used: Use,
}

/// Calls that need more than the translation of their paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of calls")]
pub enum Special {
    /// open, openat: which argument is the path.
    Open(usize),
    Openat2,
    Creat,
    OpenTree,
    Readlink(usize),
    Getcwd,
    Chdir,
    Fchdir,
    /// execve, execveat: which argument is the path.
    Exec(usize),
    /// bind, connect, sendto: which argument is the address.
    Address(usize),
    /// sendmsg.
    Message,
    /// sendmmsg.
    Messages,
    /// Calls that fill in an address: getsockname, getpeername, accept.
    Bound,
    Socketcall,
    Ptrace,
    /// Calls on descriptors that may be of a live mount, or of one that is read in parts.
    Stream(Stream),
}

/// What is done with such a descriptor, which is argument 0 if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of calls")]
pub enum Stream {
    Read,
    Write,
    Pread,
    Pwrite,
    Readv,
    Writev,
    Seek,
    Llseek,
    /// Nothing that can be served, and of files that are read in parts all is needed; which arguments are descriptors.
    Unfit(&'static [usize]),
    /// The descriptor is argument 4.
    Map,
    /// Arguments in memory.
    OldMap,
}

/// Calls that stop only in runs with such a mount.
const STREAMS: [(&str, Stream); 18] = [
    ("read", Stream::Read),
    ("write", Stream::Write),
    ("pread64", Stream::Pread),
    ("pwrite64", Stream::Pwrite),
    ("readv", Stream::Readv),
    ("writev", Stream::Writev),
    ("lseek", Stream::Seek),
    ("_llseek", Stream::Llseek),
    ("preadv", Stream::Unfit(&[0])),
    ("pwritev", Stream::Unfit(&[0])),
    ("preadv2", Stream::Unfit(&[0])),
    ("pwritev2", Stream::Unfit(&[0])),
    ("sendfile", Stream::Unfit(&[0, 1])),
    ("sendfile64", Stream::Unfit(&[0, 1])),
    ("splice", Stream::Unfit(&[0, 2])),
    ("tee", Stream::Unfit(&[0, 1])),
    ("vmsplice", Stream::Unfit(&[0])),
    ("copy_file_range", Stream::Unfit(&[0, 2])),
];

/// More that stop where files are read in parts.
const MAPS: [(usize, &str, Stream); 3] =
    [(0, "mmap", Stream::Map), (1, "mmap2", Stream::Map), (1, "mmap", Stream::OldMap)];

/// What is done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It takes no path: it does not even stop.
    NoPath,
    /// Its paths are translated.
    Paths(Vec<PathArgument>),
    /// It has a handler of its own.
    Special(Special),
    /// It fails.
    Refused(Errno, &'static str),
}

/// All rules. A row is read when somebody asks for its call for the first time: of most calls nobody does.
pub struct Calls {
    /// By ABI, then number.
    read: [Vec<OnceCell<Box<Rule>>>; 2],
    /// Rules of this run that are not the table's.
    others: Vec<(usize, usize, Rule)>,
}

static ROWS: [Index; 2] = [Index::of_abi(TABLE, 0), Index::of_abi(TABLE, 1)];
/// Whether a call takes no path.
static FREE: [[bool; Index::SIZE]; 2] =
    [Index::of_abi(TABLE, 0).where_column(1, "nopath"), Index::of_abi(TABLE, 1).where_column(1, "nopath")];
const UNKNOWN: Rule = Rule::Refused(ENOSYS, "this version does not know the call");

impl Default for Calls {
    fn default() -> Calls {
        Calls::new()
    }
}

impl Calls {
    /// From the table that is built in.
    pub fn new() -> Calls {
        let unread = || {
            let mut list = Vec::new();
            list.resize_with(Index::SIZE, OnceCell::new);
            list
        };
        Calls { read: [unread(), unread()], others: Vec::new() }
    }

    /// The same for a run with a mount whose files are served, or read in parts: then reads stop.
    pub fn with_reads(mut self, live: bool, parts: bool) -> Calls {
        if !live && !parts {
            return self;
        }
        for (abi, number, name, _) in rows() {
            let stream = STREAMS.iter().find(|(call, _)| *call == name).map(|(_, stream)| *stream);
            let map = MAPS.iter().find(|(of, call, _)| (*of, *call) == (abi, name)).map(|(_, _, map)| *map);
            let rule = match (stream, map) {
                (Some(stream), _) => Rule::Special(Special::Stream(stream)),
                (_, Some(map)) if parts => Rule::Special(Special::Stream(map)),
                _ if parts && name == "io_setup" => {
                    Rule::Refused(ENOSYS, "its reads cannot wait for what is to come")
                }
                _ => continue,
            };
            self.others.push((abi, number, rule));
        }
        self
    }

    /// What is done with this one.
    pub fn get(&self, abi: u64, number: u64) -> &Rule {
        let (Ok(abi), Ok(number)) = (usize::try_from(abi), usize::try_from(number)) else { return &UNKNOWN };
        if let Some((.., rule)) = self.others.iter().find(|other| (other.0, other.1) == (abi, number)) {
            return rule;
        }
        let Some(read) = self.read.get(abi).and_then(|list| list.get(number)) else { return &UNKNOWN };
        if let Some(rule) = read.get() {
            return rule;
        }
        let Some(row) = ROWS.get(abi).and_then(|rows| rows.get(number)) else { return &UNKNOWN };
        read.get_or_init(|| Box::new(parse(row).unwrap_or_else(|| not_a_row(row)).1))
    }

    /// Those that must stop: all but the ones that take no path.
    pub fn that_stop(&self) -> CallSet {
        let other = |abi, number| self.others.iter().any(|other| (other.0, other.1) == (abi, number));
        let free = |(abi, free): (usize, &[bool; Index::SIZE])| {
            let numbers = (0..Index::SIZE).filter(|number| free[*number] && !other(abi, *number));
            numbers.map(|number| (abi as u64, number as u64)).collect::<Vec<_>>()
        };
        CallSet::all_but(FREE.iter().enumerate().flat_map(free))
    }
}

fn not_a_row(row: &str) -> ! {
    panic!("calls.tsv is generated, and this is no row of it: {row}")
}

/// ABI, number, name and rule of each row.
pub fn rows() -> impl Iterator<Item = (usize, usize, &'static str, Rule)> {
    let of = |(abi, rows): (usize, &'static Index)| {
        rows.numbers().filter_map(|number| Some((number, rows.get(number)?))).map(move |(number, row)| {
            let (name, rule) = parse(row).unwrap_or_else(|| not_a_row(row));
            (abi, number, name, rule)
        })
    };
    ROWS.iter().enumerate().flat_map(of)
}

/// Name and rule, from what follows the number in a row.
fn parse(row: &'static str) -> Option<(&'static str, Rule)> {
    let mut columns = row.split('\t');
    let (name, kind, detail) = (columns.next()?, columns.next()?, columns.next()?);
    let rule = match kind {
        "nopath" => Rule::NoPath,
        "translated" => Rule::Paths(detail.split(' ').map(path_argument).collect::<Option<_>>()?),
        "special" => Rule::Special(special(detail)?),
        "refused" => {
            let (errno, reason) = detail.split_once(' ')?;
            let errno = match errno {
                "EPERM" => EPERM,
                "ENOSYS" => ENOSYS,
                _ => return None,
            };
            Rule::Refused(errno, reason)
        }
        _ => return None,
    };
    Some((name, rule))
}

fn path_argument(text: &str) -> Option<PathArgument> {
    let mut parts = text.split('.');
    let dir = match parts.next()? {
        "c" => None,
        digit => Some(digit.parse().ok()?),
    };
    let path = parts.next()?.parse().ok()?;
    let last = parts.next()?;
    let last = match (last, last.split_once(':')) {
        ("f", _) => Last::Followed,
        ("n", _) => Last::Kept,
        (_, Some((argument, bits))) => {
            let bits = u64::from_str_radix(bits, 16).ok()?;
            match argument.split_at_checked(1)? {
                ("n", argument) => Last::KeptIf(argument.parse().ok()?, bits),
                ("f", argument) => Last::FollowedIf(argument.parse().ok()?, bits),
                _ => return None,
            }
        }
        _ => return None,
    };
    let used = match parts.next()? {
        "look" => Use::Look,
        "read" => Use::Read,
        "change" => Use::Change,
        "create" => Use::Create,
        "remove" => Use::Remove,
        word => Use::Access(word.strip_prefix("access")?.parse().ok()?),
    };
    Some(PathArgument { dir, path, last, used })
}

fn special(detail: &str) -> Option<Special> {
    let (word, at) = detail.split_once(' ').unwrap_or((detail, "0"));
    let at = at.parse().ok()?;
    Some(match word {
        "open" => Special::Open(at),
        "openat2" => Special::Openat2,
        "creat" => Special::Creat,
        "open_tree" => Special::OpenTree,
        "readlink" => Special::Readlink(at),
        "getcwd" => Special::Getcwd,
        "chdir" => Special::Chdir,
        "fchdir" => Special::Fchdir,
        "exec" => Special::Exec(at),
        "address" => Special::Address(at),
        "message" => Special::Message,
        "messages" => Special::Messages,
        "bound" => Special::Bound,
        "socketcall" => Special::Socketcall,
        "ptrace" => Special::Ptrace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_kernel_has_a_rule() {
        let known = crate::tables::Calls::linux();
        let rows: Vec<_> = rows().map(|(abi, number, name, _)| (abi, number as u64, name)).collect();
        for (abi, table) in known.tables().iter().enumerate() {
            for call in crate::tables::Table::iter(table) {
                assert!(rows.contains(&(abi, call.number, call.name)), "{abi} {} {}", call.number, call.name);
            }
        }
        assert!(rows.len() > 800);
    }

    #[test]
    fn reads_stop_only_where_they_may_be_served() {
        let stops = |live, parts| Calls::new().with_reads(live, parts).that_stop();
        let (plain, live, lazy) = (stops(false, false), stops(true, false), stops(false, true));
        for (abi, read, map) in [(0, 0, 9), (1, 3, 192)] {
            assert!(!plain.has(abi, read) && live.has(abi, read) && lazy.has(abi, read));
            assert!(!plain.has(abi, map) && !live.has(abi, map) && lazy.has(abi, map));
        }
        let known = |name: &str| rows().any(|(_, _, row, rule)| row == name && rule == Rule::NoPath);
        assert!(STREAMS.iter().all(|(name, _)| known(name)));
    }

    #[test]
    fn what_nobody_knows_stops_and_is_refused() {
        let calls = Calls::new();
        let stops = calls.that_stop();
        assert!(stops.has(0, 100_000) && stops.has(1, 100_000) && stops.has(7, 0));
        assert!(stops.has(0, 0x4000_0000 + 257), "x32 has numbers of its own");
        assert_eq!(*calls.get(0, 100_000), UNKNOWN);
        assert!(stops.has(0, 257) && !stops.has(0, 0) && !stops.has(0, 110));
        assert!(matches!(calls.get(1, 295), Rule::Special(Special::Open(1))));
    }
}
