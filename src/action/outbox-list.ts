/** What lies in the outbox, as people and programs see it: from the running program, or from the files alone. No secrets. */
import type { Lane } from './outbox-lane.js';
import { type Found, OutboxStore } from './outbox-store.js';

export interface OutboxEntry {
  readonly sequence: number;
  readonly channel: string;
  readonly id: string;
  readonly subject: string;
  /** Unix ms */
  readonly queuedWallMs: number;
  /** `memory`: the disk does not take it */
  readonly state: 'waiting' | 'memory' | 'refused';
  /** since this program started; null = not known, as when only the files were read */
  readonly attempts: number | null;
  /** what the last attempt met; null = none failed, or not known */
  readonly failure: string | null;
}

/** What a directory holds, without a daemon and without changing anything. @throws where it cannot be read */
export async function listOutbox(directory: string): Promise<{ entries: OutboxEntry[]; problems: readonly string[] }> {
  const { waiting, refused, problems } = await new OutboxStore(directory).load({ tidy: false });
  return { entries: [...listFound(waiting, 'waiting'), ...listFound(refused, 'refused')], problems };
}

export function listFound(found: readonly Found[], state: 'waiting' | 'refused'): OutboxEntry[] {
  return found.map(({ sequence, message }) => ({
    sequence,
    channel: message.channel,
    id: message.notice.id,
    subject: message.notice.subject,
    queuedWallMs: message.queuedWallMs,
    state,
    attempts: null,
    failure: message.refused?.text ?? null,
  }));
}

/** In the order of arrival. */
export function listLanes(lanes: readonly Lane[]): OutboxEntry[] {
  const entries = lanes.flatMap((lane) =>
    lane.entries.map((entry, index) => ({
      sequence: entry.sequence,
      channel: entry.channel,
      id: entry.noticeId,
      subject: entry.subject,
      queuedWallMs: entry.queuedWallMs,
      state: entry.text === null ? ('waiting' as const) : ('memory' as const),
      attempts: entry.attempts,
      failure: index === 0 ? (lane.lastFailure?.text ?? null) : null,
    })),
  );
  return entries.sort((a, b) => a.sequence - b.sequence);
}

/** One sentence for each channel whose messages cannot go, those that a person has to cure first. */
export function laneProblems(lanes: readonly Lane[]): string[] {
  const rank = (lane: Lane): number => (lane.lastFailure?.kind === 'credentials' ? 0 : 1);
  return lanes
    .filter((lane) => lane.entries.length > 0)
    .sort((a, b) => rank(a) - rank(b))
    .flatMap((lane) => {
      const waiting = lane.entries.length === 1 ? '1 message waits' : `${lane.entries.length} messages wait`;
      if (!lane.configured) return [`${waiting} for ${lane.name}, which is no longer configured`];
      return lane.lastFailure === null ? [] : [`${waiting} for ${lane.name}: ${lane.lastFailure.text}`];
    });
}

/** @param refused those recent enough to be shown */
export function refusedProblems(refused: readonly Found[]): string[] {
  const latest = refused.at(-1)?.message;
  if (latest === undefined) return [];
  const many = refused.length === 1 ? '1 message was' : `${refused.length} messages were`;
  return [`${many} refused for good, the last by ${latest.channel}: ${latest.refused?.text ?? 'no answer kept'}`];
}
