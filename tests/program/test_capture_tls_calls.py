#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests within TLS of processes whose library is probed: route, method and status, against what
the programs that served and asked them know themselves."""
from capture_tls import *


def worker_of(server):
    """The only worker of an nginx."""
    with open(f"/proc/{server.pid}/task/{server.pid}/children", encoding="ascii") as born:
        return int(born.read().split()[0])


@test
@needs("bpf", "nginx", "openssl")
def pairs_equal_the_access_log(s):
    server = nginx(s, """
        location /slow { limit_rate 64k; rewrite ^ /body break; }
        location /gone { return 410; }
        location / { return 200 hello; }""", env={"LD_PRELOAD": s.program("tests/nginx_clock.so")})
    s.write("nginx/www/body", bytes(40_000))
    run_first(s, server.pid, 1)
    capture = Capture(s, server.port, ROOMY, traced=calls_of(worker_of(server)))
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
    at_most(errors[-1], 20, "largest difference in ms")
    check("hidden" not in capture.program.log(), "a query string left the kernel")


main("capture_tls_calls")
