#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the HTTP capture takes from a web server: nginx with a tiny file, saturated by wrk on the
same host, with the agent on and off in turns. bench_capture.py [--turns N] [--tool]

Prints throughput with and without as a ratio (the promise is 0.90, the aim 0.95), nginx's own
processor time a request, and, in a turn of its own since counting costs as well, the time inside
our BPF programs a request. --tool measures the bare capture (tests/capture_dump -q) and not vowd.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "tests", "program"))
from story import Skipped, Story, command_path, lacking, skip  # noqa: E402

STATS = "/proc/sys/kernel/bpf_stats_enabled"
SECONDS = 2
CONNECTIONS = 32


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


class Agent:
    """What is measured, started anew for each turn."""

    def __init__(self, story, tool):
        self.story, self.tool, self.program = story, tool, None

    def start(self):
        s = self.story
        if self.tool:
            self.program = s.start(s.program("tests/capture_dump"), "-q")
            s.until(lambda: "ready\n" in self.program.log(), 10, "capture")
        else:
            run = s.dir("run")
            self.program = s.start(s.program("vowd"), "--dir", run)
            s.until(lambda: s.vow("status", dir=run), 10, "agent")
        return self

    def stop(self):
        self.program.stop()


def load(story, server):
    """One turn: (requests/s, nginx's ns a request, wrk's p99 in us)."""
    workers = children(server.pid)
    before = cpu_ns(workers)
    text = story.run(command("wrk"), "--latency", "-t", 1, "-c", CONNECTIONS, "-d", f"{SECONDS}s",
                     server.url("/tiny"), seconds=SECONDS + 20).stdout
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


def in_turns(story, server, agent, turns):
    """Pairs of (on, off), the order changing so that a drift falls on both."""
    rows = []
    for turn in range(turns):
        row = {}
        for on in ((True, False) if turn % 2 else (False, True)):
            if on:
                agent.start()
            row[on] = load(story, server)
            if on:
                agent.stop()
        rows.append((row[True], row[False]))
    return rows


def bpf_ns_per_request(story, server):
    """Time inside our programs for each request, both of its ends being on this host."""
    with open(STATS, encoding="ascii") as stats:
        before = stats.read()
    agent = Agent(story, tool=True)
    try:
        with open(STATS, "w", encoding="ascii") as stats:
            stats.write("1")
        agent.start()
        load(story, server)
        agent.stop()
    finally:
        with open(STATS, "w", encoding="ascii") as stats:
            stats.write(before)
    figures = dict(re.findall(r"^(\w+) (\d+)$", agent.program.log(), re.M))
    requests = int(figures["seen"]) / 2
    return (int(figures["bpf_ns"]) / requests, int(figures["bpf_runs"]) / requests,
            int(figures["ring_full"]))


def bench(story, turns, tool):
    server = story.nginx("location / { access_log off; }")
    story.write("nginx/www/tiny", "hello\n")
    load(story, server)
    rows = in_turns(story, server, Agent(story, tool), turns)
    ratios = sorted(on[0] / off[0] for on, off in rows)
    median = statistics.median
    print(f"nginx throughput with the agent / without: {median(ratios):.3f} "
          f"(turns from {ratios[0]:.3f} to {ratios[-1]:.3f}; promise 0.90, aim 0.95)")
    print(f"requests/s: {median(on[0] for on, _ in rows):.0f} with, "
          f"{median(off[0] for _, off in rows):.0f} without")
    print(f"nginx processor time a request: "
          f"{median(on[1] - off[1] for on, off in rows):+.0f} ns on "
          f"{median(off[1] for _, off in rows):.0f} ns")
    print(f"p99 as wrk sees it: {median(on[2] for on, _ in rows):.0f} us with, "
          f"{median(off[2] for _, off in rows):.0f} us without")
    each, runs, full = bpf_ns_per_request(story, server)
    print(f"BPF a request, server and client end together: {each:.0f} ns in {runs:.1f} program "
          f"runs (aim 500 ns; counting adds about 29 ns a run); lost to a full ring: {full}")


def run_bench():
    options = argparse.ArgumentParser()
    options.add_argument("--turns", type=int, default=6)
    options.add_argument("--tool", action="store_true")
    args = options.parse_args()
    reason = lacking("bpf")
    if reason:
        print(f"skip bench_capture - {reason}")
        return
    story = Story("bench_capture")
    try:
        bench(story, args.turns, args.tool)
    except Skipped as reason:
        print(f"skip bench_capture - {reason}")
    finally:
        story.end()


run_bench()
