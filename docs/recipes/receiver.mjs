// A receiver in Node 18 or newer, without a library: verify, keep, then answer. Start it with
//   WEBHOOK_SECRET=whsec_… node receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, openSync, readFileSync, writeSync, fsyncSync } from "node:fs";
import { createServer } from "node:http";

const secret = process.env.WEBHOOK_SECRET ?? "";
const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
if (!secret.startsWith("whsec_") || key.length < 24) throw new Error("set WEBHOOK_SECRET to the signing secret, whsec_…");
const TOLERANCE_SECONDS = 300;
const BODY_BYTES_MAX = 1024 * 1024;

/** Whether these raw bytes are from who shares the key, unchanged and fresh. Verify before parsing. */
function isGenuine(id, timestamp, signatures, body) {
  if (!id || !/^[1-9][0-9]*$/.test(timestamp ?? "") || !signatures) return false;
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  const matches = signatures.split(" ").some((entry) => {
    const [version, text] = entry.split(",");
    const offered = Buffer.from(text ?? "", "base64");
    return version === "v1" && offered.length === expected.length && timingSafeEqual(offered, expected);
  });
  return matches && Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS;
}

// What came, one JSON line each; also what is recognised after a restart. Use your database instead where you have one:
// insert under the id with a unique key, and answer after the commit.
const journal = process.env.WEBHOOK_JOURNAL ?? "webhooks.ndjson";
const lines = existsSync(journal) ? readFileSync(journal, "utf8").split("\n").filter(Boolean) : [];
const seen = new Set(lines.map((line) => JSON.parse(line).id));
const file = openSync(journal, "a");

function keep(id, body) {
  if (seen.has(id)) return "duplicate";
  writeSync(file, JSON.stringify({ id, body: body.toString("utf8") }) + "\n");
  fsyncSync(file); // only what is on disk is acknowledged
  seen.add(id);
  return "stored";
}

const server = createServer((request, response) => {
  const answer = (status, text) => response.writeHead(status, { "content-type": "text/plain" }).end(text);
  const chunks = [];
  let length = 0;
  request.on("data", (chunk) => {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) { answer(413, "too large"); request.destroy(); } else chunks.push(chunk);
  });
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    // Node joins repeated headers with ", ", which makes the id another one and the time no number: both are refused.
    const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = request.headers;
    if (!isGenuine(id, timestamp, signature, body)) return answer(401, "not verified");
    try { answer(200, keep(id, body)); } catch (error) { console.error(error); answer(503, "try again"); }
    // Work on it from the journal, after the answer: the sender waits 30 seconds, your mail server may take longer.
  });
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => console.log(server.address().port));
