// node oidc_sign_on.mjs PATH-OF-THE-LIBRARY: a provider that signs people in. It prints its port; told a redirect URI on its
// standard input, it knows a client `plane` of it and says "ready". Whoever signs in as NAME is of the group NAME-group. Its own
// pages ask for any password. It ends with its standard input.
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const { default: Provider } = await import(process.argv[2]);
const server = createServer();

const provide = (issuer, redirectUri) => {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "plane", client_secret: "s3cr:t+&%~", redirect_uris: [redirectUri],
      response_types: ["code"], grant_types: ["authorization_code"], token_endpoint_auth_method: "client_secret_basic",
    }],
    claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
    scopes: ["openid", "profile", "groups"],
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: ["staff", `${id}-group`] }),
    }),
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ["a key of these tests"] },
  });
  server.removeAllListeners("request");
  server.on("request", provider.callback());
};

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  process.stdout.write(`${port}\n`);
  createInterface({ input: process.stdin })
    .on("line", (uri) => { provide(`http://127.0.0.1:${port}`, uri); process.stdout.write("ready\n"); })
    .on("close", () => process.exit(0));
});
