#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent from outside: killed and restarted, fed garbage, out of disk, without rights."""
import json
import random
import re
import socket
import struct

import testpoints
from story import *


def quiet(s, extra=""):
    """A configuration that captures only what applications tell, so other traffic on this machine
    does not count."""
    return s.write("run/vow.yaml", "capture: {http: false, host: false}\n" + extra)


def agent(s):
    quiet(s)
    return start(s)


def start(s):
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return vowd


def observe(s, service, route="/pay", threads=2, count=20000, rate=20000, fast=1_000_000,
            slow=500_000_000):
    return s.start(s.program("tests/observe"), service, route, str(threads), str(count), str(rate),
                   str(fast), str(slow), env={"VOW_DIR": s.dir("run")}, name=f"observe-{service}")


def observed(*programs):
    """How many observations the programs said they made, once they ended."""
    total = 0
    for program in programs:
        equal(program.wait(60), 0, f"status of {program.name}")
        total += int(program.log().split("observed ")[1].split()[0])
    return total


def counted(s, service=None):
    rows = s.vow("routes", "--total", dir=s.dir("run"))
    return sum(row["count"] for row in rows if service in (None, row["service"]))


@test
@needs("vowd", "vow")
def the_very_first_answer_is_whole(s):
    quiet(s)
    for _ in range(5):
        vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
        first, = s.until(lambda: [s.vow("status", dir=s.dir("run"))], 10, "answer of vowd")
        check(first and first["pid"] == vowd.pid and first["collectors"], f"status is {first}")
        equal(vowd.stop(), 0, "exit status of vowd")


@test
@needs("vowd", "vow")
def what_is_switched_off_is_told_so_and_is_nothing_bad(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false, lanes: false}\n")
    s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    # Other checks are of this machine, and may say what they like.
    checks = {c["name"]: c for c in s.vow("doctor", dir=s.dir("run"), status=None)["checks"]}
    for name in ("http", "host", "lanes"):
        equal((checks[name]["grade"], checks[name]["fix"]), ("off", None), name)
        check("configuration" in checks[name]["what"], f"{name}: {checks[name]}")
    check("intake" not in checks, "complains of the socket that nobody wants")


@test
@needs("vowd", "vow")
def every_observation_of_two_applications_is_counted(s):
    agent(s)
    apps = [observe(s, name) for name in ("shop", "stock")]
    made = observed(*apps)
    s.until(lambda: counted(s) == made, 5, f"total of {made}")
    s.ticks_later(dir=s.dir("run"))  # nothing may be added twice
    equal(counted(s), made, "observations counted")
    equal(counted(s, "shop"), made // 2, "observations of one service")


@test
@needs("vowd", "vow")
def an_agent_that_starts_later_finds_what_was_observed_before(s):
    quiet(s)
    app = s.start("/bin/sh", "-c", f"exec {s.program('tests/observe')} shop /pay 2 5000 0 1000000 "
                  "1000000 < pipe", env={"VOW_DIR": s.dir("run")}, cwd=fifo(s), name="observe-shop")
    s.until(lambda: "observed 10000" in app.log(), 10, "end of the observations")
    start(s)
    s.until(lambda: counted(s) == 10000, 5, "total of 10000")


def fifo(s):
    """A folder with a pipe that stays open as long as the test runs."""
    folder = s.dir("pipe-of-" + s.name[:20])
    os.mkfifo(os.path.join(folder, "pipe"))
    keeper = os.open(os.path.join(folder, "pipe"), os.O_RDWR)
    s.defer(os.close, keeper)
    return folder


@test
@needs("vowd", "vow")
def an_agent_killed_five_times_counts_each_observation_once(s):
    vowd = agent(s)
    # They stay when they are done: with the process goes the memory that no agent holds.
    folder = fifo(s)
    apps = [s.start("/bin/sh", "-c", f"exec {s.program('tests/observe')} {name} /pay 2 60000 20000 "
                    "1000000 500000000 < pipe", env={"VOW_DIR": s.dir("run")}, cwd=folder,
                    name=f"observe-{name}") for name in ("shop", "stock")]
    chance = random.Random(7)
    for _ in range(5):
        time.sleep(chance.uniform(0.2, 0.9))
        vowd.kill()
        vowd = start(s)
    s.until(lambda: all("observed 120000" in app.log() for app in apps), 30, "all observations")
    made = 240000
    s.until(lambda: counted(s) == made, 8, f"total of {made}")
    s.ticks_later(dir=s.dir("run"))
    equal(counted(s), made, "observations counted after five kills")


@test
@needs("vowd", "vow")
def totals_survive_an_orderly_restart(s):
    vowd = agent(s)
    made = observed(observe(s, "shop", count=5000))
    s.until(lambda: counted(s) == made, 5, f"total of {made}")
    before = s.vow("routes", "--total", dir=s.dir("run"))[0]
    vowd.signal(15)
    equal(vowd.wait(10), 0, "status after SIGTERM")
    start(s)
    after = s.until(lambda: s.vow("routes", "--total", dir=s.dir("run")), 5, "routes")[0]
    for field in ("count", "errors", "p50_ns", "p99_ns", "max_ns", "route", "service"):
        equal(after[field], before[field], field)


@test
@needs("vowd", "vow")
def a_torn_journal_is_cut_told_and_costs_nothing_else(s):
    vowd = agent(s)
    made = observed(observe(s, "shop", count=2000))
    s.until(lambda: counted(s) == made, 5, f"total of {made}")
    vowd.kill()
    newest = max(name for name in os.listdir(s.path("run", "journal")) if name.endswith(".vowj"))
    with open(s.path("run", "journal", newest), "ab") as segment:
        segment.write(b"\x40\0\0\0half a record")
    vowd = start(s)
    check("torn end" in vowd.log(), f"the log tells of it: {vowd.log()!r}")
    equal(counted(s), made, "observations counted")
    journal = s.vow("status", dir=s.dir("run"))["journal"]
    equal([journal[f"{what}_total"] for what in ("torn", "quarantined", "lost_records")], [1, 0, 0],
          "torn ends, segments set aside and records lost")
    status = s.run(s.program("vow"), "--dir", s.dir("run"), "status").stdout
    check("a torn end cut off" in status, f"status tells of it: {status!r}")


@test
@needs("vowd", "vow")
def a_broken_journal_segment_is_set_aside_and_counted(s):
    vowd = agent(s)
    made = observed(observe(s, "shop", count=2000))
    s.until(lambda: counted(s) == made, 5, f"total of {made}")
    s.ticks_later(dir=s.dir("run"))
    vowd.kill()
    newest = max(name for name in os.listdir(s.path("run", "journal")) if name.endswith(".vowj"))
    with open(s.path("run", "journal", newest), "r+b") as segment:
        # In its first record, behind a header of 64 bytes; good ones follow: no torn end.
        segment.seek(100)
        segment.write(b"\xff" * 8)
    start(s)
    check(os.path.exists(s.path("run", "journal", newest + ".quarantined")), "a file set aside")
    journal = s.vow("status", dir=s.dir("run"))["journal"]
    equal([journal["torn_total"], journal["quarantined_total"]], [0, 1],
          "torn ends and segments set aside")
    at_least(journal["lost_records_total"], 1, "records lost")
    status = s.run(s.program("vow"), "--dir", s.dir("run"), "status").stdout
    check("1 broken segments set aside" in status, f"status tells of it: {status!r}")
    doctor = s.run(s.program("vow"), "--dir", s.dir("run"), "doctor", "-o", "json", status=1)
    checks = [c["grade"] for c in json.loads(doctor.stdout)["checks"] if c["name"] == "journal"]
    equal(checks, ["bad"], "doctor's grades of the journal")


@test
@needs("vowd", "vow")
def garbage_on_the_control_socket_costs_only_its_own_connection(s):
    agent(s)
    mode = os.stat(s.path("run", "control.sock")).st_mode & 0o777
    equal(mode, 0o660, "mode of the control socket")
    chance = random.Random(11)
    for size in (1, 3, 4, 5, 100, 70000):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(100)
            client.connect(s.path("run", "control.sock"))
            try:
                client.sendall(chance.randbytes(size))
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except ConnectionError:
                pass
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(100)
        client.connect(s.path("run", "control.sock"))
        client.sendall(struct.pack("<I", 20) + b"\xff" * 20)
        (length,) = struct.unpack("<I", client.recv(4))
        check(0 < length < 4096, f"an error answer of {length} bytes")
    equal(s.vow("status", dir=s.dir("run"))["program"], "vowd", "program that still answers")


@test
@needs("vowd", "vow")
def connections_beyond_the_limit_are_let_go_and_others_served(s):
    agent(s)
    clients = []
    for _ in range(80):
        client = socket.socket(socket.AF_UNIX)
        clients.append(client)
        client.connect(s.path("run", "control.sock"))
    for client in clients:
        client.close()
    s.until(lambda: s.vow("status", dir=s.dir("run")), 5, "answer after the crowd")


def doctors(s):
    said = s.run(s.program("vow"), "--dir", s.dir("run"), "doctor", "-o", "json", status=None).stdout
    return {check["name"]: check for check in json.loads(said)["checks"]}


@test
@needs("vowd", "vow")
def turns_that_do_not_come_any_more_are_told(s):
    vowd = agent(s)
    check("agent now" not in doctors(s), "no word while they come")
    # Its other threads go on, and answer.
    thread = testpoints.Traced(vowd.pid, s.program("vowd")).attach()
    s.until(lambda: "agent now" in doctors(s), 15, "word of it")
    now = doctors(s)["agent now"]
    equal(now["grade"], "bad", "grade")
    check("its last turn was" in now["what"], f"doctor said {now['what']!r}")
    thread.detach()
    s.until(lambda: "agent now" not in doctors(s), 10, "the end of it")


@test
@needs("vowd")
def a_broken_configuration_names_file_line_and_mend(s):
    path = s.write("run/vow.yaml", "capture:\n  http: true\nobjektives:\n  - name: x\n")
    done = s.run(s.program("vowd"), "--dir", s.dir("run"), status=1)
    check(f"{path}:3" in done.stderr, f"names file and line: {done.stderr!r}")
    check("objectives" in done.stderr, f"says the mend: {done.stderr!r}")


@test
@needs("vowd")
def a_word_that_is_no_option_starts_nothing(s):
    done = s.run(s.program("vowd"), "--dir", s.dir("run"), "extra", status=2)
    check("extra" in done.stderr, f"names the word: {done.stderr!r}")
    equal(os.listdir(s.dir("run")), [], "files that a refused start made")


@test
@needs("root", "vowd", "vow")
def an_agent_keeps_only_the_four_named_capabilities(s):
    kept = sum(1 << bit for bit in (2, 19, 38, 39))  # DAC_READ_SEARCH SYS_PTRACE PERFMON BPF
    vowd = agent(s)
    for thread in os.listdir(f"/proc/{vowd.pid}/task"):
        with open(f"/proc/{vowd.pid}/task/{thread}/status", encoding="ascii") as status:
            row = dict(line.split(":", 1) for line in status)
        for name in ("CapPrm", "CapEff", "CapBnd"):
            equal(int(row[name], 16) & ~kept, 0, f"other capabilities in {name}")
        for name in ("CapInh", "CapAmb"):
            equal(int(row[name], 16), 0, name)
        equal(row["NoNewPrivs"].strip(), "1", "NoNewPrivs")


@test
@needs("root", "vowd")
def root_in_the_folder_of_another_user_is_told_what_to_do_and_leaves_nothing(s):
    theirs = s.dir("theirs")
    os.chown(theirs, 65534, 65534)  # nobody
    done = s.run(s.program("vowd"), "--dir", theirs, status=1)
    check(f"{theirs}: belongs to user 65534" in done.stderr, f"owner: {done.stderr!r}")
    check("start vowd as that user" in done.stderr and "chown" in done.stderr, done.stderr)
    equal(os.listdir(theirs), [], "what it left in there")
    quiet(s)
    os.mkdir(s.path("run", "journal"))
    os.chown(s.path("run", "journal"), 65534, 65534)
    done = s.run(s.program("vowd"), "--dir", s.dir("run"), status=1)
    check(f"{s.dir('run')}/journal: belongs to user 65534" in done.stderr, done.stderr)


@test
@needs("vowd", "vow")
def a_broken_configuration_at_reload_keeps_the_old_one(s):
    vowd = agent(s)
    s.write("run/vow.yaml", "capture: [\n")
    vowd.signal(1)
    s.until(lambda: "keeping the configuration" in vowd.log(), 5, "refusal in the log")
    quiet(s)
    vowd.signal(1)
    s.until(lambda: "configuration read again" in vowd.log(), 5, "reload in the log")
    equal(s.vow("status", dir=s.dir("run"))["program"], "vowd", "program that still answers")


@test
@needs("vowd", "vow")
def keys_that_wait_for_a_restart_are_named_at_reload(s):
    def waiting():
        return re.findall(r"waits for a restart of vowd: (.*)", vowd.log())

    def reload(text, times):
        s.write("run/vow.yaml", text)
        vowd.signal(1)
        s.until(lambda: vowd.log().count("configuration read again") == times, 5, "reload")
    quiet(s)
    vowd = agent(s)
    with open(s.path("run", "vow.yaml"), encoding="ascii") as file:
        first = file.read()
    reload(first, 1)
    equal(waiting(), [], "what waits where nothing has changed")
    changed = first + "host: other\nseries_max: 64\njournal: {age: 1d}\n"
    reload(changed, 2)
    reload(changed, 3)
    equal(waiting(), ["host, series_max, journal.age"] * 2, "what waits, while it does")
    reload(first, 4)
    equal(len(waiting()), 2, "warnings once it is as it was at first")


@test
@needs("vowd", "vow")
def a_second_agent_in_one_folder_is_refused(s):
    first = agent(s)
    done = s.run(s.program("vowd"), "--dir", s.dir("run"), status=1)
    check(str(first.process.pid) in done.stderr, f"names the first one's process: {done.stderr!r}")
    equal(s.vow("status", dir=s.dir("run"))["pid"], first.process.pid, "agent that answers")


@test
@needs("root", "vowd", "vow")
def a_full_disk_costs_no_observation(s):
    s.run("mount", "-t", "tmpfs", "-o", "size=2m", "vow-test", s.dir("run"))
    s.defer(s.run, "umount", "-l", s.dir("run"))
    vowd = agent(s)
    before = observed(observe(s, "shop", count=1000))
    s.until(lambda: counted(s) == before, 5, f"total of {before}")
    with open(s.path("run", "filler"), "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
    app = observe(s, "shop", count=20000)
    s.until(lambda: "No space" in (s.vow("status", dir=s.dir("run"))["trouble"] or ""), 8,
            "trouble in the status")
    made = before + observed(app)
    s.until(lambda: counted(s) == made, 5, f"total of {made} while the disk is full")
    os.unlink(s.path("run", "filler"))
    s.until(lambda: not s.vow("status", dir=s.dir("run"))["trouble"], 5, "end of the trouble")
    s.until(lambda: counted(s) == made, 5, f"total of {made}")
    vowd.kill()
    start(s)
    s.until(lambda: counted(s) == made, 5, f"total of {made} after a restart")


@test
@needs("root", "vowd", "vow")
def an_ordinary_user_gets_what_needs_no_rights(s):
    os.chown(s.dir("run"), 65534, 65534)
    s.write("run/vow.yaml", "capture: {http: true}\n")
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    s.start(*as_nobody, s.program("vowd"), "--dir", s.dir("run"), name="vowd")
    status = s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    rows = {row["name"]: row for row in status["collectors"]}
    equal(rows["http"]["tier"], "off", "tier of http")
    check("root" in rows["http"]["problem"] or "CAP_BPF" in rows["http"]["problem"],
          f"says which rights lack: {rows['http']['problem']!r}")
    app = s.start(*as_nobody, s.program("tests/observe"), "shop", "/pay", "1", "1000", "0",
                  "1000000", "1000000", env={"VOW_DIR": s.dir("run")}, name="observe")
    equal(observed(app), 1000, "observations made")
    s.until(lambda: counted(s, "shop") == 1000, 5, "total of 1000")


main("agent")
