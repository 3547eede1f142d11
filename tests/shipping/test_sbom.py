"""What midair is built on: the list is current, well formed, and under licences that are allowed."""

from __future__ import annotations

import json
import re
from importlib import metadata

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

from midair import __version__
from shipping import sbom

ALLOWED = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0"}
"""They ask for no more than to be named. Another one is a decision."""
DECIDED = {"certifi": "MPL-2.0"}
"""Comes with the extra ``traces`` alone, is passed on as it is, and binds nothing but its own files."""


def test_the_list_that_is_committed_is_what_is_installed() -> None:
    assert sbom.FILE.read_text() == sbom.document(), "run: make sbom"


def test_it_is_what_the_format_says() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.FILE.read_text()) is None


def test_it_is_about_this_version_and_holds_all_that_is_asked_for() -> None:
    document = json.loads(sbom.FILE.read_text())
    about = document["metadata"]["component"]
    assert (about["name"], about["version"], about["purl"]) == ("midair", __version__, f"pkg:pypi/midair@{__version__}")
    listed = {each["name"] for each in document["components"]}
    assert {"a2wsgi", "click", "httptools", "msgspec", "rich", "uvloop", "websockets"} <= listed
    assert {"markdown-it-py", "mdurl", "pygments"} <= listed, "what rich asks for"
    assert not {"pytest", "colorama", "ipywidgets", "tomli"} & listed, "no tests, no other systems, nobody's extras"


def test_its_versions_are_those_of_the_lock() -> None:
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (sbom.ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))
    listed = {name: package.version for name, package in sbom.packages().items()}
    assert listed == {name: pins[name] for name in listed}


def test_what_an_extra_brings_is_optional_and_what_midair_needs_is_not() -> None:
    found = sbom.packages()
    assert found["opentelemetry-sdk"].is_optional
    assert found["opentelemetry-sdk"].needs >= {"opentelemetry-api"}
    assert not found["rich"].is_optional


def test_every_licence_is_allowed() -> None:
    licensing = get_spdx_licensing()
    for name, package in sbom.packages().items():
        assert not licensing.validate(package.licence).errors, (name, package.licence)
        keys = set(licensing.license_keys(licensing.parse(package.licence)))
        assert keys <= ALLOWED | {DECIDED.get(name)}, f"{name} is under {package.licence}"


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT AND PSF-2.0"], "MIT AND PSF-2.0"),
        (["License: MIT"], "MIT"),
        (["License: 3-Clause BSD License"], "BSD-3-Clause"),
        (["Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: Apache Software License",
            ],
            "Apache-2.0 OR MIT",
        ),
    ],
)
def test_a_licence_is_read_from_wherever_a_package_says_it(
    lines: list[str], licence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _says(monkeypatch, lines)
    assert sbom.licence_of("thing") == licence


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["License: Ours. All rights reserved."],
        [
            "Classifier: License :: OSI Approved :: MIT License",
            "Classifier: License :: Other/Proprietary License",
        ],
    ],
)
def test_a_licence_that_is_not_known_is_not_guessed(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _says(monkeypatch, lines)
    with pytest.raises(sbom.NoLicence, match="thing"):
        sbom.licence_of("thing")


def _says(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    from email import message_from_string

    about = message_from_string("\n".join(lines))
    monkeypatch.setattr(metadata, "metadata", lambda name: about)
