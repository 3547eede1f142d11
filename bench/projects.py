"""Applications to be edited, made anew in a folder: one file; thirty modules upon heavy libraries; two hundred modules.

In each some files are meant to be edited: they hold a function that returns a stamp of four characters, and what the application
answers at ``/`` names the stamps of all of them, so that an answer says which save it comes from. Saves are of equal length,
as most saves of one character are, and a stamp is a function's, not a constant, so that who patches functions in place is fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST = "0000"
IMPORTS_VARIABLE = "BENCH_IMPORTS"
"""Names a file: the application writes a line there when its import is over."""

STAMP = """

def stamp() -> str:
    return "0000"
"""
IMPORTED = f"""

def _tell_imported() -> None:
    import os

    if path := os.environ.get("{IMPORTS_VARIABLE}"):
        with open(path, "a") as file:
            file.write(f"{{os.getpid()}}\\n")


_tell_imported()
"""


@dataclass(frozen=True, slots=True)
class Project:
    """An application as files. ``edited``: those with a stamp, by their names, in the order in which an answer names them."""

    name: str
    files: Mapping[str, str]
    edited: Sequence[str]
    needs: Sequence[str] = ()
    """Packages that are not in the development environment."""

    def write(self, folder: Path) -> None:
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def text(self, name: str, stamp: str) -> bytes:
        """What stands in this file once it is saved with this stamp."""
        return self.files[name].replace(f'return "{FIRST}"', f'return "{stamp}"').encode()

    def stamp(self, name: str, version: str) -> str:
        """What an answer says of this file; empty: nothing."""
        stamps = version.split("-")
        return stamps[self.edited.index(name)] if len(stamps) == len(self.edited) else ""


Make = Callable[[], Project]


def save(path: Path, content: bytes) -> None:
    """As most editors do: into the file itself. In one write, so that nobody reads half of it."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(fd, content)
    os.close(fd)


def tiny() -> Project:
    """One file, Starlette."""
    return Project("tiny", {"app.py": _starlette(["stamp()"], STAMP)}, ["app.py"])


def plain(files: int) -> Project:
    """So many files; the application is one of them and imports none of the others: for saves of hundreds."""
    others = {f"parts/part{number:03}.py": f"NUMBER = {number}\n{STAMP}" for number in range(files - 1)}
    return Project("plain", {**tiny().files, **others}, ["app.py"])


def _starlette(stamps: Sequence[str], body: str, imports: str = "") -> str:
    return (
        "from starlette.applications import Starlette\n"
        "from starlette.requests import Request\n"
        "from starlette.responses import JSONResponse\n"
        "from starlette.routing import Route\n"
        f"{imports}{body}\n\n"
        "async def index(request: Request) -> JSONResponse:\n"
        f'    return JSONResponse({{"version": "-".join([{", ".join(stamps)}])}})\n\n\n'
        'app = Starlette(routes=[Route("/", index)])\n'
        f"{IMPORTED}"
    )


# --- thirty modules upon heavy libraries --------------------------------------------------------------------------

AREAS = ("customers", "products", "orders", "prices", "invoices", "stock", "reports")


def heavy() -> Project:
    """FastAPI, SQLAlchemy, pandas and numpy; a model, a schema, a service and a router for each of seven areas."""
    files = {
        "shop/__init__.py": "",
        "shop/settings.py": 'DATABASE_URL = "sqlite://"\nPAGE = 50\n',
        "shop/database.py": _DATABASE,
    }
    for layer, make in (("models", _model), ("schemas", _schema), ("services", _service), ("routers", _router)):
        files[f"shop/{layer}/__init__.py"] = ""
        for area in AREAS:
            files[f"shop/{layer}/{area}.py"] = make(area)
    edited = ["shop/models/orders.py", "shop/services/prices.py", "shop/routers/reports.py"]
    for name in edited:
        files[name] += STAMP
    files["app.py"] = _fastapi(edited, [f"shop.routers.{area}" for area in AREAS])
    return Project("heavy", files, edited, ("pandas", "sqlalchemy"))


_DATABASE = """from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker

from shop.settings import DATABASE_URL


class Base(DeclarativeBase):
    pass


engine = create_engine(DATABASE_URL)
Session = sessionmaker(engine)
"""


def _model(area: str) -> str:
    columns = "".join(
        f"    field{number}: Mapped[str] = mapped_column(String(40), default='')\n" for number in range(8)
    )
    return (
        "from sqlalchemy import String\nfrom sqlalchemy.orm import Mapped, mapped_column\n\n"
        "from shop.database import Base\n\n\n"
        f'class {_class(area)}Row(Base):\n    __tablename__ = "{area}"\n'
        f"    id: Mapped[int] = mapped_column(primary_key=True)\n{columns}"
    )


def _schema(area: str) -> str:
    fields = "".join(f"    field{number}: str = ''\n" for number in range(8))
    return (
        "from pydantic import BaseModel\n\n\n"
        f"class {_class(area)}(BaseModel):\n    id: int\n{fields}\n\n"
        f"class {_class(area)}Page(BaseModel):\n    items: list[{_class(area)}]\n    total: int\n"
    )


def _service(area: str) -> str:
    return (
        "import numpy as np\nimport pandas as pd\nfrom sqlalchemy import select\n\n"
        "from shop.database import Session\n"
        f"from shop.models.{area} import {_class(area)}Row\n"
        "from shop.settings import PAGE\n\n"
        "WEIGHTS = np.linspace(0.0, 1.0, 1000)\n\n\n"
        "def rows():\n    with Session() as session:\n"
        f"        return session.scalars(select({_class(area)}Row).limit(PAGE)).all()\n\n\n"
        "def frame():\n    return pd.DataFrame({'weight': WEIGHTS})\n\n\n"
        "def mean():\n    return float(frame()['weight'].mean())\n"
    )


def _router(area: str) -> str:
    return (
        "from fastapi import APIRouter\n\n"
        f"from shop.schemas.{area} import {_class(area)}, {_class(area)}Page\n"
        f"from shop.services import {area} as service\n\n"
        f'router = APIRouter(prefix="/{area}")\n\n\n'
        f'@router.get("/")\nasync def page() -> {_class(area)}Page:\n'
        f"    return {_class(area)}Page(items=[], total=len(service.rows()))\n\n\n"
        f'@router.get("/mean")\nasync def mean() -> float:\n    return service.mean()\n\n\n'
        f'@router.post("/")\nasync def add(item: {_class(area)}) -> {_class(area)}:\n    return item\n'
    )


def _class(area: str) -> str:
    return area.capitalize().removesuffix("s")


def _fastapi(edited: Sequence[str], routers: Sequence[str]) -> str:
    modules = [name.removesuffix(".py").replace("/", ".") for name in edited]
    imports = [f"from {module} import router as router{number}" for number, module in enumerate(routers)]
    imports += [f"from {module} import stamp as stamp{number}" for number, module in enumerate(modules)]
    stamps = ", ".join(f"stamp{number}()" for number in range(len(modules)))
    return (
        "from fastapi import FastAPI\n\n"
        + "\n".join(imports)
        + "\n\napp = FastAPI()\n"
        + "".join(f"app.include_router(router{number})\n" for number in range(len(routers)))
        + f'\n\n@app.get("/")\nasync def index() -> dict[str, str]:\n    return {{"version": "-".join([{stamps}])}}\n'
        + IMPORTED
    )


# --- two hundred modules ------------------------------------------------------------------------------------------

PACKAGES = 10
MODULES = 20
"""Of each package: its router is the last one."""


def big() -> Project:
    """FastAPI and two hundred modules in ten packages; each imports the one before it and one of the package before."""
    files = {"parts/__init__.py": ""}
    for package in range(PACKAGES):
        files[f"parts/p{package}/__init__.py"] = ""
        for module in range(MODULES):
            make = _last if module == MODULES - 1 else _part
            files[_place(package, module)] = make(package, module)
    edited = [_place(2, 5), _place(6, 12), _place(9, 19)]
    for name in edited:
        files[name] += STAMP
    files["app.py"] = _fastapi(edited, [f"parts.p{package}.m{MODULES - 1:02}" for package in range(PACKAGES)])
    return Project("big", files, edited)


def _place(package: int, module: int) -> str:
    return f"parts/p{package}/m{module:02}.py"


def _part(package: int, module: int) -> str:
    functions = "".join(
        f"\n\ndef count{number}(items: Items) -> int:\n    return len(items.names) + {number}\n" for number in range(10)
    )
    return (
        "from dataclasses import dataclass\n"
        f"{_imports(package, module)}\n\n@dataclass(frozen=True)\n"
        f"class Items:\n    names: tuple[str, ...] = ()\n    total: int = {module}\n    price: float = 0.0\n{functions}"
    )


def _last(package: int, module: int) -> str:
    return (
        "from fastapi import APIRouter\nfrom pydantic import BaseModel\n"
        f'{_imports(package, module)}\nrouter = APIRouter(prefix="/p{package}")\n\n\n'
        "class Answer(BaseModel):\n    total: int\n\n\n"
        '@router.get("/")\nasync def total() -> Answer:\n    return Answer(total=before.count1(before.Items()))\n'
    )


def _imports(package: int, module: int) -> str:
    lines = [f"from parts.p{package} import m{module - 1:02} as before"] if module else []
    lines += [f"from parts.p{package - 1} import m{module:02} as other"] if package else []
    return "\n" + "\n".join(lines) + "\n"


ALL: Sequence[Make] = (tiny, heavy, big)
