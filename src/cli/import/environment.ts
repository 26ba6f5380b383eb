/**
 * The constants that a script has set so far, and why a value is not known. Knows nothing of syntax.
 */

export interface Value {
  /** null = only a shell could know */
  readonly value: string | null;
  /** why the value is null, as a clause that follows the text */
  readonly unknown: string | null;
}

/** Parts side by side: one unknown part makes the whole unknown. */
export function joined(parts: readonly Value[]): Value {
  const unknown = parts.find((part) => part.value === null);
  if (unknown !== undefined) return { value: null, unknown: unknown.unknown };
  const length = parts.reduce((sum, part) => sum + (part.value?.length ?? 0), 0);
  if (length > MAX_LENGTH) return { value: null, unknown: 'it is too long' };
  return { value: parts.map((part) => part.value ?? '').join(''), unknown: null };
}

/** Values that grow by naming each other would fill the memory. */
const MAX_LENGTH = 4_096;

export class Environment {
  readonly #values = new Map<string, Value>();
  readonly #used = new Set<string>();
  readonly #assumed: { readonly name: string; readonly value: Value }[] = [];

  /** null = never set */
  get(name: string): Value | null {
    this.#used.add(name);
    return this.#values.get(name) ?? null;
  }

  /** Whether another line has asked for it. */
  isUsed(name: string): boolean {
    return this.#used.has(name);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, { value: value.value, unknown: value.unknown });
  }

  /** `${x:=y}`: an expansion that sets what it expands. */
  assume(name: string, value: Value): void {
    this.set(name, value);
    this.#assumed.push({ name, value });
  }

  /** What was assumed since the last call. */
  takeAssumed(): readonly { readonly name: string; readonly value: Value }[] {
    return this.#assumed.splice(0);
  }
}
