#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What strangers hand over, or have mapped: behind it may be a file system that never answers, and nobody
but the one who has it may have to wait for it."""
import contextlib
import shutil
import signal
import socket
import subprocess
import sys

import testpoints
from kept import *
from mute_fs import MuteFs
from story import *
from story import die_with_parent, runtime

NOBODY = 65534
# Becomes that user, opens the file, writes to it where it is told to, and hands it over so many times.
STRANGER = """
import os, socket, struct, sys, time
intake, path = sys.argv[1:3]
user, times, dirty = map(int, sys.argv[3:])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
file = os.open(path, os.O_RDWR)
if dirty:
    os.write(file, b"x" * 4096)
kept = []
for _ in range(times):
    guest = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guest.connect(intake)
    socket.send_fds(guest, [b"VOW-SHM1" + struct.pack("<II", 2, 0)], [file])
    kept.append(guest)
print("sent", flush=True)
time.sleep(3600)
"""

# Observes, then closes its connection in the midst of a mapping that takes the place of another, which
# all readers of mappings wait for; observes more once that is over.
FROZEN = """
import ctypes, os, sys, threading, time
library, path = sys.argv[1:]
vow, libc = ctypes.CDLL(library), ctypes.CDLL(None)
vow.vow_observe.argtypes = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long)
vow.vow_open(b"frozen")
route = vow.vow_route(b"GET /")

def observe():
    for _ in range(100):
        vow.vow_observe(route, 1000, 200)

def freeze(file):
    libc.mmap(there, 4096, 1, 2 | 16, file, 0)
    observe()
    print("thawed", flush=True)

observe()
sockets = [fd for fd in range(3, 64)
           if os.path.islink(f"/proc/self/fd/{fd}") and "socket:" in os.readlink(f"/proc/self/fd/{fd}")]
there = libc.mmap(1 << 17, 4096, 1, 2 | 16 | 32, -1, 0)  # what is read first of all mappings
dirty, direct = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY | os.O_SYNC)
os.write(dirty, b"x" * 4096)
print("ready", len(sockets), flush=True)
sys.stdin.readline()
threading.Thread(target=freeze, args=(direct,)).start()
time.sleep(0.5)
os.close(sockets[0])
time.sleep(3600)
"""


def mount(s):
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        skip("this machine has no /dev/fuse")
    fs = MuteFs(s.dir("mute"))
    s.defer_first(fs.end)
    return fs


def stranger(s, fs, user, times=1, dirty=False):
    """The pid of one that has handed the file over."""
    process = subprocess.Popen(
        [sys.executable, "-c", STRANGER, s.path("run", "intake.sock"), fs.file, str(user),
         str(times), str(int(dirty))], stdout=subprocess.PIPE, preexec_fn=die_with_parent)

    def end():
        fs.end()
        process.kill()
        process.wait()
        process.stdout.close()
    s.defer(end)
    equal(process.stdout.readline(), b"sent\n", "what the stranger says")
    return process.pid


def porters(owner):
    """Pids of a process's porters."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as text:
                line = text.read()
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as text:
                parent = int(text.read().rpartition(")")[2].split()[1])
            if line == b"vow-keep\0porter\0" and parent == owner:
                found.append(int(pid))
    return found


def problem(s):
    return lanes(s)["problem"] or ""


def barred(s, pid, user):
    s.until(lambda: f"process {pid} of user {user} sent a descriptor that is no memory and whose file "
            "system does not answer" in problem(s), 15, "word of who is barred")


def goes_on(s, name, apps, user=None):
    """vowd ticks, and takes an application to the call."""
    s.ticks_later(dir=s.dir("run"))
    apps[name] = App(s, name, user=user).more()
    s.until(lambda: counts(s).get(name), 10, f"what {name} observes")


def endures(s, vowd, user, keep="1h", dirty=False, stop=None):
    """The whole life of such a file system, with vowd as it is now."""
    apps = {}
    fs = mount(s)
    pid = stranger(s, fs, user, dirty=dirty)
    barred(s, pid, user)
    goes_on(s, "other", apps)
    equal(vowd.log().count(f"process {pid} of user {user} sent"), 1, "lines of the log")
    doctor = s.run(s.program("vow"), "--dir", s.dir("run"), "doctor", status=None).stdout
    check(f"process {pid} of user {user} sent" in doctor, "doctor says it")
    if user:
        apps["waits"] = App(s, "waits", user=user).more()
    else:
        goes_on(s, "roots", apps)
    equal(vowd.stop(), 0, "status of vowd, which ends")
    vowd = agent(s)
    goes_on(s, "after", apps)
    fs.end()
    s.until(lambda: not problem(s).startswith(f"process {pid} of user {user} sent"), 15,
            "the end of the bar")
    goes_on(s, "theirs", apps, user=user)
    for app in apps.values():
        app.rest()
    all_reported(s, apps)
    equal(vowd.stop(), 0, "status of vowd")


@test
@needs("vowd", "vow")
def a_porter_that_cannot_be_started_is_told_of(s):
    settle(s)
    program = os.path.join(s.dir("bin"), "vow-keep")
    shutil.copy(s.program("vowd"), s.dir("bin"))
    shutil.copy(s.program("vow-keep"), program)
    vowd = s.start(s.path("bin", "vowd"), "--dir", s.dir("run"), name="vowd")
    keeper(s, 0)
    os.rename(program, f"{program}.away")
    apps = {name: App(s, name).more() for name in ("first", "second")}
    s.until(lambda: "vow-keep" in problem(s), 15, "word of what lacks")
    doctor = s.run(s.program("vow"), "--dir", s.dir("run"), "doctor", status=None).stdout
    check("vow-keep" in doctor, "doctor says it")
    os.rename(f"{program}.away", program)
    s.until(lambda: not problem(s), 15, "the end of it")
    keeper(s, len(apps))
    for app in apps.values():
        app.rest()
    all_reported(s, apps)
    at_most(vowd.log().count("no porter"), 1, "lines of the log")


@test
@needs("root", "vowd", "vow")
def a_file_system_that_never_answers_hangs_neither_vowd_nor_its_keeper(s):
    settle(s)
    vowd = agent(s)
    keeper(s, 0)
    endures(s, vowd, NOBODY)


@test
@needs("root", "vowd", "vow")
def nor_does_one_of_root_which_bars_no_other_of_root(s):
    settle(s)
    vowd = agent(s)
    keeper(s, 0)
    endures(s, vowd, 0)


@test
@needs("root", "vowd", "vow")
def nor_does_one_that_does_not_take_what_was_written(s):
    settle(s)
    vowd = agent(s)
    keeper(s, 0)
    endures(s, vowd, NOBODY, dirty=True)


@test
@needs("root", "vowd", "vow")
def nor_does_it_hang_vowd_without_a_keeper(s):
    settle(s, keep="0s")
    endures(s, agent(s), NOBODY)


@test
@needs("root", "vowd", "vow")
def nor_where_the_keeper_was_stopped(s):
    settle(s)
    vowd = agent(s)
    stopped = keeper(s, 0)
    s.defer(lambda: alive(stopped) and os.kill(stopped, signal.SIGKILL))
    os.kill(stopped, signal.SIGSTOP)
    endures(s, vowd, NOBODY)


@test
@needs("root", "vowd", "vow")
def hundreds_of_such_connections_hang_nobody_either(s):
    settle(s, keep="0s")
    vowd = agent(s)
    fs, apps = mount(s), {}
    barred(s, stranger(s, fs, NOBODY, times=300), NOBODY)
    goes_on(s, "other", apps)
    equal(vowd.stop(), 0, "status of vowd, which ends")
    fs.end()


def frozen(s, fs):
    """A process in the midst of a mapping that never ends, without its connection."""
    process = subprocess.Popen(
        [sys.executable, "-c", FROZEN, s.program("libvow.so"), fs.file],
        env=dict(os.environ, VOW_DIR=s.dir("run"), **runtime(s)), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, preexec_fn=die_with_parent)

    def end():
        fs.end()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    s.defer(end)
    equal(process.stdout.readline(), b"ready 1\n", "what it says, with its connections")
    s.until(lambda: counts(s).get("frozen") == 100, 10, "what it observed")
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process


@test
@needs("root", "vowd", "vow")
def a_process_whose_mappings_cannot_be_read_holds_nobody_up(s):
    settle(s)
    vowd, apps = agent(s), {}
    keeper(s, 0)
    fs = mount(s)
    process = frozen(s, fs)
    word = f"the mappings of process {process.pid} cannot be read"
    s.until(lambda: word in problem(s), 15, "word of it")
    goes_on(s, "other", apps)
    if MODE == "asan":  # whose look for leaks at the end waits for all threads
        vowd.kill()
    else:
        equal(vowd.stop(), 0, "status of vowd, which ends")
    agent(s)
    goes_on(s, "after", apps)
    fs.end()
    equal(process.stdout.readline(), b"thawed\n", "what it says when the mapping is over")
    s.until(lambda: not problem(s), 15, "the end of it")
    s.until(lambda: counts(s).get("frozen") == 200, 10, "what it observed then")
    for app in apps.values():
        app.rest()
    all_reported(s, apps)


@test
@needs("vowd", "vow")
def what_is_no_memory_is_refused_by_name(s):
    settle(s)
    agent(s)
    keeper(s, 0)
    with open("/dev/zero", "rb") as zero:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
            guest.connect(s.path("run", "intake.sock"))
            socket.send_fds(guest, [b"VOW-SHM1" + b"\2" + b"\0" * 7], [zero.fileno()])
            s.until(lambda: f"process {os.getpid()}: the shared segment is not a memfd" in problem(s),
                    10, "word of it")


@test
@needs("vowd", "vow")
def a_porter_is_there_only_while_there_is_something_to_carry(s):
    settle(s)
    agent(s)
    owner = keeper(s, 0)
    equal(porters(owner), [], "porters before the first application")
    app = App(s, "shop").more()
    keeper(s, 1)
    s.until(lambda: not porters(owner), 20, "the end of the porter")
    app.rest()
    all_reported(s, {"shop": app})


@test
@needs("root", "vowd", "vow")
def a_porter_killed_anywhere_takes_nothing_along_nor_does_whoever_has_it(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    path, apps = s.program("vow-keep"), {}
    names = sorted(name for name in testpoints.points(path) if name.startswith("porter_"))
    equal(names, ["porter_answered", "porter_emptied", "porter_looked"], "points of the porter")
    for keep in ("1h", "0s"):
        settle(s, keep=keep)
        vowd = agent(s)
        for name in names:
            for victim in ("porter", "vowd", "keeper")[:2 if keep == "0s" else 3]:
                s.ticks_later(dir=s.dir("run"))  # until it is settled who hears applications
                owner = vowd.pid if keep == "0s" else keeper(s)
                key = f"{keep}-{name}-{victim}"
                apps[f"first-{key}"] = App(s, f"first-{key}").more()
                (pid,) = s.until(lambda: porters(owner), 1, "a porter")
                traced = testpoints.Traced(pid, path).attach()
                apps[key] = App(s, key).more()
                check(traced.run_to(name, 10 * PATIENCE), f"a porter that came to {name}")
                if victim == "keeper":
                    os.kill(owner, signal.SIGKILL)
                if victim == "vowd":
                    vowd.kill()
                traced.kill()
                if victim == "vowd":
                    vowd = agent(s)
                s.until(lambda: counts(s).get(key), 10, f"what {key} observes")
        equal(vowd.stop(), 0, "status of vowd")
    agent(s)
    for app in apps.values():
        app.rest()
    all_reported(s, apps)


main("porter")
