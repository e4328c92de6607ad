#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the HTTP capture takes from a web server: nginx with a tiny file, saturated by wrk on the
same host, without the agent, with it and with a bpftrace script in turns. bench_capture.py
[--turns N] [--tool]

Rows are for bench/run: throughput and p99 with and without, the same against the script that times
requests by system calls, and, in turns of their own since counting costs as well, the time inside
our BPF programs: a request with both its ends on this host, and a call on a socket that does not
speak HTTP. --tool measures the bare capture (tests/capture_dump -q) and not vowd.
"""
import argparse
import re
import socket
import statistics

from web_load import *

STATS = "/proc/sys/kernel/bpf_stats_enabled"
CALLS = 20_000

# The least that a script must do to time requests of any server: note when a read returned, and
# look for it at the next write to the same descriptor. It knows neither path nor status.
PEER = """
BEGIN { printf("ready\\n"); }
tracepoint:syscalls:sys_enter_read, tracepoint:syscalls:sys_enter_recvfrom {
    @fd[tid] = args->fd; @reads[tid] = 1;
}
tracepoint:syscalls:sys_exit_read, tracepoint:syscalls:sys_exit_recvfrom /@reads[tid]/ {
    if (args->ret > 0) { @began[pid, @fd[tid]] = nsecs; }
    delete(@reads[tid]); delete(@fd[tid]);
}
tracepoint:syscalls:sys_enter_write, tracepoint:syscalls:sys_enter_writev,
tracepoint:syscalls:sys_enter_sendto {
    if (@began[pid, args->fd]) {
        @latency[comm] = hist(nsecs - @began[pid, args->fd]);
        delete(@began[pid, args->fd]);
    }
}
END { clear(@fd); clear(@reads); clear(@began); }
"""


def capture_tool(story):
    return Watcher(story, story.program("tests/capture_dump"), "-q")


def exchange(calls):
    """Calls on both ends of a connection whose bytes are not HTTP: four for each exchange."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        for _ in range(calls // 4):
            ours.send(b"\x16\x03\x01 no HTTP")
            theirs.recv(64)
            theirs.send(b"\x16\x03\x01 none")
            ours.recv(64)


def counted(story, work):
    """Counters of the capture after work() with the kernel's accounts of programs switched on."""
    with open(STATS, encoding="ascii") as stats:
        before = stats.read()
    tool = capture_tool(story)
    try:
        with open(STATS, "w", encoding="ascii") as stats:
            stats.write("1")
        tool.start()
        work()
        tool.stop()
    finally:
        with open(STATS, "w", encoding="ascii") as stats:
            stats.write(before)
    return {name: int(value) for name, value in
            re.findall(r"^(\w+) (\d+)$", tool.program.log(), re.M)}


def bench_programs(story, server, turns):
    """Time inside our programs: of the turns the one that was disturbed least."""
    requests, calls = [], []
    for _ in range(turns):
        figures = counted(story, lambda: load(story, server, server.url("/tiny")))
        requests.append((2 * figures["bpf_ns"] / figures["seen"],
                         2 * figures["bpf_runs"] / figures["seen"], figures["ring_full"]))
        figures = counted(story, lambda: exchange(CALLS))
        # A send and a receive at both ends are four calls and, with two arrivals, six runs.
        calls.append(1.5 * figures["bpf_ns"] / figures["bpf_runs"])
    each, runs, full = min(requests)
    row("BPF a request, both ends here", each, "ns", "aim", 500, each / 500, 1.0)
    row("BPF a call, socket without HTTP", min(calls), "ns", "read/write hooks", 225,
        min(calls) / 225, 1.0)
    row("requests lost to a full ring meanwhile", full, "req", "promise", 0, full, 0.0)
    print(f"  {runs:.1f} program runs a request, of which the kernel's counting takes about 60 ns "
          f"each")


def bench(story, turns, tool):
    began = time.monotonic()
    server = story.nginx("location / { access_log off; }")
    story.write("nginx/www/tiny", "hello\n")
    load(story, server, server.url("/tiny"))
    watchers = {"alone": Nobody(), "ours": capture_tool(story) if tool else Agent(story)}
    if lacking("bpftrace"):
        print(f"  no peer: {lacking('bpftrace')}")
    else:
        watchers["peer"] = Watcher(story, command_path("bpftrace"), "-e", PEER,
                                   env={"BPFTRACE_MAP_KEYS_MAX": "65536"})
    rows = in_turns(story, server, server.url("/tiny"), watchers, turns)

    row("nginx, tiny file, with the agent", median(rows, "ours", 0), "req/s", "without it",
        median(rows, "alone", 0), ratio(rows, "alone", "ours", 0), 1.0526)
    row("p99 with the agent", median(rows, "ours", 2), "us", "without it", median(rows, "alone", 2),
        ratio(rows, "ours", "alone", 2), 1.05)
    if "peer" in watchers:
        row("nginx, tiny file, with the agent", median(rows, "ours", 0), "req/s",
            "with a bpftrace script", median(rows, "peer", 0), ratio(rows, "peer", "ours", 0), 1.0)
    more = statistics.median(each["ours"][1] - each["alone"][1] for each in rows)
    print(f"  nginx processor time a request: {more:+.0f} ns on {median(rows, 'alone', 1):.0f} ns")
    bench_programs(story, server, max(2, turns // 2))
    print(f"  {turns} turns in {time.monotonic() - began:.0f} s")


options = argparse.ArgumentParser()
options.add_argument("--turns", type=int, default=6)
options.add_argument("--tool", action="store_true")
args = options.parse_args()
run("bench_capture", lacking("bpf"), lambda story: bench(story, args.turns, args.tool))
