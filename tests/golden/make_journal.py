#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden segment of the journal from docs/journal-format.md alone.

    python3 tests/golden/make_journal.py > tests/golden/0000000000000029.vowj

It shares nothing with lib/data: test_journal.c holds the C writer and reader against these bytes.
"""

import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def header(epoch, first_seq, boot_id, begun_at):
    start = b"VOWJRNL\n" + struct.pack("<IIQQ16sQI", 1, 64, epoch, first_seq, boot_id, begun_at, 0)
    return start + struct.pack("<I", crc32c(start))


def record(seq, wall, wire, local):
    rest = struct.pack("<QQII", seq, wall, len(wire), len(local)) + wire + local
    return struct.pack("<II", len(rest), crc32c(rest)) + rest


out = header(0x0123456789ABCDEF, 0x29, bytes(range(16)), 1795315200000000000)
out += record(0x29, 1795315200000000001, b"what the hub gets", b"what stays")
out += record(0x2A, 1795315201000000002, b"", b"")
out += record(0x2B, 1795315202000000003, bytes(range(256)), b"")
sys.stdout.buffer.write(out)
