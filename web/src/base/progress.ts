/** Called as work goes on: `done` of `total` of what `unit` names. */
export type Progress = (done: number, total: number, unit: string) => void;

export const silent: Progress = () => undefined;

/** What every long call takes: a signal that cancels it, and who is told how far it is. */
export interface Running {
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}
