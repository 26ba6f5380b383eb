/**
 * Whether answers and losses take turns, as where somebody answers only so many questions a second: what is lost then is lost because so
 * much is asked. An outage loses one after the other instead. Knows neither targets nor time.
 */

/** So many outcomes are looked at, in the order in which they are known. */
const OUTCOMES = 60;
/** So many turns among them are no outages any more, nor a few lost packets (21 % by chance make as many). */
const MANY_TURNS = 20;

export class Turns {
  #last: boolean | null = null;
  /** of the last outcomes, whether each was another one than that before it */
  #turned: boolean[] = [];

  note(answered: boolean): void {
    this.#turned.push(this.#last !== null && this.#last !== answered);
    if (this.#turned.length > OUTCOMES) this.#turned.shift();
    this.#last = answered;
  }

  /** So many in a row went alike. */
  noteAll(answered: boolean, count: number): void {
    for (let left = Math.min(count, OUTCOMES + 1); left > 0; left -= 1) this.note(answered);
  }

  get areMany(): boolean {
    return this.#turned.filter(Boolean).length >= MANY_TURNS;
  }
}
