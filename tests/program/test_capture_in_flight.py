#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests under way, told of each service in each role: as many as its slow servers hold, older with
every look, and none once they were answered, their connection was cut, or who held them was killed."""
from capture import *

# Takes requests and holds them, until the file GO is there: then answers all, also later ones.
HOLDER = """
import os, select, socket, sys
port, go = int(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", port), backlog=64)
print("ready", flush=True)
idle, held = [listener], []
while True:
    for ready in select.select(idle, [], [], 0.01)[0]:
        if ready is listener:
            idle.append(listener.accept()[0])
        elif ready.recv(65536):
            idle.remove(ready)
            held.append(ready)
        else:
            idle.remove(ready)
            ready.close()
    while held and os.path.exists(go):
        held[-1].sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        idle.append(held.pop())
    # A client that has gone is seen by who writes or looks: nobody here reads further.
    for gone in [one for one in held if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]:
        held.remove(gone)
        gone.close()
"""


class Holder:
    """A service that answers when it is let."""

    def __init__(self, s, name):
        self.story, self.name, self.port = s, name, s.port()
        self.go = s.path(f"go-{name}")
        self.program = s.start("python3", s.write(f"{name}.py", HOLDER), self.port, self.go)
        s.until(lambda: "ready\n" in self.program.log(), 10, name)

    def ask(self, count):
        """So many connections with a request each."""
        raws = [Raw(self.port) for _ in range(count)]
        for n, raw in enumerate(raws):
            raw.send(get(f"/{self.name}/{n}"))
        return raws

    def answer(self, raws):
        self.story.write(f"go-{self.name}", "")
        for raw in raws:
            raw.response()


class Watched:
    """vowd, and two services that hold requests of a third, which is this test."""

    def __init__(self, s, tier):
        self.story, self.run = s, s.dir("run")
        self.slow, self.slower = Holder(s, "slow"), Holder(s, "slower")
        # A name that no other client on this machine has.
        self.asker = f"ask{self.slow.port}"
        with open("/proc/self/comm", "w", encoding="ascii") as command:
            command.write(self.asker)
        s.write("run/vow.yaml", "services:\n" + "".join(
            f"  - name: {one.name}\n    match: {{port: {one.port}}}\n"
            for one in (self.slow, self.slower)) +
            f"  - name: asker\n    match: {{command: {self.asker}}}\n"
            f"capture: {{http_tier: {tier}}}\n")
        self.program = s.start(s.program("vowd"), "--dir", self.run)
        s.until(lambda: self.http()["tier"] == tier, 10, "capture")

    def status(self):
        return self.story.vow("status", dir=self.run)

    def http(self):
        return next(row for row in self.status()["collectors"] if row["name"] == "http")

    def in_flight(self):
        """{(service, role): (requests, age of the oldest in s)}"""
        gauges = {(g["service"], g["label"], g["name"]): g["value"]
                  for g in self.status()["gauges"]}
        return {(service, role): (count, gauges[service, role, "http_oldest_request_age_s"])
                for (service, role, name), count in gauges.items()
                if name == "http_requests_in_flight"}

    def until(self, slow, slower, asker):
        """Waits for these counts, and returns what else there is to see then."""
        def equal_counts():
            seen = self.in_flight()
            counts = tuple(seen.get(row, (None, 0))[0] for row in
                           (("slow", "server"), ("slower", "server"), ("asker", "client")))
            return seen if counts == (slow, slower, asker) else None
        return self.story.until(equal_counts, 20,
                                f"{slow}, {slower} and {asker} requests in flight")


@test_tiers(tiers=ALL_TIERS)
def services_tell_how_many_requests_they_hold_and_how_old_the_oldest_is(s, tier):
    watched = Watched(s, tier)
    first = watched.slow.ask(5)
    asked = time.monotonic()
    before = watched.until(5, None, 5)
    second = watched.slower.ask(3)
    after = watched.until(5, 3, 8)
    waited = time.monotonic() - asked
    for row in (("slow", "server"), ("asker", "client")):
        check(0 < before[row][1] < after[row][1] <= waited, f"age of {row}: {before} then {after}")
    check(after["slower", "server"][1] < after["slow", "server"][1], f"younger: {after}")
    check(("slow", "client") not in after, f"a server that asks nobody: {after}")
    count, age = after["", ""]
    at_least(count, 16, "requests of the host, seen from both ends")
    at_least(age, after["slow", "server"][1], "age of the oldest of the host")
    watched.slow.answer(first)
    later = watched.until(0, 3, 3)
    equal(later["slow", "server"][1], 0, "age without any")
    check(later["asker", "client"][1] <= time.monotonic() - asked, f"age of others: {later}")
    watched.slower.answer(second)
    watched.until(0, 0, 0)
    equal(watched.program.stop(), 0, "exit status of vowd")


@test_tiers(tiers=ALL_TIERS)
def requests_end_with_their_connection_and_with_who_holds_them(s, tier):
    watched = Watched(s, tier)
    first, second = watched.slow.ask(4), watched.slower.ask(6)
    watched.until(4, 6, 10)
    for raw in first[:3]:
        raw.reset()
    watched.until(1, 6, 7)
    watched.slower.program.kill()
    watched.until(1, 0, 7)  # who asked has not looked yet
    for raw in second:
        raw.close()
    watched.until(1, 0, 1)
    watched.slow.answer(first[3:])
    watched.until(0, 0, 0)
    equal(watched.program.stop(), 0, "exit status of vowd")


main("capture_in_flight")
