import assert from "node:assert/strict";
import { test } from "node:test";
import { greeting, welcome } from "./pages.js";

test("the page greets", async () => {
  assert.match(await welcome(), new RegExp(`<h1>${greeting}</h1>`));
});
