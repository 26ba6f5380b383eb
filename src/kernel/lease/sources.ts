/**
 * Where leases lie on a machine, and how each kind of place is read. One function per kind: folder in, words out.
 * Knows nothing of what was said before, of time, or of events.
 */
import { parseDhclientLeases } from './dhclient.js';
import { type FolderFile, type FolderReading, type FolderRules, readFolder } from './folder.js';
import { HintError, parseHint, parseSystemdLease } from './key-value.js';
import { isInterfaceName, type LeaseWord, wordKey } from './word.js';

export interface SourceReading {
  readonly words: readonly LeaseWord[];
  readonly problems: readonly string[];
  /** false: what is missing here may still hold */
  readonly complete: boolean;
}

export interface LeaseSource {
  readonly folder: string;
  /** files are put in place whole, by rename: what is gone is gone. Else they may be seen while they are rewritten */
  readonly atomic: boolean;
  read(): Promise<SourceReading>;
}

const KIB = 1024;
const HINTS: FolderRules = { matches: (name) => !name.startsWith('.'), maxBytes: 4 * KIB, whole: true, strict: true };
/** A lease is some 700 bytes; dhclient begins its file anew at each start. */
const DHCLIENT = { maxBytes: 1024 * KIB, whole: false, strict: false };
const SYSTEMD = { maxBytes: 64 * KIB, whole: true, strict: false };
/** NetworkManager puts a connection's UUID between the client's name and the interface. */
const NETWORK_MANAGER_FILE = /^(internal|dhclient)-[0-9a-f-]{36}-(.+)\.lease$/;

export function hintSource(folder: string): LeaseSource {
  return {
    folder,
    atomic: true,
    async read() {
      const reading = await readFolder(folder, HINTS);
      return wordsOf(reading, (file) => [parseHint(file.text)]);
    },
  };
}

export function dhclientSource(folder: string): LeaseSource {
  const rules: FolderRules = { ...DHCLIENT, matches: (name) => /\.leases?$/.test(name) };
  return {
    folder,
    atomic: false,
    async read() {
      return wordsOf(await readFolder(folder, rules), (file) => parseDhclientLeases(file.text, "dhclient's lease"));
    },
  };
}

/** @param interfaceName null = there is no such interface (yet) */
export function networkdSource(folder: string, interfaceName: (ifindex: number) => string | null): LeaseSource {
  const rules: FolderRules = { ...SYSTEMD, matches: (name) => /^\d{1,9}$/.test(name) };
  return {
    folder,
    atomic: true,
    async read() {
      return wordsOf(await readFolder(folder, rules), (file) => {
        const name = interfaceName(Number(file.name));
        return name === null ? [] : systemdWords(file, name, "networkd's lease");
      });
    },
  };
}

/** Mostly for root alone; the routes that NetworkManager sets have a metric and are seen anyway: no right to read is no problem. */
export function networkManagerSource(folder: string): LeaseSource {
  const rules: FolderRules = { ...DHCLIENT, matches: (name) => NETWORK_MANAGER_FILE.test(name) };
  const source = "NetworkManager's lease";
  return {
    folder,
    atomic: false,
    async read() {
      const { problems, ...reading } = await readFolder(folder, rules);
      const words = wordsOf({ ...reading, problems: [] }, (file) => {
        const [, client, name = ''] = NETWORK_MANAGER_FILE.exec(file.name) ?? [];
        if (client === 'internal') return systemdWords(file, name, source);
        return parseDhclientLeases(file.text, source);
      });
      return { ...words, problems: problems.filter((one) => !/: (EACCES|EPERM)$/.test(one)) };
    },
  };
}

function systemdWords(file: FolderFile, name: string, source: string): LeaseWord[] {
  const word = isInterfaceName(name) ? parseSystemdLease(file.text, name, source, file.writtenWallMs) : null;
  return word === null ? [] : [word];
}

/** Where several files speak of the same, the one written last is right. */
function wordsOf(reading: FolderReading, parse: (file: FolderFile) => readonly LeaseWord[]): SourceReading {
  const problems = [...reading.problems];
  const words = new Map<string, LeaseWord>();
  for (const file of reading.files.toSorted((a, b) => a.writtenWallMs - b.writtenWallMs)) {
    try {
      for (const word of parse(file)) words.set(wordKey(word), word);
    } catch (error) {
      if (!(error instanceof HintError)) throw error;
      problems.push(`${file.path} is not heeded: ${error.message}`);
    }
  }
  return { words: [...words.values()], problems, complete: reading.complete };
}
