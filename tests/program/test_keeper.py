#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What applications observe while no vowd runs: a keeper holds it for the next one."""
import contextlib
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess

import testpoints
from kept import *
from story import *
from story import die_with_parent

MANY = 50
KEEP_MAGIC = b"VWKEEP-1"
HELLO, LISTENER, SEGMENT, READY, LET_GO, REFUSED, END = range(1, 8)
VERSION = 2


@test
@needs("vowd", "vow")
def what_is_observed_while_no_agent_runs_is_reported_once(s):
    settle(s)
    vowd = agent(s)
    apps = {name: App(s, name) for name in ("ends", "killed", "stays")}
    pid = keeper(s, 3)
    for app in apps.values():
        app.more()
    vowd.kill()
    for app in apps.values():
        app.more()
    apps["ends"].end(signal.SIGTERM)
    apps["killed"].end()
    apps["new"] = App(s, "new").more()
    apps["brief"] = App(s, "brief").more(2000)
    apps["brief"].end()
    agent(s)
    apps["new"].rest()
    apps["stays"].rest()
    all_reported(s, apps)
    equal(keeper(s, 2), pid, "keeper: the same, which let go of those that ended")
    equal(lanes(s)["problem"], None, "problem of the lanes")


@test
@needs("vowd", "vow")
def an_orderly_restart_loses_nothing_either(s):
    settle(s)
    vowd = agent(s)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    keeper(s, 2)
    equal(vowd.stop(), 0, "status of vowd")
    check(os.path.exists(s.path("run", "intake.sock")), "the place where applications meet is there")
    apps["ends"].more().end()
    apps["brief"] = App(s, "brief").more()
    apps["brief"].end()
    agent(s)
    apps["stays"].more().rest()
    all_reported(s, apps)


@test
@needs("vowd", "vow")
def the_death_of_a_keeper_is_noticed_and_mended(s):
    settle(s)
    vowd = agent(s)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    for _ in range(3):
        first = keeper(s, 2)
        os.kill(first, signal.SIGKILL)
        s.until(lambda: keeper(s) != first, 10, "another keeper")
        check(f"keeper: the connection with pid {first} ended" in vowd.log(), "and logged")
    apps["new"] = App(s, "new").more()
    keeper(s, 3)
    vowd.kill()
    apps["ends"].more().end()
    apps["new"].more().end()
    apps["brief"] = App(s, "brief").more()
    apps["brief"].end()
    agent(s)
    apps["stays"].rest()
    all_reported(s, apps)


@test
@needs("root", "vowd", "vow")
def a_keeper_killed_anywhere_takes_nothing_along(s):
    if not testpoints.supported:
        skip("knows the debugger's means of x86-64 only")
    settle(s)
    agent(s)
    apps, path = {"first": App(s, "first").more()}, s.program("vow-keep")
    names = sorted(name for name in testpoints.points(path) if name.startswith("keeper_"))
    equal(names, ["keeper_hello_received", "keeper_let_go", "keeper_segment_taken",
                  "keeper_segment_told"], "points of the keeper")
    for name in names:
        pid = keeper(s, sum(app.process.returncode is None for app in apps.values()))
        traced = testpoints.Traced(pid, path).attach()
        apps[name] = App(s, name).more()
        if name == "keeper_let_go":
            apps["first"].end()
        if name == "keeper_segment_taken":  # since this one does not, vowd takes the connection
            s.until(lambda: counts(s).get(name), 10, "what the application observes")
        check(traced.run_to(name, 10 * PATIENCE), f"a keeper that came to {name}")
        traced.kill()
        s.until(lambda: keeper(s) != pid, 10, "another keeper")
        s.until(lambda: counts(s).get(name), 10, "what the application observes")
    for app in apps.values():
        if app.process.returncode is None:
            app.end()
    all_reported(s, apps)
    keeper(s, 0)


@test
@needs("root", "vowd", "vow")
def a_keeper_without_descriptors_leaves_applications_to_vowd(s):
    settle(s)
    vowd = agent(s)
    pid = keeper(s, 0)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
    app = App(s, "shop").more()
    s.until(lambda: "could not hold" in (lanes(s)["problem"] or ""), 10, "word of it")
    s.until(lambda: counts(s).get("shop"), 10, "what the application observes")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    apps = {"shop": app, "next": App(s, "next").more()}
    s.until(lambda: held(s) and counts(s).get("next"), 10, "what the next one observes")
    vowd.kill()
    apps["next"].more().end()
    agent(s)
    app.rest()
    all_reported(s, apps)


@test
@needs("vowd", "vow")
def many_applications_end_without_an_agent(s):
    settle(s)
    vowd = agent(s)
    apps = {f"app-{i}": App(s, f"app-{i}", burst=1) for i in range(MANY)}
    for app in apps.values():
        app.more(5)
    keeper(s, MANY)
    vowd.kill()
    for number, app in enumerate(apps.values()):
        app.more(5)
        if number % 2:
            app.end()
    for i in range(MANY):
        apps[f"late-{i}"] = App(s, f"late-{i}", burst=1).more(5)
        apps[f"late-{i}"].end()
    agent(s)
    for app in apps.values():
        if app.process.returncode is None:
            app.rest()
    all_reported(s, apps)
    keeper(s, MANY // 2)


@test
@needs("root", "setpriv", "vowd", "vow")
def an_ordinary_user_has_a_keeper_as_well(s):
    settle(s)
    os.chown(s.dir("run"), 65534, 65534)
    vowd = agent(s, user=65534)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    pid = keeper(s, 2)
    equal(os.stat(f"/proc/{pid}").st_uid, 65534, "user of the keeper")
    vowd.kill()
    apps["ends"].more().end()
    apps["brief"] = App(s, "brief").more()
    apps["brief"].end()
    agent(s, user=65534)
    apps["stays"].rest()
    all_reported(s, apps)


@test
@needs("vowd", "vow")
def a_keeper_holds_on_to_nothing_of_those_who_started_vowd(s):
    settle(s)
    outlet, inlet = os.pipe()
    vowd = subprocess.Popen([s.program("vowd"), "--dir", s.dir("run")], stdin=subprocess.DEVNULL,
                            stdout=inlet, stderr=inlet, preexec_fn=die_with_parent)
    os.close(inlet)
    s.defer(vowd.kill)
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    pid = keeper(s)
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        status = dict(line.split(":\t", 1) for line in text.read().splitlines() if ":\t" in line)
    equal(int(status["CapPrm"], 16) | int(status["CapEff"], 16), 0, "capabilities")
    equal(status["NoNewPrivs"], "1", "that there will be none")
    equal(os.getsid(pid), pid, "its session")
    equal(os.readlink(f"/proc/{pid}/cwd"), "/", "its folder")
    for fd in range(3):
        equal(os.readlink(f"/proc/{pid}/fd/{fd}"), "/dev/null", f"descriptor {fd}")
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as text:
        rollup = text.read()
    size = {key: int(rollup.split(f"{key}:")[1].split()[0])
            for key in ("Rss", "Private_Clean", "Private_Dirty")}
    private = size["Private_Clean"] + size["Private_Dirty"]
    print(f"# {private} KiB private, {size['Rss']} KiB resident")
    if MODE == "release":
        at_most(private, 300, "KiB of its own")
    vowd.terminate()
    with os.fdopen(outlet, "rb") as pipe:
        check(b"ending" in pipe.read(), "the end of what vowd writes")
    equal(vowd.wait(), 0, "status of vowd")
    check(alive(pid), "the keeper outlives vowd")


@test
@needs("vowd", "vow")
def a_keeper_that_cannot_run_is_told_of(s):
    settle(s)
    program = os.path.join(s.dir("bin"), "vow-keep")
    shutil.copy(s.program("vowd"), s.dir("bin"))
    shutil.copy("/bin/false", program)
    vowd = s.start(s.path("bin", "vowd"), "--dir", s.dir("run"), name="vowd")
    s.until(lambda: "ended before it said anything" in (lanes(s)["problem"] or ""), 10, "word of it")
    app = App(s, "shop").more()
    s.until(lambda: counts(s).get("shop"), 10, "what the application observes")
    equal(vowd.log().count("ended before it said anything"), 1, "lines of the log, not one a try")
    os.remove(program)
    shutil.copy(s.program("vow-keep"), program)
    keeper(s, 1)
    equal(lanes(s)["problem"], None, "problem once one runs")
    app.rest()
    all_reported(s, {"shop": app})


@test
@needs("vowd", "vow")
def a_keeper_that_says_nothing_is_not_taken_for_one_that_holds(s):
    settle(s)
    shutil.copy(s.program("vowd"), s.dir("bin"))
    pid_file = s.path("bin", "pid")
    program = s.write("bin/vow-keep", f"#!/bin/sh\necho $$ >{pid_file}\nexec sleep 600\n")
    os.chmod(program, 0o755)
    s.start(s.path("bin", "vowd"), "--dir", s.dir("run"), name="vowd")

    def kill_mute():
        with open(pid_file, encoding="ascii") as text:
            os.kill(int(text.read()), signal.SIGKILL)
    s.defer(kill_mute)
    s.until(lambda: "has said nothing" in (lanes(s)["problem"] or ""), 20, "word of it")
    app = App(s, "shop").more()
    s.until(lambda: counts(s).get("shop"), 10, "what the application observes")
    equal(held(s), None, "keeper that holds something")
    app.rest()
    all_reported(s, {"shop": app})


@test
@needs("vowd", "vow")
def a_door_that_cannot_take_its_place_leaves_nothing_behind(s):
    settle(s)
    os.mkdir(os.path.join(s.dir("run"), "keep.sock"))
    agent(s)
    s.until(lambda: "no keeper: " in (lanes(s)["problem"] or ""), 10, "word of it")
    check(not os.path.exists(s.path("run", "keep.sock.new")), "no other door stays")


@test
@needs("vowd", "vow")
def an_intake_socket_that_was_removed_is_made_anew(s):
    for keep in ("0s", "1h"):
        settle(s, keep=keep)
        vowd, path, apps = agent(s), s.path("run", "intake.sock"), {}
        for name, replaced in (("removed", False), ("replaced", True)):
            before = os.stat(path).st_ino
            os.remove(path)
            if replaced:
                s.write("run/intake.sock", "of somebody else")
            s.until(lambda: os.stat(path).st_ino != before and stat.S_ISSOCK(os.stat(path).st_mode),
                    10, "another socket")
            equal(stat.S_IMODE(os.stat(path).st_mode), 0o666, "who may connect")
            s.until(lambda: held(s) or keep == "0s", 10, "a keeper")
            apps[f"{name}-{keep}"] = App(s, f"{name}-{keep}").more()
            s.until(lambda: counts(s).get(f"{name}-{keep}"), 10, "what the application observes")
        equal(vowd.log().count("made anew"), 2, "lines of the log")
        if keep == "1h":  # the keeper hears there as well
            s.ticks_later(dir=s.dir("run"))
            vowd.kill()
            apps["brief"] = App(s, "brief").more()
            apps["brief"].end()
            vowd = agent(s)
        for app in apps.values():
            if app.process.returncode is None:
                app.rest()
        all_reported(s, apps)
        vowd.stop()
        for app in apps.values():
            app.kill()


@test
@needs("vowd", "vow")
def a_keeper_ends_with_its_folder(s):
    settle(s)
    vowd = agent(s)
    pid = keeper(s)
    vowd.stop()
    check(alive(pid), "the keeper outlives vowd")
    s.remove_folder(s.dir("run"))
    s.until(lambda: not alive(pid), 10, "end of the keeper")
    check(not os.path.exists(os.path.join(s.root, "run")), "nothing is made in its place")


@test
@needs("vowd", "vow")
def a_keeper_that_nobody_came_for_says_what_it_let_go_of(s):
    settle(s, keep="1s")
    vowd = agent(s)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    pid = keeper(s, 2)
    apps["ends"].rest()
    apps["stays"].rest()
    all_reported(s, apps)
    vowd.kill()
    apps["ends"].kill()
    App(s, "brief").more().end()
    s.until(lambda: not alive(pid), 10, "end of the keeper")
    equal(sorted(name for name in os.listdir(s.dir("run")) if name.endswith(("sock", "told"))),
          ["control.sock", "keep.told"], "what it left")
    vowd = agent(s)
    check("2 applications ended while no vowd ran" in lanes(s)["problem"], "and vow says it")
    check("2 applications ended while no vowd ran" in vowd.log(), "and vowd logged it")
    check(not os.path.exists(s.path("run", "keep.told")), "the note is gone")
    apps["late"] = App(s, "late").more()
    apps["late"].rest()
    all_reported(s, apps)


@test
@needs("vowd", "vow")
def a_keeper_that_is_told_to_end_says_what_it_let_go_of(s):
    settle(s)
    vowd = agent(s)
    app = App(s, "ends").more()
    pid = keeper(s, 1)
    vowd.kill()
    app.end()
    os.kill(pid, signal.SIGTERM)
    s.until(lambda: not alive(pid), 10, "end of the keeper")
    vowd = agent(s)
    check("1 application ended while no vowd ran and was let go" in lanes(s)["problem"],
          "vow says what was lost")
    check("1 application ended while no vowd ran and was let go of with what was unread: no vowd "
          "came within capture.keep, or the keeper was told to end" in vowd.log(), "and so does vowd")


@test
@needs("vowd", "vow")
def what_could_not_be_written_down_is_not_taken_for_nothing(s):
    settle(s)
    s.write("run/keep.told", "")  # on a full disk there is a file, and no room for its line
    vowd = agent(s)
    check("keep.told was cut short" in lanes(s)["problem"], "vow says it")
    check("keep.told was cut short" in vowd.log(), "and so does vowd")


@test
@needs("vowd", "vow")
def a_keeper_that_is_told_to_end_tells_vowd_first_what_it_took_last(s):
    settle(s)
    vowd = agent(s)
    pid = keeper(s, 0)
    s.defer(lambda: alive(pid) and os.kill(pid, signal.SIGKILL))
    for program in (vowd.process.pid, pid):  # so that vowd cannot take the application instead
        os.kill(program, signal.SIGSTOP)
    apps = {"brief": App(s, "brief").more()}
    apps["brief"].end()
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGCONT)
    s.until(lambda: not alive(pid), 10, "end of the keeper")
    vowd.signal(signal.SIGCONT)
    all_reported(s, apps)


@test
@needs("vowd", "vow")
def without_a_keeper_vowd_takes_what_one_holds_and_ends_it(s):
    settle(s)
    vowd = agent(s)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    pid = keeper(s, 2)
    vowd.stop()
    apps["ends"].more().end()
    settle(s, keep="0s")
    vowd = agent(s)
    s.until(lambda: not alive(pid), 10, "end of the keeper")
    apps["new"] = App(s, "new").more()
    apps["new"].rest()
    apps["stays"].rest()
    all_reported(s, apps)
    equal(held(s), None, "keeper")
    check("capture.keep is 0s" in lanes(s)["detail"], "vow says what that leaves")
    vowd.stop()
    equal([name for name in os.listdir(s.dir("run")) if name.endswith("sock")], [], "sockets left")


def greet(s):
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.defer(door.close)
    door.connect(s.path("run", "keep.sock"))
    door.settimeout(10 * PATIENCE)
    return door


def message(kind, version=VERSION, inode=0, pid=0, count=0, wait=10**9):
    return struct.pack("<8sIIQQIIQII", KEEP_MAGIC, version, kind, inode, 0, pid, count, wait, 0, 0)


@test
@needs("vowd", "vow")
def garbage_at_the_door_of_a_keeper_harms_nobody(s):
    settle(s)
    vowd = agent(s)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    pid = keeper(s, 2)
    devices = [open("/dev/zero", "rb"), open("/proc/self/status", "rb"), socket.socket()]
    for noise in [b"", b"x", b"x" * 56, message(HELLO)[:16], message(HELLO)[:48], message(99),
                  message(SEGMENT), message(LET_GO), message(END), b"y" * 4000]:
        greet(s).send(noise)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.connect(s.path("run", "keep.sock"))
            socket.send_fds(door, [noise or b"z"], [d.fileno() for d in devices])
    old = greet(s)
    old.send(message(HELLO, version=7))
    equal(struct.unpack("<8sII", old.recv(4096)[:16]), (KEEP_MAGIC, VERSION, HELLO), "answer to another")
    equal(old.recv(4096), b"", "and no more")
    intake = s.path("run", "intake.sock")
    for noise in (b"", b"x", b"VOW-SHM1" + b"\0" * 8, b"x" * 4000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
            guest.connect(intake)
            socket.send_fds(guest, [noise or b"z"], [d.fileno() for d in devices])
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(100)]
    for guest in silent:
        guest.connect(intake)
    check(alive(pid) and vowd.running(), "both live")
    vowd.kill()
    for guest in silent:
        guest.close()
    for noise in (b"x", b"VOW-SHM1" + b"\0" * 8):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
            guest.connect(intake)
            socket.send_fds(guest, [noise], [d.fileno() for d in devices])
    apps["brief"] = App(s, "brief").more()
    apps["brief"].end()
    apps["ends"].more().end()
    agent(s)
    apps["stays"].rest()
    all_reported(s, apps)
    check(alive(pid), "the keeper lives")


@test
@needs("vowd", "vow")
def a_keeper_that_turned_to_another_is_replaced(s):
    settle(s)
    vowd = agent(s)
    apps = {name: App(s, name).more() for name in ("ends", "stays")}
    pid = keeper(s, 2)
    # Whoever says hello is the agent from now on: vowd's connection ends, and its keeper lives.
    with greet(s) as other:
        other.send(message(HELLO))
        s.until(lambda: (now := held(s)) and now[0] != pid and now[1] == 2, 15, "another keeper")
        s.until(lambda: not alive(pid), 10, "the end of the first one")
    vowd.kill()
    apps["ends"].more().end()
    agent(s)
    apps["stays"].rest()
    all_reported(s, apps)


def fill(s, path):
    """Connects as often as there is room before the door."""
    with contextlib.suppress(BlockingIOError):
        while True:
            guest = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.defer(guest.close)
            guest.setblocking(False)
            guest.connect(path)


@test
@needs("vowd", "vow")
def a_keeper_that_is_stopped_hangs_nobody(s):
    settle(s)
    vowd = agent(s)
    apps = {"known": App(s, "known").more()}
    stopped = keeper(s, 1)
    s.defer(lambda: alive(stopped) and os.kill(stopped, signal.SIGCONT))
    os.kill(stopped, signal.SIGSTOP)
    apps["new"] = App(s, "new").more()
    s.until(lambda: "does not take" in (lanes(s)["problem"] or ""), 10, "word of it")
    s.until(lambda: counts(s).get("new"), 10, "observations of the new one")
    ticks = s.vow("status", dir=s.dir("run"))["ticks_total"]
    s.until(lambda: s.vow("status", dir=s.dir("run"))["ticks_total"] > ticks + 2, 10, "ticks")
    os.kill(stopped, signal.SIGCONT)
    s.until(lambda: lanes(s)["problem"] is None, 10, "trust again")
    equal(keeper(s, 2), stopped, "keeper")
    os.kill(stopped, signal.SIGSTOP)
    vowd.kill()
    fill(s, s.path("run", "intake.sock"))
    fill(s, s.path("run", "keep.sock"))
    agent(s)
    check(keeper(s, 2) != stopped, "another keeper")
    for app in apps.values():
        app.rest()
    all_reported(s, apps)
    os.kill(stopped, signal.SIGCONT)
    s.until(lambda: not alive(stopped), 10, "end of the one that lost its place")


@test
@needs("vowd", "vow")
def two_agents_of_one_folder_are_refused_with_a_keeper_too(s):
    settle(s)
    agent(s)
    pid = keeper(s)
    s.run(s.program("vowd"), "--dir", s.dir("run"), status=1)
    equal(keeper(s), pid, "keeper")


@test
@needs("root", "setpriv", "vowd", "vow")
def the_keeper_of_another_user_is_not_believed(s):
    settle(s)
    os.chmod(s.dir("run"), 0o777)
    os.chown(s.dir("run"), 65534, 65534)
    vowd = agent(s, user=65534)
    foreign = keeper(s)
    vowd.stop()
    for name in os.listdir(s.dir("run")):
        if name.endswith(".lock"):
            os.remove(s.path("run", name))
    os.chown(s.dir("run"), 0, 0)
    shutil.rmtree(s.path("run", "journal"))
    vowd = agent(s)
    check(keeper(s) != foreign, "a keeper of its own")
    check("another user's: what it holds of applications that ended stays unread" in vowd.log(),
          "and says why, and what is lost by that")
    s.until(lambda: not alive(foreign), 10, "end of the one that lost its place")


main("keeper")
