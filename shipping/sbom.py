"""What midair is built on, as CycloneDX 1.6: ``python -m shipping.sbom`` writes ``shipping/midair.cdx.json``.

Every package that ``pip install midair`` brings on Linux, in the version of the lock with which midair is tested, its licence, and
who needs whom; what only an extra brings is said to be optional. The wheel has it in ``.dist-info/sboms`` (PEP 770). Read from
what is installed here and from ``pyproject.toml``: no network, no date, the same each time. ``--check`` says whether it is stale.

cyclonedx-bom was tried: it lists all that is in an environment, the tests' packages too, so a second one without them would
have to be made each time; and it leaves the choice between several licences to the reader.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import msgspec
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from midair import __version__

ROOT = Path(__file__).parent.parent
FILE = Path(__file__).parent / "midair.cdx.json"
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""For markers: what is listed must not depend on where it is listed."""
CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Licences of packages that say them by classifiers alone."""
SAID = {"3-Clause BSD License": "BSD-3-Clause", **{spdx: spdx for spdx in CLASSIFIED.values()}}
"""And of those that say them in a few words, as was done before there was a field for an expression."""


@dataclass(slots=True)
class Package:
    name: str
    version: str
    licence: str
    """An SPDX expression."""
    is_optional: bool
    """Only an extra of midair needs it."""
    needs: set[str] = field(default_factory=set)


class NoLicence(Exception):
    """A package does not say under which licence it is, or not in words that are known here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} says no licence that is known: look at it, and add it to SAID")


def document() -> str:
    """The list, as it is committed."""
    found = packages()
    own = _component(Package("midair", __version__, _project().license, is_optional=False))
    own.type = ComponentType.APPLICATION
    bom = Bom()
    bom.metadata.component = own
    components = {name: _component(package) for name, package in found.items()}
    for component in components.values():
        bom.components.add(component)
    bom.register_dependency(own, [components[name] for name in sorted(_direct())])
    for name, component in components.items():
        bom.register_dependency(component, [components[needed] for needed in sorted(found[name].needs)])
    bom.metadata.timestamp = None  # type: ignore[assignment]  # may be left out, says the format
    pins = "\n".join(f"{package.name}=={package.version}" for package in found.values())
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"midair {__version__}\n{pins}")
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def packages() -> dict[str, Package]:
    """All that is needed, by name, sorted. Raises NoLicence."""
    found: dict[str, Package] = {}
    project = _project()
    _add(found, _wanted(project.dependencies), is_optional=False)
    for lines in project.extras.values():
        _add(found, _wanted(lines), is_optional=True)
    return dict(sorted(found.items()))


def _direct() -> set[str]:
    """What midair itself asks for, in extras as well."""
    project = _project()
    return {name for lines in (project.dependencies, *project.extras.values()) for name, _ in _wanted(lines)}


def _add(found: dict[str, Package], wanted: Iterable[tuple[str, frozenset[str]]], *, is_optional: bool) -> None:
    for name, extras in wanted:
        if name not in found:
            found[name] = Package(name, metadata.version(name), licence_of(name), is_optional)
        deeper = set(_wanted(metadata.requires(name) or [], extras))
        new = {each for each in deeper if each[0] not in found[name].needs}
        found[name].needs |= {each for each, _ in new}
        _add(found, sorted(new), is_optional=is_optional)


def _wanted(lines: Sequence[str], extras: frozenset[str] = frozenset()) -> Iterator[tuple[str, frozenset[str]]]:
    """Those of these requirements that count on Linux: names, and the extras of each that are asked for."""
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**LINUX, "extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def licence_of(name: str) -> str:
    """An SPDX expression. Raises NoLicence."""
    about = metadata.metadata(name)
    if expression := about.get_all("License-Expression"):
        return str(expression[0])
    said = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    known = sorted({CLASSIFIED[each] for each in said if each in CLASSIFIED})
    if known and len(known) == len(said):
        return " OR ".join(known)  # Several of them: whoever uses it chooses.
    if (words := str((about.get_all("License") or [""])[0])) in SAID:
        return SAID[words]
    raise NoLicence(name)


def _component(package: Package) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        scope=ComponentScope.OPTIONAL if package.is_optional else None,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseExpression(package.licence)],
    )


class _Project(msgspec.Struct):
    license: str
    dependencies: list[str]
    extras: dict[str, list[str]] = msgspec.field(name="optional-dependencies", default_factory=dict)


class _File(msgspec.Struct):
    project: _Project


def _project() -> _Project:
    return msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes(), type=_File).project


def main(args: Sequence[str]) -> int:
    """Write it if it is stale, or with ``--check`` only say so (1: it is)."""
    made = document()
    if FILE.exists() and FILE.read_text() == made:
        return 0
    print(f"shipping/{FILE.name}")
    if "--check" in args:
        return 1
    FILE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
