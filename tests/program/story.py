# SPDX-License-Identifier: Apache-2.0
"""Program tests that read like a story. Python 3 standard library only.

    from story import *

    @test
    def restarted_agent_counts_nothing_twice(s):
        agent = s.start(s.program("vowd"), "--dir", s.dir("run"))
        web = s.nginx("location / { return 200 'ok'; }")
        s.wrk(web.url("/"), connections=4, seconds=1)
        s.until(lambda: s.vow("routes", "--total", dir=s.dir("run"))[0]["count"] > 0, 5,
                "the first route")
        agent.kill()
        equal(s.total(), 17, "requests counted")

    main("agent")

Each test gets a story `s`: a scratch folder, free ports, and programs whose output is kept in it.
Whatever a story started is ended by its pid when the test ends, however it ends (failure, limit,
SIGTERM from the runner). A report of a sanitizer by any of them, or by a child of theirs, fails the
test, however the program ended. Each test prints "ok SUITE.TEST", "not ok SUITE.TEST - why" or
"skip SUITE.TEST - reason"; the process exits 1 when one failed. An argument runs only the tests
whose name contains it; with VOW_KEEP=1 the scratch folders stay.
"""
import contextlib
import ctypes
import fcntl
import functools
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

__all__ = ["PATIENCE", "ROOT", "BUILD", "MODE", "QUICK", "Story", "Program", "Failed", "Skipped",
           "test", "needs", "main", "command_path", "lacking", "check", "equal", "at_least", "at_most",
           "near", "fail", "skip", "time", "os", "json"]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VOW_BUILD") or f"{ROOT}/build/release")
MODE = os.path.basename(BUILD)
QUICK = bool(os.environ.get("VOW_TEST_QUICK"))  # a tenth of the longest loads, as under a sanitizer
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
# Seconds that a test allows are what an idle machine needs at the very most. They are there to end
# what hangs, and judge no speed: a busy machine, or a sanitizer, gets so many times as long.
PATIENCE = 20
SIOCOUTQ = 0x5411
SANITIZER_OPTIONS = {name: os.environ.get(name, "")
                     for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")}
TESTS = []


class Failed(Exception):
    """What was seen is not what was promised."""


class Skipped(Exception):
    """This machine cannot show it; the text says what lacks."""


# --- checks ---------------------------------------------------------------------------------------

def fail(what):
    raise Failed(what)


def skip(reason):
    raise Skipped(reason)


def check(good, what):
    if not good:
        fail(what)


def equal(got, expected, what):
    check(got == expected, f"{what}: is {got!r}, expected {expected!r}")


def at_least(got, least, what):
    check(got >= least, f"{what}: is {got!r}, expected at least {least!r}")


def at_most(got, most, what):
    check(got <= most, f"{what}: is {got!r}, expected at most {most!r}")


def near(got, expected, tolerance, what):
    check(abs(got - expected) <= tolerance,
          f"{what}: is {got!r}, expected {expected!r} within {tolerance!r}")


# --- declaring tests ------------------------------------------------------------------------------

def test(function):
    """The function is a test; its name is its promise."""
    TESTS.append(function)
    return function


def needs(*what):
    """Skips unless all are there: "root", a command ("nginx", "wrk", "node"), or a built program
    of ours ("vowd"), or "bpf" (root and BTF)."""
    def decorate(function):
        @functools.wraps(function)
        def wrapped(story):
            for thing in what:
                reason = lacking(thing)
                if reason:
                    skip(reason)
            function(story)
        return wrapped
    return decorate


def lacking(thing):
    """Why a need is not met, or None. A program of ours that is not built is a failure."""
    if thing == "root":
        return None if os.geteuid() == 0 else "needs root"
    if thing == "bpf":
        if os.geteuid() != 0:
            return "needs root (to load BPF programs)"
        if not os.path.exists("/sys/kernel/btf/vmlinux"):
            return "this kernel has no BTF (/sys/kernel/btf/vmlinux)"
        return None
    if thing.startswith("vow"):
        check(os.access(f"{BUILD}/{thing}", os.X_OK), f"{BUILD}/{thing} is not built")
        return None
    return None if command_path(thing) else f"{thing} is not installed (scripts/setup installs it)"


def command_path(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


# --- programs -------------------------------------------------------------------------------------

def runtime(s):
    """What a program that is none of ours must load first, to load a libvow with a sanitizer."""
    library = {"asan": "libasan.so", "tsan": "libtsan.so"}.get(MODE)
    if not library:
        return {}
    return {"LD_PRELOAD": s.run("gcc", f"-print-file-name={library}").stdout.strip()}


def die_with_parent():
    """In the child before exec: the kernel ends it should this test be killed with SIGKILL."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A running program of a story. Its output goes to a file, log_path."""

    def __init__(self, name, argv, log_path, env, cwd):
        self.name, self.argv, self.log_path = name, [str(a) for a in argv], log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, env=env, cwd=cwd,
                                            preexec_fn=die_with_parent)
        self.pid = self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def running(self):
        return self.process.poll() is None

    def signal(self, signum):
        self.process.send_signal(signum)

    def wait(self, seconds=10):
        """Its exit status (negative: the signal that ended it)."""
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} (pid {self.pid}) did not end within {seconds * PATIENCE} s; "
                         f"its last words: {self.log()[-300:]!r}") from None

    def stop(self, seconds=10):
        """SIGTERM, and its exit status."""
        if self.running():
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        """SIGKILL: what a crash looks like."""
        if self.running():
            self.signal(signal.SIGKILL)
        return self.wait()

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", status.read(), re.M).group(1)) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server(Program):
    """A program that listens on self.port of loopback."""
    port = 0

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"


# --- the story ------------------------------------------------------------------------------------

class Story:
    def __init__(self, name):
        self.name = name
        self.root = tempfile.mkdtemp(prefix=f"vow-{name[:40]}-")
        # nginx's workers and other users' programs must reach what a test puts here.
        os.chmod(self.root, 0o755)
        self.reports = self.collect_reports()
        self.programs = []
        self.undo, self.release = contextlib.ExitStack(), contextlib.ExitStack()
        self.ports = set()

    # files and ports

    def path(self, *parts):
        """A path in the scratch folder; its parent exists."""
        path = os.path.join(self.root, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def dir(self, name):
        """A folder in the scratch folder."""
        os.makedirs(os.path.join(self.root, name), exist_ok=True)
        return os.path.join(self.root, name)

    def write(self, name, text):
        """A file in the scratch folder; returns its path."""
        path = self.path(name)
        with open(path, "wb" if isinstance(text, bytes) else "w") as file:
            file.write(text)
        return path

    def fill_names(self, name):
        """A folder in the scratch folder with as many empty files as its file system takes; for
        one that has few inodes, to stand for a full disk."""
        folder, count = self.dir(name), 0
        with contextlib.suppress(OSError):
            while count < 100_000:
                open(os.path.join(folder, str(count)), "xb").close()
                count += 1
        check(count < 100_000, f"{folder} takes names without end")

    def port(self):
        """A TCP port of loopback that nothing listens on, another one at each call. It is none of
        those that the kernel gives to connections: until a program listens, and while a hub is
        away, one of them would take it."""
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as text:
            ports = range(10000, max(20000, int(text.read().split()[0])))
        while True:
            port = random.choice(ports)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port not in self.ports:
                    self.ports.add(port)
                    return port

    def defer(self, function, *args):
        """Calls function when the test ends, after the programs were ended."""
        self.undo.callback(function, *args)

    def defer_first(self, function, *args):
        """The same before the programs are ended, which would wait for what it undoes."""
        self.release.callback(function, *args)

    # reports of sanitizers

    def collect_reports(self):
        """The folder into which every program from here on reports, with a file a process."""
        folder = self.dir("sanitizer")
        os.chmod(folder, 0o1777)  # of whatever user it is
        for name, options in SANITIZER_OPTIONS.items():
            os.environ[name] = f"{options}:log_path={folder}/report"
        return folder

    def no_reports(self):
        """Fails if there is one. Leaks are reported as a program ends, so all must have ended."""
        equal(len(os.listdir(self.reports)), 0, "programs that a sanitizer reported")

    # programs

    def program(self, name):
        """The path of a program of ours, built for the mode under test."""
        check(os.access(f"{BUILD}/{name}", os.X_OK), f"{BUILD}/{name} is not built")
        return f"{BUILD}/{name}"

    def start(self, argv0, *args, env=None, cwd=None, name=None, kind=Program):
        """Starts a program and returns it; `env` is added to the environment."""
        name = name or os.path.basename(argv0)
        log = self.path("log", f"{name}.{len(self.programs)}.log")
        program = kind(name, [argv0, *args], log, dict(os.environ, **(env or {})),
                       cwd or self.root)
        self.programs.append(program)
        return program

    def run(self, *argv, seconds=30, env=None, status=0, input=None):
        """Runs a command to its end and returns it (.stdout, .stderr, .returncode). Another exit
        status than `status` fails; status=None allows all."""
        argv = [str(a) for a in argv]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, errors="replace",
                                  timeout=seconds * PATIENCE, input=input, cwd=self.root,
                                  env=dict(os.environ, **(env or {})), check=False,
                                  preexec_fn=die_with_parent)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(argv)} did not end within {seconds * PATIENCE} s") from None
        if status is not None and done.returncode != status:
            fail(f"{' '.join(argv)} ended with {done.returncode}, expected {status}: "
                 f"{(done.stderr or done.stdout)[-300:]!r}")
        return done

    def vow(self, *args, dir=None, hub=None, status=0, seconds=10):
        """What `vow ... -o json` prints, parsed."""
        where = (["--dir", dir] if dir else []) + (["--hub", hub] if hub else [])
        text = self.run(self.program("vow"), *where, *args, "-o", "json", status=status,
                        seconds=seconds).stdout
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(f"vow {' '.join(args)} printed no JSON: {text[:200]!r}") from None

    def until(self, function, seconds, what):
        """Waits until function() is true and returns what it returned. `seconds` is what an idle
        machine needs at the very most; a busy one gets PATIENCE times as long. A failed check or a refused
        connection inside it counts as not yet. Fails when a program of the story died meanwhile
        and nothing came of it."""
        seconds *= PATIENCE
        deadline = time.monotonic() + seconds
        pause, last = 0.005, None
        while True:
            try:
                got = function()
                if got:
                    return got
                last = f"last value {got!r}"
            except (Failed, OSError, ValueError, LookupError) as why:
                last = f"last: {why}"
            if time.monotonic() >= deadline:
                break
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, 0.1)
        dead = [f"{p.name} had ended with {p.process.returncode}: {p.log()[-200:]!r}"
                for p in self.programs if not p.running()]
        fail("; ".join([f"no {what} within {seconds} s", last] + dead))

    def remove_folder(self, folder):
        """Removes a folder in which a program may still make files: again, until it is gone."""
        def gone():
            shutil.rmtree(folder, ignore_errors=True)
            return not os.path.exists(folder)
        self.until(gone, 10, f"end of the folder {folder}")

    def http(self, url, data=None, headers=None, seconds=5, method=None):
        """(status, headers, body as bytes); an error status is no exception."""
        request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
        # No proxy of the environment stands between a test and its own loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=seconds * PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def listening(self, port, program=None, seconds=10):
        """Waits until something accepts on loopback's port."""
        def accepted():
            if program and not program.running():
                fail(f"{program.name} ended with {program.process.returncode}: "
                     f"{program.log()[-300:]!r}")
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        self.until(accepted, seconds, f"listener on port {port}")

    def undisturbed(self):
        """For a promise in seconds, which is one of vow and not of a machine that others keep busy:
        what the test starts from here on runs before all else, where we may say so, and the folder
        "run" is in memory, since a disk may be busy as well."""
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            self.defer(os.sched_setscheduler, 0, os.SCHED_OTHER, os.sched_param(0))
        folder = tempfile.mkdtemp(prefix="vow-run-", dir="/dev/shm")
        self.defer(shutil.rmtree, folder, True)
        os.symlink(folder, os.path.join(self.root, "run"))

    def ticks_later(self, ticks=2, **where):
        """Waits until the agent in `dir` or the hub at `hub` made so many ticks more: by the second
        one, whatever was on its way when this was called has been counted."""
        def made():
            return self.vow("status", **where)["ticks_total"]
        enough = made() + ticks
        self.until(lambda: made() >= enough, 10, f"{ticks} more ticks")

    def arrived(self, connection):
        """Waits until the peer's kernel has all that was sent over this socket."""
        def waiting():
            return struct.unpack("i", fcntl.ioctl(connection, SIOCOUTQ, b"\0" * 4))[0]
        self.until(lambda: waiting() == 0, 5, "arrival of what was sent")

    # sample applications, each with its own configuration in the scratch folder

    def nginx(self, locations, http="", workers=1, name="nginx", env=None):
        """nginx on a free port with these location blocks. Its access log has a line a request,
        "$request_id $msec $request_time $status $bytes_sent $method $uri", at .access_log; files
        below .www are served by `root`. The server is ready when this returns."""
        reason = lacking("nginx")
        if reason:
            skip(reason)
        port, base = self.port(), self.dir(name)
        for folder in ("tmp", "www"):
            os.makedirs(f"{base}/{folder}", exist_ok=True)
        user = "user root;" if os.geteuid() == 0 else ""
        config = self.write(f"{name}/nginx.conf", f"""
{user}
daemon off;
worker_processes {workers};
pid {base}/nginx.pid;
error_log {base}/error.log warn;
events {{ worker_connections 2048; }}
http {{
	log_format story '$request_id $msec $request_time $status $bytes_sent $request_method $uri';
	access_log {base}/access.log story;
	client_body_temp_path {base}/tmp/body;
	proxy_temp_path {base}/tmp/proxy;
	fastcgi_temp_path {base}/tmp/fastcgi;
	uwsgi_temp_path {base}/tmp/uwsgi;
	scgi_temp_path {base}/tmp/scgi;
	sendfile on;
	keepalive_requests 1000000000;
	{http}
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		root {base}/www;
		{locations}
	}}
}}
""")
        server = self.start(command_path("nginx"), "-p", base, "-c", config, "-e",
                            f"{base}/error.log", env=env, name=name, kind=Server)
        server.port, server.base, server.www = port, base, f"{base}/www"
        server.access_log = f"{base}/access.log"
        self.listening(port, server)
        return server

    def node(self, script, *args, env=None, name="node"):
        """node running the text `script`, which must listen on process.env.PORT of loopback."""
        reason = lacking("node")
        if reason:
            skip(reason)
        port = self.port()
        file = self.write(f"{name}.{len(self.programs)}.js", script)
        server = self.start(command_path("node"), file, *args, name=name, kind=Server,
                            env=dict(env or {}, PORT=str(port)))
        server.port = port
        self.listening(port, server)
        return server

    def wrk(self, url, connections=4, seconds=1, threads=1, headers=None, script=None):
        """Load for whole seconds; returns {requests, rate, errors (socket errors and time-outs),
        not_2xx}. errors and requests are wrk's view: what is under way at its end it does not
        count."""
        reason = lacking("wrk")
        if reason:
            skip(reason)
        argv = [command_path("wrk"), "-t", threads, "-c", connections, "-d", f"{seconds}s"]
        for key, value in (headers or {}).items():
            argv += ["-H", f"{key}: {value}"]
        if script:
            argv += ["-s", self.write("wrk.lua", script)]
        text = self.run(*argv, url, seconds=seconds + 20).stdout
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
                           text)
        other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        return {"requests": int(re.search(r"(\d+) requests in", text).group(1)),
                "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
                "errors": sum(map(int, errors.groups())) if errors else 0,
                "not_2xx": int(other.group(1)) if other else 0}

    # the end

    def end(self):
        """Ends by pid all that still runs, the last started first."""
        self.release.close()
        for program in reversed(self.programs):
            if program.running():
                program.signal(signal.SIGTERM)
        deadline = time.monotonic() + 5 * PATIENCE
        for program in reversed(self.programs):
            try:
                program.process.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()
        self.undo.close()

    def remove(self):
        """Removes the folder."""
        if os.environ.get("VOW_KEEP"):
            print(f"# kept {self.root}")
        else:
            shutil.rmtree(self.root, ignore_errors=True)

    def logs(self):
        """What its programs said last, for the report of a failure."""
        for program in self.programs:
            state = "runs" if program.running() else f"ended with {program.process.returncode}"
            print(f"# {program.name} (pid {program.pid}, {state}): {' '.join(program.argv)}")
            for line in program.log().splitlines()[-15:]:
                print(f"#   {line}")
        for name in os.listdir(self.reports):
            print(f"# {name}:")
            with open(f"{self.reports}/{name}", encoding="utf-8", errors="replace") as report:
                for line in report.read().splitlines()[:40]:
                    print(f"#   {line}")


def place_of(why):
    """The line of the test that an exception came through: "line 12: "; "" when it was a need that
    failed, before the test's first line."""
    lines = [f.lineno for f in traceback.extract_tb(why.__traceback__)
             if os.path.dirname(os.path.abspath(f.filename)) == os.path.dirname(__file__)
             and f.filename != __file__]
    return f"line {lines[-1]}: " if lines else ""


def tell(suite, function):
    """Runs one test; False when it failed."""
    name = f"{suite}.{function.__name__}"
    story = Story(function.__name__)
    try:
        try:
            function(story)
            verdict = f"ok {name}"
        except Skipped as reason:
            verdict = f"skip {name} - {reason}"
        story.end()
        story.no_reports()
        print(verdict)
        return True
    except Failed as why:
        print(f"not ok {name} - {place_of(why)}{' '.join(str(why).split())}")
        story.logs()
        return False
    except SystemExit as why:
        # The runner's limit, which counts it, or a person: where it stood is what is looked for.
        story.logs()
        print(f"# {place_of(why)}{name} was ended here from outside")
        raise
    except Exception as why:  # a bug of the test itself, shown with its trace
        print(f"not ok {name} - {type(why).__name__}: {' '.join(str(why).split())}")
        story.logs()
        print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
        return False
    finally:
        story.end()
        story.remove()
        sys.stdout.flush()


def main(suite):
    """Runs the tests of the calling file and exits."""
    def terminated(signum, frame):
        # Unwinds through tell(), so that the story ends its programs.
        raise SystemExit(128 + signum)
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGINT, terminated)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = [f for f in TESTS if wanted in f.__name__ and not tell(suite, f)]
    sys.exit(1 if failed else 0)
