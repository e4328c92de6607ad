#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people and machines do to running programs: folders removed or copied, no descriptors left."""
import shutil
import socket

from story import *

COUNT = 3000
# The application alone is measured: what the kernel sees of this host is another test's.
CONFIG = "capture:\n  http: false\n  host: false\n"


def agent(s, run="run", descriptors=None):
    s.write(f"{run}/vow.yaml", CONFIG)
    limit = ["/usr/bin/env"] if not descriptors else [
        "/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"]
    return s.start(*limit, s.program("vowd"), "--dir", s.dir(run), name="vowd")


def hub(s, listen, http):
    program = s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen",
                      f"127.0.0.1:{listen}", "--http", f"127.0.0.1:{http}")
    s.listening(listen, program)
    return program


def export(s, listen, run="run"):
    return s.start(s.program("vow-export"), "--dir", s.dir(run), "--hub", f"127.0.0.1:{listen}")


def observe(s, service, run="run"):
    """An application that makes COUNT observations in about a second and goes."""
    s.until(lambda: os.path.exists(s.path(run, "intake.sock")), 10, "place where applications meet")
    return s.start(s.program("tests/observe"), service, "/x", 1, COUNT, COUNT, 1000000, 2000000,
                   env={"VOW_DIR": s.dir(run)}, name=service)


def counted(s, service, **where):
    rows = s.vow("routes", "--total", **where)
    return sum(row["count"] for row in rows if row["service"] == service)


@test
@needs("vowd", "vow")
def an_agent_whose_folder_was_removed_ends_and_begins_anew_whole(s):
    first = agent(s)
    observe(s, "shop")
    s.until(lambda: counted(s, "shop", dir=s.dir("run")) == COUNT, 10, "all observations")
    s.remove_folder(s.path("run"))
    equal(first.wait(5), 1, "status of vowd")
    check("removed" in first.log(), f"the reason: {first.log()!r}")
    agent(s)
    s.until(lambda: counted(s, "shop", dir=s.dir("run")) == COUNT, 10,
            "what was counted before, from the record that the end wrote")
    observe(s, "mail")
    s.until(lambda: counted(s, "mail", dir=s.dir("run")) == COUNT, 10, "new observations")


@test
@needs("vowd", "vow-export", "vow-hub", "vow")
def a_hub_whose_store_was_removed_acknowledges_nothing_more(s):
    listen, http = s.port(), s.port()
    central = hub(s, listen, http)
    agent(s)
    exporter = export(s, listen)
    s.until(lambda: "connected" in exporter.log(), 10, "connection")
    s.remove_folder(s.path("hub"))
    observe(s, "shop")
    s.until(lambda: s.http(f"http://127.0.0.1:{http}/healthz")[0] == 503, 10, "trouble at the hub")
    check("removed" in central.log(), f"the reason: {central.log()!r}")
    s.until(lambda: counted(s, "shop", dir=s.dir("run")) == COUNT, 10, "all at the agent")
    central.kill()
    hub(s, listen, http)
    s.until(lambda: counted(s, "shop", hub=f"127.0.0.1:{listen}") == COUNT, 15, "all at the hub")


@test
@needs("root", "vowd", "vow-export", "vow-hub", "vow")
def a_disk_that_refuses_the_exporter_stops_nothing_else(s):
    """A file system without a free inode: the agent appends to the files that it has, and the
    exporter, which replaces its small files, can write nothing."""
    s.run("mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=100", "vow-test", s.dir("run"))
    s.defer(s.run, "umount", "-l", s.dir("run"))
    listen, http = s.port(), s.port()
    hub(s, listen, http)
    agent(s)
    first = export(s, listen)
    observe(s, "shop")
    s.until(lambda: counted(s, "shop", hub=f"127.0.0.1:{listen}") == COUNT, 15, "all at the hub")
    equal(first.stop(), 0, "status of vow-export")
    s.fill_names("run/filler")
    exporter = export(s, listen)
    s.until(lambda: "which records are sent: No space left on device" in exporter.log(), 15,
            "word of the full disk")
    observe(s, "mail")
    s.until(lambda: counted(s, "mail", dir=s.dir("run")) == COUNT, 15, "all at the agent")
    equal(s.vow("status", dir=s.dir("run"))["trouble"], None, "trouble of the agent")
    equal(counted(s, "mail", hub=f"127.0.0.1:{listen}"), 0, "sent without a note of it")
    check("CANCELLED" not in exporter.log(), f"the hub is blamed: {exporter.log()!r}")
    shutil.rmtree(s.path("run", "filler"))
    s.until(lambda: counted(s, "mail", hub=f"127.0.0.1:{listen}") == COUNT, 30, "all at the hub")
    check("can be noted again" in exporter.log(), f"word of its end: {exporter.log()!r}")
    equal(counted(s, "shop", hub=f"127.0.0.1:{listen}"), COUNT, "what the hub had before")


@test
@needs("vowd", "vow-export", "vow-hub")
def a_copied_identity_is_named_and_quarrels_seldom(s):
    listen, http = s.port(), s.port()
    hub(s, listen, http)
    agent(s)
    one = export(s, listen)
    s.until(lambda: "connected" in one.log(), 10, "connection")
    # What is only on its way to its name may be gone when it is to be copied.
    shutil.copytree(s.path("run"), s.path("copy"),
                    ignore=shutil.ignore_patterns("*.sock", "*.lock", "*.new"))
    agent(s, "copy")
    began = time.monotonic()
    other = export(s, listen, "copy")
    s.until(lambda: "is a copy" in one.log(), 10, "the first to be told")
    time.sleep(4)
    quarrels = (one.log() + other.log()).count("is a copy")
    # Who was told stays away for five seconds or more.
    at_most(quarrels, max(2, 1 + (time.monotonic() - began) // 5), "quarrels in 4 s")


@test
@needs("vowd", "vow")
def an_agent_without_descriptors_rests_and_comes_back(s):
    program = agent(s, descriptors=40)
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "agent")
    guests = []
    for name, kind in [("control.sock", socket.SOCK_STREAM),
                       ("intake.sock", socket.SOCK_SEQPACKET)] * 40:
        guest = socket.socket(socket.AF_UNIX, kind)
        guest.connect(s.path("run", name))
        guests.append(guest)
    time.sleep(0.5)
    before, began = program.cpu_seconds(), time.monotonic()
    time.sleep(2)
    used, passed = program.cpu_seconds() - before, time.monotonic() - began
    at_most(used / passed, 0.25, "processors used while it can take no connection")
    for guest in guests:
        guest.close()
    observe(s, "shop")
    s.until(lambda: counted(s, "shop", dir=s.dir("run")) == COUNT, 15, "all observations")


@test
@needs("vowd")
def an_agent_that_is_ended_while_it_starts_ends_well(s):
    for n in range(5):
        program = agent(s, f"run{n}")
        s.until(lambda: os.path.exists(f"{s.root}/run{n}/journal"), 10, "start")
        equal(program.stop(), 0, "status of vowd")


main("misfortune")
