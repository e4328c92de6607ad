#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes that are no HTTP, or only nearly: no request around them goes uncounted, and what belongs to
another service stays as exact as it would be without."""
import collections

from capture import *

FINE = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ALL = dict.fromkeys(("/first", "/second", "/third"), "complete")
UNREAD = {**ALL, "/first": "no_response"}
FIRST_UNREAD = {"/first": "no_response"}  # and the connection is given up
UNNAMED = {"/before": "complete", "/after": "complete"}  # and one without a path between them


def answer(*fields, status="200 OK"):
    return f"HTTP/1.1 {status}\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\nok"


def chunk(size):
    return answer("Transfer-Encoding: chunked") + f"{size}\r\nok\r\n"


# What answers the first request of a connection, and what becomes of that and of those behind it.
ANSWERS = {
    "length-beyond-64-bits": (answer("Content-Length: 18446744073709551617"), ALL),
    "length-of-16-digits": (answer("Content-Length: 9999999999999999"), ALL),
    "length-below-0": (answer("Content-Length: -2"), ALL),
    "length-with-plus": (answer("Content-Length: +2"), ALL),
    "length-of-nothing": (answer("Content-Length:"), ALL),
    "length-in-hex": (answer("Content-Length: 0x7fff"), ALL),
    "length-with-words": (answer("Content-Length: 70000 or so"), ALL),
    "length-as-list": (answer("Content-Length: 70000, 2"), ALL),
    "length-said-twice": (answer("Content-Length: 2", "Content-Length: 70000"), ALL),
    "length-said-thrice": (answer("Content-Length: 70000", "X: y", "Content-Length: 2",
                                  "Content-Length: 70000"), ALL),
    "length-with-a-space": (answer("Content-Length: 2 "), ALL),
    "chunk-of-no-size": (chunk("zz"), ALL),
    "chunk-beyond-64-bits": (chunk("f" * 17), ALL),
    "chunk-below-0": (chunk("-2"), ALL),
    "chunks-and-length": (answer("Transfer-Encoding: chunked", "Content-Length: 70000"), ALL),
    "no-end-of-the-head": ("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\nX: " + "y" * 3000, ALL),
    "status-alone": ("HTTP/1.1 200", ALL),
    "status-of-letters": (answer(status="abc OK"), UNREAD),
    "status-below-100": (answer(status="099 OK"), UNREAD),
    "status-above-599": (answer(status="600 OK"), UNREAD),
    "status-of-two-digits": (answer(status="20 OK"), UNREAD),
    "version-of-its-own": ("HTTP/9.1 200 OK\r\n\r\n", UNREAD),
    "zeros": ("\0" * 40, UNREAD),
    "bytes-of-all-kinds": ("".join(map(chr, range(256))), UNREAD),
    "a-request": (get("/mirrored"), UNREAD),
    "no-http-for-long": ("0" * 5000, FIRST_UNREAD),
}
# A request between two that are fine. What cannot be read has its answer counted.
REQUESTS = {
    "no-method": ("/x HTTP/1.1\r\n\r\n", UNNAMED),
    "method-of-its-own": ("BREW /pot HTTP/1.1\r\n\r\n", UNNAMED),
    "method-in-small": ("get /x HTTP/1.1\r\n\r\n", UNNAMED),
    "tab-behind-method": ("GET\t/x HTTP/1.1\r\n\r\n", UNNAMED),
    "blank-line-first": ("\r\n" + get("/x"), UNNAMED),
    "zeros-asked": ("\0" * 40, UNNAMED),
    "an-answer": (FINE, UNNAMED),
    "asked-length-below-0": (get("/asked-length-below-0/here", more="Content-Length: -1\r\n"),
                             {**UNNAMED, "/here": "complete"}),
    "asked-length-beyond-64-bits": (get("/asked-length-beyond-64-bits/here",
                                        more="Content-Length: 18446744073709551617\r\n"),
                                    {**UNNAMED, "/here": "complete"}),
    "asked-chunk-of-no-size": (get("/asked-chunk-of-no-size/here",
                                   more="Transfer-Encoding: chunked\r\n") + "zz\r\n",
                               {**UNNAMED, "/here": "complete"}),
}
EXPECTED = {f"/{name}{path}": outcome for table in (ANSWERS, REQUESTS)
            for name, (_, outcomes) in table.items() for path, outcome in outcomes.items()}
WITHOUT_PATH = sum(outcomes is UNNAMED for _, outcomes in REQUESTS.values())
GIVEN_UP = sum(outcomes is FIRST_UNREAD for _, outcomes in ANSWERS.values())


class Talk:
    """A connection whose ends are both ours."""

    def __init__(self, listener):
        self.asks = Raw(listener.getsockname()[1])
        self.answers, _ = listener.accept()
        self.answers.settimeout(200)

    def say(self, *exchanges):
        """(request, response) one after another, and the end."""
        for request, response in exchanges:
            for source, target, text in ((self.asks.socket, self.answers, request),
                                         (self.answers, self.asks.socket, response)):
                data = text.encode("latin-1")
                source.sendall(data)
                missing = len(data)
                while missing:
                    missing -= len(target.recv(missing))
        self.answers.close()
        self.asks.close()


def hostile(listener, between=lambda: None):
    """All of the two tables, each on a connection of its own."""
    for name, (first, _) in ANSWERS.items():
        Talk(listener).say((get(f"/{name}/first"), first), (get(f"/{name}/second"), FINE),
                           (get(f"/{name}/third"), FINE))
        between()
    for name, (request, _) in REQUESTS.items():
        Talk(listener).say((get(f"/{name}/before"), FINE), (request, FINE),
                           (get(f"/{name}/after"), FINE))
        between()


@test_tiers()
def requests_around_malformed_bytes_all_count(s, tier):
    listener = socket.create_server(("127.0.0.1", 0))
    capture = Capture(s, listener.getsockname()[1], ring_bytes=ROOMY, tier=tier)
    hostile(listener)
    total = len(EXPECTED) + WITHOUT_PATH
    found = {role: capture.wait(total, role) for role in ("server", "client")}
    counters = capture.stop()
    at_least(counters["ignored"], 2 * GIVEN_UP, "connections given up, at both ends")
    for role, pairs in found.items():
        outcomes = {p.path: p.outcome for p in pairs if p.path != "-"}
        wrong = {path: outcomes.get(path) for path in outcomes.keys() | EXPECTED.keys()
                 if outcomes.get(path) != EXPECTED.get(path)}
        equal(wrong, {}, f"what became otherwise of the requests of the {role}")
        equal([(p.outcome, p.status, p.flags) for p in pairs if p.path == "-"],
              [("complete", 200, PIPELINED)] * WITHOUT_PATH, "requests that cannot be read")
        equal(len(pairs), total, f"pairs of the {role}")
        asked = {p.path: p.request_bytes for p in pairs if p.path in EXPECTED}
        own = {path: len(get(path)) for path in asked if path.split("/")[1] in ANSWERS}
        equal({path: asked[path] for path in own if asked[path] != own[path]}, {},
              f"bytes of requests of the {role} that are not their own")


@test_tiers("vowd", "vow")
def malformed_bytes_leave_a_neighbour_as_it_is(s, tier):
    listener, clean = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    agent = Agent(s, "hostile", listener.getsockname()[1],
                  f"  - {{name: clean, match: {{port: {clean.getsockname()[1]}}}}}\n", tier)
    took = []

    def neighbour():
        began = time.monotonic_ns()
        Talk(clean).say((get("/clean"), FINE), (get("/fine"), FINE))
        took.append(time.monotonic_ns() - began)
    hostile(listener, neighbour)
    completed = collections.Counter(EXPECTED.values())["complete"] + WITHOUT_PATH
    s.until(lambda: agent.settled() == completed, 10, "the hostile service's requests")
    rows = [row for row in s.vow("routes", "--total", dir=agent.run)
            if row["service"] == "clean" and row["role"] == "server" and row["kind"] == "http"]
    equal({(row["method"], row["route"], row["status_class"]): row["count"] for row in rows},
          {("GET", "/clean", "2xx"): len(took), ("GET", "/fine", "2xx"): len(took)},
          "rows of the clean service")
    for row in rows:
        at_most(row["max_ns"], max(took), f"slowest {row['route']}, against what two took (ns)")
    row = agent.collector()
    at_least(row["drops_total"]["no_response"], 2 * (len(EXPECTED) - completed + WITHOUT_PATH),
             "requests without a response, at both ends")
    check(int(re.search(r"not HTTP/1 (\d+)", row["detail"]).group(1)) >= 2 * GIVEN_UP,
          f"connections that are said to be given up: {row['detail']}")

    def balanced():
        told, seen = agent.accounts()
        equal(told, seen, "reported and dropped, against seen")
        return True
    s.until(balanced, 10, "pairs all accounted for")


main("capture_malformed")
