import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Polls until the condition holds. Machines are noisy, so the deadline is generous and never a measurement. */
export async function until(condition, milliseconds = 20_000) {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not so within ${milliseconds} ms: ${condition}`);
    await sleep(100);
  }
}
