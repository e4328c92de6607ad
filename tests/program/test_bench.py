#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks still run: `make bench` judges their figures, this only that there are any."""
import glob
import math

from story import *

# Each within seconds. aged leaves what it made in its folder.
SHORT = {"aged": ("DIR", "short"), "hist": (), "journal": ("DIR",), "lane": (),
         "many": (), "peers": ("observe",), "series": (), "spill": ()}
# These capture what passes for minutes; test_capture_*.py run the same programs of the kernel.
LONG = {"handler", "http"}


def benchmark(s, name):
    """The rows that bench_NAME prints, split into their fields."""
    args = [s.dir("bench") if arg == "DIR" else arg for arg in SHORT[name]]
    # It ends with what it holds, whatever a sanitizer says of that.
    leaks = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    text = s.run(s.program(f"bench_{name}"), *args, env=leaks).stdout
    if name == "peers":  # a bare figure, for bench_foreign.py
        return [["observe", text, "ns", "", "1", "1", "1"]]
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@test
def each_benchmark_is_run_here_or_known_to_be_long(s):
    names = {os.path.basename(path)[len("bench_"):-len(".c")]
             for path in glob.glob(f"{ROOT}/bench/bench_*.c")}
    equal(sorted(names), sorted({*SHORT, *LONG}), "benchmarks written in C")


def add_test(name):
    def benchmark_prints_rows_of_figures(s):
        rows = benchmark(s, name)
        check(rows, "it printed no row")
        for row in rows:
            equal(len(row), 7, f"fields of {row!r}")
            for figure in (row[1], row[4], row[5], row[6]):
                check(math.isfinite(float(figure)), f"{figure!r} in {row!r}")
        if name == "aged":
            check(any("keyframe" in row[0] for row in rows), f"no keyframe in {rows!r}")
            check(glob.glob(s.path("bench/journal/*.vowk")), "no keyframe beside the journal")

    benchmark_prints_rows_of_figures.__name__ = f"{name}_prints_rows_of_figures"
    test(benchmark_prints_rows_of_figures)


for each in SHORT:
    add_test(each)

main("bench")
