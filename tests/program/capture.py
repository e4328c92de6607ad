# SPDX-License-Identifier: Apache-2.0
"""What tests of the HTTP capture share: the pairs that tests/tools/capture_dump.c prints, and raw
clients that speak HTTP in ways which a library would not."""
import concurrent.futures
import contextlib
import os
import re
import socket
import threading
import time

from story import *

FIELDS = ("role", "outcome", "method", "status", "path", "total_ns", "first_byte_ns", "queue_ns",
          "opening_ns", "request_bytes", "response_bytes", "pid", "flags", "local_port",
          "remote_port", "started_at", "command")
NOTES = ("trace", "delivery", "event", "peer")  # before the command, of a Capture with notes
WORDS = {"role", "outcome", "method", "path", "command", *NOTES}
PIPELINED = 2
ROOMY = 16 << 20  # bytes of a ring that holds what else goes on on this machine as well
LOSSES = ("ring_full", "storage_failed", "unclassified", "collapsed", "torn",
          "tls_unclear")


# How socket calls are seen, and a tracepoint that only kernels have which can do so.
TRACEPOINTS = {"A": "sock_recv_length", "B": "sys_exit", "C": "sys_exit"}
TIERS = ("A", "B")  # all that there is to see is shown in both; the way C takes, by some tests
ALL_TIERS = (*TIERS, "C")


def tier_lacking(tier):
    """Why this kernel has no such tier, or None."""
    with open("/sys/kernel/btf/vmlinux", "rb") as types:
        if f"\0btf_trace_{TRACEPOINTS[tier]}\0".encode() in types.read():
            return None
    return f"tier {tier} wants a kernel with the tracepoint {TRACEPOINTS[tier]}"


def test_tier(tier, *what):
    """The function (s, tier) is a test with this tier; needs "bpf" and `what`."""
    def decorate(function):
        def run(s):
            reason = tier_lacking(tier)
            if reason:
                skip(reason)
            function(s, tier)
        run.__name__ = function.__name__ + ("" if tier == "A" else f"_in_tier_{tier}")
        test(needs("bpf", *what)(run))
        return function
    return decorate


def tiers_to_show(tiers, what):
    """What tiers differ in are programs of the kernel, which a sanitizer does not look into: there
    the first one stands for all, but where vowd, which tells of its own, is under test."""
    if MODE not in ("asan", "tsan") or "vowd" in what:
        return tiers
    return [tier for tier in tiers if not lacking("bpf") and not tier_lacking(tier)][:1] or tiers[:1]


def test_tiers(*what, tiers=TIERS):
    """The function (s, tier) is a test with each of these tiers."""
    def decorate(function):
        for tier in tiers_to_show(tiers, what):
            test_tier(tier, *what)(function)
        return function
    return decorate


class Pair:
    """One request and its response as captured; attributes are the fields."""

    def __init__(self, line, fields):
        for name, value in zip(fields, line.split(" ", len(fields) - 1)):
            setattr(self, name, value if name in WORDS else int(value))

    def __repr__(self):
        return f"<{self.role} {self.outcome} {self.method} {self.path} {self.status}>"


class Sum:
    """Pairs of one kind that were counted since the rings were full; latencies by slot."""

    def __init__(self, line):
        words = line.split(" ", 11)
        _, self.role, self.outcome, self.method = words[:4]
        self.status, self.pid, self.port, self.count, self.sum_ns = map(int, words[4:9])
        self.slots, self.queue = ({} if text == "-" else
                                  {int(slot): int(count) for slot, _, count in
                                   (part.partition(":") for part in text.split(","))}
                                  for text in words[9:11])
        self.command = words[11]


class Capture:
    """A running capture_dump; only pairs that concern `port` are kept. traced: "PID:FILE", a process
    whose calls of the TLS library in that file are probed; in tier B as its kernels want it.
    sweeping: one sweep follows another. types: a file that describes the kernel's types, for tier C.
    fields: of JSON bodies, that tell types of events; with notes."""

    def __init__(self, story, port, ring_bytes=None, notes=False, tier=None, traced=None,
                 sweeping=False, types=None, fields=()):
        self.story, self.port = story, port
        self.fields = FIELDS[:-1] + NOTES + FIELDS[-1:] if notes else FIELDS
        args = (["-p", port] + (["-r", ring_bytes] if ring_bytes else []) +
                (["-n"] if notes else []) + (["-t", tier] if tier else []) +
                (["-T", traced] if traced else []) + (["-a"] if tier == "B" else []) +
                (["-s"] if sweeping else []) + (["-b", types] if types else []) +
                [word for field in fields for word in ("-j", field)])
        self.program = story.start(story.program("tests/capture_dump"), *args)
        story.until(lambda: "ready\n" in self.program.log(), 60, "capture")

    def lines(self):
        """Those that are whole: the last one may be under way."""
        return self.program.log().rpartition("\n")[0].splitlines()

    def pairs(self, role=None):
        """Pairs printed so far, by their end: those of different processors come as they come."""
        found = [Pair(line, self.fields) for line in self.lines()
                 if re.match("(server|client) .* ", line)]
        found.sort(key=lambda p: p.started_at + p.total_ns)
        return [p for p in found if role in (None, p.role)]

    def sums(self, role=None):
        """What was counted without a record, so far."""
        found = [Sum(line) for line in self.lines() if line.startswith("sum ")]
        return [s for s in found if role in (None, s.role)]

    def wait(self, count, role, seconds=5):
        """Waits until that many pairs of a role are there, and returns them."""
        return self.story.until(
            lambda: (lambda found: found if len(found) >= count else None)(self.pairs(role)),
            seconds, f"{count} pairs of the {role}")

    def stop(self):
        """Ends it; returns the counters, whose identity is checked. They count all that goes on on
        this machine: none of them is sure to be 0."""
        equal(self.program.stop(), 0, "exit status of capture_dump")
        counters = {name: int(value) for name, value in
                    re.findall(r"^(\w+) (\d+)$", self.program.log(), re.M)}
        equal(counters["late"], 0, "pairs seen although capturing had ended")
        equal(counters["records"] + counters["summed"] + sum(counters[name] for name in LOSSES),
              counters["seen"], "pairs reported, counted and lost, against pairs seen")
        return counters


class Agent:
    """vowd, for which what serves `port` is the service `name`."""

    def __init__(self, story, name, port, more="", tier=None):
        self.story, self.name, self.run = story, name, story.dir("run")
        story.write("run/vow.yaml",
                    f"services:\n  - name: {name}\n    match: {{port: {port}}}\n{more}" +
                    (f"capture: {{http_tier: {tier}}}\n" if tier else ""))
        self.program = story.start(story.program("vowd"), "--dir", self.run)
        story.until(lambda: self.collector()["tier"] in ([tier] if tier else TIERS), 10, "capture")

    def collector(self):
        rows = self.story.vow("status", dir=self.run)["collectors"]
        return next(row for row in rows if row["name"] == "http")

    def accounts(self):
        """(reported and dropped, seen): equal whenever all rings are drained."""
        row = self.collector()
        return (row["events_total"] + sum(row["drops_total"].values()),
                int(re.search(r"pairs seen (\d+)", row["detail"]).group(1)))

    def routes(self):
        """Rows of the service's routes since the agent began, as a server."""
        return [row for row in self.rows() if row["kind"] not in ("user", "connection")]

    def rows(self):
        """These and its other views: what users waited for, what connections took."""
        return [row for row in self.story.vow("routes", "--total", dir=self.run)
                if row["service"] == self.name and row["role"] == "server"]

    def count(self):
        return sum(row["count"] for row in self.routes())

    def settled(self):
        """The count once what was on its way when this was called has come."""
        self.story.ticks_later(dir=self.run)
        return self.count()


class Raw:
    """A connection that sends bytes as it is told."""

    def __init__(self, port, unconnected=None, address=None):
        """To `port` of 127.0.0.1, or with a socket of another family to its `address`."""
        self.socket = unconnected or socket.socket()
        self.socket.settimeout(200)
        self.socket.connect(address or ("127.0.0.1", port))
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read = b""

    def send(self, text):
        self.socket.sendall(text.encode())

    def response(self):
        """Reads one response with a Content-Length; returns its body."""
        while b"\r\n\r\n" not in self.read:
            self.more()
        head, _, self.read = self.read.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
        while len(self.read) < length:
            self.more()
        body, self.read = self.read[:length], self.read[length:]
        return body

    def answer(self, method):
        """Reads one response as its head says, interim ones before it included."""
        status = 100
        while 100 <= status < 200 and status != 101:
            while b"\r\n\r\n" not in self.read:
                self.more()
            head, _, self.read = self.read.partition(b"\r\n\r\n")
            status = int(head.split()[1])
        length = re.search(rb"content-length: (\d+)", head, re.I)
        if method == "HEAD" or status in (101, 204):
            return
        if length:
            while len(self.read) < int(length.group(1)):
                self.more()
            self.read = self.read[int(length.group(1)):]
        else:
            while not self.read.endswith(b"0\r\n\r\n"):
                self.more()
            self.read = b""

    def rest(self):
        """Reads until the server closes."""
        while self.socket.recv(65536):
            pass

    def more(self):
        got = self.socket.recv(65536)
        check(got, "the server closed the connection")
        self.read += got

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def get(path, host="test", more=""):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"


# For a server's text: hold() keeps Node's only thread until the test lets it go.
HOLD = """
const fs = require('fs');
const hold = () => {
    fs.writeFileSync(process.env.STORY + '/held', '');
    while (!fs.existsSync(process.env.STORY + '/go'))
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    fs.unlinkSync(process.env.STORY + '/go');
};
"""
HELD_S = 0.1


def wait_until_held(s):
    s.until(lambda: os.path.exists(s.path("held")), 5, "a server that is held")
    os.unlink(s.path("held"))


def behind_a_held_server(s, port, count):
    """GET /block, whose server calls hold(), and so many GET /behind that arrive meanwhile. Returns
    (how long each of these lay in its socket at least, what the server itself can have needed for
    one at most), in ns of this process' clock, whatever the machine does besides."""
    first, others = Raw(port), [Raw(port) for _ in range(count)]
    for raw in others[::2]:  # every other connection is new to the server
        raw.send(get("/warm"))
        raw.response()
    first.send(get("/block"))
    wait_until_held(s)
    for raw in others:
        raw.send(get("/behind"))
    for raw in others:
        s.arrived(raw.socket)
    arrived = time.monotonic_ns()
    time.sleep(HELD_S)
    go = time.monotonic_ns()
    s.write("go", "")
    for raw in [first] + others:
        raw.response()
    # With its answer to one more, the server has come back from all that it sent before.
    first.send(get("/last"))
    first.response()
    done = time.monotonic_ns()
    for raw in [first] + others:
        raw.close()
    return go - arrived, done - go


class Load:
    """Clients that go on asking over connections that stay open, for what .path says by then. What
    each request took them is in .took, by path."""

    def __init__(self, s, port, clients, pause_s=0):
        self.path, self.pause_s, self.ending, self.took = "/idle", pause_s, False, {}
        self.asking = ["/idle"] * clients
        self.threads = [threading.Thread(target=self.ask, args=(n, Raw(port)))
                        for n in range(clients)]
        s.defer_first(self.end)
        for thread in self.threads:
            thread.start()

    def ask(self, n, raw):
        while not self.ending:
            path = self.asking[n] = self.path
            began = time.monotonic_ns()
            raw.send(get(path))
            raw.response()
            self.took.setdefault(path, []).append(time.monotonic_ns() - began)
            time.sleep(self.pause_s)
        raw.close()

    def turn_to(self, s, path, count=1):
        """Has them ask for another path; waits until all do, and that was answered so often."""
        enough = len(self.took.get(path, ())) + count
        self.path = path
        s.until(lambda: set(self.asking) == {path} and len(self.took.get(path, ())) >= enough, 20,
                f"load of {path}")

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()


def slow_download(port, path, seconds):
    """Reads a response of known length at an even pace; returns the bytes of its body."""
    raw = Raw(port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    raw.send(get(path))
    while b"\r\n\r\n" not in raw.read:
        raw.more()
    head, _, body = raw.read.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
    got, began = len(body), time.monotonic()
    while got < length:
        ahead = got / length * seconds - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
        chunk = raw.socket.recv(262144)
        check(chunk, "the server closed the connection")
        got += len(chunk)
    raw.close()
    return got


def at_once(*calls):
    """Runs (function, args...) in threads; returns what they return, or fails as one of them."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [call.result() for call in [pool.submit(*call) for call in calls]]


def run_first(s, pid, children=0):
    """Lets a process, its children (so many at least) and their threads run before others, where we
    may say so: a pause as a call returns to it would be in its stamps and not in ours, which are
    taken within the call."""
    def family():
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as born:
            return [pid, *map(int, born.read().split())]
    s.until(lambda: len(family()) > children, 30, f"{children} children of {pid}")
    with contextlib.suppress(OSError):
        for one in family():
            for task in os.listdir(f"/proc/{one}/task"):
                os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(1))


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class BothEnds:
    """A connection whose ends are both ours, so that each call moves the bytes that we choose."""

    def __init__(self, s, listener):
        self.client = socket.create_connection(listener.getsockname())
        self.server, _ = listener.accept()
        for end in (self.client, self.server):
            s.defer(end.close)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, *pieces):
        """One request in so many sends, each of which the server reads by itself."""
        for piece in pieces:
            self.client.sendall(piece)
            left = len(piece)
            while left:
                left -= len(self.server.recv(left))
        self.server.sendall(ANSWER)
        equal(self.client.recv(1000), ANSWER, "answer")


def listen(s):
    listener = socket.create_server(("127.0.0.1", 0))
    s.defer(listener.close)
    return listener


def post(path, *lines, method="POST", body=b""):
    head = "\r\n".join((f"{method} {path} HTTP/1.1", *lines, "", ""))
    return head.encode("latin-1") + body


def notes(pair):
    return pair.trace, pair.delivery != "-", pair.event


def seen(s, capture, count):
    """{path: (server, client)} of so many requests."""
    servers, clients = capture.wait(count, "server"), capture.wait(count, "client")
    equal((len(servers), len(clients)), (count, count), "pairs")
    by_path = {p.path: p for p in clients}
    return {p.path: (p, by_path[p.path]) for p in servers}
