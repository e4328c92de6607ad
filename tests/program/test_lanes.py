#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lanes of many and of busy applications, seen from outside the agent."""
from story import *

APPLICATIONS = 50 if QUICK else 500  # of eight threads each


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
    s.undisturbed()
    start(s)
    ticks, began = status(s)["ticks_total"], time.monotonic()
    app = observe(s, "shop", 2, 15000, 3000)
    equal(app.wait(30), 0, "status of the application")
    s.until(lambda: counted(s) == 30000, 5, "total of 30000")
    made = status(s)["ticks_total"] - ticks
    at_least(made, time.monotonic() - began + 3, "ticks: one a second and some early ones")
    at_most(made, 11 * (time.monotonic() - began), "ticks: no more than ten a second")
    print(f"# {made} ticks; {lanes(s)['detail']}")
    # A busy machine may come late for a lane; all of them would say 66 %.
    at_most(float(lanes(s)["detail"].split(";")[1].split()[0]), 20, "% by way of overflow")


@test
@needs("vowd", "vow")
def hundreds_of_processes_of_eight_lanes_each_are_counted_exactly(s):
    lanes_made, made = 8 * APPLICATIONS, 800 * APPLICATIONS
    vowd = start(s)
    before, began = vowd.cpu_seconds(), time.monotonic()
    os.mkfifo(s.path("gate"))
    gate = os.open(s.path("gate"), os.O_RDWR)  # applications stay until it is closed
    apps = s.start("/bin/sh", "-c", f"for n in $(seq {APPLICATIONS}); do "
                   f"{s.program('tests/observe')} shop-$((n % 10)) /pay 8 100 50 1000 1000 < gate & "
                   "done; wait", env={"VOW_DIR": s.dir("run")}, cwd=s.path(), name="applications")
    try:
        all_of_them = f"{APPLICATIONS} applications with {lanes_made} lanes"
        s.until(lambda: all_of_them in lanes(s)["detail"], 30, "all at once")
        s.until(lambda: apps.log().count("observed 800") == APPLICATIONS, 20,
                "end of the observations")
        s.until(lambda: counted(s) == made, 10, f"total of {made}")
        took = time.monotonic() - began
        print(f"# {100 * (vowd.cpu_seconds() - before) / took:.1f} % of a core in {took:.1f} s; "
              f"{vowd.rss_bytes() >> 20} MiB resident")
        before, began = vowd.cpu_seconds(), time.monotonic()
        time.sleep(2)
        took = time.monotonic() - began
        print(f"# {100 * (vowd.cpu_seconds() - before) / took:.1f} % of a core with idle lanes")
        equal(lanes(s)["problem"], None, "problem of the lanes")
        equal(sum(lanes(s)["drops_total"].values()), 0, "drops")
    finally:
        os.close(gate)
    equal(apps.wait(20), 0, "status of the applications")
    s.until(lambda: lanes(s)["detail"].startswith("0 applications"), 10, "the applications gone")
    equal(counted(s), made, "observations at the end")


@test
@needs("vowd", "vow")
def a_process_that_becomes_another_program_is_counted_through_every_exec(s):
    generations, each = 4, 3000  # each more than a lane holds
    start(s)
    app = s.start(s.program("tests/successor"), "shop", "/next", each, generations,
                  env={"VOW_DIR": s.dir("run")})
    equal(app.wait(30), 0, "status of the last program")
    made = (3 * generations + 1) * each
    s.until(lambda: counted(s) == made, 10, f"total of {made}")
    s.until(lambda: lanes(s)["detail"].startswith("0 applications"), 10, "the programs gone")
    equal(counted(s), made, "observations at the end")
    equal(lanes(s)["problem"], None, "problem of the lanes")


@test
@needs("vowd", "vow")
def an_application_that_is_stopped_delays_nobody_and_goes_on_where_it_was(s):
    start(s)
    stopped = observe(s, "stopped", 2, 6000, 600)
    s.until(lambda: counted(s) > 0, 10, "some observations")
    stopped.signal(19)  # SIGSTOP
    s.until(lambda: open(f"/proc/{stopped.pid}/stat", encoding="utf-8").read()
            .rsplit(")", 1)[1].split()[0] == "T", 5, "stop")
    s.ticks_later(dir=s.dir("run"))
    held = counted(s)
    other = observe(s, "shop", 2, 3000, 3000)
    equal(other.wait(30), 0, "status of the other application")
    s.until(lambda: counted(s) - held == 6000, 10, "all of the other's")
    (row,) = [r for r in s.vow("routes", "--total", dir=s.dir("run")) if r["service"] == "shop"]
    truth = dict(zip(("p50_ns", "p90_ns", "p95_ns", "p99_ns", "max_ns"),
                     map(int, other.log().split("truth ")[1].split()[:5])))
    for key, value in truth.items():
        near(row[key], value, value * row["relative_error"] + 1, key)
    stopped.signal(18)  # SIGCONT
    equal(stopped.wait(30), 0, "status of the one that was stopped")
    s.until(lambda: counted(s) == 18000, 10, "all of both")
    equal(lanes(s)["problem"], None, "problem of the lanes")


main("lanes")
