// J2: find more like this.

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page } = traveller;
  await traveller.open(`#area=${told.area.join(",")}&panel=find`);
  const section = "section[data-above]";
  const slide = async (/** @type {number} */ value) => {
    await page.locator(`${section} input[type="range"]`).fill(String(value));
    return traveller.data(section);
  };
  await page.getByRole("button", { name: "Like this" }).click();
  await traveller.click(told.like);
  const one = await traveller.data(section);
  const before = traveller.asked.length;
  const ends = [];
  for (const value of told.thresholds) ends.push(await slide(value));
  await slide(told.thresholds[0]);
  const fetched = traveller.asked.length - before;
  await traveller.shot("find");
  await traveller.over(told.other);
  const other = await page.locator("dl.readout").innerText();
  const polygons = await traveller.download(
    () => page.getByRole("button", { name: "Save as polygons" }).click(),
    "like.geojson",
  );
  await traveller.click(told.second);
  const two = await slide(told.thresholds[0]);
  await page.getByRole("button", { name: "Not this" }).click();
  await traveller.click(told.unlike);
  const three = await slide(told.thresholds[0]);
  await page.keyboard.press("Escape");
  await traveller.shot("find-not");
  return { one, ends, fetched, other, polygons, two, three, axe: await traveller.axe() };
}
