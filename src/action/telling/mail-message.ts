/**
 * A notice as a mail: headers that make one conversation of an outage, and text (RFC 5322, RFC 3834). No field of it, whatever a
 * notice or the configuration holds, can start a header of its own. Knows no server.
 */
import type { Notice } from '../../core/action.js';
import type { MailConfig } from '../../core/services.js';
import { bodyText, subjectLine } from './plain-words.js';

export interface MailMessage {
  readonly from: string;
  readonly to: readonly string[];
  /** the whole message with its headers */
  readonly raw: Buffer;
}

/** `fast <router@example.net>` or the address alone -> the address alone; null = no usable address */
export function addressOf(text: string): string | null {
  const found = /<([^<>]*)>\s*$/.exec(text)?.[1] ?? text;
  const address = found.trim();
  // A blank, a bracket or a control character would end the SMTP command early.
  return /^[^\s<>\p{Cc},;]+$/u.test(address) && !address.startsWith('-') ? address : null;
}

/** @throws where sender or recipients are no addresses */
export async function composeMail(
  config: MailConfig,
  notice: Notice,
  host: string,
  served: readonly string[],
): Promise<MailMessage> {
  const from = demanded(config.from);
  const everybody = config.to.map(demanded);
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer');
  const thread = messageId(notice.thread, host);
  const answers = notice.thread !== notice.id;
  const composer = new MailComposer({
    from: config.from,
    to: [...config.to],
    subject: subjectLine(notice, host),
    messageId: messageId(notice.id, host),
    date: new Date(notice.wallMs),
    ...(answers ? { inReplyTo: thread, references: thread } : {}),
    headers: {
      // RFC 3834: nobody's holiday message shall answer; and it names the machine for filters.
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
      'X-Backroute-Topic': notice.topic,
      ...(notice.severity === 'error' ? { Importance: 'high' } : {}),
    },
    // As written: nodemailer would otherwise flow the lines anew, tables included.
    text: { content: bodyText(notice, host), contentTransferEncoding: 'quoted-printable' },
    newline: 'win',
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const raw = await composer.compile().build();
  return { from, to: everybody.filter((address) => !served.includes(address)), raw };
}

/** `<id@host>`: the same for every attempt, so that a mailbox can tell a duplicate. */
export function messageId(id: string, host: string): string {
  const safe = (text: string): string =>
    text.replace(/[^A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+/g, '-').replace(/^\.+|\.+$/g, '') || 'unnamed';
  return `<${safe(id)}@${safe(host)}>`;
}

function demanded(text: string): string {
  const address = addressOf(text);
  if (address === null) throw new Error(`not a mail address: ${JSON.stringify(text)}`);
  return address;
}
