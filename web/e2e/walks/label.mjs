// J3: a map of land cover from a file of field data.
import { join } from "node:path";

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page } = traveller;
  const area = `#area=${told.area.join(",")}`;
  await traveller.open(`${area}&panel=label`);
  // labels of a file, with a name that no one should run
  await page.locator('#panel input[type="file"]').setInputFiles(join(traveller.folder, told.file));
  const column = page.getByRole("combobox", { name: /Column with the classes/ });
  await column.selectOption("kind");
  await page.getByRole("button", { name: /^Add / }).click();
  await page.locator(`[data-labels="${told.count}"]`).waitFor({ state: "attached" });
  await traveller.settled();
  const counts = await page
    .locator("li[data-class]")
    .evaluateAll((all) => all.map((each) => [each.getAttribute("data-class"), each.getAttribute("data-count")]));
  const notes = await page.locator("#panel .note").allTextContents();
  // undo and redo
  const labels = async () => (await traveller.data("[data-labels]"))["labels"];
  await page.getByRole("button", { name: "Undo" }).click();
  const undone = await labels();
  await page.getByRole("button", { name: "Redo" }).click();
  const redone = await labels();
  // one more by hand, by the class's key
  await traveller.over(told.extra);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: told.kind, exact: true }).click();
  await page.getByRole("button", { name: "Point", exact: true }).click();
  await traveller.click(told.extra);
  const more = await labels();
  await page.locator('[data-saved="kept"]').waitFor();
  await traveller.shot("label");
  // all of it is there after a reload
  await page.reload();
  await traveller.settled();
  await page.locator(`[data-labels="${more}"]`).waitFor({ state: "attached" });
  const kept = await labels();
  // the map, with each learner
  await traveller.panel("Classify");
  const maps = [];
  for (const learner of told.learners) {
    await page.getByRole("combobox", { name: "Learner" }).selectOption(learner);
    await traveller.during(() => page.getByRole("button", { name: "Learn and map" }).click());
    const section = await traveller.data("section[data-pixels][data-samples]");
    const rows = await page
      .locator("tr[data-hectares]")
      .evaluateAll((all) => all.map((each) => [each.getAttribute("data-class"), each.getAttribute("data-hectares")]));
    const head = await traveller.download(
      () => page.getByRole("button", { name: "Head" }).click(),
      `${learner}.head.json`,
    );
    const files = await tiffs(traveller, learner);
    maps.push({ learner, section, rows, head, files });
  }
  await traveller.shot("classify");
  return { counts, notes, undone, redone, more, kept, maps, axe: await traveller.axe() };
}

/** All GeoTIFFs that the button downloads, one of each zone. @param {import("../traveller.mjs").Traveller} traveller @param {string} learner */
async function tiffs(traveller, learner) {
  const { page, folder } = traveller;
  /** @type {string[]} */ const names = [];
  /** @type {Promise<void>[]} */ const saving = [];
  const take = (/** @type {import("playwright-core").Download} */ download) => {
    const name = `${learner}.${download.suggestedFilename()}`;
    names.push(name);
    saving.push(download.saveAs(join(folder, name)));
  };
  page.on("download", take);
  await traveller.during(() => page.getByRole("button", { name: "GeoTIFF" }).click());
  const until = Date.now() + 20_000;
  // a map and its names, for each of two zones
  while (names.length < 4 && Date.now() < until)
    await page.waitForEvent("download", { timeout: 1_000 }).catch(() => undefined);
  page.off("download", take);
  await Promise.all(saving);
  return names;
}
