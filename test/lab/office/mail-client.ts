/**
 * Somebody in the office who sends mail after mail, each in a session of its own, and tells how each was taken as JSON lines.
 * Ends when all have been.
 */
import { createTransport } from 'nodemailer';
import { monotonicMs } from '../../../src/lab/clock.js';

export interface MailClientOptions {
  readonly host: string;
  readonly port: number;
  readonly count: number;
  readonly intervalMs: number;
}

export interface Sent {
  /** from 1; the subject is `mail NUMBER` */
  readonly number: number;
  /** null = the gateway has taken it */
  readonly error: string | null;
  readonly tookMs: number;
  /** CLOCK_MONOTONIC: when that was */
  readonly atMs: number;
}

const { host, port, count, intervalMs } = JSON.parse(process.argv[2] ?? '') as MailClientOptions;
const transport = createTransport({ host, port, secure: false, ignoreTLS: true });

async function send(number: number): Promise<void> {
  const startedMs = performance.now();
  const error = await transport
    .sendMail({ from: 'client@office.test', to: 'someone@far.test', subject: `mail ${number}`, text: 'Good morning.' })
    .then(
      () => null,
      (reason: unknown) => String(reason),
    );
  const sent: Sent = { number, error, tookMs: performance.now() - startedMs, atMs: monotonicMs() };
  process.stdout.write(`${JSON.stringify(sent)}\n`);
}

let number = 0;
const timer = setInterval(() => {
  number += 1;
  void send(number);
  if (number === count) clearInterval(timer);
}, intervalMs);
