#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP in all the ways in which servers move bytes, against a server that stamps what it does: one
test for each cell of the table in docs/capture.md but the last two rows."""
import collections
import shutil
import struct

from capture_truth import *

TUNNELS = 100
REUSES = 100  # rounds of connections, of which most end amid a request
BURSTS, BURST = 150, 20  # of connections amid sweeps
LOADED = (("threads", "recv"), ("fork", "readv"), ("threads", "sendfile"))  # servers under load
PER_CLIENT, CUT_EVERY, CUTS = 250, 10, {3: "reset", 6: "close", 9: "half"}
LOSS_ROUNDS = 4


for each in ("read", "recv", "readv", "recvmsg", "peek", "peekmsg", "sendfile", "splice"):
    row(f"latency_and_bytes_by_{each}_are_as_stamped", stamped, calls=each)
    row(f"messages_of_all_kinds_by_{each}_are_counted",
        lambda s, tier, **kind: exchanged(s, tier, PLAIN, **kind),
        tiers=ALL_TIERS if each in ("recv", "peek", "peekmsg") else TIERS, calls=each)
for each in ("v6", "unix"):
    row(f"latency_on_{each}_sockets_is_as_stamped", stamped, listen=each)
for each in ("threads", "fork", "pass"):
    row(f"requests_to_a_server_by_{each}_name_the_process_that_answered",
        lambda s, tier, **kind: exchanged(s, tier, PLAIN[1:4], connections=16, **kind), model=each)


@test_tiers(tiers=ALL_TIERS)
def chunked_responses_end_with_their_last_chunk(s, tier):
    exchanged(s, tier, [("/chunked/0", "GET", "\r\n"), ("/chunked/100", "GET", "\r\n"),
                  ("/chunked/50000", "GET", "\r\n")])


@test_tiers()
def head_in_pieces_of_a_response_is_one_response(s, tier):
    for pair in exchanged(s, tier, [("/pieces/1000", "GET", "\r\n")]):
        at_least(pair.total_ns, 4e6, "from the request to the last piece")
        at_most(pair.first_byte_ns, pair.total_ns - 4e6 + 1, "first byte, before the pauses")


@test_tiers()
def interim_answers_are_no_responses(s, tier):
    exchanged(s, tier, [("/interim/10", "POST", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab"),
                  ("/early/10", "GET", "\r\n")])


def between_own_ends(s, tier, request, *answers, flags=0, half=False, held_s=0, before=b""):
    """The pairs of a server and its client, both ours, whose request goes out by these flags and is
    answered call by call; half: with the client's FIN; before: what goes first, in calls of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    capture = Capture(s, listener.getsockname()[1], ring_bytes=ROOMY, tier=tier)
    client = Raw(listener.getsockname()[1])
    server, _ = listener.accept()
    if before:
        client.socket.send(before)
        equal(server.recv(len(before), socket.MSG_WAITALL), before, "what came first")
    client.socket.send(request, flags)
    if half:
        client.socket.shutdown(socket.SHUT_WR)
    s.arrived(client.socket)
    time.sleep(held_s)
    equal(server.recv(len(request), socket.MSG_WAITALL), request, "what came")
    for answer in answers:
        server.sendall(answer)
    s.arrived(server)
    equal(client.socket.recv(65536), b"".join(answers), "what came back")
    pairs = capture.wait(1, "server")[0], capture.wait(1, "client")[0]
    server.close()
    client.close()
    capture.stop()
    return pairs


@test_tiers(tiers=ALL_TIERS)
def interim_answers_in_one_call_do_not_hide_the_final_one(s, tier):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
    for pair in between_own_ends(s, tier, get("/hinted").encode(),
                                 b"HTTP/1.1 100 Continue\r\n\r\n" + 2 * interim + final):
        equal((pair.path, pair.outcome, pair.status, pair.response_bytes),
              ("/hinted", "complete", 500, len(final)), f"pair of the {pair.role}")


@test_tiers(tiers=ALL_TIERS)
def request_that_came_with_the_end_of_its_client_has_waited(s, tier):
    """Held back by the kernel until the FIN, so that one segment has both."""
    server, _ = between_own_ends(s, tier, get("/last").encode(),
                                 b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                 flags=socket.MSG_MORE, half=True, held_s=HELD_S)
    at_least(server.queue_ns, HELD_S * 1e9, "wait in the socket")
    equal(server.opening_ns, 0, "accept wait of a connection that was accepted before")


@test_tiers(tiers=ALL_TIERS)
def first_request_behind_a_line_about_the_proxy_is_seen(s, tier):
    """In one read or two, as servers do that are told the client's address by the PROXY protocol."""
    for n, line in enumerate((b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n", b"PROXY UNKNOWN\r\n",
                              b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(12)),
                              b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")):
        request = get(f"/behind/{n}").encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        for pair in (*between_own_ends(s, tier, line + request, answer),
                     *between_own_ends(s, tier, request, answer, before=line)):
            equal((pair.path, pair.outcome, pair.request_bytes),
                  (f"/behind/{n}", "complete", len(request)), f"pair of the {pair.role}")


@test_tiers(tiers=ALL_TIERS)
def response_until_close_ends_with_the_connection(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    raw.send(get("/until-close/5000/a"))
    raw.rest()
    capture.wait(1, "server")
    capture.stop()
    compare(capture.pairs("server"), truth, ["/until-close/5000/a"])


@test_tiers()
def upgraded_connection_ends_as_http(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    raw.send(get("/upgrade/0/a", more="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    raw.answer("GET")
    for n in range(10):
        raw.send("GET /not/http HTTP/1.1\r\n\r\n")
        raw.more()
    raw.close()
    capture.wait(1, "server")
    capture.stop()
    compare(capture.pairs("server"), truth, ["/upgrade/0/a"])


@test_tiers(tiers=ALL_TIERS)
def request_for_a_tunnel_is_a_pair_and_ends_http(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    run_first(s, truth.program.pid)
    expected = [f"host-{n}:443" for n in range(TUNNELS)]
    for path in expected:
        raw = truth.connect()
        raw.send(f"CONNECT {path} HTTP/1.1\r\nHost: {path}\r\n\r\n")
        while b"\r\n\r\n" not in raw.read:
            raw.more()
        raw.send("GET /not/http HTTP/1.1\r\n\r\n")
        raw.more()
        raw.close()
    clients = capture.wait(TUNNELS, "client")
    pairs = pairs_of(s, capture, expected)
    equal([(p.path, p.method, p.status, p.outcome) for p in clients],
          [(path, "CONNECT", 200, "complete") for path in expected], "pairs of the client")
    equal(len(capture.pairs()), 2 * TUNNELS, "pairs, none of them within a tunnel")
    compare(pairs, truth, expected)
    as_stamped(pairs, truth.responses())


@test_tiers(tiers=ALL_TIERS)
def request_that_gets_no_answer_is_told_apart(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raw = truth.connect()
    raw.send(get("/never/0/a"))
    raw.rest()
    capture.wait(1, "server")
    capture.stop()
    pair, = capture.pairs("server")
    equal((pair.path, pair.outcome), ("/never/0/a", "no_response"), "pair")


@test_tiers(tiers=ALL_TIERS)
def first_requests_say_what_the_connection_took(s, tier):
    """To a server that does not accept, then one that has accepted: both ends."""
    address = ("127.0.0.1", s.port())
    capture = Capture(s, address[1], ring_bytes=ROOMY, tier=tier)
    listener = socket.create_server(address)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def serve(taken, path):
        check(path.encode() in taken.recv(1000), f"{path} is what came")
        taken.sendall(answer)
    clients, began, asked = [], [], []
    for n in range(3):
        began.append(time.monotonic_ns())
        clients.append(Raw(address[1]))
        asked.append(time.monotonic_ns())
        clients[n].send(get(f"/first/{n}"))
    s.arrived(clients[2].socket)
    waited = time.monotonic_ns()
    time.sleep(HELD_S)
    for n, client in enumerate(clients):
        taken, _ = listener.accept()
        serve(taken, f"/first/{n}")
        client.response()
        client.send(get(f"/second/{n}"))
        serve(taken, f"/second/{n}")
        client.response()
        taken.close()
        client.close()
    done = time.monotonic_ns()
    late = Raw(address[1])
    taken, _ = listener.accept()
    late.send(get("/accepted/0"))
    serve(taken, "/accepted/0")
    late.response()
    pairs = {(p.role, p.path): p for p in capture.wait(7, "server") + capture.wait(7, "client")}
    capture.stop()
    for n in range(3):
        first, asks = pairs["server", f"/first/{n}"], pairs["client", f"/first/{n}"]
        equal(first.opening_ns, first.queue_ns, "accept wait, all of what it waited")
        at_least(first.opening_ns, HELD_S * 1e9, "accept wait")
        at_most(first.opening_ns, done - began[n], "accept wait")
        at_least(first.started_at - first.opening_ns, asked[n] - CLOCK_NS, "its beginning")
        at_most(first.started_at - first.opening_ns, waited + CLOCK_NS, "its beginning")
        at_least(asks.opening_ns, 1, "connect time")
        at_most(asks.opening_ns, asked[n] - began[n], "connect time, against connect()")
    for role, path in (("server", "/second/0"), ("client", "/second/1"), ("server", "/accepted/0")):
        equal(pairs[role, path].opening_ns, 0, f"opening of {path} at the {role}")


@test_tiers(tiers=ALL_TIERS)
def socket_that_connects_once_more_tells_how_long_that_took(s, tier):
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    again, nobody = socket.socket(), s.port()
    try:
        again.connect(("127.0.0.1", nobody))
        check(False, "somebody took the first connection")
    except ConnectionRefusedError:
        pass
    began = time.monotonic_ns()
    raw = Raw(truth.port, again)
    took = time.monotonic_ns() - began
    raw.send(get("/length/100/again"))
    raw.response()
    raw.close()
    pair, = capture.wait(1, "client")
    capture.stop()
    at_least(pair.opening_ns, 1, "connect time")
    at_most(pair.opening_ns, took, "connect time, against connect()")


def at_addresses_used_before(s, tier, listen):
    """Connections that end amid a request leave nothing to those whose sockets get their memory."""
    truth = Truth(s, listen=listen)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    expected = [f"/length/100/{os.getpid()}-{n}" for n in range(REUSES)]
    for path in expected:
        for _ in range(3):
            raw = truth.connect()
            raw.send(f"GET /left{path} HTTP/1.1\r\n")
            raw.close()
        raw = truth.connect()
        raw.send(get(path))
        raw.response()
        raw.close()
    s.until(lambda: len({p.path for p in capture.pairs("server")} & set(expected)) == REUSES, 30,
            "pairs of the server")
    left = {f"/left{path}" for path in expected}

    def left_pairs():
        return [p for p in capture.pairs() if p.path in left]
    s.until(lambda: len(left_pairs()) >= 6 * REUSES, 30, "pairs without a response")
    counters = capture.stop()
    compare([p for p in capture.pairs("server") if p.path in expected], truth, expected)
    equal(len([p for p in capture.pairs("client") if p.path in expected]), REUSES, "of clients")
    equal(len(left_pairs()), 6 * REUSES, "pairs without a response, of both ends")
    check("complete" not in {p.outcome for p in left_pairs()}, "one of them has a response")
    at_most(counters["kept"], 7 * REUSES, "sockets of which something is kept; 8 were made for each")


@test_tiers(tiers=ALL_TIERS)
def sockets_at_addresses_used_before_inherit_nothing(s, tier):
    at_addresses_used_before(s, tier, None)


@test_tiers(tiers=("B", "C"))
def unix_sockets_at_addresses_used_before_inherit_nothing(s, tier):
    at_addresses_used_before(s, tier, "unix")


@test_tiers(tiers=ALL_TIERS)
def sockets_at_addresses_of_older_ones_inherit_nothing(s, tier):
    """Those that were there before the capture have nothing that tells them from others: a client's
    get the memory of a server's, before a sweep comes by."""
    truth = Truth(s)
    listener = socket.create_server(("127.0.0.1", 0), backlog=REUSES)
    asks = [Raw(listener.getsockname()[1]) for _ in range(REUSES)]
    answers = [listener.accept()[0] for _ in range(REUSES)]
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    for old, server in zip(asks, answers):
        old.send(get("/old"))
        server.recv(1000)
        server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        old.response()
    for old in asks + answers:
        old.close()
    raws = [truth.connect() for _ in range(REUSES)]
    expected = [f"/length/100/{os.getpid()}-{n}" for n in range(REUSES)]
    for path, raw in zip(expected, raws):
        raw.send(get(path))
        raw.response()
        raw.close()
    compare(pairs_of(s, capture, expected), truth, expected)
    equal([p.path for p in capture.pairs("client")], expected, "pairs of the client")


def made_amid_sweeps(s, tier, listen):
    """Sockets get the addresses of others that have gone, whatever one sweep after another just does
    with these: each burst uses those of the one before, after a pause that hits another moment."""
    truth = Truth(s, listen=listen)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier, sweeping=True)
    expected = []
    for burst in range(BURSTS):
        raws = [truth.connect() for _ in range(BURST)]
        for n, raw in enumerate(raws):
            expected.append(f"/length/100/{os.getpid()}-{burst}-{n}")
            raw.send(get(expected[-1]))
            raw.response()
        for raw in raws:
            raw.close()
        time.sleep(burst % 16 * 0.0007)
    pairs = pairs_of(s, capture, expected)
    compare(pairs, truth, expected)
    equal([p.path for p in capture.pairs("client") if p.path in set(expected)], expected,
          "pairs of the client")


@test_tiers(tiers=("B", "C"))
def sockets_made_amid_sweeps_lose_no_request(s, tier):
    made_amid_sweeps(s, tier, None)


@test_tiers(tiers=("B", "C"))
def unix_sockets_made_amid_sweeps_lose_no_request(s, tier):
    made_amid_sweeps(s, tier, "unix")


def types_moved(path):
    """A copy of the kernel's types in which a file's private_data lies elsewhere."""
    with open("/sys/kernel/btf/vmlinux", "rb") as own:
        types = bytearray(own.read())
    header, at, length, names = struct.unpack_from("<4I", types, 4)
    def name(offset):
        start = header + names + offset
        return types[start:types.index(0, start)]
    # Bytes behind each kind's head, for each of its entries: enumerations, arrays, functions' types...
    entries = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
    single = {1: 4, 3: 12, 14: 4, 17: 4}
    place, end, moved = header + at, header + at + length, 0
    while place < end:
        of, what = struct.unpack_from("<2I", types, place)
        kind, count = what >> 24 & 31, what & 0xffff
        place += 12
        for entry in range(count if kind == 4 and name(of) == b"file" else 0):
            field, _, offset = struct.unpack_from("<3I", types, place + 12 * entry)
            if name(field) == b"private_data":
                struct.pack_into("<I", types, place + 12 * entry + 8, offset + 64)
                moved += 1
        place += entries.get(kind, 0) * count + single.get(kind, 0)
    equal(moved, 1, "fields that were moved")
    with open(path, "wb") as copy:
        copy.write(types)


@test_tier("C")
def kernel_without_types_is_captured_by_a_file_of_them(s, tier):
    """Where /sys/kernel/btf is not to be seen, nobody has to ask for the tier."""
    shutil.copy("/sys/kernel/btf/vmlinux", s.path("types"))
    truth = Truth(s)
    s.write("hide", "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"\n")
    program = s.start("unshare", "-m", "sh", s.path("hide"), s.program("tests/capture_dump"),
                      "-p", truth.port, "-b", s.path("types"))
    s.until(lambda: "ready\n" in program.log(), 60, "capture")
    raw = truth.connect()
    raw.send(get("/length/100/a"))
    raw.response()
    raw.close()
    s.until(lambda: "server complete GET 200 /length/100/a " in program.log(), 5, "pair")
    equal(program.stop(), 0, "exit status of capture_dump")


@test_tier("C")
def file_of_types_that_will_not_do_is_told_why(s, tier):
    s.write("text", "no types at all\n")
    types_moved(s.path("moved"))
    program = os.path.join(BUILD, "gen/bpf/http.bpf.o")
    for path, why in ((s.path("none"), "No such file or directory"), (s.dir("folder"), "no file of"),
                      (s.path("text"), "no BTF"), (program, "it describes no kernel"),
                      (s.path("moved"), "the types of another kernel")):
        if path == program and not os.path.exists(program):
            continue
        refused = s.start(s.program("tests/capture_dump"), "-t", tier, "-b", path)
        s.until(lambda: refused.process.poll() is not None, 30, "an end")
        check(f"eBPF tier C: {path}: {why}" in refused.log(), f"{why}: {refused.log()}")
        check("(give capture.btf a file with the types of this very kernel)" in refused.log(),
              f"what to do: {refused.log()}")


@test_tier("C")
def collector_that_cannot_begin_is_named_in_the_log(s, tier):
    s.write("run/vow.yaml",
            f"capture: {{http_tier: {tier}, btf: {s.path('none')}, lanes: false, host: false}}\n")
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: "going on without collector http: eBPF tier C: " in vowd.log(), 10, "its name")


@test_tier("C")
def last_resort_is_told_by_log_and_doctor(s, tier):
    port = s.port()
    agent = Agent(s, "web", port, tier=tier)
    row = agent.collector()
    check("tier C, the last resort" in row["problem"], f"problem: {row}")
    check("set capture.http_tier to auto" in row["problem"], f"what to do: {row}")
    check("raw tracepoints (as configured); not io_uring, which tier C does not follow"
          in row["detail"], f"detail: {row}")
    check("tier C, the last resort" in agent.program.log(), "a warning in the log")


def unclosed(port):
    """Connections of a server that it has not closed yet."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [row for row in rows
            if int(row[1].partition(":")[2], 16) == port and row[3] in ("01", "08")]


def ask_and_cut(truth, name):
    """Requests over connections of which some are cut; returns (answered, cut) paths."""
    raw, answered, cut = None, [], []
    for n in range(PER_CLIENT):
        raw = raw or truth.connect()
        path, how = f"/length/{n * 97 % 3000}/{name}-{n}", CUTS.get(n % CUT_EVERY)
        (cut if how else answered).append(path)
        raw.send(get(path))
        if not how:
            raw.response()
            continue
        if how == "half":
            raw.socket.shutdown(socket.SHUT_WR)
            raw.rest()
        (raw.reset if how == "reset" else raw.close)()
        raw = None
    if raw:
        raw.close()
    return answered, cut


def told_once(pairs, truth, answered, cut):
    """Each end has one pair for what was asked, but a server for what never came to it. Returns how
    many pairs lack; none may be there that was not asked, or twice."""
    lack, said = 0, set(truth.responses())
    equal(set(answered) - said, set(), "answers that the server does not tell")
    for role, sure in (("client", {*answered, *cut}), ("server", said)):
        mine = [p for p in pairs if p.role == role and p.path in {*answered, *cut}]
        count = collections.Counter(p.path for p in mine)
        equal([path for path in count if count[path] > 1], [], f"paths twice at the {role}")
        equal([p for p in mine if p.path in set(answered) and p.outcome != "complete"], [],
              f"pairs of whole responses at the {role}")
        lack += len(sure - set(count))
    return lack


@test_tiers()
def truth_is_reported_plus_lost_under_load(s, tier):
    """What others lose on this machine is in the counters as well: nothing, in one of some rounds."""
    truths = [Truth(s, model=model, calls=calls) for model, calls in LOADED]
    for _ in range(LOSS_ROUNDS):
        capture, asked = Capture(s, 0, ring_bytes=ROOMY, tier=tier), []
        for truth in truths:
            parts = at_once(*[(ask_and_cut, truth, f"{capture.program.pid}-{truth.port}-{n}")
                              for n in range(4)])
            asked.append([sum(paths, []) for paths in zip(*parts)])
            s.until(lambda: not unclosed(truth.port), 20, "end of all connections")
        counters = capture.stop()
        lack = sum(told_once(capture.pairs(), truth, *paths) for truth, paths in zip(truths, asked))
        lost = sum(counters[name] for name in (*LOSSES, "summed")) + counters["missed"]
        at_most(lack, lost, "pairs that are not reported, against losses")
        if not lost:
            return
    equal(lack, 0, "pairs of ours that were lost")
    # Whoever keeps asking on this machine has answers to what was asked before the capture.
    equal(lost - counters["unclassified"] - counters["tls_unclear"], 0, "pairs that were lost")


main("capture_modes")
