// J1: a first look.

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page } = traveller;
  const began = Date.now();
  await traveller.open();
  await page.getByText("Colours 2023").waitFor();
  const seconds = (Date.now() - began) / 1000;
  const isolated = await page.evaluate(() => crossOriginIsolated);
  const title = await page.title();
  const words = await page.locator('[role="status"]').textContent();
  const years = await page.locator("header select option").allTextContents();
  const rows = await page.locator("#panel table tr").allTextContents();
  await traveller.shot("look");
  // a pixel by its place, and by the keyboard
  await traveller.over(told.place);
  const hovered = await traveller.data("dl.readout");
  const said = await page.locator("dl.readout").innerText();
  await page.locator("canvas.maplibregl-canvas").focus();
  await page.keyboard.press("Shift+ArrowRight");
  const first = await traveller.data("dl.readout");
  await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Shift+ArrowDown");
  const second = await traveller.data("dl.readout");
  const axe = await traveller.axe();
  await page.getByRole("button", { name: "Dark colours" }).click();
  const dark = await traveller.axe();
  await traveller.shot("look-dark");
  // another year: labels and place stay, colours change
  await page.locator("header select").selectOption("2022");
  await page.getByText("Colours 2022").waitFor();
  await traveller.settled();
  const year = await page.evaluate(() => document.documentElement.dataset["year"]);
  return { seconds, isolated, title, words, years, rows, hovered, said, first, second, axe, dark, year };
}
