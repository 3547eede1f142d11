"""A container as an engine makes one, without the engine: runc, which is what Docker and Kubernetes start containers with.

    with Container(tmp_path, {"app.py": text}, {"app": "app:app"}) as container:
        assert container.run("midair", "status").code == 0

Process 1 is `midair run`, as a user that no file knows (as OpenShift chooses one), without any capability, under Docker's own
seccomp filter (`docker_seccomp.json`, made of the default profile of moby/profiles, Apache-2.0, for a container without
capabilities), with a root and control groups that can only be read, and shared memory of 64 KiB. Its root holds `/usr` of this
machine and this interpreter; the network is this machine's, the listening socket the test's. Whatever ends the test ends it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.installed import needs, needs_root
from tests.support.processes import Process
from tests.support.toml import Setting, toml
from tests.support.waiting import DidNotHappen, wait_for

ROOT = Path(__file__).parent.parent.parent
FILTER = Path(__file__).with_name("docker_seccomp.json")
NOBODY_KNOWN = 1000650000
"""A uid of a range that OpenShift gives to a project: no name, no home."""
FOLDER = "/srv/shop"
RUNTIME, STATE = "/run/midair/shop", "/var/lib/midair/shop"
START_WITHIN_S = 40.0
END_WITHIN_S = 30.0
COMMAND_WITHIN_S = 40.0
MASKED = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
MIDAIR = (sys.executable, "-m", "midair")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command in the container ended."""

    code: int
    out: str
    err: str


class Container:
    """One container. Entered: it answers (unless ``answers`` is false). Left: nothing of it is there."""

    def __init__(
        self,
        tmp: Path,
        files: Mapping[str, str],
        settings: Mapping[str, Setting],
        *,
        command: Sequence[str] = (*MIDAIR, "run", "--bind", "fd://3"),
        environment: Mapping[str, str] | None = None,
        uid: int = NOBODY_KNOWN,
        is_read_only: bool = True,
        answers: bool = True,
    ) -> None:
        for program in ("runc", "unshare", "setpriv"):
            needs(program)
        needs_root()
        self._code = tmp / "code"
        """The service's folder, from outside: a volume that is mounted at FOLDER."""
        self._code.mkdir()
        self._versions = 0
        self._files: dict[str, str] = {}
        self.publish({**files, "midair.toml": toml({"name": "shop", **settings})})
        self._command, self._uid, self._is_read_only = command, uid, is_read_only
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", **(environment or {})}
        self._answers = answers
        # Not pytest's: a long path, which is no good for what runc makes.
        self._bundle = Path(tempfile.mkdtemp(prefix="midair-"))
        self._log = tmp / "container.log"
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(512)
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.init: Process = Process(0)
        """Process 1, as it is seen from here."""

    def __enter__(self) -> Self:
        _make_root(self._bundle / "root")
        (self._bundle / "config.json").write_text(json.dumps(self._specification()))
        self._process = self._start()
        try:
            self.init = wait_for(self._find_init, START_WITHIN_S, until=lambda init: init.pid > 0, what="process 1")
            if self._answers:
                self._wait_for_an_answer()
        except BaseException:
            print(self.log())
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is not None:
            print(self.log())
        self._end()

    def publish(self, files: Mapping[str, str]) -> None:
        """Change these files as the kubelet does with a ConfigMap: all go into a new folder, which the link ``..data`` then leads
        to; the files themselves are links through that one."""
        self._versions += 1
        self._files |= files
        new = self._code / f"..2026_01_01_{self._versions}"
        new.mkdir()
        for name, text in self._files.items():
            (new / name).write_text(text)
        (self._code / "..data_tmp").symlink_to(new.name)
        (self._code / "..data_tmp").rename(self._code / "..data")
        for name in files:
            if not (self._code / name).is_symlink():
                (self._code / name).symlink_to(f"..data/{name}")

    # --- making -----------------------------------------------------------------------------------------------------

    def _specification(self) -> dict[str, Any]:
        """What runc is told: the words of the OCI runtime specification."""
        return {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": self._uid, "gid": 0},
                "args": list(self._command),
                "env": [f"{name}={value}" for name, value in self._environment.items()],
                "cwd": FOLDER,
                "capabilities": {"bounding": [], "effective": [], "permitted": []},
                "noNewPrivileges": True,
            },
            "root": {"path": "root", "readonly": self._is_read_only},
            "hostname": "shop-0",
            "mounts": list(self._mounts()),
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")],
                "maskedPaths": list(MASKED),
                "readonlyPaths": list(READ_ONLY),
                "seccomp": json.loads(FILTER.read_text()),
            },
        }

    def _mounts(self) -> Iterator[dict[str, Any]]:
        yield {"destination": "/proc", "type": "proc", "source": "proc"}
        for place, *options in (
            ("/dev", "mode=755"),
            ("/dev/shm", "mode=1777", "size=64k"),
            ("/tmp", "mode=1777"),
            (RUNTIME, "mode=700", f"uid={self._uid}"),
            (STATE, "mode=700", f"uid={self._uid}"),
        ):
            yield {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", *options]}
        for place, kind in (("/sys", "sysfs"), ("/sys/fs/cgroup", "cgroup")):
            yield {"destination": place, "type": kind, "source": kind, "options": ["nosuid", "noexec", "nodev", "ro"]}
        for place in dict.fromkeys(("/usr", str(ROOT), sys.base_prefix, sys.prefix)):
            yield {"destination": place, "type": "bind", "source": place, "options": ["rbind", "ro"]}
        yield {"destination": FOLDER, "type": "bind", "source": str(self._code), "options": ["rbind", "ro"]}

    def _start(self) -> subprocess.Popen[bytes]:
        runc = f"exec runc --root {self._bundle}/state run --preserve-fds 1 --bundle {self._bundle} shop"
        fd = self._sock.fileno()
        # In a namespace of processes that ends with this process, however it ends.
        wrapped = ("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*wrapped, "bash", "-c", f"{runc} 3<&{fd}"],  # A plain sh has no descriptors above 9.,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(fd,),
            )
        self._sock.close()
        return process

    def _find_init(self) -> Process:
        """Process 1 of the innermost namespace; the next one out is that of the wrapper."""
        if self._process.poll() is not None:
            raise DidNotHappen(f"the container ended with {self._process.returncode}")
        found = [each for each in Process(self._process.pid).descendants if _numbers(each)[2:] == [1]]
        return found[0] if found and not found[0].command.startswith("runc") else Process(0)

    def _wait_for_an_answer(self) -> None:
        # The kernel keeps this connection until a worker accepts: nothing is polled.
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=START_WITHIN_S)) as connection:
            connection.request("GET", "/")
            connection.getresponse().read()

    # --- in it ------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def get(self, path: str = "/") -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=COMMAND_WITHIN_S)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def run(self, *words: str) -> Ran:
        """As ``docker exec shop …`` does it. ``midair`` is the one under test."""
        line = [*MIDAIR, *words[1:]] if words[0] == "midair" else list(words)
        into = ("nsenter", "--target", str(self._runc().pid), "--pid", "--mount")
        done = subprocess.run(
            [*into, "runc", "--root", f"{self._bundle}/state", "exec", "shop", *line],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _runc(self) -> Process:
        """The first process of the wrapper's namespace."""
        return next(each for each in Process(self._process.pid).children)

    def wait(self) -> int:
        """The container's exit code, once it has ended by itself."""
        return self._process.wait(END_WITHIN_S)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    # --- the end ----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        try:
            if self._process.poll() is None and self.init.pid:
                self.init.kill()
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            shutil.rmtree(self._bundle)


def _make_root(root: Path) -> None:
    """Folders and links as Debian has them; what is in them is mounted. Nobody is in its ``passwd`` but root."""
    for folder in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "var/lib", "srv"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)  # A tmpfs takes the mode of what it is mounted on.
    for folder in ("bin", "lib", "lib64", "sbin"):
        (root / folder).symlink_to(f"usr/{folder}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")


def _numbers(process: Process) -> list[int]:
    """Its number in each namespace that it is in, the outermost first; empty: it is gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return []
    return next(([*map(int, line.split()[1:])] for line in status.splitlines() if line.startswith("NSpid:")), [])
