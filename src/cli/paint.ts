/** Colours for a terminal, nothing for a pipe; and tables whose columns line up either way. */
import { stripVTControlCharacters, styleText } from 'node:util';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_colour, text) => text;
export const coloured: Paint = (colour, text) => styleText(colour, text);

/** https://no-color.org: any value but the empty one switches colours off. */
export function paintFor(stream: { readonly isTTY?: boolean }, environment: Readonly<Record<string, string | undefined>>): Paint {
  const off = (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb';
  return stream.isTTY === true && !off ? coloured : plain;
}

export type Align = 'left' | 'right';

/** Rows of cells to lines; two blanks between columns, none at the end. Colours take no room. */
export function table(rows: readonly (readonly string[])[], align: readonly Align[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, width(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const pad = ' '.repeat((widths[column] ?? 0) - width(cell));
        return align[column] === 'right' ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Columns a text takes on a terminal; what is shown here is Latin text and numbers. */
function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
