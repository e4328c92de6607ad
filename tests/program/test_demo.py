#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: every station shows figures, and nothing is left behind."""
from story import *


def scratch(s):
    """The environment of a demo whose scratch folders are this story's own."""
    return {"VOW_BUILD": BUILD, "TMPDIR": s.dir("tmp")}


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow", "vow-export", "vow-hub")
def every_station_shows_figures_and_nothing_is_left(s):
    done = s.run(f"{ROOT}/scripts/demo", "--traffic", "--for", "22", seconds=80, env=scratch(s),
                 status=None)
    equal(done.returncode, 0, f"status of the demo, which ended with {done.stdout[-900:]!r}")
    equal(done.stdout.count("\n  ok "), 7, "stations that showed figures")
    equal(os.listdir(s.dir("tmp")), [], "folders left behind")
    summary = done.stdout[done.stdout.index("What each station showed"):]
    for line in summary.splitlines():
        check("NOTHING" not in line, f"a station without figures: {line!r}")
        at_most(len(line), 80, f"columns of {line!r}")


@test
@needs("vowd", "vow", "vow-export", "vow-hub")
def ctrl_c_ends_all_of_it(s):
    demo = s.start(f"{ROOT}/scripts/demo", env=scratch(s), name="demo")
    s.until(lambda: "dashboard: http://" in demo.log(), 10, "address of the dashboard")
    demo.signal(2)
    equal(demo.wait(20), 0, "status after Ctrl-C")
    equal(os.listdir(s.dir("tmp")), [], "folders left behind")


main("demo")
