# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of an nginx under wrk share: one turn of load, with one of several programs that
watch or with none, and the line that bench/run reads."""
import os
import re
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "tests", "program"))
from story import Skipped, Story, command_path, lacking, skip, time  # noqa: E402,F401

SECONDS = 1
CONNECTIONS = 32


def row(what, ours, unit, peer, theirs, ratio, limit):
    """One line of the table."""
    print(f"{what}\t{ours:.0f}\t{unit}\t{peer}\t{theirs:.0f}\t{ratio:.3f}\t{limit}", flush=True)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
        return [int(word) for word in text.read().split()]


def cpu_ns(pids):
    """Processor time of processes so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as text:
            total += int(text.read().split()[0])
    return total


class Nobody:
    """nginx by itself."""

    def start(self):
        pass

    def stop(self):
        pass


class Watcher:
    """A program that watches, started anew for each turn."""

    def __init__(self, story, *argv, env=None):
        self.story, self.argv, self.env, self.program = story, argv, env, None

    def start(self):
        self.program = self.story.start(*self.argv, env=self.env)
        self.story.until(lambda: "ready\n" in self.program.log(), 20, f"{self.argv[0]} to be ready")

    def stop(self):
        self.program.stop()


class Agent(Watcher):
    """vowd."""

    def __init__(self, story, *argv, name="run"):
        self.run = story.dir(name)
        super().__init__(story, story.program("vowd"), "--dir", self.run, *argv)

    def start(self):
        self.program = self.story.start(*self.argv)
        self.story.until(lambda: self.story.vow("status", dir=self.run), 10, "answer of vowd")


def load(story, server, url):
    """One turn: (requests/s, nginx's ns a request, wrk's p99 in us)."""
    workers = children(server.pid)
    before = cpu_ns(workers)
    text = story.run(command("wrk"), "--latency", "-t", 1, "-c", CONNECTIONS, "-d", f"{SECONDS}s",
                     url, seconds=SECONDS + 20).stdout
    used = cpu_ns(workers) - before
    count = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return rate, used / count, float(p99) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def command(name):
    reason = lacking(name)
    if reason:
        skip(reason)
    return command_path(name)


def in_turns(story, server, url, watchers, turns):
    """A row for each turn, {name: load()}; their order changes so that a drift falls on all."""
    rows = []
    for turn in range(turns):
        figures = {}
        for name in sorted(watchers, reverse=turn % 2 == 1):
            watchers[name].start()
            figures[name] = load(story, server, url)
            watchers[name].stop()
        rows.append(figures)
    return rows


def median(rows, name, figure):
    """Of a figure of load() over all turns."""
    return statistics.median(each[name][figure] for each in rows)


def ratio(rows, name, other, figure):
    """The median of the turns' ratios: the machine has slower and faster minutes."""
    return statistics.median(each[name][figure] / each[other][figure] for each in rows)


def run(name, reason, bench):
    """Runs bench(story), or says the reason why not, and leaves nothing behind."""
    if reason:
        print(f"skip {name} - {reason}")
        return
    if os.geteuid() == 0:
        os.nice(-10)  # what else runs on the machine disturbs less, and all of ours is moved alike
    story = Story(name)
    try:
        bench(story)
    except Skipped as lacks:
        print(f"skip {name} - {lacks}")
    finally:
        story.end()
        story.remove()
