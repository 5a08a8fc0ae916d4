// Rows as aligned columns of text.
import { stripVTControlCharacters } from 'node:util';

const width = (text: string) => stripVTControlCharacters(text).length;

/** Aligns `rows` in columns two spaces apart, colours not counted; `right` lists columns of numbers. No trailing spaces. */
export function formatTable(rows: string[][], right: number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, width(cell))));
  const align = (cell: string, column: number) => {
    const gap = ' '.repeat((widths[column] ?? 0) - width(cell));
    return right.includes(column) ? gap + cell : cell + gap;
  };
  return rows.map((row) => row.map(align).join('  ').trimEnd()).join('\n');
}
