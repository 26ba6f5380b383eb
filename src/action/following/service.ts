/**
 * What a transaction needs of a service that follows the way out, whatever it is: things with a name and a text value that can
 * be read, put, checked and reloaded. Everything else (journal, order, rollback) is the transaction's.
 */

/** Values by thing; the names last over restarts, for they stand in the journal. null = the thing is not there. */
export type Things = Readonly<Record<string, string | null>>;

/** Every method throws an Error whose message is one clause for people, without secrets. */
export interface Service {
  /** What the uplink wants; empty = it leaves the service as it is. Changes nothing. */
  want(signal: AbortSignal): Promise<Things>;
  /** What stands now. Changes nothing. */
  read(things: readonly string[]): Promise<Things>;
  /** Makes these things so, each of them whole or not at all; on the way there and on the way back. */
  put(things: Things, done: (thing: string) => void): Promise<void>;
  /** Would the service take what stands now? Changes nothing. */
  check(signal: AbortSignal): Promise<void>;
  /** The service takes it up. @returns what people should know beside, e.g. that it does not run */
  reload(): Promise<string | null>;
  /** After things were read back as wanted: what else proves it. */
  confirm(): Promise<void>;
  /** What is done once after a change that holds. A failure is told, and is no reason to go back. */
  settle(): Promise<void>;
  /** What goes on for a while after a change was told as done; ended by the next wish. */
  linger?(signal: AbortSignal): Promise<void>;
  /** one clause for people: what stands now when all went well */
  readonly goal: string;
  /** for the dry run: what is done after the change, one line each */
  readonly after: readonly string[];
  /** for the dry run: one line on changing this thing; the value may be long or secret */
  tellChange(thing: string, from: string | null, to: string | null): string;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Things of `goal` that stand otherwise. */
export function differing(actual: Things, goal: Things): string[] {
  return Object.keys(goal).filter((thing) => (actual[thing] ?? null) !== goal[thing]);
}
