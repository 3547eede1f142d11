// What lets midair replace this program by the next one while it serves. The pages are in pages.ts.
import http from "node:http";
import { answer } from "./pages.js";

// After SIGTERM every answer says "Connection: close" for this long, so that keep-alive clients leave by themselves.
const lingerMs = 2000;
let leaving = false;

function serving(): http.Server {
  return http.createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    if (leaving) response.setHeader("Connection", "close");
    answer(request, response).catch((error: unknown) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
}

// The listening sockets that midair passes begin at descriptor 3, in the order of their names. Without midair it binds.
const names = process.env.LISTEN_FDS ? (process.env.LISTEN_FDNAMES ?? "web").split(":") : [];
const servers = names.map((_, place) => serving().listen({ fd: 3 + place }));
if (servers.length === 0) servers.push(serving().listen(8000, "127.0.0.1"));

function leave(): void {
  leaving = true;
  // close() stops accepting; since Node 19 it also closes idle connections at once, which is what loses requests.
  const closeIdle = http.Server.prototype.closeIdleConnections;
  for (const server of servers) {
    server.closeIdleConnections = () => {};
    server.close();
  }
  setTimeout(() => servers.forEach((server) => closeIdle.call(server)), lingerMs);
}

process.on("SIGTERM", leave);
process.on("SIGINT", leave);
