import type { Candidate, Table } from "../formats";

/** A file of labels that was read, and waits for the column that holds the classes. */
export class Importing {
  table = $state.raw<Table | undefined>();
  columns = $state.raw<readonly Candidate[]>([]);
  notes = $state.raw<readonly string[]>([]);
}
