#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes hist_table.c: the constants from which hist_slot() finds a bucket exactly.

    python3 lib/data/hist_table.py > lib/data/hist_table.c

All arithmetic is on integers of any length: the 128th root of 2^n is seven square roots, each
rounded down, and floor(sqrt(floor(x))) == floor(sqrt(x)). test_hist.c checks the result against
quadruple precision at every bucket bound.
"""

from math import isqrt

SCALE = 7
BUCKETS = 1 << SCALE  # in one octave
CELL_BITS = 8  # 2^8 equal cells cut [1, 2): finer than the narrowest bucket, so at most one bound in each


def bound(j):
    """floor(2^63 * 2^(j / 128)): a bucket bound as a mantissa whose top bit is bit 63."""
    root = 1 << (63 * BUCKETS + j)
    for _ in range(SCALE):
        root = isqrt(root)
    return root


def cell(i, bounds):
    """The fraction of the bound that decides in cell i, low byte: the number of bounds below."""
    first = (1 << 63) + (i << (63 - CELL_BITS))
    below = sum(1 for b in bounds if b < first)
    decider = bounds[below] if below < BUCKETS else (1 << 64) - 1
    return (decider << 1) % (1 << 64) & ~0xFF | below


def rows(name, comment, values):
    lines = [f"/* {comment} */", f"const uint64_t {name}[{len(values)}] = {{"]
    for i in range(0, len(values), 4):
        lines.append("\t" + " ".join(f"0x{v:016x}," for v in values[i : i + 4]))
    return "\n".join(lines + ["};"])


def main():
    bounds = [bound(j) for j in range(BUCKETS)]
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by lib/data/hist_table.py; hist.h says how these are used. */")
    print("/* clang-format off */")
    print('#include "lib/data/hist.h"\n')
    print(rows("hist_bounds", "floor(2^63 * 2^(j/128))", bounds) + "\n")
    print(rows("hist_cells", "fraction of the bound that falls into each 1/256 of an octave, low byte: bounds below",
               [cell(i, bounds) for i in range(1 << CELL_BITS)]))


main()
