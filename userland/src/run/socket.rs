//! Names of AF_UNIX sockets: in addresses that a program passes, and in those that the kernel gives back.

use kernel_model::abi::Errno;

use super::backing::Intent;
use super::entry::{Call, Plan};
use super::mounts::pop;
use super::rewrite::{Change, New, Poke};
use super::task::{After, word_size};
use super::walk::{Scope, Stop};

const AF_UNIX: u16 = 1;
/// Bytes of `sun_path`.
const LONGEST: usize = 108;
const AT_FDCWD: i32 = -100;
const ENAMETOOLONG: Errno = Errno(36);
/// UIO_MAXIOV: what sendmmsg takes at most.
const MOST_MESSAGES: u64 = 1024;
/// About as many bytes of addresses are put below the stack: there may be no more.
const MOST_BYTES: usize = 8 << 10;

// SYS_* of linux/net.h.
const BIND: u64 = 2;
const CONNECT: u64 = 3;
const ACCEPT: u64 = 5;
const GETSOCKNAME: u64 = 6;
const GETPEERNAME: u64 = 7;
const SENDTO: u64 = 11;
const SENDMSG: u64 = 16;
const ACCEPT4: u64 = 18;
const SENDMMSG: u64 = 20;

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

    /// Makes an address that a structure points to another one, if it has to be. The pointer is at `at`, and the length comes
    /// after it, be it in a `struct msghdr` or among the arguments of socketcall.
    fn put_address(&mut self, change: &mut Change, at: u64, intent: Intent) -> Result<(), Stop> {
        let Some((name, length)) = self.message_name(at) else { return Ok(()) };
        if let Some((address, new)) = self.host_address(name, length, intent)? {
            let length = (address.len() as u32).to_le_bytes().to_vec();
            change.pokes.push(Poke { at, to: Some(address), then: length });
            change.told.extend(new.told);
        }
        Ok(())
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

    /// sendmmsg.
    pub(super) fn messages(&mut self) -> Result<Plan, Stop> {
        let mut change = Change::default();
        let (list, count) = (self.argument(1), self.argument(2));
        if let Some(fewer) = self.put_messages(&mut change, list, count)? {
            change.arguments.push((2, New::Value(fewer)));
        }
        Ok(plan(change))
    }

    /// The addresses of many messages. `Some`: only so many are to be sent now, as the kernel itself does it if one fails.
    fn put_messages(&mut self, change: &mut Change, list: u64, count: u64) -> Result<Option<u64>, Stop> {
        // struct mmsghdr: a msghdr and a count, padded.
        let size = if self.abi == 0 { 64 } else { 32 };
        for n in 0..count.min(MOST_MESSAGES) {
            match self.put_address(change, list + n * size, Intent::Look) {
                Err(Stop::Errno(_)) if n > 0 => return Ok(Some(n)),
                result => result?,
            }
            if change.bytes() > MOST_BYTES {
                return Ok(Some(n + 1));
            }
        }
        Ok(None)
    }

    /// getsockname, getpeername, accept: the address comes at the end.
    pub(super) fn bound(&mut self) -> Result<Plan, Stop> {
        let after = self.address_comes(self.argument(1), self.argument(2));
        Ok(plan(Change { after, ..Change::default() }))
    }

    /// An address comes at the end of the call; `None`: nobody wants it, or the kernel says what is wrong.
    fn address_comes(&mut self, at: u64, length_at: u64) -> Option<After> {
        let room = if at == 0 { return None } else { self.task.word(1, length_at).ok()? };
        Some(After::Address { at, length_at, room: room as usize })
    }

    /// All socket calls in one, with arguments in memory (net/socket.c): their numbers are those of linux/net.h.
    pub(super) fn socketcall(&mut self) -> Result<Plan, Stop> {
        let (call, list) = (self.argument(0), self.argument(1));
        let word = |n: u64| list + 4 * n;
        let mut argument = |n: u64| self.task.word(1, word(n)).unwrap_or(0);
        let (second, third) = (argument(1), argument(2));
        let mut change = Change::default();
        match call {
            BIND => self.put_address(&mut change, word(1), Intent::Create)?,
            CONNECT => self.put_address(&mut change, word(1), Intent::Look)?,
            SENDTO => self.put_address(&mut change, word(4), Intent::Look)?,
            SENDMSG => self.put_address(&mut change, second, Intent::Look)?,
            SENDMMSG => {
                if let Some(fewer) = self.put_messages(&mut change, second, third)? {
                    change.pokes.push(Poke {
                        at: word(2),
                        to: None,
                        then: (fewer as u32).to_le_bytes().to_vec(),
                    });
                }
            }
            ACCEPT | GETSOCKNAME | GETPEERNAME | ACCEPT4 => change.after = self.address_comes(second, third),
            _ => {}
        }
        Ok(plan(change))
    }
}

fn plan(change: Change) -> Plan {
    if change.is_nothing() { Plan::Go } else { Plan::Change(change) }
}

/// An address that the kernel gave, with the program's name for it; `None`: it is that.
pub(super) fn renamed(address: &[u8], name: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let virt = name(path_in(address)?)?;
    Some([&AF_UNIX.to_le_bytes()[..], &virt, b"\0"].concat())
}
