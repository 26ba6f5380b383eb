/** Names for kernel operations: a key, the same for the same wish, and words for a refusal. Knows nothing of plans. */
import type { KernelOp } from '../kernel.js';

export function opKey(op: KernelOp): string {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append':
    case 'route-delete':
      return `${op.op}/${op.route.family}/${op.route.table}/${op.route.metric}/${op.route.nexthops.map((n) => `${n.gateway}@${n.ifindex}`).join()}`;
    case 'rule-add':
    case 'rule-delete':
      return `${op.op}/${op.rule.family}/${op.rule.table}/${op.rule.priority}`;
    case 'sysctl-set':
      return `${op.op}/${op.key}`;
    case 'neighbour-delete':
      return `${op.op}/${op.address}`;
    case 'nft-table':
      return op.op;
  }
}

export function opText(op: KernelOp): string {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append':
    case 'route-delete': {
      const via = op.route.nexthops.map((n) => n.gateway ?? 'on-link').join(', ');
      const verb = op.op === 'route-delete' ? 'to delete' : 'to set';
      return `${verb} the ${op.route.type === 'unicast' ? `default route via ${via}` : 'guard'} in table ${op.route.table}`;
    }
    case 'rule-add':
      return `to add rule ${op.rule.priority}`;
    case 'rule-delete':
      return `to delete rule ${op.rule.priority}`;
    case 'sysctl-set':
      return `to set ${op.key} to ${op.value}`;
    case 'neighbour-delete':
      return `to delete the neighbour ${op.address}`;
    case 'nft-table':
      return 'the nftables table';
  }
}
