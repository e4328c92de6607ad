# SPDX-License-Identifier: Apache-2.0
"""A file system of a user that never answers when a file is closed: whoever closes one waits in the
kernel for as long as this server lives, SIGKILL or not. FUSE by its raw protocol, for root."""
import ctypes
import errno
import os
import struct
import threading

LOOKUP, FORGET, GETATTR, OPEN, WRITE, RELEASE, FLUSH, INIT, INTERRUPT, BATCH_FORGET = (
    1, 2, 3, 14, 16, 18, 25, 26, 36, 42)
WRITEBACK_CACHE = 1 << 16
DIRECT_IO = 1 << 0
MNT_FORCE, MNT_DETACH = 1, 2
ROOT, FILE = 1, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def attributes(node):
    mode, size = (0o40777, 0) if node == ROOT else (0o100666, 4096)
    return struct.pack("<6Q10I", node, size, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class MuteFs:
    """Mounted at `path`, with one file, which has the name `file`. Opened with O_SYNC it is without a
    cache: whoever maps it so waits, his memory locked, until all that was written has been taken."""

    def __init__(self, path, file="mute"):
        self.path, self.file = path, os.path.join(path, file)
        self.waiting = []  # what was asked and not answered
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"mute", path.encode(), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self.serve, daemon=True).start()

    def end(self):
        """All who wait go on, with an error."""
        if self.device >= 0:
            LIBC.umount2(self.path.encode(), MNT_FORCE | MNT_DETACH)
            os.close(self.device)
            self.device = -1

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 18)
            except OSError as why:
                if why.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return
            _, code, unique, node = struct.unpack_from("<IIQQ", request)
            answer = self.answer(code, node, request[40:])
            if answer is None:
                continue
            error, body = answer
            try:
                os.write(self.device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except OSError:
                return

    def answer(self, code, node, asked):
        """(error, body), or None: nobody answers."""
        if code == INIT:
            return 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, WRITEBACK_CACHE, 16, 12, 65536, 1,
                                  16, 0, 0)
        if code == LOOKUP:
            return 0, struct.pack("<QQQQII", FILE, 0, 3600, 3600, 0, 0) + attributes(FILE)
        if code == GETATTR:
            return 0, struct.pack("<QII", 3600, 0, 0) + attributes(node)
        if code == OPEN:
            flags, = struct.unpack_from("<I", asked)
            return 0, struct.pack("<QII", 1, DIRECT_IO if flags & os.O_SYNC == os.O_SYNC else 0, 0)
        if code in (WRITE, FLUSH, RELEASE):
            self.waiting.append(code)
            return None
        if code in (FORGET, BATCH_FORGET, INTERRUPT):
            return None
        return -errno.ENOSYS, b""
