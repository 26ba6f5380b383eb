/**
 * What the configuration says about telling people and about services that follow the way out. Validated and complete, as
 * config/ hands it on; secrets are never in here, only where they are found.
 */

/** Where a secret is read at the moment of use. Its value never goes into config, log, status, event or argument list. */
export type SecretRef =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'environment'; readonly name: string };

/** Which records a channel tells: changes of an uplink's health, switches, or also everything of severity warning and above. */
export type Topic = 'health' | 'switch' | 'problem';

export interface ChannelConfig {
  /** unique among all channels */
  readonly name: string;
  readonly topics: readonly Topic[];
  /** an undelivered message is given up after this */
  readonly maxAgeMs: number;
  readonly transport: MailConfig | WebhookConfig | MqttConfig;
}

export interface MailConfig {
  readonly kind: 'mail';
  readonly from: string;
  readonly to: readonly string[];
  /** null = the local sendmail program */
  readonly smtp: {
    readonly host: string;
    readonly port: number;
    /** `starttls`: demanded; `tls`: from the first byte; `opportunistic`: taken where offered; `none` */
    readonly tls: 'starttls' | 'tls' | 'opportunistic' | 'none';
    readonly login: { readonly user: string; readonly password: SecretRef } | null;
  } | null;
  /** the local sendmail program; used where `smtp` is null */
  readonly sendmail: string;
}

export interface WebhookConfig {
  readonly kind: 'webhook';
  /** whose ways the message follows: `ntfy`, `slack`, `json` and so on; src/action knows them */
  readonly recipe: string;
  readonly url: string | SecretRef;
  /** null = the recipe's */
  readonly method: 'POST' | 'PUT' | null;
  readonly headers: Readonly<Record<string, string | SecretRef>>;
  /** sent as `Authorization: Bearer …` */
  readonly token: SecretRef | null;
  /** Matrix: the room's id; null with every other recipe */
  readonly room: string | null;
  /** the administrator's own, fields in double braces; null = the recipe's */
  readonly template: string | null;
  /** null = the recipe's */
  readonly contentType: string | null;
}

export interface MqttConfig {
  readonly kind: 'mqtt';
  readonly url: string;
  readonly login: { readonly user: string; readonly password: SecretRef } | null;
  /** topics are `prefix/uplink/NAME`, `prefix/active`, `prefix/availability` */
  readonly prefix: string;
  /** Home Assistant's discovery prefix; null = no discovery */
  readonly discovery: string | null;
}

/** A command without a shell: the program and its arguments. */
export type Argv = readonly string[];

/** Something outside the kernel that has one wanted state per uplink. */
export type FollowerConfig = RelayConfig | FilesConfig | ResolverConfig;

export interface RelayConfig {
  readonly kind: 'mail-relay';
  readonly name: 'mail-relay';
  /** Postfix's configuration directory */
  readonly postfixDirectory: string;
  readonly timeoutMs: number;
  /** by uplink; an uplink that is missing leaves the relay as it is */
  readonly smarthosts: Readonly<Record<string, Smarthost>>;
}

export interface Smarthost {
  /** as Postfix writes it: `[smtp.example.net]:587` */
  readonly relayhost: string;
  readonly host: string;
  readonly port: number;
  readonly login: { readonly user: string; readonly password: SecretRef } | null;
}

export interface FilesConfig {
  readonly kind: 'files';
  readonly name: string;
  readonly copies: Readonly<Record<string, readonly { readonly from: string; readonly to: string }[]>>;
  readonly check: Argv | null;
  readonly reload: Argv | null;
  readonly timeoutMs: number;
}

export interface ResolverConfig {
  readonly kind: 'resolver';
  readonly name: 'resolver';
  readonly how: 'systemd-resolved' | 'dnsmasq' | 'resolv.conf';
  /** dnsmasq: its servers-file; resolv.conf: its path */
  readonly path: string;
  /** dnsmasq: its pid file */
  readonly pidFile: string | null;
  readonly servers: Readonly<Record<string, readonly string[]>>;
  readonly timeoutMs: number;
}

export interface HooksConfig {
  /** every executable in it, in the order of names; null = none */
  readonly directory: string | null;
  readonly commands: readonly Argv[];
  readonly topics: readonly Topic[];
  readonly timeoutMs: number;
}

export interface ServicesConfig {
  readonly channels: readonly ChannelConfig[];
  readonly followers: readonly FollowerConfig[];
  readonly hooks: HooksConfig | null;
}

/** A configuration that tells nobody and lets nothing follow. */
export const noServices: ServicesConfig = { channels: [], followers: [], hooks: null };
