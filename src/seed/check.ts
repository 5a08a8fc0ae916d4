// Compares what a card will carry with cloud-init's own JSON schemas, before anything is written.
import { Validator, type OutputUnit, type Schema } from '@cfworker/json-schema';
import { parse } from 'yaml';
import type { CloudInitTexts } from './cloud-init.ts';

/** The schemas of the cloud-init that will read it; what is absent is not checked. */
export interface CloudInitSchemas {
  cloudConfig?: unknown;
  networkConfig?: unknown;
}

/** What cloud-init would complain about, as `user-data: users.0.name: why`; empty when all is well. Of values only numbers are repeated. */
export function checkCloudInit(texts: Omit<CloudInitTexts, 'meta-data'>, schemas: CloudInitSchemas): string[] {
  const { cloudConfig, networkConfig } = schemas;
  return [
    ...(cloudConfig === undefined ? [] : complaints('user-data', parse(texts['user-data']), cloudConfig)),
    ...(networkConfig === undefined
      ? []
      : complaints('network-config', withoutWifi(parse(texts['network-config'])), networkConfig)),
  ];
}

/**
 * cloud-init's schema of version 2 has no Wi-Fi. Where there is netplan, cloud-init itself asks netplan and not this schema
 * (config/schema.py, validate_cloudconfig_schema), so that part is our own schema's to check (network.ts).
 */
function withoutWifi(config: unknown): unknown {
  return Object.fromEntries(Object.entries(config as object).filter(([key]) => key !== 'wifis'));
}

/** Says only that something below or one of several schemas does not fit. */
const COMPOSED = /^(\$ref|allOf|anyOf|oneOf|properties|patternProperties|items|additionalProperties|dependencies)$/;

function complaints(document: string, value: unknown, schema: unknown): string[] {
  // Not to stop at the first: where several forms are allowed, the deepest complaint is about the form that was meant.
  const { valid, errors } = new Validator(schema as Schema, draftOf(schema), false).validate(value);
  if (valid) return [];
  const plain = errors.filter(({ keyword }) => !COMPOSED.test(keyword));
  const depth = Math.max(...plain.map(depthOf));
  const said = plain.filter((error) => depthOf(error) === depth).map((error) => `${document}: ${sentence(error)}`);
  return said.length > 0 ? [...new Set(said)] : [`${document}: does not fit its schema`];
}

/** cloud-config's schema is of draft 4, the one of networks of draft 7. */
function draftOf(schema: unknown): '4' | '7' {
  return String((schema as { $schema?: unknown }).$schema).includes('draft-04') ? '4' : '7';
}

const depthOf = ({ instanceLocation }: OutputUnit) => instanceLocation.split('/').length;

function sentence({ instanceLocation, keyword, error }: OutputUnit): string {
  const place = instanceLocation.replace(/^#\/?/, '').replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
  const reason = keyword === 'false' ? 'cloud-init knows no such key here' : error;
  return place === '' ? reason : `${place}: ${reason}`;
}
