"""The same answers from Flask, which is WSGI."""

import os
import time

from flask import Flask, Response, jsonify, request

VERSION = "0"

app = Flask(__name__)


@app.get("/")
@app.get("/health")
def about():
    return jsonify(version=VERSION, pid=os.getpid(), generation=os.environ.get("MIDAIR_GENERATION"))


@app.get("/slow")
def slow():
    time.sleep(float(request.args.get("s", "2")))
    return about()


@app.post("/echo")
def echo():
    return Response(request.get_data(), headers={"X-Version": VERSION})
