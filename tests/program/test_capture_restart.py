#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vowd ends and begins again amid requests: what it counts is what was asked, and no latency is longer
than what the clients waited."""
from capture import *

REQUESTS, AMID, PAUSE_S = 200, 5, 0.002
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIVES = {"/one": 15, "/two": 9, "/three": None}  # of vowd: what is asked for, and the signal that ends it


class Halves:
    """Connections to a server of ours that are amid a request."""

    def __init__(self, s):
        self.listener = socket.create_server(("127.0.0.1", 0))
        s.defer(self.listener.close)
        self.port = self.listener.getsockname()[1]
        self.ends, self.took = [], []

    def ask(self, path="/amid"):
        for _ in range(AMID):
            raw = Raw(self.port)
            taken, _ = self.listener.accept()
            self.ends.append((raw, taken))
            raw.send(get(path))
            taken.recv(1000)

    def answer(self):
        """Answers what was asked, and one request more on each connection."""
        for raw, taken in self.ends:
            taken.sendall(OK)
            raw.response()
            began = time.monotonic_ns()
            raw.send(get("/then"))
            taken.recv(1000)
            taken.sendall(OK)
            raw.response()
            self.took.append(time.monotonic_ns() - began)
            raw.close()
            taken.close()
        self.ends = []


def rows_of(agent, service, kind="http"):
    return {row["route"]: row for row in agent.story.vow("routes", "--total", dir=agent.run)
            if (row["service"], row["role"], row["kind"]) == (service, "server", kind)}


def no_longer(row, took):
    at_most(row["max_ns"], max(took), f"slowest {row['route']}, against the clients' (ns)")


def while_vowd_is_there(s, agent, load, halves, path):
    """What was asked before is answered, and the clients ask for `path`."""
    answered = bool(halves.ends)
    halves.answer()
    load.turn_to(s, path, REQUESTS)
    load.turn_to(s, "/idle")
    agent.settled()
    row = rows_of(agent, "shop")[path]
    equal(row["count"], len(load.took[path]), f"requests for {path}")
    no_longer(row, load.took[path])
    at_least(agent.collector()["drops_total"]["unclassified"], AMID if answered else 0,
             "answers to what was asked before")


@test_tiers("nginx", "vowd", "vow")
def vowd_restarted_under_load_counts_all_and_adds_no_time(s, tier):
    """Connections stay open all the time; some are amid a request whenever vowd is not there."""
    server = s.nginx("location / { return 200 ok; }")
    halves, load = Halves(s), Load(s, server.port, 3, PAUSE_S)
    for path, signum in LIVES.items():
        load.turn_to(s, "/idle")
        agent = Agent(s, "shop", server.port, f"  - {{name: halves, match: {{port: {halves.port}}}}}\n"
                      f"capture: {{http_ring: 16MiB, http_tier: {tier}}}\n")
        equal(agent.collector()["tier"], tier, "tier")
        while_vowd_is_there(s, agent, load, halves, path)
        if signum:
            halves.ask()
            agent.program.signal(signum)
            agent.program.wait()
    rows, then = rows_of(agent, "shop"), rows_of(agent, "halves")
    equal({path: rows[path]["count"] for path in LIVES}, {path: len(load.took[path]) for path in LIVES},
          "requests of all lives")
    equal({path: row["count"] for path, row in then.items()}, {"/then": 2 * AMID},
          "requests on connections that were amid another one")
    no_longer(then["/then"], halves.took)
    for kind in ("http", "user"):
        for row in rows_of(agent, "shop", kind).values():
            no_longer(row, sum(load.took.values(), []))
    equal(agent.program.stop(), 0, "exit status of vowd")


main("capture_restart")
