/**
 * A systemd unit file as its settings say (systemd.syntax(7)), as far as ours goes: no line continuation, no specifiers.
 */

export type Section = Readonly<Record<string, readonly string[]>>;

/** Section -> setting -> values in the order of their lines. */
export function parseUnit(text: string): Readonly<Record<string, Section>> {
  const sections: Record<string, Record<string, string[]>> = {};
  let current: Record<string, string[]> = {};
  for (const line of text.split('\n')) {
    const header = /^\[(\w+)\]$/.exec(line)?.[1];
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (header !== undefined) {
      current = sections[header] ?? {};
      sections[header] = current;
    } else if (key !== undefined && value !== undefined) current[key] = [...(current[key] ?? []), value];
    else if (line !== '' && !line.startsWith('#')) throw new Error(`not a unit's line: ${line}`);
  }
  return sections;
}

/** The one value of a setting, null where it is not set. Throws where it is set twice. */
export function single(section: Section, key: string): string | null {
  const values = section[key] ?? [];
  if (values.length > 1) throw new Error(`${key} is set ${values.length} times`);
  return values[0] ?? null;
}

/** All words of a setting's lines. */
export function words(section: Section, key: string): string[] {
  return (section[key] ?? []).flatMap((value) => value.split(/\s+/)).filter((word) => word !== '');
}

export function isOn(section: Section, key: string): boolean {
  return single(section, key) === 'yes';
}

/**
 * The system calls that SystemCallFilter= leaves (systemd.exec(5)), without it all: lines with `~` take away from what earlier ones allow.
 * @param sets what `systemd-analyze syscall-filter` prints: each set's members, other sets among them
 */
export function allowedCalls(section: Section, sets: ReadonlyMap<string, readonly string[]>): Set<string> {
  const expand = (name: string): string[] => (name.startsWith('@') ? (sets.get(name) ?? missing(name)).flatMap(expand) : [name]);
  // Always allowed, whatever the filter says.
  const allowed = new Set(expand(section.SystemCallFilter === undefined ? '@known' : '@default'));
  for (const line of section.SystemCallFilter ?? []) {
    const without = line.startsWith('~');
    for (const call of line.replace('~', '').split(/\s+/).flatMap(expand)) {
      if (without) allowed.delete(call);
      else allowed.add(call);
    }
  }
  return allowed;
}

/** Reads `systemd-analyze syscall-filter`. */
export function parseCallSets(text: string): Map<string, readonly string[]> {
  const sets = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of text.split('\n')) {
    const word = line.trim();
    if (word === '' || word.startsWith('#')) continue;
    if (line.startsWith('@')) {
      current = [];
      sets.set(word, current);
    } else if (line.startsWith(' ')) current.push(word);
  }
  return sets;
}

function missing(name: string): never {
  throw new Error(`systemd-analyze knows no set ${name}`);
}
