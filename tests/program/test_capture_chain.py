#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A request that goes through HAProxy, nginx and gunicorn (behind an AF_UNIX socket) is seen at all
six of its ends, as often as the programs' own logs have it."""
import collections

from capture import *

THREADS, REQUESTS = 8, 100
CHAIN = f"/chain-{os.getpid()}"  # others on this machine may run the same
APPLICATION = """
def application(environ, start_response):
    body = b'x' * int(environ['PATH_INFO'].split('/')[2])
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
"""


def gunicorn(s):
    """gunicorn with two workers; returns the path of its socket."""
    s.write("app.py", APPLICATION)
    path = s.path("app.sock")
    program = s.start(command_path("gunicorn"), "-w", "2", "-b", f"unix:{path}",
                      "--access-logfile", s.path("app.log"), "--access-logformat", "%(s)s %(U)s",
                      "--worker-tmp-dir", s.dir("tmp"), "app", cwd=s.path(),
                      env={"PYTHONPATH": s.path()})
    s.until(lambda: program.log().count("Booting worker") >= 2, 30, "workers of gunicorn")
    return path


def haproxy(s, behind):
    """HAProxy in front of a port; its log has a line a request: status and path."""
    port = s.port()
    config = s.write("haproxy.cfg", f"""
global
    log stdout format raw local0
    maxconn 100
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:{port}
    log global
    log-format "request %ST %HP"
    default_backend back
backend back
    server nginx 127.0.0.1:{behind}
""")
    program = s.start(command_path("haproxy"), "-db", "-f", config)
    s.listening(port, program)
    return port, program


def ask(port, n):
    raw = Raw(port)
    for i in range(REQUESTS):
        raw.send(get(f"{CHAIN}/{i * 97 % 5000}/{n}-{i}"))
        raw.response()
    raw.close()


@test_tiers("nginx", "haproxy", "gunicorn", tiers=ALL_TIERS)
def request_is_seen_at_all_six_ends(s, tier):
    app = gunicorn(s)
    server = s.nginx(f"location / {{ proxy_pass http://unix:{app}:; }}",
                     http=f"log_format plain '$status $uri'; access_log {s.path('plain.log')} "
                          "plain;")
    port, proxy = haproxy(s, server.port)
    capture = Capture(s, 0, ring_bytes=ROOMY, tier=tier)
    at_once(*[(ask, port, n) for n in range(THREADS)])
    total = THREADS * REQUESTS
    s.until(lambda: sum(CHAIN in p.path for p in capture.pairs()) >= 6 * total, 30,
            "pairs of all ends")
    capture.stop()
    ends = collections.defaultdict(list)
    for pair in capture.pairs():
        if pair.path.startswith(f"{CHAIN}/"):
            ends[pair.role, pair.command.split(":")[0]].append(pair)
    print("# ends:", {end: len(pairs) for end, pairs in ends.items()})
    for end in (("server", "haproxy"), ("client", "haproxy"), ("server", "nginx"),
                ("client", "nginx"), ("server", "gunicorn")):
        equal(len(ends[end]), total, f"pairs of {end}")
    equal(sum(len(pairs) for pairs in ends.values()), 6 * total, "pairs of all, clients included")
    check(all(p.outcome == "complete" and p.status == 200 for pairs in ends.values()
              for p in pairs), "a pair is not complete")
    paths = sorted(p.path for p in ends["server", "gunicorn"])
    for end, pairs in ends.items():
        equal(sorted(p.path for p in pairs), paths, f"paths at {end}")
    # A proxy asks behind it after it was asked, and answers after it was answered. Between processes
    # no such order holds: one may be kept from returning from a send that the other has received.
    total_ns = {end: {p.path: p.total_ns for p in pairs} for end, pairs in ends.items()}
    for outer, inner in ((("server", "haproxy"), ("client", "haproxy")),
                         (("server", "nginx"), ("client", "nginx"))):
        slower = sum(total_ns[outer][path] >= total_ns[inner][path] for path in paths)
        equal(slower, total, f"requests that took {outer} no less than {inner}")
    server.stop()
    with open(s.path("plain.log"), encoding="ascii") as log:
        equal(sorted(line.split()[1] for line in log), paths, "lines of nginx's log")
    with open(s.path("app.log"), encoding="ascii") as log:
        equal(sorted(line.split()[1] for line in log), paths, "lines of gunicorn's log")
    equal(sorted(line.split()[2] for line in proxy.log().splitlines()
                 if line.startswith(f"request 200 {CHAIN}/")), paths, "lines of HAProxy's log")


main("capture_chain")
