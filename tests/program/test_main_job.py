#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: real servers and applications, through the agent, to the fleet."""
import random
import socket

from capture import *

RELATIVE_ERROR = 0.00271
MILLIONS = 5 if QUICK else 50  # observations, in the same time


def start_agent(s, capture="http: true, host: false", port=None):
    """With port, the service that listens there is called "tested": others on this machine may run
    programs of the same name meanwhile."""
    services = f"services: [{{name: tested, match: {{port: {port}}}}}]\n" if port else ""
    s.write("run/vow.yaml", f"capture: {{{capture}}}\n{services}")
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return vowd


def observe(s, service, threads, count, rate):
    return s.start(s.program("tests/observe"), service, "/pay", str(threads), str(count),
                   str(rate), "1000000", "1000000", env={"VOW_DIR": s.dir("run")}, name=service)


def http_rows(s, service, role="server", window="--total"):
    return [r for r in s.vow("routes", window, dir=s.dir("run"))
            if r["service"] == service and r["role"] == role and r["kind"] == "http"]


def drops(s):
    status = s.vow("status", dir=s.dir("run"))
    return next(sum(c["drops_total"].values()) for c in status["collectors"] if c["name"] == "http")


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def every_line_of_nginx_access_log_is_counted(s):
    server = s.nginx("location / { } location = /tiny { return 200 tiny; }")
    start_agent(s, port=server.port)
    with open(f"{server.www}/big", "wb") as big:
        big.truncate(30_000_000)

    def load():
        done = 0
        while done < 20_000:
            done += s.wrk(server.url("/tiny?secret=no"), connections=32, seconds=5)["requests"]
        s.wrk(server.url("/missing/page"), connections=4, seconds=1)
    reader = slow_download, server.port, "/big", 5
    equal(at_once(reader, reader, (load,))[:2], [30_000_000] * 2, "bytes that slow readers read")
    server.stop()
    with open(server.access_log, encoding="ascii") as log:
        lines = sum(1 for _ in log)
    at_least(lines, 10_000, "lines of the access log")

    def all_accounted():
        counted = sum(r["count"] for r in http_rows(s, "tested"))
        return lines - drops(s) <= counted <= lines and counted
    s.until(all_accounted, 5, f"account of {lines} requests")
    s.ticks_later(dir=s.dir("run"))  # nothing may be added twice
    counted = all_accounted()
    if not drops(s):
        equal(counted, lines, "requests counted")
    classes = {r["status_class"] for r in http_rows(s, "tested")}
    check({"2xx", "4xx"} <= classes, f"both outcomes are told apart: {classes}")
    routes = json.dumps(s.vow("routes", "--total", dir=s.dir("run")))
    check("secret" not in routes, "no query string is shown")


BLOCKED = HOLD + """
const http = require('http');
http.createServer((q, r) => {
    if (q.url === '/block') hold();
    r.end('ok');
}).listen(process.env.PORT, '127.0.0.1');
"""


@test
@needs("bpf", "node", "vowd", "vow")
def a_blocked_server_shows_the_wait_of_those_behind_it(s):
    server = s.node(BLOCKED, env={"STORY": s.root})
    start_agent(s, port=server.port)
    rounds = [behind_a_held_server(s, server.port, 10) for _ in range(3)]
    row = s.until(lambda: [r for r in http_rows(s, "tested") if r["route"] == "/behind"
                           and r["count"] == 30], 5, "thirty requests behind")[0]
    at_least(row["queue_p99_ns"], min(waited for waited, _ in rounds) * (1 - RELATIVE_ERROR),
             "p99 of the wait in the socket, in ns")
    at_most(row["p99_ns"], max(served for _, served in rounds) * (1 + RELATIVE_ERROR),
            "p99 of what the server itself believes, in ns")


@test
@needs("vowd", "vow")
def millions_of_observations_are_exact_even_when_the_agent_is_stopped(s):
    vowd = start_agent(s, "http: false, host: false")
    apps = {name: observe(s, name, 4, MILLIONS * 125_000, MILLIONS * 9_000)
            for name in ("shop", "stock")}
    time.sleep(2)
    vowd.signal(19)  # SIGSTOP
    time.sleep(10)
    vowd.signal(18)  # SIGCONT
    for name, app in apps.items():
        equal(app.wait(90), 0, f"status of {name}")
    row = {}

    def complete():
        for r in s.vow("routes", "--total", dir=s.dir("run")):
            row[r["service"]] = r
        return all(row[name]["count"] == MILLIONS * 500_000 for name in apps)
    s.until(complete, 10, f"{MILLIONS / 2} million observations of each application")
    s.ticks_later(dir=s.dir("run"))  # nothing may be added twice
    check(complete(), f"counts do not stay as they were: {row}")
    for name, app in apps.items():
        truth = [int(t) for t in app.log().split("truth ")[1].split("\n")[0].split()]
        for field, exact in zip(("p50_ns", "p90_ns", "p95_ns", "p99_ns"), truth):
            near(row[name][field], exact, exact * RELATIVE_ERROR, f"{field} of {name}")
        equal(row[name]["max_ns"], truth[4], f"maximum of {name}")


class Fleet:
    """An agent with its exporter and a hub, each of which can be killed and started again."""

    def __init__(self, s):
        self.s, self.port, self.http = s, s.port(), s.port()
        start_agent(s, "http: false, host: false")
        self.hub, self.exporter = self.start_hub(), self.start_exporter()

    def start_hub(self):
        hub = self.s.start(self.s.program("vow-hub"), "--dir", self.s.dir("hub"), "--listen",
                           f"127.0.0.1:{self.port}", "--http", f"127.0.0.1:{self.http}")
        self.s.listening(self.http, hub)
        return hub

    def start_exporter(self):
        return self.s.start(self.s.program("vow-export"), "--dir", self.s.dir("run"), "--hub",
                            f"127.0.0.1:{self.port}")

    def totals(self, **where):
        return {(r["service"], r["route"], r["status_class"]):
                (r["count"], r["errors"], r["p50_ns"], r["p99_ns"], r["max_ns"])
                for r in self.s.vow("routes", "--total", **where)}

    def agree(self):
        local = self.totals(dir=self.s.dir("run"))
        return local and self.totals(hub=f"127.0.0.1:{self.port}") == local


@test
@needs("vowd", "vow", "vow-export", "vow-hub")
def five_kills_of_exporter_and_hub_leave_the_fleet_totals_exact(s):
    fleet = Fleet(s)
    apps = [observe(s, name, 2, 150_000, 15_000) for name in ("shop", "stock")]
    chance = random.Random(5)
    s.until(lambda: fleet.totals(hub=f"127.0.0.1:{fleet.port}"), 10, "first figures at the hub")
    for _ in range(5):
        time.sleep(chance.uniform(0.3, 1.0))
        fleet.exporter.kill()
        fleet.exporter = fleet.start_exporter()
        time.sleep(chance.uniform(0.1, 0.6))
        fleet.hub.kill()
        fleet.hub = fleet.start_hub()
    for app in apps:
        equal(app.wait(60), 0, f"status of {app.name}")
    s.until(lambda: sum(c[0] for c in fleet.totals(dir=s.dir("run")).values()) == 600_000, 10,
            "600,000 observations at the agent")
    s.until(fleet.agree, 20, "the agent's totals at the hub")
    s.ticks_later(dir=s.dir("run"))
    s.ticks_later(hub=f"127.0.0.1:{fleet.port}")
    check(fleet.agree(), "totals still agree a tick later")


@test
@needs("vowd", "vow", "vow-export", "vow-hub")
def both_addresses_of_a_hub_answer_the_command_line(s):
    fleet = Fleet(s)
    observe(s, "shop", 1, 500, 0)
    for port in (fleet.port, fleet.http):
        row, = s.until(lambda: [r for r in s.vow("routes", "--total", hub=f"127.0.0.1:{port}")
                                if r["count"] == 500], 10, f"500 observations at port {port}")
        equal(row["service"], "shop", f"service asked at port {port}")
        equal(row["host"], socket.gethostname(), "host")


main("main_job")
