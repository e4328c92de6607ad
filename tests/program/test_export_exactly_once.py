#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the journal holds arrives at the hub once, whoever is killed on the way."""
import contextlib
import sqlite3

from story import *

SERIES, EVENTS = 10, 20


def hub(s, listen, http, name="hub"):
    program = s.start(s.program("vow-hub"), "--dir", s.dir(name), "--listen", f"127.0.0.1:{listen}",
                      "--http", f"127.0.0.1:{http}")
    s.listening(listen, program)
    return program


def export(s, listen, run="run"):
    return s.start(s.program("vow-export"), "--dir", s.dir(run), "--hub", f"127.0.0.1:{listen}")


def feed(s, records, rate, run="run", **more):
    """Starts to append records; fed() reads what it said at its end."""
    return s.start(s.program("tests/journal_feed"), s.dir(run), records, rate, SERIES, EVENTS, **more)


def fed(feeder, seconds=60):
    """(records, events) of a feeder that comes to its end."""
    equal(feeder.wait(seconds), 0, "status of the feeder")
    words = feeder.log().split()
    return int(words[1]), int(words[2])


def totals(s, listen):
    """Events that the hub counts, by route."""
    rows = s.vow("routes", "--total", hub=f"127.0.0.1:{listen}")
    return {row["route"]: row["count"] for row in rows if row["service"] == "feed"}


def position(s):
    """Of the hub in the journal."""
    with open(s.path("run", "journal", "hub.position"), encoding="ascii") as text:
        return int(text.read().split()[2])


def arrives(s, listen, events, seconds=30):
    """Waits until the hub counts `events`, and then a little for what would be too much."""
    s.until(lambda: sum(totals(s, listen).values()) >= events, seconds, f"{events} events")
    s.ticks_later(hub=f"127.0.0.1:{listen}")
    counted = totals(s, listen)
    equal(sum(counted.values()), events, "events at the hub")
    equal(len(counted), SERIES, "routes at the hub")
    equal(set(counted.values()), {events // SERIES}, "events of each route")


def sleep_a_little(n):
    """Another time for each kill, so that they meet different moments of a batch."""
    time.sleep(0.15 + 0.07 * (n * 5 % 7))


@test
@needs("vow-export", "vow-hub", "vow")
def exporter_killed_five_times_under_load_loses_and_repeats_nothing(s):
    listen, http = s.port(), s.port()
    hub(s, listen, http)
    feeder = feed(s, 4000, 500)
    for n in range(5):
        exporter = export(s, listen)
        s.until(lambda: "connected" in exporter.log(), 10, "connection")
        sleep_a_little(n)
        exporter.kill()
    export(s, listen)
    records, events = fed(feeder)
    equal(records, 4000, "records")
    arrives(s, listen, events)


@test
@needs("vow-export", "vow-hub", "vow")
def hub_killed_five_times_under_load_loses_and_repeats_nothing(s):
    listen, http = s.port(), s.port()
    exporter = export(s, listen)
    feeder = feed(s, 4000, 500)
    for n in range(5):
        count = exporter.log().count("connected")
        central = hub(s, listen, http)
        s.until(lambda: exporter.log().count("connected") > count, 15, "connection")
        sleep_a_little(n)
        central.kill()
    hub(s, listen, http)
    _, events = fed(feeder)
    arrives(s, listen, events)


@test
@needs("vow-export", "vow-hub", "vow")
def a_backlog_is_caught_up_and_then_freed(s):
    listen, http = s.port(), s.port()
    exporter = export(s, listen)
    s.until(lambda: "waiting for a journal" in exporter.log(), 5, "word that there is no journal")
    _, events = fed(feed(s, 20000, 0))
    hub(s, listen, http)
    arrives(s, listen, events)

    s.until(lambda: position(s) == 20000, 10, "position at the last record")
    equal(exporter.stop(), 0, "status of vow-export")
    _, more = fed(feed(s, 100, 0))
    left = len([f for f in os.listdir(s.path("run", "journal")) if f.endswith(".vowj")])
    at_most(left, 3, "segments of a journal whose records were taken")
    export(s, listen)
    arrives(s, listen, events + more)


@test
@needs("vow-export", "vow-hub", "vow")
def what_was_merged_while_the_hub_was_away_adds_up_exactly(s):
    listen, http = s.port(), s.port()
    budget_kib = 1024
    tight = (0, 0, budget_kib)  # no alerts, age, budget

    def lived_through(feeder, seconds=60):
        equal(feeder.wait(seconds), 0, "status of the feeder")
        _, records, events, _, _, dropped, merged, size = feeder.log().split()
        equal(int(dropped), 0, "records dropped")
        return int(records), int(events), int(merged), int(size)

    def tight_feed(records, rate):
        return s.start(s.program("tests/journal_feed"), s.dir("run"), records, rate, SERIES, EVENTS,
                       *tight)

    def place():
        """Records that the hub has, and those that the exporter claimed for it."""
        with open(s.path("run", "journal", "hub.position"), encoding="ascii") as text:
            _, _, position, claim, _ = text.read().split()
        return int(position), int(claim)
    # Both die while records are on their way: what was claimed by then must never be merged. It is
    # little of the budget, however long that takes.
    central, exporter = hub(s, listen, http), export(s, listen)
    _, first, _, _ = lived_through(tight_feed(100, 1000))
    s.until(lambda: place()[0] == 100, 20, "position behind the first records")
    before = place()[1]
    central.signal(19)  # SIGSTOP
    _, events, _, _ = lived_through(tight_feed(400, 1000))
    s.until(lambda: place()[1] > before, 20, "claim of records that the hub does not take")
    exporter.kill()
    central.kill()
    events += first
    _, more, merged, size = lived_through(tight_feed(8000, 2000))
    at_least(merged, 4000, "records merged")
    at_most(size, budget_kib * 1024, "bytes of the journal")
    # The hub is back only for a moment, and merging goes on behind what was sent.
    central, exporter = hub(s, listen, http), export(s, listen)
    s.until(lambda: sum(totals(s, listen).values()) > events, 30, "the first of what was merged")
    equal(exporter.stop(), 0, "status of vow-export")
    central.kill()
    _, last, _, _ = lived_through(tight_feed(1000, 1000))
    hub(s, listen, http)
    export(s, listen)
    arrives(s, listen, events + more + last)
    equal(s.vow("hosts", hub=f"127.0.0.1:{listen}")[0]["gap_records_total"], 0, "gaps")


@test
@needs("vow-export", "vow-hub", "vow")
def hub_of_another_version_is_named_once_and_nothing_is_lost(s):
    listen, http = s.port(), s.port()
    text = "this hub speaks protocol 2: update vow-export"
    other = s.start(s.program("tests/other_hub"), f"127.0.0.1:{listen}", text)
    s.listening(listen, other)
    exporter = export(s, listen)
    _, events = fed(feed(s, 100, 0))
    s.until(lambda: text in exporter.log(), 10, "the hub's text")
    other.stop()
    hub(s, listen, http)
    arrives(s, listen, events, seconds=40)
    equal(exporter.log().count(text), 1, "lines with the hub's text")


@test
@needs("vow-export", "vow-hub", "vow")
def a_new_journal_is_another_life_and_adds_to_the_old_one(s):
    listen, http = s.port(), s.port()
    hub(s, listen, http)
    exporter = export(s, listen)
    _, first = fed(feed(s, 50, 0))
    arrives(s, listen, first)
    os.rename(s.path("run", "journal"), s.path("run", "journal.before"))
    _, second = fed(feed(s, 30, 0))
    s.until(lambda: "the journal is a new one" in exporter.log(), 15, "word of the new journal")
    arrives(s, listen, first + second)


def spoil(s, number):
    """Breaks the record of this number in the journal's first segment, as a bad disk does."""
    folder = s.path("run", "journal")
    path = f"{folder}/{min(name for name in os.listdir(folder) if name.endswith('.vowj'))}"
    with open(path, "r+b") as segment:
        at = 64
        for _ in range(number - 1):
            segment.seek(at)
            at += 8 + int.from_bytes(segment.read(4), "little")
        segment.seek(at + 40)
        byte = segment.read(1)
        segment.seek(at + 40)
        segment.write(bytes([byte[0] ^ 0xFF]))


def gap(s, listen):
    return s.vow("hosts", hub=f"127.0.0.1:{listen}")[0]["gap_records_total"]


@test
@needs("vow-export", "vow-hub", "vow")
def a_record_that_the_disk_lost_is_a_gap_and_no_tick(s):
    listen, http = s.port(), s.port()
    fed(feed(s, 50, 0))
    spoil(s, 20)
    fed(feed(s, 10, 0))
    central = hub(s, listen, http)
    export(s, listen)
    arrives(s, listen, 59 * SERIES * EVENTS)
    equal(gap(s, listen), 1, "records known to be lost")
    central.stop()
    hub(s, listen, http)
    equal(gap(s, listen), 1, "records known to be lost, after a restart")


@test
@needs("vow-export", "vow-hub", "vow")
def records_whose_names_were_lost_stop_nothing_behind_them(s):
    listen, http = s.port(), s.port()
    fed(feed(s, 50, 0))
    spoil(s, 1)  # the first of a segment names the series of all that follow in it
    fed(feed(s, 10, 0))
    hub(s, listen, http)
    export(s, listen)
    arrives(s, listen, 10 * SERIES * EVENTS)
    equal(gap(s, listen), 50, "records known to be lost")


@test
@needs("vow-export", "vow-hub", "vow")
def a_hub_that_lost_the_names_is_told_them_again(s):
    listen, http = s.port(), s.port()
    central = hub(s, listen, http)
    export(s, listen)
    feeder = feed(s, 600, 200)
    s.until(lambda: totals(s, listen), 10, "the first events")
    central.stop()
    with contextlib.closing(sqlite3.connect(s.path("hub", "hub.db"))) as store:
        store.executescript("DELETE FROM name; DELETE FROM record;")
    hub(s, listen, http)
    _, events = fed(feeder)
    arrives(s, listen, events)
    equal(gap(s, listen), 0, "records known to be lost")


@test
@needs("vow-export", "vow-hub", "vow")
def a_record_that_the_hub_cannot_take_in_is_set_aside_alone_and_stops_nothing(s):
    listen, http = s.port(), s.port()
    _, events = fed(feed(s, 300, 0))
    picky = s.start(s.program("tests/picky_hub"), f"127.0.0.1:{listen}", 100)
    s.listening(listen, picky)
    exporter = export(s, listen)
    s.until(lambda: "cannot read record 100, not even alone" in exporter.log(), 60, "verdict")
    s.until(lambda: position(s) == 300, 30, "position at the last record")
    kept = os.listdir(s.path("run", "refused"))
    equal([name.split("-")[1] for name in kept], [f"{100:016x}.tick"], "records kept aside")
    at_least(os.stat(s.path("run", "refused", kept[0])).st_size, 100, "bytes of it")
    equal(picky.stop(), 0, "status of the hub")
    # In company, twice alone, and then without content; all others once.
    equal(picky.log().split(), ["took", "300", "1", "0", "3"], "what the hub took")
    # A hub that knows nothing asks for the whole journal again: there it is lost as well.
    hub(s, listen, http)
    arrives(s, listen, events * 299 // 300)
    equal(gap(s, listen), 1, "records known to be lost")
    # Another exporter knows of no verdict, and this hub can read the record: it is a repeat now.
    equal(exporter.stop(), 0, "status of vow-export")
    export(s, listen)
    _, more = fed(feed(s, 10, 0))
    arrives(s, listen, events * 299 // 300 + more)


@test
@needs("vow-export")
def second_exporter_of_a_folder_is_refused(s):
    listen = s.port()
    first = export(s, listen)
    s.until(lambda: "waiting for a journal" in first.log(), 5, "the first at work")
    second = export(s, listen)
    equal(second.wait(), 1, "status of the second")
    check(str(first.pid) in second.log(), f"the first is named: {second.log()!r}")
    equal(first.stop(), 0, "status of the first")


@test
@needs("vow-export")
def plain_text_to_another_host_is_refused(s):
    done = s.run(s.program("vow-export"), "--dir", s.dir("run"), "--hub", "192.0.2.1:7412", status=1)
    check("TLS" in done.stderr, f"reason: {done.stderr!r}")
    done = s.run(s.program("vow-export"), "--dir", s.dir("run"), "--hub", "nonsense", status=1)
    check("HOST:PORT" in done.stderr, f"reason: {done.stderr!r}")


main("export")
