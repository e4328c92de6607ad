#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vow reads what was from the journal, whether vowd runs or not."""
import struct

from story import *

SERIES, EVENTS = 5, 20


def feed(s, records, rate, age=0):
    """A journal of known content, whose records are `age` seconds old."""
    feeder = s.start(s.program("tests/journal_feed"), s.dir("run"), records, rate, SERIES, EVENTS, 0,
                     age)
    equal(feeder.wait(30), 0, "status of the feeder")


def records(s):
    """(time, wire bytes) of every record, by the format's page."""
    found = []
    for name in sorted(os.listdir(s.path("run", "journal", ""))):
        if not name.endswith(".vowj"):
            continue
        with open(s.path("run", "journal", name), "rb") as file:
            data = file.read()
        at = 64
        while at < len(data):
            length, _, _, wall, wire, _ = struct.unpack_from("<IIQQII", data, at)
            found.append((wall, wire))
            at += 8 + length
    return found


def text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def recalled(s, at, *more):
    rows = s.vow("routes", "--at", at, *more, dir=s.dir("run"))
    return sum(row["count"] for row in rows), rows


@test
@needs("vow")
def a_window_of_the_past_holds_the_records_that_ended_in_it(s):
    feed(s, 900, 150, age=30)
    written = records(s)
    equal(len(written), 900, "records")
    end = int(written[-1][0] // 10**9) + 1
    for at in range(end - 4, end + 1):
        for window, length in (("10s", 10), ("1m", 60)):
            inside = sum(1 for wall, _ in written if (at - length) * 10**9 < wall <= at * 10**9)
            count, rows = recalled(s, text(at), "--window", window)
            equal(count, inside * SERIES * EVENTS, f"events of {window} up to {at}")
            equal(len(rows), SERIES, "routes")
            for row in rows:
                # 20 latencies from 1 to 2 ms in each record.
                check(0.99e6 <= row["p50_ns"] <= 2.01e6, f"p50 of {row['p50_ns']}")
                at_most(row["window_s"], length + 1, "span")
    everything, _ = recalled(s, text(end), "--window", "1h")
    equal(everything, 900 * SERIES * EVENTS, "events of the hour")


@test
@needs("vow")
def tables_and_top_show_the_past_as_they_show_the_present(s):
    feed(s, 30, 100, age=600)
    at = text(int(records(s)[-1][0] // 10**9) + 1)
    for command in ("top", "routes"):
        shown = s.run(s.program("vow"), "--dir", s.dir("run"), command, "--at", at).stdout
        check("/r0" in shown and "feed" in shown, f"{command} printed {shown!r}")
    equal(s.vow("deliveries", "--at", at, dir=s.dir("run")), [], "deliveries")
    # The same moment, counted back from now and as a time of day.
    ago = int(time.time() - records(s)[-1][0] / 10**9)
    equal(recalled(s, f"-{ago}s", "--window", "5m")[0], 30 * SERIES * EVENTS, "events some time ago")
    clock = time.strftime("%H:%M:%S", time.localtime(records(s)[-1][0] // 10**9 + 1))
    equal(recalled(s, clock)[0], 30 * SERIES * EVENTS, "events by the clock")


@test
@needs("vow")
def a_time_that_is_not_there_is_refused_with_the_range_that_is(s):
    def refused(status, *words):
        done = s.run(s.program("vow"), "--dir", s.dir("run"), *words, status=status)
        equal(done.stdout, "", f"figures of {words}")
        return done.stderr
    check("there is no journal" in refused(3, "routes", "--at", "-1m"), "no journal")
    feed(s, 30, 100, age=600)
    first, last = (time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(records(s)[n][0] // 10**9))
                   for n in (0, -1))
    for at in ("-5m", "-3h"):
        said = refused(3, "routes", "--at", at)
        check(f"it holds {first} to {last}" in said, f"said {said!r}")
    check("still to come" in refused(2, "routes", "--at", "2099-01-01T00:00"), "the future")
    for odd in ("yesterday", "25:00", "2026-02-31T00:00", "-", "", "2026-11-22T03:00+01"):
        check("is no time" in refused(2, "routes", "--at", odd), f"no time: {odd}")
    check("know the past" in refused(2, "slo", "--at", "-1m"), "objectives")
    check("--total has no window" in refused(2, "routes", "--at", "-1m", "--total"), "total")
    said = refused(3, "routes")
    check("vowd is not running" in said and "--at" in said, f"said {said!r}")


@test
@needs("vowd", "vow")
def the_past_of_a_running_agent_is_read_beside_it(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")
    s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    load = s.start(s.program("tests/observe"), "shop", "/pay", "1", "2000", "4000", "1000000",
                   "1000000", env={"VOW_DIR": s.dir("run")})
    equal(load.wait(30), 0, "status of observe")
    s.until(lambda: sum(r["count"] for r in s.vow("routes", "--total", dir=s.dir("run"))) == 2000,
            10, "all at the agent")
    s.until(lambda: recalled(s, "-0s", "--window", "1h")[0] == 2000, 10, "all in the journal")


main("past")
