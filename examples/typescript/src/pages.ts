import type { IncomingMessage, ServerResponse } from "node:http";

export const version: string = "1";

export function answer(request: IncomingMessage, response: ServerResponse): void {
  const isPage = request.url === "/";
  const body = isPage ? page() : JSON.stringify({ version, pid: process.pid });
  response.writeHead(200, { "Content-Type": isPage ? "text/html" : "application/json", "X-Version": version });
  response.end(body);
}

function page(): string {
  // While it is developed, midair names the script that refreshes the page; else the variable is not there.
  return `<!doctype html><title>TypeScript</title><h1>version ${version}</h1>${process.env.MIDAIR_DEV_SCRIPT ?? ""}`;
}
