// Types of uvu-summary.mjs, which the runner uses as plain JavaScript.
export function countUvu(output: string, code: number | null): { passed: number; failed: number };
