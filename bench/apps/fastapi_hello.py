"""As small as an application of FastAPI is."""

from fastapi import FastAPI

VERSION = "0"

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    return {"version": VERSION}
