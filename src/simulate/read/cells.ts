/** Cells of a CSV line, straight from its bytes: numbers without a string on the way. Knows nothing of what they mean. */

const COMMA = 0x2c;
const QUOTE = 0x22;
const DOT = 0x2e;
const MINUS = 0x2d;
/** As many digits are exact in a double, and so is their quotient by a power of ten: the same as Number() of the text. */
const EXACT_DIGITS = 15;
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, i) => 10 ** i);

/** Those behind them are not looked at. */
const MOST_CELLS = 64;

const blank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09;

/** The bounds of one line's cells, without blanks and quotes around them; used again for each line. */
export class Cells {
  readonly #starts = new Int32Array(MOST_CELLS);
  readonly #ends = new Int32Array(MOST_CELLS);
  #bytes: Buffer = Buffer.alloc(0);
  count = 0;

  read(bytes: Buffer, from: number, to: number): void {
    this.#bytes = bytes;
    let count = 0;
    let start = from;
    for (let at = from; at <= to && count < MOST_CELLS; at += 1) {
      if (at < to && bytes[at] !== COMMA) continue;
      let end = at;
      while (start < end && blank(bytes[start])) start += 1;
      while (end > start && blank(bytes[end - 1])) end -= 1;
      if (end - start >= 2 && bytes[start] === QUOTE && bytes[end - 1] === QUOTE) {
        start += 1;
        end -= 1;
      }
      this.#starts[count] = start;
      this.#ends[count] = end;
      count += 1;
      start = at + 1;
    }
    this.count = count;
  }

  /** a cell that is not there is empty */
  isEmpty(index: number): boolean {
    return index >= this.count || this.#starts[index] === this.#ends[index];
  }

  text(index: number): string {
    return index < this.count ? this.#bytes.toString('latin1', this.#starts[index] ?? 0, this.#ends[index] ?? 0) : '';
  }

  /** NaN where it is no finite decimal number. */
  number(index: number): number {
    if (this.isEmpty(index)) return Number.NaN;
    const end = this.#ends[index] ?? 0;
    const first = this.#starts[index] ?? 0;
    const bytes = this.#bytes;
    const negative = bytes[first] === MINUS;
    let whole = 0;
    let digits = 0;
    let behindDot = -1;
    for (let at = negative ? first + 1 : first; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x30 && byte <= 0x39) {
        whole = 10 * whole + (byte - 0x30);
        digits += 1;
        if (behindDot >= 0) behindDot += 1;
      } else if (byte === DOT && behindDot < 0) behindDot = 0;
      else return this.#slow(index);
    }
    if (digits === 0 || digits > EXACT_DIGITS) return this.#slow(index);
    const value = behindDot > 0 ? whole / (POWERS[behindDot] ?? 1) : whole;
    return negative ? -value : value;
  }

  #slow(index: number): number {
    const text = this.text(index);
    return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) && Number.isFinite(Number(text)) ? Number(text) : Number.NaN;
  }
}
