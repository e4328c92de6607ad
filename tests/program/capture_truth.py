# SPDX-License-Identifier: Apache-2.0
"""What tests of the HTTP capture share that hold it against tests/tools/truth_server.c, which stamps
what it does."""
from capture import *

STAMPED = 500  # requests whose latency is compared
PAUSE_NS = 10_000  # a call that took so much longer than the median one was interrupted
# An emulated processor takes so many times as long, for the way from a call's end to its stamp too.
SLOWNESS = 20 if os.environ.get("VOW_EMULATED") else 1
ROUNDS = 4  # one of which a machine is to be calm in
CLOCK_NS = 1000  # by which the kernel's clock for tracing may differ from CLOCK_MONOTONIC


def row(name, function, tiers=ALL_TIERS, **kind):
    """One row of the table of docs/capture.md: a test of that name for each tier."""
    def run(s, tier):
        function(s, tier, **kind)
    run.__name__ = name
    test_tiers(tiers=tiers)(run)


class Truth:
    """tests/tools/truth_server.c, and what it said of a response."""

    def __init__(self, s, listen=None, model="loop", calls="recv"):
        self.port = 0 if listen == "unix" else s.port()
        self.where = {None: str(self.port), "v6": f"6:{self.port}",
                      "unix": s.path(f"truth{len(s.programs)}.sock")}[listen]
        self.family = {None: socket.AF_INET, "v6": socket.AF_INET6, "unix": socket.AF_UNIX}[listen]
        self.program = s.start(s.program("tests/truth_server"), self.where, model, calls)
        s.until(lambda: "ready\n" in self.program.log(), 30, "truth_server")

    def connect(self):
        address = {socket.AF_INET: ("127.0.0.1", self.port), socket.AF_INET6: ("::1", self.port),
                   socket.AF_UNIX: self.where}[self.family]
        return Raw(self.port, socket.socket(self.family), address)

    def responses(self):
        """{path: (method, status, bytes, started_ns, ended_ns, pid, read_ns, write_ns)}"""
        rows = [line.split() for line in self.program.log().splitlines() if line != "ready"]
        return {row[1]: (row[0], *map(int, row[2:])) for row in rows}


def pairs_of(s, capture, expected):
    """The server's pairs with these paths, once all are there; the capture is ended. On AF_UNIX
    sockets, which have no port, others come by as well."""
    wanted = set(expected)
    s.until(lambda: len(wanted & {p.path for p in capture.pairs("server")}) == len(wanted), 30,
            "pairs of the server")
    capture.stop()
    return [p for p in capture.pairs("server") if p.path in wanted]


def compare(pairs, truth, expected):
    """Each of the expected paths has one pair, which says what the server says of it."""
    said = truth.responses()
    equal(set(expected) - {p.path for p in pairs}, set(), "paths without a pair")
    equal(len(pairs), len(expected), "pairs")
    for pair in pairs:
        method, status, size, _, _, pid = said[pair.path][:6]
        equal((pair.outcome, pair.method, pair.status, pair.response_bytes, pair.pid),
              ("complete", method, status, size, pid), f"pair of {pair.path}")


def asked_one_by_one(s, tier, first=True, **kind):
    """Many requests one after another; returns their pairs and what the server says of them. first:
    lets the server run before others, but not what it leaves to threads of the kernel's."""
    truth = Truth(s, **kind)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    if first:
        run_first(s, truth.program.pid)
    raw, expected = truth.connect(), [f"/length/100/{n}" for n in range(STAMPED)]
    for path in expected:
        raw.send(get(path))
        raw.response()
    raw.close()
    pairs = pairs_of(s, capture, expected)
    compare(pairs, truth, expected)
    equal([(p.path, p.request_bytes) for p in pairs if p.request_bytes != len(get(p.path))], [],
          "requests with other bytes than were sent")
    return pairs, truth.responses()


def within_stamps(pairs, said, ahead=False):
    """They begin and end when the server says; ahead: what comes is read before it asks for it, but
    behind the response before."""
    before = 0
    for p in pairs:
        _, _, _, started, ended, _, read, write = said[p.path]
        if ahead:
            read = started - before if before else 10**9
            before = ended - write
        check(started - read - CLOCK_NS <= p.started_at <= started + CLOCK_NS,
              f"{p.path} began at {p.started_at}, outside of its read: {started} less {read}")
        end = p.started_at + p.total_ns
        check(ended - write - CLOCK_NS <= end <= ended + CLOCK_NS,
              f"{p.path} ended at {end}, outside of its write: {ended} less {write}")


def errors_in_us(pairs, said):
    """{what: (median, p99)} of how far the pairs' times are from the server's. Only where nothing came
    between a call's work and its stamp do stamps say how long it took."""
    took = sorted(said[p.path][6] + said[p.path][7] for p in pairs)
    calm = [p for p in pairs
            if said[p.path][6] + said[p.path][7] <= took[len(took) // 2] + PAUSE_NS]
    errors = {
        "total": sorted(abs(p.total_ns - (said[p.path][4] - said[p.path][3])) / 1000 for p in calm),
        "start": sorted(abs(said[p.path][3] - p.started_at) / 1000 for p in calm)}
    found = {what: (all_of[len(all_of) // 2], all_of[len(all_of) * 99 // 100])
             for what, all_of in errors.items()}
    print(f"# {len(calm)} requests; error in us (median, p99): {found}")
    return found


def precise(pairs, said):
    """Errors have a median of at most 5 us, and a p99 of at most 20."""
    for what, (median, p99) in errors_in_us(pairs, said).items():
        at_most(median, 5 * SLOWNESS, f"median error of the {what} in us")
        at_most(p99, 20 * SLOWNESS, f"p99 error of the {what} in us")


def as_stamped(pairs, said):
    """They begin and end when the server says, and take as long."""
    within_stamps(pairs, said)
    precise(pairs, said)


def stamped(s, tier, **kind):
    """Compares the stamps of both sides. What else keeps a machine busy makes errors larger and none
    smaller, so a round without them says what ours are; the last one tells of them."""
    for _ in range(ROUNDS - 1):
        pairs, said = asked_one_by_one(s, tier, **kind)
        within_stamps(pairs, said)
        with contextlib.suppress(Failed):
            return precise(pairs, said)
    as_stamped(*asked_one_by_one(s, tier, **kind))


def exchanged(s, tier, requests, connections=4, **kind):
    """A few requests of each kind on several connections; returns the pairs of the server, which
    are as the server says. `requests`: (path without its number, method, fields and body)."""
    truth = Truth(s, **kind)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    expected = []
    for c in range(connections):
        raw = truth.connect()
        for path, method, more in requests:
            expected.append(f"{path}/{c}")
            raw.send(f"{method} {expected[-1]} HTTP/1.1\r\nHost: test\r\n{more}")
            raw.answer(method)
        raw.close()
    pairs = pairs_of(s, capture, expected)
    compare(pairs, truth, expected)
    return pairs


PLAIN = [("/length/0", "GET", "\r\n"), ("/length/100", "GET", "\r\n"),
         ("/length/200000", "GET", "\r\n"), ("/length/5", "POST", "Content-Length: 3\r\n\r\nabc"),
         ("/length/101", "HEAD", "\r\n"), ("/empty/0", "DELETE", "\r\n")]
