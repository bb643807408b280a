// A js-waku client with its own filter of addresses, which leaves wss alone: pushes one envelope to the node that is
// named, finds it again, and prints what it found.
import { Protocols } from "@waku/sdk";

import { bytes, coders, pages, startClient, text } from "./clients.mjs";

const client = await startClient(process.argv[2], [Protocols.LightPush, Protocols.Store], { options: { libp2p: {} } });
const { encoder, decoder } = coders(client, "/pillarbox/1/wss/proto");
const message = { payload: bytes("by wss"), timestamp: new Date() };
const { failures } = await client.lightPush.send(encoder, message, { autoRetry: false });
if (failures.length > 0) throw new Error(`not pushed: ${JSON.stringify(failures)}`);
const stored = (await pages(client, decoder, { paginationForward: true })).flat();
console.log(JSON.stringify({ stored: stored.map(({ payload }) => text(payload)) }));
process.exit();
