#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# limit: 90 s
"""Lanes of many and of busy applications, seen from outside the agent."""
from story import *


def start(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return vowd


def observe(s, service, threads, count, rate):
    return s.start(s.program("tests/observe"), service, "/pay", str(threads), str(count), str(rate),
                   "1000000", "1000000", env={"VOW_DIR": s.dir("run")}, name=f"observe-{service}")


def status(s):
    return s.vow("status", dir=s.dir("run"))


def lanes(s):
    return next(row for row in status(s)["collectors"] if row["name"] == "lanes")


def counted(s):
    return sum(row["count"] for row in s.vow("routes", "--total", dir=s.dir("run")))


@test
@needs("vowd", "vow")
def lanes_that_fill_within_a_second_are_emptied_early_and_nothing_spills(s):
    """3000 observations a second for each thread: three times what a lane holds."""
    start(s)
    ticks, began = status(s)["ticks_total"], time.monotonic()
    app = observe(s, "shop", 2, 15000, 3000)
    equal(app.wait(30), 0, "status of the application")
    s.until(lambda: counted(s) == 30000, 5, "total of 30000")
    made = status(s)["ticks_total"] - ticks
    at_least(made, time.monotonic() - began + 4, "ticks: one a second and some early ones")
    at_most(made, 11 * (time.monotonic() - began), "ticks: no more than ten a second")
    print(f"# {made} ticks; {lanes(s)['detail']}")
    # A busy machine may come late for a lane; all of them would say 66 %.
    at_most(float(lanes(s)["detail"].split(";")[1].split()[0]), 20, "% by way of overflow")


main("lanes")
