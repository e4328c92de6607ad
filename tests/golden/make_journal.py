#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden segment of the journal and the keyframe beside it, from docs/journal-format.md alone.

    python3 tests/golden/make_journal.py > tests/golden/0000000000000029.vowj
    python3 tests/golden/make_journal.py keyframe > tests/golden/0000000000000029.vowk

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


def header(magic, epoch, seq, boot_id, begun_at, crc=0):
    start = magic + struct.pack("<IIQQ16sQI", 2, 64, epoch, seq, boot_id, begun_at, crc)
    return start + struct.pack("<I", crc32c(start))


def record(seq, wall, wire, local):
    rest = struct.pack("<QQII", seq, wall, len(wire), len(local)) + wire + local
    return struct.pack("<II", len(rest), crc32c(rest)) + rest


EPOCH, BOOT_ID, BEGUN = 0x0123456789ABCDEF, bytes(range(16)), 1795315200000000000
first = record(0x29, 1795315200000000001, b"what the hub gets", b"what stays")
if sys.argv[1:] == ["keyframe"]:
    crc, = struct.unpack_from("<I", first, 4)
    out = header(b"VOWKEYF\n", EPOCH, 0x29, BOOT_ID, BEGUN, crc)
    out += record(0x29, BEGUN, b"", b"a piece of the state")
    out += record(0x29, BEGUN, b"", bytes(range(256)))
    out += record(0x29, BEGUN, b"", b"")
else:
    out = header(b"VOWJRNL\n", EPOCH, 0x29, BOOT_ID, BEGUN) + first
    out += record(0x2A, 1795315201000000002, b"", b"")
    out += record(0x2B, 1795315202000000003, bytes(range(256)), b"")
sys.stdout.buffer.write(out)
