# SPDX-License-Identifier: Apache-2.0
"""Stops a program at a named instruction (lib/base/testpoint.h), or goes on by single ones, so
that it can be killed exactly there. By ptrace(2), for x86-64."""
import ctypes
import errno
import math
import os
import platform
import signal
import struct
import time

PTRACE_TRACEME, PTRACE_PEEKTEXT, PTRACE_PEEKUSER, PTRACE_POKETEXT, PTRACE_POKEUSER = 0, 1, 3, 4, 6
PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_ATTACH, PTRACE_DETACH = 7, 9, 16, 17
WALL = 0x40000000
RIP = 16 * 8  # offset in struct user
BREAKPOINT = 0xcc
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_ulong, ctypes.c_ulong]

supported = platform.machine() == "x86_64"


class Gone(Exception):
    """The program ended while it was watched."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.signum = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def ptrace(request, pid, address=0, value=0):
    ctypes.set_errno(0)
    result = LIBC.ptrace(request, pid, address, value & (2**64 - 1))
    if result == -1 and ctypes.get_errno() == errno.ESRCH:
        # It is not stopped any more: another thread of it is ending it.
        raise Gone(os.waitpid(pid, WALL)[1])
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result & (2**64 - 1)


def let_trace():
    """In the child before exec: it stops at its first instruction."""
    LIBC.ptrace(PTRACE_TRACEME, 0, 0, 0)


def points(path):
    """{name: [address in the file]} of a program's test points."""
    with open(path, "rb") as file:
        image = file.read()
    (table,) = struct.unpack_from("<Q", image, 0x28)
    size, count, names = struct.unpack_from("<HHH", image, 0x3a)
    sections = [struct.unpack_from("<IIQQQQ", image, table + i * size) for i in range(count)]
    text = sections[names][4]
    found = {}
    for name, _, _, _, offset, length in sections:
        if image[text + name:].split(b"\0", 1)[0] != b".vow.testpoints":
            continue
        at, end = offset, offset + length
        while at < end:
            (address,) = struct.unpack_from("<Q", image, at)
            word = image[at + 8:end].split(b"\0", 1)[0]
            found.setdefault(word.decode(), []).append(address)
            at += 8 + len(word) + 1
    return found


class Traced:
    """A program (its first thread) under the debugger's means; stopped after each call. Another
    thread that comes to a point first ends the program there, by SIGTRAP."""

    def __init__(self, pid, path):
        self.pid, self.points, self.bytes = pid, points(path), {}
        self.path = os.path.realpath(path)

    def begun(self):
        """The program was started with let_trace()."""
        self.stopped()
        return self

    def attach(self):
        """The program runs already, started by whomever."""
        ptrace(PTRACE_ATTACH, self.pid)
        self.stopped()
        return self

    def detach(self):
        """It goes on by itself."""
        ptrace(PTRACE_DETACH, self.pid)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, WALL)

    def stopped(self, seconds=math.inf):
        """Waits for a stop; the signal, or None when none came."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | WALL)
            if pid and not os.WIFSTOPPED(status):
                raise Gone(status)
            if pid:
                return os.WSTOPSIG(status)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.0005)

    def base(self):
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            for line in maps:
                if line.rstrip().endswith(self.path):
                    return int(line.split("-")[0], 16)
        raise LookupError("no mapping of the program")

    def poke(self, address, byte):
        word = ptrace(PTRACE_PEEKTEXT, self.pid, address)
        ptrace(PTRACE_POKETEXT, self.pid, address, word & ~0xff | byte)
        return word & 0xff

    def run_to(self, name, seconds):
        """Goes on until a point of this name; False when it was not reached in time, and the
        program runs on."""
        base = self.base()
        self.bytes = {base + at: self.poke(base + at, BREAKPOINT) for at in self.points[name]}
        ptrace(PTRACE_CONT, self.pid)
        while True:
            signum = self.stopped(seconds)
            if signum is None:
                return False
            at = ptrace(PTRACE_PEEKUSER, self.pid, RIP) - 1
            if signum == signal.SIGTRAP and at in self.bytes:
                for address, byte in self.bytes.items():
                    self.poke(address, byte)
                ptrace(PTRACE_POKEUSER, self.pid, RIP, at)
                return True
            ptrace(PTRACE_CONT, self.pid, 0, 0 if signum == signal.SIGTRAP else signum)

    def run_for(self, seconds):
        """Lets it run for a while."""
        ptrace(PTRACE_CONT, self.pid)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            signum = self.stopped(left)
            if signum is not None:
                ptrace(PTRACE_CONT, self.pid, 0, signum)
        os.kill(self.pid, signal.SIGSTOP)
        while self.stopped() != signal.SIGSTOP:
            ptrace(PTRACE_CONT, self.pid)

    def run_to_trap(self, seconds):
        """Goes on until it raises SIGTRAP itself."""
        ptrace(PTRACE_CONT, self.pid)
        signum = self.stopped(seconds)
        while signum not in (signal.SIGTRAP, None):
            ptrace(PTRACE_CONT, self.pid, 0, signum)
            signum = self.stopped(seconds)
        return signum is not None

    def step(self, instructions):
        for _ in range(instructions):
            ptrace(PTRACE_SINGLESTEP, self.pid)
            while True:
                _, status = os.waitpid(self.pid, WALL)
                if not os.WIFSTOPPED(status):
                    raise Gone(status)
                if os.WSTOPSIG(status) == signal.SIGTRAP:
                    break
                ptrace(PTRACE_SINGLESTEP, self.pid, 0, os.WSTOPSIG(status))
