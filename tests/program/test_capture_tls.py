#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests within TLS, by turns: what is seen without reading a byte of them, against the log of
the program that served them."""
import contextlib
import socket
import ssl
import sys
import threading

from capture_tls import *


def nothing_was_read(pairs):
    """Fails if a pair says what only the inside of TLS tells."""
    for p in pairs:
        equal((p.method, p.path, p.status), ("-", "-", 0), "method, path and status")
        check(p.flags & TLS, "not marked as a turn within TLS")


@test_tiers("nginx", "openssl")
def turns_equal_the_access_log(s, tier):
    server = nginx(s, """
        location /slow { limit_rate 64k; rewrite ^ /body break; }
        location / { return 200 hello; }""", env={"LD_PRELOAD": s.program("tests/nginx_clock.so")})
    s.write("nginx/www/body", bytes(40_000))
    run_first(s, server.pid, 1)
    capture = Capture(s, server.port, ROOMY, tier=tier)
    asked = 0
    for version in VERSIONS:
        for turns in (1, 2, 30):
            for _ in range(5):
                connection = connect(server.port, version)
                for n in range(turns):
                    slow = turns == 2 and n == 0
                    equal(len(ask(connection, "/slow" if slow else "/fast")),
                          40_000 if slow else 5, "bytes of the body")
                connection.close()
                asked += turns
    servers, clients = capture.wait(asked, "server"), capture.wait(asked, "client")
    capture.stop()
    rows = log_rows(s, server)
    equal(sum(map(len, rows.values())), asked, "lines of the log")
    for pairs in (servers, clients):
        equal(len(pairs), asked, "pairs")
        equal({(p.outcome, p.flags) for p in pairs}, {("complete", TLS)}, "outcome and flags")
        nothing_was_read(pairs)
    errors = []
    for pair, (took, _, _, uri) in joined(servers, rows):
        errors.append(abs(pair.total_ns / 1e6 - took))
        if uri == "/slow":
            at_least(pair.total_ns / 1e6, 300, "a slow one (ms)")
    errors.sort()
    print(f"# {len(errors)} requests; difference to $request_time in ms: median "
          f"{errors[len(errors) // 2]:.3f}, largest {errors[-1]:.3f}")
    at_most(errors[len(errors) // 2], 0.5, "median of the difference in ms")
    at_most(errors[-1], 20, "largest difference in ms")


@test
@needs("bpf", "nginx", "curl")
def one_request_a_connection_counts_by_curl(s):
    server = nginx(s, "location / { return 200 hello; }", listen="ssl http2")
    capture = Capture(s, server.port, ROOMY)
    url = f"https://127.0.0.1:{server.port}/x?token=hidden"
    ways = [["--http1.1", "--tls-max", "1.2"], ["--http1.1"], ["--http2"],
            ["--http2", "--tls-max", "1.2"], ["--no-alpn"]]
    for way in ways:
        for _ in range(4):
            equal(s.run("curl", "-sk", *way, url).stdout, "hello", "body")
    # HTTP/2 makes more turns than requests.
    s.until(lambda: len([p for p in capture.pairs() if not p.flags & SHARED]) == 24, 5, "24 pairs")
    s.until(lambda: len(capture.pairs()) >= 40, 5, "40 pairs")
    capture.stop()
    pairs = capture.pairs()
    rows = log_rows(s, server)
    equal(len(rows), 20, "connections in the log")
    nothing_was_read(pairs)
    own = [p for p in pairs if not p.flags & SHARED]
    equal(len(own), 24, "pairs of connections that HTTP/2 cannot share, both ends")
    equal({p.outcome for p in own}, {"complete"}, "outcomes")
    at_least(len(pairs) - len(own), 16, "turns of the others")
    check("hidden" not in capture.program.log(), "a query string left the kernel")


@test
@needs("bpf", "node", "openssl")
def turns_equal_what_node_saw_on_both_ends(s):
    server = node(s)
    capture = Capture(s, server.port, ROOMY)
    file = s.write("client.js", NODE_CLIENT)
    text = s.run("node", file, env={"TO": str(server.port)}).stdout
    took = sorted(int(line.split()[1]) for line in text.splitlines())
    equal(len(took), 30, "answers that the client got")
    servers, clients = capture.wait(30, "server"), capture.wait(30, "client")
    capture.stop()
    equal((len(servers), len(clients)), (30, 30), "pairs of both ends")
    equal({p.outcome for p in servers + clients}, {"complete"}, "outcomes")
    nothing_was_read(servers + clients)
    for pair, (began, ended) in joined(servers, node_log(s)):
        at_most(pair.started_at, began, "begin of a request, against the server's (ns)")
        at_least(pair.started_at + pair.total_ns, ended, "end of it, against the server's (ns)")
    for ours, theirs in zip(sorted(p.total_ns for p in clients), took):
        at_most(ours, theirs, "what the client itself measured (ns), rank by rank")


@test_tiers("node", "openssl", tiers=ALL_TIERS)
def records_in_any_pieces_are_followed(s, tier):
    """What Python's ssl makes of requests, cut and gathered by us."""
    server = node(s)
    capture = Capture(s, server.port, ROOMY, tier=tier)
    for version in VERSIONS:
        for size in (5, 6, 7, 64, 1 << 20):
            cut = Cut(server.port, version, size)
            for n in range(3):
                cut.ask(f"/{[3, 50000, 200][n]}")
            cut.socket.close()
    pairs = capture.wait(30, "server") + capture.wait(30, "client")
    capture.stop()
    equal(len(pairs), 60, "pairs of both ends")
    equal({p.outcome for p in pairs}, {"complete"}, "outcomes")
    at_least(min(p.response_bytes for p in sorted(pairs, key=lambda p: -p.response_bytes)[:20]),
             50_000, "bytes of the large responses")


@test
@needs("bpf", "openssl")
def turns_of_a_python_server_count(s):
    served = []

    def answer(connection):
        while head_of(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            connection.sendall(b"ok")
            served.append(connection.version())
    port = python_server(s, answer)
    capture = Capture(s, port, ROOMY)
    for version in VERSIONS:
        for turns in (1, 4):
            connection = connect(port, version)
            for _ in range(turns):
                equal(ask(connection), b"ok", "body")
            connection.close()
    for role in ("server", "client"):
        pairs = capture.wait(len(served), role)
        equal((len(served), len(pairs)), (10, 10), f"requests served, and pairs of the {role}")
        equal({p.outcome for p in pairs}, {"complete"}, "outcomes")
    capture.stop()


@test
@needs("bpf", "openssl")
def tickets_are_no_response(s):
    """A client gets the tickets of TLS 1.3 and no answer, and hangs up."""
    asked = threading.Event()

    def answer(connection):
        head_of(connection)
        asked.set()
        connection.recv(1)
    port = python_server(s, answer)
    capture = Capture(s, port, ROOMY)
    raw = socket.create_connection(("127.0.0.1", port), 200)
    connection = context("1.3").wrap_socket(raw)
    connection.sendall(get("/never").encode())
    check(asked.wait(200), "the server got no request")
    connection.setblocking(False)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.recv(1)  # reads the tickets, which are no data
    connection.close()
    server, = capture.wait(1, "server")
    counters = capture.stop()
    clients = capture.pairs("client")
    equal(server.outcome, "client_gone", "outcome as the server saw it")
    equal([p.outcome for p in clients if p.outcome != "no_response"], [], "pairs of the client")
    at_least(counters["tls_unclear"] + len(clients), 1, "without a latency")


@test
@needs("bpf", "openssl")
def response_that_goes_on_after_silence_is_counted(s):
    go = threading.Event()

    def answer(connection):
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbef")
        go.wait(200)
        connection.sendall(b"ore")
        head_of(connection)
    port = python_server(s, answer)
    capture = Capture(s, port, ROOMY)
    connection = connect(port, "1.2")
    connection.request("GET", "/")
    response = connection.getresponse()
    equal(response.read(3), b"bef", "the first half of the body")
    capture.wait(1, "server")
    capture.wait(1, "client")
    go.set()
    equal(response.read(), b"ore", "the second half of the body")
    connection.close()
    counters = capture.stop()
    at_least(counters["tls_resumed"], 2, "responses that went on, of both ends")
    equal(len(capture.pairs()), 2, "pairs")


@test_tiers()
def what_is_no_tls_behind_a_hello_is_given_up(s, tier):
    listener = socket.create_server(("127.0.0.1", 0))
    s.defer(listener.close)
    capture = Capture(s, listener.getsockname()[1], ROOMY, tier=tier)
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    hello = b"\x16\x03\x01\x00\x40\x01" + bytes(63)
    for data in (hello, b"no record at all", b"nor this"):
        client.sendall(data)
        server.recv(100)
        server.sendall(b"\x16\x03\x03\x00\x04none")
        client.recv(100)
    client.close()
    server.close()
    counters = capture.stop()
    equal(capture.pairs(), [], "pairs")
    at_least(counters["tls_given_up"], 2, "connections given up, of both ends")


@test
@needs("bpf", "haproxy", "openssl")
def early_data_is_given_up_by_both_ends(s):
    """HAProxy reads record by record, and so says hello before it reads the early data."""
    key, crt = certificate(s)
    with open(crt, encoding="ascii") as chain, open(key, encoding="ascii") as secret:
        pem = s.write("both.pem", chain.read() + secret.read())
    port = s.port()
    s.listening(port, s.start(command_path("haproxy"), "-db", "-f", s.write("haproxy.cfg", f"""
        defaults
            mode http
            timeout client 1h
            timeout server 1h
            timeout connect 1h
        frontend tls
            bind 127.0.0.1:{port} ssl crt {pem} allow-0rtt
            http-request return status 200 content-type text/plain string hello
""")))
    request = get("/", more="Connection: close\r\n")
    session, early = s.path("session"), s.write("early", request)
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-ign_eof"]
    s.run(*client, "-sess_out", session, input=request)
    capture = Capture(s, port, ROOMY)
    text = s.run(*client, "-sess_in", session, "-early_data", early).stdout
    check("Early data was accepted" in text, "the server took no early data")
    counters = capture.stop()
    equal(capture.pairs(), [], "pairs")
    at_least(counters["tls_given_up"], 2, "connections given up, of both ends")


@test
@needs("bpf", "nginx", "openssl", "vowd", "vow")
def agent_shows_turns_apart_from_requests(s):
    server = nginx(s, "location / { return 200 hello; }")
    agent = Agent(s, "shop", server.port)
    for alpn, turns in (("http/1.1",), 5), (("h2", "http/1.1"), 3):
        connection = connect(server.port, alpn=alpn)
        for _ in range(turns):
            equal(ask(connection, "/x?token=hidden"), b"hello", "body")
        connection.close()
    s.until(lambda: agent.count() == 8, 10, "turns counted")
    rows = {row["route"]: row for row in agent.routes()}
    equal({route: row["count"] for route, row in rows.items()}, {"{tls}": 5, "{tls-h2}": 3},
          "turns by route")
    for row in rows.values():
        equal((row["kind"], row["method"], row["status_class"], row["errors"]),
              ("tls", "", "unknown", 0), "what a row says")
    check("within TLS by turns: connections" in
          json.dumps(s.vow("status", dir=agent.run)["collectors"]), "no word of TLS in the status")
    equal(agent.program.stop(), 0, "exit status of vowd")


PROXY = """
import select, socket, sys, threading
def pump(one, other):
    ends = {one: other, other: one}
    while True:
        for end in select.select(ends, [], [])[0]:
            data = end.recv(65536)
            if not data:
                return
            ends[end].sendall(data)
def serve(client):
    head = b''
    while b'\\r\\n\\r\\n' not in head:
        head += client.recv(65536)
    host, _, port = head.split()[1].decode().partition(':')
    if port == '1':
        client.sendall(b'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 2\\r\\n\\r\\nno')
        return serve(client)
    server = socket.create_connection((host, int(port)))
    client.sendall(b'HTTP/1.1 200 Connection established\\r\\n\\r\\n')
    pump(client, server)
    client.close()
    server.close()
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],)).start()
"""


def proxies(s):
    """HAProxy before a proxy of our own, both of which know CONNECT; returns their ports."""
    inner, outer = s.port(), s.port()
    s.listening(inner, s.start(sys.executable, "-c", PROXY, inner))
    config = s.write("haproxy.cfg", f"""
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout tunnel 30s
frontend front
    bind 127.0.0.1:{outer}
    default_backend back
backend back
    server inner 127.0.0.1:{inner}
""")
    s.listening(outer, s.start(command_path("haproxy"), "-db", "-f", config))
    return outer, inner


@test_tiers("nginx", "openssl", "haproxy", "curl")
def tunnels_through_proxies_are_seen_at_all_ends(s, tier):
    server = nginx(s, "location / { return 200 hello; }")
    outer, inner = proxies(s)
    refused = Raw(outer)
    captures = {port: Capture(s, port, ROOMY, tier=tier)
                for port in (outer, inner, server.port)}
    for _ in range(2):
        refused.send("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        equal(refused.response(), b"no", "body of the refusal")
    url = f"https://127.0.0.1:{server.port}/"
    for _ in range(10):
        s.run("curl", "-sSk", "--http1.1", "-x", f"http://127.0.0.1:{outer}", url, url, url)
    where = f"127.0.0.1:{server.port}"

    def ends(method, port, tls):
        """How many complete pairs of (role, status) there are at both ends of a port."""
        return dict(collections.Counter(
            (p.role, p.status) for p in captures[port].pairs()
            if p.outcome == "complete" and p.method == method and bool(p.flags & TLS) == tls and
            (tls or p.path in (where, "localhost:1"))))
    turns = {("server", 0): 30, ("client", 0): 30}
    asks = {("server", 200): 10, ("client", 200): 10, ("server", 403): 2, ("client", 403): 2}
    wanted = [(("CONNECT", outer, False), asks), (("CONNECT", inner, False), asks),
              (("-", outer, True), turns), (("-", inner, True), turns),
              (("-", server.port, True), turns)]
    s.until(lambda: all(ends(*at) == count for at, count in wanted), 5, "pairs of all ends")
    refused.close()
    for capture in captures.values():
        capture.stop()
    for at, count in wanted:
        equal(ends(*at), count, f"pairs of {at}")
    equal(len(log_rows(s, server)), 10, "connections in the log of the server")


main("capture_tls")
