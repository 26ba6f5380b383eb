/**
 * What an HTTP response says about the way to its server. Pure: a status, a Location and a question in, a verdict out.
 * RFC 9110 section 15.4 (redirection), RFC 6585 section 6 (511).
 */
import type { Failure } from './errors.js';

/**
 * A Failure, or null: the status is an answer. In this order:
 * 511, and a redirect to another host (whatever `statuses` says): `portal`. Ports and http/https do not make another host.
 * `statuses` given: those and no others. Not given: 2xx, and a redirect within the same host, for it is the server who speaks.
 */
export function judgeStatus(status: number, location: string | undefined, url: URL, statuses: readonly number[]): Failure | null {
  if (status === 511) return { reason: 'portal', detail: 'status 511: the network wants a login' };
  const redirects = status >= 300 && status < 400 && location !== undefined;
  if (redirects) {
    if (!URL.canParse(location, url.href)) return { reason: 'bad-answer', detail: `status ${status} to no URL` };
    const to = new URL(location, url.href);
    if (hostOf(to) !== hostOf(url)) return { reason: 'portal', detail: `status ${status} to ${to.host}` };
  }
  const accepted = statuses.length > 0 ? statuses.includes(status) : (status >= 200 && status < 300) || redirects;
  return accepted ? null : { reason: 'bad-status', detail: `status ${status}` };
}

/** `Example.org.` is `example.org`; URL has lowered the case already. */
function hostOf(url: URL): string {
  return url.hostname.replace(/\.$/, '');
}
