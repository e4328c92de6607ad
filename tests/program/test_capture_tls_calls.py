#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests within TLS of processes whose library is probed: route, method and status, against what
the programs that served and asked them know themselves."""
import asyncio
import collections
import os
import signal

from capture_tls import *


@test_tiers("nginx", "openssl")
def pairs_equal_the_access_log(s, tier):
    server = nginx(s, """
        location /slow { limit_rate 64k; rewrite ^ /body break; }
        location /gone { return 410; }
        location / { return 200 hello; }""", env={"LD_PRELOAD": s.program("tests/nginx_clock.so")})
    s.write("nginx/www/body", bytes(40_000))
    run_first(s, server.pid, 1)
    capture = Capture(s, server.port, ROOMY, tier=tier, traced=calls_of(worker_of(s, server)))
    asked = 0
    for version in VERSIONS:
        for path in ("/slow?hidden=1", "/gone", "/a/b?hidden=2"):
            connections = [connect(server.port, version) for _ in range(4)]
            methods = ["GET"] if path.startswith("/slow") else ["GET", "POST", "PUT", "DELETE"]
            for turn in range(5):
                for n, connection in enumerate(connections[:len(methods)]):
                    method = methods[(n + turn) % len(methods)]
                    ask(connection, path, method=method,
                        body=bytes(20_000) if method == "POST" else None)
                    asked += 1
            for connection in connections:
                connection.close()
    pairs, clients = capture.wait(asked, "server"), capture.wait(asked, "client")
    capture.stop()
    rows = log_rows(s, server)
    equal(sum(map(len, rows.values())), asked, "lines of the log")
    equal((len(pairs), len(clients)), (asked, asked), "pairs of both ends")
    equal({(p.outcome, p.flags) for p in pairs}, {("complete", 0)}, "outcomes and flags")
    equal({p.flags for p in clients}, {TLS}, "flags of the end that is not probed")
    errors = []
    for pair, (took, method, status, uri) in joined(pairs, rows):
        equal((pair.method, pair.path, pair.status), (method, uri.split("?")[0], status), "pair")
        errors.append(abs(pair.total_ns / 1e6 - took))
        if uri.startswith("/slow"):
            at_least(pair.total_ns / 1e6, 300, "a slow one (ms)")
    errors.sort()
    print(f"# {len(errors)} requests; difference to $request_time in ms: median "
          f"{errors[len(errors) // 2]:.3f}, largest {errors[-1]:.3f}")
    at_most(errors[len(errors) // 2], 0.5, "median of the difference in ms")
    at_most(errors[len(errors) * 9 // 10], 20, "difference in ms of nine of ten")
    check("hidden" not in capture.program.log(), "a query string left the kernel")


BOTH_ENDS = f"""{NODE}
process.env.TO = process.env.PORT;
process.on('SIGUSR2', () => {{ {NODE_CLIENT} }});
"""


@test_tiers("node", "openssl")
def pairs_equal_what_node_did_on_both_ends(s, tier):
    """Node has OpenSSL within itself, and moves the encrypted bytes on its own."""
    server = node(s, BOTH_ENDS)
    capture = Capture(s, server.port, ROOMY, tier=tier, traced=calls_of(server.pid))
    server.signal(signal.SIGUSR2)
    s.until(lambda: server.log().count("took") == 30, 10, "answers that the client got")
    pairs, clients = capture.wait(30, "server"), capture.wait(30, "client")
    capture.stop()
    asked = collections.Counter(f"/{3 if n % 10 else 12000}" for n in range(30))
    took = sorted(int(line.split()[1]) for line in server.log().splitlines())
    for found in (pairs, clients):
        equal({(p.outcome, p.flags, p.method, p.status) for p in found},
              {("complete", 0, "POST", 200)}, "outcome, flags, method and status")
        equal(collections.Counter(p.path for p in found), asked, "paths")
        equal(sum(p.response_bytes > 12_000 for p in found), 3, "large responses")
    equal({p.remote_port for p in clients}, {server.port}, "port that the client asked")
    for pair, (began, ended) in joined(pairs, node_log(s)):
        at_most(pair.started_at, began, "begin of a request, against the server's (ns)")
        at_least(pair.started_at + pair.total_ns, ended, "end of it, against the server's (ns)")
    for ours, theirs in zip(sorted(p.total_ns for p in clients), took):
        at_most(ours, theirs, "what the client itself measured (ns), rank by rank")


async def ask_asyncio(port, paths):
    """Requests one after the other on a connection of asyncio's, which has memory for a socket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context("1.3", ()))
    for path in paths:
        writer.write(get(path).encode())
        await reader.readuntil(b"ok")
    writer.close()


@test_tiers("openssl")
def pairs_equal_what_python_did_on_both_ends(s, tier):
    def answer(connection):
        while head_of(connection):
            connection.sendall(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\n")
            connection.sendall(b"ok")
    port = python_server(s, answer)
    capture = Capture(s, port, ROOMY, tier=tier, traced=calls_of(os.getpid()))
    asked = collections.Counter()
    for version in VERSIONS:
        connections = [connect(port, version) for _ in range(3)]
        for turn in range(4):
            for connection in connections:
                ask(connection, f"/sync/{turn}?hidden=1")
                asked[f"/sync/{turn}"] += 1
        for connection in connections:
            connection.close()
    paths = [f"/async/{n}" for n in range(5)]
    asyncio.run(ask_asyncio(port, paths))
    asked.update(paths)
    for role in ("server", "client"):
        pairs = capture.wait(29, role)
        equal(collections.Counter(p.path for p in pairs), asked, f"paths, {role}")
        equal({(p.outcome, p.flags, p.method, p.status) for p in pairs},
              {("complete", 0, "GET", 201)}, f"outcome, flags, method and status, {role}")
    capture.stop()
    check("hidden" not in capture.program.log(), "a query string left the kernel")


SITES = "location /broken { return 503; } location / { return 200 hello; }"


@test_tiers("vowd", "nginx", "openssl")
def service_that_is_wanted_shows_its_routes(s, tier):
    web, other = nginx(s, SITES), nginx(s, SITES, name="other")
    more = f"  - name: other\n    match: {{port: {other.port}}}\n"
    agent = Tracer(s, "web", web.port, ["we*"], more, tier)
    first, aside = connect(web.port), connect(other.port)
    for _ in range(2):
        ask(first, "/first")
        ask(aside, "/first")
    s.until(lambda: agent.traced() == {"web": 1}, 10, "probes")
    check(probed(worker_of(s, web)), "no probe is in the process that is wanted")
    equal(rights(agent.program.pid), (True, False), "CAP_SYS_ADMIN, permitted and in effect")
    check(not probed(worker_of(s, other)), "a probe is in another process with that library")
    for version in VERSIONS:
        connections = [first] + [connect(web.port, version) for _ in range(3)]
        for turn in range(10):
            for connection in connections:
                ask(connection, "/broken" if turn % 2 else "/things/12?hidden=1")
        ask(aside, "/aside")
        for connection in connections[1:]:
            connection.close()
    first.close()
    aside.close()
    s.until(lambda: agent.counts()["GET", "/broken", "5xx"] >= 40 and
            agent.counts("other")["", "{tls}", "unknown"] >= 4, 10, "all of both services")
    agent.settled()
    equal(agent.counts(), {("GET", "/broken", "5xx"): 40, ("GET", "/things/{id}", "2xx"): 40,
                           ("", "{tls}", "unknown"): 2}, "requests, each counted once")
    equal(agent.counts("other"), {("", "{tls}", "unknown"): 4}, "turns of who is not wanted")
    # Those of a second without calls are told no more, but for ten seconds remembered.
    lines = s.until(lambda: {line["name"]: line for line in
                             s.vow("cost", dir=agent.run)[0]["programs"]}, 10, "cost")
    at_least(lines["tls exceptions (estimated)"]["run_ns"], 1000, "ns of an exception of a probe")
    # Others' requests are on their way at any moment.
    s.until(lambda: len(set(agent.accounts())) == 1, 10,
            "pairs reported and dropped that equal the pairs seen")

    # Wanted from now on, with a connection that is open already; and no longer.
    aside = connect(other.port)
    ask(aside, "/before")
    agent.configure(["other"])
    s.until(lambda: agent.traced() == {"other": 1}, 10, "probes of the other service")
    check(not probed(worker_of(s, web)), "a probe is left in who is wanted no longer")
    for _ in range(3):
        ask(aside, "/within")
    s.until(lambda: agent.counts("other")["GET", "/within", "2xx"] == 3, 10, "its route")

    # A process that takes its place.
    other.stop()
    s.until(lambda: not agent.traced(), 10, "that the process has ended")
    again = s.start(*other.argv, name="other")
    s.listening(other.port, again)
    aside = connect(other.port)
    for _ in range(2):
        ask(aside, "/first")
    s.until(lambda: agent.traced() == {"other": 1}, 10, "probes of the new process")
    worker = worker_of(s, again)
    check(probed(worker), "no probe is in the new process")
    agent.program.kill()
    s.until(lambda: not probed(worker), 10, "a process without probes when vowd was killed")
    equal(ask(aside, "/after"), b"hello", "answer of a process that was probed")


main("capture_tls_calls")
