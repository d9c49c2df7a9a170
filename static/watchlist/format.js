// Formats numbers and ages as text. Pure: no DOM, no clock.
// The server writes the same numbers (watchlist/formatting); tests/cases/numbers.json tests both.

export const NO_VALUE = "–";
const MINUS = "\u2212";
const ARROWS = { up: "▲", down: "▼", flat: "" };
const EXPONENT_FROM = 1e21; // from here on toFixed writes numbers with an exponent

// Patterns that match where a group of digits starts, by the size of the groups in front of the last three digits.
const GROUP_STARTS = { 3: /\B(?=(?:\d{3})+$)/g, 2: /\B(?=(?:\d{2})*\d{3}$)/g };
let numerals = { groupMark: ",", decimalMark: ".", groupSize: 3, minDigits: 4 };

// Sets how numbers are punctuated, from data attributes of the page. `group` is the mark between groups of digits,
// `point` the mark before the decimals, `further` the size of the groups in front of the last three digits. Numbers
// with fewer than `least` digits before the decimals get no groups.
export function setNumerals({ group, point, further, least }) {
  numerals = { groupMark: group, decimalMark: point, groupSize: Number(further), minDigits: Number(least) };
}

// Returns a number as text with fixed decimals, such as `98,234.50`. A half is rounded away from zero.
export function formatNumber(value, decimals) {
  const { groupMark, decimalMark, groupSize, minDigits } = numerals;
  const [whole, fraction] = toPlain(value, decimals).split(".");
  const grouped = whole.length < minDigits ? whole : whole.replace(GROUP_STARTS[groupSize], groupMark);
  return fraction ? grouped + decimalMark + fraction : grouped;
}

// Returns a number as text with a plus or minus sign, or without a sign if it rounds to zero.
export function formatSigned(value, decimals) {
  if (!Number.isFinite(value)) return NO_VALUE;
  const digits = formatNumber(Math.abs(value), decimals);
  if (!/[1-9]/.test(digits)) return digits;
  return (value > 0 ? "+" : MINUS) + digits;
}

export function formatPercent(value) {
  const text = formatSigned(value, 2);
  return text === NO_VALUE ? text : `${text}%`;
}

export function directionOf(signed) {
  if (signed.startsWith("+")) return "up";
  return signed.startsWith(MINUS) ? "down" : "flat";
}

export function arrowOf(direction) {
  return ARROWS[direction];
}

// NO_VALUE for an unknown age.
export function formatAge(milliseconds) {
  if (!(milliseconds >= 0)) return NO_VALUE;
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return "< 1 s";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function toPlain(value, decimals) {
  if (Math.abs(value) < EXPONENT_FROM || !Number.isFinite(value)) return value.toFixed(decimals);
  return `${BigInt(value)}.${"0".repeat(decimals)}`;
}
