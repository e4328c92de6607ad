# SPDX-License-Identifier: Apache-2.0
"""What the host feels, each by its real cause: processes that wait for a processor, queues that are
full."""
import contextlib
import errno
import socket
import sys

from story import *
from story import runtime


class Host:
    """vowd, which captures nothing but the host."""

    def __init__(self, story, capture="http: false, lanes: false", more=""):
        self.story, self.run = story, story.dir("run")
        story.write("run/vow.yaml", f"capture: {{{capture}}}\n{more}")
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


WRITE_THROUGH = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_DSYNC, 0o600)
while True:
    os.pwrite(fd, os.urandom(4096), 0)
"""


@test
def tasks_that_wait_for_a_disk_are_an_alarm(s):
    host = Host(s)
    if host.gauge("psi_io_alarms_total") is None:
        skip(f"no alarms here: {host.collector()['problem']}")
    if s.run("stat", "-f", "-c", "%T", s.root).stdout.strip() in ("tmpfs", "ramfs"):
        skip("no disk below the scratch folder")
    before = host.gauge("psi_io_alarms_total")
    for i in range(3):
        s.start(sys.executable, "-c", WRITE_THROUGH, s.path(f"block{i}"), name="writer")
    s.until(lambda: host.gauge("psi_io_alarms_total") > before, 20, "alarm")


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
    s.ticks_later(dir=host.run)
    before = host.gauges("tcp_listen_drops_total")[label]
    s.ticks_later(dir=host.run)
    equal(host.gauges("tcp_listen_drops_total")[label], before, "drops of a socket that is gone")


@test
@needs("bpf")
def a_connection_that_is_refused_counts_for_its_peer(s):
    host = Host(s)
    port, v6 = s.port(), s.port()
    for _ in range(5):
        with socket.socket() as client:
            equal(client.connect_ex(("127.0.0.1", port)), errno.ECONNREFUSED, "outcome")
    with socket.socket(socket.AF_INET6) as client:
        equal(client.connect_ex(("::1", v6)), errno.ECONNREFUSED, "outcome over IPv6")
    refused = s.until(lambda: (lambda g: g if ("", f"[::1]:{v6}") in g else None)(
        host.gauges("tcp_connects_refused_total")), 10, "refusals")
    equal(refused[("", f"127.0.0.1:{port}")], 5, "refused over IPv4")
    equal(refused[("", f"[::1]:{v6}")], 1, "refused over IPv6")
    for kind in ("timed_out", "unreachable", "given_up"):
        check(("", f"127.0.0.1:{port}") not in host.gauges(f"tcp_connects_{kind}_total"), kind)


@test
@needs("bpf")
def a_peer_goes_by_the_name_that_the_configuration_gives(s):
    host, port = Host(s, more="peers:\n  - name: payments\n    addresses: [127.7.0.0/16]\n"), s.port()
    for address in ("127.7.0.1", "127.7.9.9", "127.8.0.1"):
        with socket.socket() as client:
            client.connect_ex((address, port))
    refused = s.until(lambda: (lambda g: g if ("", f"127.8.0.1:{port}") in g else None)(
        host.gauges("tcp_connects_refused_total")), 10, "refusals")
    equal(refused[("", "payments")], 2, "refused by either address of that name")
    shown = s.vow("host", dir=host.run)
    equal({row["peer"]: (row["tcp_connects_refused_total"], row["tcp_connects_timed_out_total"])
           for row in shown["peers"]}["payments"], (2, None), "the same of vow host")
    check(0 <= shown["hosts"][0]["memory_used_ratio"] <= 1, "memory of the host")
    text = s.run(s.program("vow"), "--dir", host.run, "host").stdout
    check("payments" in text and "REFUSED" in text, f"vow host says {text!r}")


@test
@needs("bpf")
def peers_beyond_the_table_are_evicted_and_counted(s):
    host = Host(s)
    port, peers = s.port(), 1500
    for i in range(peers):
        with socket.socket() as client:
            client.connect_ex((f"127.1.{i // 250}.{i % 250 + 1}", port))
    s.until(lambda: host.collector("tcp")["events_total"] >= peers, 10, "all that was refused")
    s.ticks_later(dir=host.run)
    at_least(host.gauge("tcp_peers_evicted_total"), peers - 1024, "peers evicted")
    # Those shown before go when nobody has set them for 10 s.
    shown = s.until(lambda: (lambda g: g if len(g) <= 64 else None)(
        host.gauges("tcp_connects_refused_total")), 20, "at most 64 peers")
    equal(shown[("", f"127.1.5.250:{port}")], 1, "the last one")


class Network:
    """Two network namespaces with a link between them; `here` and `there` are their commands."""

    def __init__(self, s):
        self.s = s
        self.holders = [s.start("unshare", "--net", "sleep", "10000", name=f"net{i}")
                        for i in range(2)]
        s.until(lambda: len({os.readlink(f"/proc/{pid}/ns/net") for pid in
                             ["self", *(h.pid for h in self.holders)]}) == 3, 10, "namespaces")
        self.here, self.there = (("nsenter", "-t", h.pid, "--net") for h in self.holders)
        done = s.run(*self.here, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1",
                     "netns", self.holders[1].pid, status=None)
        if done.returncode:
            skip(f"no pair of network devices here: {done.stderr.strip()}")
        for side, device, address in ((self.here, "v0", "10.9.8.1"), (self.there, "v1", "10.9.8.2")):
            s.run(*side, "ip", "address", "add", f"{address}/24", "dev", device)
            s.run(*side, "ip", "link", "set", device, "up")

    def python(self, side, script, *args, name):
        return self.s.start(*map(str, side), sys.executable, "-u", "-c", script, *map(str, args),
                            name=name)


SILENCED = """
import socket, sys
peer = socket.create_connection(("10.9.8.2", int(sys.argv[1])))
print("connected", flush=True)
sys.stdin = open(sys.argv[2])   # a pipe: the peer is gone once it opens
peer.sendall(b"x")
print("sent", flush=True)
peer.recv(1)
"""
ACCEPTS = """
import socket, sys
listener = socket.create_server(("10.9.8.2", int(sys.argv[1])))
print("ready", flush=True)
one, _ = listener.accept()
if len(sys.argv) > 2:
    print("accepted", flush=True)
    open(sys.argv[2])
    one.sendall(b"x")
one.recv(1)
one.recv(1)
"""


@test
@needs("bpf", "unshare", "nsenter", "ip")
def what_is_sent_again_counts_for_the_peer_that_was_cut_off(s):
    host, network, port = Host(s), Network(s), s.port()
    go = s.path("go")
    os.mkfifo(go)
    server = network.python(network.there, ACCEPTS, port, name="server")
    s.until(lambda: "ready" in server.log(), 10, "server")
    client = network.python(network.here, SILENCED, port, go, name="client")
    s.until(lambda: "connected" in client.log(), 10, "connection")
    label = ("", f"10.9.8.2:{port}")
    check(label not in host.gauges("tcp_retransmits_total"), "sent again before anything was lost")
    # What the peer says to us is thrown away on its way: we hear no acknowledgement.
    s.run(*network.there, "ip", "route", "replace", "blackhole", "10.9.8.1/32")
    with open(go, "w", encoding="ascii"):
        s.until(lambda: host.gauges("tcp_retransmits_total").get(label, 0) >= 2, 10, "segments again")
    equal([l for l in host.gauges("tcp_retransmits_total") if l[1].startswith("10.9.8")],
          [label], "peers")


@test
@needs("bpf", "unshare", "nsenter", "ip")
def what_clients_had_sent_again_counts_for_the_port(s):
    host, network, port = Host(s), Network(s), s.port()
    go = s.path("go")
    os.mkfifo(go)
    server = network.python(network.there, ACCEPTS, port, go, name="server")
    s.until(lambda: "ready" in server.log(), 10, "server")
    client = network.python(network.here, "import socket, sys, time\n"
                            "peer = socket.create_connection(('10.9.8.2', int(sys.argv[1])))\n"
                            "time.sleep(10000)", port, name="client")
    s.until(lambda: "accepted" in server.log(), 10, "connection")
    s.run(*network.here, "ip", "route", "replace", "blackhole", "10.9.8.2/32")
    with open(go, "w", encoding="ascii"):
        s.until(lambda: host.gauges("tcp_retransmits_total").get(("", f":{port}"), 0) >= 2, 10,
                "segments again")
    check(client.running(), "the client has ended")


@test
@needs("bpf", "unshare", "nsenter", "ip")
def a_connection_says_why_it_did_not_come_about(s):
    host, network, port = Host(s), Network(s), s.port()
    # Nobody has the first address; of the second one a router says that there is no way.
    s.run(*network.here, "ip", "route", "add", "10.9.9.1/32", "via", "10.9.8.77")
    s.run(*network.here, "ip", "route", "add", "10.9.9.2/32", "via", "10.9.8.2")
    s.run(*network.there, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    s.run(*network.there, "ip", "route", "add", "unreachable", "10.9.9.2/32")
    network.python(network.here, "import socket, sys\n"
                   "c = socket.socket()\n"
                   "c.setblocking(False)\n"
                   "c.connect_ex(('10.9.9.1', int(sys.argv[1])))\n"
                   "c.close()", port, name="given_up").wait()
    network.python(network.here, "import socket, sys\n"
                   "socket.socket().connect_ex(('10.9.9.2', int(sys.argv[1])))",
                   port, name="unreachable").wait()
    s.run(*network.there, "ip", "route", "replace", "blackhole", "10.9.8.1/32")
    network.python(network.here, "import socket, sys\n"
                   "c = socket.socket()\n"
                   "c.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)\n"
                   "c.connect_ex(('10.9.8.2', int(sys.argv[1])))", port, name="timed_out").wait(20)
    for kind, label in (("given_up", f"10.9.9.1:{port}"), ("unreachable", f"10.9.9.2:{port}"),
                        ("timed_out", f"10.9.8.2:{port}")):
        s.until(lambda: host.gauges(f"tcp_connects_{kind}_total").get(("", label)) == 1, 10, kind)


def service(s, host, name, *command, group=None):
    """A process that libvow names after `name`, in a control group if one is given, which
    runs these lines of Python."""
    body = "\n".join(command)
    script = s.write(f"{name}.py", f"""
import ctypes, os, sys, threading, time
if {group!r}:
    open({group!r} + "/cgroup.procs", "w").write(str(os.getpid()))
vow = ctypes.CDLL({s.program("libvow.so")!r})
vow.vow_open(b{name!r})
print("ready", flush=True)
{body}
""")
    program = s.start(sys.executable, script, name=name,
                      env={"VOW_DIR": host.run, **runtime(s)})
    s.until(lambda: "ready" in program.log(), 10, name)
    return program


SPIN = "while True: pass"
REST = "time.sleep(10000)"


@test
@needs("bpf")
def threads_that_wait_for_a_processor_are_told_of_their_service(s):
    host = Host(s, "http: false")
    one = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(one)})
    s.defer(os.sched_setaffinity, 0, one)
    service(s, host, "crowd", "import hashlib",
            "spin = lambda: [hashlib.pbkdf2_hmac('md5', b'', b'', 9**6) for _ in iter(int, 1)]",
            "[threading.Thread(target=spin).start() for _ in range(3)]")
    service(s, host, "hog", SPIN)
    service(s, host, "rest", REST)
    waits = s.until(lambda: (lambda w: w if {("crowd", ""), ("hog", ""), ("rest", "")} <= set(w)
                             and w[("hog", "")] > 0.2 and w[("crowd", "")] > 1 else None)(
        host.gauges("run_queue_wait_s_per_s")), 15, "waiting of four threads on one processor")
    at_most(waits[("rest", "")], 0.2, "waiting of a service that rests")
    status = host.collector("services")
    equal((status["tier"], status["problem"]), ("bpf", None), "collector")


def control_group(s, controller, name, **files):
    """A control group of version 1 or 2 for `controller`, or a skip."""
    for folder in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        group = f"{folder}/vow-{name}-{os.getpid()}"
        try:
            os.mkdir(group)
        except OSError:
            continue
        # Who was in it when it was ended is gone only when the kernel says so.
        s.defer(s.until, lambda group=group: os.rmdir(group) is None, 10, "an empty group")
        if all(os.path.exists(f"{group}/{file}") for file in files):
            for file, text in files.items():
                with open(f"{group}/{file}", "w", encoding="ascii") as to:
                    to.write(text)
            return group
    return None


@test
@needs("root")
def a_quota_that_is_used_up_is_told_of_its_service(s):
    host = Host(s, "http: false")
    group = (control_group(s, "cpu", "quota", **{"cpu.cfs_quota_us": "20000"}) or
             control_group(s, "cpu", "quota", **{"cpu.max": "20000 100000"}))
    if not group:
        skip("no control group with a quota of processor time can be made here")
    service(s, host, "capped", SPIN, group=group)
    service(s, host, "free", SPIN)
    s.until(lambda: host.gauges("cpu_throttled_ratio").get(("capped", ""), 0) > 0.5, 15,
            "periods whose quota was used up")
    s.until(lambda: host.gauges("cpu_throttled_s_per_s").get(("capped", ""), 0) > 0.05, 15,
            "seconds held up in a second")
    equal(host.gauge("cpu_throttled_ratio", "free"), None, "of a service without a quota")


@test
@needs("root")
def a_group_that_was_made_anew_is_told_of_its_service(s):
    host = Host(s, "http: false")
    limits = {"cpu.cfs_quota_us": "20000"}, {"cpu.max": "20000 100000"}
    group, limit = next(((group, limit) for limit in limits
                         if (group := control_group(s, "cpu", "again", **limit))), (None, None))
    if not group:
        skip("no control group with a quota of processor time can be made here")
    program = service(s, host, "renewed", SPIN, group=group)
    told = lambda: host.gauges("cpu_throttled_ratio").get(("renewed", ""), 0) > 0.5
    s.until(told, 15, "periods whose quota was used up")

    def move_to(folder):
        with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as processes:
            processes.write(str(program.pid))
    # As systemd does it when a service is started again: another group of the same name.
    move_to(os.path.dirname(group))
    s.until(lambda: os.rmdir(group) is None, 10, "an empty group")
    os.mkdir(group)
    for file, text in limit.items():
        with open(f"{group}/{file}", "w", encoding="ascii") as to:
            to.write(text)
    move_to(group)
    # What was read of the old one is forgotten after 10 s.
    s.ticks_later(14, dir=host.run)
    s.until(told, 15, "periods of the new group")


@test
@needs("root")
def a_process_killed_for_its_memory_is_told_of_its_service(s):
    host = Host(s, "http: false")
    group = (control_group(s, "memory", "memory", **{"memory.limit_in_bytes": "33554432"}) or
             control_group(s, "memory", "memory", **{"memory.max": "33554432"}))
    if not group:
        skip("no control group with a limit of memory can be made here")
    service(s, host, "greedy", "sys.stdout.flush()",
            "child = lambda: (time.sleep(0.2), bytearray(os.urandom(1)) * (1 << 28))",
            "while True:", "  pid = os.fork()", "  if not pid: child(); os._exit(0)",
            "  os.waitpid(pid, 0)", "  time.sleep(0.2)", group=group)
    s.until(lambda: host.gauges("memory_oom_kills_total").get(("greedy", ""), 0) >= 1, 15, "kills")


@test
@needs("bpf", "setpriv")
def who_may_not_load_programs_is_told_and_sees_the_rest(s):
    run = s.dir("plain")
    os.chown(run, 65534, 65534)
    s.start(command_path("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups",
            s.program("vowd"), "--dir", run)
    status = s.until(lambda: s.vow("status", dir=run), 10, "status")
    rows = {row["name"]: row for row in status["collectors"]}
    equal(rows["tcp"]["tier"], "off", "tier")
    check("CAP_BPF" in rows["tcp"]["problem"], f"what to do: {rows['tcp']['problem']}")
    equal(rows["host"]["tier"], "proc", "the host's own figures")


main("host")
