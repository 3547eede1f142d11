// A web server that takes the sockets it is passed, and binds a port only where nobody passes one.
import http from "node:http";
import { answer } from "./pages.js";

const lingerMs = 2000;
let leaving = false;

const names = process.env.LISTEN_FDS ? (process.env.LISTEN_FDNAMES ?? "web").split(":") : [];
const servers = names.map((_, place) => serving().listen({ fd: 3 + place }));
if (servers.length === 0) servers.push(serving().listen(8000, "127.0.0.1"));

function serving(): http.Server {
  return http.createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    if (leaving) response.setHeader("Connection", "close");
    answer(request, response);
  });
}

process.on("SIGTERM", () => {
  leaving = true;
  // close() stops accepting; since Node 19 it also closes idle connections at once, which is what loses requests.
  const closeIdle = http.Server.prototype.closeIdleConnections;
  for (const server of servers) server.closeIdleConnections = () => {};
  for (const server of servers) server.close();
  setTimeout(() => servers.forEach((server) => closeIdle.call(server)), lingerMs);
});
