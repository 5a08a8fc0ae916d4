// Reads what uvu says at the end of a run.

/**
 * Passed and failed tests of a uvu process, from its output without colours and its exit status. Skipped tests, a crash, a
 * missing summary and a run without a single test are failures.
 */
export function countUvu(output, code) {
  const number = (word) => Number(new RegExp(`^\\s*${word}:\\s+(\\d+)`, 'm').exec(output)?.[1] ?? NaN);
  const [all, passed] = [number('Total'), number('Passed')];
  if (!(all > 0) || Number.isNaN(passed)) return { passed: 0, failed: 1 };
  const skipped = number('Skipped') || 0;
  return { passed, failed: Math.max(all - passed, skipped, code === 0 ? 0 : 1) };
}
