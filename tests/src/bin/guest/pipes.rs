//! Pipes: a pipeline of processes, the errors and signals of broken and empty ones.

use std::io::{Read, Result, Write};

use conformance::sys;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::{say, told, waited};

const LEN: usize = 1 << 20;

/// The pipeline, then the errors.
pub(crate) fn all() -> Result<i32> {
    let (mut doubled, out) = crate::pipe()?;
    let filter = sys::fork(|| {
        let Ok((mut numbers, source)) = crate::pipe() else { return 1 };
        let writer = sys::fork(|| {
            let bytes: Vec<u8> = (0..LEN).map(|i| i as u8).collect();
            i32::from((&source).write_all(&bytes).is_err())
        });
        drop(source);
        let mut buf = [0; 512];
        while let Ok(n @ 1..) = numbers.read(&mut buf) {
            buf[..n].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(2));
            if (&out).write_all(&buf[..n]).is_err() {
                return 2;
            }
        }
        i32::from(writer.and_then(|pid| sys::wait(pid, 0)).is_err())
    })?;
    drop(out);
    let mut bytes = Vec::new();
    doubled.read_to_end(&mut bytes)?;
    say!("{} bytes, sum {}", bytes.len(), bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>());
    say!("filter {}", waited(filter, 0));

    for disposition in [libc::SIG_DFL, libc::SIG_IGN] {
        let child = sys::fork(|| {
            let _ = sys::set_disposition(libc::SIGPIPE, disposition);
            let Ok((reader, mut writer)) = crate::pipe() else { return 1 };
            drop(reader);
            writer.write_all(b"!").map_err(|error| error.raw_os_error()).err().flatten().unwrap_or(0)
        })?;
        say!("broken pipe: {}", waited(child, 0));
    }

    let (mut reader, mut writer) = crate::pipe()?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    say!("empty: {}", told(reader.read(&mut [0])));
    let full = (0..).map(|_| writer.write(&[0; 4096])).find(|result| result.is_err());
    say!("full: {}", told(full.expect("no end without an error")));
    drop(writer);
    say!("then {}", told(reader.read(&mut [0; 8192])));
    Ok(0)
}
