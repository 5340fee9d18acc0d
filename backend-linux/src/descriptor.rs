//! What a task's descriptors refer to: the links of /proc/pid/fd, and what is behind them.

use std::ffi::CString;
use std::fs;
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use kernel_model::machine::{Error, Medium, Pid, Result, Socket, Which};

use crate::facts;
use crate::sockets;
use crate::sys;

fn link(pid: i32, which: Which) -> String {
    match which {
        Which::Folder => format!("/proc/{pid}/cwd"),
        Which::Number(number) => format!("/proc/{pid}/fd/{number}"),
    }
}

/// A link of /proc that is not there: its task is not, or nothing is open there.
fn absent<T>(pid: i32, error: &IoError) -> Result<Option<T>> {
    match error.kind() {
        ErrorKind::PermissionDenied => Err(Error::Denied),
        _ => facts::stat(pid).map(|_| None),
    }
}

/// As the link says it: a file that was removed ends with ` (deleted)`.
pub(crate) fn name(pid: i32, which: Which) -> Result<Option<Vec<u8>>> {
    match fs::read_link(link(pid, which)) {
        Ok(path) => Ok(Some(path.into_os_string().into_vec())),
        Err(error) => absent(pid, &error),
    }
}

/// Devices, sockets and pidfds.
pub(crate) fn facts(pid: i32, which: Which) -> Result<Option<Medium>> {
    let link = link(pid, which);
    let status = match fs::metadata(&link) {
        Ok(status) => status,
        Err(error) => return absent(pid, &error),
    };
    let kind = status.file_type();
    Ok(Some(if kind.is_char_device() || kind.is_block_device() {
        let device = status.rdev();
        let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
        Medium::Device { character: kind.is_char_device(), major, minor }
    } else if kind.is_socket() {
        Medium::Socket(socket(pid, &link, status.ino()))
    } else {
        process(pid, which).map_or(Medium::Named, Medium::Process)
    }))
}

/// sockfs tells a socket's protocol as an attribute of its file (net/socket.c, sockfs_xattr_get). A socket that lies in a
/// folder is no open one, and has none.
fn socket(pid: i32, link: &str, id: u64) -> Socket {
    let path = CString::new(link).unwrap_or_default();
    let protocol = sys::attribute(&path, c"system.sockprotoname").unwrap_or_default();
    let end = protocol.iter().position(|&byte| byte == 0).unwrap_or(protocol.len());
    let protocol = String::from_utf8_lossy(&protocol[..end]).into_owned();
    let (local, peer) = sockets::addresses(pid, &protocol, id);
    Socket { protocol, id, local, peer }
}

/// `Pid:` of /proc/pid/fdinfo, which only a pidfd has (pidfd_open(2)); -1 once the process was waited for.
fn process(pid: i32, which: Which) -> Option<Pid> {
    let Which::Number(number) = which else { return None };
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let of = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    of.trim().parse().ok().map(Pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn own_descriptors() {
        let own = std::process::id() as i32;
        let null = fs::File::open("/dev/null").unwrap();
        let which = Which::Number(null.as_raw_fd() as u32);
        assert_eq!(name(own, which), Ok(Some(b"/dev/null".to_vec())));
        assert_eq!(facts(own, which), Ok(Some(Medium::Device { character: true, major: 1, minor: 3 })));
        assert_eq!(name(own, Which::Number(999_999)), Ok(None));
        assert_eq!(facts(own, Which::Number(999_999)), Ok(None));
        let folder = std::env::current_dir().unwrap().into_os_string().into_vec();
        assert_eq!(name(own, Which::Folder), Ok(Some(folder)));
        assert_eq!(name(i32::MAX, Which::Folder), Err(Error::Gone));
    }

    #[test]
    fn sockets_have_protocols_addresses_and_peers() {
        let own = std::process::id() as i32;
        let of = |file: &dyn AsRawFd| match facts(own, Which::Number(file.as_raw_fd() as u32)) {
            Ok(Some(Medium::Socket(socket))) => socket,
            other => panic!("{other:?}"),
        };
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let (listening, connected) = (of(&server), of(&client));
        assert_eq!((&*listening.protocol, listening.peer), ("TCP", None));
        assert_eq!(listening.local, Some(address.to_string()));
        assert_eq!(connected.local, Some(client.local_addr().unwrap().to_string()));
        assert_eq!(connected.peer, Some(address.to_string()));
        let six = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let datagrams = of(&six);
        assert_eq!(datagrams.protocol, "UDPv6");
        assert_eq!(datagrams.local, Some(six.local_addr().unwrap().to_string()));
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let (one, other) = (of(&one), of(&other));
        assert_eq!((one.local, one.peer), (None, Some(other.id.to_string())));
    }
}
