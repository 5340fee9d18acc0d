//! What the benchmark measures: many cheap calls, calls with a string, many short programs.

use std::io::BufRead as _;
use std::io::{Error, Result};

use conformance::sys;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat2};

/// `n` calls that do nothing.
pub(crate) fn getppid(n: i32) -> Result<i32> {
    for _ in 0..n {
        sys::getppid_raw();
    }
    Ok(0)
}

/// Opens and closes a file `n` times; `/dev/null` if none is named.
pub(crate) fn open_close(n: i32, path: Option<&str>) -> Result<i32> {
    let path = path.unwrap_or("/dev/null");
    for _ in 0..n {
        drop(std::fs::File::open(path)?);
    }
    Ok(0)
}

/// The same, and says how many mappings of 64 KiB the process has that are nobody's and can only be read. `how`: it dies of mmap
/// (`filtered`); it does what it can to have something else there, and opens the file once more (`taken`); five threads do it,
/// one after the other (`threads`); it names more paths than find room there (`filled`).
pub(crate) fn given_memory(n: i32, path: &str, how: Option<&str>) -> Result<i32> {
    if how == Some("filtered") {
        sys::die_of(&[libc::SYS_mmap])?;
    }
    let threads = if how == Some("threads") { 5 } else { 0 };
    for _ in 0..threads {
        std::thread::scope(|scope| scope.spawn(|| open_close(n, Some(path))).join())
            .expect("it does not panic")?;
    }
    if threads == 0 {
        open_close(n, Some(path))?;
    }
    if how == Some("filled") {
        fill(path)?;
    }
    let given = given()?;
    if how == Some("taken") {
        for &at in &given {
            let outcomes = [sys::unmap(at, GIVEN), sys::map_over(at, GIVEN)];
            crate::say!("{}", outcomes.map(crate::told).join(" "));
        }
        open_close(n, Some(path))?;
    }
    crate::say!("{}", given.len());
    Ok(0)
}

/// Names so many paths that memory for them is used again and again, and between them one path beside other arguments in memory.
fn fill(path: &str) -> Result<()> {
    let how = OpenHow::new().flags(OFlag::O_CLOEXEC);
    for i in 0..8000 {
        let missing = format!("{path}{}{i}", "x".repeat(i % 23 * 8));
        if std::fs::symlink_metadata(missing).is_ok() {
            return Err(Error::other("it is there"));
        }
        openat2(AT_FDCWD, path, how)?;
    }
    Ok(())
}

/// Bytes of memory that a tracer gives.
const GIVEN: usize = 64 << 10;

/// Where such mappings are.
fn given() -> Result<Vec<usize>> {
    let mut all = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open("/proc/self/maps")?).lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [range, "r--p", _, "00:00", "0"] = words[..]
            && let Some((start, end)) = range.split_once('-')
            && let [Ok(start), Ok(end)] = [start, end].map(|address| usize::from_str_radix(address, 16))
            && end - start == GIVEN
        {
            all.push(start);
        }
    }
    Ok(all)
}

/// The same, all at once in each of `threads` threads.
pub(crate) fn threads_open_close(threads: i32, n: i32, path: &str) -> Result<i32> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(|| open_close(n, Some(path)))).collect();
        all.into_iter().try_for_each(|one| one.join().expect("it does not panic").map(drop))
    })?;
    Ok(0)
}

/// Looks at a file `n` times.
pub(crate) fn stat(n: i32, path: &str) -> Result<i32> {
    for _ in 0..n {
        std::fs::metadata(path)?;
    }
    Ok(0)
}

/// Reads a byte of a file `n` times.
pub(crate) fn pread(n: i32, path: &str) -> Result<i32> {
    let file = std::fs::File::open(path)?;
    for _ in 0..n {
        std::os::unix::fs::FileExt::read_at(&file, &mut [0], 0)?;
    }
    Ok(0)
}

/// Reads a file to its end, 128 KiB at a time.
pub(crate) fn read_all(path: &str) -> Result<i32> {
    let (mut file, mut buffer) = (std::fs::File::open(path)?, vec![0; 128 * 1024]);
    while std::io::Read::read(&mut file, &mut buffer)? > 0 {}
    Ok(0)
}

/// Starts `n` programs, one after the other.
pub(crate) fn fork_exec(n: i32) -> Result<i32> {
    for _ in 0..n {
        if !std::process::Command::new("/bin/true").status()?.success() {
            return Err(Error::other("/bin/true failed"));
        }
    }
    Ok(0)
}
