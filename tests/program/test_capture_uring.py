#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP through io_uring, in all the ways in which an application may use it, against a server that
stamps what it does."""
import ctypes
import os
import re
import struct

from capture_truth import *

WAYS = ("uring", "uring-write", "uring-writev", "uring-sendmsg", "uring-fixed",
        "uring-linked", "uring-silent", "uring-mixed")
# Receives that wait for what comes, or are done by other threads: the server sees their end late.
LATE_WAYS = ("uring-zc", "uring-async", "uring-polled", "uring-provided", "uring-multishot",
             "uring-behind")
CLIENTS = ("uring", "uring-writev", "uring-sendmsg", "uring-multishot", "uring-behind")
GARBAGE = 20
# What tier B does not see here: what tells nothing, and where newer kernels put what comes.
FOR_TIER_A = {"uring-silent", "uring-provided"}


def late(s, tier, **kind):
    """As stamped(), for calls of which the stamps say no more than that they had ended."""
    pairs, said = asked_one_by_one(s, tier, first=False, **kind)
    within_stamps(pairs, said, ahead=kind["calls"] == "uring-multishot")


for each in WAYS + LATE_WAYS:
    where = "A" if each in FOR_TIER_A else "AB"
    row(f"latency_and_bytes_by_{each.replace('-', '_')}_are_as_stamped",
        late if each in LATE_WAYS else stamped, where, calls=each)
    row(f"messages_of_all_kinds_by_{each.replace('-', '_')}_are_counted",
        lambda s, tier, **kind: exchanged(s, tier, PLAIN, **kind), where, calls=each)


def in_turn(servers, clients, said):
    """One waits for the other, and stamps that are wrong by more than that takes break the order."""
    ahead = sorted(server.started_at - asked.started_at for server, asked in zip(servers, clients))
    ends = [asked.started_at + asked.total_ns for asked in clients]
    for server, end in zip(servers, ends):
        _, _, _, _, ended, _, _, write = said[server.path]
        at_least(end, ended - write - CLOCK_NS, f"{server.path}: its end, against the server's write")
    for asked, end in zip(clients[1:], ends):
        at_least(asked.started_at, end - CLOCK_NS, f"{asked.path}: its start, against the end before")
    # A client that is kept within its send starts, for us, when it comes back from it.
    at_least(ahead[len(ahead) // 2], -CLOCK_NS, "median of starts before those of the server (ns)")


def asked_by_client(s, tier, calls):
    """A client through io_uring is as well seen as its server, which reads and writes."""
    truth = Truth(s)
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    expected = [f"/length/{n}/asked" for n in range(50)]
    s.run(s.program("tests/truth_server"), truth.port, "ask", calls,
          input="".join(path + "\n" for path in expected))
    servers, clients = (capture.wait(len(expected), role) for role in ("server", "client"))
    capture.stop()
    equal([p.path for p in clients], expected, "paths of the client")
    for server, asked in zip(servers, clients):
        equal((asked.path, asked.method, asked.status, asked.response_bytes, asked.request_bytes,
               asked.outcome, asked.command),
              (server.path, "GET", 200, server.response_bytes, server.request_bytes, "complete",
               "truth_server"), f"pair of the client, as of the server's {server.path}")
    in_turn(servers, clients, truth.responses())


for each in CLIENTS:
    row(f"client_by_{each.replace('-', '_')}_is_seen_as_its_server", asked_by_client, "AB",
        calls=each)


@test_tiers()
def garbage_through_io_uring_is_given_up(s, tier):
    """Bytes that are no HTTP: nothing is made of them, nor of the calls that follow."""
    truth = Truth(s, calls="uring")
    capture = Capture(s, truth.port, ring_bytes=ROOMY, tier=tier)
    raws = [truth.connect() for _ in range(GARBAGE)]
    for n, raw in enumerate(raws):
        for line in range(6):
            raw.send(f"\x01\x02{n} {line} GETGET /not/http\r\n")
        raw.close()
    raw = truth.connect()
    raw.send(get("/length/100/behind"))
    raw.response()
    raw.close()
    pair, = capture.wait(1, "server")
    counters = capture.stop()
    equal((pair.path, pair.status), ("/length/100/behind", 200), "pair")
    equal(len(capture.pairs("server")), 1, "pairs of the server")
    at_most(counters["unclassified"], GARBAGE // 2, "responses of garbage, and of what else goes on")


BPF = {"x86_64": 321, "aarch64": 280}  # number of bpf(2)
PENDING = 300
# Receives that wait, on a ring with room for few answers; by numbers of linux/io_uring.h.
WAITS = f"""
import ctypes, mmap, signal, socket, struct
call, room, params = ctypes.CDLL(None).syscall, ctypes.create_string_buffer(64), bytearray(120)
ring = call(425, 8, (ctypes.c_char * 120).from_buffer(params))
tail, array = struct.unpack_from("I", params, 44)[0], struct.unpack_from("I", params, 64)[0]
places, entries = mmap.mmap(ring, array + 32), mmap.mmap(ring, 8 * 64, offset=0x10000000)
listener, kept = socket.create_server(("127.0.0.1", 0), backlog={PENDING}), []
for n in range({PENDING}):
    kept.append(socket.create_connection(listener.getsockname()))
    struct.pack_into("<BBHiQQI", entries, n % 8 * 64, 27, 0, 0, kept[n].fileno(), 0,
                     ctypes.addressof(room), 64)
    struct.pack_into("I", places, array + n % 8 * 4, n % 8)
    struct.pack_into("I", places, tail, n + 1)
    call(426, ring, 1, 0, 0, None, 0)
print("asked", flush=True)
signal.pause()
"""


def entries_of(pid, name):
    """How many entries the map of that name has that a process holds."""
    def bpf(command, form, *values):
        attributes = ctypes.create_string_buffer(struct.pack(form, *values), 128)
        return ctypes.CDLL(None).syscall(BPF[os.uname().machine], command, attributes, 128)
    info, key, following = (ctypes.create_string_buffer(n) for n in (256, 16, 16))
    for each in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{each}", encoding="ascii") as file:
            found = re.search(r"^map_id:\s*(\d+)", file.read(), re.M)
        fd = bpf(14, "3I", int(found.group(1)), 0, 0) if found else -1
        if fd < 0:
            continue
        count, at = 0, 0
        bpf(15, "IIQ", fd, 256, ctypes.addressof(info))
        if info.raw[24:40].split(b"\0")[0].decode() == name:
            # From the first again where the key at hand goes meanwhile: bounded.
            while count < 10 * PENDING and not bpf(4, "IIQQ", fd, 0, at, ctypes.addressof(following)):
                key.raw, at, count = following.raw, ctypes.addressof(key), count + 1
            os.close(fd)
            return count
        os.close(fd)
    fail(f"no map {name}")


@test_tier("A")
def requests_of_a_killed_process_are_forgotten(s, tier):
    """Their completions find no room, so that nobody tells of them."""
    capture = Capture(s, 1, tier=tier)
    waiting = lambda: entries_of(capture.program.pid, "uring_requests")
    program = s.start(command_path("python3"), "-c", WAITS)
    s.until(lambda: "asked" in program.log(), 30, "receives that wait")
    at_least(waiting(), PENDING, "sockets with requests that wait")
    program.kill()
    s.until(lambda: waiting() < PENDING // 2, 10, "the end of these")
    capture.stop()


def cost_of_both_programs(s, tier):
    truth = Truth(s, calls="uring")
    agent = Agent(s, "truth", truth.port, tier=tier)

    def both():
        for n in range(20):
            raw = truth.connect()
            raw.send(get(f"/length/10/{n}"))
            raw.response()
            raw.close()
        names = {program["name"] for row in s.vow("cost", dir=agent.run)
                 for program in row["programs"]}
        return {"http_uring_asked", "http_uring_done"} <= names
    s.until(both, 20, "cost of both programs")
    equal(agent.program.stop(), 0, "exit status of vowd")


row("cost_counts_what_requests_of_io_uring_take", cost_of_both_programs, "AB")
main("capture_uring")
