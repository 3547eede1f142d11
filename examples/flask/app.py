"""A Flask application. midair runs it in threads, under the same connections as any ASGI application."""

import os

from flask import Flask, Response, jsonify, request

VERSION = "1"

app = Flask(__name__)


@app.get("/")
def welcome():
    return jsonify(version=VERSION, worker=os.getpid())


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.post("/echo")
def echo():
    return Response(request.get_data(), headers={"X-Version": VERSION})
