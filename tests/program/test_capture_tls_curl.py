#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""curl over https, whose library is probed: what it asked, against what it and nginx know."""
import shutil

from capture_tls import *

SITES = """
location /slow { limit_rate 64k; rewrite ^ /body break; }
location /broken { return 503; }
location / { return 200 hello; }"""
# (path, status), in this order on one connection.
ASKED = [(f"/things/{n}", 200) for n in range(8)] + [("/broken", 503), ("/slow", 200)] * 2


def gate(s):
    """A server without TLS that lets whoever asks wait. Returns its port, and what lets them go on."""
    listener = socket.create_server(("127.0.0.1", 0))
    s.defer(listener.close)
    told = threading.Event()
    s.defer(told.set)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(65536)
                told.wait()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                connection.close()
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], told.set


class Curl:
    """curl under a name of its own (.name), which asks for all paths as soon as it is let: .go()."""

    def __init__(self, s, server, *options):
        self.story, self.server, self.name = s, server, f"curl{server.port}"
        self.file = s.path(self.name)
        shutil.copy(command_path("curl"), self.file)
        self.options = ("-sk", *options, "-w", "%{time_total} %{http_code} %{url}\n")

    def urls(self, paths):
        return [word for path in paths for word in
                ("-o", "/dev/null", f"https://127.0.0.1:{self.server.port}{path}?hidden=1")]

    def start(self, paths):
        """Begins, and waits at a gate: its library is there, and nothing asked of nginx yet."""
        port, self.go = gate(self.story)
        self.program = self.story.start(self.file, *self.options, "-o", "/dev/null",
                                        f"http://127.0.0.1:{port}/gate", *self.urls(paths))
        self.story.until(lambda: calls_of(self.program.pid).count("libssl"), 10, "library of curl")
        return self.program

    def run(self, path):
        """One request by a curl that ends with it."""
        self.story.run(self.file, *self.options, *self.urls([path]))

    def took(self):
        """[(seconds, status, path)] as curl has it, without the gate."""
        rows = [line.split() for line in self.program.log().splitlines() if " https://" in line]
        return [(float(seconds), int(status), re.sub(r".*:\d+(/.*)\?.*", r"\1", url))
                for seconds, status, url in rows]


def asked_and_answered(curl, count):
    """Lets it go on; what it says of its requests."""
    curl.go()
    curl.story.until(lambda: len(curl.took()) == count, 20, "all answers")
    return curl.took()


@test_tiers("nginx", "openssl", "curl")
def requests_of_curl_on_one_connection_have_route_and_status(s, tier):
    server = nginx(s, SITES)
    s.write("nginx/www/body", bytes(40_000))
    curl = Curl(s, server, "--http1.1")
    program = curl.start([path for path, _ in ASKED])
    capture = Capture(s, server.port, ROOMY, tier=tier, traced=calls_of(program.pid))
    took = asked_and_answered(curl, len(ASKED))
    pairs, turns = capture.wait(len(ASKED), "client"), capture.wait(len(ASKED), "server")
    capture.stop()
    rows = log_rows(s, server)
    equal([len(rows[port]) for port in rows], [len(ASKED)], "requests of each connection in the log")
    equal([(status, path) for _, status, path in took], [(status, path) for path, status in ASKED],
          "what curl got")
    equal((len(pairs), len(turns)), (len(ASKED), len(ASKED)), "pairs of both ends")
    equal([(p.method, p.path, p.status) for p in pairs],
          [("GET", path, status) for path, status in ASKED], "method, path and status")
    equal({(p.outcome, p.flags, p.remote_port) for p in pairs}, {("complete", 0, server.port)},
          "outcomes, flags and ports")
    equal({p.flags for p in turns}, {TLS}, "flags of nginx, which is not probed")
    for pair, (seconds, _, path) in zip(pairs, took):
        at_most(pair.total_ns, seconds * 1e9 + 1000, f"{path}: latency against curl's (ns)")
        if path == "/slow":
            at_least(pair.total_ns / 1e6, 300, "a slow one (ms)")
    check("hidden" not in capture.program.log(), "a query string left the kernel")


class Asker(Tracer):
    """vowd that has this curl traced."""

    def __init__(self, s, curl, port, tier):
        super().__init__(s, "web", port, [curl.name], tier=tier)
        self.curl = curl

    def asked(self):
        """{(kind, method, route, status class): count} of what curl asked nginx."""
        found = collections.Counter()
        for row in self.story.vow("routes", "--total", dir=self.run):
            if (row["service"], row["role"]) == (self.curl.name, "client") and \
                    row["kind"] in ("http", "tls") and row["route"] != "/gate":
                found[row["kind"], row["method"], row["route"], row["status_class"]] += row["count"]
        return dict(found)


@test_tiers("nginx", "openssl", "curl", "vowd", "vow")
def routes_of_curl_are_a_clients(s, tier):
    server = nginx(s, SITES)
    s.write("nginx/www/body", bytes(40_000))
    curl = Curl(s, server, "--http1.1")
    curl.start([path for path, _ in ASKED])
    agent = Asker(s, curl, server.port, tier)
    s.until(lambda: agent.traced() == {curl.name: 1}, 20, "probes")
    asked_and_answered(curl, len(ASKED))
    expected = {("http", "GET", "/things/{id}", "2xx"): 8, ("http", "GET", "/broken", "5xx"): 2,
                ("http", "GET", "/slow", "2xx"): 2}
    s.until(lambda: sum(agent.asked().values()) >= len(ASKED), 10, "all of them")
    agent.settled()
    equal(agent.asked(), expected, "requests of curl, each once")
    equal(agent.count(), len(ASKED), "the same as nginx had them, by turns")


@test_tiers("nginx", "openssl", "curl", "vowd", "vow")
def what_curl_asks_by_http2_is_left_to_turns(s, tier):
    server = nginx(s, SITES, listen="ssl http2")
    curl = Curl(s, server, "--http2")
    paths = [f"/things/{n}" for n in range(6)]
    curl.start(paths)
    agent = Asker(s, curl, server.port, tier)
    s.until(lambda: agent.traced() == {curl.name: 1}, 20, "probes")
    asked_and_answered(curl, len(paths))
    s.until(lambda: sum(agent.asked().values()) >= len(paths), 10, "all of them")
    agent.settled()
    equal(agent.asked(), {("tls", "", "{tls-h2}", "unknown"): len(paths)}, "exchanges of curl")


@test_tiers("nginx", "openssl", "curl", "vowd", "vow")
def curl_that_ends_before_it_is_known_keeps_its_turns(s, tier):
    """What the documentation says: a process that is gone before its first turn has ended."""
    server = nginx(s, SITES)
    curl = Curl(s, server, "--http1.1")
    agent = Asker(s, curl, server.port, tier)
    for _ in range(5):
        curl.run("/things/1")
    s.until(lambda: sum(agent.asked().values()) >= 5, 10, "all of them")
    agent.settled()
    equal(agent.asked(), {("tls", "", "{tls}", "unknown"): 5}, "requests of curls that are gone")
    equal(agent.traced(), {}, "processes that are probed")


main("capture_tls_curl")
