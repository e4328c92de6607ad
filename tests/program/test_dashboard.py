#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard page in headless chromium, with a hub that is fed: figures appear and move."""
from story import *

WEB = f"{ROOT}/tests/web"


def browse(s, hub, name):
    """Starts the browser's side of a test; its promise is the test's name there."""
    if not os.path.isdir(f"{WEB}/node_modules/playwright-core"):
        # By the lock file, from npm's own cache when it has been there before.
        s.run("npm", "ci", "--prefix", WEB, "--no-audit", "--no-fund", "--prefer-offline", seconds=90)
    return s.start("/usr/bin/env", "node", f"{WEB}/test_dashboard.mjs", hub.url(), name, cwd=WEB,
                   name="browser")


def promise(s, hub, name):
    browser = browse(s, hub, name)
    status = browser.wait(40)
    check(status == 0, f"{name}: {browser.log()[-400:]}")


def start_hub(s, listen, http):
    hub = s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", f"127.0.0.1:{listen}",
                  "--http", f"127.0.0.1:{http}")
    s.listening(http, hub)
    hub.url = lambda: f"http://127.0.0.1:{http}/"
    return hub


def scene(s):
    """A hub that gets ten records a second of ten routes; returns it and its ports."""
    listen, http = s.port(), s.port()
    hub = start_hub(s, listen, http)
    s.start(s.program("vow-export"), "--dir", s.dir("run"), "--hub", f"127.0.0.1:{listen}")
    s.start(s.program("tests/journal_feed"), s.dir("run"), 1_000_000, 10, 10, 20)
    return hub, listen, http


def scene_of_applications(s, capture="http: false, host: false"):
    """A hub, and an agent and an exporter that bring it what applications here count."""
    listen = s.port()
    hub = start_hub(s, listen, s.port())
    s.write("run/vow.yaml", f"capture: {{{capture}}}\n")
    s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    s.start(s.program("vow-export"), "--dir", s.dir("run"), "--hub", f"127.0.0.1:{listen}")
    return hub


@test
@needs("vow-hub", "vow-export", "node", "npm", "chromium")
def figures_appear_and_move(s):
    promise(s, scene(s)[0], "figures_appear_and_move")


@test
@needs("vow-hub", "vow-export", "node", "npm", "chromium")
def the_table_shows_what_the_api_says(s):
    promise(s, scene(s)[0], "the_table_shows_what_the_api_says")


@test
@needs("vow-hub", "vow-export", "vowd", "vow", "node", "npm", "chromium")
def deliveries_and_routes_show_four_percentiles(s):
    hub = scene_of_applications(s)
    receiver = s.start(s.program("examples/webhook_receiver"))
    s.until(lambda: "listening on" in receiver.log(), 5, "the receiver's address")
    worker = s.start(s.program("examples/webhook_worker"), "--url",
                     f"http://{receiver.log().split('listening on ')[1].split()[0]}",
                     "--count", "400", "--rate", "400", env={"VOW_DIR": s.dir("run")})
    equal(worker.wait(30), 0, "status of the worker")
    promise(s, hub, "deliveries_and_routes_show_four_percentiles")


@test
@needs("vow-hub", "vow-export", "vowd", "vow", "node", "npm", "chromium")
def a_host_shows_what_it_feels(s):
    hub = scene_of_applications(s, "http: false")
    promise(s, hub, "a_host_shows_what_it_feels")
    gauge = 'service="",gauge="tcp_retransmits_per_s",of=""} '
    check(gauge in s.http(hub.url() + "metrics")[2].decode(), f"no {gauge} among the metrics")


@test
@needs("vow-hub", "vow-export", "vowd", "vow", "node", "npm", "chromium")
def the_slowest_are_shown_with_their_tags(s):
    hub = scene_of_applications(s)
    s.start(s.program("tests/tagged"), "shop", "/pay", 10**6, 200, "fast", "/pay", 2 * 10**9, 200,
            "slow", "/book", 9 * 10**9, 503, "4bf92f3577b34da6a3ce929d0e0e4736",
            "/quiet", 10**6, 200, "", env={"VOW_DIR": s.dir("run")})
    promise(s, hub, "the_slowest_are_shown_with_their_tags")


@test
@needs("vow-hub", "vow-export", "node", "npm", "chromium")
def charts_follow_the_chosen_route_and_the_filter_works(s):
    hub = scene(s)[0]
    promise(s, hub, "the_charts_follow_the_chosen_route")
    promise(s, hub, "the_filter_leaves_what_matches")
    promise(s, hub, "dark_and_narrow_screens_fit")


@test
@needs("vow-hub", "vow-export", "node", "npm", "chromium")
def a_hub_that_goes_away_is_seen_and_found_again(s):
    hub, listen, http = scene(s)
    browser = browse(s, hub, "a_hub_that_goes_away_is_seen_and_found_again")
    s.until(lambda: "shown" in browser.log(), 20, "the page")
    hub.kill()
    s.until(lambda: "stale" in browser.log(), 20, "word that figures are old")
    start_hub(s, listen, http)
    check(browser.wait(40) == 0, browser.log()[-400:])


main("dashboard")
