/** One line on the terminal that says how far it is. Writes nothing where nobody looks. */

const WIDTH = 30;
const EVERY_MS = 100;

export class Progress {
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly write: ((text: string) => void) | null,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** @param share 0..1 */
  tell(what: string, share: number): void {
    if (this.write === null || this.nowMs() < this.#shownAtMs + EVERY_MS) return;
    this.#shownAtMs = this.nowMs();
    const done = Math.round(WIDTH * Math.min(1, Math.max(0, share)));
    const percent = `${Math.floor(100 * share)}`.padStart(3);
    this.write(`\r[${'='.repeat(done)}${' '.repeat(WIDTH - done)}] ${percent} %  ${what.slice(0, WIDTH)}\x1b[K`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.write !== null && Number.isFinite(this.#shownAtMs)) this.write('\r\x1b[K');
    this.#shownAtMs = Number.NEGATIVE_INFINITY;
  }
}
