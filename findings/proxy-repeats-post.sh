#!/usr/bin/env bash
# Found: through an HTTP proxy, urllib3 sends a POST again that the server has already taken, although POST isn't
# among the methods that it may repeat and `read=0` forbids to repeat what was sent. Without a proxy it doesn't.
#
# Versions: urllib3 2.8.0, requests 2.34.2 (trustme 1.2.1 makes the certificate).
#
# Source: the docstring of urllib3.util.Retry says that only methods "considered to be idempotent" are retried by
# default (`allowed_methods`), and that `read` is for errors after the request was sent. The source says why it isn't
# so: http.client closes the connection when the peer hangs up instead of answering; HTTPConnection.close() resets
# `_has_connected_to_proxy`; HTTPConnectionPool.urlopen() then takes the error for one of connecting to the proxy and
# wraps it in ProxyError; Retry.increment() files that under "other" errors, for which the method isn't looked at.
#
# Why a good guess is wrong: ProxyError ("Unable to connect to proxy") reads as "nothing was sent, repeat it safely".
# Whom it hurts: who posts hours, payments or webhooks from a network with an outgoing proxy. A server that closes the
# connection after it has booked the request (a restart, a worker that was killed) books it up to three more times
# with urllib3's own defaults. With requests' default (no retries) the exception alone misleads.
# The way out: Retry(other=0), or no retries at all, and a key by which the server recognises a repeat.
#
# Output seen:
#   requests, direct:           ConnectionError, the server got 1 POST
#   requests, through a tunnel: ProxyError, the server got 1 POST
#   urllib3, direct, default retries:           ProtocolError, the server got 1 POST
#   urllib3, through a tunnel, default retries: MaxRetryError, the server got 4 POSTs
#   urllib3, through a tunnel, read=0:          MaxRetryError, the server got 3 POSTs
#   urllib3, through a tunnel, other=0:         MaxRetryError, the server got 1 POST
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check urllib3==2.8.0 requests==2.34.2 trustme==1.2.1
cat >"$work/finding.py" <<'PYTHON'
import socket
import ssl
import sys
import threading

import requests
import trustme
import urllib3

authority, received = trustme.CA(), []
authority.cert_pem.write_to_path("ca.pem")


def listen(handle):
    """The port of a server that runs `handle` for each connection, in a thread."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            threading.Thread(target=handle, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def take_and_hang_up(plain):
    """A server that reads the whole request, and ends before it answers."""
    with context.wrap_socket(plain, server_side=True) as connection:
        request = b""
        while b"hours" not in request:
            request += connection.recv(65536)
        received.append(request)


def tunnel(client):
    """A proxy as it should be: it connects, says so, and passes bytes on in both directions."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(65536)
    upstream = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=copy, args=(client, upstream), daemon=True).start()
    copy(upstream, client)


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def posts(label, call):
    before = len(received)
    try:
        call()
    except Exception as problem:
        count = len(received) - before
        print(f"{label}: {type(problem).__name__}, the server got {count} POST{'s' * (count > 1)}")
        return type(problem).__name__, count
    sys.exit("the call had an answer")


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(context)
port = listen(take_and_hang_up)
url, body = f"https://localhost:{port}/usage", {"json": {"hours": 1}}
proxy = f"http://127.0.0.1:{listen(tunnel)}"
direct, tunnelled = urllib3.PoolManager(ca_certs="ca.pem"), urllib3.ProxyManager(proxy, ca_certs="ca.pem")


def ask(manager, **retries):
    manager.request("POST", url, timeout=10, **body, **({"retries": urllib3.Retry(**retries)} if retries else {}))


session = requests.Session()
session.trust_env = False
session.verify = "ca.pem"
seen = [
    posts("requests, direct", lambda: session.post(url, timeout=10, **body)),
    posts("requests, through a tunnel", lambda: session.post(url, timeout=10, proxies={"https": proxy}, **body)),
    posts("urllib3, direct, default retries", lambda: ask(direct)),
    posts("urllib3, through a tunnel, default retries", lambda: ask(tunnelled)),
    posts("urllib3, through a tunnel, read=0", lambda: ask(tunnelled, total=2, connect=2, read=0)),
    posts("urllib3, through a tunnel, other=0", lambda: ask(tunnelled, total=2, connect=2, read=0, other=0)),
]
found = ["ConnectionError", "ProxyError", "ProtocolError", "MaxRetryError", "MaxRetryError", "MaxRetryError"]
if seen != list(zip(found, [1, 1, 1, 4, 3, 1])):
    sys.exit("this has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
