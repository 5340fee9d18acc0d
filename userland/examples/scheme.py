#!/usr/bin/env python3
"""A scheme in any language: `tracefd run -b /planets=cmd:'python3 scheme.py' -- ls -l /planets`."""
import json, sys, time

EISDIR, ENOENT, ELOOP, EBADF, ENOSYS = 21, 2, 40, 9, 38
O_SYMLINK = 0x4000_0000
DIR, FILE, LINK = 0x4000, 0x8000, 0xA000

BORN = int(time.time())
TREE = {                                    # path: (type and permission bits, content)
    "": (DIR | 0o755, b"inner\nouter\nnow\n"),
    "inner": (DIR | 0o755, b"venus\nmars\n"),
    "inner/venus": (FILE | 0o644, b"12104 km\n"),
    "inner/mars": (FILE | 0o644, b"6779 km\n"),
    "outer": (LINK | 0o777, b"inner"),
    "now": (FILE | 0o444, None),            # made when it is opened
}
open_files, next_fd = {}, 0


def answer(request, data):
    global next_fd
    op, fd = request["op"], request.get("fd")
    if op == "open":
        if request["path"] not in TREE:
            return {"errno": ENOENT}
        mode, content = TREE[request["path"]]
        if mode & 0xF000 == LINK and not request["flags"] & O_SYMLINK:
            return {"errno": ELOOP}
        if content is None:
            content = f"{time.time()}\n".encode()
        next_fd += 1
        open_files[next_fd] = [mode, content, 0]
        return {"ok": next_fd}
    if fd not in open_files:
        return {"errno": EBADF}
    mode, content, at = open_files[fd]
    if op == "read":
        piece = content[at:at + request["count"]]
        open_files[fd][2] += len(piece)
        return {"data": piece}
    if op == "fstat":
        return {"stat": {"mode": mode, "size": len(content), "mtime": BORN}}
    if op == "close":
        del open_files[fd]
        return {"ok": 0}
    return {"errno": ENOSYS}                # dup write seek fcntl fevent fpath: nobody needs them here


for line in sys.stdin.buffer:
    request = json.loads(line)
    data = sys.stdin.buffer.read(request["data"]) if request["op"] == "write" else b""
    reply = answer(request, data)
    bytes_after = reply.pop("data", None)
    if bytes_after is not None:
        reply["data"] = len(bytes_after)
    sys.stdout.buffer.write(json.dumps({"id": request["id"], **reply}).encode() + b"\n" + (bytes_after or b""))
    sys.stdout.buffer.flush()
