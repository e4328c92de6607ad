#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at named points, at any instruction, and at random: what was observed is reported.

VOW_KILLS says how many kills of each sort (`make stress`: 1000); without it there are some dozens.
VOW_SEED plays a run again."""
import mmap
import random
import struct
import subprocess

import journal_sum
import testpoints
from story import *
from story import die_with_parent

KILLS = int(os.environ.get("VOW_KILLS") or 0)
SEED = int(os.environ.get("VOW_SEED") or random.randrange(1 << 30))
# Seconds until an agent that runs has reached every point that it will: four, on an idle machine.
PER_LIFE = 4 * PATIENCE
# The calls to be gone through by single instructions: the first one (a lane is claimed), one on
# the fast path, the first that finds its lane full, and one behind it.
CALLS = (1, 500, 1025, 1200)
INSTRUCTIONS_MAX = 2500  # a first call that spills makes so many; the rest of a sweep is chance

# Reached while an agent starts, in its first turn, which begins a segment, or in the steps of the
# keyframe that follows: they are watched from its first instruction.
KEYFRAME_PIECES = 4  # at least so many has the keyframe of whatever agent
AT_START = {"keyframe_found", "journal_replayed", "keyframe_begun", "segment_created",
            "segment_begun", "keyframe_created", "keyframe_piece_written", "keyframe_ended",
            "keyframe_named"}


def let_trace_and_die():
    """In the child before exec."""
    die_with_parent()
    testpoints.let_trace()


class Doomed:
    """An application that is going to be killed, and the file in which it counts."""

    def __init__(self, s, service, route, trap_at=0, burst=0, traced=False):
        path = s.write(f"counts/{service}-{route.strip('/')}", b"\0" * 4096)
        with open(path, "r+b") as file:
            self.words = mmap.mmap(file.fileno(), 4096)
        self.program = s.program("tests/doomed")
        self.process = subprocess.Popen(
            [self.program, service, route, path, str(trap_at), str(burst)],
            env=dict(os.environ, VOW_DIR=s.dir("run")), stdin=subprocess.DEVNULL,
            preexec_fn=let_trace_and_die if traced else die_with_parent)
        s.defer(self.kill)
        self.traced = testpoints.Traced(self.process.pid, self.program).begun() if traced else None

    def observed(self):
        return struct.unpack_from("<Q", self.words)[0]

    def step(self, instructions):
        if self.traced:
            self.traced.step(instructions)

    def enough(self):
        struct.pack_into("<Q", self.words, 8, 1)

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()


def settle(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")


def agent(s):
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return vowd


def counts(s, by):
    """{service or route: count} over all that the agent ever counted."""
    total = {}
    for row in s.vow("routes", "--total", dir=s.dir("run")):
        total[row[by]] = total.get(row[by], 0) + row["count"]
    return total


def producer_deaths(chance):
    """(point or None, call, instructions behind it), for ever."""
    names = sorted(testpoints.points(f"{BUILD}/tests/doomed"))
    while True:
        for name in names:
            yield name, 0, chance.randrange(3)
        for call in CALLS:
            limit = INSTRUCTIONS_MAX if call == 1 else 300
            yield None, call, chance.randrange(limit)
        yield None, 0, 0


def kill_producer(s, number, death, chance):
    """Returns (observed, reached) of one application that dies so."""
    name, call, instructions = death
    doomed = Doomed(s, "shop", f"/{number}", trap_at=call, traced=bool(name or call))
    reached = True
    try:
        if name:
            reached = doomed.traced.run_to(name, PER_LIFE)
        elif call:
            reached = doomed.traced.run_to_trap(PER_LIFE)
        else:
            # Death while it opens is for the named points.
            s.until(lambda: doomed.observed() > 0, 5, "a first call")
            time.sleep(chance.uniform(0, 0.004))
        if reached:
            doomed.step(instructions)
    except testpoints.Gone as why:
        fail(f"the application ended by itself: {why}")
    doomed.kill()
    return doomed.observed(), reached


def check_producers(s, deaths):
    counted = counts(s, "route")
    for number, (observed, death) in deaths.items():
        got = counted.get(f"/{number}", 0)
        check(observed <= got <= observed + 1,
              f"seed {SEED}: killed at {death}: observed {observed}, reported {got}")


@test
@needs("vowd", "vow")
def an_application_killed_anywhere_is_counted_to_the_call_in_flight(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    chance = random.Random(SEED)
    settle(s)
    agent(s)
    deaths, missed = {}, set()
    plan = producer_deaths(chance)
    for number in range(KILLS or 40):
        death = next(plan)
        observed, reached = kill_producer(s, number, death, chance)
        deaths[number] = observed, death
        if not reached:
            missed.add(death[0])
    equal(missed, set(), "points that no application came to")
    at_least(sum(death[0] is not None for _, death in deaths.values()), 1, "named points")

    def all_reported():
        check_producers(s, deaths)
        return True

    s.until(all_reported, 10, "report of what was observed")
    s.ticks_later(dir=s.dir("run"))  # nothing may be added twice
    check_producers(s, deaths)
    exemplars = s.vow("exemplars", "--total", dir=s.dir("run"))
    at_least(len(exemplars), 1, "exemplars")
    for row in exemplars:
        equal(row["tag"], "odd" if row["latency_ns"] % 2 else "even",
              f"seed {SEED}: tag of {row['latency_ns']} ns of {row['route']}")
    status = s.vow("status", dir=s.dir("run"))
    (lanes,) = [row for row in status["collectors"] if row["name"] == "lanes"]
    equal(lanes["problem"], None, "problem of the lanes")


@test
@needs("vowd", "vow")
def an_agent_answers_nobody_before_its_first_figures_stand(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    settle(s)
    path = s.program("vowd")
    with open(s.path("log", "vowd-first.log"), "ab") as log:
        process = subprocess.Popen([path, "--dir", s.dir("run")], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, preexec_fn=testpoints.let_trace)
    s.defer(process.wait)
    s.defer(process.kill)
    traced = testpoints.Traced(process.pid, path).begun()
    check(traced.run_to("record_made", PER_LIFE), "a first turn")
    s.run(s.program("vow"), "--dir", s.dir("run"), "status", status=3)


def agent_deaths():
    """Names of points, None for chance, in turn."""
    names = sorted(testpoints.points(f"{BUILD}/vowd"))
    while True:
        yield from names
        yield None


def kill_agent(s, name, chance):
    """Starts an agent and kills it there. True when it came to the point."""
    path = s.program("vowd")
    with open(s.path("log", "vowd-killed.log"), "ab") as log:
        process = subprocess.Popen([path, "--dir", s.dir("run")], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, preexec_fn=testpoints.let_trace)
    s.defer(lambda: process.returncode is None and process.kill())
    traced = testpoints.Traced(process.pid, path).begun()
    reached = True
    try:
        if name in AT_START:
            reached = traced.run_to(name, PER_LIFE)
            if name == "keyframe_piece_written":
                for _ in range(chance.randrange(KEYFRAME_PIECES)):
                    traced.step(1)
                    reached = reached and traced.run_to(name, PER_LIFE)
        elif name:
            # Some die in their first turn, some in a later one.
            traced.run_for(chance.choice((0, 0.2, 1.3)))
            reached = traced.run_to(name, PER_LIFE)
        else:
            traced.run_for(chance.uniform(0, 2.2))
        if name and reached:
            traced.step(chance.choice((0, 0, chance.randrange(40), chance.randrange(2000))))
    except testpoints.Gone as why:
        fail(f"seed {SEED}: vowd ended by itself before {name}: {why}")
    process.kill()
    process.wait()
    return reached


@test
@needs("vowd", "vow")
def an_agent_killed_anywhere_loses_nothing_and_counts_nothing_twice(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    chance = random.Random(SEED)
    settle(s)
    agent(s).stop()  # a journal to begin with
    # One whose lane never fills, one that spills all the time.
    apps = {"calm": Doomed(s, "calm", "/calm", burst=1),
            "busy": Doomed(s, "busy", "/busy", burst=200)}
    points, reached = agent_deaths(), set()
    named = set(testpoints.points(f"{BUILD}/vowd"))
    check(AT_START < named, f"the points of vowd are not all of {AT_START}")
    for _ in range(max(KILLS, len(named) + 3)):
        name = next(points)
        if kill_agent(s, name, chance):
            reached.add(name)
    vowd = agent(s)
    s.until(lambda: apps["busy"].observed() > 100_000, 10, "observations of the busy one")
    for app in apps.values():
        app.enough()

    def all_reported():
        reported, told = counts(s, "service"), journal_sum.sums(s.path("run", "journal"))
        for name, app in apps.items():
            equal(reported.get(name), app.observed(), f"seed {SEED}: observations of {name}")
            equal(told.get(name), app.observed(), f"seed {SEED}: what the hub is told of {name}")
        return True

    s.until(all_reported, 10, "report of what was observed")
    s.ticks_later(dir=s.dir("run"))
    all_reported()
    equal(named - reached, set(), "points that no agent came to")
    vowd.stop()


main("kills")
