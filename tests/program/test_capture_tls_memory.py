#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests within TLS of programs that hand the library bytes in memory and move them on their own,
Node and asyncio: each with its route and status, at the end that is probed."""
import json
import signal

from capture_tls import *

# What is asked, in this order, on three connections; the path says how long the answer is. Node 20
# breaks off a connection ("Parse Error: Paused") on which a request comes while it has more than 16 KiB
# of an answer still to send.
ASKED = [("POST" if n % 4 == 1 else "GET", f"/{(3, 12_000, 200)[n % 3]}") for n in range(24)]

CLIENT = """
const https = require('https');
const agent = new https.Agent({keepAlive: true, maxSockets: 3});
const asked = JSON.parse(process.env.ASKED);
process.on('SIGUSR2', () => {
    let open = asked.length;
    for (const [method, path] of asked) {
        const request = https.request({agent, host: '127.0.0.1', port: process.env.TO, method,
            path: path + '?hidden=1', rejectUnauthorized: false}, (response) => {
            response.resume();
            response.on('end', () => { if (!--open) { agent.destroy(); console.log('done'); } });
        });
        request.end(method == 'POST' ? 'body'.repeat(9000) : undefined);
    }
});
setInterval(() => {}, 1000);
console.log('waits');
"""

ASYNCIO_SERVER = """
import asyncio, os, ssl

async def serve(reader, writer):
    while line := await reader.readline():
        length = 0
        while (field := await reader.readline()) != b"\\r\\n":
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        await reader.readexactly(length)
        size = int(line.split()[1][1:].partition(b"?")[0])
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % size + b"x" * size)
        await writer.drain()
    writer.close()

async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.environ["CRT"], os.environ["KEY"])
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]), ssl=tls)
    await server.serve_forever()

asyncio.run(main())
"""

ASYNCIO_CLIENT = """
import asyncio, json, os, signal, ssl

async def ask(tls, asked):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["TO"]), ssl=tls)
    for method, path in asked:
        body = b"body" * 9000 if method == "POST" else b""
        writer.write(b"%s %s?hidden=1 HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n"
                     % (method.encode(), path.encode(), len(body)) + body)
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
        await reader.readexactly(length)
    writer.close()

async def main():
    asked = json.loads(os.environ["ASKED"])
    tls = ssl._create_unverified_context()
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, told.set)
    print("waits", flush=True)
    await told.wait()
    await asyncio.gather(*(ask(tls, asked[n::3]) for n in range(3)))
    print("done", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def asyncio_server(s):
    key, crt = certificate(s)
    port = s.port()
    server = s.start(command_path("python3"), s.write("server.py", ASYNCIO_SERVER),
                     name="asyncio_server", env={"KEY": key, "CRT": crt, "PORT": str(port)})
    s.listening(port, server)
    server.port = port
    return server


def ask_all(port):
    """Asks all from here, where nothing is probed."""
    connections = [connect(port) for _ in range(3)]
    for n, (method, path) in enumerate(ASKED):
        body = b"body" * 9000 if method == "POST" else None
        equal(len(ask(connections[n % 3], f"{path}?hidden=1", method=method, body=body)),
              int(path[1:]), "bytes of an answer")
    for connection in connections:
        connection.close()


def check_pairs(capture, role):
    """The probed end has all, with what TLS hides; the other has turns."""
    other = {"server": "client", "client": "server"}[role]
    pairs, turns = capture.wait(len(ASKED), role), capture.wait(len(ASKED), other)
    capture.stop()
    equal(sorted((p.method, p.path, p.status) for p in pairs),
          sorted((method, path, 200) for method, path in ASKED), "method, path and status")
    equal({(p.outcome, p.flags) for p in pairs}, {("complete", 0)}, "outcomes and flags")
    for p in pairs:
        at_least(p.response_bytes, int(p.path[1:]), "bytes of a response")
        at_least(p.request_bytes, 36_000 if p.method == "POST" else 20, "bytes of a request")
    equal({p.flags for p in turns}, {TLS}, "flags of the end that is not probed")
    check("hidden" not in capture.program.log(), "a query string left the kernel")


def client_of(s, port, argv0, file):
    """A client that asks all when it is told to by SIGUSR2."""
    client = s.start(command_path(argv0), file, name=f"{argv0}_client",
                     env={"TO": str(port), "ASKED": json.dumps(ASKED)})
    s.until(lambda: "waits" in client.log(), 20, "client")
    return client


def served_by(s, tier, server):
    capture = Capture(s, server.port, ROOMY, tier=tier, traced=calls_of(server.pid))
    ask_all(server.port)
    check_pairs(capture, "server")


def asked_by(s, tier, server, client):
    capture = Capture(s, server.port, ROOMY, tier=tier, traced=calls_of(client.pid))
    client.signal(signal.SIGUSR2)
    s.until(lambda: "done" in client.log(), 20, "answers")
    check_pairs(capture, "client")


@test_tiers("node", "openssl")
def a_server_in_node_has_routes(s, tier):
    served_by(s, tier, node(s))


@test_tiers("node", "openssl")
def a_client_in_node_has_routes(s, tier):
    server = node(s)
    client = client_of(s, server.port, "node", s.write("client.js", CLIENT))
    asked_by(s, tier, server, client)


@test_tiers("openssl")
def a_server_in_asyncio_has_routes(s, tier):
    served_by(s, tier, asyncio_server(s))


@test_tiers("openssl")
def a_client_in_asyncio_has_routes(s, tier):
    server = asyncio_server(s)
    client = client_of(s, server.port, "python3", s.write("client.py", ASYNCIO_CLIENT))
    asked_by(s, tier, server, client)


main("capture_tls_memory")
