"""What is different while a service is developed, and what wins all the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from midair.config.load import Loaded, Override, load, sources_for_run


def loaded(folder: Path, text: str = "", environ: Mapping[str, str] | None = None, **flags: str) -> Loaded:
    (folder / "midair.toml").write_text(f'app = "app:app"\n{text}')
    overrides = {key.replace("__", "."): Override(value, f"--{key}") for key, value in flags.items()}
    return load(sources_for_run(folder=str(folder), environ=environ or {}, overrides=overrides, is_dev=True))


def test_what_a_file_says_of_a_deployment_does_not_count(tmp_path: Path) -> None:
    text = (
        'workers = 4\nruntime_dir = "run"\nbake = "30s"\nmetrics = "127.0.0.1:9464"\n'
        '[hooks]\nbefore = "alembic upgrade head"\n[log]\nformat = "json"\n[drain]\nrate = "5%"\n'
    )
    settings = loaded(tmp_path, text).settings
    assert (settings.workers, settings.bake.for_s, settings.metrics.address, settings.hooks.before) == (1, 0.0, "", ())
    assert (settings.log.format, settings.drain.rate_per_s) == ("console", 1.0)
    assert settings.is_dev


def test_flags_and_variables_win_over_it(tmp_path: Path) -> None:
    settings = loaded(tmp_path, environ={"MIDAIR_WORKERS": "3"}, drain__timeout="9s").settings
    assert (settings.workers, settings.drain.timeout_s) == (3, 9.0)


def test_the_service_that_the_file_describes_may_run_beside(tmp_path: Path) -> None:
    text = 'name = "shop"\nruntime_dir = "run"\n'
    developed = loaded(tmp_path, text).settings
    deployed = load(sources_for_run(folder=str(tmp_path), environ={})).settings
    assert (developed.name, deployed.name) == ("shop-dev", "shop")
    assert developed.runtime_dir != deployed.runtime_dir
    assert developed.state_dir != deployed.state_dir


def test_a_name_that_was_typed_is_the_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, name="till").settings.name == "till"
    assert loaded(tmp_path, environ={"MIDAIR_NAME": "till"}).settings.name == "till"


def test_who_is_exposed_listens_to_other_machines_unless_an_address_was_given(tmp_path: Path) -> None:
    assert loaded(tmp_path, dev__expose="true").settings.bind == ("0.0.0.0:8000",)
    assert loaded(tmp_path, dev__expose="true", bind="127.0.0.1:1").settings.bind == ("127.0.0.1:1",)


def test_what_is_different_is_shown_with_its_origin(tmp_path: Path) -> None:
    assert str(loaded(tmp_path).origins["bake.for"]) == "default (midair dev)"


def test_programs_beside_and_actions_are_tables_inside_tables(tmp_path: Path) -> None:
    text = (
        '[[dev.process]]\nname = "front"\ncommand = "npm run watch"\nenv = { NODE_ENV = "development" }\n'
        '[[dev.process]]\nname = "queue"\ncommand = ["celery", "worker"]\nrestart = "never"\n'
        '[[watch.action]]\non = ["create"]\npaths = "uploads/"\nrun = "handle --now"\n'
    )
    found = loaded(tmp_path, text)
    front, queue = found.settings.dev.process
    assert (front.command, front.env, queue.restart) == (("npm", "run", "watch"), {"NODE_ENV": "development"}, "never")
    assert found.settings.watch.action[0].run == ("handle", "--now")
    assert str(found.origins["dev.process"]) == "midair.toml:2"
