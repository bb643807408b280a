// One js-waku client against the box: envelope.mjs ADDRESS CONTENT-TOPIC (push PAYLOAD | stored)
// `stored` prints the payloads that the box has, as a JSON list.
import { bytes, coders, pages, startClient, text } from "../conformance/support/clients.mjs";

const [address, contentTopic, what, payload] = process.argv.slice(2);
const client = await startClient(address, what === "push" ? ["lightpush"] : ["store"]);
const { encoder, decoder } = coders(client, contentTopic);
if (what === "push") {
  const message = { payload: bytes(payload), timestamp: new Date() };
  const result = await client.lightPush.send(encoder, message, { autoRetry: false });
  if (result.successes.length !== 1) throw new Error(`not taken: ${JSON.stringify(result.failures)}`);
} else {
  const got = (await pages(client, decoder, { paginationForward: true })).flat();
  console.log(JSON.stringify(got.map((message) => text(message.payload))));
}
// js-waku leaves timers behind.
process.exit(0);
