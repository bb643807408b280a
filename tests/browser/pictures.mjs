// Takes the pictures of the documents: a real box that was given real envelopes, as a browser shows it.
// `node pictures.mjs` after a build; see box.mjs for where the programs are looked for.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Box, crashing, mailserver } from "./box.mjs";
import { DESKTOP, PHONE, launch, visit } from "./browser.mjs";

const pictures = join(dirname(fileURLToPath(import.meta.url)), "../../docs/pictures");
const ENVELOPES = 240;

const browser = await launch();

const service = await mailserver();
const rest = service.match(/\[ports\.rest\]\nport = (\d+)/)[1];
const working = await Box.start({ mailserver: service });
try {
  await working.statusWhen("ok", ({ state, leds }) => state === "ok" && leds.status === "ok");
  const topic = encodeURIComponent("/waku/2/rs/16/32");
  for (let number = 0; number < ENVELOPES; number++) {
    const answer = await fetch(`http://127.0.0.1:${rest}/relay/v1/messages/${topic}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        payload: Buffer.from(`picture ${number}`).toString("base64"),
        contentTopic: "/pillarbox/1/picture/proto",
        timestamp: Date.now() * 1e6 + number,
      }),
    });
    if (!answer.ok) throw new Error(`publish: ${answer.status} ${await answer.text()}`);
  }
  await working.statusWhen("the envelopes", ({ archive }) => archive.envelopes >= ENVELOPES);
  const page = await visit(browser, working, { viewport: { width: 1080, height: 860 } });
  await page.screenshot({ path: join(pictures, "page-ok.png") });
  await page.context().close();
  const phone = await visit(browser, working, { viewport: PHONE, colorScheme: "dark" });
  await phone.screenshot({ path: join(pictures, "page-phone.png") });
  await phone.context().close();
} finally {
  await working.stop();
}

const failed = await Box.start({ mailserver: crashing(true, "archive: cannot open the segment: disk I/O error") });
try {
  await failed.statusWhen("failure", ({ state, leds }) => state === "failed" && leds.status?.startsWith("failed"));
  const page = await visit(browser, failed, { viewport: { width: DESKTOP.width - 200, height: 520 } });
  await page.screenshot({ path: join(pictures, "page-failed.png") });
} finally {
  await failed.stop();
  await browser.close();
}
