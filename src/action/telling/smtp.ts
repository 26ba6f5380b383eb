/**
 * Hands one mail to an SMTP server (RFC 5321) by way of nodemailer, with a time limit on every step, and says in words what the
 * server answered. Must not know what the mail is about, and lets no secret out.
 */
import { connect, type Socket } from 'node:net';
import type { MailConfig } from '../../core/services.js';
import type { Attempt, Verdict } from '../verdict.js';
import type { MailMessage } from './mail-message.js';
import { answerText, readSecret, redact, SecretError } from './secret.js';

type SmtpServer = NonNullable<MailConfig['smtp']>;

export interface SmtpLimits {
  readonly connectMs: number;
  /** from the connection to the end of greeting and TLS */
  readonly greetingMs: number;
  /** silence of the server in between */
  readonly silenceMs: number;
  readonly wholeMs: number;
}

export const SMTP_LIMITS: SmtpLimits = { connectMs: 15_000, greetingMs: 15_000, silenceMs: 30_000, wholeMs: 60_000 };

export interface SmtpOptions {
  /** what this machine calls itself in EHLO */
  readonly host: string;
  readonly limits: SmtpLimits;
  /** certificate authorities beside those of Node; PEM */
  readonly ca?: readonly string[];
}

/** What nodemailer puts on its errors, as far as it matters here. */
interface SmtpError extends Error {
  readonly code?: string | undefined;
  readonly response?: string | undefined;
  readonly responseCode?: number | undefined;
}

export async function sendBySmtp(
  server: SmtpServer,
  mail: MailMessage,
  attempt: Attempt,
  options: SmtpOptions,
): Promise<Verdict> {
  const where = `${server.host}:${server.port}`;
  let password: string | null = null;
  try {
    password = server.login === null ? null : await readSecret(server.login.password);
  } catch (error) {
    if (error instanceof SecretError) return { kind: 'credentials', text: `the password for ${where}: ${error.message}` };
    throw error;
  }
  const verdict = await new SmtpDelivery(server, mail, attempt, options).run(password);
  const secrets = password === null ? [] : [password];
  return { ...verdict, text: `${where}: ${answerText(redact(verdict.text, secrets, server.login?.user))}` };
}

/** One connection, one mail. */
class SmtpDelivery {
  readonly #server: SmtpServer;
  readonly #mail: MailMessage;
  readonly #attempt: Attempt;
  readonly #options: SmtpOptions;
  #socket: Socket | null = null;
  #handedOver = false;
  #cut: (why: string) => void = () => undefined;

  constructor(server: SmtpServer, mail: MailMessage, attempt: Attempt, options: SmtpOptions) {
    this.#server = server;
    this.#mail = mail;
    this.#attempt = attempt;
    this.#options = options;
  }

  /** Never rejects. */
  async run(password: string | null): Promise<Verdict> {
    const { hurry, stop } = this.#attempt;
    const { wholeMs } = this.#options.limits;
    const cut = new Promise<never>((_, reject) => {
      this.#cut = (why) => reject(new Error(why));
    });
    // Until the mail itself is on its way the server cannot have taken it.
    const onHurry = (): void => {
      if (!this.#handedOver) this.#cut('given up because the way out has changed');
    };
    const onStop = (): void => this.#cut('cut off');
    const limit = setTimeout(() => this.#cut(`no end after ${wholeMs / 1000} s`), wholeMs);
    hurry.addEventListener('abort', onHurry);
    stop.addEventListener('abort', onStop);
    try {
      if (stop.aborted || hurry.aborted) return { kind: 'retry', text: 'not begun' };
      return await Promise.race([this.#converse(password), cut]);
    } catch (error) {
      return verdictOf(error as SmtpError);
    } finally {
      clearTimeout(limit);
      hurry.removeEventListener('abort', onHurry);
      stop.removeEventListener('abort', onStop);
      this.#socket?.destroy();
    }
  }

  async #converse(password: string | null): Promise<Verdict> {
    const { default: SMTPConnection } = await import('nodemailer/lib/smtp-connection');
    const { host, port, tls, login } = this.#server;
    const { limits, ca } = this.#options;
    // A connection of our own: the system resolves the name, the hosts file included, and nothing is cached.
    const socket = await this.#connected();
    const connection = new SMTPConnection({
      connection: socket,
      host,
      port,
      // RFC 5321 4.1.1.1: a name, not whatever the machine is called.
      name: this.#options.host.replace(/[^A-Za-z0-9.-]+/g, '-'),
      secure: tls === 'tls',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'none',
      opportunisticTLS: tls === 'opportunistic',
      greetingTimeout: limits.greetingMs,
      connectionTimeout: limits.greetingMs,
      socketTimeout: limits.silenceMs,
      socketCloseTimeout: 0,
      maxResponseSize: 64 * 1024,
      tls: {
        // RFC 7435: encryption that is taken where offered is better than none, whoever is at the other end.
        rejectUnauthorized: tls !== 'opportunistic',
        minVersion: 'TLSv1.2',
        ...(ca === undefined ? {} : { ca: [...ca] }),
      },
    });
    const failed = new Promise<never>((_, reject) => connection.on('error', reject));
    // Raced below; an error after that has nobody to go to.
    failed.catch(() => undefined);
    const close = (): void => connection.close();
    try {
      const talk = async (): Promise<Verdict> => {
        await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
        if (login !== null && password !== null) await logIn(connection, login.user, password);
        if (this.#attempt.hurry.aborted) return { kind: 'retry', text: 'given up because the way out has changed' };
        this.#handedOver = true;
        const { from, to, raw } = this.#mail;
        const info = await new Promise<Sent>((resolve, reject) => {
          connection.send({ from, to: [...to], size: raw.length }, raw, (error, sent) => (error ? reject(error) : resolve(sent)));
        });
        return sentVerdict(info);
      };
      return await Promise.race([talk(), failed]);
    } finally {
      close();
    }
  }

  #connected(): Promise<Socket> {
    const { host, port } = this.#server;
    const { connectMs } = this.#options.limits;
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, autoSelectFamily: true });
      this.#socket = socket;
      // Between the hands of this function and of nodemailer it must not lack a listener.
      socket.on('error', () => undefined);
      const limit = setTimeout(() => socket.destroy(new Error(`no connection after ${connectMs / 1000} s`)), connectMs);
      socket.once('error', reject);
      socket.once('close', () => clearTimeout(limit));
      socket.once('connect', () => {
        clearTimeout(limit);
        socket.off('error', reject);
        resolve(socket);
      });
    });
  }
}

interface Sent {
  readonly accepted: readonly string[];
  readonly rejected: readonly string[];
  readonly rejectedErrors?: readonly SmtpError[] | undefined;
  readonly response: string;
}

interface CanLogIn {
  login(auth: { user: string; pass: string }, done: (error: SmtpError | null) => void): void;
}

function logIn(connection: CanLogIn, user: string, password: string): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.login({ user, pass: password }, (error) => (error ? reject(error) : resolve()));
  });
}

/** Some of several recipients may have been refused while the others have the mail. */
function sentVerdict({ accepted, rejected, rejectedErrors = [], response }: Sent): Verdict {
  if (rejected.length === 0) return { kind: 'delivered', text: response };
  const answers = rejectedErrors.map((error) => error.response ?? error.message).join('; ');
  return {
    kind: 'retry',
    text: `delivered to ${accepted.join(', ')}, but not to ${rejected.join(', ')}: ${answers}`,
    served: [...accepted],
  };
}

/** RFC 5321 4.2.1: 4yz may work later, 5yz will not. What comes before the mail is about this machine, not about the mail. */
export function verdictOf(error: SmtpError): Verdict {
  const text = error.response ?? error.message;
  const status = error.responseCode ?? 0;
  if (error.code === 'EAUTH') {
    // 454: the server itself has trouble (RFC 4954 4).
    if (status >= 400 && status < 500) return { kind: 'retry', text: `login: ${text}` };
    return { kind: 'credentials', text: `the login was refused: ${text}` };
  }
  if (status === 530 || status === 535) return { kind: 'credentials', text: `the server wants a login: ${text}` };
  const aboutTheMail = ['EENVELOPE', 'EMESSAGE'].includes(error.code ?? '');
  // 503 says that the conversation went wrong, and 552 on RCPT means too many (RFC 5321 4.5.3.1.10).
  if (aboutTheMail && status >= 500 && status !== 503) return { kind: 'refused', text };
  if (error.code === 'EMESSAGE' && status === 0) return { kind: 'refused', text };
  return { kind: 'retry', text };
}
