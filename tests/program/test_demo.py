#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# limit: 120 s
"""The demo: every station shows figures, and nothing is left behind."""
import glob
import tempfile

from story import *


def left_behind():
    return set(glob.glob(os.path.join(tempfile.gettempdir(), "vow-demo-*")))


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow", "vow-export", "vow-hub")
def every_station_shows_figures_and_nothing_is_left(s):
    before = left_behind()
    done = s.run(f"{ROOT}/scripts/demo", "--traffic", "--for", "22", seconds=80,
                 env={"VOW_BUILD": BUILD}, status=None)
    equal(done.returncode, 0, f"status of the demo, which ended with {done.stdout[-900:]!r}")
    equal(done.stdout.count("\n  ok "), 7, "stations that showed figures")
    equal(left_behind() - before, set(), "folders left behind")
    for line in done.stdout.splitlines():
        check("NOTHING" not in line, f"a station without figures: {line!r}")


@test
@needs("vowd", "vow", "vow-export", "vow-hub")
def ctrl_c_ends_all_of_it(s):
    before = left_behind()
    demo = s.start(f"{ROOT}/scripts/demo", env={"VOW_BUILD": BUILD}, name="demo")
    folder = s.until(lambda: left_behind_run(), 10, "folder of the run")
    s.until(lambda: "dashboard: http://" in demo.log(), 10, "address of the dashboard")
    demo.signal(2)
    equal(demo.wait(20), 0, "status after Ctrl-C")
    check(not os.path.exists(folder), f"{folder} is gone")
    equal(left_behind() - before, set(), "folders left behind")


def left_behind_run():
    return next(iter(glob.glob(os.path.join(tempfile.gettempdir(), "vow-run-*"))), None)


main("demo")
