/**
 * The advice as plain text for people; `backroute check` adds the colours. Computes nothing.
 */
import type { Advice, MeteredAdvice, Span, UplinkAdvice } from './advice.js';
import { formatBytes, formatDuration, formatPercent } from './units.js';

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
  const learned = `learned, ${formatDuration(uplink.patienceAtMostMs)} at most`;
  const failAfter = uplink.failAfterMs === null ? learned : formatDuration(uplink.failAfterMs);
  const recoverAfter =
    uplink.recoverAfterMs === null
      ? 'as much unbroken health as its recoveries teach'
      : `${formatDuration(uplink.recoverAfterMs)} of unbroken health`;
  const lines = [
    `${uplink.name} (gateway ${[...new Set(uplink.gateways)].join(' and ')})`,
    `  silence is certain after   ${formatSpan(uplink.detected)}`,
    `  traffic leaves it after    ${formatSpan(uplink.switched)} (fail-after ${failAfter}); carrier loss at once`,
    `  traffic comes back after   ${recoverAfter}`,
    `  probes                     ${rate(uplink.probesPerMinute)}, ${formatBytes(uplink.bytesPerMonth)} a month, the gateway's included`,
  ];
  if (uplink.share !== null)
    lines.push(
      `  carries                    ${formatPercent(Math.round(uplink.share * 1000) / 1000)} of the new connections of its tier`,
    );
  if (uplink.metered !== null) lines.push(`  costs money                ${formatMetered(uplink.metered)}`);
  for (const target of uplink.targets) {
    lines.push(
      `  target ${target.label}: a missing answer shows after ${formatSpan(target.noticed)}; ${rate(target.probesPerMinute)}, ${formatBytes(target.bytesPerMonth)} a month`,
    );
  }
  for (const { text } of uplink.recommendations) lines.push(`  Advice: ${text}`);
  return lines.join('\n');
}

function formatMetered({ probeBudgetBytes, capBytes, intervalMs }: MeteredAdvice): string {
  const cap = capBytes === null ? 'no cap' : `at most ${formatBytes(capBytes)} a month`;
  const probes = `its probes ${formatBytes(probeBudgetBytes)} a month, enough for one every ${formatDuration(intervalMs)} to each target`;
  return `${cap}; ${probes}`;
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
