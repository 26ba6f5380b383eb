/**
 * The one error this adapter throws: errno by name and, where the kernel gave one, its own sentence.
 * Knows nothing of what was being attempted; the caller says that.
 */
import { constants } from 'node:os';

const names = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  // EAGAIN and EWOULDBLOCK, ENOTSUP and EOPNOTSUPP share a number: errno(3)'s usual name wins.
  if (name !== 'EWOULDBLOCK' && name !== 'ENOTSUP') names.set(value, name);
}
// The kernel lets its internal ENOTSUPP out to userspace in places; libc has no name for it.
names.set(524, 'EOPNOTSUPP');

/** `2` -> `ENOENT`; a number without a name becomes `E<number>`. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `E${errno}`;
}

/** `ENOENT` -> `2`; 0 for a name this system does not have. */
export function errnoNumber(name: string): number {
  return (constants.errno as Record<string, number>)[name] ?? 0;
}

export class KernelError extends Error {
  override readonly name = 'KernelError';
  /** e.g. `EEXIST`; `EPROTO` for an answer that could not be understood */
  readonly errno: string;
  /** the kernel's own text (NETLINK_EXT_ACK), or null */
  readonly kernelText: string | null;

  /** @param doing what failed, e.g. `route dump`; stands before the errno in the message */
  constructor(errno: string, doing: string, kernelText: string | null = null) {
    super(kernelText === null ? `${doing}: ${errno}` : `${doing}: ${errno}: ${kernelText}`);
    this.errno = errno;
    this.kernelText = kernelText;
  }

  /** The same word under the name that Node's own system errors use. */
  get code(): string {
    return this.errno;
  }
}
