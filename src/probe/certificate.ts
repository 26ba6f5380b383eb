/**
 * Whether a server's certificate proves that the right server answered, the time left aside: an uplink works as well with
 * an expired certificate or a wrong clock. Knows nothing of HTTP. RFC 5280, RFC 6125 by way of OpenSSL and Node.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';

export type CertificateVerdict =
  | { readonly ok: true; readonly note: string | null }
  | { readonly ok: false; readonly detail: string };

/** X509_verify_cert_error_string's codes that speak of time alone */
const TIME_ERRORS: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** Longer chains are no chains. */
const MAX_CHAIN = 10;

/** For a socket with `rejectUnauthorized: false` after its handshake. `hostname` as the URL has it, without brackets. */
export function judgeCertificate(socket: TLSSocket, hostname: string, trusted: readonly string[]): CertificateVerdict {
  if (socket.authorized) return { ok: true, note: null };
  // The types say Error; what Node stores is the code.
  const code = String(socket.authorizationError);
  if (!TIME_ERRORS.has(code)) return { ok: false, detail: `certificate not accepted: ${code}` };
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return { ok: false, detail: 'the server showed no certificate' };
  // OpenSSL keeps one error, and the check of time comes last: it hides that the issuer is unknown, and Node then does not
  // compare the name at all. Both are made up for here.
  if (!reachesTrusted(leaf, trusted))
    return { ok: false, detail: 'certificate not accepted: out of date, and its issuer is unknown' };
  const named = isIP(hostname) === 0 ? leaf.checkHost(hostname) : leaf.checkIP(hostname);
  if (named === undefined) {
    return { ok: false, detail: `certificate not accepted: out of date, and made out to ${leaf.subjectAltName ?? 'nobody'}` };
  }
  return { ok: true, note: timeNote(leaf, code) };
}

function timeNote(leaf: X509Certificate, code: string): string {
  if (code === 'CERT_NOT_YET_VALID') return `certificate not valid before ${day(leaf.validFrom)}: is the clock right?`;
  return `certificate expired ${day(leaf.validTo)}`;
}

/** From `Jan  1 00:00:00 2026 GMT` */
function day(validity: string): string {
  const date = new Date(validity);
  return Number.isNaN(date.getTime()) ? validity : date.toISOString().slice(0, 10);
}

/** Follows the signatures from the leaf over what the server sent until one of the trusted certificates. */
function reachesTrusted(leaf: X509Certificate, trusted: readonly string[]): boolean {
  const roots = trusted.map((pem) => new X509Certificate(pem));
  let certificate = leaf;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const current = certificate;
    if (roots.some((root) => root.fingerprint256 === current.fingerprint256)) return true;
    if (roots.some((root) => signedBy(current, root))) return true;
    const issuer = current.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === current.fingerprint256) return false;
    if (!issuer.ca || !signedBy(current, issuer)) return false;
    certificate = issuer;
  }
  return false;
}

function signedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
