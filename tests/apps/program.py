"""A program for ``midair run -- …``: no framework, plain sockets. Its arguments say what is wrong with it.

It serves what it inherits, says READY=1 and ends at SIGTERM, unless it is told otherwise:

    silent  never says READY=1          waits  says it once somebody writes to the pipe ``go``
    dies    exits with 3 at once        deaf    ignores SIGTERM
    nonblocking, shuts  set O_NONBLOCK on, shut down, what it inherits
    nonblocking-later   sets it once it was asked for /nonblocking
    parent  leaves a child behind       deaf-child  … which ignores SIGTERM
    private answers /health on port HEALTH_PORT, with HEALTH_STATUS
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading

VERSION = "0"
FAULTS = set(sys.argv[1:])
FIRST_FD = 3
SHOWN = (
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "MIDAIR_VERSION",
    "MIDAIR_HANDOVER",
)
CHILD = """
import signal, sys
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("child", flush=True)
signal.pause()
"""


def main():
    print(f"version {VERSION} starts", flush=True)
    print(json.dumps({"level": "warning", "message": "to stderr"}), file=sys.stderr, flush=True)
    if "dies" in FAULTS:
        print("no such table: orders", file=sys.stderr)
        sys.exit(3)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in FAULTS else lambda *_: os._exit(0))
    if FAULTS & {"parent", "deaf-child"}:
        subprocess.Popen([sys.executable, "-c", CHILD, "deaf" if "deaf-child" in FAULTS else ""])
    inherited = [socket.socket(fileno=FIRST_FD + number) for number in range(int(os.environ["LISTEN_FDS"]))]
    for listening in inherited:
        misuse(listening)
    if "private" in FAULTS:
        serve_health()
    if "waits" in FAULTS:
        with open("go") as pipe:
            pipe.read()
    if "silent" not in FAULTS:
        say("READY=1", f"STATUS=version {VERSION} serves")
    for listening in inherited:
        threading.Thread(target=serve, args=(listening, 200), daemon=True).start()
    while True:
        signal.pause()


def misuse(listening):
    if "nonblocking" in FAULTS:
        fcntl.fcntl(listening, fcntl.F_SETFL, fcntl.fcntl(listening, fcntl.F_GETFL) | os.O_NONBLOCK)
    if "shuts" in FAULTS:
        listening.shutdown(socket.SHUT_RDWR)


def serve_health():
    private = socket.socket()
    private.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    private.bind(("127.0.0.1", int(os.environ["HEALTH_PORT"])))
    private.listen()
    threading.Thread(target=serve, args=(private, int(os.environ["HEALTH_STATUS"])), daemon=True).start()


def say(*lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto("\n".join(lines).encode(), os.environ["NOTIFY_SOCKET"])


def serve(listening, status):
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            threading.Event().wait(0.01)  # somebody made it non-blocking: poll, or nobody would be answered
            continue
        except OSError:
            threading.Event().wait(0.01)  # shut down; it may listen again
            continue
        with connection:
            answer(connection, status)


def answer(connection, status):
    connection.settimeout(5)  # of this connection alone
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            return
        head += data
    body = json.dumps(about()).encode()
    connection.sendall(b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
    if head.startswith(b"GET /nonblocking ") and "nonblocking-later" in FAULTS:
        os.set_blocking(FIRST_FD, False)


def about():
    return {
        "version": VERSION,
        "pid": os.getpid(),
        "slot": os.environ["MIDAIR_SLOT"],
        "generation": os.environ["MIDAIR_GENERATION"],
        "environment": {name: os.environ[name] for name in SHOWN if name in os.environ},
        "blocking": [
            not fcntl.fcntl(FIRST_FD + number, fcntl.F_GETFL) & os.O_NONBLOCK
            for number in range(int(os.environ["LISTEN_FDS"]))
        ],
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
    }


main()
