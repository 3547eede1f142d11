// A web server that midair can update: it inherits its sockets, can be asked for its health, and leaves gently.
import http from "node:http";

const version = "1";
const lingerMs = 2000;
let leaving = false;

function answer(request, response) {
  if (leaving) response.setHeader("Connection", "close");
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/echo") {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      response.setHeader("X-Version", version);
      response.end(Buffer.concat(chunks));
    });
    return;
  }
  const say = () => {
    const body = JSON.stringify({ version, pid: process.pid });
    response.writeHead(200, { "Content-Type": "application/json", "X-Version": version, "Content-Length": body.length });
    response.end(body);
  };
  if (url.pathname === "/slow") setTimeout(say, 1000 * Number(url.searchParams.get("s") ?? 2));
  else say();
}

// Descriptors begin at 3, in the order of their names.
const names = (process.env.LISTEN_FDNAMES ?? "web").split(":");
const servers = names.map((name, place) => {
  const server = http.createServer({ keepAliveTimeout: 75_000 }, answer);
  server.listen({ fd: 3 + place });
  return server;
});

process.on("SIGTERM", () => {
  leaving = true;
  // close() stops accepting; since Node 19 it also closes idle connections at once, which is what loses requests.
  for (const server of servers) server.closeIdleConnections = () => {};
  for (const server of servers) server.close();
  setTimeout(() => {
    for (const server of servers) http.Server.prototype.closeIdleConnections.call(server);
  }, lingerMs);
});
