/** Which boot of the kernel this is: what was remembered of an earlier one is void. Throws nothing. */
import { readFileSync } from 'node:fs';

/** proc_sys_kernel(5): a UUID, new with every boot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
