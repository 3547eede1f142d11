// Change greeting and save: the page in the browser shows it.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";

export const greeting = "Hello from TypeScript";

const page = new URL("../public/index.html", import.meta.url);
const style = new URL("../public/style.css", import.meta.url);

export async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (new URL(request.url ?? "/", "http://localhost").pathname) {
    case "/":
      return send(response, "text/html; charset=utf-8", await welcome());
    case "/style.css":
      return send(response, "text/css", await readFile(style, "utf8"));
    case "/health": // midair asks here before a new version serves anybody
      return send(response, "text/plain", "ok\n");
    default:
      response.writeHead(404).end();
  }
}

export async function welcome(): Promise<string> {
  // While it is developed, midair names the script that refreshes the page; else the variable is not there.
  const script = process.env.MIDAIR_DEV_SCRIPT ?? "";
  return (await readFile(page, "utf8")).replace("{greeting}", () => greeting).replace("{script}", () => script);
}

function send(response: ServerResponse, kind: string, text: string): void {
  response.writeHead(200, { "Content-Type": kind, "Content-Length": Buffer.byteLength(text) }).end(text);
}
