# SPDX-License-Identifier: Apache-2.0
"""What a journal tells the hub, added up from its bytes alone (docs/journal-format.md and
proto/vow/v1/tick.proto), so that it is an answer independent of ours."""
import glob
import os
import struct

HEADER, HEAD = 64, 32
SERIES, DELTA = 3, 4  # fields of a tick


def fields(data):
    """(number, value) of a protobuf message: an int, or the bytes of what has a length."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        else:
            length = varint()
            at += length
            yield key >> 3, data[at - length:at]


def records(folder):
    """(sequence number, wire bytes) of every record, in order."""
    for path in sorted(glob.glob(os.path.join(folder, "*.vowj"))):
        with open(path, "rb") as file:
            data = file.read()
        at = HEADER
        while at + HEAD <= len(data):
            _, _, seq, _, wire, local = struct.unpack_from("<IIQQII", data, at)
            if at + HEAD + wire + local > len(data):
                break  # torn: the record of an agent that died writing it
            yield seq, data[at + HEAD:at + HEAD + wire]
            at += HEAD + wire + local


def sums(folder):
    """{service: observations}; ValueError when a number is missing or comes twice."""
    services, total, expected = {}, {}, None
    for seq, wire in records(folder):
        if expected not in (None, seq):
            raise ValueError(f"record {seq} where {expected} was due")
        expected = seq + 1
        parts = list(fields(wire))
        for number, part in parts:
            if number == SERIES:
                series = dict(fields(part))
                services[series.get(1, 0)] = series.get(2, b"").decode()
        for number, part in parts:
            if number == DELTA:
                delta = dict(fields(part))
                name = services[delta.get(1, 0)]
                total[name] = total.get(name, 0) + delta.get(4, 0)
    return total
