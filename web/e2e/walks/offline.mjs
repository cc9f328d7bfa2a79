// J1 and J2 again with the network cut after the first load.

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page } = traveller;
  await traveller.open(`#area=${told.area.join(",")}&panel=find`);
  await traveller.cut(true);
  const before = traveller.asked.length;
  await page.getByRole("button", { name: "Like this" }).click();
  await traveller.click(told.like);
  const found = await traveller.data("section[data-above]");
  await traveller.panel("Look");
  await page.getByRole("radio", { name: "Three dims" }).click();
  await page.getByRole("button", { name: "Show colours" }).click();
  await traveller.settled();
  const fetched = traveller.asked.slice(before);
  // what is not in memory fails in words, and the page lives on
  await page.locator("header select").selectOption("2022");
  const alert = page.getByRole("alert").first();
  await alert.waitFor();
  const words = await alert.innerText();
  await traveller.cut(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await alert.waitFor({ state: "detached" });
  await traveller.settled();
  return { found, fetched, words, year: await page.evaluate(() => document.documentElement.dataset["year"]) };
}
