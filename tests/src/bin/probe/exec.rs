//! Ways to start a program: each runs in a child, which becomes a program of the tree and says what it sees of itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Probe, line, status};

/// Way, and what is prepared for it.
const WAYS: &[&str] = &[
    "execve",
    "execve-relative",
    "execve-script",
    "execve-script-relative",
    "execve-script-argument",
    "execve-script-of-script",
    "execve-missing",
    "execve-not-executable",
    "execve-directory",
    "execve-missing-interpreter",
    "execveat",
    "execveat-script",
    "execveat-empty",
    "execveat-nofollow",
];

/// What a child does: tells its arguments and its own file.
const TELL: &str = "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\"\n";

/// All of them, on both ABIs.
pub(crate) fn all(probe: &mut Probe) {
    let own = std::env::current_exe().expect("/proc is mounted");
    for abi in ["0", "1"] {
        for way in WAYS {
            probe.prepare();
            let at = |name: &str| probe.tree.join(name);
            let dir = probe.tree.parent().expect("a directory above").to_owned();
            let made: std::io::Result<()> = (|| {
                fs::copy("/bin/echo", at("echo"))?;
                fs::write(at("script"), TELL)?;
                fs::write(at("spaced"), format!("#! {} -n first second\n", probe.path("echo")))?;
                fs::write(at("outer"), format!("#!{} opt\n", probe.path("script")))?;
                fs::write(at("lost"), format!("#!{}\n", probe.path("none")))?;
                std::os::unix::fs::symlink("echo", at("le"))?;
                for name in ["echo", "script", "spaced", "outer", "lost"] {
                    fs::set_permissions(at(name), fs::Permissions::from_mode(0o755))?;
                }
                Ok(())
            })();
            made.expect("programs");
            let output =
                Command::new(&own).arg(&dir).args(["exec", abi, way]).output().expect("it can be started");
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            let text = text.replace(probe.tree.to_str().expect("UTF-8"), "@");
            line(&format!("{abi} {way}: {:?} {text:?}", output.status.code()));
        }
    }
}

/// One, in this process.
pub(crate) fn one(probe: &mut Probe, args: &[String]) {
    let (abi, way) = (args[0].parse::<usize>().expect("an ABI"), &args[1][..]);
    std::env::set_current_dir(&probe.tree).expect("the tree is there");
    let file = match way {
        "execve-relative" => "./echo".to_owned(),
        "execve-script-relative" => "./script".to_owned(),
        "execve-script" => probe.path("script"),
        "execve-script-argument" => probe.path("spaced"),
        "execve-script-of-script" => probe.path("outer"),
        "execve-missing" => probe.path("none"),
        "execve-not-executable" => probe.path("f"),
        "execve-directory" => probe.path("d"),
        "execve-missing-interpreter" => probe.path("lost"),
        "execveat-script" => "../t/script".to_owned(),
        "execveat" => "echo".to_owned(),
        "execveat-empty" => String::new(),
        "execveat-nofollow" => "le".to_owned(),
        _ => probe.path("echo"),
    };
    let size = if abi == 0 { 8 } else { 4 };
    let path = probe.arena.put(file.as_bytes());
    let texts = ["zero", "one", "two"].map(|text| probe.arena.put(text.as_bytes()));
    let list = |words: &[u64]| -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()[..size].to_vec()).collect()
    };
    let argv = probe.arena.put(&list(&[texts[0], texts[1], texts[2], 0]));
    let env = probe.arena.put(&list(&[0]));
    let name = if way.starts_with("execveat") { "execveat" } else { "execve" };
    let number = probe.numbers[&(abi, name)];
    let opened = if way == "execveat-empty" { "echo" } else { "d/../." };
    let dir = fs::File::open(probe.tree.join(opened)).expect("it is there");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&dir) as u64;
    // So that `/dev/fd/N/…` is there for the interpreter.
    probe.arena.call(0, libc::SYS_fcntl, [fd, libc::F_SETFD as u64, 0, 0, 0, 0]);
    let flags = match way {
        "execveat-empty" => 0x1000,
        "execveat-nofollow" => 0x100,
        _ => 0,
    };
    let result = match name {
        "execve" => probe.arena.call(abi, number, [path, argv, env, 0, 0, 0]),
        _ => probe.arena.call(abi, number, [fd, path, argv, env, flags, 0]),
    };
    line(&status(result));
}
