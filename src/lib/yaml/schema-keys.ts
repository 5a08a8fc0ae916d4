// Which keys the schema knows at a place: for "did you mean" and "allowed".
import type { Path } from './place.ts';

/** The parts of JSON schema that occur in ours. */
interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  const?: unknown;
}

/** The keys that a JSON schema knows of the map at `path`; `data` is the whole file, which decides between alternatives. */
export function keysAt(schema: Record<string, unknown>, path: Path, data: unknown): string[] {
  let here = objectOf(schema, data);
  let value = data;
  for (const step of path) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined;
    const next =
      here.items ??
      here.properties?.[step] ??
      (typeof here.additionalProperties === 'object' ? here.additionalProperties : undefined);
    if (next === undefined) return [];
    here = objectOf(next, value);
  }
  return Object.keys(here.properties ?? {});
}

/** Of several forms the one that `value` has: the map among words, the step whose kind it names. */
function objectOf(schema: JsonSchema, value: unknown): JsonSchema {
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms === undefined) return schema;
  // The more of its fixed words the value has, the more it is meant.
  const matches = forms.map(
    (form) =>
      Object.entries(form.properties ?? {}).filter(
        ([key, { const: constant }]) =>
          constant !== undefined && (value as Record<string, unknown> | null)?.[key] === constant,
      ).length,
  );
  const most = Math.max(...matches);
  const named = most > 0 ? forms[matches.indexOf(most)] : undefined;
  return named ?? forms.find((form) => form.properties !== undefined || form.items !== undefined) ?? schema;
}
