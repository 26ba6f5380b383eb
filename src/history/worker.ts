/**
 * The history's thread (worker_threads): takes batches and answers each. history.ts speaks to it; nobody else imports it. The file is
 * opened with the first batch, and again with the next one where that failed: a full or missing disk may be back by then.
 */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { HistoryAnswer, HistoryAsk, HistoryBatch, HistoryBirth } from './batch.js';
import { DamagedHistoryError, NewerHistoryError, openHistoryFile, setAside } from './history-file.js';
import { HISTORY_FILE } from './schema.js';
import { isDamage } from './sqlite.js';
import { HistoryStore } from './store.js';

const birth = workerData as HistoryBirth;
const path = join(birth.directory, HISTORY_FILE);
let damage = birth.setAside;
let told: string | null = null;
let store: HistoryStore | null = null;

parentPort?.on('message', (ask: HistoryAsk) => {
  parentPort?.postMessage(ask.kind === 'write' ? write(ask.batch) : close(ask.batch));
  if (ask.kind === 'close') parentPort?.close();
});

function write(batch: HistoryBatch): HistoryAnswer {
  try {
    store ??= open(batch);
    store.write(batch);
    return written(store.bytes);
  } catch (error) {
    return failed(error);
  }
}

function close(batch: HistoryBatch | null): HistoryAnswer {
  try {
    if (batch !== null) store ??= open(batch);
    store?.close(batch);
    return written(0);
  } catch (error) {
    return failed(error);
  }
}

function written(bytes: number): HistoryAnswer {
  const answer = { kind: 'written', bytes, told } as const;
  told = null;
  return answer;
}

function open(batch: HistoryBatch): HistoryStore {
  if (damage !== null) told = setAside(path, damage, batch.nowMs);
  damage = null;
  const sqlite = openHistoryFile(path, batch.limits);
  try {
    return new HistoryStore(sqlite);
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function failed(error: unknown): HistoryAnswer {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof DamagedHistoryError) return { kind: 'damaged', why: message };
  if (isDamage(error)) return { kind: 'damaged', why: `is damaged (${message})` };
  return { kind: 'failed', message, opened: store !== null, final: error instanceof NewerHistoryError };
}
