#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP in all the ways in which servers move bytes, against a server that stamps what it does: one
test for each cell of the table in docs/capture.md but the last two rows."""
from capture import *

STAMPED = 500  # requests whose latency is compared
TUNNELS = 100
REUSES = 100  # rounds of connections, of which most end amid a request
PAUSE_NS = 10_000  # a call that took so much longer than the median one was interrupted
# An emulated processor takes so many times as long, for the way from a call's end to its stamp too.
SLOWNESS = 20 if os.environ.get("VOW_EMULATED") else 1
CLOCK_NS = 1000  # by which the kernel's clock for tracing may differ from CLOCK_MONOTONIC


class Truth:
    """tests/tools/truth_server.c, and what it said of a response."""

    def __init__(self, s, listen=None, model="loop", calls="recv"):
        self.port = 0 if listen == "unix" else s.port()
        self.where = {None: str(self.port), "v6": f"6:{self.port}",
                      "unix": s.path("truth.sock")}[listen]
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


def stamped(s, tier, **kind):
    """Many requests one after another; compares the stamps of both sides."""
    truth = Truth(s, **kind)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    run_first(s, truth.program.pid)
    raw, expected = truth.connect(), [f"/length/100/{n}" for n in range(STAMPED)]
    for path in expected:
        raw.send(get(path))
        raw.response()
    raw.close()
    pairs = pairs_of(s, capture, expected)
    compare(pairs, truth, expected)
    as_stamped(pairs, truth.responses())


def as_stamped(pairs, said):
    """They begin and end when the server says, and take as long."""
    for p in pairs:
        _, _, _, started, ended, _, read, write = said[p.path]
        check(started - read - CLOCK_NS <= p.started_at <= started + CLOCK_NS,
              f"{p.path} began at {p.started_at}, outside of its read: {started} less {read}")
        end = p.started_at + p.total_ns
        check(ended - write - CLOCK_NS <= end <= ended + CLOCK_NS,
              f"{p.path} ended at {end}, outside of its write: {ended} less {write}")
    # Only where nothing came between a call's work and its stamp do stamps say how long it took.
    took = sorted(said[p.path][6] + said[p.path][7] for p in pairs)
    calm = [p for p in pairs
            if said[p.path][6] + said[p.path][7] <= took[len(took) // 2] + PAUSE_NS]
    errors = sorted(abs(p.total_ns - (said[p.path][4] - said[p.path][3])) / 1000 for p in calm)
    starts = sorted(abs(said[p.path][3] - p.started_at) / 1000 for p in calm)
    print(f"# {len(calm)} requests; error in us: total median {errors[len(errors) // 2]:.2f}, "
          f"p99 {errors[len(errors) * 99 // 100]:.2f}; start p99 "
          f"{starts[len(starts) * 99 // 100]:.2f}")
    for what, all_of in (("total", errors), ("start", starts)):
        at_most(all_of[len(all_of) // 2], 5 * SLOWNESS, f"median error of the {what} in us")
        at_most(all_of[len(all_of) * 99 // 100], 20 * SLOWNESS, f"p99 error of the {what} in us")


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


def row(name, function, **kind):
    """One row of the table: a test of that name for each tier."""
    def run(s, tier):
        function(s, tier, **kind)
    run.__name__ = name
    test_tiers()(run)


for each in ("read", "recv", "readv", "recvmsg", "sendfile", "splice"):
    row(f"latency_and_bytes_by_{each}_are_as_stamped", stamped, calls=each)
    row(f"messages_of_all_kinds_by_{each}_are_counted",
        lambda s, tier, **kind: exchanged(s, tier, PLAIN, **kind), calls=each)
for each in ("v6", "unix"):
    row(f"latency_on_{each}_sockets_is_as_stamped", stamped, listen=each)
for each in ("threads", "fork", "pass"):
    row(f"requests_to_a_server_by_{each}_name_the_process_that_answered",
        lambda s, tier, **kind: exchanged(s, tier, PLAIN[1:4], connections=16, **kind), model=each)


@test_tiers()
def chunked_responses_end_with_their_last_chunk(s, tier):
    exchanged(s, tier, [("/chunked/0", "GET", "\r\n"), ("/chunked/100", "GET", "\r\n"),
                  ("/chunked/50000", "GET", "\r\n")])


@test_tiers()
def head_in_pieces_of_a_response_is_one_response(s, tier):
    for pair in exchanged(s, tier, [("/pieces/1000", "GET", "\r\n")]):
        at_least(pair.total_ns, 4e6, "from the request to the last piece")
        at_most(pair.first_byte_ns, pair.total_ns - 4e6 + 1, "first byte, before the pauses")


@test_tiers()
def interim_answers_are_no_responses(s, tier):
    exchanged(s, tier, [("/interim/10", "POST", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab"),
                  ("/early/10", "GET", "\r\n")])


@test_tiers()
def response_until_close_ends_with_the_connection(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    raw.send(get("/until-close/5000/a"))
    raw.rest()
    capture.wait(1, "server")
    capture.stop()
    compare(capture.pairs("server"), truth, ["/until-close/5000/a"])


@test_tiers()
def upgraded_connection_ends_as_http(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    raw.send(get("/upgrade/0/a", more="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    raw.answer("GET")
    for n in range(10):
        raw.send("GET /not/http HTTP/1.1\r\n\r\n")
        raw.more()
    raw.close()
    capture.wait(1, "server")
    capture.stop()
    compare(capture.pairs("server"), truth, ["/upgrade/0/a"])


@test_tiers()
def request_for_a_tunnel_is_a_pair_and_ends_http(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    run_first(s, truth.program.pid)
    expected = [f"host-{n}:443" for n in range(TUNNELS)]
    # All stay open: of a socket whose memory is used again amid a sweep tier B may lose the first.
    tunnels = [truth.connect() for _ in expected]
    for raw, path in zip(tunnels, expected):
        raw.send(f"CONNECT {path} HTTP/1.1\r\nHost: {path}\r\n\r\n")
        while b"\r\n\r\n" not in raw.read:
            raw.more()
        raw.send("GET /not/http HTTP/1.1\r\n\r\n")
        raw.more()
    clients = capture.wait(TUNNELS, "client")
    pairs = pairs_of(s, capture, expected)
    equal([(p.path, p.method, p.status, p.outcome) for p in clients],
          [(path, "CONNECT", 200, "complete") for path in expected], "pairs of the client")
    equal(len(capture.pairs()), 2 * TUNNELS, "pairs, none of them within a tunnel")
    compare(pairs, truth, expected)
    as_stamped(pairs, truth.responses())


@test_tiers()
def request_that_gets_no_answer_is_told_apart(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    raw.send(get("/never/0/a"))
    raw.rest()
    capture.wait(1, "server")
    capture.stop()
    pair, = capture.pairs("server")
    equal((pair.path, pair.outcome), ("/never/0/a", "no_response"), "pair")


@test_tier("A")
def io_uring_is_told_as_bytes_that_cannot_be_read(s, tier):
    truth = Truth(s, calls="uring")
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    for n in range(10):
        raw.send(get(f"/length/100/uring/{n}"))
        raw.response()
    raw.close()
    counters = capture.stop()
    at_least(counters["no_payload"], 4, "calls without payload, after which it is given up")
    at_least(counters["ignored"], 1, "connections given up")
    equal(capture.pairs("server"), [], "pairs of a server that cannot be read")


@test_tier("B")
def io_uring_is_not_seen_and_breaks_nothing(s, tier):
    truth = Truth(s, calls="uring")
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    for n in range(10):
        raw.send(get(f"/length/100/uring/{n}"))
        raw.response()
    raw.close()
    equal([p.path for p in capture.wait(10, "client")],
          [f"/length/100/uring/{n}" for n in range(10)], "pairs of the client, which is no such")
    capture.stop()
    equal(capture.pairs("server"), [], "pairs of a server that is not seen")


@test_tiers()
def first_requests_say_what_the_connection_took(s, tier):
    """To a server that does not accept, then one that has accepted: both ends."""
    address = ("127.0.0.1", s.port())
    capture = Capture(s, address[1], ring_bytes=ROOMY, tier=tier)
    listener = socket.create_server(address)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def serve(taken, path):
        check(path.encode() in taken.recv(1000), f"{path} is what came")
        taken.sendall(answer)
    clients, began, asked = [], [], []
    for n in range(3):
        began.append(time.monotonic_ns())
        clients.append(Raw(address[1]))
        asked.append(time.monotonic_ns())
        clients[n].send(get(f"/first/{n}"))
    s.arrived(clients[2].socket)
    waited = time.monotonic_ns()
    time.sleep(HELD_S)
    for n, client in enumerate(clients):
        taken, _ = listener.accept()
        serve(taken, f"/first/{n}")
        client.response()
        client.send(get(f"/second/{n}"))
        serve(taken, f"/second/{n}")
        client.response()
        taken.close()
        client.close()
    done = time.monotonic_ns()
    late = Raw(address[1])
    taken, _ = listener.accept()
    late.send(get("/accepted/0"))
    serve(taken, "/accepted/0")
    late.response()
    pairs = {(p.role, p.path): p for p in capture.wait(7, "server") + capture.wait(7, "client")}
    capture.stop()
    for n in range(3):
        first, asks = pairs["server", f"/first/{n}"], pairs["client", f"/first/{n}"]
        equal(first.opening_ns, first.queue_ns, "accept wait, all of what it waited")
        at_least(first.opening_ns, HELD_S * 1e9, "accept wait")
        at_most(first.opening_ns, done - began[n], "accept wait")
        at_least(first.started_at - first.opening_ns, asked[n] - CLOCK_NS, "its beginning")
        at_most(first.started_at - first.opening_ns, waited + CLOCK_NS, "its beginning")
        at_least(asks.opening_ns, 1, "connect time")
        at_most(asks.opening_ns, asked[n] - began[n], "connect time, against connect()")
    for role, path in (("server", "/second/0"), ("client", "/second/1"), ("server", "/accepted/0")):
        equal(pairs[role, path].opening_ns, 0, f"opening of {path} at the {role}")


def at_addresses_used_before(s, tier, listen):
    """Connections that end amid a request leave nothing to those whose sockets get their memory."""
    truth = Truth(s, listen=listen)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    expected = [f"/length/100/{os.getpid()}-{n}" for n in range(REUSES)]
    for path in expected:
        for _ in range(3):
            raw = truth.connect()
            raw.send(f"GET /left{path} HTTP/1.1\r\n")
            raw.close()
        raw = truth.connect()
        raw.send(get(path))
        raw.response()
        raw.close()
    s.until(lambda: len({p.path for p in capture.pairs("server")} & set(expected)) == REUSES, 30,
            "pairs of the server")
    left = {f"/left{path}" for path in expected}

    def left_pairs():
        return [p for p in capture.pairs() if p.path in left]
    s.until(lambda: len(left_pairs()) >= 6 * REUSES, 30, "pairs without a response")
    counters = capture.stop()
    compare([p for p in capture.pairs("server") if p.path in expected], truth, expected)
    equal(len([p for p in capture.pairs("client") if p.path in expected]), REUSES, "of clients")
    equal(len(left_pairs()), 6 * REUSES, "pairs without a response, of both ends")
    check("complete" not in {p.outcome for p in left_pairs()}, "one of them has a response")
    at_most(counters["kept"], 7 * REUSES, "sockets of which something is kept; 8 were made for each")


@test_tiers()
def sockets_at_addresses_used_before_inherit_nothing(s, tier):
    at_addresses_used_before(s, tier, None)


@test_tier("B")
def unix_sockets_at_addresses_used_before_inherit_nothing(s, tier):
    at_addresses_used_before(s, tier, "unix")


@test_tiers("wrk")
def truth_is_reported_plus_lost_under_load(s, tier):
    truth = Truth(s, model="threads")
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    s.wrk(f"http://127.0.0.1:{truth.port}/length/100/load", connections=16, seconds=2)
    counters = capture.stop()
    pairs = [p for p in capture.pairs("server") if p.path == "/length/100/load"]
    lost = sum(counters[name] for name in (*LOSSES, "summed")) + counters["missed"]

    def told():
        """A thread may have answered and not told it yet."""
        count = sum(line.startswith("GET ") for line in truth.program.log().splitlines())
        at_most(len(pairs), count, "pairs, against responses")
        return count
    answered = s.until(told, 5, "response for each pair")
    at_most(answered - len(pairs), lost + 16, "responses not reported, against losses and those "
            "under way when wrk hung up")


main("capture_modes")
