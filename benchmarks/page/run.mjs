// One job in a fresh Chromium: node benchmarks/page/run.mjs JOB.json; prints what came of it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--enable-blink-features=ForceEagerMeasureMemory"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(job.patience ?? 900_000);
  page.on("pageerror", (error) => console.error(String(error)));
  page.on("console", (message) => message.type() === "error" && console.error(message.text()));
  if (job.way === "view") {
    const began = Date.now();
    await page.goto(job.page);
    await page.locator("canvas.maplibregl-canvas").waitFor();
    const canvas = (Date.now() - began) / 1000;
    await page.getByText(/^Colours \d/).waitFor();
    await page.waitForFunction(() => document.documentElement.dataset.state === "idle");
    console.log(JSON.stringify({ canvas, colours: (Date.now() - began) / 1000 }));
  } else {
    await page.goto(job.page);
    await page.waitForFunction(() => window.ready);
    const empty = await memory(page);
    const result = await page.evaluate(([way, told]) => window.bench[way](told), [job.way, job]);
    console.log(JSON.stringify({ ...result, empty }));
  }
} finally {
  await browser.close();
}

async function memory(page) {
  return page.evaluate(async () => (await performance.measureUserAgentSpecificMemory()).bytes).catch(() => null);
}
