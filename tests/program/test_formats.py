# SPDX-License-Identifier: Apache-2.0
"""The two formats that others may speak: an application whose segment is written from
docs/shm-format.md alone, and what the agent's journal then holds, read by docs/journal-format.md."""
import fcntl
import mmap
import random
import socket
import struct

import journal_sum
from story import *

MAGIC = 0x314D48532D574F56
SIZE = 0x1737B000
COUNTERS, VALUES, NAMES, DIRECTORY, LANE, BLOCKS = 0x1000, 0x3000, 0x13000, 0x33000, 0x3B000, 0x87B000
ROUTE, GAUGE = 1, 4
SLOW = 1 << 20  # ns; the upper bound of slot 2560


class Segment:
    """One lane, a route and a gauge of an application called "stranger"."""

    def __init__(self, folder):
        name = 0x811C9DC5
        for byte in os.path.realpath(folder).encode():
            name = (name ^ byte) * 0x01000193 & 0xFFFFFFFF
        self.fd = os.memfd_create(f"vow-{name:08x}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, SIZE)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS,
                    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.map = mmap.mmap(self.fd, SIZE)
        self.tail = 0
        for index, (kind, text) in enumerate(
                [(ROUTE, "{unnamed}"), (ROUTE, "GET /strange"), (GAUGE, "strangers")]):
            self.put(NAMES + 128 * index, f"<BBHI{len(text)}s", kind, 0, len(text), 0, text.encode())
        self.put(COUNTERS, "<I", 3)
        self.put(8, "<IIQQ", 2, 144, SIZE, random.getrandbits(63) | 1)
        self.put(32, "<IIQQ", os.getpid(), 1, 1 << 32, time.monotonic_ns())
        self.put(56, "<IIIIII8s", 64, 1024, 1024, 4096, 7, 5377, b"stranger")
        self.put(0, "<Q", MAGIC)

    def put(self, offset, layout, *values):
        struct.pack_into(layout, self.map, offset, *values)

    def get(self, offset):
        return struct.unpack_from("<Q", self.map, offset)[0]

    def offer(self, folder):
        """To the agent; the connection is to be kept."""
        intake = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        intake.connect(f"{folder}/intake.sock")
        socket.send_fds(intake, [struct.pack("<QII", MAGIC, 2, 0)], [self.fd])
        return intake

    def push(self, latency):
        """One observation of the route, ended with 200."""
        if not self.tail:
            self.put(COUNTERS + 8, "<I", 1)
            self.put(LANE + 256, "<I", os.getpid())
        check(self.tail - self.get(LANE + 128) < 1024, "no room in the lane")
        self.put(LANE + 4096 + 32 * (self.tail % 1024), "<QQQQ", 0, latency,
                 1 | 200 << 32 | 1 << 48, 0)
        self.tail += 1
        self.put(LANE, "<Q", self.tail)

    def exemplar(self, number, latency, tag):
        """That observation number `number` with a tag, of these, had it."""
        place = LANE + 384 + 80 * (number % 40)
        self.put(place, "<QQQQ48s", 0, time.time_ns(), latency, 1 | 200 << 32 | 1 << 48, tag)
        self.put(place, "<Q", number)
        self.put(LANE + 8, "<Q", number)

    def spill(self, times):
        """So many observations of SLOW ns that found no free lane."""
        key = 1 << 63 | 1 << 40 | 2 << 36 | 1 << 16
        entry = (key * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 52
        self.put(DIRECTORY + 8 * entry, "<Q", key)
        self.put(COUNTERS + 4, "<I", 1)
        block = BLOCKS + 90112 * entry
        for n in range(1, times + 1):
            self.put(block, "<QQQ", 1 << 20, n * SLOW, SLOW)
            if not self.get(block + 128):
                self.put(block + 24, "<Q", self.get(block + 24) + 1)
            self.put(block + 1024 + 20 * 2048, "<Q", n)
        self.put(COUNTERS + 16, "<Q", times)

    def gauge(self, value):
        self.put(VALUES + 2 * 64 + 8, "<d", value)
        self.put(VALUES + 2 * 64, "<Q", 1)


def agent(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")
    program = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return program


def varints(data):
    """The LEB128 numbers of the bytes."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value = shift = 0
    return found


def unpack(packed):
    """(sum, maximum, {slot: count}) of a packed histogram."""
    scale, count, total, most, *rest = varints(packed)
    equal(scale, 7, "scale")
    slots, slot = {}, -1
    while rest:
        item = rest.pop(0)
        gap = item % 4 if item % 4 < 3 else 3 + rest.pop(0)
        slot += gap + 1
        slots[slot] = item // 4 + 1
    equal(sum(slots.values()), count, "values of the slots")
    return total, most, slots


def sections(local):
    """{name: size} of a record's local bytes."""
    found, at = {}, 0
    while at < len(local):
        name, size = struct.unpack_from("<16sI", local, at)
        found[name.rstrip(b"\0").decode()] = size
        at += 20 + size
    equal(at, len(local), "end of the sections")
    return found


def keyframe(folder):
    """{name: size} of the newest keyframe's sections, None as long as there is no keyframe."""
    names = [name for name in os.listdir(folder) if name.endswith(".vowk")]
    if not names:
        return None
    with open(f"{folder}/{max(names)}", "rb") as file:
        data = file.read()
    check(data[:8] == b"VOWKEYF\n", "magic")
    seq, = struct.unpack_from("<Q", data, 24)
    equal(max(names), f"{seq:016x}.vowk", "name")
    found, at, local = {}, 64, 1
    while local:
        _, _, behind, _, wire, local = struct.unpack_from("<IIQQII", data, at)
        equal((behind, wire), (seq, 0), "number and wire size of a piece")
        found.update(sections(data[at + 32:at + 32 + local]))
        at += 32 + local
    equal(at, len(data), "end of the keyframe")
    return found


@test
@needs("vowd", "vow")
def a_segment_written_from_its_page_is_counted_and_read_back_from_the_journal(s):
    agent(s)
    segment = Segment(s.dir("run"))
    intake = segment.offer(s.dir("run"))
    for n in range(1, 901):
        segment.push(1000 * n)
    segment.spill(100)
    segment.gauge(42.5)
    for number, (latency, tag) in enumerate([(900_000, b"slow"), (899_000, b"x" * 48)], 1):
        segment.exemplar(number, latency, tag)

    def seen():
        rows = s.vow("routes", "--total", dir=s.dir("run"))
        return rows if sum(row["count"] for row in rows) == 1000 else None
    rows = s.until(seen, 10, "thousand observations")
    equal([(r["service"], r["kind"], r["route"], r["status_class"]) for r in rows],
          [("stranger", "app", "GET /strange", "2xx")], "routes")
    equal(rows[0]["max_ns"], SLOW, "largest latency")
    near(rows[0]["p50_ns"], 500_000, 500_000 * rows[0]["relative_error"], "p50")
    s.until(lambda: segment.get(LANE + 128) == 900, 10, "slots given back")
    gauges = s.until(lambda: [g for g in s.vow("status", dir=s.dir("run"))["gauges"]
                              if g["name"] == "strangers"], 10, "gauge")
    equal((gauges[0]["service"], gauges[0]["value"]), ("stranger", 42.5), "gauge")
    s.until(lambda: segment.get(LANE + 136) == 2, 10, "exemplars read")
    s.until(lambda: len(s.vow("exemplars", "--total", dir=s.dir("run"))) == 2, 10, "exemplars")
    rows = s.vow("exemplars", "--total", dir=s.dir("run"))
    equal([(r["service"], r["route"], r["latency_ns"], r["status"], r["tag"]) for r in rows],
          [("stranger", "GET /strange", 900_000, 200, "slow"),
           ("stranger", "GET /strange", 899_000, 200, "x" * 48)], "exemplars")
    intake.close()

    total, most, slots = 0, 0, {}
    for _, wire in journal_sum.records(s.path("run", "journal")):
        for number, part in journal_sum.fields(wire):
            if number == journal_sum.DELTA:
                added, largest, counts = unpack(dict(journal_sum.fields(part))[2])
                total, most = total + added, max(most, largest)
                for slot, count in counts.items():
                    slots[slot] = slots.get(slot, 0) + count
    equal((total, most), (1000 * 900 * 901 // 2 + 100 * SLOW, SLOW), "sum and maximum")
    equal((sum(slots.values()), slots[2560]), (1000, 100), "values, and those of the last slot")
    saved = s.until(lambda: keyframe(s.path("run", "journal")), 10, "keyframe")
    for name in ("@totals", "@judge", "@clock"):
        check(name in saved, f"no section {name}")


@test
@needs("vowd", "vow")
def a_segment_is_found_by_its_name_when_there_was_no_agent_to_offer_it_to(s):
    segment = Segment(s.dir("run"))
    for n in range(1, 101):
        segment.push(1000 * n)
    agent(s)
    s.until(lambda: sum(row["count"] for row in s.vow("routes", "--total", dir=s.dir("run"))) == 100,
            10, "what was observed before the agent came")


main("formats")
