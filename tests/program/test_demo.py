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


@test
@needs("root", "setpriv", "vowd", "vow", "vow-export", "vow-hub")
def an_ordinary_user_sees_the_rest_and_is_told_what_to_do(s):
    # A copy where another user may read it.
    for path in ("scripts/demo", "deploy/demo"):
        s.run("cp", "-a", f"{ROOT}/{path}", s.path("tree", path))
    for path in ("vowd", "vow", "vow-fleet", "vow-export", "vow-hub", "examples"):
        s.run("cp", "-a", f"{BUILD}/{path}", s.path("tree", "build", path))
    os.chmod(s.dir("tmp"), 0o777)
    done = s.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3",
                 s.path("tree", "scripts", "demo"), "--traffic", "--for", "16", seconds=80,
                 status=None, env=scratch(s) | {"VOW_BUILD": s.path("tree", "build")})
    equal(done.returncode, 1, f"status of the demo, which ended with {done.stdout[-900:]!r}")
    summary = done.stdout.split("What each station showed:")[1].splitlines()
    equal([line.split()[1] for line in summary if "NOTHING" in line], ["probe"],
          f"stations without figures in {summary!r}")
    equal(sum(line.startswith("  ok ") for line in summary), 6, "stations with figures")
    text = " ".join(" ".join(summary).split())
    advice = text[text.index("NOTHING"):text.index(" ok lane")]
    for wanted in ("no rights", "sudo make demo", "setcap cap_bpf,cap_perfmon"):
        check(wanted in advice, f"{wanted!r} is not in {advice!r}")


main("demo")
