"""Application objects are found by reading: which, how they are called, from where they are imported, and which is the clearest."""

from __future__ import annotations

import pytest

from midair.scaffold.applications import applications

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
ASGI = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"


@pytest.mark.parametrize(
    ("text", "target", "framework", "interface"),
    [
        (FASTAPI, "main:app", "FastAPI", "asgi"),
        ("import fastapi\nservice: fastapi.FastAPI = fastapi.FastAPI(title='x')\n", "main:service", "FastAPI", "asgi"),
        ("from flask import Flask as F\napp = F(__name__)\n", "main:app", "Flask", "wsgi"),
        ("from starlette.applications import Starlette\napp = Starlette()\n", "main:app", "Starlette", "asgi"),
        ("from litestar import Litestar\napp = Litestar([])\n", "main:app", "Litestar", "asgi"),
        ("from quart import Quart\napp = Quart(__name__)\n", "main:app", "Quart", "asgi"),
        (ASGI, "main:application", "Django", "asgi"),
        (WSGI, "main:application", "Django", "wsgi"),
        ("async def app(scope, receive, send): ...\n", "main:app", "ASGI", "asgi"),
        ("def application(environ, start_response): ...\n", "main:application", "WSGI", "wsgi"),
        (FASTAPI + "app = Middleware(app)\n", "main:app", "FastAPI", "asgi"),
        (FASTAPI + "if True:\n    web = Wrapped(inner=app)\n", "main:app", "FastAPI", "asgi"),
        (
            "try:\n    from fastapi import FastAPI\nfinally:\n    pass\nwith x:\n    app = FastAPI()\n",
            "main:app",
            "FastAPI",
            "asgi",
        ),
    ],
)
def test_an_application_is_found_by_what_makes_it(text: str, target: str, framework: str, interface: str) -> None:
    found = applications({"main.py": text})[0]
    assert (found.target, found.framework, found.interface) == (target, framework, interface)
    assert not found.is_factory


@pytest.mark.parametrize(
    "text",
    [
        "app = FastAPI()\n",  # nobody says what that is
        FASTAPI + "app = None\n",
        "from fastapi import FastAPI\ndef main():\n    app = FastAPI()\n",
        "from flask import Flask\ndef create_app(config):\n    return Flask(__name__)\n",
        "from fastapi import FastAPI\napp = FastAPI(\n",
        "class FastAPI: ...\napp = FastAPI()\n",
        "from fastapi import FastAPI\nclass Api(FastAPI): ...\n",
    ],
)
def test_what_is_no_application_is_not_taken_for_one(text: str) -> None:
    assert applications({"main.py": text}) == []


@pytest.mark.parametrize(
    "path", ["tests/app.py", "docs/main.py", "pkg/examples/app.py", "test_main.py", "conftest.py", "my-app.py"]
)
def test_applications_of_tests_and_examples_are_left_out(path: str) -> None:
    assert applications({path: FASTAPI}) == []


@pytest.mark.parametrize(
    "text",
    [
        FACTORY,
        "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n",
        "from flask import Flask\ndef create_app() -> Flask:\n    return build()\n",
        "from flask import Flask\ndef create_app(*, debug=False):\n    if debug: pass\n    app = Flask('x')\n    return app\n",
    ],
)
def test_a_function_that_makes_one_is_a_factory(text: str) -> None:
    (found,) = applications({"shop/__init__.py": text})
    assert (found.target, found.is_factory, found.where) == ("shop:create_app", True, "shop/__init__.py:2")


@pytest.mark.parametrize("source", ["from shop import create_app", "from . import create_app", "import shop"])
def test_what_a_factory_of_another_file_makes_is_an_application(source: str) -> None:
    call = "shop.create_app()" if source == "import shop" else "create_app()"
    found = applications({"shop/__init__.py": FACTORY, "shop/wsgi.py": f"{source}\napp = {call}\n"})
    assert [(each.target, each.framework) for each in found if not each.is_factory] == [("shop.wsgi:app", "Flask")]
    assert found[0].target == "shop.wsgi:app", "an object is clearer than a function"


@pytest.mark.parametrize(
    ("files", "target", "chdir"),
    [
        ({"app/main.py": FASTAPI}, "app.main:app", ""),
        ({"src/shop/main.py": FASTAPI}, "shop.main:app", "src"),
        ({"src/__init__.py": "", "src/main.py": FASTAPI}, "src.main:app", ""),
        ({"backend/main.py": FASTAPI + "import database\n", "backend/database.py": ""}, "main:app", "backend"),
        (
            {"backend/main.py": FASTAPI + "from backend import database\n", "backend/database.py": ""},
            "backend.main:app",
            "",
        ),
        ({"web/manage.py": "", "web/shop/asgi.py": ASGI}, "shop.asgi:application", "web"),
        ({"shop/__init__.py": FASTAPI}, "shop:app", ""),
    ],
)
def test_a_module_is_called_as_it_is_imported(files: dict[str, str], target: str, chdir: str) -> None:
    found = applications(files)[0]
    assert (found.target, found.chdir) == (target, chdir)


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"a/b/main.py": FASTAPI, "main.py": FASTAPI}, "main:app"),
        ({"tools.py": FASTAPI, "pkg/main.py": FASTAPI}, "pkg.main:app"),
        ({"main.py": FASTAPI.replace("app =", "admin =") + "app = FastAPI()\n"}, "main:app"),
        ({"shop/asgi.py": ASGI, "shop/wsgi.py": WSGI}, "shop.wsgi:application"),
        (
            {"s/asgi.py": ASGI, "s/wsgi.py": WSGI, "s/settings.py": 'ASGI_APPLICATION = "s.asgi.application"\n'},
            "s.asgi:application",
        ),
        (
            {
                "s/asgi.py": ASGI,
                "s/wsgi.py": WSGI,
                "s/settings.py": 'WSGI_APPLICATION = "s.wsgi.application"\nASGI_APPLICATION = "s.asgi.application"\n',
            },
            "s.asgi:application",
        ),
        (
            {"main.py": FASTAPI, "other.py": FASTAPI, "pyproject.toml": '[tool.fastapi]\nentrypoint = "other:app"\n'},
            "other:app",
        ),
        ({"main.py": FASTAPI, "odd.py": FASTAPI, ".flaskenv": "FLASK_APP=odd.py\n"}, "odd:app"),
        ({"main.py": FASTAPI, "odd.py": FASTAPI, "gunicorn.conf.py": "wsgi_app = 'odd:app'\n"}, "odd:app"),
    ],
)
def test_of_several_the_clearest_comes_first(files: dict[str, str], target: str) -> None:
    assert applications(files)[0].target == target


def test_a_strange_file_is_no_obstacle() -> None:
    files = {
        "bad.py": "\0fastapi",
        "worse.py": "fastapi" + "(" * 5000,
        "escape.py": "fastapi = '\\d'\n",
        "pyproject.toml": "= [",
    }
    assert applications(files | {"main.py": FASTAPI})[0].target == "main:app"
