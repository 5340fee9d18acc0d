//! Names of AF_UNIX sockets: in addresses that a program passes, and in those that the kernel gives back.

use kernel_model::abi::Errno;

use super::backing::Intent;
use super::entry::{Call, Plan};
use super::mounts::pop;
use super::rewrite::{Change, New};
use super::task::{After, word_size};
use super::walk::{Scope, Stop};

const AF_UNIX: u16 = 1;
/// Bytes of `sun_path`.
const LONGEST: usize = 108;
const AT_FDCWD: i32 = -100;
const EOPNOTSUPP: Errno = Errno(95);
const ENAMETOOLONG: Errno = Errno(36);
/// UIO_MAXIOV: what sendmmsg takes at most.
const MOST_MESSAGES: u64 = 1024;

/// The path in an address; `None`: it has none.
fn path_in(address: &[u8]) -> Option<&[u8]> {
    let family = u16::from_le_bytes([*address.first()?, *address.get(1)?]);
    let path = &address[2..];
    if family != AF_UNIX || path.first().is_none_or(|&byte| byte == 0) {
        return None;
    }
    Some(path.split(|&byte| byte == 0).next().unwrap_or(path))
}

impl Call<'_, '_> {
    /// The path in an address of the program's.
    fn socket_path(&mut self, at: u64, length: u64) -> Option<Vec<u8>> {
        if at == 0 || length as i32 <= 2 {
            return None;
        }
        let mut address = vec![0; (length as usize).min(2 + LONGEST)];
        self.task.read(at, &mut address).ok()?;
        path_in(&address).map(<[u8]>::to_vec)
    }

    /// The address with the host's name; `None`: it is that already.
    fn host_address(
        &mut self,
        at: u64,
        length: u64,
        intent: Intent,
    ) -> Result<Option<(Vec<u8>, Change)>, Stop> {
        let Some(path) = self.socket_path(at, length) else { return Ok(None) };
        let follow = intent != Intent::Create;
        let Some(found) = self.resolve_text(AT_FDCWD, &path, follow, Scope::default())? else {
            return Ok(None);
        };
        let mut change = Change::default();
        self.put(&mut change, 0, &found, intent)?;
        let Some((_, New::Bytes(mut host))) = change.arguments.pop() else { return Ok(None) };
        host.pop();
        if host.len() >= LONGEST {
            host = self.shortened(&host, &found.virt)?;
        }
        let mut address = AF_UNIX.to_le_bytes().to_vec();
        address.extend_from_slice(&host);
        address.push(0);
        Ok(Some((address, change)))
    }

    /// The same place by a shorter name.
    fn shortened(&self, host: &[u8], virt: &[u8]) -> Result<Vec<u8>, Stop> {
        let (mut parent, mut virtual_parent) = (host.to_vec(), virt.to_vec());
        pop(&mut parent);
        pop(&mut virtual_parent);
        let name = host[parent.len()..].to_vec();
        let link =
            self.world.scratch.link_to(&parent, &virtual_parent).map_err(|_| Stop::Errno(ENAMETOOLONG))?;
        let short = [link, name].concat();
        if short.len() < LONGEST { Ok(short) } else { Err(ENAMETOOLONG.into()) }
    }

    /// bind, connect, sendto: the address is argument `at`, its length the next.
    pub(super) fn address(&mut self, at: usize) -> Result<Plan, Stop> {
        // bind has the address where connect has it, and makes the name: asking for what is there makes no difference to
        // connect unless the name is missing, and then it fails.
        let intent = if self.is_bind() { Intent::Create } else { Intent::Look };
        let (address, length) = (self.argument(at), self.argument(at + 1));
        let Some((address, mut change)) = self.host_address(address, length, intent)? else {
            return Ok(Plan::Go);
        };
        change.arguments.push((at + 1, New::Value(address.len() as u64)));
        change.arguments.push((at, New::Bytes(address)));
        Ok(Plan::Change(change))
    }

    fn is_bind(&self) -> bool {
        matches!((self.abi, self.record.number), (0, 49) | (1, 361))
    }

    /// The name in a `struct msghdr`, and its length.
    fn message_name(&mut self, message: u64) -> Option<(u64, u64)> {
        let name = self.task.word(self.abi, message).ok()?;
        let length = self.task.word(1, message + word_size(self.abi) as u64).ok()?;
        Some((name, length))
    }

    /// Whether that would have to be another.
    fn has_virtual_name(&mut self, message: u64) -> Result<bool, Stop> {
        let Some((name, length)) = self.message_name(message) else { return Ok(false) };
        Ok(self.host_address(name, length, Intent::Look)?.is_some())
    }

    pub(super) fn message(&mut self) -> Result<Plan, Stop> {
        let (at, size) = (self.argument(1), word_size(self.abi));
        let Some((name, length)) = self.message_name(at) else { return Ok(Plan::Go) };
        let Some((address, mut change)) = self.host_address(name, length, Intent::Look)? else {
            return Ok(Plan::Go);
        };
        // struct msghdr: seven words, the first two being the name and its length.
        let mut head = vec![0; 7 * size];
        self.task.read(at, &mut head)?;
        head[size..size + 4].copy_from_slice(&(address.len() as u32).to_le_bytes());
        change.arguments.push((1, New::Struct(head, address)));
        Ok(Plan::Change(change))
    }

    pub(super) fn messages(&mut self) -> Result<Plan, Stop> {
        // struct mmsghdr: a msghdr and a count, padded.
        let size = if self.abi == 0 { 64 } else { 32 };
        for n in 0..self.argument(2).min(MOST_MESSAGES) {
            if self.has_virtual_name(self.argument(1) + n * size)? {
                return Err(EOPNOTSUPP.into());
            }
        }
        Ok(Plan::Go)
    }

    /// getsockname, getpeername, accept: the address comes at the end.
    pub(super) fn bound(&mut self) -> Result<Plan, Stop> {
        let (at, length_at) = (self.argument(1), self.argument(2));
        if at == 0 {
            return Ok(Plan::Go);
        }
        let Ok(room) = self.task.word(1, length_at) else { return Ok(Plan::Go) };
        let after = Some(After::Address { at, length_at, room: room as usize });
        Ok(Plan::Change(Change { after, ..Change::default() }))
    }

    /// All socket calls in one, with arguments in memory (net/socket.c).
    pub(super) fn socketcall(&mut self) -> Result<Plan, Stop> {
        let (call, list) = (self.argument(0), self.argument(1));
        let mut word = |n: u64| self.task.word(1, list + 4 * n).unwrap_or(0);
        let refused = match call {
            2 | 3 => {
                let (at, length) = (word(1), word(2));
                self.host_address(at, length, Intent::Look)?.is_some()
            }
            11 => {
                let (at, length) = (word(4), word(5));
                self.host_address(at, length, Intent::Look)?.is_some()
            }
            16 | 20 => {
                let message = word(1);
                self.has_virtual_name(message)?
            }
            _ => false,
        };
        if refused { Err(EOPNOTSUPP.into()) } else { Ok(Plan::Go) }
    }
}

/// An address that the kernel gave, with the program's name for it; `None`: it is that.
pub(super) fn renamed(address: &[u8], name: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let virt = name(path_in(address)?)?;
    Some([&AF_UNIX.to_le_bytes()[..], &virt, b"\0"].concat())
}
