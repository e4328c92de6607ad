#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests of a single-threaded Node server, as server and as client, as the BPF programs see
them."""
import collections

from capture import *

SERVER = HOLD + """
const http = require('http');
http.createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/block') hold();
    if (path === '/stream') {
        response.write('begin');
        setTimeout(() => { hold(); response.end('end'); }, 1);
    } else if (path === '/big') {
        response.end('x'.repeat(500000));
    } else if (path === '/never') {
        request.socket.destroy();
    } else {
        response.end('ok\\n');
    }
}).listen(process.env.PORT, '127.0.0.1');
"""

# It keeps four connections, each of which it uses again and again, and tells what it got.
CLIENT = """
const http = require('http'), now = () => process.hrtime.bigint();
const agent = new http.Agent({keepAlive: true, maxSockets: 4});
const paths = ['/tiny', '/missing', '/big', '/made', '/tiny?n=1'];
let open = 200;
for (let n = 0; n < 200; n++) {
    const path = paths[n % paths.length], method = path === '/made' ? 'POST' : 'GET';
    let began;
    const request = http.request({agent, host: '127.0.0.1', port: process.env.TO, method, path},
        (response) => {
            response.resume();
            response.on('end', () => {
                console.log(`${method} ${path} ${response.statusCode} ${now() - began}`);
                if (!--open) agent.destroy();
            });
        });
    request.on('socket', () => { began = now(); });
    request.end(method === 'POST' ? 'body'.repeat(n) : undefined);
}
"""


def start(s, tier=None):
    server = s.node(SERVER, env={"STORY": s.root})
    return server, Capture(s, server.port, tier=tier)


@test_tiers("node")
def blocked_server_shows_the_wait_behind_it(s, tier):
    server, capture = start(s, tier)
    began = time.monotonic_ns()
    waited, served = behind_a_held_server(s, server.port, 8)
    passed = time.monotonic_ns() - began
    pairs = [p for p in capture.wait(14, "server") if p.path == "/behind"]
    equal(len(pairs), 8, "requests behind the blocked one")
    waits = sorted(p.queue_ns for p in pairs)
    at_least(waits[0], waited, "shortest wait in the socket (ns)")
    at_most(waits[-1], passed, "longest wait in the socket (ns)")
    at_most(max(p.total_ns for p in pairs), served, "what nearly every other clock would show (ns)")
    blocked, = [p for p in capture.pairs("server") if p.path == "/block"]
    at_least(blocked.total_ns, waited, "the blocked request itself (ns)")
    capture.stop()


@test_tiers("node", "vowd", "vow")
def agent_shows_the_wait_behind_a_blocked_server(s, tier):
    server = s.node(SERVER, env={"STORY": s.root})
    agent = Agent(s, "booking", server.port, tier=tier)
    how = {"A": "by socket tracepoints (as configured)",
           "B": "by returns of system calls (as configured)"}[tier]
    check(how in agent.collector()["detail"], f"no {how!r} in {agent.collector()['detail']!r}")
    began = time.monotonic_ns()
    waited, served = behind_a_held_server(s, server.port, 8)
    passed = time.monotonic_ns() - began
    equal(agent.settled(), 14, "requests")
    rows = {row["route"]: row for row in agent.routes()}
    equal({route: row["count"] for route, row in rows.items()},
          {"/warm": 4, "/block": 1, "/behind": 8, "/last": 1}, "requests by route")
    error = rows["/behind"]["relative_error"]
    at_least(rows["/behind"]["queue_p99_ns"], waited * (1 - error), "p99 of the wait in the socket")
    at_most(rows["/behind"]["p99_ns"], served * (1 + error), "p99 of the server's own time")
    user, = [row for row in agent.rows() if row["kind"] == "user"]
    equal((user["route"], user["status_class"], user["count"]), ("{user-visible}", "2xx", 14),
          "what users waited for")
    at_least(user["p50_ns"], waited * (1 - error), "half of it: 8 of 14 lay behind")
    equal(user["queue_p99_ns"], rows["/behind"]["queue_p99_ns"], "p99 of the wait of all requests")
    connects, = [row for row in s.vow("routes", "--total", dir=agent.run)
                 if row["route"] == "{connect}" and row["peer"] == f"test:{server.port}"]
    equal((connects["kind"], connects["role"], connects["status_class"], connects["count"]),
          ("connection", "client", "ok", 9), "connections of the client")
    at_most(connects["max_ns"], passed, "longest connect time")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test_tiers("node")
def response_with_a_pause_is_measured_to_its_end(s, tier):
    server, capture = start(s, tier)
    raw = Raw(server.port)
    began = time.monotonic_ns()
    raw.send(get("/stream"))
    wait_until_held(s)
    held = time.monotonic_ns()
    time.sleep(0.3)
    go = time.monotonic_ns()
    s.write("go", "")
    while not raw.read.endswith(b"0\r\n\r\n"):
        raw.more()
    pair, = capture.wait(1, "server")
    at_least(pair.total_ns, go - held, "total (ns)")
    at_most(pair.first_byte_ns, held - began, "first byte (ns)")
    client, = capture.wait(1, "client")
    at_least(client.total_ns, go - held, "total as the client saw it (ns)")
    raw.close()
    capture.stop()


@test_tiers("node", tiers=ALL_TIERS)
def client_side_mirrors_the_server_side(s, tier):
    server, capture = start(s, tier)
    stamps = [time.monotonic_ns()]
    for path, size in [(f"/item?n={n}", 3) for n in range(5)] + [("/big", 500000), ("/last", 3)]:
        equal(len(s.http(server.url(path))[2]), size, f"bytes of {path}")
        stamps.append(time.monotonic_ns())
    servers, clients = capture.wait(7, "server"), capture.wait(7, "client")
    for n, (ours, theirs) in enumerate(zip(servers, clients)):
        equal((ours.path, ours.status, ours.response_bytes),
              (theirs.path, theirs.status, theirs.response_bytes), "both sides")
        at_most(theirs.total_ns, stamps[n + 1] - stamps[n], "what the client itself measured")
        # A server may be kept from returning from a send that the client has received.
        if n + 2 < len(stamps):
            at_most(ours.total_ns, stamps[n + 2] - stamps[n], "the same and the next request")
        equal((theirs.remote_port, theirs.pid), (server.port, os.getpid()), "who asked whom")
    capture.stop()


@test_tiers("node", "nginx", tiers=ALL_TIERS)
def a_client_in_node_has_what_it_and_the_server_say(s, tier):
    server = s.nginx("location /made { return 201; } location / { }")
    s.write("nginx/www/tiny", "hello\n")
    s.write("nginx/www/big", bytes(500_000))
    capture = Capture(s, server.port, tier=tier)
    said = [line.split() for line in s.run("node", s.write("client.js", CLIENT),
                                           env={"TO": str(server.port)}).stdout.splitlines()]
    pairs = capture.wait(200, "client")
    capture.stop()
    server.stop()
    with open(server.access_log, encoding="ascii") as log:
        # The probes that wait for the listener send no request and leave no line.
        lines = [line.split() for line in log]
    count = collections.Counter
    equal({(p.outcome, p.flags, p.command) for p in pairs}, {("complete", 0, "node")}, "outcome and who")
    equal(count((p.method, p.path, p.status) for p in pairs),
          count((method, path.partition("?")[0], int(status)) for method, path, status, _ in said),
          "method, path and status, against the client's")
    equal(count((p.method, p.path, p.response_bytes) for p in pairs),
          count((method, path.partition("?")[0], int(size)) for *_, size, method, path in lines),
          "bytes of responses, against the server's")
    for ours, theirs in zip(sorted(p.total_ns for p in pairs), sorted(int(words[3]) for words in said)):
        at_most(ours, theirs, "what the client itself measured (ns), rank by rank")


@test_tiers("node")
def closed_without_a_response_enters_no_latency(s, tier):
    server, capture = start(s, tier)
    raw = Raw(server.port)
    raw.send(get("/never"))
    equal(raw.socket.recv(100), b"", "bytes of a response")
    raw.close()
    pair, = capture.wait(1, "server")
    equal((pair.outcome, pair.total_ns), ("no_response", 0), "outcome")
    client, = capture.wait(1, "client")
    equal(client.outcome, "no_response", "outcome as the client saw it")
    capture.stop()


main("capture_node")
