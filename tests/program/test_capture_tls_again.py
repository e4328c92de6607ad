#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connections that stay open while reading within TLS comes and goes: each request is counted once, in
the clear or by a turn, and one that was under way at the switch as unclear. What must come of each is
said by its path, and how many of each there were by the servers' own logs."""
import collections
import os
import signal
import threading

from capture_tls import *

READ, TURN, LOST = "/read/", "/turn/", "/lost/"
BUSY = "/busy"
SWITCHES = 3
BIG = 16 << 20  # bytes of a response: more than there is room for between two sockets
SMALL_ROOM = 65536

NODE_SERVER = """
const https = require('https'), fs = require('fs');
const held = [];
process.on('SIGHUP', () => held.splice(0).forEach((response) => response.end('ok')));
// A connection stays open however long a busy machine leaves it alone.
https.createServer({key: fs.readFileSync(process.env.KEY), cert: fs.readFileSync(process.env.CRT),
    keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0}, (request, response) => {
    fs.appendFileSync(process.env.STORY + '/node.log', `${request.url}\\n`);
    request.resume();
    request.on('end', () => {
        if (request.url.endsWith('/held'))
            held.push(response);
        else
            response.end('ok');
    });
}).listen(process.env.PORT, '127.0.0.1');
"""

# Asks one after the other for the paths in the file `asked`, all on one connection.
NODE_CLIENT = """
process.title = process.env.TITLE;
const https = require('https'), fs = require('fs');
const agent = new https.Agent({keepAlive: true, maxSockets: 1});
let done = 0;
const ask = (paths) => {
    if (!paths.length)
        return console.log(`done ${++done}`);
    https.request({agent, host: '127.0.0.1', port: process.env.TO, path: paths[0],
        rejectUnauthorized: false}, (response) => {
        response.resume();
        response.on('end', () => setImmediate(ask, paths.slice(1)));
    }).end();
};
process.on('SIGUSR2', () =>
    ask(fs.readFileSync(process.env.STORY + '/asked', 'ascii').split('\\n').filter(Boolean)));
setInterval(() => {}, 1000);
console.log('waits');
"""


class Client:
    """The Node that asks by itself, under a name that no other process has."""

    def __init__(self, s, port):
        self.story, self.name, self.turns, self.asked = s, f"asks{os.getpid()}", 0, []
        self.program = s.start(command_path("node"), s.write("client.js", NODE_CLIENT), name="asker",
                               env={"STORY": s.root, "TO": str(port), "TITLE": self.name})
        s.until(lambda: "waits" in self.program.log(), 10, "a client")

    def begin(self, *paths):
        self.story.write("asked", "".join(f"{path}\n" for path in paths))
        self.turns += 1
        self.asked += paths
        self.program.signal(signal.SIGUSR2)

    def end(self):
        self.story.until(lambda: f"done {self.turns}" in self.program.log(), 10, "its answers")

    def ask(self, *paths):
        self.begin(*paths)
        self.end()


def unread(port, peer):
    """Bytes that lie in the socket of a server which has a connection from port `peer`."""
    with open("/proc/net/tcp", encoding="ascii") as sockets:
        for line in sockets:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and words[2].endswith(f":{peer:04X}"):
                return int(words[4].split(":")[1], 16)
    return 0


class Post:
    """A request that is sent in two parts, of which the server has read the first."""

    def __init__(self, s, connection, path):
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", "20")
        connection.endheaders(b"0123456789")
        self.connection, plain = connection, connection.sock
        s.arrived(plain)
        s.until(lambda: not unread(plain.getpeername()[1], plain.getsockname()[1]), 10,
                "a server that has read the first part")

    def end(self):
        self.connection.send(b"0123456789")
        equal(self.connection.getresponse().read(), b"ok", "answer to a request in two parts")


def connect_tight(port, version):
    """A connection whose client takes little at a time."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_ROOM)
    plain.settimeout(200)
    plain.connect(("127.0.0.1", port))
    connection = connect(port, version)
    connection.sock = context(version).wrap_socket(plain)
    return connection


class Run:
    """One vowd, the servers that it sees, and connections that stay open all the while."""

    def __init__(self, s, tier):
        self.story = s
        self.web = nginx(s, "location ~ big { rewrite ^ /body break; } location / { return 200 ok; }")
        with open(s.path("nginx/www/body"), "wb") as body:
            body.truncate(BIG)
        self.node = node(s, NODE_SERVER)
        self.client = Client(s, self.node.port)
        self.keys = {**ON_DEMAND, "http_tier": tier, "http_ring": "16MiB"}
        self.agent = OnDemand(s, "web", self.web.port, self.keys, more=(
            f"  - name: api\n    match: {{port: {self.node.port}}}\n"
            f"  - name: asker\n    match: {{command: {self.client.name}}}\n"))
        versions = list(VERSIONS)
        self.short = [connect(self.web.port, v) for v in versions]
        self.api = [connect(self.node.port, v) for v in versions]
        self.tight = [connect_tight(self.web.port, v) for v in versions]
        self.posts = [connect(self.node.port, v) for v in versions]

    def each(self, connections, path):
        for connection in connections:
            ask(connection, path)

    def on(self, by_command):
        if by_command:
            for service in ("web", "api", "asker"):
                self.agent.ask(service)
        else:
            self.agent.configure({**self.keys, "tls": ["web", "api", "asker"]})
        self.story.until(lambda: [r["processes"] for r in self.agent.rows()] == [1] * 3, 10, "probes")

    def off(self, by_command):
        if by_command:
            for service in ("web", "api", "asker"):
                self.agent.ask(service, "--off")
        else:
            self.agent.configure(self.keys)
        self.story.until(lambda: self.agent.rows() == [], 10, "the end of all probes")

    def known(self):
        """Turns of all, so that vowd knows whose services they are."""
        self.each(self.short + self.api + self.tight + self.posts, TURN + "first")
        self.client.ask(*[TURN + "first"] * 2)
        self.each(self.short + self.api, TURN + "second")

    def under_way(self):
        """The connections on which requests are under way, to be ended by ended()."""
        for connection in self.tight:
            connection.request("GET", LOST + "big")
        answers = [connection.getresponse() for connection in self.tight]
        for answer in answers:
            answer.read(1000)
        halves = [Post(self.story, connection, LOST + "post") for connection in self.posts]
        self.client.begin(READ + "before", LOST + "held", TURN + "after")
        self.story.until(lambda: "/lost/held" in self.node_paths(), 10, "a request that is held")
        return answers, halves

    def ended(self, answers, halves):
        self.node.signal(signal.SIGHUP)
        for answer in answers:
            equal(len(answer.read()), BIG - 1000, "bytes of the rest of a response")
        for half in halves:
            half.end()
        self.client.end()

    def busy(self, stop):
        """Asks without pause on connections of its own, until told to stop; returns its threads."""
        def web_and_api(connection):
            while not stop.is_set():
                ask(connection, BUSY)

        def client():
            while not stop.is_set():
                self.client.ask(*[BUSY] * 20)
        threads = [threading.Thread(target=web_and_api, args=(connection,))
                   for connection in self.short + self.api]
        threads.append(threading.Thread(target=client))
        for thread in threads:
            thread.start()
        return threads

    def close(self):
        """The connections, whose last turns end with them."""
        for connection in self.short + self.api + self.tight + self.posts:
            connection.close()
        self.client.program.stop()
        self.agent.settled()

    def web_paths(self):
        """nginx is ended for it."""
        return [row[3] for rows in log_rows(self.story, self.web).values() for row in rows]

    def node_paths(self):
        with open(self.story.path("node.log"), encoding="ascii") as log:
            return log.read().splitlines()

    def counted(self, service, role, kinds=("http", "tls")):
        """{path, or "" for turns: requests}"""
        found = collections.Counter()
        for row in self.story.vow("routes", "--total", dir=self.agent.run):
            if (row["service"], row["role"]) == (service, role) and row["kind"] in kinds:
                found["" if row["kind"] == "tls" else row["route"]] += row["count"]
        return dict(found)

    def drops(self):
        return self.agent.collector()["drops_total"]

    def unclear(self):
        return self.drops().get("tls_unclear", 0)


def expected(paths):
    """What must have been counted of these."""
    found = collections.Counter(path for path in paths if path.startswith(READ))
    found[""] = sum(path.startswith(TURN) for path in paths)
    return dict(found)


@test_tiers("vowd", "nginx", "node", "openssl")
def requests_are_counted_once_while_reading_comes_and_goes(s, tier):
    run = Run(s, tier)
    run.known()
    for by_command in (True, False):
        run.on(by_command)
        # Node's connections are known by what it sends next.
        run.each(run.api + run.posts, TURN + "next")
        run.client.ask(TURN + "next")
        for _ in range(3):
            run.each(run.short + run.api + run.tight + run.posts, READ + "on")
            run.client.ask(READ + "on")
        open_ones = run.under_way()
        before = run.unclear()
        run.off(by_command)
        run.ended(*open_ones)
        for _ in range(3):
            run.each(run.short + run.api + run.tight + run.posts, TURN + "off")
            run.client.ask(TURN + "off")
        # Two responses, two requests and one at both of its ends; others' may be among them.
        s.until(lambda: run.unclear() >= before + 6, 10, "what was under way at the switch")
    run.close()
    equal(run.counted("web", "server"), expected(run.web_paths()), "requests that nginx served")
    equal(run.counted("api", "server"), expected(run.node_paths()), "requests that Node served")
    equal(run.counted("asker", "client"), expected(run.client.asked), "requests that Node asked")
    equal(run.counted("asker", "client", ("connection",)), {"{connect}": 1}, "its connections")


@test_tiers("vowd", "nginx", "node", "openssl")
def of_each_busy_connection_no_more_than_one_request_is_unclear(s, tier):
    """Whatever each is at when reading ends: that instant is nobody's choice here."""
    run = Run(s, tier)
    run.known()
    before, stop = run.unclear(), threading.Event()
    threads = run.busy(stop)
    for _ in range(SWITCHES):
        run.on(False)
        run.off(False)
    stop.set()
    for thread in threads:
        thread.join()
    run.close()
    lost = 0
    for service, role, paths, connections in (("web", "server", run.web_paths(), 2),
                                              ("api", "server", run.node_paths(), 3),
                                              ("asker", "client", run.client.asked, 1)):
        counted = run.counted(service, role)
        less = len(paths) - sum(counted.values())
        print(f"# {service}: {len(paths)} requests, {counted.get(BUSY, 0)} of them read, {less} unclear")
        at_least(counted.get(BUSY, 0), 1, f"requests of {service} that were read")
        check(0 <= less <= SWITCHES * connections,
              f"{less} requests of {service} are not counted; drops {run.drops()}")
        lost += less
    s.until(lambda: run.unclear() >= before + lost, 10, "those not counted, among the unclear ones")


main("capture_tls_again")
