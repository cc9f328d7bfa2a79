import { PageError } from "../base";
import type { Label } from "../labels";
import { around } from "./areas";
import type { Session } from "./session.svelte";

const LABEL_FILE = /\.(geojson|json|csv|tsv|txt|shp|dbf|gpkg)$/i;

/** Whether a file holds labels; a zip may be those of a shapefile or a store. */
export async function holdsLabels(file: File): Promise<boolean> {
  if (LABEL_FILE.test(file.name)) return true;
  if (!/\.zip$/i.test(file.name)) return false;
  const end = await file.slice(-65_536).text(); // the list of a zip's files stands at its end
  return /\.(shp|geojson|csv)/i.test(end) && !/zarr\.json|tessera\.json|\.zarray/.test(end);
}

/** Reads a file of labels; where one column alone can hold the classes they are added at once. */
export async function importFile(session: Session, file: File): Promise<void> {
  const { importing } = session;
  const read = await session.jobs.run(
    "working",
    `Reading ${file.name}`,
    async () => {
      const { candidates, readTable } = await import("../formats");
      const table = await readTable(file);
      const columns = candidates(table);
      if (columns.length === 0)
        throw new PageError(
          "input",
          `${file.name} has no column with values; expected one that names the class of each place.`,
        );
      return { table, columns };
    },
    { lane: "import", retry: () => void importFile(session, file) },
  );
  if (!read) return;
  [importing.table, importing.columns, importing.notes] = [read.table, read.columns, []];
  session.show("label");
  const [only, ...more] = read.columns;
  if (only && more.length === 0) await adoptColumn(session, only.column);
}

/** Labels of the file that was read, with the classes of a column. */
export async function adoptColumn(session: Session, column: string): Promise<void> {
  const { importing, labelling } = session;
  const { table } = importing;
  if (!table) return;
  const { adopt } = await import("../formats");
  const before = new Set(labelling.labels.labels.map((each) => each.id));
  const stamp = crypto.randomUUID();
  let notes: readonly string[] = [];
  const done = labelling.step(`labels of ${table.name}`, (labels) => {
    const adopted = adopt(labels, table, column, stamp);
    notes = [`${adopted.added.toLocaleString("en")} labels of ${table.name} were added.`, ...adopted.notes];
    return adopted.labels;
  });
  if (!done) return;
  [importing.table, importing.columns, importing.notes] = [undefined, [], notes];
  session.tell(notes.join(" "));
  const box = around(labelling.labels.labels.filter((each) => !before.has(each.id)).map(boxOf));
  if (box) session.fit(box);
}

function boxOf({ shape }: Label): readonly [number, number, number, number] {
  if (shape.kind === "point") return [...shape.at, ...shape.at];
  const points = shape.rings[0] ?? [];
  const fold = (axis: 0 | 1, pick: (...values: number[]) => number, start: number) =>
    points.reduce((best, point) => pick(best, point[axis]), start);
  return [
    fold(0, Math.min, Infinity),
    fold(1, Math.min, Infinity),
    fold(0, Math.max, -Infinity),
    fold(1, Math.max, -Infinity),
  ];
}
