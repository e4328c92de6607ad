#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the agent takes from a host: resident memory and processor time, idle and with work.

Memory is that of vowd (and of vow-export beside it) after a while; idle is a host on which nobody
asks anything but us; work is an application that observes from four threads at a fixed rate."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "tests", "program"))
from story import Story, lacking, time  # noqa: E402

MIB = 1 << 20
IDLE_S, WORK_S, LANES = 20, 10, 64
RATE_PER_THREAD, THREADS = 250_000, 4


def row(what, ours, unit, limit_text, limit):
    """One line of the table: ours against its limit."""
    print(f"{what}\t{ours:.2f}\t{unit}\tlimit {limit_text}\t{limit:g}\t{ours / limit:.2f}\t1.00",
          flush=True)


def cpu_percent(program, seconds):
    before, began = program.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return 100 * (program.cpu_seconds() - before) / (time.monotonic() - began)


def wakes(program):
    """How often its threads went to sleep; unlike processor time, this is not noisy."""
    total = 0
    for task in os.listdir(f"/proc/{program.pid}/task"):
        with open(f"/proc/{program.pid}/task/{task}/status", encoding="ascii") as status:
            total += next(int(line.split()[1]) for line in status
                          if line.startswith("voluntary_ctxt_switches"))
    return total


def idle(vowd, what):
    before, began = wakes(vowd), time.monotonic()
    row(f"vowd idle ({what})", cpu_percent(vowd, IDLE_S), "% cpu", "of a core", 0.4)
    row(f"vowd idle ({what})", (wakes(vowd) - before) / (time.monotonic() - began), "wake-ups/s",
        "", 30)


def keeper_own_bytes(vowd):
    """Memory that nobody shares with the keeper, which vowd has started."""
    with open(f"/proc/{vowd.pid}/task/{vowd.pid}/children", encoding="ascii") as children:
        keeper, = children.read().split()
    with open(f"/proc/{keeper}/smaps_rollup", encoding="ascii") as rollup:
        return 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))


def observed(s, run):
    return sum(row["count"] for row in s.vow("routes", "--total", dir=run))


def bench(s):
    run = s.dir("run")
    vowd = s.start(s.program("vowd"), "--dir", run)
    s.until(lambda: s.vow("status", dir=run), 10, "answer of vowd")
    export = s.start(s.program("vow-export"), "--dir", run, "--hub", f"127.0.0.1:{s.port()}")
    time.sleep(3)
    how = "all collectors" if not lacking("bpf") else "without BPF: not root"
    idle(vowd, how)
    row("vowd resident, idle", vowd.rss_bytes() / MIB, "MiB", "", 12)
    s.start(s.program("tests/observe"), "shop", "/pay", str(THREADS),
            str(RATE_PER_THREAD * (WORK_S + 5)), str(RATE_PER_THREAD), "1000000", "1000000",
            env={"VOW_DIR": run})
    time.sleep(2)
    before, began = observed(s, run), time.monotonic()
    row("vowd at 1 M observations/s", cpu_percent(vowd, WORK_S), "% cpu", "of a core", 4)
    print(f"# {(observed(s, run) - before) / (time.monotonic() - began):.0f} observations/s came")
    row("vowd resident, at work", vowd.rss_bytes() / MIB, "MiB", "", 12)
    row("vow-keep, memory of its own", keeper_own_bytes(vowd) / MIB, "MiB", "", 0.3)
    row("vowd and vow-export resident", (vowd.rss_bytes() + export.rss_bytes()) / MIB, "MiB", "",
        32)


def bench_aged(s):
    """An agent that goes on after a month of 200 routes, and has an application with 64 lanes."""
    run = s.dir("aged")
    s.run(s.program("bench_aged"), run, seconds=300)
    vowd = s.start(s.program("vowd"), "--dir", run)
    s.until(lambda: s.vow("status", dir=run), 30, "answer of vowd")
    s.start(s.program("tests/observe"), "shop", "/pay", str(LANES), "15000", "1000", "1000000",
            "1000000", env={"VOW_DIR": run})
    time.sleep(20)
    idle(vowd, f"all collectors, 200 routes of a month, {LANES} lanes")
    row(f"vowd resident, 200 routes of a month, {LANES} lanes", vowd.rss_bytes() / MIB, "MiB", "",
        12)


story = Story("bench_agent")
try:
    bench(story)
    bench_aged(story)
finally:
    story.end()
    story.remove()
