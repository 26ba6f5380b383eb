/**
 * Sysctls by key, read and written under /proc/sys, synchronously: they are few and never block.
 *
 * A key is written with slashes, `net/ipv4/conf/eth0.5/rp_filter`, because an interface's name may contain dots. The form
 * with dots, `net.ipv4.ip_forward`, is taken as sysctl(8) takes it: the first separator decides, and where that is a dot,
 * dots and slashes change places.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { errnoName, errnoNumber, KernelError } from './error.js';

const ROOT = '/proc/sys/';

/** Path below /proc/sys. Throws a KernelError EINVAL for a key that leaves that tree. */
export function sysctlPath(key: string): string {
  const first = /[./]/.exec(key)?.[0];
  const relative = first === '.' ? key.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.')) : key;
  const parts = relative.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))) {
    throw new KernelError('EINVAL', `sysctl ${key}`);
  }
  return ROOT + relative;
}

function asKernelError(error: unknown, key: string): KernelError {
  if (error instanceof KernelError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
  return new KernelError(errnoNumber(code) === 0 ? errnoName(5) : code, `sysctl ${key}`);
}

/** Trimmed value; null when the key does not exist (interface gone, IPv6 off) or does not belong to one value. */
export function readSysctl(key: string): string | null {
  try {
    return readFileSync(sysctlPath(key), 'utf8').trim();
  } catch (error) {
    const failure = asKernelError(error, key);
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EINVAL'].includes(failure.errno)) return null;
    throw failure;
  }
}

/** Throws a KernelError (ENOENT, EACCES, EINVAL …). */
export function writeSysctl(key: string, value: string): void {
  try {
    // One write call: the kernel takes each as a whole value. Never create: /proc/sys would answer EPERM, confusingly.
    writeFileSync(sysctlPath(key), `${value}\n`, { flag: 'r+' });
  } catch (error) {
    throw asKernelError(error, key);
  }
}
