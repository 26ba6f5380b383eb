/**
 * Appends lines to a file beside the caller: batched, bounded in memory and on disk, never throwing, never awaited.
 * A full or slow disk is told once and costs lines at worst. Knows nothing of what the lines mean.
 */
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface BatchedFileOptions {
  readonly path: string;
  /** a file that would grow beyond this becomes `path.1`; null = another program rotates it */
  readonly rotateBytes: number | null;
  /** mode of a new file; 0640 where left out */
  readonly mode?: number;
  /** lines waiting for the disk beyond this many bytes are dropped, the oldest first; 256 KiB where left out */
  readonly maxPendingBytes?: number;
  /** Trouble began (text) or ended (null). Called once per change, not once per line. */
  readonly onTrouble: (message: string | null) => void;
}

const RETRY_MS = 5_000;

export class BatchedFile {
  readonly #options: BatchedFileOptions;
  readonly #maxPendingBytes: number;
  #pending: string[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #failed = false;
  #closed = false;

  constructor(options: BatchedFileOptions) {
    this.#options = options;
    this.#maxPendingBytes = options.maxPendingBytes ?? 256 * 1024;
  }

  /** `line` without its newline. Returns at once; the write starts in this turn of the event loop at the earliest. */
  append(line: string): void {
    if (this.#closed) return;
    const text = `${line.replaceAll('\n', ' ')}\n`;
    this.#pending.push(text);
    this.#pendingBytes += Buffer.byteLength(text);
    while (this.#pendingBytes > this.#maxPendingBytes && this.#pending.length > 1) {
      this.#pendingBytes -= Buffer.byteLength(this.#pending.shift() ?? '');
      this.#dropped += 1;
    }
    // After a failure the retry timer paces: a full disk is not asked anew for every line.
    if (this.#retry === null) this.#start();
  }

  /** Lines that were lost because the disk did not take them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Resolves when everything appended before has been tried once; never rejects. */
  async flush(): Promise<void> {
    if (this.#retry !== null) {
      clearTimeout(this.#retry);
      this.#retry = null;
    }
    this.#start();
    while (this.#writing !== null) await this.#writing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
  }

  #start(): void {
    if (this.#writing !== null || this.#pending.length === 0) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      try {
        await this.#writeBatch(batch.join(''));
        if (this.#failed) this.#options.onTrouble(null);
        this.#failed = false;
      } catch (error) {
        this.#keepForLater(batch);
        if (!this.#failed) this.#options.onTrouble(`${this.#options.path}: ${messageOf(error)}`);
        this.#failed = true;
        if (!this.#closed) this.#retryLater();
        return;
      }
    }
  }

  #keepForLater(batch: string[]): void {
    this.#pending = [...batch, ...this.#pending];
    this.#pendingBytes = this.#pending.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
  }

  #retryLater(): void {
    if (this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#start();
    }, RETRY_MS);
    this.#retry.unref();
  }

  /** Opened anew for each batch, so that a file moved away by logrotate is not written to for ever. */
  async #writeBatch(text: string): Promise<void> {
    const { path, rotateBytes } = this.#options;
    let file = await this.#open();
    try {
      let { size } = await file.stat();
      if (rotateBytes !== null && size > 0 && size + Buffer.byteLength(text) > rotateBytes) {
        await file.close();
        await rename(path, `${path}.1`);
        file = await this.#open();
        size = 0;
      }
      try {
        // A last line torn by a crash must not swallow the first new one.
        const glue = (await endsInNewline(file, size)) ? '' : '\n';
        await file.appendFile(glue + text);
      } catch (error) {
        // A full disk takes half a line: take it back, the batch will be tried whole.
        await file.truncate(size).catch(() => undefined);
        throw error;
      }
    } finally {
      await file.close().catch(() => undefined);
    }
  }

  async #open(): Promise<FileHandle> {
    const { path, mode = 0o640 } = this.#options;
    try {
      return await open(path, 'a+', mode);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true });
      return await open(path, 'a+', mode);
    }
  }
}

async function endsInNewline(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 0 || buffer[0] === 0x0a;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
