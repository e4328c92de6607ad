# SPDX-License-Identifier: Apache-2.0
"""What the host feels, each by its real cause: processes that wait for a processor, queues that are
full."""
import contextlib
import socket

from story import *


class Host:
    """vowd, which captures nothing but the host."""

    def __init__(self, story, capture="http: false, lanes: false"):
        self.story, self.run = story, story.dir("run")
        story.write("run/vow.yaml", f"capture: {{{capture}}}\n")
        self.program = story.start(story.program("vowd"), "--dir", self.run)
        story.until(lambda: self.gauge("load1") is not None, 10, "the first reading")

    def status(self):
        return self.story.vow("status", dir=self.run)

    def collector(self, name="host"):
        return next(row for row in self.status()["collectors"] if row["name"] == name)

    def gauges(self, name):
        """Values of a gauge by (service, label)."""
        return {(g["service"], g["label"]): g["value"] for g in self.status()["gauges"]
                if g["name"] == name}

    def gauge(self, name, service="", label=""):
        return self.gauges(name).get((service, label))


def spin(s, count):
    """Processes that want a processor each, all the time."""
    return [s.start("/bin/sh", "-c", "while :; do :; done", name="spinner") for _ in range(count)]


@test
def tasks_that_wait_for_a_processor_are_an_alarm(s):
    host = Host(s)
    if host.gauge("psi_cpu_alarms_total") is None:
        skip(f"no alarms here: {host.collector()['problem']}")
    before = host.gauge("psi_cpu_alarms_total")
    spin(s, 2 * os.cpu_count())
    s.until(lambda: host.gauge("psi_cpu_alarms_total") > before, 10, "alarm")
    s.until(lambda: host.gauge("psi_cpu_some_ratio") > 0.5, 10, "pressure of half a second")


@test
def a_full_listen_queue_is_counted_for_its_address(s):
    host = Host(s)
    with contextlib.ExitStack() as held:
        full, other = (held.enter_context(socket.socket()) for _ in range(2))
        for listener, queue in ((full, 0), (other, 16)):
            listener.bind(("127.0.0.1", 0))
            listener.listen(queue)
        clients = [held.enter_context(socket.socket()) for _ in range(8)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        # One connection is queued beyond the backlog of 0; what others send is refused, and again.
        label = ("", "127.0.0.1:%d" % full.getsockname()[1])
        s.until(lambda: host.gauges("tcp_listen_drops_total").get(label, 0) >= 7, 10, "drops")
        with socket.create_connection(other.getsockname()):
            s.ticks_later(dir=host.run)
        check(("", "127.0.0.1:%d" % other.getsockname()[1]) not in
              host.gauges("tcp_listen_drops_total"), "a queue with room has drops")
    before = host.gauges("tcp_listen_drops_total")[label]
    s.ticks_later(dir=host.run)
    equal(host.gauges("tcp_listen_drops_total")[label], before, "drops of a socket that is gone")


main("host")
