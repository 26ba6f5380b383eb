/**
 * What `npm test` has done, stage by stage, as a table at the end. Knows no stage. Plain Node.
 */
import { Problem } from './children.mjs';

/** Stages with their results and times, printed together at the end. */
export class Report {
  #rows = [];
  #failed = false;

  /** `work` resolves with { ok, said, … }; a Problem is a failed stage, except of the set-up, without which nothing can go on. */
  async stage(name, work) {
    process.stdout.write(name === 'set-up' ? '' : `\n== ${name}\n`);
    const startedMs = performance.now();
    let result;
    try {
      result = await work();
    } catch (error) {
      if (!(error instanceof Problem) || name === 'set-up') throw error;
      result = { ok: false, said: error.message };
    }
    this.#rows.push([name, result.ok ? 'ok' : 'FAILED', time(performance.now() - startedMs), result.said]);
    if (!result.ok) this.#failed = true;
    return result;
  }

  leftOut(name, why) {
    this.#rows.push([name, 'left out', '', why]);
  }

  /** Prints the table and returns the exit code. */
  close() {
    const widths = [0, 1, 2].map((column) => Math.max(...this.#rows.map((row) => row[column].length)));
    const lines = this.#rows.map(([name, verdict, took, said]) =>
      `   ${name.padEnd(widths[0])}  ${verdict.padEnd(widths[1])}  ${took.padStart(widths[2])}  ${said}`.trimEnd(),
    );
    const leftOut = this.#rows.some((row) => row[1] === 'left out');
    const verdict = this.#failed ? 'FAILED' : leftOut ? 'Everything that could run here passed.' : 'Everything passed.';
    process.stdout.write(`\n== summary\n${lines.join('\n')}\n\n${verdict}\n`);
    return this.#failed ? 1 : 0;
  }
}

function time(ms) {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
