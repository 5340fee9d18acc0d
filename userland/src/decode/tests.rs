//! Decoders against memory in a vector: both halves of calls as text.

use kernel_model::abi::{Errno, Result};

use super::{FAMILIES, Hex, Memory, Show};
use crate::tables::{Calls, Kind, Table};
use crate::trace::call::{InCall, put_call, put_rest, put_result};

/// Bytes at an address; whatever is outside cannot be read.
struct At(u64, Vec<u8>);
impl Memory for At {
    fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
        let from = address.checked_sub(self.0).ok_or(Errno::EFAULT)? as usize;
        let bytes = self.1.get(from..from + buf.len()).ok_or(Errno::EFAULT)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
    fn descriptor(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

fn text(abi: u64, name: &str, [a, b, c, d, e, f]: [u64; 6], memory: &mut At, limit: usize) -> String {
    let linux = Calls::linux();
    let call = linux.tables()[abi as usize].iter().find(|call| call.name == name).unwrap();
    let mut out = Vec::new();
    let words = [a, b, c, d, e, f, 0];
    put_call(&mut out, Some(call), call.number, &words, abi, memory, Show { limit, ..Show::DEFAULT });
    String::from_utf8(out).unwrap()
}

#[test]
fn paths_flags_and_the_current_folder() {
    let mut memory = At(0x1000, [b"/etc/pass\"wd\n\0".as_slice(), &[0; 4096]].concat());
    let at = -100i64 as u64;
    assert_eq!(
        text(0, "openat", [at, 0x1000, 0x8_0000, 0o644, 0, 0], &mut memory, 4),
        r#"openat(AT_FDCWD, "/etc/pass\"wd\n", O_RDONLY|O_CLOEXEC"#
    );
    assert_eq!(text(0, "openat", [5, 0x10, 0, 0, 0, 0], &mut memory, 32), "openat(5, 0x10, O_RDONLY");
    assert_eq!(text(0, "openat", [5, 0, 0, 0, 0, 0], &mut memory, 32), "openat(5, NULL, O_RDONLY");
}

#[test]
fn a_path_is_whole_at_a_pages_end_and_across_blocks() {
    let long = vec![b'a'; 400];
    let mut bytes = vec![1; 4096 - 401];
    bytes.extend_from_slice(&long);
    bytes.push(0);
    let start = 0x2000 + 4096 - 401;
    let expected = format!("chdir(\"{}\"", "a".repeat(400));
    assert_eq!(text(0, "chdir", [start, 0, 0, 0, 0, 0], &mut At(0x2000, bytes), 32), expected);
    let unended = At(0x2000, vec![b'b'; 256]);
    let expected = format!("chdir(\"{}\"...", "b".repeat(256));
    assert_eq!(text(0, "chdir", [0x2000, 0, 0, 0, 0, 0], &mut { unended }, 32), expected);
}

#[test]
fn buffers_are_cut_at_the_limit_and_escaped() {
    let mut memory = At(0x1000, b"ab\x01\x027\xffcdef".to_vec());
    assert_eq!(text(0, "write", [1, 0x1000, 6, 0, 0, 0], &mut memory, 32), r#"write(1, "ab\1\0027\377", 6"#);
    assert_eq!(text(0, "write", [1, 0x1000, 10, 0, 0, 0], &mut memory, 2), r#"write(1, "ab"..., 10"#);
    assert_eq!(text(0, "write", [1, 0x9000, 10, 0, 0, 0], &mut memory, 2), "write(1, 0x9000, 10");
    assert_eq!(text(0, "write", [1, 0x1000, 0, 0, 0, 0], &mut memory, 2), r#"write(1, "", 0"#);
}

#[test]
fn exec_lists_its_arguments_on_both_abis() {
    let mut bytes = b"ls\0-l\0\0\0".to_vec();
    for word in [0x1000u64, 0x1003, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for word in [0x1000u32, 0x1003, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.resize(4096, 0);
    let mut memory = At(0x1000, bytes);
    let wide = [0x1000, 0x1008, 0x1010, 0, 0, 0];
    assert_eq!(text(0, "execve", wide, &mut memory, 32), r#"execve("ls", ["ls", "-l"], 0x1010 /* 1 var */"#);
    assert_eq!(text(0, "execve", wide, &mut memory, 1), r#"execve("ls", ["l"..., ...], 0x1010 /* 1 var */"#);
    let narrow = [0x1000, 0x1020, 0, 0, 0, 0];
    assert_eq!(text(1, "execve", narrow, &mut memory, 32), r#"execve("ls", ["ls", "-l"], NULL"#);
    assert_eq!(text(0, "execve", [0x1000, 8, 0, 0, 0, 0], &mut memory, 32), r#"execve("ls", 0x8, NULL"#);
}

#[test]
fn unknown_calls_show_all_words() {
    let mut out = Vec::new();
    put_call(&mut out, None, 999, &[0xffff_fff6, 2, 0, 0, 9, 0, 0], 1, &mut At(0, vec![]), Show::DEFAULT);
    assert_eq!(out, b"syscall_0x3e7(0xfffffff6, 0x2, 0, 0, 0x9, 0");
    let words = [0xffff_fff6, 2, 0, 0, 0, 0];
    assert_eq!(text(1, "kill", words, &mut At(0, vec![]), 32), "kill(-10, SIGINT");
}

/// Both halves, and the result.
fn ended(name: &str, [a, b, c, d, e, f]: [u64; 6], register: i64, memory: &mut At) -> String {
    let linux = Calls::linux();
    let call = linux.tables()[0].iter().find(|call| call.name == name).unwrap();
    let (mut out, words, register) = (Vec::new(), [a, b, c, d, e, f, 0], register as u64);
    let begun = put_call(&mut out, Some(call), call.number, &words, 0, memory, Show::DEFAULT);
    let began = InCall { id: 1, number: call.number, abi: 0, words, begun };
    put_rest(&mut out, Some(call), &began, register, memory, Show::DEFAULT);
    out.extend_from_slice(b") = ");
    put_result(&mut out, Some(call), &words, 0, register, memory, Show::DEFAULT);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_a_call_fills_in_is_shown_when_it_did() {
    let mut memory = At(0x1000, b"abcdefgh".to_vec());
    assert_eq!(ended("read", [3, 0x1000, 4, 0, 0, 0], 4, &mut memory), r#"read(3, "abcd", 4) = 4"#);
    assert_eq!(
        ended("read", [3, 0x1000, 4, 0, 0, 0], -9, &mut memory),
        "read(3, 0x1000, 4) = -1 EBADF (Bad file descriptor)"
    );
    assert_eq!(ended("pipe2", [0x9000, 0x800, 0, 0, 0, 0], 0, &mut memory), "pipe2(0x9000, O_NONBLOCK) = 0");
}

#[test]
fn arguments_that_this_form_of_a_call_has_not_are_not_shown() {
    let mut memory = At(0, vec![]);
    assert_eq!(
        ended("fcntl", [3, 3, 0x55, 0, 0, 0], 0x8802, &mut memory),
        "fcntl(3, F_GETFL) = 0x8802 (flags O_RDWR|O_NONBLOCK|O_LARGEFILE)"
    );
    assert_eq!(
        ended("clone", [17, 0, 1, 2, 3, 0], 9, &mut memory),
        "clone(child_stack=NULL, flags=SIGCHLD) = 9"
    );
}

#[test]
fn poll_says_what_is_ready() {
    let mut bytes = Vec::new();
    for (fd, events, answer) in [(3u32, 1u16, 0u16), (4, 5, 4), (5, 1, 17)] {
        bytes.extend_from_slice(&fd.to_le_bytes());
        bytes.extend_from_slice(&events.to_le_bytes());
        bytes.extend_from_slice(&answer.to_le_bytes());
    }
    let mut memory = At(0x1000, bytes);
    assert_eq!(
        ended("poll", [0x1000, 3, 0, 0, 0, 0], 2, &mut memory),
        "poll([{fd=3, events=POLLIN}, {fd=4, events=POLLIN|POLLOUT}, {fd=5, events=POLLIN}], 3, 0) = 2 \
         ([{fd=4, revents=POLLOUT}, {fd=5, revents=POLLIN|POLLHUP}])"
    );
    assert_eq!(ended("poll", [0, 0, 9, 0, 0, 0], 0, &mut memory), "poll(NULL, 0, 9) = 0 (Timeout)");
}

#[test]
fn dates_follow_the_calendar() {
    let mut bytes = Vec::new();
    for word in [951_782_400u64, 5, 1_234_567_890, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let mut memory = At(0x1000, bytes);
    assert_eq!(
        ended("utimensat", [3, 0, 0x1000, 0, 0, 0], 0, &mut memory),
        "utimensat(3, NULL, [{tv_sec=951782400, tv_nsec=5} /* 2000-02-29T00:00:00.000000005+0000 */, \
         {tv_sec=1234567890, tv_nsec=0} /* 2009-02-13T23:31:30+0000 */], 0) = 0"
    );
}

#[test]
fn every_decoder_has_its_own_name_and_a_call_that_uses_it() {
    let linux = Calls::linux();
    let used = |name: &str| {
        let arguments = linux.tables().iter().flat_map(Table::iter).flat_map(|call| call.arguments.iter());
        arguments.into_iter().any(|argument| match argument.kind {
            Kind::By(decoder) | Kind::Filled(decoder) | Kind::Late(decoder) => decoder.name == name,
            _ => false,
        })
    };
    let mut names: Vec<_> = FAMILIES.iter().copied().flatten().map(|decoder| decoder.name).collect();
    let unused: Vec<_> = names.iter().filter(|name| !used(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two decoders of one name");
}

fn shown(name: &str, words: [u64; 6], register: i64, memory: &mut At, show: Show) -> String {
    let linux = Calls::linux();
    let call = linux.tables()[0].iter().find(|call| call.name == name).unwrap();
    let [a, b, c, d, e, f] = words;
    let (mut out, words) = (Vec::new(), [a, b, c, d, e, f, 0]);
    let begun = put_call(&mut out, Some(call), call.number, &words, 0, memory, show);
    let began = InCall { id: 1, number: call.number, abi: 0, words, begun };
    put_rest(&mut out, Some(call), &began, register as u64, memory, show);
    String::from_utf8(out).unwrap()
}

#[test]
fn strings_in_hexadecimal_as_far_as_is_asked_for() {
    let mut memory = At(0x1000, [b"plain\t\0".as_slice(), b"b\xc3\xa9\0", &[0; 4096]].concat());
    let mut path = |address, hex| {
        shown("chdir", [address, 0, 0, 0, 0, 0], 0, &mut memory, Show { hex, ..Show::DEFAULT })
    };
    assert_eq!(path(0x1000, Hex::NotText), r#"chdir("plain\t""#);
    assert_eq!(path(0x1007, Hex::NotText), r#"chdir("\x62\xc3\xa9""#);
    assert_eq!(path(0x1007, Hex::None), r#"chdir("b\303\251""#);
    assert_eq!(path(0x1000, Hex::All), r#"chdir("\x70\x6c\x61\x69\x6e\x09""#);
}

#[test]
fn everything_in_full_shows_lists_variables_and_structures() {
    let full = Show { full: true, limit: 2, ..Show::DEFAULT };
    let mut bytes = b"a\0b\0X=1\0".to_vec();
    for word in [0x1000u64, 0x1002, 0x1002, 0, 0x1004, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.resize(8192, 0);
    let exec = [0x1000, 0x1008, 0x1028, 0, 0, 0];
    let mut memory = At(0x1000, bytes);
    assert_eq!(shown("execve", exec, 0, &mut memory, full), r#"execve("a", ["a", "b", "b"], ["X="...]"#);
    let mut stat = vec![0; 144];
    stat[0] = 9; // st_dev
    stat[24..28].copy_from_slice(&0o100_644u32.to_le_bytes());
    stat[72] = 1; // st_atime
    let mut memory = At(0x1000, stat);
    assert_eq!(
        shown("fstat", [3, 0x1000, 0, 0, 0, 0], 0, &mut memory, full),
        "fstat(3, {st_dev=makedev(0, 0x9), st_ino=0, st_mode=S_IFREG|0644, st_nlink=0, st_uid=0, st_gid=0, \
         st_blksize=0, st_blocks=0, st_size=0, st_atime=1 /* 1970-01-01T00:00:01+0000 */, st_atime_nsec=0, \
         st_mtime=0, st_mtime_nsec=0, st_ctime=0, st_ctime_nsec=0}"
    );
}

#[test]
fn entries_of_folders_are_counted_or_listed_also_if_they_are_nonsense() {
    let mut bytes = Vec::new();
    for (inode, name) in [(5u64, &b"a\0\0\0\0"[..]), (6, b"bc\0\0\0")] {
        bytes.extend_from_slice(&inode.to_le_bytes());
        bytes.extend_from_slice(&7u64.to_le_bytes());
        bytes.extend_from_slice(&24u16.to_le_bytes());
        bytes.push(8);
        bytes.extend_from_slice(name);
    }
    let (mut memory, words) = (At(0x1000, bytes), [3, 0x1000, 4096, 0, 0, 0]);
    assert_eq!(
        shown("getdents64", words, 48, &mut memory, Show::DEFAULT),
        "getdents64(3, 0x1000 /* 2 entries */, 4096"
    );
    let full = Show { full: true, ..Show::DEFAULT };
    assert_eq!(
        shown("getdents64", words, 48, &mut memory, full),
        r#"getdents64(3, [{d_ino=5, d_off=7, d_reclen=24, d_type=DT_REG, d_name="a"}, {d_ino=6, d_off=7, d_reclen=24, d_type=DT_REG, d_name="bc"}], 4096"#
    );
    for length in 0..=255 {
        memory.1[16] = length;
        shown("getdents64", words, 48, &mut memory, full);
        shown("getdents", words, 48, &mut memory, full);
    }
}
