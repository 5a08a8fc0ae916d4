// Rules about the firewall and what is to be reached through it.
import type { AllowRule } from '../draft.ts';
import { issueAt } from '../../lib/yaml/report.ts';
import type { Rule, RuleContext } from './context.ts';

function allows({ merged }: RuleContext, protocol: 'tcp' | 'udp', port: number): boolean {
  return [...merged.allow.values()].some(({ value }) => value.protocol === protocol && covers(value, port));
}

function covers(rule: AllowRule, port: number): boolean {
  return rule.port.some((entry) => {
    const [from = 0, to = from] = String(entry).split('-').map(Number);
    return from <= port && port <= to;
  });
}

/** Only a warning: a kiosk may want it so. */
export const firewallLetsSshIn: Rule = (context) => {
  const [firewall] = context.merged.firewall.values();
  if (firewall === undefined || allows(context, 'tcp', 22)) return [];
  return [
    issueAt(firewall.place, 'the firewall lets no ssh in: nobody can log in over the network', {
      severity: 'warning',
      part: 'key',
      allowed: '`allow: [{ port: 22 }]`',
    }),
  ];
};

/** The checks run from outside as well: from there a closed port looks like a service that is down. */
export const checkedPortsAreAllowed: Rule = (context) => {
  if (context.merged.firewall.size === 0) return [];
  return [...context.merged.health.values()].flatMap(({ value, place }) => {
    if (value.check === 'closed' && allows(context, value.protocol, value.port)) {
      return [issueAt(place, `port ${value.port} is to be closed, but the firewall allows it`)];
    }
    if ((value.check === 'http' || value.check === 'tcp') && !allows(context, 'tcp', value.port)) {
      const message = `port ${value.port} is checked, but the firewall does not allow it`;
      return [
        issueAt(place, message, { severity: 'warning', allowed: `\`firewall: { allow: [{ port: ${value.port} }] }\`` }),
      ];
    }
    return [];
  });
};
