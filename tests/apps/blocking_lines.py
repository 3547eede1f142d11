"""A line server of threads and blocking sockets with midair.Upgrader. Each connection has a thread, and 100 KB of state.

``hang`` beside it: whatever this version is to take over, it stops in the middle of that.
"""

import os
import select
import signal
import threading

import midair

VERSION = "0"
PADDING = b"p" * 100_000

upgrader = midair.Upgrader()
threads = []


def begin(connection, count=0, unread=b""):
    thread = threading.Thread(target=serve, args=(connection, count, unread))
    threads.append(thread)
    thread.start()


def serve(connection, count, unread):
    connection.setblocking(True)
    try:
        tries = 0
        while True:
            while b"\n" in unread:
                line, unread = unread.split(b"\n", 1)
                count += 1
                connection.sendall(b"%d v%s %s\n" % (count, VERSION.encode(), line))
            if upgrader.is_leaving:
                tries += 1
                if upgrader.pass_on(connection, state=b"%d\n" % count + unread + PADDING).result() or tries > 100:
                    return
            # Between two looks at whether it is time to leave: a blocking server has no other way.
            if select.select([connection], [], [], 0.05)[0]:
                data = connection.recv(4096)
                if not data:
                    return
                unread += data
    finally:
        connection.close()


@upgrader.on_passed
def take_over(passed):
    if os.path.exists("hang"):
        os.kill(os.getpid(), signal.SIGSTOP)
    if os.path.exists("raise"):
        raise RuntimeError("this version cannot read that")
    count, rest = passed.state.removesuffix(PADDING).split(b"\n", 1)
    begin(passed.socket(), int(count), rest)


def accept(listener):
    while True:
        if select.select([listener], [], [], 0.05)[0]:
            try:
                begin(listener.accept()[0])
            except BlockingIOError:
                pass
        if upgrader.is_leaving:
            return


listener = upgrader.listen("web")
threading.Thread(target=accept, args=(listener,)).start()
upgrader.ready()
upgrader.wait()
while threads:
    threads.pop().join()
