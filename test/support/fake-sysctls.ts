/**
 * The net sysctls of a fake kernel: those of a fresh Debian, but where somebody has set another value. Keys with dots or
 * slashes are the same; keys of a device that is not there do not exist.
 */
export class FakeSysctls {
  readonly #values = new Map<string, string>();
  readonly #hasDevice: (name: string) => boolean;

  constructor(hasDevice: (name: string) => boolean) {
    this.#hasDevice = hasDevice;
  }

  /** what differs from a fresh machine: put back to its former value a key leaves no trace */
  get changed(): ReadonlyMap<string, string> {
    return this.#values;
  }

  get(key: string): string | null {
    const plain = dotted(key);
    const device = deviceOf(plain);
    if (device !== null && device !== 'all' && device !== 'default' && !this.#hasDevice(device)) return null;
    return this.#values.get(plain) ?? freshValue(plain);
  }

  set(key: string, value: string): void {
    const plain = dotted(key);
    if (value === freshValue(plain)) this.#values.delete(plain);
    else this.#values.set(plain, value);
  }

  /** The values go with the device. */
  renameDevice(from: string, to: string): void {
    for (const [key, value] of [...this.#values]) {
      if (deviceOf(key) !== from) continue;
      this.#values.delete(key);
      this.#values.set(key.replace(`.${from}.`, `.${to}.`), value);
    }
  }

  dropDevice(name: string): void {
    for (const key of [...this.#values.keys()]) if (deviceOf(key) === name) this.#values.delete(key);
  }
}

function dotted(key: string): string {
  return key.includes('/') ? key.replaceAll('.', '\u0000').replaceAll('/', '.').replaceAll('\u0000', '/') : key;
}

function deviceOf(key: string): string | null {
  return /^net\.ipv[46]\.(?:conf|neigh)\.(.+)\.[^.]+$/.exec(key)?.[1] ?? null;
}

/** What a fresh Debian has. */
function freshValue(key: string): string {
  if (key === 'net.ipv4.ping_group_range') return '0\t2147483647';
  if (/\.(send_redirects|accept_redirects)$/.test(key)) return '1';
  return key.endsWith('.rp_filter') ? '2' : key === 'net.ipv4.ip_forward' ? '1' : '0';
}
