// A row of the tables in this folder: what the official documentation of config.txt says of a card.

/**
 * A card (card.ts, with files put on it or taken away), its config.txt, and what comes of it. What a row does not name is not looked
 * at, but warnings are: there are none, or `warns` is among them.
 */
export interface Case {
  /**
   * Section of https://www.raspberrypi.com/documentation/computers/config_txt.html, or of configuration.html where it is one of those
   * about device trees, UARTs or the boot folder; `legacy` is legacy_config_txt.html; `firmware#1193` an issue of raspberrypi/firmware.
   */
  source: string;
  config: string;
  /** A Pi 3B unless said otherwise. */
  board?: string;
  with?: Record<string, string>;
  without?: string[];
  kernel?: string;
  initramfs?: string[];
  deviceTree?: string;
  /** Part of it. */
  cmdline?: string;
  warns?: RegExp;
  /** The finding that the card would not boot. */
  fails?: RegExp;
}

/** What most cards begin with: a kernel whose name says nothing. */
export const A = 'arm_64bit=1\nkernel=a.img';
