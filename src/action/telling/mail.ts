/** The mail channel: a notice becomes a mail, which goes to the SMTP server or to the local sendmail. One attempt each. */
import type { Notice } from '../../core/action.js';
import type { MailConfig } from '../../core/services.js';
import type { Attempt, Verdict } from '../verdict.js';
import { composeMail, type MailMessage } from './mail-message.js';
import { sendBySendmail } from './sendmail.js';
import { type SmtpOptions, sendBySmtp } from './smtp.js';

export async function sendMail(config: MailConfig, notice: Notice, attempt: Attempt, options: SmtpOptions): Promise<Verdict> {
  let mail: MailMessage;
  try {
    mail = await composeMail(config, notice, options.host, attempt.served);
  } catch (error) {
    // No server will ever take it.
    return { kind: 'refused', text: error instanceof Error ? error.message : String(error) };
  }
  if (mail.to.length === 0) return { kind: 'delivered', text: 'every recipient has it' };
  if (config.smtp === null) return await sendBySendmail(config.sendmail, mail, attempt, options.limits.wholeMs);
  return await sendBySmtp(config.smtp, mail, attempt, options);
}
