// Debian's chromium, and what every look at the page checks: nothing loaded from elsewhere, no complaint in the
// console (the security policy's would be there), no sideways scrolling, nothing that axe finds, light and dark.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const PICTURES = join(here, "out");
export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 900 };

export async function launch(args = []) {
  await mkdir(PICTURES, { recursive: true });
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", ...args] });
}

/** Opens the page in a browser of its own (no cookies) and notes whatever it complains of or asks elsewhere. */
export async function visit(browser, box, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const own = [box.url("/"), "data:"].some((start) => request.url().startsWith(start));
    if (!own) complaints.push(`asked for ${request.url()}`);
  });
  page.complaints = complaints;
  await page.goto(box.url("/"));
  return page;
}

/** Gets access for the browser, as a person does: requests it on the page, waits for its number on the light, presses the button. */
export async function getAccess(page, box) {
  await page.getByRole("button", { name: "Request access" }).click();
  await page.getByText("Press the button on the box now").waitFor();
  await box.press();
  await page.getByText("This browser can make changes for five minutes").waitFor();
}

/** What axe, which is injected by the browser's own tools (the page's policy does not bind those), finds wrong. */
export async function axeFinds(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`);
}

/** What must hold of every state: checked and photographed on a phone and a desktop, in light and dark. */
export async function look(page, name, check = () => {}) {
  for (const [device, viewport] of [["phone", PHONE], ["desktop", DESKTOP]]) {
    for (const colorScheme of ["light", "dark"]) {
      const where = `${name}, ${device}, ${colorScheme}`;
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await check(page, where);
      const overhang = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
      assert.ok(overhang <= 0, `${where}: ${overhang} px too wide`);
      await page.screenshot({ path: join(PICTURES, `${name}-${device}-${colorScheme}.png`), fullPage: true });
      assert.deepEqual(page.complaints, [], where);
      assert.deepEqual(await axeFinds(page), [], where);
    }
  }
}

/** The same of a browser that has just come. */
export async function inspect(browser, box, name, check, options = {}) {
  const page = await visit(browser, box, options);
  await look(page, name, check);
  await page.context().close();
}
