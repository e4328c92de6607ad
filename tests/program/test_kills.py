#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at named points, at any instruction, and at random: what was observed is reported.

VOW_KILLS says how many applications and how many agents die at named points, and again how many at
random (`make stress`: 1000); without it there are some dozens in all. VOW_SEED plays a run again, as
far as chance is the test's."""
import itertools
import mmap
import random
import signal
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
TOGETHER = 200  # applications that die before all of theirs is looked for
THREADS = 2  # of an application: each may be in a call when it dies

# Reached while an agent starts, in its first turn, which begins a segment, in the steps of the
# keyframe that follows, or as it takes over what a keeper holds: they are watched from its first
# instruction.
KEYFRAME_PIECES = 4  # at least so many has the keyframe of whatever agent
AT_START = {"keyframe_found", "journal_replayed", "keyframe_begun", "segment_created",
            "segment_begun", "keyframe_created", "keyframe_piece_written", "keyframe_ended",
            "keyframe_named", "keeper_answered", "keeper_told_segment", "segment_let_go"}


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
            [self.program, service, route, path, str(trap_at), str(burst), str(THREADS)],
            env=dict(os.environ, VOW_DIR=s.dir("run")), stdin=subprocess.DEVNULL,
            preexec_fn=let_trace_and_die if traced else die_with_parent)
        s.defer(self.kill)
        self.traced = testpoints.Traced(self.process.pid, self.program).begun() if traced else None

    def observed(self):
        return sum(struct.unpack_from("<Q", self.words, at)[0] for at in (0, 128))

    def step(self, instructions):
        if self.traced:
            self.traced.step(instructions)

    def enough(self):
        struct.pack_into("<Q", self.words, 8, 1)

    def resting(self):
        """Its threads said that they observe no more."""
        return struct.unpack_from("<Q", self.words, 16)[0] == THREADS

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


def named_deaths(chance):
    """(point or None, call, instructions behind it) of applications."""
    names = sorted(testpoints.points(f"{BUILD}/tests/doomed"))
    for number in range(max(KILLS, len(names))):
        yield names[number % len(names)], 0, chance.randrange(3)
    for number in range(max(KILLS // 4, len(CALLS))):
        call = CALLS[number % len(CALLS)]
        yield None, call, chance.randrange(INSTRUCTIONS_MAX if call == 1 else 300)


def kill_there(s, number, death):
    """Returns (observed, reached) of one application that dies so."""
    name, call, instructions = death
    doomed = Doomed(s, "shop", f"/{number}", trap_at=call, traced=True)
    try:
        reached = doomed.traced.run_to(name, PER_LIFE) if name else \
            doomed.traced.run_to_trap(PER_LIFE)
        if reached:
            doomed.step(instructions)
    except testpoints.Gone as why:
        # Its second thread, which nobody watches, came to the point first and died there.
        check(name and why.signum == signal.SIGTRAP, f"the application ended by itself: {why}")
        reached = True
    doomed.kill()
    return doomed.observed(), reached


def kill_at_random(s, number, chance):
    """Returns what one application observed that dies at some moment of its life."""
    doomed = Doomed(s, "shop", f"/{number}")
    if chance.random() < 0.5:
        s.until(lambda: doomed.observed() > 0, 5, "a first call")
    # Else from its first instruction on: it opens, names its route, makes its first call.
    time.sleep(chance.uniform(0, 0.004))
    doomed.kill()
    return doomed.observed()


def check_producers(s, deaths):
    counted = counts(s, "route")
    for number, (observed, death) in enumerate(deaths):
        got = counted.get(f"/{number}", 0)
        check(observed <= got <= observed + THREADS,
              f"seed {SEED}: killed at {death}: observed {observed}, reported {got}")


def check_reported(s, deaths):
    """All that the dead observed is reported, once."""
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
def an_application_killed_at_any_step_is_counted_to_the_calls_in_flight(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    chance = random.Random(SEED)
    settle(s)
    agent(s)
    deaths, missed = [], set()
    for number, death in enumerate(named_deaths(chance)):
        observed, reached = kill_there(s, number, death)
        deaths.append((observed, death))
        if not reached:
            missed.add(death[0])
    equal(missed, set(), "points that no application came to")
    check_reported(s, deaths)


@test
@needs("vowd", "vow")
def an_application_killed_at_random_is_counted_to_the_calls_in_flight(s):
    chance = random.Random(SEED)
    settle(s)
    agent(s)
    deaths = []
    for number in range(KILLS or 20):
        deaths.append((kill_at_random(s, number, chance), "random"))
        if number % TOGETHER == TOGETHER - 1:
            # One user has 512 applications at a time, those among them that ended and are still read.
            check_reported(s, deaths)
    check_reported(s, deaths)


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


def kill_agent(s, name, chance):
    """Starts an agent and kills it there. True when it came to the point."""
    path = s.program("vowd")
    with open(s.path("log", "vowd-killed.log"), "ab") as log:
        process = subprocess.Popen([path, "--dir", s.dir("run")], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, preexec_fn=testpoints.let_trace)
    s.defer(lambda: process.returncode is None and process.kill())
    traced = testpoints.Traced(process.pid, path).begun()
    try:
        if name in AT_START:
            reached = traced.run_to(name, PER_LIFE)
            if name == "keyframe_piece_written":
                for _ in range(chance.randrange(KEYFRAME_PIECES)):
                    traced.step(1)
                    reached = reached and traced.run_to(name, PER_LIFE)
        else:
            # Some die in their first turn, some in a later one.
            traced.run_for(chance.choice((0, 0.2, 1.3)))
            reached = traced.run_to(name, PER_LIFE)
        if reached:
            traced.step(chance.choice((0, 0, chance.randrange(40), chance.randrange(2000))))
    except testpoints.Gone as why:
        fail(f"seed {SEED}: vowd ended by itself before {name}: {why}")
    process.kill()
    process.wait()
    return reached


def kill_agent_at_random(s, chance):
    """Starts an agent and kills it at some moment, from its first instruction on."""
    with open(s.path("log", "vowd-killed.log"), "ab") as log:
        process = subprocess.Popen([s.program("vowd"), "--dir", s.dir("run")],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   preexec_fn=die_with_parent)
    s.defer(lambda: process.returncode is None and process.kill())
    # As long as it takes to start, or until some turn.
    time.sleep(chance.uniform(0, chance.choice((0.05, 2.2))))
    equal(process.poll(), None, f"seed {SEED}: exit status of vowd before it was killed")
    process.kill()
    process.wait()


def live_briefly(s, number, chance):
    """An application that begins and ends while no agent runs: (observed, whether it was killed)."""
    app = Doomed(s, "brief", f"/{number}", burst=chance.choice((1, 200)))
    s.until(lambda: app.observed() > chance.choice((0, 5, 2000)), 10, "a life")
    killed = chance.random() < 0.5
    if not killed:
        app.enough()
        s.until(app.resting, 10, "a last call")
        app.process.terminate()
        app.process.wait()
    app.kill()
    return app.observed(), killed


class Lives:
    """Applications whose agents are killed: what they observed is what the last one reports."""

    def __init__(self, s, chance):
        self.story, self.chance = s, chance
        # One whose lane never fills, one that spills all the time.
        self.apps = {"calm": Doomed(s, "calm", "/calm", burst=1),
                     "busy": Doomed(s, "busy", "/busy", burst=200)}
        self.brief = []

    def one_more(self):
        """One that begins and ends while no agent runs."""
        self.brief.append(live_briefly(self.story, len(self.brief), self.chance))

    def rest(self):
        busy = self.apps["busy"]
        self.story.until(lambda: busy.observed() > 100_000, 10, "observations of the busy one")
        for app in self.apps.values():
            app.enough()
        for app in self.apps.values():
            self.story.until(app.resting, 10, "a last call")

    def all_reported(self):
        reported = counts(self.story, "service")
        told = journal_sum.sums(self.story.path("run", "journal"))
        for name, app in self.apps.items():
            equal(reported.get(name), app.observed(), f"seed {SEED}: observations of {name}")
            equal(told.get(name), app.observed(), f"seed {SEED}: what the hub is told of {name}")
        least = sum(observed for observed, _ in self.brief)
        in_flight = THREADS * sum(killed for _, killed in self.brief)  # calls, at most
        for what, got in (("observations", reported), ("what the hub is told", told)):
            check(least <= got.get("brief", 0) <= least + in_flight,
                  f"seed {SEED}: {what} of {len(self.brief)} that ended without an agent:"
                  f" {got.get('brief')} of {least}")
        return True

    def check(self):
        """With an agent that lives: nothing is lost, nothing is there twice."""
        self.one_more()
        vowd = agent(self.story)
        self.rest()
        self.story.until(self.all_reported, 10, "report of what was observed")
        self.story.ticks_later(dir=self.story.dir("run"))
        self.all_reported()
        vowd.stop()


@test
@needs("vowd", "vow")
def an_agent_killed_at_any_step_loses_nothing_and_counts_nothing_twice(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    chance = random.Random(SEED)
    settle(s)
    agent(s).stop()  # a journal and a keeper to begin with
    lives = Lives(s, chance)
    names, reached = sorted(testpoints.points(f"{BUILD}/vowd")), set()
    check(AT_START < set(names), f"the points of vowd are not all of {AT_START}")
    for name in itertools.islice(itertools.cycle(names), max(KILLS, len(names))):
        # There is always one that ended without an agent, for the point behind letting go of it.
        if name == "segment_let_go" or chance.random() < 0.5:
            lives.one_more()
        if kill_agent(s, name, chance):
            reached.add(name)
    lives.check()
    equal(set(names) - reached, set(), "points that no agent came to")


@test
@needs("vowd", "vow")
def an_agent_killed_at_random_loses_nothing_and_counts_nothing_twice(s):
    chance = random.Random(SEED)
    settle(s)
    agent(s).stop()  # a journal, and a keeper, without which the brief ones would leave nothing
    lives = Lives(s, chance)
    for _ in range(KILLS or 4):
        if chance.random() < 0.5:
            lives.one_more()
        kill_agent_at_random(s, chance)
    lives.check()


main("kills")
