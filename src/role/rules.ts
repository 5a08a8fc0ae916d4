// The list of rules across fields that a role must keep, beyond what the schema says of each field.
import type { Issue } from '../lib/yaml/report.ts';
import { accountsAreNew, idsAreFree, keysHaveAHome, ownersExist, userGroupsExist } from './rules/accounts.ts';
import type { Rule, RuleContext } from './rules/context.ts';
import {
  baseLinksAreKept,
  bootFilesFitFat,
  overlaysDoNotCollide,
  ownedPathsAreLeftAlone,
  pathsDoNotCrossFiles,
  sectionsOwnTheirFiles,
  sudoersHaveTheirMode,
} from './rules/files.ts';
import {
  namesAreUnique,
  packagesAreListedOnce,
  packagesAreNotAlsoRemoved,
  sourcesAreNotTheBases,
  unitsAreNotAlsoDisabled,
} from './rules/names.ts';
import { checkedPortsAreAllowed, firewallLetsSshIn } from './rules/network.ts';
import { stepsDoNotWaitInACircle, stepsWaitForKnownSteps, templatesExist } from './rules/provision.ts';

export const rules: readonly Rule[] = [
  namesAreUnique,
  sourcesAreNotTheBases,
  packagesAreListedOnce,
  packagesAreNotAlsoRemoved,
  unitsAreNotAlsoDisabled,
  accountsAreNew,
  idsAreFree,
  keysHaveAHome,
  userGroupsExist,
  ownersExist,
  ownedPathsAreLeftAlone,
  baseLinksAreKept,
  pathsDoNotCrossFiles,
  sectionsOwnTheirFiles,
  overlaysDoNotCollide,
  sudoersHaveTheirMode,
  bootFilesFitFat,
  firewallLetsSshIn,
  checkedPortsAreAllowed,
  stepsWaitForKnownSteps,
  stepsDoNotWaitInACircle,
  templatesExist,
];

/** What all rules have to say about a role. */
export function checkRules(context: RuleContext): Issue[] {
  return rules.flatMap((rule) => rule(context));
}
