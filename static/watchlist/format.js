// Numbers and ages as text: no DOM, no clock. watchlist/page/rows.py writes the same numbers by the same rules, so that the first
// live update changes nothing but what moved.

export const NOTHING = "–";
const MINUS = "\u2212";
const ARROWS = { up: "▲", down: "▼", flat: "" };

// Where groups begin, by the digits of those beyond the first; watchlist/formatting/numerals.py has the same.
const PATTERNS = { 3: /\B(?=(?:\d{3})+$)/g, 2: /\B(?=(?:\d{2})*\d{3}$)/g };
let numerals = { group: ",", point: ".", further: 3, least: 4 };

// Numbers are punctuated so from now on: the page says how its server does.
export function useNumerals({ group, point, further, least }) {
  numerals = { group, point, further: Number(further), least: Number(least) };
}

// 98,234.50: fixed decimals, groups as the numerals say.
export function writeNumber(value, decimals) {
  const { group, point, further, least } = numerals;
  const [whole, fraction] = value.toFixed(decimals).split(".");
  const grouped = whole.length < least ? whole : whole.replace(PATTERNS[further], group);
  return fraction ? grouped + point + fraction : grouped;
}

// With + or a minus sign, and with neither where it rounds to zero.
export function writeSigned(value, decimals) {
  if (!Number.isFinite(value)) return NOTHING;
  const digits = writeNumber(Math.abs(value), decimals);
  if (!/[1-9]/.test(digits)) return digits;
  return (value > 0 ? "+" : MINUS) + digits;
}

export function sideOf(signed) {
  if (signed.startsWith("+")) return "up";
  return signed.startsWith(MINUS) ? "down" : "flat";
}

export function arrowOf(side) {
  return ARROWS[side];
}

// The age in the largest unit that still says enough; under a second it stands still, so that a busy table is calm.
export function writeAge(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return "< 1 s";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
