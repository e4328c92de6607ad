#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the programs have in common: installed whole, one word for more log, and no network in those
that measure."""
import glob
import re
import signal

from story import *

DAEMONS = ("vowd", "vow-export", "vow-hub")
HELPERS = ("vow-fleet", "vow-keep")

# Found in what a program imports, each would be network code. inet_ntop() only makes text of what the
# kernel tells of a connection.
NETWORK_NAMES = re.compile(
    r"(getaddrinfo|getnameinfo|gethostby\w+|res_\w+|if_nameindex"
    r"|curl_\w+|grpc_\w+|gpr_\w+|SSL_\w+|TLS_\w+|BIO_\w+|MHD_\w+"
    r"|uv_(tcp|udp|getaddrinfo|getnameinfo|ip4|ip6|inet)\w*)(@.*)?$")
NETWORK_LIBRARIES = re.compile(r"lib(curl|grpc|gpr|ssl|gnutls|microhttpd|nghttp2|cares|resolv)\b")


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(path, name), folder)
                  for path, _, names in os.walk(folder) for name in names)


def sources():
    """Each file of the tree that is no build output, with its time and size."""
    seen = {}
    for path, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in ("build", ".git", "node_modules")]
        for name in names:
            stat = os.lstat(os.path.join(path, name))
            seen[os.path.join(path, name)] = stat.st_mtime_ns, stat.st_size
    return seen


def install(s):
    """Installs everything as a package does; returns the folder that stands for the root."""
    root = s.dir("root")
    before = sources()
    s.run("make", "-s", "-C", ROOT, "install", f"MODE={MODE}", f"DESTDIR={root}", "PREFIX=/vow",
          seconds=120)
    equal(sources(), before, "files of the source tree")
    check(not os.path.exists("/vow"), "PREFIX itself was written to, not DESTDIR")
    equal(os.listdir(root), ["vow"], "what stands beside PREFIX in DESTDIR")
    return root


def documents():
    patterns = ("LICENSES/*", "docs/*.md", "docs/*.png", "docs/adr/*.md")
    files = [os.path.relpath(f, ROOT) for p in patterns for f in glob.glob(f"{ROOT}/{p}")]
    return ["LICENSE", "README.md", "deploy/vow.yaml.example", *files]


@test
def links_of_installed_documents_lead_to_installed_files(s):
    files = documents()
    there = {*files, *map(os.path.dirname, files)}
    for name in (name for name in files if name.endswith(".md")):
        with open(f"{ROOT}/{name}", encoding="utf-8") as text:
            for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text.read()):
                target = os.path.normpath(os.path.join(os.path.dirname(name), link))
                check(target in there, f"{name} leads to {target}, which is not installed")


@test
@needs("make")
def an_installation_is_complete_and_writes_nothing_else(s):
    root = install(s)
    equal(files_below(f"{root}/vow"), sorted([
        "bin/vow", *(f"lib/vow/{h}" for h in HELPERS), *(f"sbin/{d}" for d in DAEMONS),
        "include/vow/shm.h", "include/vow/vow.h",
        "lib/libvow.a", "lib/libvow.so", "lib/libvow.so.0", "lib/pkgconfig/vow.pc",
        "share/man/man1/vow.1",
        *(f"share/man/man8/{d}.8" for d in (*DAEMONS, *HELPERS)),
        "share/bash-completion/completions/vow",
        *(f"share/doc/vow/{f}" for f in documents()),
    ]), "files installed")
    for path in files_below(f"{root}/vow"):
        mode = os.stat(f"{root}/vow/{path}").st_mode & 0o777
        program = re.match(r"(s?bin|lib/vow)/|lib/libvow.so", path)
        equal(oct(mode), oct(0o755 if program else 0o644), f"mode of {path}")


@test
@needs("make", "bash", "pkg-config")
def what_was_installed_works_from_there(s):
    root = install(s)
    version = re.search(r'VOW_VERSION "(.*)"', open(f"{ROOT}/lib/base/version.h").read()).group(1)
    pages = {os.path.basename(p)[:-2]: open(p).read()
             for p in glob.glob(f"{root}/vow/share/man/*/*")}
    for path in (*(f"sbin/{d}" for d in DAEMONS), "bin/vow",
                 *(f"lib/vow/{h}" for h in HELPERS)):
        program, name = f"{root}/vow/{path}", os.path.basename(path)
        equal(s.run(program, "--version").stdout.strip(), f"{name} {version}", "version")
        text = s.run(program, "--help").stdout
        check(text.startswith(f"{name} - ") and f"Usage: {name} " in text, f"help: {text[:200]!r}")
        options = set(re.findall(r"^ .*?(--[a-z-]+)", text, re.M))
        check({"--help", "--version", "--man"} <= options, f"options of {name}: {options}")
        page = pages[name].replace("\\-", "-")
        check(page.startswith(f'.TH "{name}" '), f"head of the manual: {page[:60]!r}")
        equal([o for o in options if o not in page], [], f"options that the manual of {name} lacks")
    vow = f"{root}/vow/bin/vow"
    s.run(vow, "config", "check", f"{root}/vow/share/doc/vow/deploy/vow.yaml.example")
    # The helper that speaks to hubs is found beside it, not where it was built.
    done = s.run(vow, "--hub", f"127.0.0.1:{s.port()}", "status", status=3)
    check("vow-hub" in done.stderr, f"a hub that is not there: {done.stderr!r}")
    complete = f". {root}/vow/share/bash-completion/completions/vow; COMP_WORDS=({vow} ro); " \
               "COMP_CWORD=1; _vow; echo ${COMPREPLY[@]}"
    equal(s.run("bash", "-c", complete).stdout.strip(), "routes", "completion of 'vow ro'")
    equal(s.run("pkg-config", "--modversion", "vow",
                env={"PKG_CONFIG_PATH": f"{root}/vow/lib/pkgconfig"}).stdout.strip(), version,
          "version that pkg-config tells")


@test
@needs("root", "setpriv", "vowd", "vow-export", "vow-hub")
def who_may_not_write_a_folder_is_told_what_to_do(s):
    there, lacking = s.dir("there"), s.path("lacking")
    for name in DAEMONS:
        for folder in (there, lacking):
            done = s.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                         s.program(name), "--dir", folder, status=1)
            check("Permission denied" in done.stderr and "run as root, or choose" in done.stderr,
                  f"{name} said {done.stderr!r}")
    equal((os.listdir(there), os.path.exists(lacking)), ([], False), "what was left")


@test
@needs("vowd", "vow", "vow-export", "vow-hub")
def verbose_is_one_word_for_every_daemon_and_logs_more(s):
    def line_up(name, *more):
        listen, http = s.port(), s.port()
        s.write(f"{name}/vow.yaml", "capture: {http: false, host: false}\n")
        hub = s.start(s.program("vow-hub"), "--dir", s.dir(f"{name}-hub"), "--listen",
                      f"127.0.0.1:{listen}", "--http", f"127.0.0.1:{http}", *more)
        s.listening(listen, hub)
        vowd = s.start(s.program("vowd"), "--dir", s.dir(name), *more)
        export = s.start(s.program("vow-export"), "--dir", s.dir(name), "--hub",
                         f"127.0.0.1:{listen}", *more)
        s.until(lambda: s.vow("status", dir=s.dir(name))["journal"]["acked_seq"] > 0, 20,
                "record acknowledged")
        return vowd, export, hub

    for program, word in zip(line_up("loud", "--verbose"), ("record", "acknowledged", "connects")):
        s.until(lambda: re.search(rf" debug .*{word}", program.log()), 5,
                f"'{word}' in the log of {program.name}")
    for program in line_up("quiet"):
        check(" debug " not in program.log(), f"{program.name} logs as much without --verbose")
    for name in DAEMONS:
        check("-v, --verbose" in s.run(s.program(name), "--help").stdout, f"help of {name}")


@test
@needs("nm", "ldd", "vowd", "vow")
def what_measures_links_no_network_code(s):
    for name in ("vowd", "vow", "libvow.so"):
        imported = [line.split()[-1] for line in
                    s.run("nm", "-D", "--undefined-only", f"{BUILD}/{name}").stdout.splitlines()]
        at_least(len(imported), 10, f"names that {name} imports")
        equal([n for n in imported if NETWORK_NAMES.match(n)], [], f"network code in {name}")
        loaded = s.run("ldd", f"{BUILD}/{name}").stdout
        equal(NETWORK_LIBRARIES.findall(loaded), [], f"network libraries under {name}")
    # The same look finds it where it is.
    imported = s.run("nm", "-D", "--undefined-only", s.program("vow-export")).stdout.split()
    check(any(NETWORK_NAMES.match(n) for n in imported), "vow-export imports network code")
    check(NETWORK_LIBRARIES.search(s.run("ldd", s.program("vow-export")).stdout), "and its library")


@test
@needs("vowd", "vow")
def what_measures_opens_no_socket_to_any_network(s):
    """Each program runs where a socket that is neither local nor to the kernel kills it."""
    guard = s.program("tests/unix_only")
    done = s.run(guard, "/usr/bin/env", "python3", "-c", "import socket; socket.socket()",
                 status=None)
    equal(done.returncode, -signal.SIGSYS, "end of a program that opens one")

    run = s.dir("run")
    vowd = s.start(guard, s.program("vowd"), "--dir", run, name="vowd")
    s.until(lambda: s.vow("status", dir=run), 10, "answer of vowd")
    app = s.start(guard, s.program("tests/observe"), "shop", "/pay", "2", "20000", "10000",
                  "1000000", "2000000", env={"VOW_DIR": run}, name="observe")
    if not lacking("nginx") and not lacking("wrk"):
        s.wrk(s.nginx("location / { return 200 'ok'; }").url("/"), connections=4, seconds=2)
    equal(app.wait(60), 0, "status of the application")

    def counted():
        return sum(r["count"] for r in s.vow("routes", "--total", "--service", "shop", dir=run))
    s.until(lambda: counted() == 40000, 10, "40000 observations")
    vowd.signal(signal.SIGHUP)
    s.until(lambda: "configuration read again" in vowd.log(), 5, "reload")
    for question in ("status", "routes", "deliveries", "slo", "alerts", "scale", "doctor"):
        done = s.run(guard, s.program("vow"), "--dir", run, question, status=None)
        check(done.returncode in (0, 1), f"vow {question} ended with {done.returncode}")
    equal(vowd.stop(), 0, "status of vowd")


main("programs")
