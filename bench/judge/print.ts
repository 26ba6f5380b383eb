/** Lines and columns of the judge's tables. */

export const say = (line = ''): void => void process.stdout.write(`${line}\n`);

/** The first cell to the left, the others to the right; the last width serves all further ones. */
export const columns = (cells: readonly string[], widths: readonly number[]): string =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? widths.at(-1) ?? 0))).join(' ');

export const times = (ratio: number): string => ratio.toFixed(2);
