// node node_http2.mjs CERTIFICATE: an HTTP/2 server on loopback, which also speaks HTTP/1.1; prints its port, and ends with its
// standard input. Each path is a way to answer.
import { readFileSync } from "node:fs";
import { constants, createSecureServer } from "node:http2";
import { gzipSync } from "node:zlib";

const pem = readFileSync(process.argv[2]);
const ways = {
  "/echo": (request, response, body) => {
    const { httpVersion, method, url, headers } = request;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ httpVersion, method, url, headers, size: body.length, pushes: request.stream?.pushAllowed ?? null }));
  },
  "/moved": (request, response) => {
    response.writeHead(302, { location: "/echo", "set-cookie": "seen=yes; Path=/" }).end();
  },
  "/hints": (request, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.writeEarlyHints({ link: "</b.css>; rel=preload" });
    response.end("hinted");
  },
  "/trailers": (request, response) => {
    response.addTrailers({ "x-checksum": "1" });
    response.write("with ");
    response.end("trailers");
  },
  "/coded": (request, response) => {
    response.setHeader("content-encoding", "gzip");
    response.end(gzipSync(Buffer.alloc(100_000, "x")));
  },
  "/large": (request, response) => response.end(Buffer.alloc(3_000_000, "y")),
  "/goodbye": (request, response) => {
    request.stream.session.goaway(constants.NGHTTP2_NO_ERROR);
    response.end("last words");
  },
  "/broken": (request) => request.stream.session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM),
  "/refused": (request) => request.stream.close(constants.NGHTTP2_REFUSED_STREAM),
  "/http1": (request) => request.stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED),
};
const early = { "/early": (request, response) => response.writeHead(413).end("too much") };

const server = createSecureServer({ key: pem, cert: pem, allowHTTP1: true, settings: { maxHeaderListSize: 1 << 20 } });
server.on("request", (request, response) => {
  request.on("error", () => {});
  response.on("error", () => {});
  if (request.url in early) return early[request.url](request, response);
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => ways[request.url]?.(request, response, Buffer.concat(pieces)));
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
