// Rules about the steps of the first boot: their order, and the templates they name.
import { nearest } from '../../lib/suggest.ts';
import { within } from '../../lib/yaml/place.ts';
import { issueAt, type Issue } from '../../lib/yaml/report.ts';
import type { Rule } from './context.ts';

export const stepsWaitForKnownSteps: Rule = ({ merged }) =>
  [...merged.provision.values()].flatMap(({ value, place }) =>
    value.after.flatMap((before, index) => {
      if (merged.provision.has(before)) return [];
      const names = [...merged.provision.keys()];
      const suggestion = nearest(before, names);
      return [
        issueAt(within(place, 'after', index), `there is no step \`${before}\``, {
          allowed: names.join(', '),
          suggestion,
        }),
      ];
    }),
  );

export const stepsDoNotWaitInACircle: Rule = ({ merged }) => {
  const issues: Issue[] = [];
  const done = new Set<string>();
  const visit = (name: string, trail: string[]): void => {
    const step = merged.provision.get(name);
    if (step === undefined || done.has(name)) return;
    if (trail.includes(name)) {
      const circle = [...trail.slice(trail.indexOf(name)), name].join(' → ');
      issues.push(issueAt(within(step.place, 'after'), `steps wait for one another in a circle: ${circle}`));
      return;
    }
    for (const before of step.value.after) visit(before, [...trail, name]);
    done.add(name);
  };
  for (const name of merged.provision.keys()) visit(name, []);
  return issues;
};

export const templatesExist: Rule = ({ merged, entries }) => {
  const known = new Set(entries.map(({ entry }) => entry.path));
  return [...merged.provision.values()].flatMap(({ value, place }) => {
    if (value.step !== 'template') return [];
    const folder = `usr/lib/piimg/node/${value.overlay}/`;
    if (known.has(folder + value.template)) return [];
    const names = [...known].filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length));
    const suggestion = nearest(value.template, names);
    const message = `the overlay \`${value.overlay}\` of this role has no node/${value.template}`;
    return [issueAt(within(place, 'template'), message, { allowed: names.join(', ') || 'no templates', suggestion })];
  });
};
