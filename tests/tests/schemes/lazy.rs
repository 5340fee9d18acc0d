//! Large and slow files through `tracefd run`: lazy mounts, and transfers that hold nobody up.

use std::process::Command;

use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::needs::Need;
use conformance::tracer::tracefd;

use super::server::{Bad, big_piece};

/// Adds the tests.
pub(crate) fn add(suite: &mut Suite) {
    let python = [Need::Tracefd, Need::Program("python3")];
    suite.test("lazy_gigabyte_is_not_transferred_to_be_looked_into", &python, gigabyte);
    suite.test("lazy_file_is_whole_for_every_kind_of_reader", &python, readers);
    for option in ["", ",lazy"] {
        suite.test(
            &format!("one_download_holds_up_nobody{}", option.replace(',', "_")),
            &python,
            move || gate(option),
        );
    }
}

/// What a Python script says in the mount `/tracefd-b` of a server.
fn python(server: &Bad, option: &str, below: &str, script: &str) -> std::io::Result<String> {
    let mount = format!("/tracefd-b{option}={}{below}", server.url());
    let mut command = Command::new(tracefd());
    command.args(["run", "-b", &mount, "-b", "/tracefd-m=mem:", "--", "python3", "-c", script]);
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

fn gigabyte() -> Outcome {
    let server = Bad::serve()?;
    let script = r#"
import os
file = os.open("/tracefd-b", os.O_RDONLY)
print(os.fstat(file).st_size)
print(len(os.read(file, 100000)), os.pread(file, 8, 65536 * 5).hex(), os.lseek(file, 65536 * 20, 0))
print(b"".join(os.read(file, 3) for _ in range(3))[:8].hex(), os.fstat(file).st_blocks * 512 < 8 << 20)
"#;
    let piece = |number| {
        let mut piece = Vec::new();
        big_piece(number, &mut piece);
        piece[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let expected = format!("{}\n100000 {} {}\n{} True\n", 1_u64 << 30, piece(5), 65536 * 20, piece(20));
    same("what is read", &expected, &python(&server, ",lazy", "/big/16384", script)?)?;
    let asked = server.count("GET /big/16384");
    ensure(asked == 1, || format!("it was asked for {asked} times"))
}

/// Each in a run of its own, so that nobody finds what another has fetched.
fn readers() -> Outcome {
    let server = Bad::serve()?;
    let mut sum = 0_u64;
    for number in 0..48 {
        let mut piece = Vec::new();
        big_piece(number, &mut piece);
        sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    let begin = "import os, mmap, shutil, sys\nname, copy = '/tracefd-b', '/tracefd-m/copy'\n";
    let end = "\nprint(sum(data))\n";
    for reader in [
        "data = open(name, 'rb').read()",
        "data = open(name, 'rb', 0).read()",
        "data = mmap.mmap(os.open(name, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:]",
        "shutil.copyfile(name, copy); data = open(copy, 'rb').read()",
        "os.system(f'cp --sparse=always {name} {copy}'); data = open(copy, 'rb').read()",
        "os.system(f'dd if={name} of={copy} bs=1M status=none'); data = open(copy, 'rb').read()",
        "os.system(f'tail -c 1572864 {name} > {copy}; head -c 1572864 {name} >> {copy}'); data = open(copy, 'rb').read()",
        "f = os.open(name, 0); data = bytes().join(os.preadv(f, [b := bytearray(65536)], n << 16) and bytes(b) for n in range(48))",
        "f = os.open(name, 0); b = [bytearray(3000000) for _ in range(3)]; n = os.readv(f, b); data = bytes().join(b)[:n]",
        "f = os.open(name, 0); o = os.open(copy, os.O_RDWR | os.O_CREAT); [os.copy_file_range(f, o, 1 << 20) for _ in range(8)]; data = open(copy, 'rb').read()",
        "f = os.open(name, 0); hole = os.lseek(f, 0, os.SEEK_HOLE); data = os.pread(f, hole, 0)",
        "data = os.read(os.open('/proc/self/fd/%d' % os.open(name, 0), 0), 1 << 23)",
    ] {
        let found = python(&server, ",lazy", "/big/48", &format!("{begin}{reader}{end}"))?;
        same(reader, &format!("{sum}\n"), &found)?;
    }
    Ok(())
}

/// One thread's file hangs until another thread of the same process has done all that it wanted.
fn gate(option: &str) -> Outcome {
    let server = Bad::serve()?;
    let script = r#"
import os, threading
at = "/tracefd-b/"
def slow(): said.append(open(at + "gate").read())
said = []
thread = threading.Thread(target=slow)
thread.start()
print(len(open(at + "begun").read()), os.stat(at + "gate").st_size, len(open(at + "plain").read()), len(said))
try: open(at + "404")
except FileNotFoundError as error: print(error.strerror)
os.system("cat /tracefd-b/go > /dev/null")
thread.join()
print(said[0] == open(at + "plain").read())
"#;
    let found = python(&server, option, "/", script)?;
    same("what the threads see", "100 100 100 0\nNo such file or directory\nTrue\n", &found)
}
