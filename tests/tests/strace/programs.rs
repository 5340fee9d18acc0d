//! Real programs, each doing something small in a directory of its own.

use std::fs;
use std::io::Result;
use std::path::Path;

use conformance::needs::Need;

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    /// What tests call it.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) needs: &'static [Need],
    files: &'static [(&'static str, &'static str)],
    command: &'static [&'static str],
}

impl Program {
    /// Writes its files, and says what to run.
    pub(crate) fn prepare(&self, dir: &Path) -> Result<Vec<String>> {
        for (name, text) in self.files {
            fs::write(dir.join(name), text)?;
        }
        Ok(self.command.iter().map(|&word| word.to_owned()).collect())
    }
}

const fn program(
    name: &'static str,
    needs: &'static [Need],
    files: &'static [(&'static str, &'static str)],
    command: &'static [&'static str],
) -> Program {
    Program { name, needs, files, command }
}

/// A server on a port that the system chooses, and a client of it, one after another.
const CURL: &str = "mkfifo port
python3 -u -c '
import http.server, os, sys
server = http.server.HTTPServer((\"127.0.0.1\", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.handle_request()' >port 2>/dev/null &
read port <port
exec curl -s http://127.0.0.1:$port/text";

/// The ten of them.
pub(crate) const PROGRAMS: &[Program] = &[
    program("ls", &[], &[("a", ""), ("b", "b")], &["ls", "-la", "."]),
    program("find", &[], &[("a", "")], &["find", "/usr/lib/git-core", ".", "-type", "f", "-size", "+1"]),
    program("tar", &[], &[("a", "text"), ("b", "more")], &["tar", "-cf", "out.tar", "a", "b"]),
    program("git", &[Need::Program("git")], &[], &["git", "init", "-q", "folder"]),
    program(
        "gcc",
        &[Need::Program("gcc")],
        &[("a.c", "int main(void) { return 0; }\n")],
        &["gcc", "-save-temps", "-c", "a.c"],
    ),
    program("python3", &[Need::Program("python3")], &[("a.py", PYTHON)], &["python3", "a.py"]),
    program(
        "bash",
        &[Need::Program("bash")],
        &[],
        &["bash", "-c", "echo a >a; cat a; (exit 3); kill -TERM $$"],
    ),
    program(
        "curl",
        &[Need::Program("curl"), Need::Program("python3")],
        &[("text", "answer\n")],
        &["bash", "-c", CURL],
    ),
    program(
        "sqlite3",
        &[Need::Program("sqlite3")],
        &[],
        &["sqlite3", "t.db", "create table t(a); insert into t values(1); select * from t;"],
    ),
    program("node", &[Need::Program("node")], &[], &["node", "--v8-pool-size=0", "-e", "console.log(1)"]),
];

const PYTHON: &str = "import socket, subprocess, threading
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b'hello')
print(peer.recv(9))
thread = threading.Thread(target=print, args=('thread',))
thread.start()
thread.join()
print(subprocess.call(['/bin/true']))
";
