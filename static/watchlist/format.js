// Numbers and ages as text. Pure: no DOM, no clock. watchlist/rows.py writes the same numbers by the same rules, so that
// the first live update changes nothing but what moved.

export const NOTHING = "–";
const MINUS = "\u2212";
const ARROWS = { up: "▲", down: "▼", flat: "" };

// 98,234.50: fixed decimals, commas at thousands.
export function writeNumber(value, decimals) {
  const [whole, fraction] = value.toFixed(decimals).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction ? `${grouped}.${fraction}` : grouped;
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
