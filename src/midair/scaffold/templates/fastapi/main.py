"""Change GREETING and save: the page in the browser shows it."""

from html import escape
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

HERE = Path(__file__).parent
GREETING = "Hello from FastAPI"

app = FastAPI()
app.mount("/static", StaticFiles(directory=HERE / "static"))


@app.get("/", response_class=HTMLResponse)
def welcome() -> str:
    return (HERE / "index.html").read_text().replace("{greeting}", escape(GREETING))


@app.get("/health")
def health() -> dict[str, str]:
    """midair asks here before a new version serves anybody."""
    return {"status": "ok"}
