// Walk through one journey: node e2e/journey.mjs NAME FOLDER, with the address of a browser in BROWSER.
// FOLDER/NAME.in.json says where the page is and what to do there; FOLDER/NAME.json is what was seen.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

import { Traveller } from "./traveller.mjs";

const [, , name = "", folder = "."] = process.argv;
if (!/^[a-z]+$/.test(name)) throw new Error("usage: node e2e/journey.mjs NAME FOLDER");
const told = JSON.parse(readFileSync(join(folder, `${name}.in.json`), "utf8"));
const browser = await chromium.connect(process.env["BROWSER"] ?? "");
/** @type {{ walk: (traveller: Traveller, told: any) => Promise<unknown> }} */
const { walk } = await import(`./walks/${name}.mjs`);
const traveller = await Traveller.start(browser, folder, told);
try {
  const seen = await walk(traveller, told);
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ seen, ...(await traveller.report()) }));
} catch (error) {
  await traveller.page.screenshot({ path: join(folder, `${name}.failed.png`) }).catch(() => undefined);
  console.error(error, JSON.stringify(await traveller.report(), null, 1));
  process.exitCode = 1;
} finally {
  await traveller.end();
  await browser.close();
}
