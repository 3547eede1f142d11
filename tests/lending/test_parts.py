"""What lending is made of: addresses as the kernel has them, the lender's command line, and the filter."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.lending import kernel
from midair.lending.order import Order, read_order
from midair.lending.quiet import Quiet
from midair.lending.sockaddr import Asked, read_sockaddr


def raw_v4(host: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


@given(st.integers(0, 65535))
def test_an_address_is_read_as_the_kernel_has_it(port: int) -> None:
    assert read_sockaddr(raw_v4("10.0.0.7", port)) == Asked(socket.AF_INET, "10.0.0.7", port)
    raw = (
        struct.pack("=H", socket.AF_INET6)
        + struct.pack("!H", port)
        + bytes(4)
        + socket.inet_pton(socket.AF_INET6, "fe80::1")
    )
    assert read_sockaddr(raw + struct.pack("=I", 3)) == Asked(socket.AF_INET6, "fe80::1", port, 3)
    assert read_sockaddr(raw) == Asked(socket.AF_INET6, "fe80::1", port)


@given(st.binary(max_size=140))
def test_any_bytes_are_an_address_or_none(raw: bytes) -> None:
    asked = read_sockaddr(raw)
    assert asked is None or asked.family in (socket.AF_INET, socket.AF_INET6)


def test_what_is_no_internet_address_is_left_to_the_kernel() -> None:
    assert read_sockaddr(struct.pack("=H", socket.AF_UNIX) + b"/run/x.sock\0") is None
    assert read_sockaddr(struct.pack("=H", socket.AF_NETLINK) + bytes(10)) is None
    assert read_sockaddr(raw_v4("10.0.0.7", 80)[:7]) is None


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1).map(tuple),
    st.sampled_from(["TERM", "INT"]),
    st.sampled_from([0.0, 1.0, 0.25]),
    st.booleans(),
)
def test_the_lender_reads_the_order_that_it_was_given(
    command: tuple[str, ...], name: str, quiet_s: float, stays: bool
) -> None:
    order = Order(command, name, quiet_s, stays)
    before, arguments = order.argv()[:4], order.argv()[4:]
    assert before == (sys.executable, "-P", "-m", "midair.lending")
    assert read_order(arguments) == order


def test_an_order_without_a_program_is_none() -> None:
    with pytest.raises(ValueError, match="no program"):
        read_order(["TERM", "0", "ends", "--"])


@pytest.mark.parametrize("known", kernel.MACHINES.values())
def test_the_filter_tells_of_two_calls_of_its_own_processor_and_of_nothing_else(known: kernel.Machine) -> None:
    allowed, told = 0x7FFF0000, 0x7FC00000
    code = [
        struct.unpack_from("=HBBI", kernel.filter_of(known), at) for at in range(0, len(kernel.filter_of(known)), 8)
    ]

    def verdict(arch: int, number: int) -> int:
        """What the kernel's interpreter makes of it."""
        place, value = 0, 0
        while True:
            operation, if_true, if_false, operand = code[place]
            place += 1
            if operation == 0x20:
                value = {0: number, 4: arch}[operand]
            elif operation == 0x15:
                place += if_true if value == operand else if_false
            else:
                return int(operand)

    assert [number for number in range(1000) if verdict(known.arch, number) == told] == [known.bind, known.listen]
    assert {verdict(known.arch ^ 1, number) for number in range(1000)} == {allowed}


@pytest.mark.skipif(kernel.machine() is None, reason="the filter is for Linux on x86-64 and arm64")
def test_a_process_that_is_stopped_goes_on_with_the_answer_it_gets() -> None:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        said = b"nothing"
        try:
            socket.send_fds(theirs, [b"y"], [kernel.stop_at_calls()])
            with socket.socket() as program:
                program.bind(("127.0.0.1", 1))
                said = str(program.getsockname()[1]).encode()
        except OSError as exc:
            said = os.strerror(exc.errno or 0).encode()
        finally:
            theirs.send(said)
            os._exit(0)
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listener:
        _, (heard,), _, _ = socket.recv_fds(ours, 1, 1)
        stopped = kernel.receive(heard)
        assert stopped is not None
        assert (stopped.process, stopped.call) == (pid, "bind")
        asked = read_sockaddr(kernel.memory_of(pid, stopped.address, stopped.length))
        assert asked == Asked(socket.AF_INET, "127.0.0.1", 1)
        with kernel.socket_of(pid, stopped.fd) as its:
            assert its.type == socket.SOCK_STREAM
        kernel.put(heard, stopped, listener.fileno())
        kernel.succeed(heard, stopped)
        assert ours.recv(64) == str(listener.getsockname()[1]).encode()
        os.waitpid(pid, 0)
        os.close(heard)


def test_a_group_is_at_rest_while_nobody_in_it_runs_or_has_run(tmp_path: Path) -> None:
    def process(pid: int, group: int, state: str, ticks: int) -> None:
        (tmp_path / str(pid)).mkdir(exist_ok=True)
        fields = [state, "1", str(group), *["0"] * 8, str(ticks), "0", "0"]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}\n")

    (tmp_path / "self").mkdir()
    (tmp_path / "99").mkdir()
    quiet = Quiet(10, besides=10, since_s=0.0)

    def lasts_s(now_s: float) -> float:
        return quiet.lasts_s(now_s, str(tmp_path))

    process(10, 10, "R", 500)  # Who looks.
    process(11, 10, "S", 20)
    process(12, 77, "R", 900)  # A stranger.
    assert lasts_s(1.0) == 0.0
    assert lasts_s(1.5) == 0.5
    process(11, 10, "S", 21)
    assert lasts_s(2.0) == 1.0
    process(11, 10, "R", 21)
    assert lasts_s(2.5) == 0.0
    process(11, 10, "S", 25)
    assert lasts_s(3.0) == 0.0
    process(13, 10, "D", 0)
    assert lasts_s(3.5) == 0.0
