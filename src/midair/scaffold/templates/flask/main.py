"""Change GREETING and save: the page in the browser shows it."""

from flask import Flask, render_template

GREETING = "Hello from Flask"

app = Flask(__name__)


@app.get("/")
def welcome() -> str:
    return render_template("index.html", greeting=GREETING)


@app.get("/health")
def health() -> dict[str, str]:
    """midair asks here before a new version serves anybody."""
    return {"status": "ok"}
