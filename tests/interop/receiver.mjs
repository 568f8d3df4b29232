// A receiver in Node with the official Standard Webhooks library. Prints its port, then a JSON line per webhook.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const library = createRequire(`${process.env.FANFARE_TEST_INTEROP}/package.json`);
const { Webhook } = library("standardwebhooks");
let webhook = null; // the secret comes on stdin once the registration has returned it

process.stdin.once("data", (secret) => {
  webhook = new Webhook(secret.toString().trim());
});

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString();
    try {
      const payload = webhook.verify(body, request.headers);
      console.log(JSON.stringify({ verified: true, id: request.headers["webhook-id"], name: payload.name }));
      response.writeHead(200).end("OK");
    } catch (error) {
      console.log(JSON.stringify({ verified: false, reason: String(error) }));
      response.writeHead(401).end("Unauthorized");
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
