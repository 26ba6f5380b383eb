/**
 * The advice as plain text for people; `backroute check` adds the colours. Computes nothing.
 */
import type { Advice, Span, UplinkAdvice } from './advice.js';
import { formatDuration } from './units.js';

/** Lines without a final newline. */
export function formatAdvice(advice: Advice): string {
  const blocks = advice.uplinks.map(formatUplink);
  if (advice.recommendations.length > 0) blocks.push(advice.recommendations.map(({ text }) => `Advice: ${text}`).join('\n'));
  blocks.push(
    `Assumed: answers take ${formatDuration(advice.assumedRttMs)}; failures begin at any moment alike (typical = median). ` +
      'Bytes are those of IP packets in both directions in 30 days, confirm bursts left out.',
  );
  return blocks.join('\n\n');
}

function formatUplink(uplink: UplinkAdvice): string {
  const lines = [
    `${uplink.name} (gateway ${uplink.gateways.join(' and ')})`,
    `  silence is certain after   ${formatSpan(uplink.detected)}`,
    `  traffic leaves it after    ${formatSpan(uplink.switched)} (fail-after ${formatDuration(uplink.failAfterMs)}); carrier loss at once`,
    `  traffic comes back after   ${formatDuration(uplink.recoverAfterMs)} of unbroken health`,
    `  probes                     ${rate(uplink.probesPerMinute)}, ${formatBytes(uplink.bytesPerMonth)} a month, the gateway's included`,
  ];
  for (const target of uplink.targets) {
    lines.push(
      `  target ${target.label}: a missing answer shows after ${formatSpan(target.noticed)}; ${rate(target.probesPerMinute)}, ${formatBytes(target.bytesPerMonth)} a month`,
    );
  }
  for (const { text } of uplink.recommendations) lines.push(`  Advice: ${text}`);
  return lines.join('\n');
}

function rate(perMinute: number): string {
  return perMinute >= 1 ? `${Math.round(perMinute)} a minute` : `${Math.round(perMinute * 60)} an hour`;
}

function formatSpan(span: Span): string {
  return `${formatSeconds(span.typicalMs)} typically, ${formatSeconds(span.worstMs)} at worst`;
}

function formatSeconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}

function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
