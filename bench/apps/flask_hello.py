"""As small as an application of Flask is."""

from flask import Flask

VERSION = "0"

app = Flask(__name__)


@app.get("/")
def hello() -> dict[str, str]:
    return {"version": VERSION}
