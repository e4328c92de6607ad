# SPDX-License-Identifier: Apache-2.0
"""Servers and clients that speak TLS, and what they themselves know of their requests, for the tests
of what is captured of it."""
import collections
import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import threading

from capture import *

TLS, SHARED = 8, 16
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
LOG = "log_format turns '$remote_port $request_time $status $request_method $request_uri';"


def certificate(s):
    """A key and a certificate for loopback; returns their paths."""
    key, certificate = s.path("tls.key"), s.path("tls.crt")
    s.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
          "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate)
    return key, certificate


def calls_of(pid):
    """"PID:FILE" for Capture: the file in which a process has its TLS library, or itself."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        files = [line.split(None, 5)[5].strip() for line in maps if "libssl" in line]
    return f"{pid}:{files[0] if files else f'/proc/{pid}/exe'}"


def nginx(s, locations, listen="ssl", env=None, name="nginx"):
    """nginx with a port for TLS, .port, and a log of its own of what comes there."""
    key, crt = certificate(s)
    port = s.port()
    server = s.nginx("", env=env, name=name, http=f"""{LOG}
        server {{
            listen 127.0.0.1:{port} {listen};
            ssl_certificate {crt}; ssl_certificate_key {key};
            ssl_protocols TLSv1.2 TLSv1.3;
            access_log {s.path('turns.log')} turns buffer=64k flush=1s;
            root {s.dir(name)}/www;
            {locations}
        }}""")
    s.listening(port, server)
    server.port = port
    return server


def log_rows(s, server):
    """{port of the client: [(request_time in ms, method, status, uri)]}; nginx is ended for it."""
    server.stop()
    rows = collections.defaultdict(list)
    with open(s.path("turns.log"), encoding="ascii") as log:
        for line in log:
            port, seconds, status, method, uri = line.split()
            rows[int(port)].append((float(seconds) * 1000, method, int(status), uri))
    return rows


def context(version, alpn=("http/1.1",)):
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.minimum_version = tls.maximum_version = VERSIONS[version]
    if alpn:
        tls.set_alpn_protocols(list(alpn))
    return tls


def connect(port, version="1.3", alpn=("http/1.1",)):
    return http.client.HTTPSConnection("127.0.0.1", port, context=context(version, alpn),
                                       timeout=200)


def ask(connection, path="/", **more):
    """One request; returns the body."""
    connection.request(more.pop("method", "GET"), path, **more)
    return connection.getresponse().read()


def joined(pairs, rows):
    """[(pair, row of the log)]: those of one connection come in the same order in both."""
    found = []
    by_port = collections.defaultdict(list)
    for pair in pairs:
        by_port[pair.remote_port].append(pair)
    for port, ours in by_port.items():
        equal(len(ours), len(rows[port]), f"pairs of the connection from {port}")
        found += zip(sorted(ours, key=lambda p: p.started_at), rows[port])
    return found


NODE = """
const https = require('https'), fs = require('fs');
const now = () => process.hrtime.bigint();
https.createServer({key: fs.readFileSync(process.env.KEY), cert: fs.readFileSync(process.env.CRT)},
    (request, response) => {
        const began = now(), port = request.socket.remotePort;
        request.resume();
        request.on('end', () => setTimeout(() => {
            const ended = now();
            response.end('x'.repeat(parseInt(request.url.slice(1)) || 3));
            fs.appendFileSync(process.env.STORY + '/node.log', `${port} ${began} ${ended}\\n`);
        }, 5));
    }).listen(process.env.PORT, '127.0.0.1');
"""

NODE_CLIENT = """
const https = require('https'), now = () => process.hrtime.bigint();
const agent = new https.Agent({keepAlive: true, maxSockets: 3});
let open = 0;
for (let n = 0; n < 30; n++) {
    open++;
    const began = now();
    const request = https.request({agent, host: '127.0.0.1', port: process.env.TO, method: 'POST',
        path: '/' + (n % 10 ? 3 : 12000), rejectUnauthorized: false}, (response) => {
        response.resume();
        response.on('end', () => {
            console.log(`took ${now() - began}`);
            if (!--open) agent.destroy();
        });
    });
    request.end('body'.repeat(n % 7 ? 1 : 20000));
}
"""


def node(s, script=NODE):
    key, crt = certificate(s)
    return s.node(script, env={"STORY": s.root, "KEY": key, "CRT": crt})


def node_log(s):
    """{port of the client: [(when its handler began, before it answered)]}, of CLOCK_MONOTONIC."""
    rows = collections.defaultdict(list)
    with open(s.path("node.log"), encoding="ascii") as log:
        for line in log:
            port, began, ended = map(int, line.split())
            rows[port].append((began, ended))
    return rows


class Cut:
    """A client that moves TLS in pieces of `size` bytes: the first of a message in a call of its
    own, the others with one call for eight of them. Hellos go and come whole, as all programs
    move them."""

    def __init__(self, port, version, size):
        self.size = 1 << 20
        self.socket = socket.create_connection(("127.0.0.1", port), 200)
        self.got, self.made = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(version).wrap_bio(self.got, self.made)
        self.until(self.tls.do_handshake)
        self.size = size

    def flush(self):
        data = self.made.read()
        pieces = [data[at:at + self.size] for at in range(0, len(data), self.size)]
        if pieces:
            self.socket.sendall(pieces.pop(0))
        for at in range(0, len(pieces), 8):
            self.socket.sendmsg(pieces[at:at + 8])

    def until(self, call, *args):
        while True:
            try:
                result = call(*args)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(self.size)
                check(data, "the server closed the connection")
                self.got.write(data)

    def ask(self, path):
        self.tls.write(get(path).encode())
        self.flush()
        text = b""
        while b"\r\n\r\n" not in text:
            text += self.until(self.tls.read, 65536)
        head, _, body = text.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
        while len(body) < length:
            body += self.until(self.tls.read, 65536)


def python_server(s, answer):
    """A TLS server in this process, which calls answer(connection) in a thread a connection."""
    key, crt = certificate(s)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(crt, key)
    listener = socket.create_server(("127.0.0.1", 0))
    s.defer(listener.close)

    def serve(plain):
        with contextlib.suppress(OSError), tls.wrap_socket(plain, server_side=True) as connection:
            answer(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=serve, args=(plain,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def head_of(connection):
    """Reads one request without a body; False when the client has closed."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(65536)
        if not more:
            return False
        text += more
    return True


def worker_of(s, server):
    """The only worker of an nginx, which may still have to begin."""
    def born():
        with open(f"/proc/{server.pid}/task/{server.pid}/children", encoding="ascii") as children:
            return children.read().split()
    return int(s.until(born, 10, "a worker of nginx")[0])


def probed(pid):
    """Whether there are other instructions in a process than in the file of its TLS library."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        line = next(line for line in maps if "libssl" in line and "r-xp" in line)
    begin, end = (int(number, 16) for number in line.split()[0].split("-"))
    with open(f"/proc/{pid}/mem", "rb") as mem, open(line.split()[5], "rb") as file:
        mem.seek(begin)
        file.seek(int(line.split()[2], 16))
        return mem.read(end - begin) != file.read(end - begin)


def rights(pid):
    """Whether a process may put CAP_SYS_ADMIN to use, and whether it does."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        text = status.read()
    return tuple(bool(int(re.search(rf"^{name}:\s+(\w+)", text, re.M).group(1), 16) >> 21 & 1)
                 for name in ("CapPrm", "CapEff"))


class Tracer(Agent):
    """vowd whose configuration allows probes, of the services that match `traced`; with further keys
    of `capture`, each with a comma behind."""

    def __init__(self, s, name, port, traced, more="", tier="auto", capture=""):
        super().__init__(s, name, port, f"{more}capture: {{http_tier: {tier}, {capture}"
                                        f"tls: {json.dumps(traced)}}}\n")
        with open(s.path("run/vow.yaml"), encoding="ascii") as file:
            self.text = file.read()

    def configure(self, traced):
        """Another list of services that are wanted."""
        self.story.write("run/vow.yaml", re.sub("tls: .*}", f"tls: {json.dumps(traced)}}}",
                                                self.text))
        self.program.signal(signal.SIGHUP)

    def traced(self):
        """{service: processes whose calls are probed}"""
        rows = self.story.vow("status", dir=self.run)["gauges"]
        return {row["service"]: int(row["value"]) for row in rows
                if row["name"] == "tls_traced_processes" and row["value"]}

    def counts(self, service=None):
        """{(method, route, status class): count} of a service, as a server."""
        found = collections.Counter()
        for row in self.story.vow("routes", "--total", dir=self.run):
            if (row["service"], row["role"]) == (service or self.name, "server") and \
                    row["kind"] in ("http", "tls"):
                found[row["method"], row["route"], row["status_class"]] += row["count"]
        return found


ON_DEMAND = {"tls_on_demand": True}


class OnDemand(Tracer):
    """vowd whose configuration has these keys of `capture`, beside the service."""

    def __init__(self, s, name, port, keys, more=""):
        self.keys, self.more, self.port = keys, more, port
        Agent.__init__(self, s, name, port, self.capture(keys))

    def capture(self, keys):
        return f"{self.more}capture: {json.dumps(keys)}\n"

    def configure(self, keys):
        """Another configuration, obeyed when this returns."""
        read = self.program.log().count("configuration read again")
        self.story.write("run/vow.yaml", f"services:\n  - name: {self.name}\n    match: "
                                         f"{{port: {self.port}}}\n{self.capture(keys)}")
        self.program.signal(signal.SIGHUP)
        self.story.until(lambda: self.program.log().count("configuration read again") > read, 10,
                         "the new configuration")

    def ask(self, *args, status=0):
        """The rows that are traced afterwards, or what stands on stderr when it fails."""
        if status == 0:
            return self.story.vow("trace-tls", *args, dir=self.run)
        done = self.story.run(self.story.program("vow"), "--dir", self.run, "trace-tls", *args,
                              status=status)
        return " ".join(done.stderr.split())

    def rows(self):
        return self.ask()
