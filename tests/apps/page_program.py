"""A program that serves its own pages, with midair's line in its template: it takes listening sockets as systemd passes them."""

import http.server
import os
import signal
import socket

VERSION = "1"
PAGE = (
    f"<!doctype html><html><head>{os.environ.get('MIDAIR_DEV_SCRIPT', '')}<title>program {VERSION}</title></head><p>hi"
)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(PAGE.encode())

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
server.serve_forever()
