#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Between hosts, agent and hub know each other by certificates of one authority."""
from story import *


def authority(s, name):
    s.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
          "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", s.path(f"{name}.key"),
          "-out", s.path(f"{name}.crt"))


def certificate(s, ca, name):
    """A certificate for `name` of loopback, signed by the authority."""
    s.write(f"{name}.ext", "subjectAltName=IP:127.0.0.1")
    s.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
          "-subj", f"/CN={name}", "-keyout", s.path(f"{name}.key.new"), "-out",
          s.path(f"{name}.csr"))
    s.run("openssl", "x509", "-req", "-days", "2", "-in", s.path(f"{name}.csr"), "-CA",
          s.path(f"{ca}.crt"), "-CAkey", s.path(f"{ca}.key"), "-CAcreateserial", "-extfile",
          s.path(f"{name}.ext"), "-out", s.path(f"{name}.crt.new"))
    for end in ("key", "crt"):
        os.rename(s.path(f"{name}.{end}.new"), s.path(f"{name}.{end}"))


def configuration(s, folder, ca, name):
    s.write(f"{folder}/vow.yaml",
            f"tls:\n  ca: {s.path(f'{ca}.crt')}\n  certificate: {s.path(f'{name}.crt')}\n"
            f"  key: {s.path(f'{name}.key')}\n")


def start_hub(s):
    listen, http = s.port(), s.port()
    hub = s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", f"127.0.0.1:{listen}",
                  "--http", f"127.0.0.1:{http}")
    s.listening(listen, hub)
    s.listening(http, hub)
    return listen, http


def export(s, run, listen):
    s.run(s.program("tests/journal_feed"), s.dir(run), 10, 0, 2, 5)
    return s.start(s.program("vow-export"), "--dir", s.dir(run), "--hub", f"127.0.0.1:{listen}")


def count(s, http):
    return sum(row["count"] for row in s.vow("routes", "--total", hub=f"127.0.0.1:{http}"))


@test
@needs("vow-export", "vow-hub", "vow", "openssl")
def agent_of_the_same_authority_is_taken_and_others_are_not(s):
    authority(s, "ours")
    authority(s, "theirs")
    for ca, name in (("ours", "hub"), ("ours", "agent"), ("theirs", "stranger")):
        certificate(s, ca, name)
    configuration(s, "hub", "ours", "hub")
    configuration(s, "a", "ours", "agent")
    configuration(s, "b", "ours", "stranger")  # trusts the hub, which does not trust it
    configuration(s, "c", "theirs", "agent")  # would be trusted, but does not trust the hub
    listen, http = start_hub(s)
    strangers = [export(s, run, listen) for run in ("b", "c", "plain")]
    for stranger in strangers:
        s.until(lambda: "trying again" in stranger.log(), 15, "refusal")
    export(s, "a", listen)
    s.until(lambda: count(s, http) == 100, 15, "what the agent measured")
    for stranger in strangers:
        check("connected" not in stranger.log(), f"a stranger got in: {stranger.log()!r}")
        check(stranger.running(), "vow-export gave up")


@test
@needs("vow-export", "vow-hub", "vow", "openssl")
def certificate_of_another_agent_does_not_send_in_its_name(s):
    authority(s, "ca")
    for name in ("hub", "agent", "thief"):
        certificate(s, "ca", name)
    for folder, name in (("hub", "hub"), ("a", "agent"), ("b", "thief")):
        configuration(s, folder, "ca", name)
    listen, http = start_hub(s)
    export(s, "a", listen)
    s.until(lambda: count(s, http) == 100, 15, "what the agent measured")
    with open(s.path("a/agent.id"), "rb") as own, open(s.path("b/agent.id"), "wb") as stolen:
        stolen.write(own.read())
    thief = export(s, "b", listen)
    s.until(lambda: "belongs to the certificate of 'agent', and 'thief' came with it"
            in thief.log(), 15, "refusal")
    equal(count(s, http), 100, "events of the fleet")


@test
@needs("vow-export", "vow-hub", "vow", "openssl")
def renewed_certificates_serve_without_a_restart(s):
    authority(s, "before")
    for name in ("hub", "agent"):
        certificate(s, "before", name)
    s.write("ca.crt", open(s.path("before.crt"), encoding="ascii").read())
    configuration(s, "hub", "ca", "hub")
    configuration(s, "a", "ca", "agent")
    listen, http = start_hub(s)
    first = export(s, "a", listen)
    s.until(lambda: count(s, http) == 100, 15, "what was measured before")

    authority(s, "after")
    for name in ("hub", "agent"):
        certificate(s, "after", name)
    s.write("ca.crt", open(s.path("after.crt"), encoding="ascii").read())
    first.stop()
    again = export(s, "a", listen)  # only a hub that has read its files anew is trusted
    s.until(lambda: count(s, http) == 200, 15, "what was measured after")
    check("connected" in again.log(), "connection with the new certificates")


main("export_tls")
