# SPDX-License-Identifier: Apache-2.0
"""vowd with its keeper, and applications that count what they observed: to be compared."""
import mmap
import signal
import struct
import subprocess

from story import *
from story import die_with_parent

__all__ = ["settle", "agent", "lanes", "held", "keeper", "alive", "App", "counts", "all_reported"]


def settle(s, keep="1h", **more):
    s.write("run/vow.yaml", f"capture: {{http: false, host: false, keep: {keep}}}\n")


def agent(s, user=None):
    command = [s.program("vowd"), "--dir", s.dir("run")]
    if user:
        command = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                   *command]
    vowd = s.start(*command, name="vowd")
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return vowd


def lanes(s):
    status = s.vow("status", dir=s.dir("run"))
    return next(row for row in status["collectors"] if row["name"] == "lanes")


def held(s):
    """(pid of the keeper, segments that it holds); None while vowd has none."""
    detail = lanes(s)["detail"]
    if "the keeper, pid " not in detail:
        return None
    words = detail.split("the keeper, pid ")[1].split()
    return int(words[0].rstrip(",")), int(words[2])


def keeper(s, holds=None):
    """The pid of the keeper, once it holds so many."""
    return s.until(lambda: (got := held(s)) and (holds is None or got[1] == holds) and got,
                   10, f"a keeper that holds {holds}")[0]


def alive(pid):
    """Zombies are none, and no other program is meant."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as text:
            stat = text.read()
    except OSError:
        return False
    return "(vow-keep)" in stat and stat.rpartition(")")[2].split()[0] != "Z"


class App:
    """An application that counts in a file what it observed, to the call."""

    def __init__(self, s, service, burst=20, user=None):
        path = s.write(f"counts/{service}", b"\0" * 4096)
        os.chmod(path, 0o666)
        with open(path, "r+b") as file:
            self.words = mmap.mmap(file.fileno(), 4096)
        self.story = s
        self.process = subprocess.Popen(
            [s.program("tests/doomed"), service, "/r", path, "0", str(burst)],
            env=dict(os.environ, VOW_DIR=s.dir("run")), stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent, user=user)
        s.defer(self.kill)

    def observed(self):
        return struct.unpack_from("<Q", self.words)[0]

    def more(self, count=100):
        """It observes so many more."""
        enough = self.observed() + count
        self.story.until(lambda: self.observed() >= enough, 10, "further observations")
        return self

    def rest(self):
        """It stops to observe: what it observed is what it counted."""
        struct.pack_into("<Q", self.words, 8, 1)

        self.story.until(lambda: struct.unpack_from("<Q", self.words, 16)[0], 10, "its rest")

    def end(self, signum=signal.SIGKILL):
        """It rests, then ends."""
        self.rest()
        self.process.send_signal(signum)
        self.process.wait()

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()


def counts(s):
    total = {}
    for row in s.vow("routes", "--total", dir=s.dir("run")):
        total[row["service"]] = total.get(row["service"], 0) + row["count"]
    return total


def all_reported(s, apps):
    """Each observation of each application once."""
    def same():
        got = counts(s)
        for name, app in apps.items():
            equal(got.get(name), app.observed(), f"observations of {name}")
        return True
    s.until(same, 10, "report of what was observed")
    s.ticks_later(dir=s.dir("run"))
    same()
