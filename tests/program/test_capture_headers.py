#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chosen request headers, as the BPF programs find them: trace ids, ids of deliveries, types of
events. Whatever else a head holds, they find the right ones or none."""
import hashlib
import itertools

from capture import *

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@test_tiers(tiers=ALL_TIERS)
def headers_are_found_wherever_they_stand_and_however_they_are_written(s, tier):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier)
    ends = BothEnds(s, listener)
    all_of = (f"traceparent: {PARENT}", "webhook-id: msg_1", "X-GitHub-Event: push",
              "Content-Length: 0")
    ends.exchange(post("/all", "Host: a", *all_of))
    ends.exchange(post("/turned", *all_of[::-1], "Host: a"))
    ends.exchange(post("/capitals", "HOST: a", *(name.upper() + colon + value for name, colon, value in
                                            (line.partition(":") for line in all_of))))
    ends.exchange(post("/tight", "host:a", *(line.replace(": ", ":") for line in all_of)))
    ends.exchange(post("/wide", "Host: \t a", *(line.replace(": ", ": \t ") for line in all_of)))
    ends.exchange(post("/behind", *(f"X-Long-{i}: {'y' * 50}" for i in range(9)), "Host: a",
                       *all_of))
    ends.exchange(post("/many", *(f"X-A{i}: z" for i in range(40)), "Host: a", *all_of[:3]))
    ends.exchange(post("/get", "Host: a", *all_of, method="GET"))
    ends.exchange(post("/no-host", *all_of))
    ends.exchange(post("/other-host", "Host: b", *all_of))
    ends.exchange(post("/other-id", "Host: a", "webhook-id: msg_2"))
    ends.exchange(post("/wild", "Host: a", "X-Any-Thing-Delivery: msg_1"))
    ends.exchange(post("/key", "Host: a", "Idempotency-Key: msg_1", "Stripe-Signature: t=1,v1=ab"))
    ends.exchange(post("/p" * 51, "Host: a", *all_of))
    ends.exchange(post("/later", "Host: a", f"traceparent: cc-{TRACE}-00f067aa0ba902b7-01-more"))
    pairs = seen(s, capture, 15)
    full = (TRACE, True, "push"), (TRACE, False, "push")
    for path in ("/all", "/turned", "/capitals", "/tight", "/wide", "/behind", "/many", "/no-host",
                 "/other-host"):
        server, client = pairs[path]
        equal((notes(client), notes(server)), full, f"notes of {path}, client and server")
    for end in pairs["/get"]:
        equal(notes(end), (TRACE, False, "-"), "notes of a GET")
    equal([notes(end) for end in pairs["/key"]], [("-", False, "stripe"), ("-", True, "stripe")],
          "notes, server and client")
    # A path that takes nearly all room of a record leaves none for the type of the event.
    equal(notes(pairs["/p" * 51][1]), (TRACE, True, "-"), "notes with a long path")
    for end in pairs["/later"]:
        equal(notes(end), (TRACE, False, "-"), "notes of a later version")
    ids = {path: client.delivery for path, (_, client) in pairs.items()}
    same = ("/all", "/turned", "/capitals", "/tight", "/wide", "/behind", "/wild", "/key")
    equal({ids[path] for path in same}, {ids["/all"]}, "hashes of the same id and host")
    others = {ids[path] for path in ("/all", "/no-host", "/other-host", "/other-id")}
    equal(len(others), 4, "hashes that differ")
    capture.stop()


@test_tiers(tiers=ALL_TIERS)
def what_is_malformed_is_absent(s, tier):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier)
    ends = BothEnds(s, listener)
    wrong = {
        "short": PARENT[:-1], "empty": "", "blank": "    ", "ff": "ff" + PARENT[2:],
        "capital": PARENT.upper(), "zero": PARENT.replace(TRACE, "0" * 32),
        "zero-parent": PARENT.replace("00f067aa0ba902b7", "0" * 16), "longer": PARENT + "-01",
        "no-hex": PARENT.replace("4bf9", "4bg9"), "odd": PARENT.replace("4bf9", "4b\xef9"),
        "o": PARENT.replace("4bf9", "4bo9"), "dashes": PARENT.replace("-", "_"),
        "shifted": "0" + PARENT, "spaces": "      " + PARENT, "nul": PARENT[:20] + "\0" + PARENT[21:],
    }
    for name, value in wrong.items():
        ends.exchange(post(f"/{name}", "Host: a", f"traceparent: {value}"))
    lines = {
            "name-and-more": f"traceparents: {PARENT}", "name-less": f"traceparen: {PARENT}",
            "in-name": f"x-traceparent: {PARENT}", "space": f"traceparent : {PARENT}",
            "folded": f"X-A: b\r\n traceparent: {PARENT}", "value": f"X-A: traceparent: {PARENT}",
            "no-colon": f"traceparent {PARENT}", "cr": f"X-A: b\rtraceparent: {PARENT}",
            "body": f"X-A: b\r\n\r\ntraceparent: {PARENT}", "lf-body": f"X-A: b\n\ntraceparent: {PARENT}",
            "long-id": "webhook-id: " + "i" * 200, "no-id": "webhook-id:",
            "nul-id": "webhook-id: a\0b", "long-event": "X-GitHub-Event: " + "e" * 40,
            "no-event": "X-GitHub-Event: ", "text-event": "X-GitHub-Event: a secret text",
            "wild-none": "X-Delivered: a", "overlap": "x-delivery: a",
            "wild-line": "X-Any\r\nY-Other-Delivery: a", "wild-body": "X-Any\r\n\r\nthe-delivery: a",
            "wild-lf": "X-Any\nan-delivery: a"}
    for name, line in lines.items():
        ends.exchange(post(f"/{name}", "Host: a", line))
    pairs = seen(s, capture, len(wrong) + len(lines))
    for name in (*wrong, *lines):
        for end in pairs[f"/{name}"]:
            equal(notes(end), ("-", False, "-"), f"notes of {name}")
    capture.stop()


@test_tiers(tiers=ALL_TIERS)
def head_in_two_reads_gives_what_was_whole_in_the_first_or_nothing(s, tier):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier)
    ends = BothEnds(s, listener)
    cuts = range(3, 150)
    for cut in cuts:
        head = post(f"/{cut}", "Host: a", f"traceparent: {PARENT}", "webhook-id: msg_1",
                    "X-GitHub-Event: push")
        ends.exchange(head[:cut], head[cut:])
    pairs = seen(s, capture, len(cuts))
    found = {notes(pair)[i] for both in pairs.values() for pair in both for i in range(3)}
    equal(found, {TRACE, True, "push", "-", False}, "what was found")
    deliveries = {client.delivery for _, client in pairs.values()} - {"-"}
    equal(len(deliveries), 1, "hashes of one id")
    equal(notes(pairs["/149"][1]), (TRACE, True, "push"), "notes with a cut behind them")
    equal(notes(pairs["/5"][1]), (TRACE, True, "push"), "notes with a cut in the path")
    equal(notes(pairs["/60"][1]), ("-", False, "-"), "notes with a cut in the first of them")
    at_least(capture.stop()["heads_cut"], 2 * 90, "heads cut")


@test_tiers(tiers=ALL_TIERS)
def hostile_heads_give_nothing_that_is_not_theirs(s, tier):
    """Pieces of heads in a random order, from a seed that is always the same."""
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier)
    ends = BothEnds(s, listener)
    pieces = [b"\r\n", b"\n", b"\r", b":", b" ", b"\0", b"traceparent:", b"webhook-id: ", b"x-",
              b"-delivery:", b"X-GitHub-Event: ", b"SECRET", PARENT.encode(), b"\xff" * 7,
              b"a" * 61, b"\r\n\r\n", b"Host: b", b"stripe-signature:"]
    count = 400
    for n in range(count):
        digits = b"".join(hashlib.sha256(b"%d %d" % (n, i)).digest() for i in range(2))
        text = b"".join(pieces[d % len(pieces)] for d in digits[:1 + n % 60])
        ends.exchange(b"POST /%d HTTP/1.1\r\n" % n + text)
    pairs = seen(s, capture, count)
    found = {(end.trace, end.event) for both in pairs.values() for end in both}
    for trace, event in found:
        check(trace in ("-", TRACE), f"trace {trace}")
        check(event != "SECRET" or trace in ("-", TRACE), "event")
    at_least(len(found), 3, "different findings")
    capture.stop()


@test
@needs("bpf", "nginx", "node")
def real_clients_are_understood(s):
    server = s.nginx("location / { return 200 ok; }")
    capture = Capture(s, server.port, notes=True)
    fields = {"Traceparent": PARENT, "WebHook-ID": "msg_1", "x-github-event": "push"}
    s.run("curl", "-s", "-d", "body", *(f"-H{k}: {v}" for k, v in fields.items()),
          server.url("/curl"))
    s.run("python3", "-c", "import sys, urllib.request as u\n"
          "u.urlopen(u.Request(sys.argv[1], b'body', dict(zip(sys.argv[2::2], sys.argv[3::2]))))",
          server.url("/python"), *(word for pair in fields.items() for word in pair))
    s.run("node", "-e", "const [url, ...words] = process.argv.slice(1);\n"
          "const headers = {}; while (words.length) headers[words.shift()] = words.shift();\n"
          "const http = require('http');\n"
          "const r = http.request(url, {method: 'POST', headers}, (a) => a.resume());\n"
          "r.end('body');", server.url("/node"), *(word for pair in fields.items() for word in pair))
    pairs = seen(s, capture, 3)
    for path in ("/curl", "/python", "/node"):
        server_pair, client = pairs[path]
        equal(notes(client), (TRACE, True, "push"), f"notes of {path}")
        equal(notes(server_pair), (TRACE, False, "push"), f"notes of {path} as nginx has it")
    equal(len({client.delivery for _, client in pairs.values()}), 1, "hashes of one id")
    capture.stop()


@test_tiers()
def first_host_that_is_sent_names_the_connection(s, tier):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier)
    longest = "a-long.name_" * 3 + "x.y:443.abc"
    cases = {  # the lines of the first request on a connection, and what it says
        "small": (["Host: shop.test"], "shop.test"), "dense": (["HOST:db_1:8080"], "db_1:8080"),
        "first-of-two": (["Host: one", "Host: two"], "one"), "long": ([f"Host: {longest}"], longest),
        "last": (["Content-Length: 0", "a: b", "traceparent: x", "Host: shop.test"], "shop.test"),
        "too-long": ([f"Host: {longest}a"], "-"), "none": (["Hosts: a"], "-"), "empty": (["Host: "], "-"),
        "capital": (["Host: Shop.test"], "-"), "words": (["Host: a b"], "-"), "end": (["Host: a "], "-"),
        "text": (["Host: <a>"], "-"), "query": (["Host: a?b"], "-"), "address": (["Host: [::1]"], "-"),
        "byte": (["Host: a\xe1"], "-"), "control": (["Host: a\x01"], "-"), "slash": (["Host: a/b"], "-"),
        "far": ([f"a: {'b' * 900}", "Host: shop.test"], "-")}
    for method in ("GET", "POST"):
        for name, (lines, _) in cases.items():
            ends = BothEnds(s, listener)
            ends.exchange(post(f"/{method}-{name}", *lines, method=method))
            ends.exchange(post(f"/{method}-{name}-again", "Host: other.test", method=method))
    head = post("/apart", "Host: shop.test")
    BothEnds(s, listener).exchange(head[:-9], head[-9:])
    pairs = seen(s, capture, 4 * len(cases) + 1)
    for method in ("GET", "POST"):
        for name, (_, expected) in cases.items():
            for path in (f"/{method}-{name}", f"/{method}-{name}-again"):
                equal([p.peer for p in pairs[path]], ["-", expected], f"names at both ends of {path}")
    equal([p.peer for p in pairs["/apart"]], ["-", "-"], "a Host that came behind the first read")
    capture.stop()


@test_tiers("nginx", "vowd", "vow", tiers=ALL_TIERS)
def slow_requests_lead_to_their_traces(s, tier):
    server = s.nginx("location / { return 200 ok; }")
    Agent(s, "shop", server.port, tier=tier)
    for n in range(6):
        s.http(server.url(f"/pay?secret={n}"), headers={"traceparent": PARENT.replace("4736", f"000{n}")})
    s.http(server.url("/none"))
    mine = lambda: [r for r in s.vow("exemplars", "--total", dir=s.dir("run"))
                    if r["service"] == "shop"]
    rows = s.until(lambda: (lambda rows: rows if len(rows) >= 4 else None)(mine()), 20, "exemplars")
    for row in rows:
        equal((row["kind"], row["role"], row["method"], row["route"], row["status"]),
              ("http", "server", "GET", "/pay", 200), "series")
        check(row["tag"][:28] == TRACE[:28] and row["tag"][28:] in {f"000{n}" for n in range(6)},
              f"tag {row['tag']}")
    at_most(rows[-1]["latency_ns"], rows[0]["latency_ns"], "the slowest first")


@test
@needs("bpf", "nginx", "vowd", "vow")
def traces_that_are_not_wanted_stay(s):
    server = s.nginx("location / { return 200 ok; }")
    agent = Agent(s, "shop", server.port, more="capture: {traces: false, delivery_ids: [], "
                  "event_types: []}\n")
    for n in range(6):
        s.http(server.url("/pay"), headers={"traceparent": PARENT})
    equal(agent.settled(), 6, "requests")
    equal(s.vow("exemplars", "--total", dir=s.dir("run")), [], "exemplars")


RECEIVER = """
const http = require('http');
const tries = {};
http.createServer((request, response) => {
    const id = request.headers['webhook-id'];
    tries[id] = (tries[id] || 0) + 1;
    request.resume();
    request.on('end', () => {
        response.statusCode = id.startsWith('retried') && tries[id] < 3 ? 500 : 200;
        response.end('ok');
    });
}).listen(process.env.PORT, '127.0.0.1');
"""
QUIET_S = 4  # the machine may hold a retry up for less


@test_tiers("node", "vowd", "vow")
def retries_with_one_id_are_one_delivery(s, tier):
    server = s.node(RECEIVER)
    Agent(s, "hooks", server.port, more="capture: "
          f"{{delivery_quiet: {QUIET_S}s, http_ring: 16MiB, http_tier: {tier}}}\n")
    sent = itertools.count()

    def send(*pauses, name):
        """As many times as there are pauses, which come before; how long it took, in ns."""
        raw = Raw(server.port)  # a new one: the server closes what was idle for 5 s
        began = time.monotonic_ns()
        for pause in pauses:
            time.sleep(pause)
            raw.send(f"POST /in HTTP/1.1\r\nHost: test\r\nX-GitHub-Event: push\r\n"
                     f"webhook-id: {name}\r\nContent-Length: 2\r\n\r\n{{}}")
            raw.response()
            next(sent)
        raw.close()
        return time.monotonic_ns() - began

    def row():
        s.ticks_later(4, dir=s.dir("run"))
        rows = [r for r in s.vow("deliveries", "--total", dir=s.dir("run"))
                if r["event_type"] == "push" and r["endpoint"] == f"test:{server.port}"]
        equal(len(rows), 1, "rows of the receiver")
        return rows[0]

    # Nothing is said of ids that may have been there before the agent, or before a loss.
    def filed(*pauses, name):
        before, took = row()["delivered"], send(*pauses, name=f"{name}-{next(sent)}")
        now = row()
        return (now, took) if now["delivered"] > before else None
    send(0, name="first")
    before, _ = s.until(lambda: filed(0, name="early"), 60, "a delivery that is known from its begin")
    after, took = s.until(lambda: filed(0, 0.05, 0.1, name="retried"), 60, "one with retries")
    equal((after["delivered"] - before["delivered"], after["failed"]), (1, 0), "outcomes")
    tries, left = divmod(after["attempts"] - before["attempts"], 3)
    equal((left, after["attempts_failed"]), (0, 2 * tries), "attempts, and failed ones")
    at_least(after["max_ns"], 150_000_000, "from the first attempt to the success")
    at_most(after["max_ns"], max(before["max_ns"], took), "the same, at most")
    events = [r for r in s.vow("routes", "--total", dir=s.dir("run"))
              if r["service"] == "hooks" and r["route"] == "push"]
    equal(sum(r["count"] for r in events), after["attempts"], "events that were handled")


@test
@needs("bpf", "vowd", "vow")
def attempts_lost_without_an_answer_leave_nothing_said_of_open_deliveries(s):
    """While vowd stands still, so many requests end unanswered that some have no record: each of
    those may have been an attempt."""
    listener = listen(s)
    port = listener.getsockname()[1]
    agent = Agent(s, "hooks", port, more=f"capture: {{delivery_quiet: {QUIET_S}s, http_ring: 256KiB}}\n")

    def send(status, *lines):
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = listener.accept()
        client.sendall(post("/in", "Host: a", *lines, "Content-Length: 0"))
        server.recv(1000)
        if status:
            server.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
            client.recv(1000)
        server.close()
        client.close()

    def unjoined():
        return next((g["value"] for g in s.vow("status", dir=s.dir("run"))["gauges"]
                     if g["name"] == "http_deliveries_unjoined"), 0)
    early = itertools.count()

    def filed():
        send(200, f"webhook-id: early-{next(early)}")
        return sum(r["delivered"] for r in s.vow("deliveries", "--total", dir=s.dir("run")))
    s.until(filed, 30, "a delivery that surely began after the agent")
    s.ticks_later(2, dir=s.dir("run"))
    before = unjoined()
    agent.program.signal(19)
    send(500, "webhook-id: open")
    for _ in range(1000):  # each of them twice: the rings hold 1,024
        send(None)
    agent.program.signal(18)
    told = lambda: sum(n for why, n in agent.collector()["drops_total"].items()
                       if why in ("client_gone", "no_response")) >= 2000
    s.until(told, 30, "requests without an answer")
    s.ticks_later(3, dir=s.dir("run"))
    # More when others on this host send deliveries, or have requests that go without a record too.
    at_least(unjoined() - before, 1, "deliveries of which nothing is said")


main("capture_headers")
