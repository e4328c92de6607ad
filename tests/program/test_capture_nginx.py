#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests of a real nginx as the BPF programs see them, against nginx's own access log."""
import collections
import shutil

from capture import *

LOG = "log_format plain '$request_time $bytes_sent $status $request_uri';"


def start(s, locations, capture=True, env=None, tier=None):
    """nginx with a log of its own, and the capture."""
    server = s.nginx(locations, http=f"{LOG} access_log {s.path('plain.log')} plain "
                                     "buffer=64k flush=1s;", env=env)
    return server, Capture(s, server.port, tier=tier) if capture else None


def log_lines(s, server):
    """(request_time in ms, bytes_sent, status, uri) of every request; nginx is ended for it."""
    server.stop()
    with open(s.path("plain.log"), encoding="ascii") as log:
        rows = [line.split() for line in log]
    # The probes that wait for the listener send no request and leave no line.
    return [(float(t) * 1000, int(size), int(status), uri) for t, size, status, uri in rows]


@test
@needs("bpf", "nginx", "wrk")
def counts_equal_the_access_log_under_load(s):
    server, capture = start(s, "location / { }")
    s.write("nginx/www/tiny", "hello\n")
    s.write("nginx/www/big", bytes(30_000_000))
    s.wrk(server.url("/tiny?token=hidden"), connections=32, seconds=10)
    s.wrk(server.url("/missing/page"), connections=32, seconds=1)
    got = at_once(*[(slow_download, server.port, "/big", 1.5)] * 3)
    equal(got, [30_000_000] * 3, "bytes that the slow readers read")
    lines = log_lines(s, server)
    counters = capture.stop()
    pairs = capture.pairs("server")
    lost = sum(counters[name] for name in LOSSES)
    summed = sum(total.count for total in capture.sums("server"))
    at_most(abs(len(lines) - len(pairs) - summed), lost,
            "lines of the log without a pair, against losses")
    check("hidden" not in capture.program.log(), "a query string left the kernel")
    if lost or summed:
        print(f"# {lost} lost, {summed} without path: not compared by path")
        return
    expected = collections.Counter((uri.partition("?")[0], status) for _, _, status, uri in lines)
    for (path, status), count in expected.items():
        equal(sum(p.path == path and p.status in (status, 0) for p in pairs), count,
              f"pairs {path} {status}")
    complete = [p for p in pairs if p.outcome == "complete"]
    at_most(len(pairs) - len(complete), 64, "pairs cut short when wrk hung up")
    equal({p.response_bytes for p in complete if p.path == "/big"},
          {size for _, size, _, uri in lines if uri == "/big"}, "bytes of big responses")


@test
@needs("bpf", "nginx", "wrk")
def latency_agrees_with_request_time_for_each_request(s):
    """Joined by a path of its own for each request; nginx's clock moves with each socket call."""
    server, capture = start(s, """
        location /slow/ { limit_rate 64k; rewrite ^ /body break; }
        location / { return 200 hello; }""",
        env={"LD_PRELOAD": s.program("tests/nginx_clock.so")})
    s.write("nginx/www/body", bytes(96_000))
    run_first(s, server.pid, 1)
    s.wrk(server.url("/"), connections=3, seconds=6, script="""
        local n = 0
        request = function()
            n = n + 1
            return wrk.format("GET", (n % 500 == 0 and "/slow/" or "/fast/") .. n .. "?q=" .. n)
        end""")
    lines = {uri.partition("?")[0]: row for row in log_lines(s, server) for uri in [row[3]]}
    counters = capture.stop()
    pairs = {p.path: p for p in capture.pairs("server") if p.outcome == "complete"}
    joined = [(pairs[uri], row) for uri, row in lines.items() if uri in pairs]
    at_least(len(joined) + sum(counters[name] for name in (*LOSSES, "summed")), len(lines) - 3,
             "requests found in both; those under way when wrk hung up may be cut short")
    slow = [p.total_ns / 1e6 for p, _ in joined if "/slow/" in p.path]
    at_least(len(slow), 5, "slow requests among them")
    at_least(min(slow), 300, "how slow they were (ms)")
    for pair, (_, size, status, uri) in joined:
        equal((pair.status, pair.response_bytes), (status, size), f"status and bytes of {uri}")
    errors = sorted(abs(p.total_ns / 1e6 - row[0]) for p, row in joined)
    print(f"# {len(errors)} requests; difference to $request_time in ms: median "
          f"{errors[len(errors) // 2]:.3f}, largest {errors[-1]:.3f}")
    at_most(errors[int(0.999 * (len(errors) - 1))], 1.0, "p99.9 of the difference in ms")


@test_tiers("nginx", tiers=ALL_TIERS)
def slow_reader_is_measured_to_the_last_byte(s, tier):
    server, capture = start(s, "location / { }",
                            env={"LD_PRELOAD": s.program("tests/nginx_clock.so")}, tier=tier)
    s.write("nginx/www/big", bytes(30_000_000))
    run_first(s, server.pid, 1)
    equal(slow_download(server.port, "/big", 1.5), 30_000_000, "bytes read")
    pair, = capture.wait(1, "server")
    row, = log_lines(s, server)
    near(pair.total_ns / 1e6, row[0], 2, "total in ms against $request_time")
    equal(pair.response_bytes, row[1], "bytes")
    at_least(pair.total_ns / 1e6, 500, "the download took its time (ms)")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def client_is_measured_from_within_its_send_to_within_its_read(s, tier):
    server, capture = start(s, "location / { return 200 ok; }", tier=tier)
    raw, calls = Raw(server.port), {}
    for n in range(50):
        before = time.monotonic_ns()
        raw.send(get(f"/n/{n}"))
        sent = time.monotonic_ns()
        raw.response()
        calls[f"/n/{n}"] = before, sent, time.monotonic_ns()
    pairs = capture.wait(len(calls), "client")
    equal({p.path for p in pairs}, set(calls), "paths")
    for p in pairs:
        before, sent, read = calls[p.path]
        at_least(p.started_at, before, "start, against the call of send (ns)")
        at_most(p.started_at, sent, "start, against the end of send (ns)")
        at_least(p.started_at + p.total_ns, sent, "end, against the end of send (ns)")
        at_most(p.started_at + p.total_ns, read, "end, against the end of the read (ns)")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def each_pipelined_request_counts(s, tier):
    server, capture = start(s, "location / { return 200 ok; }", tier=tier)
    raw = Raw(server.port)
    raw.send("".join(get(f"/p/{n}") for n in range(7)))
    for _ in range(7):
        equal(raw.response(), b"ok", "body")
    raw.send(get("/after"))
    raw.response()
    raw.close()
    pairs = capture.wait(8, "server")
    equal([p.path for p in pairs], ["/p/0"] + ["-"] * 6 + ["/after"], "paths")
    equal({p.flags for p in pairs[1:7]}, {PIPELINED}, "flags")
    equal(len(log_lines(s, server)), len(pairs), "pairs against lines of the log")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def long_reads_that_begin_amid_a_pipelined_request_lose_none(s, tier):
    server, capture = start(s, "client_header_buffer_size 16k; location / { return 200 ok; }",
                            tier=tier)
    raw = Raw(server.port)
    raw.send("".join(get(f"/p/{n}", more=f"X-Fill: {'x' * 200}\r\n") for n in range(300)))
    for _ in range(300):
        equal(raw.response(), b"ok", "body")
    raw.send(get("/after"))
    raw.response()
    raw.close()
    pairs = capture.wait(301, "server")
    equal((len(pairs), pairs[-1].path), (301, "/after"), "pairs, and the path of the last one")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def head_in_pieces_gives_its_whole_path(s, tier):
    server, capture = start(s, "location / { return 200 ok; }", tier=tier)
    for size in (1, 3, 7, 11):
        raw = Raw(server.port)
        text = get(f"/pieces/of/{size}?hidden=1")
        for at in range(0, len(text), size):
            raw.send(text[at:at + size])
            time.sleep(0.001)
        raw.response()
        raw.close()
    pairs = capture.wait(4, "server")
    equal([p.path for p in pairs], [f"/pieces/of/{size}" for size in (1, 3, 7, 11)], "paths")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def half_closed_client_gets_its_response_counted(s, tier):
    server, capture = start(s, "location / { limit_rate 64k; }", tier=tier)
    s.write("nginx/www/body", bytes(20_000))
    raw = Raw(server.port)
    raw.send(get("/body"))
    raw.socket.shutdown(socket.SHUT_WR)
    equal(len(raw.response()), 20_000, "bytes read after the client's FIN")
    raw.close()
    pair, = capture.wait(1, "server")
    equal(pair.outcome, "complete", "outcome")
    client, = capture.wait(1, "client")
    equal(client.outcome, "complete", "outcome as the client saw it")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def client_that_resets_is_told_apart(s, tier):
    server, capture = start(s, "location / { }", tier=tier)
    s.write("nginx/www/big", bytes(30_000_000))
    raw = Raw(server.port)
    raw.send(get("/big"))
    raw.more()
    raw.reset()
    pair, = capture.wait(1, "server")
    equal((pair.outcome, pair.status), ("client_gone", 200), "outcome")
    client, = capture.wait(1, "client")
    equal(client.outcome, "truncated", "outcome as the client saw it")
    equal(len(log_lines(s, server)), 1, "lines of the log")
    capture.stop()


@test_tiers("nginx", tiers=ALL_TIERS)
def connection_older_than_the_capture_is_followed(s, tier):
    server, _ = start(s, "location / { return 200 ok; }", capture=False)
    raw = Raw(server.port)
    raw.send(get("/before"))
    raw.response()
    capture = Capture(s, server.port, tier=tier)
    raw.send(get("/then"))
    raw.response()
    pair, = capture.wait(1, "server")
    equal((pair.path, pair.outcome), ("/then", "complete"), "pair")
    raw.close()
    capture.stop()


@test
@needs("bpf", "nginx")
def stopped_consumer_loses_paths_and_nothing_else(s):
    server = s.nginx("location / { return 200 ok; }",
                     http=f"{LOG} access_log {s.path('plain.log')} plain buffer=64k flush=1s;")
    capture = Capture(s, server.port, ring_bytes=65536)
    capture.program.signal(19)
    raw = Raw(server.port)
    for _ in range(1000):  # each with a pair on either side, for some 400 of which there is room
        raw.send(get("/load"))
        raw.response()
    capture.program.signal(18)
    took = []

    def seen_afterwards():
        began = time.monotonic_ns()
        for path in (f"/after/{len(took)}", "/last"):
            raw.send(get(path))
            raw.response()
        took.append(time.monotonic_ns() - began)
        return [p for p in capture.pairs("server") if p.path.startswith("/after")]
    s.until(seen_afterwards, 5, "pair")
    raw.close()
    counters = capture.stop()
    equal(counters["ring_full"], 0, "pairs lost while the consumer stood still")
    summed = sum(total.count for total in capture.sums("server"))
    at_least(summed, 100, "pairs counted without their paths while the consumer stood still")
    for after in [p for p in capture.pairs("server") if p.path.startswith("/after")]:
        at_most(after.total_ns, took[int(after.path[len("/after/"):])],
                "latency of a request afterwards, against what it took with another one (ns)")
    equal(len(capture.pairs("server")) + summed, len(log_lines(s, server)),
          "pairs, with a record and without, against lines of the log")


@test
@needs("bpf", "nginx", "wrk")
def capture_that_ends_amid_traffic_accounts_for_all(s):
    server, _ = start(s, "location / { return 200 ok; }", capture=False)
    s.start(command_path("wrk"), "-c", 8, "-t", 1, "-d", "200s", server.url("/load"))
    for _ in range(5):
        capture = Capture(s, server.port)
        capture.wait(100, "server", seconds=30)
        capture.stop()


@test
@needs("root", "setpriv")
def without_rights_it_says_which_ones_lack(s):
    dump = shutil.copy(s.program("tests/capture_dump"), s.path("capture_dump"))
    text = s.run("setpriv", "--reuid", 65534, "--regid", 65534, "--clear-groups", dump,
                 status=1).stderr
    for word in ("tier A", "no rights", "CAP_BPF and CAP_PERFMON"):
        check(word in text, f"no {word!r} in {text!r}")


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def agent_counts_equal_the_access_log(s):
    server, _ = start(s, "location / { }", capture=False)
    s.write("nginx/www/tiny", "hello\n")
    s.write("nginx/www/big", bytes(30_000_000))
    agent = Agent(s, "shop", server.port)
    s.wrk(server.url("/tiny?token=hidden"), connections=32, seconds=10)
    s.wrk(server.url("/missing/page"), connections=32, seconds=1)
    got = at_once(*[(slow_download, server.port, "/big", 1.5)] * 3)
    equal(got, [30_000_000] * 3, "bytes that the slow readers read")
    lines = log_lines(s, server)
    count = agent.settled()
    drops = agent.collector()["drops_total"]
    at_most(count, len(lines), "requests counted, against lines of the log")
    at_most(len(lines) - count, sum(drops.values()), "lines not counted, against drops reported")
    rows = {(row["method"], row["route"], row["status_class"]): row for row in agent.routes()
            if row["route"] != "{overflow}"}  # what a busy machine did not let vowd take in time
    equal(set(rows), {("GET", "/tiny", "2xx"), ("GET", "{other}", "4xx"), ("GET", "/big", "2xx")},
          "routes")
    equal(rows["GET", "/big", "2xx"]["count"], 3, "downloads")
    at_least(rows["GET", "/big", "2xx"]["p50_ns"], 500e6, "median of the slow downloads")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf", "nginx")
def the_share_of_routes_beyond_the_cap_is_told(s):
    server = s.nginx("location / { return 200 'ok'; }")
    agent = Agent(s, "shop", server.port, "capture: {routes_per_service: 2}\n")

    def share():
        return [row["value"] for row in s.vow("status", dir=agent.run)["gauges"]
                if (row["service"], row["name"]) == ("shop", "routes_other_ratio")]

    for path in ("/first", "/second", "/first"):
        s.http(server.url(path))
    s.until(lambda: agent.count() == 3, 10, "requests of routes within the cap")
    equal(share(), [], "share of others while there is none")
    s.http(server.url("/third"))
    s.until(lambda: share() == [1 / 4], 10, "one of four requests")
    for path in ("/fourth", "/third", "/second", "/first"):
        s.http(server.url(path))
    s.until(lambda: share() == [3 / 8], 10, "three of eight requests")


main("capture_nginx")
