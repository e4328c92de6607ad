#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden words of a shared segment from docs/shm-format.md alone.

    python3 tests/golden/make_segment.py > tests/golden/segment.txt

A line is the offset of a word of 64 bits and the word, both in hex, of every word that is not 0; a
word that differs from process to process is "-". It shares nothing with lib/data and client:
test_segment_golden.c holds the writer and the reader against these words.

The story: a service "golden" with a route, a gauge, a queue, a job, an event type and an endpoint;
four observations that found room in lane 0, the last of them with a tag, then five that did not.
"""
import math
import struct

words, masked = {}, set()


def put(offset, layout, *values):
    data = struct.pack("<" + layout, *values)
    for at in range(offset, offset + len(data)):
        word = at & ~7
        words[word] = words.get(word, 0) + (data[at - offset] << 8 * (at - word))


def mask(offset):
    masked.add(offset)


def add(offset, value):
    words[offset] = words.get(offset, 0) + value


# The header.
put(0, "8sIIQ", b"VOW-SHM1", 2, 144, 0x1737B000)
for offset in (24, 32, 40, 48):  # id; pid and clock; tick_ratio; opened_ns
    mask(offset)
put(56, "IIIIII64s", 64, 1024, 1024, 4096, 7, 5377, b"golden")

# Names and their values.
ROUTE, QUEUE, JOB, GAUGE, EVENT, ENDPOINT = 1, 2, 3, 4, 5, 6
names = [(ROUTE, b"{unnamed}"), (ROUTE, b"GET /orders/{id}"), (GAUGE, b"pool_in_use"),
         (QUEUE, b"mail"), (JOB, b"nightly"), (EVENT, b"invoice.paid"),
         (ENDPOINT, b"https://hooks.example/in")]
for index, (kind, text) in enumerate(names):
    put(0x13000 + 128 * index, "BBHI120s", kind, 0, len(text), 0, text)
put(0x3000 + 64 * 2, "Qd", 1, 2.5)
put(0x3000 + 64 * 3, "QQQ", 1, 7, 3_000_000_000)
put(0x3000 + 64 * 4, "QQQQ", 1, 100, 3, 1)

# Lane 0: four records of name 1.
put(0x3B000, "Q", 4)
mask(0x3B000 + 256)  # owner and generation
put(0x3B000 + 264, "Q", 5)
for n, (latency, status) in enumerate([(1000, 200), (2500, 204), (1 << 20, 0), (7, 503)]):
    put(0x3B000 + 4096 + 32 * n, "QQQQ", 0, latency, 1 | status << 32 | 1 << 48, 0)

# The exemplar of the fourth.
what = 1 | 503 << 32 | 1 << 48
place = 0x3B000 + 384 + 80 * 4 * (((what * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 32) % 10)
put(0x3B000 + 8, "Q", 1)
put(place, "QQQQ48s", 1, 0, 7, what, b"4bf92f3577b34da6a3ce929d0e0e4736")
mask(place + 8)  # when it ended

# Overflow: (latency, class of status, times).
directory, used, most = set(), {}, {}
for latency, status_class, times in [(1000, 2, 2), (1010, 2, 1), (0, 0, 1), (1 << 43, 6, 1)]:
    key = 1 << 63 | 1 << 40 | status_class << 36 | 1 << 16
    entry = (key * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 52
    while (entry, key) not in directory and any(e == entry for e, _ in directory):
        entry = (entry + 1) % 4096
    directory.add((entry, key))
    block = 0x87B000 + 90112 * entry
    slot = math.ceil(128 * math.log2(latency)) if latency > 1 else 0
    slot = min(slot, 5376)
    used[block] = used.get(block, 0) | 1 << slot // 128
    most[block] = max(most.get(block, 0), latency)
    add(block + 8, times * max(1, latency))
    add(block + 24, times)  # no agent told thresholds
    add(block + 1024 + 2048 * (slot // 128) + 8 * (slot % 128), times)
for entry, key in directory:
    put(0x33000 + 8 * entry, "Q", key)
for block, bits in used.items():
    add(block, bits)
    add(block + 16, most[block])

# The counters.
put(0x1000, "III", len(names), len(directory), 1)

for offset in sorted(set(words) | masked):
    if offset in masked:
        print(f"{offset:07x} -")
    elif words[offset]:
        print(f"{offset:07x} {words[offset]:016x}")
