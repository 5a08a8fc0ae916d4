// What a person would find wrong with a page: things that stick out, text that can hardly be read, anything that ran.
import type { Page } from './chromium.ts';

/** Runs in the page. What may be wider than the screen has a box of its own to scroll in. */
const FAULTS = `((width) => {
  const faults = [];
  const name = (element) => element.tagName.toLowerCase() + (element.className ? '.' + element.className : '');
  if (document.scripts.length > 0) faults.push('has a script');
  if (document.documentElement.scrollWidth > width) faults.push('is ' + document.documentElement.scrollWidth + ' pixels wide');
  const luminance = ([r, g, b]) =>
    [r, g, b].map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = rgb(getComputedStyle(at).backgroundColor);
      if (alpha > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  for (const element of document.body.querySelectorAll('*')) {
    if (element.closest('.plot') || element.getClientRects().length === 0) continue;
    const { left, right } = element.getBoundingClientRect();
    if (right > width + 0.5 || left < -0.5) faults.push(name(element) + ' sticks out');
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!hasText) continue;
    const [low, high] = [luminance(rgb(getComputedStyle(element).color)), luminance(background(element))].sort((a, b) => a - b);
    // WCAG 2.2, 1.4.3: what text of ordinary size needs.
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) faults.push(name(element) + ' has a contrast of ' + contrast.toFixed(1));
  }
  return [...new Set(faults)];
})`;

/** Everything that is wrong; empty for a good page. */
export async function faultsOf(page: Page, width: number): Promise<string[]> {
  return [...page.complaints, ...(await page.evaluate<string[]>(`${FAULTS}(${width})`))];
}
