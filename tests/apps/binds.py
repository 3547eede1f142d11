"""A program that binds its port by itself and knows nothing of updates. Arguments are its faults."""

import http.server
import json
import os
import signal
import socket
import sys
import threading
import time

VERSION = "1"
FAULTS = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        told = {"version": VERSION, "pid": os.getpid(), "blocking": self.server.waits}
        body = json.dumps({**told, "environment": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("X-Version", VERSION)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    address_family = socket.AF_INET6 if "v6" in FAULTS else socket.AF_INET

    def server_bind(self) -> None:
        self.socket.setblocking("waits" not in FAULTS)
        super().server_bind()

    def server_activate(self) -> None:
        super().server_activate()
        # Looked at once: requests that are still answered after the end of accepting have no listening socket to ask.
        self.waits = os.get_blocking(self.fileno())


def main() -> None:
    if "quits" in FAULTS:
        print("nothing to do")
        sys.exit(0)
    if "dies" in FAULTS:
        sys.exit("no database")
    if "idle" in FAULTS:
        signal.pause()
    while "warms" in FAULTS and time.process_time() < 1.6:
        pass
    server = Server(("::" if "v6" in FAULTS else "127.0.0.1", int(os.environ["PORT"])), Handler)
    number = signal.SIGINT if "interrupt" in FAULTS else signal.SIGTERM
    signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    if "slow" in FAULTS:
        time.sleep(0.5)
    server.serve_forever(0.05)
    server.server_close()


main()
