"""What stands in the Dockerfile, the Compose file and the manifests that ``midair container`` makes of a configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.config.schema import Admin, Exit, Hooks, Process, Settings, Signals, Start, Stop
from midair.containers.compose import compose
from midair.containers.container import Container, NoPort, ports_of
from midair.containers.dockerfile import dockerfile, dockerignore
from midair.containers.file_text import File, Line, difference, label, scalar
from midair.containers.kubernetes import Wish, kubernetes, pod_of
from midair.containers.survey import Packages
from midair.systemd.unit_text import LineBreak
from midair.systemd.units import NoStopSignal


def _container(chosen: tuple[str, ...] = (), secrets: tuple[str, ...] = (), **changes: Any) -> Container:
    settings = Settings(**{"name": "shop", "folder": "/home/you/shop", "app": "web:app", **changes})
    return Container(settings, frozenset(chosen), ("midair", "run"), ports_of(settings), secrets)


def _dockerfile(container: Container) -> list[str]:
    return dockerfile(container, "python:3.12-slim", Packages(), None).text(is_plain=True).splitlines()


def _compose(container: Container) -> str:
    return compose(container).text(is_plain=True)


def _manifests(container: Container, **wish: Any) -> str:
    return kubernetes(pod_of(container, Wish(**wish))).text(is_plain=True)


def _between(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]


# --- the image -----------------------------------------------------------------------------------------------------


def test_the_image_is_run_by_nobody_known_and_midair_is_its_first_process() -> None:
    lines = _dockerfile(_container())
    assert lines[-1] == 'CMD ["midair", "run"]'
    assert "USER 10001:10001" in lines
    assert '  CMD ["midair", "status", "--ready"]' in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert lines.count("FROM python:3.12-slim") == 1
    assert "FROM python:3.12-slim AS packages" in lines


def test_what_listens_for_the_machine_alone_is_opened_in_the_container_and_published_for_the_machine_alone() -> None:
    container = _container(bind=("127.0.0.1:8000", "[::1]:8001", "unix:/run/web.sock", "0.0.0.0:9000"))
    lines = _dockerfile(container)
    assert "ENV MIDAIR_BIND=0.0.0.0:8000,[::]:8001,unix:/run/web.sock,0.0.0.0:9000" in lines
    assert "EXPOSE 8000 8001 9000" in lines
    ports = _between(_compose(container), "ports:\n", "    read_only").split()
    assert ports[1::2] == ['"127.0.0.1:8000:8000"', '"127.0.0.1:8001:8001"', '"9000:9000"']
    assert not [line for line in _dockerfile(_container(bind=(":8000",))) if "MIDAIR_BIND" in line]


def test_places_that_the_configuration_chooses_are_left_where_they_are() -> None:
    usual = _dockerfile(_container())
    assert "ENV MIDAIR_RUNTIME_DIR=/run/midair/shop" in usual
    own = _container(("runtime_dir", "state_dir"), runtime_dir="/home/you/shop/run", state_dir="/data/receipts")
    assert not [line for line in _dockerfile(own) if "_DIR=" in line]
    assert "/srv/shop/run:uid=10001" in _compose(own)
    assert "state:/data/receipts" in _compose(own)


def test_secrets_are_no_part_of_the_image_and_are_mounted() -> None:
    container = _container(secrets=("shop.env", "tls/key.pem"))
    ignored = dockerignore(container, ("bin/",)).text(is_plain=True).splitlines()
    assert {"shop.env", "tls/key.pem", "bin/", ".env", ".venv", ".git"} <= set(ignored)
    assert "- ./shop.env:/srv/shop/shop.env:ro" in _compose(container)
    manifests = _manifests(container)
    assert "subPath: tls_key.pem" in manifests
    assert "secretName: shop-secrets" in manifests


def test_a_service_that_no_signal_stops_has_no_image() -> None:
    assert "STOPSIGNAL SIGQUIT" in _dockerfile(_container(signals=Signals(term="reload", int="ignore")))
    deaf = Signals(term="reload", int="ignore", quit="ignore")
    with pytest.raises(NoStopSignal):
        _dockerfile(_container(signals=deaf))


# --- times ---------------------------------------------------------------------------------------------------------


def test_a_stop_has_as_long_as_it_may_take() -> None:
    slow = _container(
        stop=Stop(timeout_s=50.0),
        exit=Exit(timeout_s=20.0),
        process=(Process(name="queue", command=("celery",), stop_timeout_s=30.0),),
    )
    assert "stop_grace_period: 85s" in _compose(slow)  # 50 + 30 + 5
    assert "terminationGracePeriodSeconds: 90" in _manifests(slow)  # and 5 for the endpoints
    assert "stop_grace_period: 40s" in _compose(_container())


def test_one_of_two_waits_for_the_endpoints_and_not_both() -> None:
    by_midair, by_hook = _manifests(_container()), _manifests(_container(), has_pre_stop=True)
    assert '- name: MIDAIR_STOP_DELAY\n              value: "5s"' in by_midair
    assert "preStop" not in by_midair
    assert '- name: MIDAIR_STOP_DELAY\n              value: "0s"' in by_hook
    assert "preStop:\n              sleep:\n                seconds: 5\n" in by_hook
    for manifests in (by_midair, by_hook):
        assert "terminationGracePeriodSeconds: 45\n" in manifests
    own = _container(("stop.delay",), stop=Stop(delay_s=12.5))
    assert "MIDAIR_STOP_DELAY" not in _manifests(own)
    assert "terminationGracePeriodSeconds: 53\n" in _manifests(own)  # 12.5 + 25 + 10 + 5, rounded up
    assert "seconds: 13\n" in _manifests(own, has_pre_stop=True)
    assert "terminationGracePeriodSeconds: 53\n" in _manifests(own, has_pre_stop=True)


def test_a_pod_is_not_killed_while_its_first_start_is_tried() -> None:
    probe = _between(_manifests(_container()), "startupProbe:", "readinessProbe:")
    assert "path: /readyz" in probe
    assert "periodSeconds: 2\n" in probe
    assert "failureThreshold: 180\n" in probe  # start.timeout 300 s and a last try of 60 s
    patient = _container(start=Start(timeout_s=900.0), hooks=Hooks(before=("./migrate",), timeout_s=40.0))
    assert "failureThreshold: 500\n" in _manifests(patient)
    assert "--start-period=1000s" in "".join(_dockerfile(patient))


# --- pods ----------------------------------------------------------------------------------------------------------


def test_the_kubelet_reaches_the_admin_address_and_others_get_the_probes_alone() -> None:
    environment = _between(_manifests(_container()), "env:", "ports:")
    assert '"0.0.0.0:9465"' in environment
    assert "MIDAIR_ADMIN_REMOTE\n              value: probes" in environment
    own = _container(("admin.address", "admin.remote"), admin=Admin(address="0.0.0.0:7000"))
    assert "MIDAIR_ADMIN" not in _manifests(own)
    assert "containerPort: 7000" in _manifests(own)
    assert '"0.0.0.0:7000"' in _manifests(_container(("admin.address",), admin=Admin(address="127.0.0.1:7000")))


def test_workers_are_as_many_as_the_limit_allows_unless_somebody_says_a_number() -> None:
    assert "MIDAIR_WORKERS" in _manifests(_container())
    own = _manifests(_container(("workers",), workers=7))
    assert "MIDAIR_WORKERS" not in own
    assert "memory: 1024Mi" in own
    assert "memory: 2048Mi" in own


def test_code_outside_of_the_image_is_a_whole_volume() -> None:
    by_map = kubernetes(pod_of(_container(), Wish(code="configmap", code_files=("app.py", "midair.toml"))))
    text = by_map.text()
    assert "--from-file=app.py --from-file=midair.toml --dry-run=client" in text
    assert "kubectl exec $pod -- midair reload; done" in text
    assert "configMap:\n            name: shop-code\n" in text
    mount = _between(text, "- name: code\n", "volumes:")
    assert mount.split() == ["mountPath:", "/srv/shop", "readOnly:", "true"]
    assert "claimName: shop-code" in _manifests(_container(), code="claim")
    assert "shop-code" not in _manifests(_container())


def test_a_low_port_is_allowed_to_whoever_is_not_root() -> None:
    assert "ip_unprivileged_port_start" in _manifests(_container(bind=(":80",)))
    assert "ip_unprivileged_port_start" not in _manifests(_container())


def test_a_service_without_a_port_has_no_pod_and_can_have_an_image() -> None:
    lent = _container(app="", command=("./server",), listener="lent", bind=())
    with pytest.raises(NoPort):
        pod_of(lent, Wish())
    assert "ports:" not in _compose(lent)
    assert not [line for line in _dockerfile(lent) if line.startswith("EXPOSE")]


# --- text ----------------------------------------------------------------------------------------------------------


@given(st.text())
def test_a_name_becomes_one_that_docker_and_kubernetes_allow(name: str) -> None:
    made = label(name)
    assert 1 <= len(made) <= 63
    assert made[0].isalpha()
    assert made.isascii()
    assert made == made.lower()
    assert not made.endswith("-")
    assert label(made) == made


@given(st.text())
def test_a_scalar_is_plain_or_quoted(text: str) -> None:
    made = scalar(text)
    assert made == text or json.loads(made) == text
    if made == text:
        assert text.isascii()
        assert text.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n", "")
        assert not text[0].isdigit()
        assert ": " not in text
        assert " #" not in text


def test_an_odd_name_is_kept_for_the_service() -> None:
    lines = _dockerfile(_container(name="Großer Laden $1"))
    assert 'ENV MIDAIR_NAME="Großer Laden \\$1"' in lines
    assert "WORKDIR /srv/gro-er-laden-1" in lines
    with pytest.raises(LineBreak):
        dockerignore(_container(secrets=("a\nb",))).text()


def test_comments_and_blank_lines_make_no_difference() -> None:
    file = File("k8s.yaml", "Above.", (Line("kind: Service", "Why."), Line("spec:"), Line("  a: 1", "Because.")))
    assert difference(file.text(), file.text(is_plain=True)) == []
    assert difference(file.text(), file.text().replace("  a: 1", "    a: 1")) == ["-  a: 1", "+    a: 1"]
    assert file.text().splitlines()[-2:] == ["  # Because.", "  a: 1"]
