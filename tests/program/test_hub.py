#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub as a program: restarts, bad input, a full disk, and what it answers over HTTP."""
import contextlib
import re
import socket
import sqlite3
import urllib.parse

from story import *

SERIES, EVENTS = 10, 20


class Hub:
    """vow-hub on free ports of loopback, in the folder `name`."""

    def __init__(self, s, name="hub", folder=None, http_host="127.0.0.1", more=()):
        self.s, self.dir = s, folder or s.dir(name)
        self.listen, self.http, self.http_host, self.more = s.port(), s.port(), http_host, more
        self.start()

    def start(self):
        self.program = self.s.start(self.s.program("vow-hub"), "--dir", self.dir, "--listen",
                                    f"127.0.0.1:{self.listen}", "--http",
                                    f"{self.http_host}:{self.http}", *self.more)
        self.s.listening(self.http, self.program)

    def get(self, path, **more):
        """(status, body as text)"""
        status, _, body = self.s.http(f"http://127.0.0.1:{self.http}{path}", **more)
        return status, body.decode()

    def json(self, path, status=200):
        got, body = self.get(path)
        equal(got, status, f"status of {path}")
        return json.loads(body)

    def metric(self, name):
        return float(re.search(f"^{name} (.*)$", self.get("/metrics")[1], re.M).group(1))

    def events(self, window="total"):
        rows = self.json(f"/api/v1/routes?window={window}")
        return sum(row["count"] for row in rows if row["service"] == "feed")


def export(s, hub, run="run"):
    return s.start(s.program("vow-export"), "--dir", s.dir(run), "--hub",
                   f"127.0.0.1:{hub.listen}")


def feed(s, records, rate=0, run="run"):
    return s.start(s.program("tests/journal_feed"), s.dir(run), records, rate, SERIES, EVENTS)


def fed(feeder):
    """Events of a feeder that comes to its end."""
    equal(feeder.wait(60), 0, "status of the feeder")
    return int(feeder.log().split()[2])


@test
@needs("vow-hub", "vow-export")
def totals_and_windows_are_there_again_after_a_restart(s):
    hub = Hub(s)
    export(s, hub)
    events = fed(feed(s, 80, 20))  # four seconds of records
    s.until(lambda: hub.events() == events, 10, "all events at the hub")
    equal(hub.program.stop(), 0, "status after SIGTERM")
    hub.start()
    equal(hub.events(), events, "events in total after the restart")
    equal(hub.events("1h"), events, "events of the last hour after the restart")
    equal(hub.program.kill(), -9, "status after SIGKILL")
    hub.start()
    equal(hub.events(), events, "events in total after the crash")
    equal(hub.events("5m"), events, "events of the last 5 minutes after the crash")
    check(all(row["window_s"] > 3 for row in hub.json("/api/v1/routes?window=5m")),
          "rates are not taken over the new process's life alone")


@test
@needs("vow-hub")
def second_sigterm_while_it_ends_changes_nothing(s):
    hub = Hub(s)
    for _ in range(20):
        hub.program.signal(15)
        time.sleep(0.01)
        if not hub.program.running():
            break
    equal(hub.program.wait(10), 0, "status")
    check("ended" in hub.program.log(), "the last line of its log")


@test
@needs("vow-hub")
def word_that_is_no_option_is_refused(s):
    done = s.run(s.program("vow-hub"), "start", status=2)
    check("start" in done.stderr, f"the word: {done.stderr!r}")


@test
@needs("vow-hub", "vow-export")
def record_as_large_as_a_journal_takes_comes_through(s):
    hub = Hub(s)
    export(s, hub)
    fed(s.start(s.program("tests/journal_feed"), s.dir("run"), 1, 0, 230000, 40))
    size = sum(entry.stat().st_size for entry in os.scandir(s.dir("run/journal")))
    at_least(size, 17 << 20, "bytes of the journal with its one record")
    s.until(lambda: [row["last_seq"] for row in hub.json("/api/v1/hosts")] == [1], 20,
            "the record at the hub")


@test
@needs("vow-hub", "vow-export")
def records_that_cannot_be_read_are_told_and_stop_nothing(s):
    hub = Hub(s)
    export(s, hub)
    events = fed(s.start(s.program("tests/journal_feed"), s.dir("run"), 100, 0, SERIES, EVENTS, 0,
                         0, 0, 25))
    s.until(lambda: hub.events() == events, 10, "all events that can be read")
    row, = hub.json("/api/v1/hosts")
    equal((row["last_seq"], row["gap_records_total"]), (100, 4), "last and lost records")
    check("record 100 cannot be read" in row["problem"], row["problem"])
    check(row["connected"], "the stream goes on")
    equal(hub.metric("vow_hub_refused_total"), 4, "refused records")
    equal(hub.get("/healthz")[0], 200, "health")
    doctor = s.vow("doctor", hub=f"127.0.0.1:{hub.listen}", status=None)
    check("record 100 cannot be read" in json.dumps(doctor), f"doctor: {doctor}")
    hub.program.stop()
    with contextlib.closing(sqlite3.connect(f"{hub.dir}/hub.db")) as db:
        rows = db.execute("SELECT seq, reason, length(tick) FROM refused ORDER BY seq").fetchall()
    equal([row[0] for row in rows], [25, 50, 75, 100], "records that were kept")
    check(all(reason and size > 100 for _, reason, size in rows), f"what was kept: {rows}")
    hub.start()
    equal(hub.events(), events, "events after a restart")


@test
@needs("vow-hub", "vow-export")
def agent_of_another_version_is_refused_by_name_and_harms_no_other(s):
    hub = Hub(s)
    say_hello = [s.program("tests/other_agent"), f"127.0.0.1:{hub.listen}"]
    for protocol in (0, 2, 4294967295):
        told = s.run(*say_hello, protocol).stdout
        for part in ("refused: ", "speaks protocol version 1", "the agent on other-host",
                     "(vow 9.9.9)", f"speaks {protocol}", "update the older of the two"):
            check(part in told, f"{part!r} is not in {told!r}")
        check(f"speaks {protocol}" in hub.program.log(), f"log of the hub: {hub.program.log()!r}")
    equal(hub.json("/api/v1/hosts"), [], "hosts that were taken")
    equal(s.run(*say_hello, 1).stdout, "taken, to go on behind record 0\n", "the same version")
    export(s, hub)
    events = fed(feed(s, 50))
    s.until(lambda: hub.events() == events, 15, "events of an agent of this version")


@test
@needs("vow-hub")
def second_hub_of_a_folder_is_refused_and_names_the_first(s):
    hub = Hub(s)
    done = s.run(s.program("vow-hub"), "--dir", hub.dir, "--listen", f"127.0.0.1:{s.port()}",
                 "--http", f"127.0.0.1:{s.port()}", status=1)
    check(str(hub.program.pid) in done.stderr, f"the first's pid: {done.stderr!r}")
    equal(hub.get("/healthz")[0], 200, "health of the first")


@test
@needs("vow-hub")
def port_in_use_is_named(s):
    hub = Hub(s)
    for option in ("--listen", "--http"):
        ports = {"--listen": hub.listen, "--http": hub.http}
        argv = ["--listen", f"127.0.0.1:{s.port()}", "--http", f"127.0.0.1:{s.port()}"]
        argv[argv.index(option) + 1] = f"127.0.0.1:{ports[option]}"
        done = s.run(s.program("vow-hub"), "--dir", s.dir("other"), *argv, status=1)
        check(str(ports[option]) in done.stderr, f"the port: {done.stderr!r}")


@test
@needs("vow-hub", "vow-export")
def garbage_on_both_ports_harms_nothing(s):
    hub = Hub(s)
    export(s, hub)
    feeder = feed(s, 200, 100)
    for port in (hub.listen, hub.http):
        for garbage in (b"\0" * 100, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000, os.urandom(5000),
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(2000)):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                try:
                    peer.sendall(garbage)
                    peer.shutdown(socket.SHUT_WR)
                    peer.settimeout(0.2)  # nothing depends on an answer
                    peer.recv(1000)
                except OSError:
                    pass  # it may hang up at any point
    events = fed(feeder)
    s.until(lambda: hub.events() >= events, 10, "all events at the hub")
    equal(hub.events(), events, "events at the hub")
    equal(hub.get("/healthz")[0], 200, "health")


@test
@needs("vow-hub", "vow-export", "root")
def full_disk_is_told_and_ends_by_itself_without_loss(s):
    disk = s.dir("disk")
    s.run("mount", "-t", "tmpfs", "-o", "size=2m", "vow-test", disk)
    s.defer(lambda: s.run("umount", "-l", disk, status=None))
    hub = Hub(s, folder=disk)
    export(s, hub)
    events = fed(feed(s, 6000, 0))
    s.until(lambda: (lambda status, body: status == 503 and "full" in body)(*hub.get("/healthz")),
            20, "health that says no, and why")
    s.until(lambda: "full" in hub.json("/api/v1/status")["trouble"], 5, "trouble in the status")
    check(hub.events() < events, "not everything fits")
    s.run("mount", "-o", "remount,size=64m", disk)
    s.until(lambda: hub.get("/healthz")[0] == 200, 20, "health that says yes")
    s.until(lambda: hub.events() >= events, 40, "all events at the hub")
    equal(hub.events(), events, "events at the hub")
    hub.program.kill()
    hub.start()
    equal(hub.events(), events, "events after a crash")


@test
@needs("vow-hub")
def bad_requests_say_what_to_do(s):
    hub = Hub(s)
    for path, status, words in (("/api/v1/rutes", 404, "/api/v1/status"),
                                ("/api/v1/routes?windo=1m", 400, "did you mean 'window'"),
                                ("/api/v1/routes?window=2m", 400, "window=10s, 1m, 5m, 30m"),
                                ("/api/v1/routes?limit=-1", 400, "limit=1 to"),
                                ("/api/v1/slo?window=1m", 400, "it takes limit"),
                                ("/api/v1/routes?all_hosts=yes", 400, "1 or 0"),
                                ("/api/v1/trend?kind=cow", 400, "kind=http, app, tls, user or connection"),
                                ("/api/v1/trend?route=/none", 404, "/api/v1/routes"),
                                ("/api/v1/events?service=x", 400, "window"),
                                ("/api/v1/query", 405, "POST"),
                                ("/nothing", 404, "/healthz")):
        answer = hub.json(path, status)
        check(answer["error"] and words in answer["fix"], f"{path}: {answer}")
    equal(hub.get("/api/v1/routes", data=b"x", method="POST")[0], 405, "status of a post")
    equal(hub.get("/api/v1/routes", method="DELETE")[0], 405, "status of DELETE")
    equal(hub.get("/api/v1/query", data=b"x" * 70000)[0], 413, "status of a large body")
    status, _, body = s.http(f"http://127.0.0.1:{hub.http}/api/v1/query", data=b"\xff garbage")
    check(status == 200 and b"question" in body, f"an error as protobuf: {body!r}")


@test
@needs("vow-hub")
def address_that_others_reach_asks_for_the_token(s):
    hub = Hub(s, http_host="0.0.0.0")
    with open(f"{hub.dir}/token", encoding="ascii") as file:
        token = file.read().strip()
    equal(os.stat(f"{hub.dir}/token").st_mode & 0o777, 0o600, "mode of the token's file")
    check(token in hub.program.log(), "it is printed once")
    for path in ("/api/v1/status", "/metrics", "/api/v1/events"):
        equal(hub.get(path)[0], 401, f"status of {path}")
        equal(hub.get(f"{path}?token={token[:-1]}")[0], 401, "status with a token cut short")
    equal(hub.get(f"/api/v1/status?token={token}")[0], 200, "status with the token")
    equal(hub.get("/metrics", headers={"Authorization": f"Bearer {token}"})[0], 200, "by header")
    equal(hub.get("/")[0], 200, "the page, which holds no figures")
    equal(hub.get("/healthz")[0], 200, "health, which is no secret")
    hub.program.stop()
    hub.start()
    check(token not in hub.program.log(), "it is printed no second time")
    equal(hub.get(f"/api/v1/status?token={token}")[0], 200, "the same token after a restart")


@test
@needs("vow-hub")
def a_page_whose_name_was_made_to_lead_here_reads_nothing(s):
    hub = Hub(s)
    for path in ("/", "/api/v1/status", "/api/v1/events", "/metrics", "/healthz"):
        for name in ("evil.example", f"evil.example:{hub.http}", "127.0.0.1.evil.example"):
            status, body = hub.get(path, headers={"Host": name})
            equal(status, 421, f"status of {path} for {name}")
            check("--http-names" in body, f"what to do: {body!r}")
    equal(hub.get("/api/v1/query", data=b"", headers={"Host": "evil.example"})[0], 421, "a post")
    for name in ("localhost", f"LOCALHOST:{hub.http}", "127.0.0.1", "127.8.9.1:80", "[::1]:80"):
        equal(hub.get("/api/v1/status", headers={"Host": name})[0], 200, f"status for {name}")
    hub.program.stop()
    hub.more = ["--http-names", "dash.example, vow.example"]
    hub.start()
    for name in ("dash.example", "vow.example:443", f"127.0.0.1:{hub.http}"):
        equal(hub.get("/api/v1/status", headers={"Host": name})[0], 200, f"status for {name}")
    equal(hub.get("/api/v1/status", headers={"Host": "evil.example"})[0], 421, "another name")


@test
@needs("vow-hub")
def agents_from_other_hosts_need_tls(s):
    done = s.run(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", f"0.0.0.0:{s.port()}",
                 "--http", f"127.0.0.1:{s.port()}", status=1)
    check("TLS" in done.stderr and "tls" in done.stderr, f"the reason: {done.stderr!r}")


SAMPLE = re.compile(r'^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$')


@test
@needs("vow-hub", "vow-export")
def metrics_are_prometheus_text_with_the_same_counts(s):
    hub = Hub(s)
    export(s, hub)
    events = fed(feed(s, 20, 0))
    s.until(lambda: hub.events() == events, 10, "all events at the hub")
    status, headers, body = s.http(f"http://127.0.0.1:{hub.http}/metrics")
    equal(status, 200, "status")
    check(headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers["Content-Type"])
    families, seen, sums = [], None, {}
    for line in body.decode().splitlines():
        if line.startswith("# TYPE "):
            seen = line.split()[2]
            check(seen not in families, f"{seen} comes twice")
            families.append(seen)
        elif not line.startswith("# HELP "):
            found = SAMPLE.match(line)
            check(found, f"no sample: {line!r}")
            equal(found.group(1), seen, "family of a sample")
            if 'service="feed"' in line or not found.group(2):
                sums[seen] = sums.get(seen, 0) + float(found.group(3))
    equal(sums["vow_events_total"], events, "vow_events_total")
    equal(sums["vow_hub_records_total"], 20, "vow_hub_records_total")
    equal(sums["vow_hub_trouble"], 0, "vow_hub_trouble")
    check({"vow_errors_total", "vow_latency_seconds", "vow_objective_compliance_ratio",
           "vow_host_connected"} <= set(families), f"families: {families}")


@test
@needs("vow-hub", "vow-export")
def events_come_once_a_second_with_what_the_page_needs(s):
    hub = Hub(s)
    export(s, hub)
    feed(s, 1_000_000, 50)  # until the test ends
    s.until(lambda: hub.events("10s") > 0, 10, "events of the last 10 s")
    ticks = []
    with socket.create_connection(("127.0.0.1", hub.http), timeout=200) as peer:
        peer.sendall(b"GET /api/v1/events?window=10s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = peer.makefile("rb")
        while len(ticks) < 4:
            line = text.readline()
            check(line, "the stream ended")
            if line.startswith(b"data: "):
                ticks.append(json.loads(line[6:]))
    made = [tick["status"]["ticks_total"] for tick in ticks]
    equal(made, sorted(set(made)), "numbers of the hub's seconds, of which each comes once")
    check(ticks[-1]["records_total"] > ticks[0]["records_total"], "records grow")
    equal(set(ticks[-1]), {"window", "records_total", "status", "routes", "deliveries", "alerts",
                           "scale", "trend"}, "parts of a tick")
    check(ticks[-1]["trend"]["fleet"]["rate"] > 0, "the fleet's rate")
    row = ticks[-1]["trend"]["routes"][0]
    line = hub.json("/api/v1/trend?" + urllib.parse.urlencode(
        {name: row[name] for name in ("service", "kind", "role", "method", "route")}))
    check(max(line["rate"]) > 0 and len(line["rate"]) == len(line["at_unix_s"]), "a route's line")


@test
@needs("vow-hub")
def reload_takes_a_good_file_and_keeps_the_old_one_for_a_bad(s):
    def promise(name):
        return s.write("hub/vow.yaml", f"""
objectives:
  - name: {name}
    threshold: 100 ms
    target: 95 %
""")
    promise("first")
    hub = Hub(s)

    def names():
        return [row["name"] for row in hub.json("/api/v1/slo")]
    check("first" in names(), f"objectives: {names()}")
    promise("second")
    hub.program.signal(1)
    s.until(lambda: "second" in names() and "first" not in names(), 5, "the new objective")
    s.write("hub/vow.yaml", "objektives: []\n")
    hub.program.signal(1)
    s.until(lambda: "objektives" in hub.program.log(), 5, "word of the mistake")
    check("vow.yaml:1" in hub.program.log(), "file and line of the mistake")
    check("second" in names(), f"objectives: {names()}")


main("hub")
