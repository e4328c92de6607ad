#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests of a single-threaded Node server, as server and as client, as the BPF programs see
them."""
from capture import *

SERVER = """
const http = require('http');
const block = ms => { const end = performance.now() + ms; while (performance.now() < end); };
http.createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/block') block(50);
    if (path === '/stream') {
        response.write('begin');
        setTimeout(() => response.end('end'), 300);
    } else if (path === '/big') {
        response.end('x'.repeat(500000));
    } else if (path === '/never') {
        request.socket.destroy();
    } else {
        response.end('ok\\n');
    }
}).listen(process.env.PORT, '127.0.0.1');
"""


def start(s):
    server = s.node(SERVER)
    return server, Capture(s, server.port)


def block(server):
    """One request that blocks the server for 50 ms, and eight that come meanwhile."""
    first, others = Raw(server.port), [Raw(server.port) for _ in range(8)]
    for raw in [first] + others:
        raw.send(get("/warm"))
        more_until(raw, b"ok\n")
    first.send(get("/block"))
    time.sleep(0.01)
    for raw in others:
        raw.send(get("/behind"))
    for raw in [first] + others:
        more_until(raw, b"ok\n")
        raw.close()


@test
@needs("bpf", "node")
def blocked_server_shows_the_wait_behind_it(s):
    server, capture = start(s)
    block(server)
    pairs = [p for p in capture.wait(18, "server") if p.path == "/behind"]
    equal(len(pairs), 8, "requests behind the blocked one")
    waits = sorted(p.queue_ns / 1e6 for p in pairs)
    at_least(waits[0], 25, "shortest wait in the socket (ms)")
    at_most(waits[-1], 200, "longest wait in the socket (ms)")
    at_most(max(p.total_ns for p in pairs) / 1e6, 40, "what nearly every other clock would show")
    blocked, = [p for p in capture.pairs("server") if p.path == "/block"]
    at_least(blocked.total_ns / 1e6, 49, "the blocked request itself (ms)")
    capture.stop()


@test
@needs("bpf", "node", "vowd", "vow")
def agent_shows_the_wait_behind_a_blocked_server(s):
    server = s.node(SERVER)
    agent = Agent(s, "booking", server.port)
    block(server)
    equal(agent.settled(), 18, "requests")
    rows = {row["route"]: row for row in agent.routes()}
    equal({route: row["count"] for route, row in rows.items()},
          {"/warm": 9, "/block": 1, "/behind": 8}, "requests by route")
    at_least(rows["/behind"]["queue_p99_ns"], 25e6, "p99 of the wait in the socket")
    at_most(rows["/behind"]["p99_ns"], 40e6, "p99 of the server's own time")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf", "node")
def response_with_a_pause_is_measured_to_its_end(s):
    server, capture = start(s)
    raw = Raw(server.port)
    raw.send(get("/stream"))
    more_until(raw, b"0\r\n\r\n")
    pair, = capture.wait(1, "server")
    at_least(pair.total_ns / 1e6, 299, "total (ms)")
    at_most(pair.first_byte_ns / 1e6, 250, "first byte (ms)")
    client, = capture.wait(1, "client")
    at_least(client.total_ns / 1e6, 299, "total as the client saw it (ms)")
    raw.close()
    capture.stop()


@test
@needs("bpf", "node")
def client_side_mirrors_the_server_side(s):
    server, capture = start(s)
    for n in range(5):
        equal(s.http(server.url(f"/item?n={n}"))[0], 200, "status")
    equal(len(s.http(server.url("/big"))[2]), 500000, "bytes")
    servers, clients = capture.wait(6, "server"), capture.wait(6, "client")
    for ours, theirs in zip(servers, clients):
        equal((ours.path, ours.status, ours.response_bytes),
              (theirs.path, theirs.status, theirs.response_bytes), "both sides")
        at_least(theirs.total_ns + 1_000_000, ours.total_ns, "the client's view is the longer one")
        equal((theirs.remote_port, theirs.pid), (server.port, os.getpid()), "who asked whom")
    capture.stop()


@test
@needs("bpf", "node")
def closed_without_a_response_enters_no_latency(s):
    server, capture = start(s)
    raw = Raw(server.port)
    raw.send(get("/never"))
    equal(raw.socket.recv(100), b"", "bytes of a response")
    raw.close()
    pair, = capture.wait(1, "server")
    equal((pair.outcome, pair.total_ns), ("no_response", 0), "outcome")
    client, = capture.wait(1, "client")
    equal(client.outcome, "no_response", "outcome as the client saw it")
    capture.stop()


def more_until(raw, end):
    while not raw.read.endswith(end):
        raw.more()
    raw.read = b""


main("capture_node")
