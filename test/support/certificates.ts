/**
 * X.509 certificates made on the spot, with whatever dates and names a test wants. No files, no keys in the repository,
 * no openssl. RFC 5280, DER as in X.690.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly name: string;
  /** null = signed by itself */
  readonly issuer: (Issued & { readonly name: string }) | null;
  readonly from: Date;
  readonly to: Date;
  readonly ca?: boolean;
  /** subjectAltName dNSName */
  readonly hosts?: readonly string[];
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const OID_ECDSA_SHA256 = oid('2a8648ce3d040302');
const OID_COMMON_NAME = oid('550403');
const OID_BASIC_CONSTRAINTS = oid('551d13');
const OID_ALT_NAME = oid('551d11');
const TRUE = der(0x01, Buffer.from([0xff]));

function distinguishedName(name: string): Buffer {
  return sequence(der(0x31, sequence(OID_COMMON_NAME, der(0x0c, Buffer.from(name)))));
}

/** GeneralizedTime */
function time(date: Date): Buffer {
  return der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

let lastSerial = 0;

export function issueCertificate(options: CertificateOptions): Issued {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer: KeyObject = options.issuer === null ? privateKey : createPrivateKey(options.issuer.key);
  const extensions = [sequence(OID_BASIC_CONSTRAINTS, TRUE, der(0x04, options.ca === true ? sequence(TRUE) : sequence()))];
  if (options.hosts !== undefined) {
    const names = options.hosts.map((host) => der(0x82, Buffer.from(host)));
    extensions.push(sequence(OID_ALT_NAME, der(0x04, sequence(...names))));
  }
  lastSerial++;
  const algorithm = sequence(OID_ECDSA_SHA256);
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([lastSerial])),
    algorithm,
    distinguishedName(options.issuer?.name ?? options.name),
    sequence(time(options.from), time(options.to)),
    distinguishedName(options.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', toBeSigned, signer);
  return {
    certificate: pem('CERTIFICATE', sequence(toBeSigned, algorithm, der(0x03, Buffer.from([0]), signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
