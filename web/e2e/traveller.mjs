// A user of the page: goes where a person would, waits for what the page says of itself, and notes what must not happen.
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** @typedef {{ url: string, area?: number[], shots?: string, viewport?: { width: number, height: number } }} Told */
/** @typedef {{ zone: number, row: number, col: number, lon: number, lat: number }} Place */

const PATIENCE = 120_000; // ms: a busy machine gives a browser little
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Traveller {
  /** @type {string[]} */ elsewhere = [];
  /** @type {string[]} */ errors = [];
  /** @type {string[]} */ asked = [];
  /** @type {string[]} */ missing = [];
  /** @type {Set<string>} */ waiting = new Set(); // without an answer yet
  isOffline = false;

  /**
   * @param {import("playwright-core").BrowserContext} context
   * @param {import("playwright-core").Page} page
   * @param {string} folder
   * @param {Told} told
   */
  constructor(context, page, folder, told) {
    this.context = context;
    this.page = page;
    this.folder = folder;
    this.told = told;
  }

  /**
   * @param {import("playwright-core").Browser} browser
   * @param {string} folder
   * @param {Told} told
   */
  static async start(browser, folder, told) {
    const context = await browser.newContext({
      viewport: told.viewport ?? { width: 1280, height: 800 },
      acceptDownloads: true,
      reducedMotion: "reduce",
      bypassCSP: false,
    });
    context.setDefaultTimeout(PATIENCE);
    const origin = new URL(told.url).origin;
    const page = await context.newPage();
    const traveller = new Traveller(context, page, folder, told);
    context.on("request", (request) => {
      const url = request.url();
      traveller.asked.push(url);
      traveller.waiting.add(url);
      if (!url.startsWith(`${origin}/`) && !/^(blob|data):/.test(url)) traveller.elsewhere.push(url);
    });
    context.on("requestfinished", (request) => traveller.waiting.delete(request.url()));
    context.on("requestfailed", (request) => traveller.waiting.delete(request.url()));
    context.on("console", (message) => {
      if (message.type() !== "error") return;
      // a sparse store answers 404 where nothing was written, which the browser notes
      const { url } = message.location();
      if (/status of 404/.test(message.text()) && url.startsWith(origin) && !url.startsWith(told.url))
        traveller.missing.push(url.slice(origin.length));
      else if (traveller.isOffline && /ERR_INTERNET_DISCONNECTED/.test(message.text())) return;
      else traveller.errors.push(`${message.text()} ${url}`);
    });
    context.on("weberror", (error) => traveller.errors.push(String(error.error())));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
      );
      // how often the page began something: work may be over before anyone looks
      let begun = 0;
      new MutationObserver(() => {
        const state = document.documentElement?.dataset["state"];
        if (state !== undefined && state !== "idle") Reflect.set(globalThis, "begun", (begun += 1));
      }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
    });
    return traveller;
  }

  async report() {
    const { elsewhere, errors, missing, asked } = this;
    return { elsewhere, errors, missing, requests: asked.length, waiting: [...this.waiting] };
  }

  /** Cuts the network, or joins it again. @param {boolean} off */
  async cut(off) {
    if (off) this.isOffline = true;
    await this.context.setOffline(off);
  }

  async end() {
    await this.context.close();
  }

  /** @param {string} [hash] */
  async open(hash = "") {
    await this.page.goto(`${this.told.url}${hash}`);
    await this.settled();
  }

  /** Until the page is done with what it was asked. */
  async settled() {
    await this.page.waitForFunction(() => /^(idle|error)$/.test(document.documentElement.dataset["state"] ?? ""));
    const problem = await this.page
      .locator('[role="alert"]')
      .first()
      .textContent({ timeout: 500 })
      .catch(() => null);
    if (problem) throw new Error(`the page says: ${problem}`);
  }

  /** Work that an action begins, to its end. @param {() => Promise<unknown>} action */
  async during(action) {
    const before = await this.page.evaluate(() => Number(Reflect.get(globalThis, "begun") ?? 0));
    await action();
    await this.page.waitForFunction((then) => Number(Reflect.get(globalThis, "begun") ?? 0) > then, before);
    await this.settled();
  }

  /** @param {string} name */
  async panel(name) {
    const tab = this.page.getByRole("tab", { name });
    if ((await tab.getAttribute("aria-selected")) !== "true") await tab.click();
    await this.page.waitForFunction((id) => document.documentElement.dataset["panel"] === id, name.toLowerCase());
  }

  /** The screen's place of a pixel: over it as the page's own readout says. @param {Place} place */
  async over({ zone, row, col, lon, lat }) {
    const search = this.page.getByRole("combobox", { name: /Go to a place/ });
    await search.fill(`${lat.toFixed(7)}, ${lon.toFixed(7)}`);
    await search.press("Enter");
    const box = await this.page.locator("canvas.maplibregl-canvas").boundingBox();
    const side = await this.page.locator("section.frame").boundingBox();
    if (!box || !side) throw new Error("no map");
    let [x, y] = [(box.x + side.x + side.width + box.x + box.width) / 2, box.y + box.height / 2];
    const metres = (40_075_016.7 * Math.cos((lat * Math.PI) / 180)) / (512 * 2 ** 14);
    const readout = this.page.locator("dl.readout");
    for (let attempt = 0; attempt < 8; attempt += 1) {
      await this.page.mouse.move(x, y);
      await readout.waitFor();
      const said = await readout.evaluate((each) => ({ ...each.dataset }));
      const [down, right] = [row - Number(said["row"]), col - Number(said["col"])];
      if (Number(said["zone"]) === zone && down === 0 && right === 0) return { x, y };
      if (Number(said["zone"]) !== zone) throw new Error(`over zone ${said["zone"]}, wanted ${zone}`);
      [x, y] = [x + (right * 10) / metres, y + (down * 10) / metres];
    }
    throw new Error(`cannot get over ${zone} ${row} ${col}`);
  }

  /** @param {Place} place */
  async click(place) {
    const { x, y } = await this.over(place);
    await this.page.mouse.click(x, y);
    await this.settled();
  }

  /** What an element says in its data attributes. @param {string} selector */
  async data(selector) {
    return this.page
      .locator(selector)
      .first()
      .evaluate((each) => ({ .../** @type {HTMLElement} */ (each).dataset }));
  }

  /** The file that an action downloads. @param {() => Promise<unknown>} action @param {string} name */
  async download(action, name) {
    const [download] = await Promise.all([this.page.waitForEvent("download"), action()]);
    await download.saveAs(join(this.folder, name));
    return download.suggestedFilename();
  }

  /** A picture for the documentation, where it is wanted. @param {string} name */
  async shot(name) {
    if (!this.told.shots) return;
    const path = join(this.told.shots, `${name}.png`);
    await this.page.screenshot({ path });
    if (statSync(path).size > 300_000) console.error(`${path} is above 300 kB`);
  }

  /** Serious faults that axe finds, in words. */
  async axe() {
    // evaluated through the debugger, which the page's policy does not bind
    await this.page.evaluate(AXE);
    return this.page.evaluate(async () => {
      /** @type {{ run: (options: object) => Promise<{ violations: { id: string, impact: string, nodes: { html: string }[] }[] }> }} */
      const axe = Reflect.get(window, "axe");
      const { violations } = await axe.run({ resultTypes: ["violations"] });
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html.slice(0, 160)).join(" | ")}`);
    });
  }
}
