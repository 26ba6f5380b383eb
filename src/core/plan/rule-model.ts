/**
 * When two policy rules are one to Linux, as pure functions: what an addition meets and what a deletion takes (rule_exists and
 * rule_find, net/core/fib_rules.c; fib4_rule_compare). Part of the kernel model; knows no ownership. Seen on kernel 6.18.
 */
import type { RuleState } from '../kernel.js';

export function sameRule(a: RuleState, b: RuleState): boolean {
  return ruleIsThere(a, b) && a.source === b.source && a.destination === b.destination;
}

/**
 * Whether the kernel refuses `added` for the sake of `there` (rule_exists): a network that the new rule
 * does not name fits every one, so a rule cannot be widened beside its narrower self.
 */
export function ruleIsThere(there: RuleState, added: RuleState): boolean {
  return (
    there.family === added.family &&
    there.priority === added.priority &&
    there.action === added.action &&
    there.table === added.table &&
    there.mark === added.mark &&
    there.mask === added.mask &&
    there.protocol === added.protocol &&
    there.incoming === added.incoming &&
    there.ipProtocol === added.ipProtocol &&
    samePorts(there, added) &&
    there.suppress === added.suppress &&
    there.other === added.other &&
    (added.source === undefined || there.source === added.source) &&
    (added.destination === undefined || there.destination === added.destination)
  );
}

/** Whether a deletion fits (rule_find): what it does not name fits everything. The first that fits goes. */
export function deletionTakes(there: RuleState, gone: RuleState): boolean {
  return (
    there.family === gone.family &&
    there.priority === gone.priority &&
    there.action === gone.action &&
    there.other === gone.other &&
    (gone.table === 0 || there.table === gone.table) &&
    (gone.mark === 0 || there.mark === gone.mark) &&
    (gone.mask === 0 || there.mask === gone.mask) &&
    (gone.protocol === 0 || there.protocol === gone.protocol) &&
    (gone.incoming === undefined || there.incoming === gone.incoming) &&
    (gone.ipProtocol === undefined || there.ipProtocol === gone.ipProtocol) &&
    (gone.ports === undefined || samePorts(there, gone)) &&
    (gone.suppress === undefined || there.suppress === gone.suppress) &&
    (gone.source === undefined || there.source === gone.source) &&
    (gone.destination === undefined || there.destination === gone.destination)
  );
}

function samePorts(a: RuleState, b: RuleState): boolean {
  return a.ports?.first === b.ports?.first && a.ports?.last === b.ports?.last;
}

/** Rules stand by priority, behind those of the same priority. */
export function insertRule(rules: readonly RuleState[], rule: RuleState): readonly RuleState[] {
  const at = rules.findIndex((other) => other.family === rule.family && other.priority > rule.priority);
  return rules.toSpliced(at < 0 ? rules.length : at, 0, rule);
}
