// node oidc_provider.mjs PATH-OF-THE-LIBRARY: serves two clients on loopback, prints the port, and ends with its standard input.
import { createServer } from "node:http";

const { default: Provider } = await import(process.argv[2]);
const machine = { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] };
const clients = ["basic", "post"].map((way) => ({
  ...machine, client_id: way, client_secret: "s3cr:t+&%~", token_endpoint_auth_method: `client_secret_${way}`,
}));
const features = { clientCredentials: { enabled: true }, introspection: { enabled: true }, devInteractions: { enabled: false } };
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, { clients, features, scopes: ["watch"] });
  server.on("request", provider.callback());
  process.stdout.write(`${port}\n`);
});
process.stdin.on("end", () => process.exit(0)).resume();
