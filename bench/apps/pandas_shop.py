"""FastAPI and pandas with warm data: a frame of 200,000 rows and 50,000 dicts, as a small analytics service has them."""

import os

import numpy
import pandas
from fastapi import FastAPI

VERSION = "0"
ROWS = 200_000

frame = pandas.DataFrame(
    {"customer": numpy.arange(ROWS) % 5000, "price": numpy.linspace(1, 100, ROWS), "day": numpy.arange(ROWS) % 365}
)
customers = [{"number": number, "name": f"customer {number}", "tags": [number % 7]} for number in range(50_000)]

app = FastAPI()


@app.get("/")
async def turnover(customer: int = 0) -> dict[str, object]:
    rows = frame[frame["customer"] == customer]
    return {
        "version": VERSION,
        "pid": os.getpid(),
        "name": customers[customer]["name"],
        "turnover": float(rows["price"].sum()),
    }


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
