/**
 * What was found of the old way of switching: the facts that go into a configuration, what has to go, and every line that
 * could not be carried over, with the reason. Types and the small rules of filling them; knows no syntax.
 */

export interface Origin {
  /** as the user named it */
  readonly file: string;
  /** from 1 */
  readonly line: number;
  /** the line as it stands there */
  readonly text: string;
}

export interface Remark {
  readonly origin: Origin;
  /** a clause or two, without a full stop */
  readonly why: string;
}

export interface Found<T> {
  readonly value: T;
  readonly origin: Origin;
}

export type Side = 'fast' | 'backup';
export const SIDES: readonly Side[] = ['fast', 'backup'];

export interface Copy {
  readonly from: string;
  readonly to: string;
}

export interface HostRoute {
  readonly destination: string;
  readonly gateway: string;
}

/** What has one value. A later line wins, as in the shell. */
export interface Facts {
  gateway: Readonly<Record<Side, Found<string> | null>>;
  interface: Readonly<Record<Side, Found<string> | null>>;
  targets: Readonly<Record<Side, Found<readonly string[]> | null>>;
  smarthost: Readonly<Record<Side, Found<string> | null>>;
  log: Found<string> | null;
  mailTo: Found<readonly string[]> | null;
  mailFrom: Found<string> | null;
  reload: Found<readonly string[]> | null;
}

export class OldWay {
  readonly facts: Facts = {
    gateway: { fast: null, backup: null },
    interface: { fast: null, backup: null },
    targets: { fast: null, backup: null },
    smarthost: { fast: null, backup: null },
    log: null,
    mailTo: null,
    mailFrom: null,
    reload: null,
  };
  readonly copies: Record<Side, Found<Copy>[]> = { fast: [], backup: [] };
  /** mail server's files by the names of their variables, until pairs are made of them */
  readonly files: { readonly name: string; readonly side: Side | null; readonly stem: string; readonly found: Found<string> }[] =
    [];
  readonly hostRoutes: Found<HostRoute>[] = [];
  /** lines of cron: the command, as far as it can be read */
  readonly cron: Found<string>[] = [];
  readonly left: Remark[] = [];

  leave(origin: Origin, why: string): void {
    const same = this.left.find((remark) => remark.origin.file === origin.file && remark.origin.line === origin.line);
    if (same === undefined) this.left.push({ origin, why });
    else if (!same.why.split('; ').includes(why)) this.left[this.left.indexOf(same)] = { origin, why: `${same.why}; ${why}` };
  }

  /** The newer of two values; the older one's line is told. */
  newer<T>(older: Found<T> | null, found: Found<T>): Found<T> {
    if (older !== null && JSON.stringify(older.value) !== JSON.stringify(found.value)) {
      this.leave(older.origin, `line ${found.origin.line} of ${found.origin.file} sets it anew`);
    }
    return found;
  }

  /** Null, or why it is left. */
  addCopy(side: Side, found: Found<Copy>): string | null {
    const { from, to } = found.value;
    const list = this.copies[side];
    if (from === to) return 'it copies a file over itself';
    const other = list.find(({ value }) => value.to === to);
    if (other === undefined) list.push(found);
    else if (other.value.from !== from) return `line ${other.origin.line} copies ${other.value.from} to the same file already`;
    return null;
  }

  /** Whether anything was found that only an old script of this kind has. */
  get known(): boolean {
    const { gateway, targets } = this.facts;
    return gateway.fast !== null || gateway.backup !== null || targets.fast !== null;
  }
}
